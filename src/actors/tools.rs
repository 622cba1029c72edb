//! What a worker that fetches works with.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tracing::Instrument;

use super::control::JobControl;
use super::meters::{Lane, Meters};
use super::worker::Deps;
use crate::fetch::{self, Answer, FetchError, Request};
use crate::store::{Reader, StoreError};

/// What a worker that fetches keeps on its arbiter: one long-lived client and a reader.
pub struct Tools {
    /// The guarded HTTP client.
    client: fetch::Client,
    meters: Meters,
    /// A read-only connection, opened when first needed.
    reader: OnceCell<Reader>,
}

impl Tools {
    /// The tools in `kept`, made when first needed so that a failure is a job's and not the
    /// actor's.
    ///
    /// # Errors
    /// Why the client could not be made.
    pub fn of(kept: &mut Option<Rc<Self>>, deps: &Deps) -> Result<Rc<Self>, String> {
        if let Some(tools) = kept {
            return Ok(Rc::clone(tools));
        }
        let client = fetch::Client::new(&deps.fetch_settings, deps.fetch.clone())
            .map_err(|error| error.to_string())?;
        let tools = Self {
            client,
            meters: deps.meters.clone(),
            reader: OnceCell::new(),
        };
        Ok(Rc::clone(kept.insert(Rc::new(tools))))
    }

    /// Fetches, and counts it.
    ///
    /// # Errors
    /// The client's.
    pub async fn get(&self, lane: Lane, request: Request<'_>) -> Result<Answer, FetchError> {
        let began = Instant::now();
        let span = tracing::debug_span!("fetch", url = request.url);
        let answer = self.client.get(request).instrument(span).await;
        self.meters.fetches.ended(lane, &answer, began.elapsed());
        answer
    }

    /// The connection.
    ///
    /// # Errors
    /// Why it could not be opened; [`StoreError::Locked`] if the job was asked to stop meanwhile.
    pub async fn reader(&self, deps: &Deps, control: &JobControl) -> Result<&Reader, StoreError> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader);
        }
        let opened = patiently(control, || Reader::open(&deps.store)).await?;
        Ok(self.reader.get_or_init(|| opened))
    }
}

/// Reads again while another process holds the file, until the job is asked to stop.
///
/// # Errors
/// The reader's, and [`StoreError::Locked`] if the job was asked to stop while waiting.
pub async fn patiently<T>(
    control: &JobControl,
    read: impl Fn() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    loop {
        match read() {
            Err(error) if error.is_locked() && !control.is_asked() => {
                // The wait itself was in the reader; now it is the turn of the other fetches.
                actix_rt::time::sleep(Duration::from_millis(5)).await;
            }
            result => return result,
        }
    }
}
