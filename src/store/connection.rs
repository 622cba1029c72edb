//! Opening the site's file: which errors mean what, how long a lock is waited for, and the
//! settings every connection of ours has.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Options;
use super::error::{StoreError, is_no_room};
use super::site::Site;
use crate::config::Checkpoint;

/// The longest one wait for a lock may take, so that whoever drives a connection stays
/// responsive between waits.
pub(super) const LOCK_STEP: Duration = Duration::from_millis(250);

/// Older ones can lose commits when several processes write one WAL.
const MIN_SQLITE: i32 = 3_051_003;

/// The statements a connection of ours keeps prepared: about twice as many as there are.
const PREPARED_STATEMENTS: usize = 64;

/// Opens the file and finds the site's tables in it. Waits for a lock for one step.
///
/// Its page cache may grow to `cache_mib`. A connection that alone writes keeps its cache from
/// one transaction to the next; every other one starts anew after each foreign commit.
pub(super) fn connect(options: &Options, cache_mib: u16) -> Result<(Connection, Site), StoreError> {
    if rusqlite::version_number() < MIN_SQLITE {
        return Err(StoreError::OldSqlite {
            found: rusqlite::version(),
        });
    }
    let path = &options.path;
    let mut connection = open_file(path)?;
    connection.busy_handler(Some(poll_for_lock()))?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    // Else what is bound may change a plan, and every statement that comes out of the cache,
    // its bindings cleared, would be prepared anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    configure(&connection, options, cache_mib).map_err(|error| of_file(path, error))?;
    let site = Site::inspect(&connection, options)?;
    connection.pragma_update(None, "trusted_schema", site.needs_trust)?;
    Ok((connection, site))
}

