//! An engine of this process, as a host has it: on a vault of its own, and what it fetches and asks
//! is a site that misbehaves.

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vvv_actors::actors::faults::Faults;
use vvv_actors::config::Config;
use vvv_actors::engine::{
    BlockingEngine, Engine, EngineBuilder, EngineHandle, Grouping, Job, JobDetail, JobId,
    JobRequest, JobState, LivenessJob, QueueView, ScoreJob, Status, ThumbnailItem, ThumbnailsJob,
    Work, open_pictures,
};

use super::site::{Call, Gate, Site, oembed};
use super::vault::{Journal, Vault, VaultSpec};

/// How long what must come about may take.
pub const SOON: Duration = Duration::from_secs(20);
/// How long a stop waits for running jobs.
pub const DRAIN: Duration = Duration::from_secs(5);

/// What is there before an engine is: a vault, a site, and settings that lead to both.
pub struct EngineScene {
    /// For files of the test's own.
    pub folder: TempDir,
    /// The host's database.
    pub vault: Vault,
    /// What an engine takes for YouTube.
    pub site: Site,
    /// What the next engine is started with.
    pub config: Config,
}

impl EngineScene {
    /// A vault of 120 ordinary videos, which are three jobs to score.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self::of(VaultSpec::new(120).journal(journal))
    }

    /// A vault as described, its thumbnails on the site.
    #[must_use]
    pub fn of(spec: VaultSpec) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("vault.db");
        Self::in_folder(folder, &path, spec)
    }

    /// The same with the vault in a place of its own.
    #[must_use]
    pub fn at(path: &Path, spec: VaultSpec) -> Self {
        Self::in_folder(TempDir::new().unwrap(), path, spec)
    }

    fn in_folder(folder: TempDir, path: &Path, spec: VaultSpec) -> Self {
        let site = Site::start();
        let vault = spec.on(&site).create(path);
        let mut config = Config::defaults().unwrap();
        config.database.path.clone_from(&vault.path);
        config.fetch.allow = vec![site.authority()];
        config.liveness.endpoint = site.oembed_endpoint();
        config.rate_limits.oembed.calls = 1000;
        Self {
            folder,
            vault,
            site,
            config,
        }
    }

    /// Has what failed tried again at once.
    #[must_use]
    pub fn impatient(mut self) -> Self {
        let queues = &mut self.config.queues;
        for queue in [
            &mut queues.scoring,
            &mut queues.thumbnails,
            &mut queues.cleanup,
        ] {
            queue.retry_delay = Duration::from_millis(20);
        }
        self
    }

    /// An engine to be, on the queue in the file or on one of its own.
    pub fn builder(&self, durable: bool) -> EngineBuilder {
        let builder = Engine::builder().config(self.config.clone());
        if durable { builder.durable() } else { builder }
    }

    /// An engine on the queue in the file.
    #[must_use]
    pub fn start(&self) -> BlockingEngine {
        self.start_with(Faults::default())
    }

    /// The same, and to it these things happen.
    #[must_use]
    pub fn start_with(&self, faults: Faults) -> BlockingEngine {
        let engine = self.builder(true).faults(faults);
        engine.start().unwrap().blocking()
    }

    /// An engine that keeps the pictures it fetches, for pages to show.
    #[must_use]
    pub fn start_with_pictures(&mut self) -> BlockingEngine {
        self.config.http.thumbnail_cache_folder = self.folder.path().join("pictures");
        let pictures = open_pictures(&self.config);
        let engine = self.builder(true).pictures(pictures);
        engine.start().unwrap().blocking()
    }

    /// A job as the file has it.
    #[must_use]
    pub fn job(&self, id: JobId) -> JobDetail {
        let view = QueueView::open(&self.config).unwrap();
        loop {
            match view.job(id) {
                Err(error) if error.is_locked() => {}
                job => return job.unwrap().unwrap(),
            }
        }
    }

    /// A job, once it has come so far.
    #[track_caller]
    pub fn wait_for(&self, id: JobId, state: JobState) -> JobDetail {
        let deadline = Instant::now() + SOON;
        loop {
            let job = self.job(id);
            if job.summary.state == state {
                return job;
            }
            assert!(Instant::now() < deadline, "never {state:?}: {job:?}");
            std::thread::yield_now();
        }
    }

    /// Has work done well, by an engine on the queue in the file.
    #[track_caller]
    pub fn work_off(&self, engine: &BlockingEngine, work: impl Work) -> Vec<JobDetail> {
        let ids = enqueue(engine, work);
        let done = ids.iter().map(|id| self.wait_for(*id, JobState::Succeeded));
        done.collect()
    }

    /// A look at the thumbnails of the first videos.
    #[must_use]
    pub fn pictures(&self, count: usize) -> ThumbnailsJob {
        let item = |id: &String| self.picture(id, "hqdefault.jpg");
        ThumbnailsJob {
            videos: self.vault.ids.iter().take(count).map(item).collect(),
        }
    }

    /// A video's thumbnail by the name of its file.
    #[must_use]
    pub fn picture(&self, id: &str, file: &str) -> ThumbnailItem {
        ThumbnailItem {
            video_id: id.to_owned(),
            thumbnail_url: self.site.thumbnail_url(id, file),
        }
    }

    /// Has the site answer for this video once the gate is open.
    #[must_use]
    pub fn hold(&self, id: &str) -> Gate {
        let gate = Gate::closed();
        self.site.oembed(id, oembed::alive(id).behind(&gate));
        gate
    }

    /// Waits until the site was asked so often.
    #[track_caller]
    pub fn until_asked(&self, times: usize) {
        let asked = |calls: &[Call]| calls.len() >= times;
        assert!(self.site.wait_until(SOON, asked), "{:?}", self.site.calls());
    }
}

