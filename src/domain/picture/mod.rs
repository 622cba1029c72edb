//! Pictures: what they are by their first bytes, how large by their header, and whether they
//! decode, strictly and within bounds.

mod gif;
mod jpeg;
mod png;
mod reader;
mod webp;

use std::fmt;

use image::{ImageDecoder, Limits};
use serde::{Serialize, Serializer};

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
    /// It ends early.
    #[error("truncated")]
    Truncated,
    /// It is damaged, and how.
    #[error("corrupt: {0}")]
    Corrupt(String),
}

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
/// When it is no picture or its header is cut or damaged.
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
    Ok(size)
}

/// Decodes a picture's first frame, strictly, and tells its size.
///
/// Uses up to 14 bytes of memory a pixel, for formats with alpha or many passes, beside `bytes`.
///
/// # Errors
/// When it is no picture, has more than `max_pixels`, or is cut or damaged.
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
        Format::Jpeg => jpeg::check_whole(bytes).and_then(|()| jpeg::decode(bytes, size)),
        Format::Png => png::check_whole(bytes).and_then(|()| png::decode(bytes, size)),
        Format::Webp => webp::check_whole(bytes, size).and_then(|()| webp::decode(bytes, size)),
        Format::Gif => gif::check_whole(bytes).and_then(|()| gif::decode(bytes, size)),
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

/// Limits for `image`'s decoders, which have none unless told: this size, so much memory.
fn limits(size: Size, max_alloc: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(size.width);
    limits.max_image_height = Some(size.height);
    limits.max_alloc = Some(max_alloc);
    limits
}

/// Runs one of `image`'s decoders to the end of its first frame.
fn decode_into_memory(decoder: impl ImageDecoder, size: Size) -> Result<(), PictureError> {
    if decoder.dimensions() != (size.width, size.height) {
        return Err(corrupt("two sizes"));
    }
    // At most 8 bytes a pixel, of a number of pixels that has been checked.
    let length = usize::try_from(decoder.total_bytes()).map_err(corrupt)?;
    decoder.read_image(&mut vec![0; length]).map_err(corrupt)
}

/// A damage, told on one line.
fn corrupt(what: impl fmt::Display) -> PictureError {
    let what = what.to_string();
    let words: Vec<&str> = what.split_whitespace().collect();
    PictureError::Corrupt(words.join(" "))
}
