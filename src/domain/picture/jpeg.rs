//! JPEG: a walk over its markers, and zune-jpeg in strict mode.
//!
//! `image` fills what a cut JPEG lacks with grey, and even strict zune-jpeg does not miss the end
//! marker. So the walk looks for it first; it also finds the size without decoding.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::reader::Reader;
use super::{PictureError, Size, corrupt};

/// More passes over the picture than any encoder writes, but cheap to ask for.
const MAX_SCANS: usize = 100;

mod marker {
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

/// Whether it goes on to its end marker. What follows that (a second picture, say) is not ours.
pub(super) fn check_whole(bytes: &[u8]) -> Result<(), PictureError> {
    let mut reader = Reader::new(bytes);
    let mut scans = 0;
    loop {
        let (marker, _) = next_segment(&mut reader)?;
        match marker {
            marker::END_OF_IMAGE if scans > 0 => return Ok(()),
            marker::END_OF_IMAGE => return Err(corrupt("no picture data")),
            marker::START_OF_SCAN => scans += 1,
            _ => {}
        }
        if scans > MAX_SCANS {
            return Err(corrupt("too many scans"));
        }
    }
}

/// Decodes all of it.
pub(super) fn decode(bytes: &[u8], size: Size) -> Result<(), PictureError> {
    let side = |pixels: u32| usize::try_from(pixels).map_err(corrupt);
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(side(size.width)?)
        .set_max_height(side(size.height)?)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode().map_err(corrupt)?;
    Ok(())
}
