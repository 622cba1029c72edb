//! Good pictures are good to a strict decoder, bad ones are not, bombs are as large as they say.

use std::collections::HashSet;
use std::io::{Cursor, Read};

use flate2::read::{GzDecoder, ZlibDecoder};
use image::ImageReader;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::support::hostile::hostile;
use crate::support::pictures::{self, Picture};
use crate::support::site::Site;
use crate::support::site::oembed::is_possible_id;

/// The size of a picture whose every pixel could be decoded.
pub fn strictly(bytes: &[u8]) -> Result<(usize, usize), String> {
    if bytes.starts_with(&[0xFF, 0xD8]) {
        let options = DecoderOptions::default().set_strict_mode(true);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode().map_err(|error| error.to_string())?;
        return decoder.dimensions().ok_or_else(|| "no size".to_owned());
    }
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let picture = reader
        .unwrap()
        .decode()
        .map_err(|error| error.to_string())?;
    Ok((picture.width() as usize, picture.height() as usize))
}

/// The size in a picture's header.
fn claimed(bytes: &[u8]) -> (u32, u32) {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    reader.unwrap().into_dimensions().unwrap()
}

#[test]
fn good_pictures_decode_and_bad_ones_do_not() {
    for kind in Picture::ALL {
        assert_eq!(strictly(&pictures::good(kind)), Ok((480, 360)), "{kind:?}");
        assert_eq!(strictly(&pictures::sized(kind, 120, 90)), Ok((120, 90)));
        assert!(strictly(&pictures::corrupt(kind)).is_err(), "{kind:?}");
        assert!(
            strictly(&pictures::noise(kind, 20_000)).is_err(),
            "{kind:?}"
        );
    }
    for sound in [
        pictures::progressive(),
        pictures::luma(),
        pictures::lossy_webp(),
    ] {
        assert_eq!(strictly(sound), Ok((480, 360)));
    }
    assert_eq!(strictly(&pictures::rotated()), Ok((480, 360)));
    assert_eq!(strictly(pictures::cmyk()), Ok((320, 240)));
    assert_eq!(strictly(pictures::grey()), Ok((120, 90)));
}

#[test]
fn every_cut_of_five_percent_costs_something_a_strict_decoder_misses() {
    let mut pictures: Vec<Vec<u8>> = Picture::ALL
        .map(|kind| pictures::good(kind).to_vec())
        .into();
    pictures.push(pictures::progressive().to_vec());
    pictures.push(pictures::lossy_webp().to_vec());
    for (number, picture) in pictures.iter().enumerate() {
        for percent in (5..100).step_by(5) {
            let cut = &picture[..picture.len() * percent / 100];
            assert!(strictly(cut).is_err(), "picture {number} at {percent}%");
        }
    }
}

#[test]
fn the_large_ones_have_sixteen_million_pixels_in_few_bytes() {
    for bytes in [pictures::progressive_16_mp(), pictures::lossy_webp_16_mp()] {
        assert!(bytes.len() < 150_000);
        assert_eq!(strictly(bytes), Ok((4_000, 4_000)));
    }
    // A progressive frame header.
    let is_progressive = |pair: &[u8]| pair == [0xFF, 0xC2];
    assert!(pictures::progressive_16_mp().windows(2).any(is_progressive));
}

#[test]
fn bombs_claim_what_their_names_say() {
    assert_eq!(
        claimed(&pictures::png_header(30_000, 30_000)),
        (30_000, 30_000)
    );
    assert_eq!(claimed(&pictures::png_bomb()), (30_000, 30_000));
    assert_eq!(claimed(&pictures::png_deep()), (4_000, 4_000));
    assert_eq!(
        claimed(&pictures::gif_screen(65_535, 65_535)),
        (65_535, 65_535)
    );
    assert_eq!(
        claimed(&pictures::gif_frame(65_535, 65_535)),
        (65_535, 65_535)
    );
    assert_eq!(claimed(&pictures::webp_claiming(16_383)), (16_383, 16_383));
    let mut jpeg = JpegDecoder::new(ZCursor::new(pictures::jpeg_claiming(65_500, 65_500)));
    // Its header is refused for its size or read; either way it is well formed.
    let read = jpeg.decode_headers();
    assert!(read.is_ok() || read.unwrap_err().to_string().contains("65500"));
    for small in [
        pictures::png_bomb(),
        pictures::png_deep(),
        pictures::png_profile_bomb(),
    ] {
        assert!(small.len() < 400_000, "{}", small.len());
    }
    assert_eq!(strictly(&pictures::gif_screen(3, 2)), Ok((3, 2)));
    assert_eq!(strictly(&pictures::gif_animation(60)), Ok((200, 150)));
    assert_eq!(strictly(&pictures::png_text_bomb()), Ok((480, 360)));
}

#[test]
fn packed_zeros_unpack_to_the_last_byte() {
    let unpacked = |reader: &mut dyn Read| std::io::copy(reader, &mut std::io::sink()).unwrap();
    // The decoder checks length and checksum at the end.
    let mut bomb = GzDecoder::new(Cursor::new(pictures::gzip_bomb()));
    assert_eq!(unpacked(&mut bomb), 1 << 30);
    let jpeg = pictures::good(Picture::Jpeg);
    let mut hidden = GzDecoder::new(Cursor::new(pictures::gzip_bomb_in_a_jpeg()));
    let mut start = vec![0; jpeg.len()];
    hidden.read_exact(&mut start).unwrap();
    assert_eq!(start, jpeg[..]);
    assert_eq!(unpacked(&mut hidden), 1 << 30);
    let png = pictures::png_bomb();
    let data = png.windows(4).position(|name| name == b"IDAT").unwrap() + 4;
    let mut rows = ZlibDecoder::new(&png[data..]);
    assert!(unpacked(&mut rows) >= 30_000 * 3_751);
}

#[test]
fn hostile_thumbnails_are_many_and_each_is_named_once() {
    let (site, trap) = (Site::start(), Site::start());
    let cases = hostile(&site, &trap);
    assert!(cases.len() >= 100, "{}", cases.len());
    let names: HashSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len());
    let ids: HashSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!(ids.len(), cases.len());
    for case in &cases {
        assert!(is_possible_id(&case.id), "{}", case.id);
        assert!(!case.allowed.is_empty());
        for status in case.allowed {
            let known = ["valid", "placeholder", "broken", "error", "unknown"];
            assert!(known.contains(status), "{status}");
        }
    }
    assert_eq!(site.calls().len() + trap.calls().len(), 0);
}
