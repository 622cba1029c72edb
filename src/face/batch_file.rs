//! Reads a batch file: what to score, which thumbnails to check, which videos to ask for.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::{Job, Kind, LivenessJob, ScoreJob, ThumbnailItem, ThumbnailsJob, once_each};

/// What a run is to do, each piece once, in the order of the input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Videos to score; `None` if scoring was not asked for.
    pub scoring: Option<Vec<String>>,
    /// Thumbnails to check; `None` if not asked for.
    pub thumbnails: Option<Vec<ThumbnailItem>>,
    /// Videos to ask for; `None` if not asked for.
    pub liveness: Option<Vec<String>>,
}

impl Plan {
    /// What these lists ask for.
    #[must_use]
    pub fn of(new_videos: Option<Vec<NewVideo>>, stale_ids: Option<Vec<String>>) -> Self {
        let mut plan = Self {
            liveness: stale_ids.map(once_each),
            ..Self::default()
        };
        if let Some(videos) = new_videos {
            let mut ids = Vec::with_capacity(videos.len());
            let mut pictures = Vec::with_capacity(videos.len());
            for NewVideo {
                video_id,
                thumbnail_url,
            } in videos
            {
                if let Some(thumbnail_url) = thumbnail_url {
                    let video_id = video_id.clone();
                    pictures.push(ThumbnailItem {
                        video_id,
                        thumbnail_url,
                    });
                }
                ids.push(video_id);
            }
            plan.thumbnails = Some(once_each(pictures));
            plan.scoring = Some(once_each(ids));
        }
        plan
    }

    /// The work, what takes longest first.
    #[must_use]
    pub fn into_jobs(self) -> Vec<Job> {
        let jobs = [
            self.liveness.map(|video_ids| {
                Job::Liveness(LivenessJob {
                    video_ids,
                    fresh: false,
                })
            }),
            self.thumbnails
                .map(|videos| Job::Thumbnails(ThumbnailsJob { videos })),
            self.scoring
                .map(|video_ids| Job::Score(ScoreJob { video_ids })),
        ];
        jobs.into_iter().flatten().collect()
    }

    /// Takes in what a job is to do.
    pub fn add(&mut self, job: Job) {
        match job {
            Job::Score(ScoreJob { video_ids }) => {
                self.scoring.get_or_insert_default().extend(video_ids);
            }
            Job::Thumbnails(ThumbnailsJob { videos }) => {
                self.thumbnails.get_or_insert_default().extend(videos);
            }
            Job::Liveness(LivenessJob { video_ids, .. }) => {
                self.liveness.get_or_insert_default().extend(video_ids);
            }
        }
    }

    /// Keeps only the sections of these kinds.
    pub fn keep_only(&mut self, kinds: &[Kind]) {
        if !kinds.contains(&Kind::Score) {
            self.scoring = None;
        }
        if !kinds.contains(&Kind::Thumbnails) {
            self.thumbnails = None;
        }
        if !kinds.contains(&Kind::Liveness) {
            self.liveness = None;
        }
    }
}

/// A batch file that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// The database it names, relative to its own folder.
    pub database: Option<PathBuf>,
    /// The work.
    pub plan: Plan,
}

/// What is wrong with a batch file.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// It cannot be read.
    #[error("read the batch file {file}: {source}")]
    Unreadable {
        /// The file as named.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what a batch file looks like.
    #[error("read the batch file {file}: {key}: {source}")]
    Malformed {
        /// The file as named.
        file: String,
        /// The key at fault, as a path.
        key: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// Nothing is asked for.
    #[error("read the batch file {file}: neither new_videos nor stale_ids is given")]
    Empty {
        /// The file as named.
        file: String,
    },
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with new_videos, stale_ids or both"
)]
struct Document {
    db_path: Option<PathBuf>,
    new_videos: Option<Vec<NewVideo>>,
    stale_ids: Option<Vec<String>>,
}

/// The pipeline's own record of a video: whatever else it holds is its own business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(expecting = "an object with video_id")]
pub struct NewVideo {
    /// The site's id.
    pub video_id: String,
    /// Its thumbnail's address, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<String>,
}

