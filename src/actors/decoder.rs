//! Where pictures are decoded: off the arbiters that fetch, few at a time, so that memory stays
//! bounded and the site's own server comes first.
//!
//! The threads are few and fixed on purpose. malloc keeps for each thread what that thread freed;
//! on the arbiters' own blocking threads the largest picture would be paid for once a worker.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::faults::{Faults, Step};
use super::worker::panic_message;
use crate::domain::picture;
use crate::domain::thumbnail::Evidence;

/// Above this a picture goes alone, on a thread of its own; those below share as many pixels at
/// once. So memory is what the largest picture takes and the largest of the small, whatever the
/// number of cores.
const LARGE_PIXELS: u32 = 1920 * 1080;

/// Decodes pictures on threads of its own, which end with its last clone.
#[derive(Clone)]
pub struct Decoder {
    /// No more at once than cores, whichever lane they come from.
    places: Arc<Semaphore>,
    /// Held while a large picture waits for its place, so that it keeps none from the small ones.
    one_large: Arc<Semaphore>,
    /// The pixels of small pictures decoded at once.
    small_pixels: Arc<Semaphore>,
    small: mpsc::Sender<Work>,
    large: mpsc::Sender<Work>,
}

/// A picture to decode, and who waits for what it shows.
struct Work {
    body: Vec<u8>,
    answer: oneshot::Sender<Evidence>,
    /// Its pixels and its place: kept until it is decoded, even if nobody waits any more.
    shares: [Option<OwnedSemaphorePermit>; 2],
}

impl Decoder {
    /// A decoder with a thread a core and one for large pictures.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(max_pixels: u64, faults: &Faults) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let lane = |threads: usize| {
            let (sender, receiver) = mpsc::channel();
            let receiver = Arc::new(Mutex::new(receiver));
            for _ in 0..threads {
                let (receiver, faults) = (Arc::clone(&receiver), faults.clone());
                thread::Builder::new()
                    .name("vvv-decode".to_owned())
                    .spawn(move || serve(&receiver, max_pixels, &faults))?;
            }
            io::Result::Ok(sender)
        };
        Ok(Self {
            places: Arc::new(Semaphore::new(cores)),
            one_large: Arc::new(Semaphore::new(1)),
            small_pixels: Arc::new(Semaphore::new(usize::try_from(LARGE_PIXELS).unwrap_or(1))),
            small: lane(cores)?,
            large: lane(1)?,
        })
    }

    /// Decodes a body and tells what it showed. A panic in a decoder is this picture's error.
    pub async fn inspect(&self, body: Vec<u8>) -> Evidence {
        let size = match picture::measure(&body) {
            Ok(size) => size,
            Err(error) => return Evidence::Undecodable(error),
        };
        let small = u32::try_from(size.pixels())
            .ok()
            .filter(|pixels| *pixels <= LARGE_PIXELS);
        let (lane, pixels) = match small {
            Some(pixels) => (
                &self.small,
                Arc::clone(&self.small_pixels).acquire_many_owned(pixels),
            ),
            None => (
                &self.large,
                Arc::clone(&self.one_large).acquire_many_owned(1),
            ),
        };
        // The semaphores are never closed, so a place always comes.
        let pixels = pixels.await.ok();
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (answer, answered) = oneshot::channel();
        // A lane is gone only with its threads, and they end with the last sender.
        let _ = lane.send(Work {
            body,
            answer,
            shares: [pixels, place],
        });
        answered
            .await
            .unwrap_or_else(|_| Evidence::Panicked("the decoding thread ended".to_owned()))
    }
}

/// The life of a decoding thread.
fn serve(lane: &Mutex<mpsc::Receiver<Work>>, max_pixels: u64, faults: &Faults) {
    loop {
        let next = lane.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Work {
            body,
            answer,
            shares,
        }) = next
        else {
            return;
        };
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            faults.strike(Step::ThumbnailWorks);
            picture::decode(&body, max_pixels)
        }));
        let evidence = match decoded {
            Ok(Ok(size)) => Evidence::Decoded(size),
            Ok(Err(error)) => Evidence::Undecodable(error),
            Err(panic) => Evidence::Panicked(panic_message(panic.as_ref())),
        };
        drop((body, shares));
        // Whoever asked may have been dropped at a time limit.
        let _ = answer.send(evidence);
    }
}
