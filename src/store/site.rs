//! The site's own tables under their mapped names: whether they are there, what they are, and
//! the statements on them, built once a connection.

use rusqlite::Connection;

use super::Options;
use super::error::{Missing, StoreError};
use super::table::Table;
use crate::config::{FetchedAt, Schema};

/// The site's column of titles, which no key maps.
const TITLE: &str = "title";

/// What is known of the site's tables, with the statements that run often.
pub(super) struct Site {
    /// Sets a video's score where it differs: score, id.
    pub(super) update_score: String,
    /// The last two snapshots of an id, newest first.
    pub(super) last_snapshots: String,
    /// The address of the thumbnail and the title of an id, NULL where the site has none.
    pub(super) shown_of_video: String,
    /// The place of an id in its table; none where places mean nothing or cannot be looked up.
    pub(super) rowid_of: Option<String>,
    /// How the time of a snapshot comes out of `last_snapshots`.
    pub(super) fetched_at: FetchedAt,
    /// Quoted names for statements that are built where they run.
    pub(super) names: Names,
    /// Whether the last snapshots are found without reading all.
    pub(super) has_snapshot_index: bool,
    /// Whether the snapshots of one video are.
    pub(super) has_snapshots_of_video: bool,
    /// Whether a video is found by its id without reading all.
    pub(super) has_video_index: bool,
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
    /// Nothing of ours needs it; it is shown where it is there.
    pub(super) title: Option<String>,
    pub(super) virality_score: String,
    pub(super) snapshots: String,
    pub(super) fetched_at: String,
    pub(super) snapshot_video_id: String,
    pub(super) region: String,
    /// What the formula reads of a snapshot, in the order in which it is read.
    pub(super) snapshot_cells: String,
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
            update_score: update_score(&names),
            last_snapshots: last_snapshots(&names),
            shown_of_video: shown_of_video(&names),
            rowid_of,
            fetched_at: schema.fetched_at,
            names,
            has_snapshot_index: snapshots.is_view
                || snapshots
                    .is_indexed(&[&schema.snapshots.video_id, &schema.snapshots.fetched_at]),
            has_snapshots_of_video: snapshots.is_view
                || snapshots.is_indexed(&[&schema.snapshots.video_id]),
            has_video_index: videos.is_view || videos.is_indexed(&[&schema.videos.video_id]),
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
            title: videos.has(TITLE).then(|| quote(TITLE)),
            virality_score: quote(&schema.videos.virality_score),
            snapshots: qualify(&schema.snapshots.table),
            fetched_at: fetched_at.clone(),
            snapshot_video_id: quote(&schema.snapshots.video_id),
            region: quote(&schema.snapshots.region),
            snapshot_cells: snapshot_cells(schema),
            newest_first: match snapshots.rowid {
                Some(rowid) => format!("{fetched_at} DESC, {rowid} DESC"),
                None => format!("{fetched_at} DESC"),
            },
        }
    }
}

fn update_score(names: &Names) -> String {
    let Names {
        videos,
        video_id,
        virality_score: score,
        ..
    } = names;
    format!("UPDATE {videos} SET {score} = ?1 WHERE {video_id} = ?2 AND {score} IS NOT ?1")
}

/// Views, likes, comments, region and the time as the formula reads it.
fn snapshot_cells(schema: &Schema) -> String {
    let columns = &schema.snapshots;
    let fetched_at = quote(&columns.fetched_at);
    let time = match schema.fetched_at {
        FetchedAt::Text => format!("CAST(strftime('%s', {fetched_at}) AS INTEGER)"),
        FetchedAt::Unix | FetchedAt::UnixMs => fetched_at,
    };
    format!(
        "{}, {}, {}, {}, {time}",
        quote(&columns.view_count),
        quote(&columns.likes),
        quote(&columns.comments),
        quote(&columns.region),
    )
}

fn last_snapshots(names: &Names) -> String {
    let Names {
        snapshots,
        snapshot_video_id,
        snapshot_cells,
        newest_first,
        ..
    } = names;
    format!(
        "SELECT {snapshot_cells} FROM {snapshots} \
         WHERE {snapshot_video_id} = ?1 ORDER BY {newest_first} LIMIT 2"
    )
}

