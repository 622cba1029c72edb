//! Opening the database for an engine, and what is to be said of it.

use std::time::Duration;

use super::EngineError;
use super::waiting::patiently;
use crate::actors::alarms::tell_last;
use crate::actors::clock::Clock;
use crate::config::Config;
use crate::domain::alarm::AlarmKind;
use crate::domain::job::Queue;
use crate::store;
use crate::store::{BeginRun, Moment, Recover, StoreError, Writer};

/// The open writer, and whether the process before died. It opens before any reader: it makes the
/// tables they look for.
pub(super) fn open(
    store: &store::Options,
    config: &Config,
    one_shot: bool,
    within: Option<Duration>,
) -> Result<(Writer, bool), EngineError> {
    let open = || {
        let mut writer = patiently(&store.path, within, || Writer::open(store))?;
        let unclean = !one_shot && recover(&mut writer, config, within)?;
        // Whoever held the lock may have put another file there before it let go.
        if writer.has_lost_its_file() {
            writer.abandon();
            return Err(StoreError::Replaced);
        }
        Ok((writer, unclean))
    };
    open().map_err(|error: StoreError| {
        if !one_shot {
            tell_of_damage(config, &error);
        }
        error.into()
    })
}

/// Runs `alerts.command` for a database too damaged to start on.
fn tell_of_damage(config: &Config, error: &StoreError) {
    if let StoreError::Corrupt(_) | StoreError::NotADatabase { .. } = error {
        let (path, kind) = (&config.database.path, AlarmKind::DatabaseDamaged);
        let now_ms = Clock::system().unix_ms();
        tell_last(&config.alerts, path, kind, error.to_string(), now_ms);
    }
}

/// Takes back what a process that died had claimed, before anybody claims; whether one died.
fn recover(
    writer: &mut Writer,
    config: &Config,
    within: Option<Duration>,
) -> Result<bool, StoreError> {
    let recover = Recover {
        max_crashes: Queue::ALL.map(|queue| (queue, config.queues.get(queue).max_crashes)),
        now: Moment(Clock::system().unix_ms()),
    };
    let path = &config.database.path;
    let recovered = patiently(path, within, || writer.run(recover.clone()))?;
    if recovered.suspects > 0 || !recovered.given_up.is_empty() {
        tracing::warn!(
            suspects = recovered.suspects,
            given_up = recovered.given_up.len(),
            "the process before died with jobs in its hands; they are tried one at a time"
        );
    }
    patiently(path, within, || writer.run(BeginRun))
}

/// Without it each lookup reads all snapshots, which is worth a word.
pub(super) fn warn_without_index(writer: &Writer, store: &store::Options) {
    if !writer.has_snapshot_index() {
        let snapshots = &store.schema.snapshots;
        tracing::warn!(
            "no index on {} ({}, {}): scoring is slow; vvv-actors db doctor --create-index makes it",
            snapshots.table,
            snapshots.video_id,
            snapshots.fetched_at,
        );
    }
}
