//! WebP: a walk over its chunks, and `image`'s decoder for the bitstreams in them.
//!
//! The decoder has no limits of its own, takes memory for the size inside a frame before it
//! compares it with the canvas, and panics where the two differ; so the walk compares them first
//! and gives the decoder one bitstream at a time.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;

use super::reader::Reader;
use super::shrink::Bitmap;
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

/// In the last byte of a lossless picture's header.
const HAS_TRANSPARENCY: u8 = 0x10;

/// One frame's bitstreams, each of which decodes by itself.
struct Frame<'a> {
    size: Size,
    pixels: Option<(&'a [u8], &'a [u8])>,
    /// Beside a lossy picture, which has none of its own.
    transparency: Option<&'a [u8]>,
}

impl<'a> Frame<'a> {
    const fn new(size: Size) -> Self {
        Self {
            size,
            pixels: None,
            transparency: None,
        }
    }

    /// Takes a chunk in, if it is one of the bitstreams. The first of a kind counts.
    fn add(&mut self, kind: &'a [u8], data: &'a [u8]) -> Result<(), PictureError> {
        if let Some(size) = size_in(kind, data)?
            && size != self.size
        {
            return Err(corrupt(format_args!(
                "a frame of {size} where {} was announced",
                self.size
            )));
        }
        match kind {
            b"VP8 " | b"VP8L" => _ = self.pixels.get_or_insert((kind, data)),
            b"ALPH" => _ = self.transparency.get_or_insert(data),
            _ => {}
        }
        Ok(())
    }

    /// Decodes its bitstreams one after another: an animation's compositor would hold frame,
    /// canvas and outcome at once.
    fn decode(&self) -> Result<(), PictureError> {
        match self.pixels {
            None => Err(corrupt("no picture data")),
            Some((b"VP8L", data)) => {
                let (header, stream) = data.split_at_checked(5).ok_or(PictureError::Truncated)?;
                self.decode_lossless(header, stream).map(drop)
            }
            Some((_, data)) => {
                self.decode_still(b"VP8 ", &[data])?;
                self.transparency
                    .map_or(Ok(()), |data| self.decode_transparency(data))
            }
        }
    }

    /// Transparency is a plane of bytes, or a lossless picture without its header.
    fn decode_transparency(&self, data: &[u8]) -> Result<(), PictureError> {
        let (flags, plane) = data.split_first().ok_or(PictureError::Truncated)?;
        let length = u64::try_from(plane.len()).map_err(corrupt)?;
        match flags & 3 {
            0 if length < self.size.pixels() => Err(corrupt("transparency cut short")),
            0 => Ok(()),
            1 => {
                let packed = (self.size.width - 1) | ((self.size.height - 1) << 14);
                let [a, b, c, d] = packed.to_le_bytes();
                self.decode_lossless(&[0x2f, a, b, c, d], plane).map(drop)
            }
            other => Err(corrupt(format_args!("transparency of method {other}"))),
        }
    }

    /// The same to be shown; a lossy picture's transparency is left out.
    fn pixels(&self) -> Result<Bitmap, PictureError> {
        match self.pixels {
            None => Err(corrupt("no picture data")),
            Some((b"VP8L", data)) => {
                let (header, stream) = data.split_at_checked(5).ok_or(PictureError::Truncated)?;
                let pixels = self.decode_lossless(header, stream)?;
                let mut bitmap = Bitmap::of(self.size, &pixels, 4)?;
                if header
                    .last()
                    .is_some_and(|flags| flags & HAS_TRANSPARENCY == 0)
                {
                    for [.., opacity] in &mut bitmap.pixels {
                        *opacity = u8::MAX;
                    }
                }
                Ok(bitmap)
            }
            Some((_, data)) => Bitmap::of(self.size, &self.decode_still(b"VP8 ", &[data])?, 3),
        }
    }

    fn decode_lossless(&self, header: &[u8], stream: &[u8]) -> Result<Vec<u8>, PictureError> {
        let mut header = header.to_vec();
        if let Some(flags) = header.last_mut() {
            // The data are the same with it, and are decoded in place: 4 bytes a pixel, not 7.
            *flags |= HAS_TRANSPARENCY;
        }
        self.decode_still(b"VP8L", &[&header, stream])
    }

    /// Decodes a bitstream as the only one of a picture.
    fn decode_still(&self, kind: &[u8; 4], data: &[&[u8]]) -> Result<Vec<u8>, PictureError> {
        let data = data.concat();
        let length = u32::try_from(data.len()).map_err(corrupt)?;
        let all = length.checked_add(12).ok_or_else(|| corrupt("too long"))?;
        let still = [
            b"RIFF".as_slice(),
            &all.to_le_bytes(),
            b"WEBP",
            kind,
            &length.to_le_bytes(),
            &data,
        ]
        .concat();
        let decoder = WebPDecoder::new(Cursor::new(still)).map_err(corrupt)?;
        decode_into_memory(decoder, self.size)
    }
}

/// The first frame, if all chunks are there and every frame has the size it should have.
fn first_frame(bytes: &[u8], canvas: Size) -> Result<Frame<'_>, PictureError> {
    const ANIMATED: u8 = 2;
    let mut chunks = content(bytes)?;
    let mut still = Frame::new(canvas);
    let mut moving = None;
    let mut is_animated = false;
    while !chunks.is_at_end() {
        let (kind, data) = next_chunk(&mut chunks)?;
        if kind == b"ANMF" {
            moving.get_or_insert(animation_frame(data, canvas)?);
            continue;
        }
        if kind == b"VP8X" {
            is_animated = data.first().is_some_and(|flags| flags & ANIMATED != 0);
        }
        still.add(kind, data)?;
    }
    if is_animated {
        moving.ok_or_else(|| corrupt("an animation without a frame"))
    } else {
        Ok(still)
    }
}

fn animation_frame(data: &[u8], canvas: Size) -> Result<Frame<'_>, PictureError> {
    let mut reader = Reader::new(data);
    let (left, top) = (reader.u24_le()? * 2, reader.u24_le()? * 2);
    let size = Size {
        width: reader.u24_le()? + 1,
        height: reader.u24_le()? + 1,
    };
    if left + size.width > canvas.width || top + size.height > canvas.height {
        return Err(corrupt(format_args!(
            "a frame of {size} on a canvas of {canvas}"
        )));
    }
    let _duration_and_flags = reader.take(4)?;
    let mut frame = Frame::new(size);
    while !reader.is_at_end() {
        let (kind, data) = next_chunk(&mut reader)?;
        frame.add(kind, data)?;
    }
    Ok(frame)
}

/// Decodes its first frame, if the rest is there too.
pub(super) fn decode(bytes: &[u8], size: Size) -> Result<(), PictureError> {
    first_frame(bytes, size)?.decode()
}

/// Decodes its first frame to be shown.
pub(super) fn pixels(bytes: &[u8], size: Size) -> Result<Bitmap, PictureError> {
    first_frame(bytes, size)?.pixels()
}
