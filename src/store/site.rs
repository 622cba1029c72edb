//! The site's own tables under their mapped names: whether they are there, what they are, and
//! the statements on them, built once a connection.

use rusqlite::Connection;

use super::Options;
use super::error::{Missing, StoreError};
use super::table::Table;
use crate::config::{FetchedAt, Schema};

/// What is known of the site's tables, with the statements that run often.
pub(super) struct Site {
    /// Sets a video's score where it differs: score, id.
    pub(super) update_score: String,
    /// The last two snapshots of an id, newest first.
    pub(super) last_snapshots: String,
    /// The place of an id in its table; none where places mean nothing or cannot be looked up.
    pub(super) rowid_of: Option<String>,
    /// How the time of a snapshot comes out of `last_snapshots`.
    pub(super) fetched_at: FetchedAt,
    /// Quoted names for statements that are built where they run.
    pub(super) names: Names,
    /// Whether the last snapshots are found without reading all.
    pub(super) has_snapshot_index: bool,
    /// Whether statements of ours run triggers or views of theirs.
    pub(super) needs_trust: bool,
}

/// Names of the site's, quoted and qualified.
pub(super) struct Names {
    pub(super) videos: String,
    pub(super) video_id: String,
    /// What orders videos that nothing else does.
    pub(super) videos_order: String,
    /// Of all columns this one may be missing.
    pub(super) thumbnail_url: Result<String, Missing>,
    pub(super) snapshots: String,
    pub(super) snapshot_video_id: String,
    pub(super) region: String,
    /// The terms that put a video's snapshots newest first.
    pub(super) newest_first: String,
}

impl Site {
    /// Finds the tables and columns, all that are missing at once.
    pub(super) fn inspect(connection: &Connection, options: &Options) -> Result<Self, StoreError> {
        let schema = &options.schema;
        let videos = Table::find(connection, &schema.videos.table)?;
        let snapshots = Table::find(connection, &schema.snapshots.table)?;
        let missing = missing(schema, &videos, &snapshots);
        if !missing.is_empty() {
            return Err(StoreError::Missing {
                path: options.path.clone(),
                missing,
            });
        }
        let names = Names::of(schema, &videos, &snapshots);
        let rowid_of = videos
            .rowid
            .filter(|_| videos.is_indexed(&[&schema.videos.video_id]))
            .map(|rowid| {
                let Names {
                    videos, video_id, ..
                } = &names;
                format!("SELECT {rowid} FROM {videos} WHERE {video_id} = ?1")
            });
        Ok(Self {
            update_score: update_score(schema, &names),
            last_snapshots: last_snapshots(schema, &names),
            rowid_of,
            fetched_at: schema.fetched_at,
            names,
            has_snapshot_index: snapshots.is_view
                || snapshots
                    .is_indexed(&[&schema.snapshots.video_id, &schema.snapshots.fetched_at]),
            needs_trust: videos.has_triggers || videos.is_view || snapshots.is_view,
        })
    }
}

impl Names {
    fn of(schema: &Schema, videos: &Table, snapshots: &Table) -> Self {
        let fetched_at = quote(&schema.snapshots.fetched_at);
        let mut thumbnail_url = missing_of(
            "videos",
            &schema.videos.table,
            videos,
            &[("thumbnail_url", &schema.videos.thumbnail_url)],
        );
        Self {
            videos: qualify(&schema.videos.table),
            videos_order: videos
                .rowid
                .map_or_else(|| quote(&schema.videos.video_id), str::to_owned),
            video_id: quote(&schema.videos.video_id),
            thumbnail_url: match thumbnail_url.pop() {
                None => Ok(quote(&schema.videos.thumbnail_url)),
                Some(missing) => Err(missing),
            },
            snapshots: qualify(&schema.snapshots.table),
            snapshot_video_id: quote(&schema.snapshots.video_id),
            region: quote(&schema.snapshots.region),
            newest_first: match snapshots.rowid {
                Some(rowid) => format!("{fetched_at} DESC, {rowid} DESC"),
                None => format!("{fetched_at} DESC"),
            },
        }
    }
}

fn update_score(schema: &Schema, names: &Names) -> String {
    let Names {
        videos, video_id, ..
    } = names;
    let score = quote(&schema.videos.virality_score);
    format!("UPDATE {videos} SET {score} = ?1 WHERE {video_id} = ?2 AND {score} IS NOT ?1")
}

fn last_snapshots(schema: &Schema, names: &Names) -> String {
    let columns = &schema.snapshots;
    let (views, likes, comments) = (
        quote(&columns.view_count),
        quote(&columns.likes),
        quote(&columns.comments),
    );
    let fetched_at = quote(&columns.fetched_at);
    let time = match schema.fetched_at {
        FetchedAt::Text => format!("CAST(strftime('%s', {fetched_at}) AS INTEGER)"),
        FetchedAt::Unix | FetchedAt::UnixMs => fetched_at,
    };
    let Names {
        snapshots,
        snapshot_video_id,
        region,
        newest_first,
        ..
    } = names;
    format!(
        "SELECT {views}, {likes}, {comments}, {region}, {time} FROM {snapshots} \
         WHERE {snapshot_video_id} = ?1 ORDER BY {newest_first} LIMIT 2"
    )
}

/// Quotes a name with backticks: where a name in double quotes is no column, SQLite silently
/// takes it for text.
fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

pub(super) fn qualify(table: &str) -> String {
    format!("main.{}", quote(table))
}

fn missing(schema: &Schema, videos: &Table, snapshots: &Table) -> Vec<Missing> {
    let Schema {
        videos: v,
        snapshots: s,
        ..
    } = schema;
    let of_videos = [
        ("video_id", &v.video_id),
        ("virality_score", &v.virality_score),
    ];
    let of_snapshots = [
        ("video_id", &s.video_id),
        ("view_count", &s.view_count),
        ("likes", &s.likes),
        ("comments", &s.comments),
        ("region", &s.region),
        ("fetched_at", &s.fetched_at),
    ];
    let mut missing = missing_of("videos", &v.table, videos, &of_videos);
    missing.extend(missing_of("snapshots", &s.table, snapshots, &of_snapshots));
    missing
}

fn missing_of(
    section: &str,
    name: &str,
    table: &Table,
    columns: &[(&str, &String)],
) -> Vec<Missing> {
    let missing = |column: Option<String>, key: &str| Missing {
        table: name.to_owned(),
        column,
        key: format!("schema.{section}.{key}"),
    };
    if table.columns.is_empty() {
        return vec![missing(None, "table")];
    }
    columns
        .iter()
        .filter(|(_, column)| !table.has(column))
        .map(|(key, column)| missing(Some((*column).clone()), key))
        .collect()
}
