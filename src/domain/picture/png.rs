//! PNG: a walk over its chunks, and the decoder under limits.
//!
//! The decoder stops after the last row, so it does not miss the end of the file.

use std::io::Cursor;

use super::reader::Reader;
use super::shrink::Bitmap;
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
    let mut decoder = limited(bytes, size)?;
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut rows = decoder.read_info().map_err(corrupt)?;
    while rows.next_row().map_err(corrupt)?.is_some() {}
    Ok(())
}

/// A decoder under limits, if its end is there.
fn limited(bytes: &[u8], size: Size) -> Result<png::Decoder<Cursor<&[u8]>>, PictureError> {
    check_whole(bytes)?;
    let row = u64::from(size.width) * 16;
    let limits = png::Limits {
        bytes: usize::try_from(OVERHEAD + row).map_err(corrupt)?,
    };
    Ok(png::Decoder::new_with_limits(Cursor::new(bytes), limits))
}

/// Decodes its first frame to be shown, 8 bits a colour.
pub(super) fn pixels(bytes: &[u8], size: Size) -> Result<Bitmap, PictureError> {
    let mut decoder = limited(bytes, size)?;
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut frames = decoder.read_info().map_err(corrupt)?;
    let (colours, _) = frames.output_color_type();
    let channels = colours.samples();
    let length = usize::try_from(size.pixels()).map_err(corrupt)? * channels;
    if frames.output_buffer_size() != Some(length) {
        return Err(corrupt("two sizes"));
    }
    let mut pixels = vec![0; length];
    let frame = frames.next_frame(&mut pixels).map_err(corrupt)?;
    if (frame.width, frame.height) != (size.width, size.height) {
        return Err(corrupt("a frame beside its picture"));
    }
    Bitmap::of(size, &pixels, channels)
}

/// Writes a picture.
pub(super) fn encode(bitmap: &Bitmap) -> Result<Vec<u8>, PictureError> {
    let is_opaque = bitmap
        .pixels
        .iter()
        .all(|[.., opacity]| *opacity == u8::MAX);
    let (colours, channels) = if is_opaque {
        (png::ColorType::Rgb, 3)
    } else {
        (png::ColorType::Rgba, 4)
    };
    let bytes: Vec<u8> = bitmap
        .pixels
        .iter()
        .flat_map(|pixel| pixel.iter().take(channels))
        .copied()
        .collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, bitmap.size.width, bitmap.size.height);
    encoder.set_color(colours);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(corrupt)?;
    writer.write_image_data(&bytes).map_err(corrupt)?;
    writer.finish().map_err(corrupt)?;
    Ok(file)
}