/// So many videos that live.
#[must_use]
pub fn alive(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| oembed::id("alive", n)).collect()
}

/// A question whether these videos live.
#[must_use]
pub fn liveness(ids: &[String]) -> LivenessJob {
    LivenessJob {
        video_ids: ids.to_vec(),
        fresh: false,
    }
}

/// These videos to score.
#[must_use]
pub fn score(ids: &[String]) -> ScoreJob {
    ScoreJob {
        video_ids: ids.to_vec(),
    }
}

/// Work as a request of its own, with nothing special about it.
#[must_use]
pub fn request(work: impl Work) -> JobRequest {
    JobRequest {
        job: work.into_job(),
        priority: Job::DEFAULT_PRIORITY,
        delay_ms: 0,
        unique_key: None,
        unique_for: None,
        trace: None,
    }
}

/// Hands work in; the jobs it was cut into.
#[track_caller]
pub fn enqueue(engine: &BlockingEngine, work: impl Work) -> Vec<JobId> {
    let queued = engine.enqueue(vec![request(work)], Grouping::None);
    queued.unwrap().0.remove(0).ids
}

/// Fails if an actor died.
#[track_caller]
pub fn all_live(status: &Status) {
    assert_eq!(status.restarts, 0, "{status:?}");
    for pool in &status.pools {
        assert!(pool.restarts == 0 && !pool.degraded, "{pool:?}");
    }
}

/// Stops an engine none of whose actors died.
#[track_caller]
pub fn stop(engine: &BlockingEngine) {
    all_live(&engine.status().unwrap());
    shut_down(engine);
}

/// The same, for tasks.
pub async fn stop_async(engine: &EngineHandle) {
    all_live(&engine.status().await.unwrap());
    engine.shutdown(DRAIN).await;
    assert!(!engine.is_lost());
}

/// Stops an engine some of whose actors had to die; what is left of it lets go in time.
#[track_caller]
pub fn shut_down(engine: &BlockingEngine) {
    engine.shutdown(DRAIN);
    assert!(!engine.handle().is_lost());
}
