//! PNG: a walk over its chunks, and the decoder under limits.
//!
//! The decoder stops after the last row, so it does not miss the end of the file.

use std::io::Cursor;

use super::reader::Reader;
use super::{PictureError, Size, corrupt};

/// What the decoder may use beside the picture: a colour profile, rows. A profile of a few
/// hundred bytes can unpack to hundreds of megabytes.
const OVERHEAD: u64 = 8 * 1024 * 1024;

fn after_signature(bytes: &[u8]) -> Result<Reader<'_>, PictureError> {
    let mut reader = Reader::new(bytes);
    reader.take(8)?;
    Ok(reader)
}

/// The next chunk's type and data.
fn next_chunk<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), PictureError> {
    let length = usize::try_from(reader.u32_be()?).map_err(corrupt)?;
    let kind = reader.take(4)?;
    let data = reader.take(length)?;
    let _checksum = reader.take(4)?;
    Ok((kind, data))
}

/// The size in the header chunk.
pub(super) fn measure(bytes: &[u8]) -> Result<Size, PictureError> {
    let (kind, data) = next_chunk(&mut after_signature(bytes)?)?;
    if kind != b"IHDR" {
        return Err(corrupt("no header chunk"));
    }
    let mut header = Reader::new(data);
    Ok(Size {
        width: header.u32_be()?,
        height: header.u32_be()?,
    })
}

/// Whether it goes on to its end chunk.
fn check_whole(bytes: &[u8]) -> Result<(), PictureError> {
    let mut reader = after_signature(bytes)?;
    while next_chunk(&mut reader)?.0 != b"IEND" {}
    Ok(())
}

/// Decodes its first frame row by row, if the rest is there too: a deep one of 16 megapixels would
/// fill 128 MB.
pub(super) fn decode(bytes: &[u8], size: Size) -> Result<(), PictureError> {
    check_whole(bytes)?;
    let row = u64::from(size.width) * 16;
    let limits = png::Limits {
        bytes: usize::try_from(OVERHEAD + row).map_err(corrupt)?,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut rows = decoder.read_info().map_err(corrupt)?;
    while rows.next_row().map_err(corrupt)?.is_some() {}
    Ok(())
}
