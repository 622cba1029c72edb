//! JPEG: a walk over its markers, and zune-jpeg in strict mode.
//!
//! `image` fills what a cut JPEG lacks with grey, and even strict zune-jpeg does not miss the end
//! marker, nor what should lie before one. So the walk looks for it first, and the decoder gets a
//! picture it cannot fill up. The walk also finds the size without decoding.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::reader::Reader;
use super::shrink::Bitmap;
use super::{PictureError, Size, corrupt};

type Decoder = JpegDecoder<ZCursor<Vec<u8>>>;

/// More passes over the picture than any encoder writes, but cheap to ask for.
const MAX_SCANS: usize = 100;

mod marker {
    pub(super) const START_OF_PROGRESSIVE_FRAME: u8 = 0xc2;
    pub(super) const START_OF_SCAN: u8 = 0xda;
    pub(super) const END_OF_IMAGE: u8 = 0xd9;

    /// SOF0 to SOF15 without the three that share their range: DHT, JPG and DAC.
    pub(super) const fn is_start_of_frame(marker: u8) -> bool {
        matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
    }

    /// Whether no length follows: TEM, SOI, EOI.
    pub(super) const fn stands_alone(marker: u8) -> bool {
        matches!(marker, 0x01 | 0xd8 | 0xd9)
    }

    /// Whether it belongs to a scan's data: a stuffed 0xff, a restart.
    pub(super) const fn is_within_scan(marker: u8) -> bool {
        matches!(marker, 0x00 | 0xd0..=0xd7)
    }
}

/// The next marker outside scan data, with its segment.
fn next_segment<'a>(reader: &mut Reader<'a>) -> Result<(u8, &'a [u8]), PictureError> {
    let marker = loop {
        reader.skip_past(0xff)?;
        let mut marker = reader.u8()?;
        while marker == 0xff {
            marker = reader.u8()?;
        }
        if !marker::is_within_scan(marker) {
            break marker;
        }
    };
    if marker::stands_alone(marker) {
        return Ok((marker, &[]));
    }
    let length = usize::from(reader.u16_be()?)
        .checked_sub(2)
        .ok_or_else(|| corrupt("a segment without length"))?;
    Ok((marker, reader.take(length)?))
}

/// The size in the frame header.
pub(super) fn measure(bytes: &[u8]) -> Result<Size, PictureError> {
    let mut reader = Reader::new(bytes);
    loop {
        let (marker, segment) = next_segment(&mut reader)?;
        if marker::is_start_of_frame(marker) {
            let mut frame = Reader::new(segment);
            let _precision = frame.u8()?;
            let height = frame.u16_be()?.into();
            let width = frame.u16_be()?.into();
            return Ok(Size { width, height });
        }
        if matches!(marker, marker::START_OF_SCAN | marker::END_OF_IMAGE) {
            return Err(corrupt("no frame header"));
        }
    }
}

/// The picture without its end marker and what follows that: a second picture, say.
fn until_end(bytes: &[u8]) -> Result<&[u8], PictureError> {
    let mut reader = Reader::new(bytes);
    let mut scans = 0;
    let mut is_progressive = false;
    loop {
        match next_segment(&mut reader)?.0 {
            marker::END_OF_IMAGE if scans == 0 => return Err(corrupt("no picture data")),
            // The first scan of these is a mosaic; all detail comes after it.
            marker::END_OF_IMAGE if is_progressive && scans == 1 => {
                return Err(PictureError::Truncated);
            }
            marker::END_OF_IMAGE => {
                let end = bytes.len() - reader.left() - 2;
                return bytes.get(..end).ok_or(PictureError::Truncated);
            }
            marker::START_OF_SCAN if scans == MAX_SCANS => return Err(corrupt("too many scans")),
            marker::START_OF_SCAN => scans += 1,
            marker::START_OF_PROGRESSIVE_FRAME => is_progressive = true,
            _ => {}
        }
    }
}

/// How many of `max_pixels` it may have, so that colours that need more memory get no more of it.
/// In several passes a pixel takes two bytes a colour, and its outcome one where grey will do.
const fn affordable(max_pixels: u64, colours: ColorSpace) -> u64 {
    const COMMON: u64 = 7;
    let bytes_a_pixel = match colours {
        ColorSpace::Luma | ColorSpace::YCbCr => COMMON,
        ColorSpace::RGB => 9,
        _ => 11,
    };
    max_pixels.saturating_mul(COMMON) / bytes_a_pixel
}

/// Decodes all of it.
pub(super) fn decode(bytes: &[u8], size: Size, max_pixels: u64) -> Result<(), PictureError> {
    let (mut decoder, options, colours) = prepared(bytes, size, max_pixels)?;
    if colours == ColorSpace::YCbCr {
        // All of the data is read all the same, and two thirds of the pixels need no room.
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
    }
    decoder.decode().map_err(|error| damage(&error))?;
    Ok(())
}

/// Decodes all of it to be shown.
pub(super) fn pixels(bytes: &[u8], size: Size, max_pixels: u64) -> Result<Bitmap, PictureError> {
    let (mut decoder, _, _) = prepared(bytes, size, max_pixels)?;
    let colours = decoder.decode().map_err(|error| damage(&error))?;
    Bitmap::of(size, &colours, 3)
}

/// A decoder that has read the headers, set to colours; with its options and the picture's own
/// colours.
fn prepared(
    bytes: &[u8],
    size: Size,
    max_pixels: u64,
) -> Result<(Decoder, DecoderOptions, ColorSpace), PictureError> {
    let side = |pixels: u32| usize::try_from(pixels).map_err(corrupt);
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(side(size.width)?)
        .set_max_height(side(size.height)?)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let fenced = fence(until_end(bytes)?);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(fenced), options);
    decoder.decode_headers().map_err(|error| damage(&error))?;
    let colours = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    let max = affordable(max_pixels, colours);
    if size.pixels() > max {
        return Err(PictureError::TooManyPixels { size, max });
    }
    Ok((decoder, options, colours))
}

fn damage(error: &DecodeErrors) -> PictureError {
    match error {
        DecodeErrors::Format(text) => corrupt(text),
        DecodeErrors::FormatStatic(text) => corrupt(text),
        other => corrupt(other),
    }
}

/// Closes a picture with ones, as no code begins, before the end marker.
///
/// At an end marker zune-jpeg goes on with zeroes, so a picture that was cut and closed passes as
/// grey. A whole picture has no use for the ones; one that lacks data breaks on them.
fn fence(picture: &[u8]) -> Vec<u8> {
    const STUFFED_ONES: [u8; 2] = [0xff, 0x00];
    let mut fenced = picture.to_vec();
    fenced.extend(STUFFED_ONES.repeat(1024));
    fenced.extend([0xff, marker::END_OF_IMAGE]);
    fenced
}
