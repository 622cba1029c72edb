//! Pictures to serve: good ones, and the kinds of bad ones that turn up or are sent on purpose.
//!
//! Fixtures are made by `pictures/make.py`; everything else is made here, once a process.

mod bombs;

use std::io::{Cursor, Write};
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{DynamicImage, ImageFormat, RgbImage};

pub use bombs::*;

/// The formats a thumbnail can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Picture {
    /// A baseline JPEG.
    Jpeg,
    /// A PNG.
    Png,
    /// A lossless WebP.
    Webp,
    /// A GIF of one frame.
    Gif,
}

impl Picture {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Jpeg, Self::Png, Self::Webp, Self::Gif];

    /// The extension of its files.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
        }
    }

    /// The format a file's name says.
    #[must_use]
    pub fn by_extension(extension: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|picture| picture.extension() == extension)
    }
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("pictures/", $name)).as_slice()
    };
}

/// The body of YouTube's 404: a valid grey JPEG, 120x90.
#[must_use]
pub const fn grey() -> &'static [u8] {
    fixture!("grey-120x90.jpg")
}

/// A progressive JPEG, 480x360.
#[must_use]
pub const fn progressive() -> &'static [u8] {
    fixture!("progressive-480x360.jpg")
}

/// A JPEG of luma only, 480x360.
#[must_use]
pub const fn luma() -> &'static [u8] {
    fixture!("luma-480x360.jpg")
}

/// A CMYK JPEG, 320x240.
#[must_use]
pub const fn cmyk() -> &'static [u8] {
    fixture!("cmyk-320x240.jpg")
}

/// A lossy WebP, 480x360.
#[must_use]
pub const fn lossy_webp() -> &'static [u8] {
    fixture!("lossy-480x360.webp")
}

/// A progressive JPEG, 4000x4000.
#[must_use]
pub const fn progressive_16_mp() -> &'static [u8] {
    fixture!("progressive-4000x4000.jpg")
}

/// The same without subsampling: as much memory as the limit of 16 MP allows.
#[must_use]
pub const fn full_colour_16_mp() -> &'static [u8] {
    fixture!("full-colour-4000x4000.jpg")
}

/// A lossy WebP, 4000x4000.
#[must_use]
pub const fn lossy_webp_16_mp() -> &'static [u8] {
    fixture!("lossy-4000x4000.webp")
}

/// The picture YouTube serves under one of its own names, without extension, in its size.
#[must_use]
pub fn youtube(stem: &str) -> Option<&'static [u8]> {
    Some(match stem {
        "default" | "1" | "2" | "3" => fixture!("default-120x90.jpg"),
        "mqdefault" => fixture!("mq-320x180.jpg"),
        "hqdefault" | "0" => fixture!("baseline-480x360.jpg"),
        "sddefault" => fixture!("sd-640x480.jpg"),
        "hq720" | "maxresdefault" => fixture!("maxres-1280x720.jpg"),
        _ => return None,
    })
}

/// A sound picture of 480x360.
#[must_use]
pub fn good(kind: Picture) -> Arc<[u8]> {
    static MADE: OnceLock<[Arc<[u8]>; 4]> = OnceLock::new();
    let made = MADE.get_or_init(|| Picture::ALL.map(|kind| sized(kind, 480, 360)));
    Arc::clone(&made[kind as usize])
}

/// A sound picture of any size. JPEG comes in 120x90 and 480x360 only.
#[must_use]
pub fn sized(kind: Picture, width: u32, height: u32) -> Arc<[u8]> {
    let format = match kind {
        Picture::Jpeg if (width, height) == (120, 90) => {
            return fixture!("default-120x90.jpg").into();
        }
        Picture::Jpeg if (width, height) == (480, 360) => {
            return fixture!("baseline-480x360.jpg").into();
        }
        Picture::Jpeg => panic!("no fixture is a JPEG of {width}x{height}"),
        Picture::Png => ImageFormat::Png,
        Picture::Webp => ImageFormat::WebP,
        Picture::Gif => ImageFormat::Gif,
    };
    let mut scene = scene(width, height);
    if kind == Picture::Gif {
        // Few enough colours for a GIF as they are; choosing 256 of more takes seconds.
        scene
            .pixels_mut()
            .for_each(|pixel| pixel.0 = [pixel[0] & 0xE0, pixel[1] & 0xE0, pixel[2] & 0xC0]);
    }
    encoded(&scene.into(), format).into()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, format)
        .expect("encode a picture");
    bytes.into_inner()
}

/// A gradient under a coarse texture: every part of the file carries pixels.
fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let texture = (x / 3).wrapping_mul(2_654_435_761) ^ (y / 3).wrapping_mul(40_503);
        image::Rgb([
            (x * 255 / width) as u8,
            (y * 255 / height) as u8,
            (texture >> 8) as u8 & 0xE0,
        ])
    })
}

/// A picture that begins well and is damaged inside, so that no strict decoder takes it.
#[must_use]
pub fn corrupt(kind: Picture) -> Vec<u8> {
    let mut bytes = good(kind).to_vec();
    match kind {
        // The first Huffman table promises more codes than it has.
        Picture::Jpeg => {
            let table = find(&bytes, &[0xFF, 0xC4]).expect("a JPEG has Huffman tables");
            bytes[table + 5..table + 21].fill(0xFF);
        }
        // One byte of the pixels differs from what the checksum was made of.
        Picture::Png => {
            let data = find(&bytes, b"IDAT").expect("a PNG has data");
            bytes[data + 300] ^= 0x55;
        }
        // The header of the bit stream has another magic byte.
        Picture::Webp => {
            let stream = find(&bytes, b"VP8L").expect("a lossless WebP has a stream");
            bytes[stream + 8] ^= 0xFF;
        }
        // The code size of LZW is out of range.
        Picture::Gif => {
            let frame = find(&bytes, &[b',', 0, 0, 0, 0]).expect("a GIF has a frame");
            let local_table = bytes[frame + 9];
            let entries = if local_table & 0x80 == 0 {
                0
            } else {
                2 << (local_table & 7)
            };
            bytes[frame + 10 + entries * 3] = 0xFF;
        }
    }
    bytes
}

/// The first bytes of a format and then noise.
#[must_use]
pub fn noise(kind: Picture, length: usize) -> Vec<u8> {
    let mut bytes = good(kind)[..16].to_vec();
    let mut dice = fastrand::Rng::with_seed(2_026);
    bytes.resize_with(length.max(16), || dice.u8(..));
    bytes
}

/// A JPEG with the EXIF orientation "turn right".
#[must_use]
pub fn rotated() -> Vec<u8> {
    let exif =
        b"\xFF\xE1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let jpeg = good(Picture::Jpeg);
    [&jpeg[..2], exif.as_slice(), &jpeg[2..]].concat()
}

/// Zeros.
#[must_use]
pub fn zeros(length: usize) -> Arc<[u8]> {
    vec![0; length].into()
}

/// `bytes` gzipped.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("gzip into memory");
    encoder.finish().expect("gzip into memory")
}

/// Where `wanted` begins in `bytes`.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
