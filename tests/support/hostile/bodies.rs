//! Bodies: cut, damaged, not pictures, too large, or small on the wire only.

use super::super::pictures::{self, Picture};
use super::super::site::thumbnails::{gzipped, missing, short, truncated};
use super::super::site::{Ending, Length, Reply};
use super::{ANY, BROKEN, Cases, ERROR, NO_HARM, NO_PICTURE, PLACEHOLDER, UNKNOWN, VALID};

pub(super) fn add(cases: &mut Cases<'_>) {
    truncations(cases);
    lengths(cases);
    damage(cases);
    not_pictures(cases);
    bombs(cases);
    encodings(cases);
    odd_but_sound(cases);
}

/// Every format cut at every 5%, with the true length of what is left.
fn truncations(cases: &mut Cases<'_>) {
    let mut pictures: Vec<(&str, Vec<u8>)> = Picture::ALL
        .map(|kind| (kind.extension(), pictures::good(kind).to_vec()))
        .into();
    pictures.push(("progressive.jpg", pictures::progressive().to_vec()));
    pictures.push(("lossy.webp", pictures::lossy_webp().to_vec()));
    for (name, picture) in &pictures {
        for percent in (5..100).step_by(5) {
            let case = format!("{name} truncated at {percent}%");
            cases.reply(case, ERROR, truncated(picture, percent));
        }
    }
    let jpeg = pictures::good(Picture::Jpeg);
    cases.body("jpg without its end marker", ERROR, &jpeg[..jpeg.len() - 2]);
    cases.body("jpg of its first three bytes", ERROR, &jpeg[..3]);
}

fn lengths(cases: &mut Cases<'_>) {
    for kind in Picture::ALL {
        let picture = pictures::good(kind);
        let half = picture.len() as u64 / 2;
        let name = kind.extension();
        cases.reply(
            format!("{name} promised whole, closed at half"),
            NO_PICTURE,
            short(&picture, 50),
        );
        cases.reply(
            format!("{name} promised half, sent whole"),
            ERROR,
            Reply::sized(200, "image/jpeg", picture.clone(), Length::Claimed(half)),
        );
        cases.reply(
            format!("{name} promised whole, silent after half"),
            UNKNOWN,
            Reply::picture(picture).cut(50, Ending::Hold),
        );
    }
    let jpeg = pictures::good(Picture::Jpeg);
    for (name, claim) in [("1 MiB more", 1u64 << 20), ("an exabyte", 1 << 60)] {
        let claimed = Length::Claimed(jpeg.len() as u64 + claim);
        let reply = Reply::sized(200, "image/jpeg", jpeg.clone(), claimed);
        cases.reply(format!("jpg promised with {name}"), NO_PICTURE, reply);
    }
    let reply = Reply::sized(200, "image/jpeg", jpeg, Length::UntilClose);
    cases.reply("jpg without any length", VALID, reply);
}

fn damage(cases: &mut Cases<'_>) {
    for kind in Picture::ALL {
        let name = kind.extension();
        cases.body(&format!("{name} corrupt"), ERROR, pictures::corrupt(kind));
        let noise = pictures::noise(kind, 20_000);
        cases.body(&format!("{name} of noise"), ERROR, noise);
    }
    let zero = pictures::png_header(0, 360);
    cases.body("png without width", ERROR, zero);
    let zero = pictures::jpeg_claiming(480, 0);
    cases.body("jpg without height", ERROR, zero);
}

