//! GIF: a walk over its blocks, and the decoder under limits.
//!
//! Only the first frame is decoded, so the walk sees to it that the others are there. Its pixels
//! stay numbers of colours, a byte each: `image` makes four of each and a second copy.

use std::num::NonZeroU64;

use ::gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, Frame, MemoryLimit};

use super::reader::Reader;
use super::shrink::Bitmap;
use super::{PictureError, Size, corrupt};

/// Bytes of a colour table of which the low three bits of `packed` tell the length.
fn table_length(packed: u8) -> usize {
    if packed & 0x80 == 0 {
        0
    } else {
        3 << ((packed & 7) + 1)
    }
}

fn skip_sub_blocks(reader: &mut Reader<'_>) -> Result<(), PictureError> {
    loop {
        let length = reader.u8()?;
        if length == 0 {
            return Ok(());
        }
        reader.take(length.into())?;
    }
}

/// The logical screen, on which the frames lie.
pub(super) fn measure(bytes: &[u8]) -> Result<Size, PictureError> {
    let mut reader = Reader::new(bytes);
    reader.take(6)?;
    Ok(Size {
        width: reader.u16_le()?.into(),
        height: reader.u16_le()?.into(),
    })
}

/// Whether it goes on to its trailer.
fn check_whole(bytes: &[u8]) -> Result<(), PictureError> {
    let mut reader = Reader::new(bytes);
    reader.take(10)?;
    let packed = reader.u8()?;
    reader.take(2 + table_length(packed))?;
    loop {
        match reader.u8()? {
            // Some encoders write one terminator too many.
            0x00 => {}
            b'!' => {
                let _label = reader.u8()?;
                skip_sub_blocks(&mut reader)?;
            }
            b',' => {
                reader.take(8)?;
                let packed = reader.u8()?;
                let _code_size = reader.take(table_length(packed) + 1)?;
                skip_sub_blocks(&mut reader)?;
            }
            b';' => return Ok(()),
            other => return Err(corrupt(format_args!("unknown block 0x{other:02x}"))),
        }
    }
}

/// Decodes its first frame, if the rest is there too.
pub(super) fn decode(bytes: &[u8], size: Size) -> Result<(), PictureError> {
    let mut decoder = limited(bytes, size, ColorOutput::Indexed)?;
    first_frame(&mut decoder).map(drop)
}

/// A decoder under limits, if the end is there.
fn limited(bytes: &[u8], size: Size, output: ColorOutput) -> Result<Decoder<&[u8]>, PictureError> {
    check_whole(bytes)?;
    let bytes_a_pixel = match output {
        ColorOutput::RGBA => 4,
        ColorOutput::Indexed => 1,
    };
    // A frame may be as large as the screen, and a profile or a text is no longer than the file.
    let most = u64::try_from(bytes.len()).map_err(corrupt)?;
    let most = (size.pixels() * bytes_a_pixel).saturating_add(most);
    let mut options = DecodeOptions::new();
    options.set_color_output(output);
    options
        .set_memory_limit(NonZeroU64::new(most).map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes));
    options.read_info(bytes).map_err(corrupt)
}

fn first_frame<'a>(decoder: &'a mut Decoder<&[u8]>) -> Result<&'a Frame<'static>, PictureError> {
    let frame = decoder.read_next_frame().map_err(|error| match error {
        DecodingError::OutOfMemory | DecodingError::MemoryLimit => {
            corrupt("a frame beyond its screen")
        }
        other => corrupt(other),
    })?;
    frame.ok_or_else(|| corrupt("no frame"))
}

/// Decodes its first frame to be shown; where it lies on the screen does not matter.
pub(super) fn pixels(bytes: &[u8], size: Size) -> Result<Bitmap, PictureError> {
    let mut decoder = limited(bytes, size, ColorOutput::RGBA)?;
    let frame = first_frame(&mut decoder)?;
    let size = Size {
        width: frame.width.into(),
        height: frame.height.into(),
    };
    Bitmap::of(size, &frame.buffer, 4)
}
