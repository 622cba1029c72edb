//! Pictures that are small on the wire and enormous, or endless work, for a careless decoder.

use std::sync::{Arc, OnceLock};

use flate2::{Compress, Compression, Crc, FlushCompress};
use image::{ImageFormat, RgbImage};

use super::{Picture, encoded, find, full_colour_16_mp, good, progressive_16_mp, sized};

const MIB: usize = 1 << 20;

/// 1 GiB of zeros, gzipped: about 1 MiB.
#[must_use]
pub fn gzip_bomb() -> Arc<[u8]> {
    static MADE: OnceLock<Arc<[u8]>> = OnceLock::new();
    Arc::clone(MADE.get_or_init(|| gzip_then_zeros(&[], 1024).into()))
}

/// A sound JPEG followed by 1 GiB of zeros, gzipped: passes any look at the first bytes.
#[must_use]
pub fn gzip_bomb_in_a_jpeg() -> Arc<[u8]> {
    static MADE: OnceLock<Arc<[u8]>> = OnceLock::new();
    Arc::clone(MADE.get_or_init(|| gzip_then_zeros(&good(Picture::Jpeg), 1024).into()))
}

fn gzip_then_zeros(start: &[u8], mib: usize) -> Vec<u8> {
    let mut checksum = Crc::new();
    checksum.update(start);
    let mut one = Crc::new();
    one.update(&vec![0; MIB]);
    for _ in 0..mib {
        checksum.combine(&one);
    }
    let length = (start.len() + mib * MIB) as u32;
    [
        [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255].as_slice(),
        &deflated(start),
        &deflated_zeros(mib),
        &checksum.sum().to_le_bytes(),
        &length.to_le_bytes(),
    ]
    .concat()
}

/// `bytes` as deflate blocks that end on a byte and refer to nothing before them.
fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1024);
    Compress::new(Compression::best(), false)
        .compress_vec(bytes, &mut out, FlushCompress::Full)
        .expect("deflate into memory");
    out
}

/// A finished deflate stream of zeros. The blocks of one MiB are made once and repeated.
fn deflated_zeros(mib: usize) -> Vec<u8> {
    let mut out = deflated(&vec![0; MIB]).repeat(mib);
    out.extend([3, 0]);
    out
}

fn zlib_zeros(mib: usize) -> Vec<u8> {
    // Adler-32 of zeros: the first sum stays 1, the second counts the bytes.
    let adler = ((mib * MIB % 65_521) as u32) << 16 | 1;
    [
        [0x78, 1].as_slice(),
        &deflated_zeros(mib),
        &adler.to_be_bytes(),
    ]
    .concat()
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut checksum = Crc::new();
    checksum.update(name);
    checksum.update(data);
    [
        (data.len() as u32).to_be_bytes().as_slice(),
        name,
        data,
        &checksum.sum().to_be_bytes(),
    ]
    .concat()
}

fn png(width: u32, height: u32, depth: u8, colour: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([depth, colour, 0, 0, 0]);
    [
        b"\x89PNG\r\n\x1A\n".as_slice(),
        &chunk(b"IHDR", &header),
        &chunks.concat(),
        &chunk(b"IEND", &[]),
    ]
    .concat()
}

/// A PNG of 8-bit RGB whose header claims any size; its data end at once.
#[must_use]
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    png(width, height, 8, 2, &[chunk(b"IDAT", &zlib_zeros(0))])
}

/// A whole PNG of 30000x30000 black and white pixels: 110 KB, 107 MiB unpacked.
#[must_use]
pub fn png_bomb() -> Vec<u8> {
    // A row is its filter byte and 3750 bytes; some zeros more than enough do no harm.
    let mib = (30_000usize * 3_751).div_ceil(MIB);
    png(30_000, 30_000, 1, 0, &[chunk(b"IDAT", &zlib_zeros(mib))])
}

/// A PNG of 4000x4000 pixels of 16-bit RGBA: within 16 MP, 122 MiB decoded.
#[must_use]
pub fn png_deep() -> Vec<u8> {
    let mib = (4_000usize * 32_001).div_ceil(MIB);
    png(4_000, 4_000, 16, 6, &[chunk(b"IDAT", &zlib_zeros(mib))])
}

/// A whole PNG of one row of 16-bit RGBA: 16 MP, 122 MiB a row.
#[must_use]
pub fn png_wide() -> Vec<u8> {
    let mib = (16_000_000usize * 8 + 1).div_ceil(MIB);
    png(16_000_000, 1, 16, 6, &[chunk(b"IDAT", &zlib_zeros(mib))])
}

/// A PNG of 480x360 grey pixels with a colour profile of 256 MiB.
#[must_use]
pub fn png_profile_bomb() -> Vec<u8> {
    let profile = [b"icc\0\0".as_slice(), &zlib_zeros(256)].concat();
    let pixels = chunk(b"IDAT", &zlib_zeros(1));
    png(480, 360, 8, 0, &[chunk(b"iCCP", &profile), pixels])
}