fn shown_of_video(names: &Names) -> String {
    let url = names.thumbnail_url.as_deref().unwrap_or("NULL");
    let title = names.title.as_deref().unwrap_or("NULL");
    format!(
        "SELECT {url}, {title} FROM {} WHERE {} = ?1",
        names.videos, names.video_id
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

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::super::{Options, Reader};
    use super::*;

    fn missing_in(options: &Options) -> Vec<String> {
        match Reader::open(options) {
            Err(StoreError::Missing { missing, .. }) => {
                missing.iter().map(ToString::to_string).collect()
            }
            Err(other) => panic!("{other}"),
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn every_missing_column_is_named_with_the_key_that_maps_it() {
        let mut fixture = Fixture::with_tables(
            "delete",
            "CREATE TABLE videos (video_id TEXT PRIMARY KEY, score REAL); \
             CREATE TABLE video_snapshots (video_id TEXT, views INTEGER, LIKES INTEGER, \
               comments INTEGER, fetched_at TEXT);",
        );
        assert_eq!(
            missing_in(&fixture.options),
            [
                "column videos.virality_score (schema.videos.virality_score)",
                "column video_snapshots.view_count (schema.snapshots.view_count)",
                "column video_snapshots.region (schema.snapshots.region)",
            ]
        );
        fixture.options.schema.videos.virality_score = "score".to_owned();
        fixture.options.schema.snapshots.view_count = "views".to_owned();
        fixture.options.schema.snapshots.region = "comments".to_owned();
        assert_eq!(missing_in(&fixture.options), [""; 0]);
    }

    #[test]
    fn names_are_never_taken_for_sql_or_text() {
        let mut fixture = Fixture::with_tables(
            "delete",
            "CREATE TABLE \"the `odd\"\" one\" (\"select\" TEXT PRIMARY KEY, \"a b\" REAL); \
             CREATE TABLE snaps (v TEXT, \"view count\", l, c, r, \"from\"); \
             INSERT INTO \"the `odd\"\" one\" VALUES ('x', 1.0); \
             INSERT INTO snaps VALUES ('x', 10, 2, 3, 'PL', '2026-01-01 00:00:00');",
        );
        let schema = &mut fixture.options.schema;
        let name = str::to_owned;
        schema.videos.table = name("the `odd\" one");
        schema.videos.video_id = name("select");
        schema.videos.virality_score = name("a b");
        schema.snapshots = crate::config::SnapshotsTable {
            table: name("SNAPS"),
            video_id: name("v"),
            view_count: name("view count"),
            likes: name("l"),
            comments: name("c"),
            region: name("r"),
            fetched_at: name("from"),
        };
        let reader = fixture.reader();
        assert!(!reader.site.has_snapshot_index);
        let mut seen = 0;
        reader
            .snapshots(&["x".to_owned()], |_, last| {
                assert_eq!(last[0].region.as_deref(), Some("PL"));
                assert_eq!(last[0].seconds, Some(1_767_225_600));
                seen += last.len();
                true
            })
            .unwrap();
        assert_eq!(seen, 1);
        let site = fixture.site();
        let sql = &reader.site.update_score;
        assert_eq!(site.execute(sql, (2.5, "x")).unwrap(), 1);
        assert_eq!(
            site.execute(sql, (2.5, "x")).unwrap(),
            0,
            "only where it differs"
        );
    }

    #[test]
    fn a_column_dropped_while_we_run_is_an_error_not_a_text() {
        let fixture = Fixture::new("wal");
        fixture.sql("INSERT INTO video_snapshots VALUES (1, 'a', 1, 1, 1, 'GB', '2026-01-01')");
        let reader = fixture.reader();
        fixture.sql("ALTER TABLE video_snapshots DROP COLUMN likes");
        let error = reader
            .snapshots(&["a".to_owned()], |_, _| true)
            .unwrap_err();
        assert!(
            error.to_string().contains("no such column: likes"),
            "{error}"
        );
    }

    #[test]
    fn the_snapshot_index_is_recognised_in_its_forms() {
        let has_index = |tables: &str| {
            let videos = "CREATE TABLE videos (video_id, virality_score);";
            let fixture = Fixture::with_tables("delete", &format!("{videos}{tables}"));
            fixture.reader().site.has_snapshot_index
        };
        let columns = "video_id, view_count, likes, comments, region, fetched_at";
        let table = format!("CREATE TABLE video_snapshots ({columns});");
        assert!(!has_index(&table));
        for (index, helps) in [
            ("(video_id, fetched_at)", true),
            ("(VIDEO_ID, fetched_at DESC, likes)", true),
            ("(video_id)", false),
            ("(fetched_at, video_id)", false),
            ("(video_id, date(fetched_at))", false),
            ("(video_id, fetched_at) WHERE likes > 0", false),
        ] {
            let index = format!("CREATE INDEX i ON video_snapshots {index};");
            assert_eq!(has_index(&format!("{table}{index}")), helps, "{index}");
        }
        let key = "PRIMARY KEY (video_id, fetched_at)";
        assert!(has_index(&format!(
            "CREATE TABLE video_snapshots ({columns}, {key}) WITHOUT ROWID;"
        )));
        assert!(has_index(&format!(
            "CREATE TABLE all_snapshots ({columns}); \
             CREATE VIEW video_snapshots AS SELECT * FROM all_snapshots;"
        )));
    }
}
