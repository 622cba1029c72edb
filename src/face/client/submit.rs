//! Handing work to the daemon: of any size, in lines that the daemon takes.

use std::collections::HashMap;

use serde::Serialize;

use super::{Client, ClientError};
use crate::engine::{Job, Kind, LivenessJob, ScoreJob, ThumbnailItem, ThumbnailsJob};
use crate::face::batch_file::{NewVideo, Plan};
use crate::face::protocol::{BatchIds, Cancel, KindName, LONGEST_LINE, MOST_IDS, SubmitBatch};

/// Room in a line for items: all of it but some for what is no item.
const ROOM: usize = LONGEST_LINE - (16 << 10);

/// A batch the daemon has taken.
#[derive(Debug, Default)]
pub struct Taken {
    /// Its group; none if there was nothing to do.
    pub group: Option<i64>,
    /// Its new jobs.
    pub ids: BatchIds,
    /// Whether it was there before, so that nothing was queued.
    pub duplicate: bool,
}

impl Taken {
    /// All of its jobs.
    #[must_use]
    pub fn jobs(&self) -> Vec<i64> {
        let BatchIds {
            score,
            thumbnails,
            liveness,
        } = &self.ids;
        [liveness.as_slice(), thumbnails, score].concat()
    }
}

impl Client {
    /// Hands in a whole plan as one group; `like` has all that is no item. One that is there already,
    /// by its key, is not handed in again.
    ///
    /// # Errors
    /// As [`Client::ask`]. What was taken before the error is withdrawn, if the daemon still
    /// answers.
    pub fn submit_batch(&mut self, plan: &Plan, like: &SubmitBatch) -> Result<Taken, ClientError> {
        let mut taken = Taken::default();
        let mut parts = batch_parts(plan).into_iter().peekable();
        while let Some(part) = parts.next() {
            let mut part = SubmitBatch {
                priority: like.priority,
                only: kinds_of(plan),
                group: taken.group,
                more: parts.peek().is_some(),
                traceparent: like.traceparent,
                ..part
            };
            if taken.group.is_none() {
                part.on_success.clone_from(&like.on_success);
                part.on_finish.clone_from(&like.on_finish);
                part.unique_key.clone_from(&like.unique_key);
                part.unique_for = like.unique_for;
            }
            match self.ask(&part) {
                Ok(batch) => {
                    taken.group = Some(batch.group);
                    if batch.duplicate {
                        taken.duplicate = true;
                        return Ok(taken);
                    }
                    taken.ids.score.extend(batch.ids.score);
                    taken.ids.thumbnails.extend(batch.ids.thumbnails);
                    taken.ids.liveness.extend(batch.ids.liveness);
                }
                Err(error) => return Err(self.withdraw(&taken, error)),
            }
        }
        Ok(taken)
    }

    /// Half a batch is none: its jobs are cancelled and its group, which waits for more, is closed.
    fn withdraw(&mut self, taken: &Taken, error: ClientError) -> ClientError {
        let Some(group) = taken.group else {
            return error;
        };
        let jobs = taken.jobs();
        let mut cancel = || -> Result<(), ClientError> {
            for ids in jobs.chunks(MOST_IDS) {
                self.ask(&Cancel { ids: ids.to_vec() })?;
            }
            self.ask(&SubmitBatch {
                group: Some(group),
                ..SubmitBatch::default()
            })?;
            Ok(())
        };
        match cancel() {
            Ok(()) => error,
            Err(reason) => {
                tracing::warn!(error = %reason, group, "half of the batch stays queued");
                ClientError::HalfTaken {
                    group,
                    jobs: jobs.len(),
                    error: Box::new(error),
                }
            }
        }
    }
}

/// How many lines a batch takes.
#[must_use]
pub fn lines_of(plan: &Plan) -> usize {
    batch_parts(plan).len()
}

fn kinds_of(plan: &Plan) -> Vec<KindName> {
    let asked = |kind: &Kind| match kind {
        Kind::Score => plan.scoring.is_some(),
        Kind::Thumbnails => plan.thumbnails.is_some(),
        Kind::Liveness => plan.liveness.is_some(),
    };
    Kind::ALL.into_iter().filter(asked).map(KindName).collect()
}

