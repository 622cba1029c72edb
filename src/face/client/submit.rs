//! Handing work to the daemon: of any size, in lines that the daemon takes.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::Submitted;
use super::{Client, ClientError};
use crate::engine::{GroupId, JobId, Kind, ThumbnailItem};
use crate::face::batch_file::Plan;

/// What the daemon takes in one line, less room for all that is not an item.
const ROOM: usize = (1 << 20) - (16 << 10);

/// How a submitted job is placed.
#[derive(Debug, Clone, Default)]
pub struct Placing {
    /// 0 (first) to 9.
    pub priority: u8,
    /// How long it waits first, as the daemon reads durations.
    pub delay: Option<String>,
    /// No two jobs have the same.
    pub unique_key: Option<String>,
    /// How long an ended job keeps its key.
    pub unique_for: Option<String>,
}

/// What follows a batch, each a kind and a payload.
#[derive(Debug, Clone, Default)]
pub struct FollowUps {
    /// If every job succeeded.
    pub on_success: Option<Value>,
    /// In any case.
    pub on_finish: Option<Value>,
}

/// A batch the daemon has taken.
#[derive(Debug, Default)]
pub struct Batch {
    /// Its group; none if there was nothing to do.
    pub group: Option<GroupId>,
    /// Its jobs by kind.
    pub ids: Vec<(Kind, Vec<JobId>)>,
}

impl Batch {
    /// All of its jobs.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.ids.iter().flat_map(|(_, ids)| ids).copied()
    }

    /// As `jobs.submit_batch` answers.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let ids: serde_json::Map<String, Value> = self
            .ids
            .iter()
            .map(|(kind, ids)| (kind.name().to_owned(), json!(ids)))
            .collect();
        json!({"group": self.group, "ids": ids})
    }
}

#[derive(Deserialize)]
struct PartTaken {
    group: Option<GroupId>,
    ids: serde_json::Map<String, Value>,
}

/// Jobs of one kind, in one line if they fit.
#[derive(Debug)]
pub struct Line {
    payload: Value,
}

/// A plan of one kind as payloads that each fit into a line.
#[must_use]
pub fn lines(kind: Kind, plan: &Plan) -> Vec<Line> {
    let (key, items) = match kind {
        Kind::Score => ("video_ids", texts(plan.scoring.as_deref())),
        Kind::Thumbnails => ("videos", pictures(plan.thumbnails.as_deref())),
        Kind::Liveness => ("video_ids", texts(plan.liveness.as_deref())),
    };
    let parts = parts(items);
    let line = |items: Vec<Value>| Line {
        payload: json!({ key: items }),
    };
    parts.into_iter().map(line).collect()
}

impl Client {
    /// Hands in one line of jobs.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn submit(
        &mut self,
        kind: Kind,
        line: Line,
        placing: &Placing,
    ) -> Result<Submitted, ClientError> {
        let mut params = json!({
            "kind": kind.name(),
            "payload": line.payload,
            "priority": placing.priority,
        });
        let more = [
            ("delay", &placing.delay),
            ("unique_key", &placing.unique_key),
            ("unique_for", &placing.unique_for),
        ];
        for (key, value) in more {
            put(&mut params, key, value.as_ref().map(|text| json!(text)));
        }
        self.ask("jobs.submit", params)
    }

    /// Hands in a whole plan as one group.
    ///
    /// # Errors
    /// As [`Client::ask`]. What was taken before the error is withdrawn, if the daemon still
    /// answers.
    pub fn submit_batch(
        &mut self,
        plan: &Plan,
        priority: u8,
        follow_ups: &FollowUps,
    ) -> Result<Batch, ClientError> {
        let mut batch = Batch {
            group: None,
            ids: Kind::ALL.map(|kind| (kind, Vec::new())).to_vec(),
        };
        let sections = [
            (Kind::Score, plan.scoring.is_some()),
            (Kind::Thumbnails, plan.thumbnails.is_some()),
            (Kind::Liveness, plan.liveness.is_some()),
        ];
        let only: Vec<&str> = sections
            .into_iter()
            .filter_map(|(kind, is_asked)| is_asked.then_some(kind.name()))
            .collect();
        let mut parts = batch_parts(plan).into_iter().peekable();
        while let Some(mut params) = parts.next() {
            let more = parts.peek().is_some();
            put(&mut params, "only", Some(json!(only)));
            put(&mut params, "priority", Some(json!(priority)));
            put(&mut params, "more", more.then_some(json!(true)));
            match batch.group {
                Some(group) => put(&mut params, "group", Some(json!(group))),
                None => {
                    put(&mut params, "on_success", follow_ups.on_success.clone());
                    put(&mut params, "on_finish", follow_ups.on_finish.clone());
                }
            }
            match self.ask("jobs.submit_batch", params) {
                Ok(taken) => batch.add(taken),
                Err(error) => {
                    self.withdraw(&batch);
                    return Err(error);
                }
            }
        }
        Ok(batch)
    }

    /// Half a batch is none.
    fn withdraw(&mut self, batch: &Batch) {
        let ids: Vec<JobId> = batch.jobs().collect();
        if !ids.is_empty() {
            let withdrawn: Result<Value, _> = self.ask("jobs.cancel", json!({ "ids": ids }));
            if let Err(error) = withdrawn {
                tracing::warn!(%error, jobs = ids.len(), "half of the batch stays queued");
            }
        }
    }
}

