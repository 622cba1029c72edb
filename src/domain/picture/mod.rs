//! Pictures: what they are by their first bytes, how large by their header, and whether they
//! decode, strictly and within bounds.

mod gif;
mod jpeg;
mod png;
mod reader;
mod shrink;
mod webp;

use std::fmt;

use image::ImageDecoder;
use serde::{Serialize, Serializer};

pub use shrink::shrink;

/// Width and height in pixels, as stored: no rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// How many pixels that is.
    #[must_use]
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl Serialize for Size {
    /// As the report writes it, `"120x90"`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A picture format we decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// GIF.
    Gif,
}

/// What first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniff {
    /// The start of a picture.
    Picture(Format),
    /// May become one; too few bytes to tell.
    NeedMore,
    /// No picture.
    NotAPicture,
}

/// Why a body is no picture to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// It does not start as one.
    #[error("not a picture")]
    NotAPicture,
    /// It would decode to more pixels than allowed.
    #[error("{size} is over {max} pixels")]
    TooManyPixels {
        /// What its header says.
        size: Size,
        /// What is allowed.
        max: u64,
    },
    /// One of its sides is longer than in any picture meant to be looked at.
    #[error("{size} has a side over {MAX_SIDE} pixels")]
    SideTooLong {
        /// What its header says.
        size: Size,
    },
    /// It ends early.
    #[error("truncated")]
    Truncated,
    /// It is damaged, and how.
    #[error("corrupt: {0}")]
    Corrupt(String),
}

/// The longest side of a picture. Only a PNG's could be longer, and its decoder holds whole rows.
const MAX_SIDE: u32 = 65_535;

/// Tells a picture by its first bytes.
#[must_use]
pub fn sniff(first_bytes: &[u8]) -> Sniff {
    const SIGNATURES: [(Format, &[u8]); 5] = [
        (Format::Jpeg, b"\xff\xd8\xff"),
        (Format::Png, b"\x89PNG\r\n\x1a\n"),
        (Format::Gif, b"GIF87a"),
        (Format::Gif, b"GIF89a"),
        (Format::Webp, b"RIFF\0\0\0\0WEBP"),
    ];
    let mut answer = Sniff::NotAPicture;
    for (format, signature) in SIGNATURES {
        let fits = first_bytes
            .iter()
            .zip(signature)
            .enumerate()
            // Bytes 4 to 7 of a RIFF file are its length.
            .all(|(at, (byte, wanted))| {
                byte == wanted || (format == Format::Webp && (4..8).contains(&at))
            });
        if fits && first_bytes.len() >= signature.len() {
            return Sniff::Picture(format);
        }
        if fits {
            answer = Sniff::NeedMore;
        }
    }
    answer
}

/// Reads a picture's size from its header, decoding nothing.
///
/// # Errors
/// When it is no picture, its header is cut or damaged, or a side is too long.
pub fn measure(bytes: &[u8]) -> Result<Size, PictureError> {
    measure_as(format_of(bytes)?, bytes)
}

fn measure_as(format: Format, bytes: &[u8]) -> Result<Size, PictureError> {
    let size = match format {
        Format::Jpeg => jpeg::measure(bytes),
        Format::Png => png::measure(bytes),
        Format::Webp => webp::measure(bytes),
        Format::Gif => gif::measure(bytes),
    }?;
    if size.pixels() == 0 {
        return Err(corrupt(format_args!("a size of {size}")));
    }
    if size.width.max(size.height) > MAX_SIDE {
        return Err(PictureError::SideTooLong { size });
    }
    Ok(size)
}

/// Decodes a picture's first frame, strictly, and tells its size.
///
/// Beside a copy of `bytes` it takes at most 7 bytes of memory for each of `max_pixels`: a JPEG in
/// several passes does, which may have fewer pixels if its colours take more. A WebP takes up to 5
/// a pixel, a GIF one, a PNG a few rows.
///
/// # Errors
/// When it is no picture, has more than `max_pixels` or too long a side, or is cut or damaged.
pub fn decode(bytes: &[u8], max_pixels: u64) -> Result<Size, PictureError> {
    let format = format_of(bytes)?;
    let size = measure_as(format, bytes)?;
    if size.pixels() > max_pixels {
        return Err(PictureError::TooManyPixels {
            size,
            max: max_pixels,
        });
    }
    match format {
        Format::Jpeg => jpeg::decode(bytes, size, max_pixels),
        Format::Png => png::decode(bytes, size),
        Format::Webp => webp::decode(bytes, size),
        Format::Gif => gif::decode(bytes, size),
    }?;
    Ok(size)
}

