//! A picture made small, for pages: decoded as it is when it is judged, averaged, and a PNG again.

use super::{Format, PictureError, Size, corrupt, format_of, gif, jpeg, measure_as, png, webp};

/// The longest side there is.
const LONGEST: u32 = 1024;

/// Pixels in rows, four bytes each: red, green, blue, opacity.
pub(super) struct Bitmap {
    pub(super) size: Size,
    pub(super) pixels: Vec<[u8; 4]>,
}

impl Bitmap {
    /// Pixels of so many bytes each: grey, grey and opacity, colours, colours and opacity.
    pub(super) fn of(size: Size, bytes: &[u8], channels: usize) -> Result<Self, PictureError> {
        let pixels: Vec<[u8; 4]> = bytes.chunks_exact(channels).filter_map(pixel).collect();
        if u64::try_from(pixels.len()).ok() != Some(size.pixels()) {
            return Err(corrupt("a number of pixels that is not its size"));
        }
        Ok(Self { size, pixels })
    }

    fn row(&self, y: u32) -> &[[u8; 4]] {
        let width = usize::try_from(self.size.width).unwrap_or(usize::MAX);
        let start = usize::try_from(y)
            .unwrap_or(usize::MAX)
            .saturating_mul(width);
        let row = self.pixels.get(start..).and_then(|rest| rest.get(..width));
        row.unwrap_or_default()
    }
}

fn pixel(bytes: &[u8]) -> Option<[u8; 4]> {
    match *bytes {
        [grey] => Some([grey, grey, grey, u8::MAX]),
        [grey, opacity] => Some([grey, grey, grey, opacity]),
        [red, green, blue] => Some([red, green, blue, u8::MAX]),
        [red, green, blue, opacity] => Some([red, green, blue, opacity]),
        _ => None,
    }
}

/// Makes a picture small: a PNG of its first frame with no side over `max_side`, 1,024 at most,
/// and none longer than it was.
///
/// Beside a copy of `bytes` it takes at most 15 bytes of memory for each of `max_pixels`.
///
/// # Errors
/// When it is no picture, has more than `max_pixels` or too long a side, or is cut or damaged.
pub fn shrink(bytes: &[u8], max_pixels: u64, max_side: u32) -> Result<Vec<u8>, PictureError> {
    let format = format_of(bytes)?;
    let size = measure_as(format, bytes)?;
    if size.pixels() > max_pixels {
        return Err(PictureError::TooManyPixels {
            size,
            max: max_pixels,
        });
    }
    let bitmap = match format {
        Format::Jpeg => jpeg::pixels(bytes, size, max_pixels),
        Format::Png => png::pixels(bytes, size),
        Format::Webp => webp::pixels(bytes, size),
        Format::Gif => gif::pixels(bytes, size),
    }?;
    png::encode(&averaged(&bitmap, fitting(bitmap.size, max_side)))
}

/// The largest size of the same shape with no side over `max_side`.
fn fitting(size: Size, max_side: u32) -> Size {
    let longest = size.width.max(size.height).max(1);
    let target = max_side.clamp(1, LONGEST).min(longest);
    let side = |pixels: u32| {
        let scaled = u64::from(pixels) * u64::from(target) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(target).max(1)
    };
    Size {
        width: side(size.width),
        height: side(size.height),
    }
}

/// Each pixel the mean of those it stands for, a see-through one counting less.
fn averaged(bitmap: &Bitmap, size: Size) -> Bitmap {
    if size == bitmap.size {
        return Bitmap {
            size,
            pixels: bitmap.pixels.clone(),
        };
    }
    let mut pixels = Vec::new();
    for y in 0..size.height {
        let rows = part(y, size.height, bitmap.size.height);
        for x in 0..size.width {
            let columns = part(x, size.width, bitmap.size.width);
            let within = usize::try_from(columns.start).unwrap_or(usize::MAX)
                ..usize::try_from(columns.end).unwrap_or(usize::MAX);
            let of_row = |y: u32| bitmap.row(y).get(within.clone()).unwrap_or_default();
            pixels.push(mean(rows.clone().flat_map(of_row)));
        }
    }
    Bitmap { size, pixels }
}

/// What the `at`th of `count` parts covers of `length`; at least one.
fn part(at: u32, count: u32, length: u32) -> std::ops::Range<u32> {
    let edge = |at: u32| {
        let edge = u64::from(at) * u64::from(length) / u64::from(count.max(1));
        u32::try_from(edge).unwrap_or(length)
    };
    let start = edge(at);
    start..edge(at + 1).max(start + 1)
}