/// The same with a text of 256 MiB.
#[must_use]
pub fn png_text_bomb() -> Vec<u8> {
    let text = [b"Comment\0\0".as_slice(), &zlib_zeros(256)].concat();
    let pixels = chunk(b"IDAT", &zlib_zeros(1));
    png(480, 360, 8, 0, &[chunk(b"zTXt", &text), pixels])
}

/// A GIF whose screen has any size and whose one frame is a single pixel.
#[must_use]
pub fn gif_screen(width: u16, height: u16) -> Vec<u8> {
    gif((width, height), (1, 1))
}

/// A GIF whose screen and frame have any size, with the data of a single pixel.
#[must_use]
pub fn gif_frame(width: u16, height: u16) -> Vec<u8> {
    gif((width, height), (width, height))
}

fn gif(screen: (u16, u16), frame: (u16, u16)) -> Vec<u8> {
    let size = |(width, height): (u16, u16)| [width.to_le_bytes(), height.to_le_bytes()].concat();
    [
        b"GIF89a".as_slice(),
        &size(screen),
        // A table of two colours.
        &[0x80, 0, 0, 0, 0, 0, 255, 255, 255],
        &[b',', 0, 0, 0, 0],
        &size(frame),
        // LZW: clear, colour 0, end.
        &[0, 2, 2, 0x44, 1, 0, b';'],
    ]
    .concat()
}

/// A GIF of 200x150 with this many frames.
#[must_use]
pub fn gif_animation(frames: usize) -> Vec<u8> {
    let one = sized(Picture::Gif, 200, 150);
    let start = find(&one, &[0x21, 0xF9]).or_else(|| find(&one, &[b',', 0, 0, 0, 0]));
    let (head, frame) = one[..one.len() - 1].split_at(start.expect("a GIF has a frame"));
    [head, &frame.repeat(frames), b";"].concat()
}

/// A sound JPEG whose header claims another size.
#[must_use]
pub fn jpeg_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = good(Picture::Jpeg).to_vec();
    let frame = find(&bytes, &[0xFF, 0xC0]).expect("a JPEG has a frame header");
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

/// A progressive JPEG of 16 MP whose last scan comes this many times.
#[must_use]
pub fn jpeg_scans(scans: usize) -> Vec<u8> {
    let bytes = progressive_16_mp();
    let last = bytes
        .windows(2)
        .rposition(|marker| marker == [0xFF, 0xDA])
        .expect("a JPEG has a scan");
    let (start, scan) = bytes[..bytes.len() - 2].split_at(last);
    [start, &scan.repeat(scans), &[0xFF, 0xD9]].concat()
}

/// A progressive JPEG of 16 MP that says its colours are RGB.
#[must_use]
pub fn jpeg_in_rgb() -> Vec<u8> {
    let adobe = b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0\0";
    let jpeg = full_colour_16_mp();
    [&jpeg[..2], adobe, &jpeg[2..]].concat()
}

/// A lossless WebP whose header claims a square of this side, 16384 at most. `image-webp` 0.2.4
/// reads 16384 as 0.
#[must_use]
pub fn webp_claiming(side: u32) -> Vec<u8> {
    assert!((1..=16_384).contains(&side), "WebP has 14 bits for a side");
    let mut bytes = good(Picture::Webp).to_vec();
    let stream = find(&bytes, b"VP8L").expect("a lossless WebP has a stream");
    let sizes = &mut bytes[stream + 9..stream + 13];
    let flags = u32::from_le_bytes(sizes.try_into().expect("four bytes")) & 0xF000_0000;
    sizes.copy_from_slice(&(flags | ((side - 1) << 14) | (side - 1)).to_le_bytes());
    bytes
}

/// A sound WebP of 4000x4000 pixels that moves: two lossless frames, each as large as the canvas.
#[must_use]
pub fn webp_animation_16_mp() -> Vec<u8> {
    let side = 4_000;
    let still = encoded(&RgbImage::new(side, side).into(), ImageFormat::WebP);
    let [low, middle, high, _] = (side - 1).to_le_bytes();
    let size = [low, middle, high, low, middle, high];
    // Its place, its size, 100 ms, no flags; then what follows `RIFF....WEBP` in the still one.
    let frame = riff_chunk(
        b"ANMF",
        &[&[0; 6], size.as_slice(), &[100, 0, 0, 0], &still[12..]].concat(),
    );
    let chunks = [
        b"WEBP".to_vec(),
        riff_chunk(b"VP8X", &[[2, 0, 0, 0].as_slice(), &size].concat()),
        riff_chunk(b"ANIM", &[0; 6]),
        frame.repeat(2),
    ];
    riff_chunk(b"RIFF", &chunks.concat())
}

fn riff_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_le_bytes();
    [name, length.as_slice(), data, &[0][..data.len() % 2]].concat()
}
