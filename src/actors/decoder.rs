//! Where pictures are decoded: off the arbiters that fetch, few at a time, so that memory stays
//! bounded and the site's own server comes first.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::faults::{Faults, Step};
use super::worker::{be_nice, panic_message};
use crate::domain::picture;
use crate::domain::thumbnail::Evidence;

/// Above this a picture takes tens of megabytes to decode, so such go one at a time.
const LARGE_PIXELS: u64 = 4_000_000;

/// Decodes pictures on blocking threads; clones share its places.
#[derive(Clone)]
pub struct Decoder {
    places: Arc<Semaphore>,
    large: Arc<Semaphore>,
    max_pixels: u64,
    nice: u8,
    faults: Faults,
}

impl Decoder {
    /// A decoder with as many places as the machine has cores.
    #[must_use]
    pub fn new(max_pixels: u64, nice: u8, faults: Faults) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            places: Arc::new(Semaphore::new(cores)),
            large: Arc::new(Semaphore::new(1)),
            max_pixels,
            nice,
            faults,
        }
    }

    /// Decodes a body and tells what it showed. A panic in a decoder is this picture's error.
    pub async fn inspect(&self, body: Vec<u8>) -> Evidence {
        let size = match picture::measure(&body) {
            Ok(size) => size,
            Err(error) => return Evidence::Undecodable(error),
        };
        let pixels = u64::from(size.width) * u64::from(size.height);
        // The semaphores are never closed, so a place always comes.
        let _large = if pixels > LARGE_PIXELS {
            self.large.acquire().await.ok()
        } else {
            None
        };
        let _place = self.places.acquire().await.ok();
        let (max_pixels, nice, faults) = (self.max_pixels, self.nice, self.faults.clone());
        let decoded = actix_rt::task::spawn_blocking(move || {
            be_nice(nice);
            faults.strike(Step::ThumbnailWorks);
            picture::decode(&body, max_pixels)
        });
        match decoded.await {
            Ok(Ok(size)) => Evidence::Decoded(size),
            Ok(Err(error)) => Evidence::Undecodable(error),
            Err(error) => Evidence::Panicked(match error.try_into_panic() {
                Ok(panic) => panic_message(panic.as_ref()),
                Err(error) => error.to_string(),
            }),
        }
    }
}
