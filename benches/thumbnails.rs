//! Thumbnails fetched from loopback, decoded, judged and recorded, against decoding the same pictures
//! alone on one thread. `cargo bench --bench thumbnails`. The server shares the machine's cores.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::pictures;
use support::site::Site;
use vvv_actors::domain::picture::decode;
use vvv_actors::engine::{Engine, Job, ThumbnailItem, ThumbnailStatus, ThumbnailsJob, TicketEvent};

const PICTURES: usize = 3_000;
const RUNS: usize = 3;

fn main() {
    println!("picture           bare decodes/s   fetched and judged/s");
    for (name, file) in [
        ("hqdefault 480x360", "hqdefault"),
        ("maxres 1280x720", "maxresdefault"),
    ] {
        let picture = pictures::youtube(file).unwrap();
        let bare = (0..RUNS).map(|_| bare(picture)).collect();
        let actors = (0..RUNS).map(|_| actors(&format!("{file}.jpg"))).collect();
        println!(
            "{name:17} {:14.0} {:16.0}",
            common::median(bare),
            common::median(actors)
        );
    }
}

fn bare(picture: &[u8]) -> f64 {
    let began = Instant::now();
    for _ in 0..PICTURES {
        decode(picture, 16_000_000).unwrap();
    }
    common::rate(PICTURES, began.elapsed())
}

fn actors(file: &str) -> f64 {
    let site = Site::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.db");
    common::make_vault(&path, 1, "WAL");
    let mut config = common::config(&path);
    config.fetch.allow = vec![site.authority()];
    let engine = Engine::builder().config(config).start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let videos = (0..PICTURES).map(common::video_id);
    let videos = videos
        .map(|id| ThumbnailItem {
            thumbnail_url: site.thumbnail_url(&id, file),
            video_id: id,
        })
        .collect();
    let began = Instant::now();
    let valid = runtime.block_on(async {
        let mut ticket = engine
            .start_job(Job::Thumbnails(ThumbnailsJob { videos }))
            .await
            .unwrap();
        let mut valid = 0;
        while let Some(event) = ticket.next().await {
            match event {
                TicketEvent::Thumbnail { verdict, .. } => {
                    valid += usize::from(verdict.status == ThumbnailStatus::Valid);
                }
                other => panic!("{other:?}"),
            }
        }
        valid
    });
    let elapsed = began.elapsed();
    assert_eq!(valid, PICTURES);
    runtime.block_on(engine.shutdown(Duration::ZERO));
    common::rate(PICTURES, elapsed)
}