/// A plan as jobs that each fit into a line.
#[must_use]
pub fn jobs(plan: Plan) -> Vec<Job> {
    let cut = |job| match job {
        Job::Score(ScoreJob { video_ids }) => parts(video_ids, written)
            .map(|video_ids| Job::Score(ScoreJob { video_ids }))
            .collect::<Vec<_>>(),
        Job::Thumbnails(ThumbnailsJob { videos }) => parts(videos, written)
            .map(|videos| Job::Thumbnails(ThumbnailsJob { videos }))
            .collect(),
        Job::Liveness(LivenessJob { video_ids, fresh }) => parts(video_ids, written)
            .map(|video_ids| Job::Liveness(LivenessJob { video_ids, fresh }))
            .collect(),
    };
    plan.into_jobs().into_iter().flat_map(cut).collect()
}

/// A batch as as many lines as it takes. What takes longest goes first.
fn batch_parts(plan: &Plan) -> Vec<SubmitBatch> {
    let stale = plan.liveness.clone().unwrap_or_default();
    let asked = parts(stale, written).map(|ids| SubmitBatch {
        stale_ids: Some(ids),
        ..SubmitBatch::default()
    });
    let made = parts(new_videos(plan), written).map(|videos| SubmitBatch {
        new_videos: Some(videos),
        ..SubmitBatch::default()
    });
    asked.chain(made).collect()
}

/// Each video with its picture; one with two pictures is there twice, side by side.
fn new_videos(plan: &Plan) -> Vec<NewVideo> {
    let pictures = plan.thumbnails.as_deref().unwrap_or_default();
    let video = |id: &str, url: Option<&str>| NewVideo {
        video_id: id.to_owned(),
        thumbnail_url: url.map(str::to_owned),
    };
    let with_url = |item: &ThumbnailItem| video(&item.video_id, Some(&item.thumbnail_url));
    let Some(ids) = &plan.scoring else {
        return pictures.iter().map(with_url).collect();
    };
    let mut by_video: HashMap<&str, Vec<NewVideo>> = HashMap::with_capacity(pictures.len());
    for item in pictures {
        by_video
            .entry(&item.video_id)
            .or_default()
            .push(with_url(item));
    }
    ids.iter()
        .flat_map(|id| {
            let found = by_video.remove(id.as_str());
            found.unwrap_or_else(|| vec![video(id, None)])
        })
        .collect()
}

/// Bytes of an item in a line, its comma included.
fn written(item: &impl Serialize) -> usize {
    serde_json::to_vec(item).map_or(0, |json| json.len() + 1)
}