/// Reads a batch file; `-` is standard input.
///
/// # Errors
/// When it cannot be read, or is not a batch file: the error names file, key and line.
pub fn read(path: &Path, stdin: impl Read) -> Result<Batch, BatchError> {
    let from_stdin = path == Path::new("-");
    let file = if from_stdin {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let text = if from_stdin {
        read_all(stdin)
    } else {
        std::fs::read(path)
    }
    .map_err(|source| BatchError::Unreadable {
        file: file.clone(),
        source,
    })?;
    let document = parse(&text, &file)?;
    let folder = if from_stdin { None } else { path.parent() };
    let database = document
        .db_path
        .as_ref()
        .map(|named| folder.map_or_else(|| named.clone(), |folder| folder.join(named)));
    if document.new_videos.is_none() && document.stale_ids.is_none() {
        return Err(BatchError::Empty { file });
    }
    Ok(Batch {
        database,
        plan: Plan::of(document.new_videos, document.stale_ids),
    })
}

fn read_all(mut reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    reader.read_to_end(&mut text)?;
    Ok(text)
}

fn parse(text: &[u8], file: &str) -> Result<Document, BatchError> {
    let malformed = |key: String, source| BatchError::Malformed {
        file: file.to_owned(),
        key,
        source,
    };
    // A list would be read by position.
    if text.trim_ascii_start().first() == Some(&b'[') {
        let error = serde::de::Error::custom("must be an object, not a list");
        return Err(malformed("top level".to_owned(), error));
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let document = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let key = error.path().to_string();
        malformed(
            if key == "." {
                "top level".to_owned()
            } else {
                key
            },
            error.into_inner(),
        )
    })?;
    json.end()
        .map_err(|error| malformed("top level".to_owned(), error))?;
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Batch, BatchError> {
        read(Path::new("-"), text.as_bytes())
    }

    #[test]
    fn each_piece_is_done_once_in_the_order_of_the_input() {
        let batch = read_text(
            r#"{"new_videos": [
                {"video_id": "b", "thumbnail_url": "u1", "title": "whatever"},
                {"video_id": "a", "thumbnail_url": null},
                {"video_id": "b", "thumbnail_url": "u2"},
                {"video_id": "b", "thumbnail_url": "u1"}],
               "stale_ids": ["-z", "y", "-z"]}"#,
        )
        .unwrap();
        assert_eq!(batch.database, None);
        assert_eq!(batch.plan.scoring.unwrap(), ["b", "a"]);
        let urls: Vec<_> = batch
            .plan
            .thumbnails
            .unwrap()
            .into_iter()
            .map(|item| item.thumbnail_url)
            .collect();
        assert_eq!(urls, ["u1", "u2"]);
        assert_eq!(batch.plan.liveness.unwrap(), ["-z", "y"]);
    }

    #[test]
    fn a_mistake_is_named_by_file_key_and_line() {
        for (text, parts) in [
            (
                r#"{"stale_ids": [], "new_video": []}"#,
                &["standard input", "new_video", "line 1"][..],
            ),
            (
                "{\"new_videos\": [{\"video_id\": \"a\"},\n{\"video_id\": 7}]}",
                &["new_videos[1].video_id", "7", "line 2"],
            ),
            (
                r#"{"new_videos": [{"thumbnail_url": "u"}]}"#,
                &["new_videos[0]", "video_id"],
            ),
            (r#"{"stale_ids": "abc"}"#, &["stale_ids", "abc"]),
            ("{\"stale_ids\": [", &["EOF", "line 1"]),
            (r#"{"stale_ids": []} x"#, &["trailing"]),
            (
                r#"{"db_path": "v.db"}"#,
                &["neither new_videos nor stale_ids"],
            ),
            ("[]", &["standard input"]),
        ] {
            let error = read_text(text).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{text}: {error} lacks {part}");
            }
        }
    }

    #[test]
    fn the_database_lies_beside_the_batch_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("batch.json");
        std::fs::write(&path, r#"{"db_path": "vault.db", "stale_ids": []}"#).unwrap();
        let batch = read(&path, std::io::empty()).unwrap();
        assert_eq!(batch.database, Some(folder.path().join("vault.db")));
        let missing = read(&folder.path().join("none.json"), std::io::empty()).unwrap_err();
        assert!(missing.to_string().contains("none.json"), "{missing}");
    }
}