impl Batch {
    fn add(&mut self, part: PartTaken) {
        self.group = self.group.or(part.group);
        for (kind, ids) in &mut self.ids {
            let more = part.ids.get(kind.name()).cloned().unwrap_or_default();
            ids.extend(serde_json::from_value::<Vec<JobId>>(more).unwrap_or_default());
        }
    }
}

fn put(params: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(params), Some(value)) = (params.as_object_mut(), value) {
        params.insert(key.to_owned(), value);
    }
}

/// A batch as the objects of as many lines as it takes. What takes longest goes first.
fn batch_parts(plan: &Plan) -> Vec<Value> {
    let videos = match (&plan.scoring, &plan.thumbnails) {
        (None, None) => Vec::new(),
        (None, Some(items)) => pictures(Some(items)),
        (Some(ids), items) => with_pictures(ids, items.as_deref().unwrap_or_default()),
    };
    let stale = parts(texts(plan.liveness.as_deref()));
    let asked = stale.into_iter().map(|ids| json!({ "stale_ids": ids }));
    let made = parts(videos).into_iter();
    asked
        .chain(made.map(|videos| json!({ "new_videos": videos })))
        .collect()
}

/// Each video once, with its picture; one with two pictures is there twice, side by side.
fn with_pictures(ids: &[String], items: &[ThumbnailItem]) -> Vec<Value> {
    let mut by_video: std::collections::HashMap<&str, Vec<&str>> =
        std::collections::HashMap::with_capacity(items.len());
    for item in items {
        let urls = by_video.entry(item.video_id.as_str()).or_default();
        urls.push(item.thumbnail_url.as_str());
    }
    let mut videos = Vec::with_capacity(ids.len());
    for id in ids {
        match by_video.get(id.as_str()) {
            None => videos.push(json!({ "video_id": id })),
            Some(urls) => videos.extend(
                urls.iter()
                    .map(|url| json!({"video_id": id, "thumbnail_url": url})),
            ),
        }
    }
    videos
}

fn pictures(items: Option<&[ThumbnailItem]>) -> Vec<Value> {
    let items = items.unwrap_or_default().iter();
    items
        .map(|item| json!({"video_id": item.video_id, "thumbnail_url": item.thumbnail_url}))
        .collect()
}

fn texts(ids: Option<&[String]>) -> Vec<Value> {
    ids.unwrap_or_default().iter().map(|id| json!(id)).collect()
}

/// Items in as few parts as fit into a line each.
fn parts(items: Vec<Value>) -> Vec<Vec<Value>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut taken = 0;
    for item in items {
        let size = item.to_string().len() + 1;
        if taken + size > ROOM && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            taken = 0;
        }
        taken += size;
        part.push(item);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::client::scripted::{Script, answers};

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
        let lists = |key: &str| -> Vec<Value> {
            let lists = parts.iter().filter_map(|part| part[key].as_array());
            lists.flatten().cloned().collect()
        };
        assert!(parts.iter().all(|part| part.to_string().len() < 1 << 20));
        assert!(parts[0].get("stale_ids").is_some(), "what is slow is first");
        assert_eq!(lists("stale_ids").len(), 30);
        let videos = lists("new_videos");
        assert_eq!(videos.len(), 61);
        assert_eq!(videos[3]["thumbnail_url"], "u");
        assert_eq!(videos[4], json!({"video_id": long(3), "thumbnail_url": "v"}));
        assert_eq!(videos[5], json!({"video_id": long(4)}));
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
        let follow_ups = FollowUps {
            on_success: None,
            on_finish: Some(json!({"kind": "score", "payload": {"video_ids": ["z"]}})),
        };
        let batch = client.submit_batch(&plan, 2, &follow_ups).unwrap();
        assert_eq!(batch.group, Some(GroupId(12)));
        assert_eq!(batch.jobs().collect::<Vec<_>>(), [JobId(3), JobId(1), JobId(2)]);
        let heard = script.heard();
        let first = &heard[0]["params"];
        assert_eq!(first["only"], json!(["score", "liveness"]));
        assert_eq!((&first["more"], &first["priority"]), (&json!(true), &json!(2)));
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
            r#"{"jsonrpc":"2.0","id":1,"result":{"group":1,"ids":{"liveness":[4,5]}}}"#,
            r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32002,"message":"the disk is full"}}"#,
            r#"{"jsonrpc":"2.0","id":3,"result":{"cancelled":[4,5]}}"#,
        ]);
        let mut client = Client::connect(script.socket()).unwrap();
        let error = client.submit_batch(&plan, 5, &FollowUps::default());
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "jobs.submit_batch: the disk is full");
        assert_eq!(script.heard()[2]["params"], json!({"ids": [4, 5]}));
    }
}