fn mean<'a>(pixels: impl Iterator<Item = &'a [u8; 4]>) -> [u8; 4] {
    let (mut colours, mut opacity, mut count) = ([0_u64; 3], 0_u64, 0_u64);
    for &[red, green, blue, alpha] in pixels {
        let alpha = u64::from(alpha);
        for (sum, colour) in colours.iter_mut().zip([red, green, blue]) {
            *sum += u64::from(colour) * alpha;
        }
        opacity += alpha;
        count += 1;
    }
    let byte = |sum: u64, parts: u64| u8::try_from(sum / parts.max(1)).unwrap_or(u8::MAX);
    let [red, green, blue] = colours.map(|sum| byte(sum, opacity));
    [red, green, blue, byte(opacity, count)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::picture::measure;
    use image::{DynamicImage, ImageFormat, RgbaImage};
    use std::io::Cursor;

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/support/pictures/", $name)).as_slice()
        };
    }

    const SOME: u64 = 1 << 20;

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// The left half red, the right half blue.
    fn halves(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, _| {
            image::Rgba(if x < width / 2 {
                [255, 0, 0, 255]
            } else {
                [0, 0, 255, 255]
            })
        })
    }

    fn shown(png: &[u8]) -> RgbaImage {
        image::load_from_memory(png).unwrap().into_rgba8()
    }

    #[test]
    fn every_format_is_made_small_and_keeps_its_shape() {
        for (name, bytes, size) in [
            ("baseline", fixture!("baseline-480x360.jpg"), (160, 120)),
            (
                "progressive",
                fixture!("progressive-480x360.jpg"),
                (160, 120),
            ),
            ("grey", fixture!("luma-480x360.jpg"), (160, 120)),
            ("cmyk", fixture!("cmyk-320x240.jpg"), (160, 120)),
            ("small", fixture!("grey-120x90.jpg"), (120, 90)),
            ("large", fixture!("maxres-1280x720.jpg"), (160, 90)),
            ("lossy", fixture!("lossy-480x360.webp"), (160, 120)),
        ] {
            let small = shrink(bytes, SOME, 160).unwrap();
            let Size { width, height } = measure(&small).unwrap();
            assert_eq!((width, height), size, "{name}");
        }
    }

    #[test]
    fn colours_stay_where_they_were() {
        let rgba = DynamicImage::from(halves(90, 40));
        let rgb = DynamicImage::from(rgba.to_rgb8());
        let deep = DynamicImage::from(rgba.to_rgba16());
        for (name, bytes) in [
            ("png", encoded(&rgb, ImageFormat::Png)),
            ("deep png", encoded(&deep, ImageFormat::Png)),
            ("gif", encoded(&rgba, ImageFormat::Gif)),
            ("webp", encoded(&rgb, ImageFormat::WebP)),
            ("webp with opacity", encoded(&rgba, ImageFormat::WebP)),
        ] {
            let small = shown(&shrink(&bytes, SOME, 9).unwrap());
            assert_eq!(small.dimensions(), (9, 4), "{name}");
            assert_eq!(small.get_pixel(0, 0).0, [255, 0, 0, 255], "{name}");
            assert_eq!(small.get_pixel(8, 3).0, [0, 0, 255, 255], "{name}");
        }
        let whole = shown(&shrink(&encoded(&rgb, ImageFormat::Png), SOME, 90).unwrap());
        assert_eq!(whole, halves(90, 40));
    }

    #[test]
    fn what_is_seen_through_lends_no_colour() {
        let half = RgbaImage::from_fn(2, 2, |x, _| {
            image::Rgba(if x == 0 {
                [200, 10, 0, 255]
            } else {
                [0, 255, 0, 0]
            })
        });
        let small = shown(&shrink(&encoded(&half.into(), ImageFormat::Png), SOME, 1).unwrap());
        assert_eq!(small.get_pixel(0, 0).0, [200, 10, 0, 127]);
    }

    #[test]
    fn odd_shapes_and_sides_are_no_trouble() {
        let line = encoded(&halves(1000, 1).into(), ImageFormat::Png);
        let small = shrink(&line, SOME, 10).unwrap();
        assert_eq!(measure(&small).unwrap().to_string(), "10x1");
        let dot = shrink(&line, SOME, 0).unwrap();
        assert_eq!(measure(&dot).unwrap().to_string(), "1x1");
        let whole = shrink(
            &encoded(&halves(1500, 3).into(), ImageFormat::Png),
            SOME,
            u32::MAX,
        );
        assert_eq!(measure(&whole.unwrap()).unwrap().to_string(), "1024x2");
    }

    #[test]
    fn what_is_cut_too_large_or_no_picture_is_refused() {
        let jpeg = fixture!("baseline-480x360.jpg");
        let refused = |bytes: &[u8], max| shrink(bytes, max, 160).unwrap_err();
        let too_many = refused(jpeg, 480 * 360 - 1);
        assert!(matches!(too_many, PictureError::TooManyPixels { .. }));
        assert_eq!(refused(b"<html>", SOME), PictureError::NotAPicture);
        assert_eq!(refused(b"", SOME), PictureError::NotAPicture);
        for sound in [
            jpeg.to_vec(),
            fixture!("progressive-480x360.jpg").to_vec(),
            fixture!("lossy-480x360.webp").to_vec(),
            encoded(&halves(90, 40).into(), ImageFormat::Png),
            encoded(&halves(90, 40).into(), ImageFormat::Gif),
            encoded(&halves(90, 40).into(), ImageFormat::WebP),
        ] {
            for length in [8, 16, 40, sound.len() / 2, sound.len() - 1] {
                shrink(&sound[..length.min(sound.len() - 1)], SOME, 160).unwrap_err();
            }
        }
    }
}
