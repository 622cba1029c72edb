//! WebP: a walk over its chunks, and `image`'s decoder.
//!
//! The decoder has no limits of its own, takes memory for the size inside a frame before it
//! compares it with the canvas, and panics where the two differ; so the walk compares them first.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;

use super::reader::Reader;
use super::{PictureError, Size, corrupt, decode_into_memory};

/// What the RIFF header says follows it.
fn content(bytes: &[u8]) -> Result<Reader<'_>, PictureError> {
    let mut reader = Reader::new(bytes);
    reader.take(4)?;
    let length = usize::try_from(reader.u32_le()?).map_err(corrupt)?;
    let mut content = Reader::new(reader.take(length)?);
    content.take(4)?;
    Ok(content)
}

/// The next chunk's type and data.
fn next_chunk<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), PictureError> {
    let kind = reader.take(4)?;
    let length = usize::try_from(reader.u32_le()?).map_err(corrupt)?;
    let data = reader.take(length)?;
    // Chunks of odd length are padded; the last one not by every encoder.
    if length % 2 == 1 && !reader.is_at_end() {
        reader.take(1)?;
    }
    Ok((kind, data))
}

/// The size a chunk gives for its frame or for the canvas, if it is one that does.
fn size_in(kind: &[u8], data: &[u8]) -> Result<Option<Size>, PictureError> {
    let mut reader = Reader::new(data);
    let (width, height) = match kind {
        b"VP8X" => {
            reader.take(4)?;
            (reader.u24_le()? + 1, reader.u24_le()? + 1)
        }
        b"VP8L" => {
            let _signature = reader.u8()?;
            let packed = reader.u32_le()?;
            ((packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1)
        }
        b"VP8 " => {
            let _tag_and_start_code = reader.take(6)?;
            // The upper two bits ask for scaling.
            let side = |packed: u16| u32::from(packed & 0x3fff);
            (side(reader.u16_le()?), side(reader.u16_le()?))
        }
        _ => return Ok(None),
    };
    Ok(Some(Size { width, height }))
}

/// The size of the canvas, which for a simple picture is its only frame.
pub(super) fn measure(bytes: &[u8]) -> Result<Size, PictureError> {
    // Not `content`: the size can be told before all has arrived.
    let mut reader = Reader::new(bytes);
    reader.take(12)?;
    let kind = reader.take(4)?;
    let _length = reader.take(4)?;
    // VP8X and VP8 have 10 bytes of header, VP8L has 5.
    let header = reader.take(if kind == b"VP8L" { 5 } else { 10 })?;
    size_in(kind, header)?.ok_or_else(|| corrupt("no header chunk"))
}

/// Whether all chunks are there, and every frame has the size it should have.
fn check_whole(bytes: &[u8], canvas: Size) -> Result<(), PictureError> {
    let mut chunks = content(bytes)?;
    while !chunks.is_at_end() {
        match next_chunk(&mut chunks)? {
            (b"ANMF", data) => check_animation_frame(data, canvas)?,
            (kind, data) => check_size(kind, data, canvas)?,
        }
    }
    Ok(())
}

fn check_animation_frame(data: &[u8], canvas: Size) -> Result<(), PictureError> {
    let mut frame = Reader::new(data);
    let _position = frame.take(6)?;
    let size = Size {
        width: frame.u24_le()? + 1,
        height: frame.u24_le()? + 1,
    };
    if size.width > canvas.width || size.height > canvas.height {
        return Err(corrupt(format_args!(
            "a frame of {size} on a canvas of {canvas}"
        )));
    }
    let _duration_and_flags = frame.take(4)?;
    let mut before: &[u8] = b"";
    while !frame.is_at_end() {
        let (kind, data) = next_chunk(&mut frame)?;
        if before == b"ALPH" && kind != b"VP8 " {
            return Err(corrupt("transparency without a picture"));
        }
        check_size(kind, data, size)?;
        before = kind;
    }
    Ok(())
}

fn check_size(kind: &[u8], data: &[u8], wanted: Size) -> Result<(), PictureError> {
    match size_in(kind, data)? {
        Some(size) if size != wanted => Err(corrupt(format_args!(
            "a frame of {size} where {wanted} was announced"
        ))),
        _ => Ok(()),
    }
}

/// Decodes its first frame, if the rest is there too.
pub(super) fn decode(bytes: &[u8], size: Size) -> Result<(), PictureError> {
    check_whole(bytes, size)?;
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(corrupt)?;
    decode_into_memory(decoder, size)
}