fn not_pictures(cases: &mut Cases<'_>) {
    let bodies: [(&str, &[u8]); 11] = [
        ("nothing", b""),
        ("one byte", b"\xFF"),
        (
            "a page",
            b"<!DOCTYPE html><html><title>Sorry...</title></html>",
        ),
        ("json", b"{\"error\":\"not found\"}"),
        (
            "svg",
            b"<svg xmlns='http://www.w3.org/2000/svg' width='480' height='360'/>",
        ),
        (
            "an executable",
            b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3E\0",
        ),
        (
            "a bitmap",
            b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x02\0\0\0",
        ),
        ("a tiff", b"II*\0\x08\0\0\0\0\0"),
        ("an avif", b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf"),
        ("riff that is sound", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0"),
        ("text that begins like a gif", b"GIF pictures are fun"),
    ];
    for (name, body) in bodies {
        cases.body(&format!("{name} as jpg"), ERROR, body);
    }
    cases.body("10 MiB of zeros", ERROR, pictures::zeros(10 << 20));
    let mut large = pictures::good(Picture::Jpeg).to_vec();
    large.resize((10 << 20) + 1, 0);
    cases.body("jpg one byte over 10 MiB", ERROR, &large);
    let reply = Reply::sized(200, "image/jpeg", large, Length::UntilClose);
    cases.reply("jpg over 10 MiB without any length", ERROR, reply);
}

fn bombs(cases: &mut Cases<'_>) {
    let most = u16::MAX;
    let bombs = [
        (
            "png header of 30000x30000",
            pictures::png_header(30_000, 30_000),
        ),
        (
            "png header of 2147483647x1",
            pictures::png_header(0x7FFF_FFFF, 1),
        ),
        ("png of 30000x30000", pictures::png_bomb()),
        ("png of 16000000x1 in 64 bits", pictures::png_wide()),
        (
            "gif screen of 65535x65535",
            pictures::gif_screen(most, most),
        ),
        ("gif frame of 65535x65535", pictures::gif_frame(most, most)),
        ("gif screen of 0x0", pictures::gif_screen(0, 0)),
        (
            "jpg of 65500x65500",
            pictures::jpeg_claiming(65_500, 65_500),
        ),
        (
            "jpg of 4000x4000 with too little data",
            pictures::jpeg_claiming(4_000, 4_000),
        ),
        ("webp of 16383x16383", pictures::webp_claiming(16_383)),
        ("webp of 16384x16384", pictures::webp_claiming(16_384)),
    ];
    for (name, bomb) in bombs {
        cases.body(name, ERROR, bomb);
    }
    // Sound pictures that cost a lot: who cannot afford them may say so.
    let heavy = [
        (
            "png with a profile of 256 MiB",
            pictures::png_profile_bomb(),
        ),
        ("png with a text of 256 MiB", pictures::png_text_bomb()),
        ("png of 4000x4000 in 64 bits", pictures::png_deep()),
        ("jpg of 16 MP in rgb", pictures::jpeg_in_rgb()),
        ("jpg of 16 MP in 3000 scans", pictures::jpeg_scans(3_000)),
    ];
    for (name, picture) in heavy {
        cases.body(name, NO_HARM, picture);
    }
    cases.body("gif of 60 frames", VALID, pictures::gif_animation(60));
    let moving = pictures::webp_animation_16_mp();
    for number in 1..=4 {
        for (name, picture) in [
            ("progressive jpg", pictures::progressive_16_mp()),
            ("jpg of full colour", pictures::full_colour_16_mp()),
            ("lossy webp", pictures::lossy_webp_16_mp()),
            ("animated webp", &moving),
        ] {
            cases.body(&format!("{name} of 16 MP, {number}"), VALID, picture);
        }
    }
}

fn encodings(cases: &mut Cases<'_>) {
    let jpeg = pictures::good(Picture::Jpeg);
    let packed = pictures::gzip(&jpeg);
    let encoded = |encoding: &str, body: &[u8]| {
        Reply::answer(200, "image/jpeg", body).header("Content-Encoding", encoding)
    };
    let bomb = encoded("gzip", &pictures::gzip_bomb());
    cases.reply("gzip bomb", ERROR, bomb);
    let bomb = encoded("gzip", &pictures::gzip_bomb_in_a_jpeg());
    cases.reply("gzip bomb behind a sound jpg", ERROR, bomb);
    cases.reply("jpg gzipped", VALID, gzipped("image/jpeg", &jpeg));
    let half = &jpeg[..jpeg.len() / 2];
    cases.reply(
        "jpg truncated, then gzipped",
        ERROR,
        gzipped("image/jpeg", half),
    );
    let half = &packed[..packed.len() / 2];
    cases.reply(
        "jpg gzipped, then truncated",
        NO_PICTURE,
        encoded("gzip", half),
    );
    cases.reply(
        "jpg that says it is gzip",
        NO_PICTURE,
        encoded("gzip", &jpeg),
    );
    cases.reply(
        "gzip that does not say so",
        ERROR,
        Reply::answer(200, "image/jpeg", packed.clone()),
    );
    cases.reply(
        "deflate of noise",
        NO_PICTURE,
        encoded("deflate", &pictures::noise(Picture::Jpeg, 5_000)),
    );
    cases.reply("jpg that says it is br", ANY, encoded("br", &jpeg));
    cases.reply(
        "gzip in gzip",
        ANY,
        encoded("gzip, gzip", &pictures::gzip(&packed)),
    );
}

fn odd_but_sound(cases: &mut Cases<'_>) {
    cases.body("progressive jpg", VALID, pictures::progressive());
    cases.body("jpg of luma only", VALID, pictures::luma());
    cases.body("jpg turned by exif", VALID, pictures::rotated());
    cases.body("jpg in cmyk", NO_HARM, pictures::cmyk());
    let png = pictures::good(Picture::Png);
    cases.reply(
        "png that says it is a page",
        VALID,
        Reply::answer(200, "text/html", png),
    );
    let tiny = pictures::sized(Picture::Gif, 120, 90);
    cases.body("gif of 120x90", PLACEHOLDER, tiny);
    cases.body("the grey picture as 200", PLACEHOLDER, pictures::grey());
    cases.reply("the grey picture as 404", BROKEN, missing());
}
