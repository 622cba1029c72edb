//! How followers look into the file: on threads that may block, one look at a time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::job::Kind;
use crate::fetch::aside;
use crate::store::{JobDetail, JobFilter, JobId, Options, Reader, StoreError};

/// Before a look that another process's lock prevented is tried again.
const LOCKED_AGAIN: Duration = Duration::from_millis(50);
/// Before one that no thread was to be had for is.
const NO_THREAD_AGAIN: Duration = Duration::from_secs(1);

/// One read-only connection for all followers, opened when it is first needed.
#[derive(Clone)]
pub(super) struct Lookout {
    store: Arc<Options>,
    turn: Arc<Semaphore>,
    reader: Arc<Mutex<Option<Reader>>>,
}

impl Lookout {
    pub(super) fn new(store: &Arc<Options>) -> Self {
        Self {
            store: Arc::clone(store),
            turn: Arc::new(Semaphore::new(1)),
            reader: Arc::default(),
        }
    }

    /// Looks on a thread that may block, one look at a time; waits while the file is locked.
    async fn look<T: Send + 'static>(
        &self,
        look: impl Fn(&Reader) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> Result<T, StoreError> {
        loop {
            let turn = self.turn.acquire().await;
            let (store, reader, look) = (
                Arc::clone(&self.store),
                Arc::clone(&self.reader),
                look.clone(),
            );
            let looked = aside(move || {
                let mut kept = reader.lock().unwrap_or_else(PoisonError::into_inner);
                let reader = match kept.take() {
                    Some(reader) => reader,
                    None => Reader::open(&store)?,
                };
                look(kept.insert(reader))
            })
            .await;
            drop(turn);
            let pause = match looked {
                Ok(Err(error)) if error.is_locked() => LOCKED_AGAIN,
                Ok(looked) => return looked,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => NO_THREAD_AGAIN,
                Err(error) => return Err(StoreError::Unknown(error.to_string())),
            };
            actix_rt::time::sleep(pause).await;
        }
    }

    /// The jobs that are there, in order.
    pub(super) async fn jobs(&self, ids: Vec<JobId>) -> Result<Vec<JobDetail>, StoreError> {
        self.look(move |reader| {
            let found = ids.iter().filter_map(|id| reader.job(*id).transpose());
            found.collect()
        })
        .await
    }

    /// The jobs that hold a key: the one that does, and the others that its work was cut into.
    pub(super) async fn holders(&self, kind: Kind, id: JobId) -> Result<Vec<JobId>, StoreError> {
        self.look(move |reader| {
            let Some(group) = reader.job(id)?.and_then(|job| job.summary.group) else {
                return Ok(vec![id]);
            };
            let jobs = reader.jobs(&JobFilter {
                group: Some(group),
                queue: Some(kind.queue()),
                limit: usize::MAX,
                ..JobFilter::default()
            })?;
            let mut ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
            ids.sort_unstable();
            Ok(ids)
        })
        .await
    }
}
