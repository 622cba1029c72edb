//! What the file holds of the site's videos, for pages: scores, checks and what the queues got
//! done. With a million videos each look takes some milliseconds.

use std::time::Duration;

use serde::Serialize;

use super::EngineError;
use super::database::VideoCard;
use super::database::{Number, card, number};
use super::patient_reader::PatientReader;
use crate::config::Config;
use crate::domain::liveness::Verdict;
use crate::domain::thumbnail::Status;
use crate::domain::trend::velocity;
use crate::store::{
    CheckFilter, CheckedThumbnail, CheckedVideo, KnownSnapshot, LeaderboardFilter, LeaderboardRow,
    Page, QueueRate, Reader, StoreError, Tally,
};

/// The most snapshots of one look.
const LONGEST_HISTORY: usize = 500;

/// A view of the site's videos. Each call may block for a moment, or for as long as others' locks are
/// waited for.
pub struct SiteView {
    reader: PatientReader,
    config: Config,
}

/// A snapshot in a video's history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryPoint {
    /// When, Unix seconds; none where the formula cannot read it.
    pub seconds: Option<i64>,
    /// Views up to then, none where they are missing or no number.
    pub view_count: Option<Number>,
    /// Likes up to then.
    pub likes: Option<Number>,
    /// Comments up to then.
    pub comments: Option<Number>,
    /// Region.
    pub region: Option<String>,
    /// Views an hour since the one before.
    pub velocity: Option<f64>,
}

impl SiteView {
    /// Opens the file that the configuration names, and waits for no lock.
    ///
    /// # Errors
    /// When no database is named, it cannot be read, or tables of the site's are missing.
    pub fn open(config: &Config) -> Result<Self, EngineError> {
        Self::open_within(config, Duration::ZERO)
    }

    /// The same, waiting so long for others' locks, now and at each look.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_within(config: &Config, within: Duration) -> Result<Self, EngineError> {
        Ok(Self {
            reader: PatientReader::open(config, within, Reader::open)?,
            config: config.clone(),
        })
    }

    /// From now on all looks together wait so long for others' locks, and end as interrupted when they
    /// took longer than `longest`, the waiting not counted.
    pub fn bound(&mut self, within: Duration, longest: Duration) {
        self.reader.bound(within, longest);
    }

    fn look<T>(&self, look: impl Fn(&Reader) -> Result<T, StoreError>) -> Result<T, EngineError> {
        self.reader.look(look)
    }

    /// A page of the scores, highest first; empty where none were kept.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the look is stopped.
    pub fn leaderboard(
        &self,
        filter: &LeaderboardFilter,
    ) -> Result<Page<LeaderboardRow>, EngineError> {
        self.look(|reader| reader.leaderboard(filter))
    }

    /// The regions of the scores, each with how many.
    ///
    /// # Errors
    /// As [`Self::leaderboard`].
    pub fn regions(&self) -> Result<Vec<Tally>, EngineError> {
        self.look(Reader::regions)
    }

    /// All that is known of a video, without reading a table of the site's from end to end; none:
    /// nobody knows it.
    ///
    /// # Errors
    /// As [`Self::leaderboard`].
    pub fn video(&self, id: &str) -> Result<Option<VideoCard>, EngineError> {
        let facts = self.look(|reader| reader.video(id))?;
        Ok(card(&self.config, id, facts))
    }

    /// The last snapshots of a video, newest first, 500 at most.
    ///
    /// # Errors
    /// As [`Self::leaderboard`].
    pub fn history(&self, id: &str, limit: usize) -> Result<Vec<HistoryPoint>, EngineError> {
        let limit = limit.min(LONGEST_HISTORY);
        // The velocity of the last one needs the one before it.
        let snapshots = self.look(|reader| reader.history(id, limit + 1))?;
        let before = snapshots.iter().skip(1).map(Some).chain([None]);
        let points = snapshots.iter().zip(before).take(limit);
        Ok(points.map(|(known, before)| point(known, before)).collect())
    }

    /// Whether a video's snapshots are read at all: only where an index leads to them.
    ///
    /// # Errors
    /// As [`Self::leaderboard`].
    pub fn reads_snapshots(&self) -> Result<bool, EngineError> {
        self.look(|reader| Ok(reader.reads_snapshots()))
    }

    /// A page of the checks of thumbnails, newest first; empty where none were made.
    ///
    /// # Errors
    /// As [`Self::leaderboard`].
    pub fn thumbnail_checks(
        &self,
        filter: &CheckFilter<Status>,
    ) -> Result<Page<CheckedThumbnail>, EngineError> {
        self.look(|reader| reader.thumbnail_checks(filter))
    }

    /// How many checks of thumbnails came out how.
    ///
    /// # Errors
    /// As [`Self::leaderboard`].
    pub fn thumbnail_counts(&self) -> Result<Vec<Tally>, EngineError> {
        self.look(Reader::thumbnail_counts)
    }

    /// A page of the checks of videos, newest first; empty where none were made.
    ///
    /// # Errors
    /// As [`Self::leaderboard`].
    pub fn liveness_checks(
        &self,
        filter: &CheckFilter<Verdict>,
    ) -> Result<Page<CheckedVideo>, EngineError> {
        self.look(|reader| reader.liveness_checks(filter))
    }

    /// How many checks of videos came out how.
    ///
    /// # Errors
    /// As [`Self::leaderboard`].
    pub fn liveness_counts(&self) -> Result<Vec<Tally>, EngineError> {
        self.look(Reader::liveness_counts)
    }

    /// What every queue got done up to `now_ms`, Unix milliseconds; empty without a durable queue.
    ///
    /// # Errors
    /// As [`Self::leaderboard`].
    pub fn job_rates(&self, now_ms: i64) -> Result<Vec<QueueRate>, EngineError> {
        self.look(|reader| reader.job_rates(now_ms))
    }
}

fn point(known: &KnownSnapshot, before: Option<&KnownSnapshot>) -> HistoryPoint {
    let snapshot = &known.snapshot;
    HistoryPoint {
        seconds: snapshot.seconds,
        view_count: number(snapshot.views),
        likes: number(snapshot.likes),
        comments: number(snapshot.comments),
        region: snapshot.region.clone(),
        velocity: before.and_then(|before| velocity(snapshot, &before.snapshot)),
    }
}
