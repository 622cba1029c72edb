//! `db doctor --online`: asks the endpoint once, as a liveness job would, permit and all.

use std::time::Duration;

use super::finding::Finding;
use crate::config::{Config, JournalMode, LivenessPolicy};
use crate::domain::job::{Job, LivenessJob};
use crate::domain::liveness::{Judgement, Verdict};
use crate::engine::{Engine, TicketEvent};

/// How long a full window is waited for beside the window itself.
const LEEWAY: Duration = Duration::from_secs(15);

/// How long the engine may take to stop.
const DRAIN: Duration = Duration::from_secs(1);

/// A video that has been there since 2005: YouTube's first. What the endpoint says about it tells
/// about the endpoint.
pub const KNOWN_GOOD_VIDEO: &str = "jNQXAC9IVRw";

/// What came of asking the endpoint about [`KNOWN_GOOD_VIDEO`], under a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineCheck {
    /// The endpoint.
    pub endpoint: String,
    /// What its answer means by the careful policy, or why it was not asked.
    pub outcome: Result<Judgement, String>,
}

impl OnlineCheck {
    pub(super) fn finding(&self) -> Finding {
        let Self { endpoint, outcome } = self;
        match outcome {
            Err(reason) => Finding::warn("endpoint", format!("{endpoint} was not asked: {reason}")),
            Ok(judgement) => {
                let Judgement {
                    verdict, reason, ..
                } = judgement;
                let said = format!("{endpoint} about {KNOWN_GOOD_VIDEO}: {reason}");
                match verdict {
                    Verdict::Alive => Finding::ok("endpoint", said),
                    Verdict::Dead | Verdict::Invalid => {
                        let text = format!("{said}, though the video is there");
                        Finding::bad("endpoint", text)
                            .todo("check liveness.endpoint: every video would be judged dead")
                    }
                    Verdict::Unknown => Finding::warn("endpoint", said)
                        .todo("see whether this machine gets through, then ask again"),
                }
            }
        }
    }
}

/// Asks the endpoint about [`KNOWN_GOOD_VIDEO`], once and under a permit; no verdict is recorded.
/// A parked endpoint is not asked.
pub async fn ask_endpoint(config: &Config) -> OnlineCheck {
    let mut config = config.clone();
    // The permit needs our tables; it does not need another journal than the site's.
    config.database.journal_mode = JournalMode::Keep;
    // What it says is wanted, not what the site makes of it.
    config.liveness.policy = LivenessPolicy::Careful;
    config.liveness.give_up_after = Duration::ZERO;
    config.queues.cleanup.max_retries = 0;
    config.queues.cleanup.workers = 1;
    config.queues.scoring.workers = 0;
    config.queues.thumbnails.workers = 0;
    let endpoint = config.liveness.endpoint.clone();
    let patience = config.rate_limits.oembed.per + config.liveness.timeout + LEEWAY;
    let outcome = match Engine::builder()
        .config(config)
        .fresh(true)
        .dry_run(true)
        .max_calls(Some(1))
        .start()
    {
        Err(error) => Err(error.to_string()),
        Ok(engine) => {
            let job = Job::Liveness(LivenessJob {
                video_ids: vec![KNOWN_GOOD_VIDEO.to_owned()],
                fresh: false,
            });
            let answer = tokio::time::timeout(patience, async {
                let mut ticket = engine
                    .start_job(job)
                    .await
                    .map_err(|error| error.to_string())?;
                match ticket.next().await {
                    Some(TicketEvent::Liveness { judgement, .. }) => Ok(judgement),
                    Some(TicketEvent::Failed(failure)) => Err(failure.error),
                    _ => Err("the engine gave no answer".to_owned()),
                }
            });
            let outcome = answer
                .await
                .unwrap_or_else(|_| Err("no permit was free in time".to_owned()));
            engine.shutdown(DRAIN).await;
            outcome
        }
    };
    OnlineCheck { endpoint, outcome }
}