fn format_of(bytes: &[u8]) -> Result<Format, PictureError> {
    match sniff(bytes) {
        Sniff::Picture(format) => Ok(format),
        Sniff::NeedMore if bytes.is_empty() => Err(PictureError::NotAPicture),
        Sniff::NeedMore => Err(PictureError::Truncated),
        Sniff::NotAPicture => Err(PictureError::NotAPicture),
    }
}

/// Runs one of `image`'s decoders to the end of its first frame.
fn decode_into_memory(decoder: impl ImageDecoder, size: Size) -> Result<Vec<u8>, PictureError> {
    if decoder.dimensions() != (size.width, size.height) {
        return Err(corrupt("two sizes"));
    }
    // At most 8 bytes a pixel, of a number of pixels that has been checked.
    let length = usize::try_from(decoder.total_bytes()).map_err(corrupt)?;
    let mut bytes = vec![0; length];
    decoder.read_image(&mut bytes).map_err(corrupt)?;
    Ok(bytes)
}

/// A damage, told on one line.
fn corrupt(what: impl fmt::Display) -> PictureError {
    let what = what.to_string();
    let words: Vec<&str> = what.split_whitespace().collect();
    PictureError::Corrupt(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::gif::GifEncoder;
    use image::{DynamicImage, ImageFormat, RgbaImage};
    use proptest::prelude::*;
    use std::io::Cursor;

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/support/pictures/", $name)).as_slice()
        };
    }

    const BASELINE: &[u8] = fixture!("baseline-480x360.jpg");
    const PROGRESSIVE: &[u8] = fixture!("progressive-480x360.jpg");
    const LOSSY: &[u8] = fixture!("lossy-480x360.webp");
    const SIXTEEN_MEGAPIXELS: u64 = 1 << 24;

    const fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    fn scene(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, y| {
            let shade = |n: u32| u8::try_from(n % 256).unwrap() & 0xe0;
            image::Rgba([shade(x * 5), shade(y * 7), shade(x * y), 255])
        })
    }

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn rgb(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let opaque = DynamicImage::from(scene(width, height)).into_rgb8();
        encoded(&opaque.into(), format)
    }

    fn gif_of(frames: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let frames = (0..frames).map(|_| image::Frame::new(scene(60, 40)));
        GifEncoder::new(&mut bytes).encode_frames(frames).unwrap();
        bytes
    }

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_le_bytes();
        let padding = vec![0; data.len() % 2];
        [kind, length.as_slice(), data, &padding].concat()
    }

    fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
        chunk(b"RIFF", &[b"WEBP".to_vec(), chunks.concat()].concat())
    }

    fn u24(number: u32) -> [u8; 3] {
        let [low, middle, high, _] = number.to_le_bytes();
        [low, middle, high]
    }

    fn canvas(size: Size, flags: u8) -> Vec<u8> {
        let [width, height] = [size.width, size.height].map(|side| u24(side - 1));
        chunk(
            b"VP8X",
            &[&[flags, 0, 0, 0], width.as_slice(), &height].concat(),
        )
    }

    fn animation_frame(size: Size, chunks: &[Vec<u8>]) -> Vec<u8> {
        let [width, height] = [size.width, size.height].map(|side| u24(side - 1));
        let header = [&[0; 6], width.as_slice(), &height, &[0; 4]].concat();
        chunk(b"ANMF", &[header, chunks.concat()].concat())
    }

    /// Two frames of one picture on a canvas of its size.
    fn animated(size: Size, chunks: &[Vec<u8>]) -> Vec<u8> {
        let frame = animation_frame(size, chunks);
        let animation = chunk(b"ANIM", &[0; 6]);
        riff(&[canvas(size, 2), animation, frame.clone(), frame])
    }

    /// Two lossy frames on one canvas.
    fn animated_webp() -> Vec<u8> {
        animated(size(480, 360), &[LOSSY[12..].to_vec()])
    }

    /// The transparency of a 480x360 lossy picture, as bytes or lossless.
    fn transparency(is_lossless: bool) -> Vec<u8> {
        if !is_lossless {
            return chunk(b"ALPH", &vec![0; 1 + 480 * 360]);
        }
        // Without chunk header and size: both are those of the picture beside it.
        let stream = &encoded(&scene(480, 360).into(), ImageFormat::WebP)[25..];
        chunk(b"ALPH", &[&[1], stream].concat())
    }

    fn transparent_webp(is_lossless: bool) -> Vec<u8> {
        let chunks = [transparency(is_lossless), LOSSY[12..].to_vec()];
        riff(&[canvas(size(480, 360), 16), chunks.concat()])
    }

    fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(data);
        [&length, kind.as_slice(), data, &crc.sum().to_be_bytes()].concat()
    }

    fn png_claiming(width: u32, height: u32) -> Vec<u8> {
        let [width, height] = [width, height].map(u32::to_be_bytes);
        let header = [width.as_slice(), &height, &[8, 2, 0, 0, 0]].concat();
        let chunks = [png_chunk(b"IHDR", &header), png_chunk(b"IEND", b"")].concat();
        [b"\x89PNG\r\n\x1a\n".as_slice(), &chunks].concat()
    }

    fn jpeg_claiming(width: u16, height: u16) -> Vec<u8> {
        let [width, height] = [width, height].map(u16::to_be_bytes);
        let frame = [
            &[0xff, 0xc0, 0, 11, 8],
            height.as_slice(),
            &width,
            &[1, 1, 17, 0],
        ]
        .concat();
        [b"\xff\xd8\xff\xfe\0\x04hi".as_slice(), &frame].concat()
    }

    /// Sound WebPs of every sort, with their sizes.
    fn sound_webps() -> Vec<(&'static str, Vec<u8>, Size)> {
        vec![
            (
                "lossless webp",
                rgb(60, 40, ImageFormat::WebP),
                size(60, 40),
            ),
            (
                "transparent webp",
                encoded(&scene(61, 41).into(), ImageFormat::WebP),
                size(61, 41),
            ),
            ("lossy webp", LOSSY.to_vec(), size(480, 360)),
            (
                "lossy webp with bytes of transparency",
                transparent_webp(false),
                size(480, 360),
            ),
            (
                "lossy webp with lossless transparency",
                transparent_webp(true),
                size(480, 360),
            ),
            ("animated webp", animated_webp(), size(480, 360)),
            (
                "animated lossless webp",
                animated(
                    size(60, 40),
                    &[rgb(60, 40, ImageFormat::WebP)[12..].to_vec()],
                ),
                size(60, 40),
            ),
            (
                "animated transparent webp",
                animated(size(480, 360), &[transparency(true), LOSSY[12..].to_vec()]),
                size(480, 360),
            ),
        ]
    }

    /// Sound pictures of every sort, with their sizes.
    fn sound() -> Vec<(&'static str, Vec<u8>, Size)> {
        let sixteen_bits = DynamicImage::from(scene(60, 40)).into_rgba16().into();
        let mut sound = vec![
            ("baseline jpeg", BASELINE.to_vec(), size(480, 360)),
            ("progressive jpeg", PROGRESSIVE.to_vec(), size(480, 360)),
            (
                "grey jpeg",
                fixture!("luma-480x360.jpg").to_vec(),
                size(480, 360),
            ),
            (
                "cmyk jpeg",
                fixture!("cmyk-320x240.jpg").to_vec(),
                size(320, 240),
            ),
            (
                "flat jpeg",
                fixture!("grey-120x90.jpg").to_vec(),
                size(120, 90),
            ),
            ("png", rgb(60, 40, ImageFormat::Png), size(60, 40)),
            (
                "deep png",
                encoded(&sixteen_bits, ImageFormat::Png),
                size(60, 40),
            ),
            ("gif", gif_of(1), size(60, 40)),
            ("animated gif", gif_of(3), size(60, 40)),
        ];
        sound.extend(sound_webps());
        sound
    }

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        let known: [(&[u8], Format); 5] = [
            (b"\xff\xd8\xff", Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"GIF87a", Format::Gif),
            (b"GIF89a", Format::Gif),
            (b"RIFF\x24\0\0\0WEBP", Format::Webp),
        ];
        for (start, format) in known {
            let longer = [start, b"more"].concat();
            assert_eq!(sniff(&longer), Sniff::Picture(format));
            assert_eq!(sniff(start), Sniff::Picture(format));
            for length in 0..start.len() {
                assert_eq!(
                    sniff(&start[..length]),
                    Sniff::NeedMore,
                    "{format:?} {length}"
                );
            }
        }
        let others: [&[u8]; 6] = [
            b"<!DOCTYPE html>",
            b"GIF88a",
            b"GIF pictures",
            b"\x89PNG\n\n",
            b"RIFF\x24\0\0\0WAVE",
            b"\xff\xd9",
        ];
        for other in others {
            assert_eq!(sniff(other), Sniff::NotAPicture, "{other:?}");
        }
    }

    #[test]
    fn what_does_not_start_as_a_picture_is_none() {
        for body in [b"".as_slice(), b"<html>", b"\0\0\0\x20ftypavif"] {
            assert_eq!(decode(body, u64::MAX), Err(PictureError::NotAPicture));
            assert_eq!(measure(body), Err(PictureError::NotAPicture));
        }
        assert_eq!(decode(b"\xff\xd8", u64::MAX), Err(PictureError::Truncated));
    }

    #[test]
    fn sound_pictures_decode_to_their_size() {
        for (name, bytes, size) in sound() {
            assert_eq!(measure(&bytes), Ok(size), "{name}");
            assert_eq!(decode(&bytes, SIXTEEN_MEGAPIXELS), Ok(size), "{name}");
        }
    }

    #[test]
    fn a_size_is_told_from_the_first_bytes() {
        for (name, bytes, size) in sound() {
            let start = &bytes[..bytes.len().min(700)];
            assert_eq!(measure(start), Ok(size), "{name}");
        }
    }

    #[test]
    fn a_cut_picture_is_truncated_wherever_it_is_cut() {
        for (name, bytes, _) in sound() {
            let percents = (1..100).map(|percent| bytes.len() * percent / 100);
            let ends = (1..=8).map(|missing| bytes.len() - missing);
            for length in percents.chain(ends) {
                let cut = decode(&bytes[..length], SIXTEEN_MEGAPIXELS);
                assert_eq!(cut, Err(PictureError::Truncated), "{name} {length}");
            }
        }
    }

    #[test]
    fn what_follows_a_picture_does_no_harm() {
        for (name, bytes, size) in sound() {
            let longer = [bytes.as_slice(), b"\xff\xd8 more"].concat();
            assert_eq!(decode(&longer, SIXTEEN_MEGAPIXELS), Ok(size), "{name}");
        }
    }

    #[test]
    fn a_jpeg_that_was_cut_and_closed_is_refused() {
        for percent in 5..100 {
            let kept = &BASELINE[..BASELINE.len() * percent / 100];
            let closed = [kept, b"\xff\xd9"].concat();
            let refused = decode(&closed, SIXTEEN_MEGAPIXELS);
            assert!(refused.is_err(), "{percent}%");
        }
        let scan = |(at, two): (usize, &[u8])| (two == b"\xff\xda").then_some(at);
        let scans: Vec<usize> = PROGRESSIVE
            .windows(2)
            .enumerate()
            .filter_map(scan)
            .collect();
        // In the first pass, where all is a mosaic, at its end, and in the next and last ones.
        let within = |n: usize| scans[n] + 40;
        let cuts = [within(0), scans[1], within(1), within(scans.len() - 1)];
        for length in cuts {
            let closed = [&PROGRESSIVE[..length], b"\xff\xd9"].concat();
            let refused = decode(&closed, SIXTEEN_MEGAPIXELS);
            assert!(refused.is_err(), "{length} of {scans:?}");
        }
    }

    #[test]
    fn a_jpeg_with_a_hole_is_refused() {
        let third = BASELINE.len() / 3;
        let holed = [&BASELINE[..third], &BASELINE[2 * third..]].concat();
        let refused = decode(&holed, SIXTEEN_MEGAPIXELS);
        assert!(
            matches!(refused, Err(PictureError::Corrupt(_))),
            "{refused:?}"
        );
    }

    #[test]
    fn more_pixels_than_allowed_are_refused_by_the_header_alone() {
        let webp = riff(&[canvas(size(16_383, 16_383), 0)]);
        let vp8l = [0x2f, 0xff, 0xff, 0xff, 0x0f];
        let bombs = [
            (png_claiming(30_000, 30_000), size(30_000, 30_000)),
            (png_claiming(65_535, 257), size(65_535, 257)),
            (jpeg_claiming(65_500, 65_500), size(65_500, 65_500)),
            (b"GIF89a\xff\xff\xff\xff".to_vec(), size(65_535, 65_535)),
            (webp, size(16_383, 16_383)),
            (riff(&[chunk(b"VP8L", &vp8l)]), size(16_384, 16_384)),
        ];
        for (bytes, size) in bombs {
            let refused = decode(&bytes, SIXTEEN_MEGAPIXELS);
            let max = SIXTEEN_MEGAPIXELS;
            assert_eq!(refused, Err(PictureError::TooManyPixels { size, max }));
        }
        assert!(decode(BASELINE, 480 * 360).is_ok());
        let one_over = decode(BASELINE, 480 * 360 - 1);
        assert!(matches!(one_over, Err(PictureError::TooManyPixels { .. })));
    }

    #[test]
    fn a_row_too_long_to_hold_is_refused_by_the_header_alone() {
        for size in [size(65_536, 1), size(1, 65_536), size(0x7fff_ffff, 1)] {
            let bytes = png_claiming(size.width, size.height);
            let refused = Err(PictureError::SideTooLong { size });
            assert_eq!(measure(&bytes), refused);
            assert_eq!(decode(&bytes, u64::MAX), refused);
        }
        let longest = png_claiming(65_535, 1);
        assert_eq!(measure(&longest), Ok(size(65_535, 1)));
    }

    #[test]
    fn a_jpeg_whose_colours_take_more_memory_may_have_fewer_pixels() {
        let cmyk = fixture!("cmyk-320x240.jpg");
        let size = size(320, 240);
        let enough = size.pixels() * 11 / 7 + 1;
        assert_eq!(decode(cmyk, enough), Ok(size));
        let max = size.pixels() - 1;
        let refused = PictureError::TooManyPixels { size, max };
        assert_eq!(decode(cmyk, enough - 1), Err(refused));
    }

    #[test]
    fn a_picture_without_area_is_corrupt() {
        let screen = b"GIF89a\0\0\x05\0\0\0\0;".to_vec();
        for bytes in [png_claiming(0, 360), jpeg_claiming(480, 0), screen] {
            let refused = measure(&bytes);
            assert!(
                matches!(refused, Err(PictureError::Corrupt(_))),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_webp_frame_of_another_size_than_announced_is_refused_before_it_takes_memory() {
        let mut vp8 = LOSSY[20..].to_vec();
        let side = 16_383_u16.to_le_bytes();
        vp8[6..10].copy_from_slice(&[side, side].concat());
        let still = riff(&[canvas(size(10, 10), 0), chunk(b"VP8 ", &vp8)]);
        let frame = animation_frame(size(10, 10), &[chunk(b"VP8 ", &vp8)]);
        let animation = chunk(b"ANIM", &[0; 6]);
        let moving = riff(&[canvas(size(10, 10), 2), animation.clone(), frame]);
        let too_large = animation_frame(size(480, 360), &[LOSSY[12..].to_vec()]);
        let outside = riff(&[canvas(size(10, 10), 2), animation, too_large]);
        for bytes in [still, moving, outside] {
            let text = decode(&bytes, SIXTEEN_MEGAPIXELS).unwrap_err().to_string();
            assert!(text.starts_with("corrupt: a frame of "), "{text}");
        }
    }

    #[test]
    fn a_webp_is_refused_for_any_damaged_part_of_its_first_frame() {
        let still = || canvas(size(480, 360), 16);
        let moving = || canvas(size(480, 360), 2);
        let lossy = || LOSSY[12..].to_vec();
        let lossless = |signature: u8, flags: u8| {
            let mut picture = rgb(480, 360, ImageFormat::WebP)[12..].to_vec();
            (picture[8], picture[12]) = (signature, picture[12] | flags);
            picture
        };
        let mut outside = animation_frame(size(480, 360), &[lossy()]);
        outside[8] = 1;
        let damaged = [
            riff(&[still()]),
            riff(&[still(), transparency(true)]),
            riff(&[still(), chunk(b"ALPH", b""), lossy()]),
            riff(&[still(), chunk(b"ALPH", &[0; 480 * 360]), lossy()]),
            riff(&[still(), chunk(b"ALPH", &[1; 9]), lossy()]),
            riff(&[still(), chunk(b"ALPH", &[2; 9]), lossy()]),
            riff(&[still(), lossless(0x2e, 0)]),
            riff(&[still(), lossless(0x2f, 0x20)]),
            riff(&[moving(), lossy()]),
            riff(&[moving(), outside]),
            animated(size(480, 360), &[transparency(true)]),
        ];
        for (at, bytes) in damaged.iter().enumerate() {
            let refused = decode(bytes, SIXTEEN_MEGAPIXELS);
            let is_refused = matches!(
                refused,
                Err(PictureError::Corrupt(_) | PictureError::Truncated)
            );
            assert!(is_refused, "{at}: {refused:?}");
        }
    }

    #[test]
    fn a_gif_frame_beyond_the_screen_takes_no_more_memory_than_allowed() {
        let mut gif = gif_of(1);
        let frame = gif.windows(5).position(|w| w == b",\0\0\0\0").unwrap();
        gif[frame + 5..frame + 9].fill(0xff);
        let text = decode(&gif, SIXTEEN_MEGAPIXELS).unwrap_err().to_string();
        assert!(text.contains("beyond its screen"), "{text}");
    }

    #[test]
    fn a_jpeg_of_endless_scans_is_refused_unread() {
        let scans = b"\xff\xda\0\x02".repeat(101);
        let bytes = [jpeg_claiming(10, 10), scans, b"\xff\xd9".to_vec()].concat();
        let refused = decode(&bytes, SIXTEEN_MEGAPIXELS);
        let too_many = PictureError::Corrupt("too many scans".to_owned());
        assert_eq!(refused, Err(too_many));
    }

    #[test]
    fn damage_is_told_in_one_line() {
        let mut png = rgb(60, 40, ImageFormat::Png);
        let data = png.windows(4).position(|w| w == b"IDAT").unwrap();
        png[data + 20] ^= 0x55;
        let error = decode(&png, SIXTEEN_MEGAPIXELS).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("corrupt: ") && !text.contains('\n'),
            "{text}"
        );
        let mut jpeg = BASELINE.to_vec();
        let table = jpeg.windows(2).position(|w| w == [0xff, 0xc4]).unwrap();
        jpeg[table + 5..table + 21].fill(0xff);
        let error = decode(&jpeg, SIXTEEN_MEGAPIXELS).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("corrupt: ") && !text.contains('"'),
            "{text}"
        );
    }

    #[test]
    fn errors_read_as_fragments() {
        let too_many = PictureError::TooManyPixels {
            size: size(5, 7),
            max: 30,
        };
        assert_eq!(too_many.to_string(), "5x7 is over 30 pixels");
        let shown = serde_json::to_string(&size(120, 90)).unwrap();
        assert_eq!(shown, r#""120x90""#);
    }

    fn small() -> impl Strategy<Value = Vec<u8>> {
        let jpeg = |_| fixture!("grey-120x90.jpg").to_vec();
        let webp = |_| encoded(&scene(16, 12).into(), ImageFormat::WebP);
        prop_oneof![
            Just(()).prop_map(jpeg),
            Just(()).prop_map(webp),
            Just(()).prop_map(|()| rgb(16, 12, ImageFormat::Png)),
            Just(()).prop_map(|()| gif_of(2)),
            Just(()).prop_map(|()| animated_webp()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn damaged_bytes_are_judged_without_a_panic(
            mut bytes in small(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(size) = decode(&bytes, 1 << 20) {
                prop_assert_eq!(measure(&bytes), Ok(size));
            }
        }

        #[test]
        fn any_bytes_are_judged_without_a_panic(
            start in prop::sample::select(vec![
                b"".as_slice(),
                b"\xff\xd8\xff",
                b"\x89PNG\r\n\x1a\n",
                b"GIF89a",
                b"RIFF\xff\0\0\0WEBPVP8X",
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [start, &rest].concat();
            let _ = decode(&bytes, 1 << 20);
        }
    }
}