fn open_file(path: &Path) -> Result<Connection, StoreError> {
    let unopenable = |reason: String| StoreError::Unopenable {
        path: path.to_owned(),
        reason,
    };
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(unopenable("not a file".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::NoDatabase {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(unopenable(error.to_string())),
    }
    // Without CREATE: a typo must not make an empty database. A file that may only be read is
    // opened for reading by SQLite itself.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(never_a_uri(path), flags)
        .map_err(|error| unopenable(error.to_string()))
}

/// SQLite would read `file:…` as a URI and `:memory:` as no file at all.
fn never_a_uri(path: &Path) -> PathBuf {
    if path.is_relative() {
        Path::new(".").join(path)
    } else {
        path.to_owned()
    }
}

fn configure(
    connection: &Connection,
    options: &Options,
    cache_mib: u16,
) -> Result<(), rusqlite::Error> {
    // A negative size is in KiB.
    connection.pragma_update(None, "cache_size", i32::from(cache_mib) * -1024)?;
    connection.pragma_update(None, "foreign_keys", options.database.foreign_keys)?;
    // An answer means the commit survives a power cut. Where a rollback journal's end is the commit,
    // FULL leaves the folder unsynced, and a journal that is back after a cut takes the commit back.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Spilling a transaction early takes the exclusive lock in its middle.
    connection.pragma_update(None, "cache_spill", false)?;
    if options.database.checkpoint == Checkpoint::Never {
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    // A mapped file that another process truncates kills this one.
    connection.pragma_update(None, "mmap_size", 0)?;
    // The first read of the file: here it proves to be a database.
    connection.query_row("SELECT count(*) FROM main.sqlite_master", [], |_| Ok(()))
}

/// What an error at the first read says about the file.
fn of_file(path: &Path, error: rusqlite::Error) -> StoreError {
    if is_no_room(&error) {
        return StoreError::StorageFull;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotADatabase {
            path: path.to_owned(),
        },
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::PermissionDenied) => {
            StoreError::Unopenable {
                path: path.to_owned(),
                reason: error.to_string(),
            }
        }
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly {
            path: path.to_owned(),
        },
        _ => error.into(),
    }
}

/// A busy handler that looks again every few milliseconds for [`LOCK_STEP`].
fn poll_for_lock() -> impl FnMut(i32) -> bool + Send {
    let mut deadline = Instant::now();
    move |looks| {
        let now = Instant::now();
        if looks == 0 {
            deadline = now + LOCK_STEP;
        }
        let pause = Duration::from_millis(u64::try_from(looks).unwrap_or(0).clamp(1, 10));
        let go_on = now < deadline;
        if go_on {
            thread::sleep(pause.min(deadline - now));
        }
        go_on
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, JOURNALS};
    use super::super::{Reader, Writer};
    use super::*;

    fn refused(options: &Options) -> String {
        let writer = Writer::open(options).err().unwrap();
        let reader = Reader::open(options).err().unwrap();
        assert!(writer.is_unusable(), "{writer}");
        assert_eq!(writer.to_string(), reader.to_string());
        let path = options.path.display().to_string();
        writer.to_string().replace(&path, "PATH")
    }

    #[test]
    fn what_is_no_database_is_refused_by_name_and_left_alone() {
        let mut fixture = Fixture::new("delete");
        fixture.options.path = fixture.beside("typo.db");
        assert_eq!(
            refused(&fixture.options),
            "find the database PATH: no such file"
        );
        assert!(!fixture.options.path.exists());

        fixture.options.path = fixture.beside("");
        assert_eq!(
            refused(&fixture.options),
            "open the database PATH: not a file"
        );

        fixture.options.path = fixture.beside("notes.txt");
        let notes = "not a database at all, but long enough to have been one\n".repeat(20);
        std::fs::write(&fixture.options.path, &notes).unwrap();
        assert_eq!(
            refused(&fixture.options),
            "read PATH as a database: it is no SQLite file"
        );
        assert_eq!(
            std::fs::read_to_string(&fixture.options.path).unwrap(),
            notes
        );

        fixture.options.path = fixture.beside("notes.txt").join("vault.db");
        assert!(refused(&fixture.options).starts_with("open the database PATH: "));
    }

    #[test]
    fn an_empty_file_has_no_tables() {
        let mut fixture = Fixture::new("delete");
        fixture.options.path = fixture.beside("empty.db");
        std::fs::write(&fixture.options.path, "").unwrap();
        assert_eq!(
            refused(&fixture.options),
            "find the site's tables in PATH: no table videos (schema.videos.table), \
             table video_snapshots (schema.snapshots.table)"
        );
        assert_eq!(std::fs::read(&fixture.options.path).unwrap(), b"");
    }

    #[test]
    fn a_damaged_schema_is_told_from_a_missing_one() {
        let fixture = Fixture::new("delete");
        fixture.sql(
            "PRAGMA writable_schema = ON; \
             UPDATE sqlite_master SET sql = 'CREATE TABLE videos (' WHERE name = 'videos';",
        );
        let error = refused(&fixture.options);
        assert!(error.starts_with("read the database: malformed"), "{error}");
    }

    #[test]
    fn a_path_is_never_taken_for_a_uri() {
        let safe = |path: &str| never_a_uri(Path::new(path));
        assert_eq!(
            safe("file:vault.db?mode=memory"),
            Path::new("./file:vault.db?mode=memory")
        );
        assert_eq!(safe(":memory:"), Path::new("./:memory:"));
        assert_eq!(safe("/srv/vault.db"), Path::new("/srv/vault.db"));
    }

    #[test]
    fn opening_waits_for_a_lock_no_longer_than_a_step() {
        let fixture = Fixture::new("delete");
        let site = fixture.site();
        site.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let begun = Instant::now();
        assert!(Writer::open(&fixture.options).is_err_and(|error| error.is_locked()));
        assert!(Reader::open(&fixture.options).is_err_and(|error| error.is_locked()));
        assert!(begun.elapsed() < 8 * LOCK_STEP, "{:?}", begun.elapsed());
        site.execute_batch("COMMIT").unwrap();
        Writer::open(&fixture.options).unwrap().close();
    }

    #[test]
    fn connections_are_set_as_promised() {
        for journal in JOURNALS {
            let mut fixture = Fixture::new(journal);
            for foreign_keys in [false, true] {
                fixture.options.database.foreign_keys = foreign_keys;
                let (connection, _) = connect(&fixture.options, 3).unwrap();
                let number = |pragma: &str| -> i64 {
                    let sql = format!("PRAGMA {pragma}");
                    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
                };
                assert_eq!(number("foreign_keys"), i64::from(foreign_keys));
                assert_eq!(number("synchronous"), 3);
                assert_eq!(number("cache_size"), -3072);
                assert_eq!(number("cache_spill"), 0);
                assert_eq!(number("trusted_schema"), 0);
                assert_eq!(number("temp_store"), 2);
            }
        }
    }

    #[test]
    fn triggers_and_views_of_the_site_are_trusted() {
        let fixture = Fixture::new("wal");
        fixture.sql(
            "CREATE TABLE seen (columns); \
             CREATE TRIGGER see AFTER UPDATE ON videos BEGIN \
               INSERT INTO seen SELECT count(*) FROM pragma_table_info('videos'); END;",
        );
        let (connection, site) = connect(&fixture.options, 3).unwrap();
        fixture.sql("INSERT INTO videos VALUES ('a', 'A title', NULL, NULL)");
        let updated = connection.execute(&site.update_score, (1.5, "a")).unwrap();
        assert_eq!(updated, 1);
        assert_eq!(fixture.rows("SELECT columns FROM seen"), ["4"]);
    }
}