/// Items in as few parts as fit into a line each.
fn parts<T>(items: Vec<T>, size: impl Fn(&T) -> usize) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut part = vec![items.next()?];
        let mut taken = part.iter().map(&size).sum::<usize>();
        while let Some(item) = items.next_if(|item| {
            taken += size(item);
            taken <= ROOM
        }) {
            part.push(item);
        }
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::client::scripted::{Script, answers};
    use crate::face::protocol::{FollowUp, Request};
    use serde_json::json;

    fn item(id: &str, url: &str) -> ThumbnailItem {
        ThumbnailItem {
            video_id: id.to_owned(),
            thumbnail_url: url.to_owned(),
        }
    }

    #[test]
    fn a_batch_is_cut_into_lines_that_fit_and_loses_nothing() {
        let long = |n: usize| format!("{n:0>40000}");
        let plan = Plan {
            scoring: Some((0..60).map(long).collect()),
            thumbnails: Some(vec![item(&long(3), "u"), item(&long(3), "v")]),
            liveness: Some((0..30).map(long).collect()),
        };
        let parts = batch_parts(&plan);
        for part in &parts {
            assert!(Request::line(1, part).unwrap().len() < LONGEST_LINE);
        }
        assert!(parts[0].stale_ids.is_some(), "what is slow is first");
        let stale: Vec<_> = parts
            .iter()
            .flat_map(|part| &part.stale_ids)
            .flatten()
            .collect();
        assert_eq!(stale.len(), 30);
        let videos: Vec<_> = parts
            .iter()
            .flat_map(|part| &part.new_videos)
            .flatten()
            .collect();
        assert_eq!(videos.len(), 61);
        let url = |at: usize| {
            (
                videos[at].video_id == long(3),
                videos[at].thumbnail_url.as_deref(),
            )
        };
        assert_eq!(
            [url(3), url(4), url(5)],
            [(true, Some("u")), (true, Some("v")), (false, None)]
        );
    }

    #[test]
    fn the_parts_of_a_batch_are_one_group() {
        let ids = |from: usize| (from..from + 80).map(|n| format!("{n:0>10000}")).collect();
        let plan = Plan {
            scoring: Some(ids(0)),
            thumbnails: None,
            liveness: Some(ids(100)),
        };
        let script = Script::play(answers([
            json!({"group": 12, "ids": {"score": [], "thumbnails": [], "liveness": [1, 2]}}),
            json!({"group": 12, "ids": {"score": [3], "thumbnails": [], "liveness": []}}),
        ]));
        let mut client = Client::connect(script.socket()).unwrap();
        let like = SubmitBatch {
            priority: 2,
            on_finish: Some(FollowUp {
                kind: KindName(Kind::Score),
                payload: json!({"video_ids": ["z"]}),
            }),
            ..SubmitBatch::default()
        };
        let batch = client.submit_batch(&plan, &like).unwrap();
        assert_eq!((batch.group, batch.jobs()), (Some(12), vec![1, 2, 3]));
        let heard = script.heard();
        let first = &heard[0]["params"];
        assert_eq!(first["only"], json!(["score", "liveness"]));
        assert_eq!(
            (&first["more"], &first["priority"]),
            (&json!(true), &json!(2))
        );
        assert_eq!(first["on_finish"]["kind"], "score");
        let last = &heard[1]["params"];
        assert_eq!(last["group"], 12);
        assert!(last.get("more").is_none() && last.get("on_finish").is_none());
    }

    #[test]
    fn half_a_batch_is_withdrawn() {
        let plan = Plan {
            liveness: Some((0..80).map(|n| format!("{n:0>20000}")).collect()),
            ..Plan::default()
        };
        let script = Script::play([
            r#"{"jsonrpc":"2.0","id":1,"result":{"group":1,"ids":{"score":[],"thumbnails":[],"liveness":[4,5]}}}"#,
            r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32002,"message":"the disk is full"}}"#,
            r#"{"jsonrpc":"2.0","id":3,"result":{"cancelled":[4,5]}}"#,
            r#"{"jsonrpc":"2.0","id":4,"result":{"group":1,"ids":{"score":[],"thumbnails":[],"liveness":[]}}}"#,
        ]);
        let mut client = Client::connect(script.socket()).unwrap();
        let error = client.submit_batch(&plan, &SubmitBatch::default());
        let error = error.unwrap_err();
        assert!(!error.may_be_done());
        assert_eq!(error.to_string(), "jobs.submit_batch: the disk is full");
        let heard = script.heard();
        assert_eq!(heard[2]["params"], json!({"ids": [4, 5]}));
        let last = &heard[3]["params"];
        assert_eq!(last["group"], 1, "{last}");
        assert!(last.get("more").is_none(), "the group is closed: {last}");
    }

    #[test]
    fn what_is_not_given_back_is_told() {
        let plan = Plan {
            liveness: Some((0..80).map(|n| format!("{n:0>20000}")).collect()),
            ..Plan::default()
        };
        let script = Script::play([
            r#"{"jsonrpc":"2.0","id":1,"result":{"group":1,"ids":{"score":[],"thumbnails":[],"liveness":[4,5]}}}"#,
        ]);
        let mut client = Client::connect(script.socket()).unwrap();
        let error = client.submit_batch(&plan, &SubmitBatch::default());
        let error = error.unwrap_err();
        assert!(error.may_be_done());
        assert!(
            error.to_string().ends_with("2 jobs of group 1 stay queued"),
            "{error}"
        );
    }
}
