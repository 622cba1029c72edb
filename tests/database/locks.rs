//! Locks of others, and the change to a WAL, which needs all of the file.

use std::time::Duration;

use vvv_actors::engine::database::{
    DatabaseError, DoctorRequest, Level, Lock, Now, Patience, doctor, lock_holders, show_video,
    size,
};
use vvv_actors::store::StoreError;

use super::{Neighbour, Vault, mode, one};

#[test]
fn who_holds_a_lock_is_named_with_pid_command_and_lock() {
    let hold = |begin: &str| format!("{begin}\ngo()\ndb.execute('COMMIT')");
    let write = "db.execute('BEGIN IMMEDIATE')";
    let read = "db.execute('BEGIN'); db.execute('SELECT * FROM videos').fetchone()";
    let exclusive = "db.execute('BEGIN EXCLUSIVE')";
    for (journal, begin, lock) in [
        ("delete", write, Lock::Reserved),
        ("delete", read, Lock::Reading),
        ("delete", exclusive, Lock::Exclusive),
        ("wal", write, Lock::WalWriting),
        ("wal", read, Lock::WalReading),
    ] {
        let vault = Vault::new(journal);
        vault.video("abcdefghijk", &[1, 2]);
        let mut neighbour = Neighbour::start(vault.path(), &hold(begin));
        let holders = lock_holders(vault.path()).unwrap();
        let [holder] = holders.as_slice() else {
            panic!("{journal} {begin}: {holders:?}")
        };
        assert_eq!(holder.pid, Some(neighbour.pid()));
        assert_eq!(holder.strongest(), lock, "{holder:?}");
        assert!(holder.command.as_ref().unwrap().contains("python3 -c"));

        let diagnosis = vault.look();
        let locks = one(&diagnosis, "locks");
        let pid = format!("pid {} (", neighbour.pid());
        assert!(locks.text.contains(&pid), "{locks}");
        assert_eq!(locks.needs_doing, lock.blocks_writers(), "{locks}");
        // Only who lets nobody read keeps the rest from being looked into.
        let file = one(&diagnosis, "file");
        assert_eq!(file.level == Level::Bad, lock == Lock::Exclusive, "{file}");

        neighbour.release();
        assert_eq!(one(&vault.look(), "locks").level, Level::Ok);
    }
}

#[test]
fn a_waiting_verb_is_told_how_long_and_goes_on_when_the_lock_is_free() {
    let vault = Vault::new("delete");
    vault.video("abcdefghijk", &[100, 200]);
    let program = "db.execute('BEGIN EXCLUSIVE')\ngo()\ndb.execute('COMMIT')";
    let mut neighbour = Some(Neighbour::start(vault.path(), program));
    let mut longest = Duration::ZERO;
    let mut told = |waited: Duration| {
        assert!(
            waited < longest + Duration::from_millis(750),
            "a step took too long"
        );
        longest = waited;
        if waited > Duration::from_secs(1)
            && let Some(mut neighbour) = neighbour.take()
        {
            neighbour.release();
        }
    };
    let card = show_video(
        &vault.config,
        "abcdefghijk",
        &mut Patience::endless(&mut told),
    )
    .unwrap()
    .unwrap();
    assert_eq!(card.snapshots.len(), 2);
    assert!(longest > Duration::from_secs(1));

    let _neighbour = Neighbour::start(vault.path(), program);
    let mut ignored = |_| {};
    let mut hasty = Patience::limited(Duration::from_millis(300), &mut ignored);
    let refused = size(&vault.config, &mut hasty);
    assert!(
        matches!(refused, Err(DatabaseError::Store(StoreError::Locked))),
        "{refused:?}"
    );
}

#[test]
fn a_wal_is_refused_where_it_would_lock_a_reader_out() {
    let vault = Vault::new("delete");
    mode(vault.path(), 0o644);
    mode(vault.folder.path(), 0o755);
    let ask = |users: &[&str]| {
        vault.doctor(&DoctorRequest {
            users: users.iter().map(ToString::to_string).collect(),
            set_wal: true,
            ..DoctorRequest::default()
        })
    };
    for (users, why) in [
        (vec![], "can read the file now and could not once"),
        (vec!["4000000"], "user 4000000 could not read it any more"),
        (
            vec!["root", "4000000"],
            "user 4000000 could not read it any more",
        ),
        (vec!["no-such-user"], "there is no user no-such-user"),
    ] {
        let diagnosis = ask(&users);
        let journal = one(&diagnosis, "journal");
        assert!(diagnosis.needs_doing());
        assert!(journal.text.contains(why), "{journal}");
        assert!(one(&vault.look(), "journal").text.starts_with("delete"));
    }
    let made = ask(&["root"]);
    assert_eq!(one(&made, "journal").text, "wal: turned to it now");
    assert!(one(&vault.look(), "journal").text.starts_with("wal"));
    // And the user who was given up on is told.
    let told = vault.doctor(&DoctorRequest {
        users: vec!["4000000".to_owned()],
        ..DoctorRequest::default()
    });
    let access = one(&told, "access");
    assert!(
        access.text.starts_with("user 4000000 cannot read"),
        "{access}"
    );
}

#[test]
fn a_wal_is_turned_to_once_readers_have_ended() {
    let vault = Vault::new("delete");
    vault.video("abcdefghijk", &[1, 2]);
    // A cursor in the middle of its rows keeps its lock.
    let program = "rows = db.execute('SELECT * FROM video_snapshots')\nrows.fetchone()\ngo()\n\
                   rows.close()";
    let mut neighbour = Some(Neighbour::start(vault.path(), program));
    let request = DoctorRequest {
        users: vec!["root".to_owned()],
        set_wal: true,
        ..DoctorRequest::default()
    };
    let made = doctor(&vault.config, &request, &Now::read(), &mut |_| {
        if let Some(mut neighbour) = neighbour.take() {
            neighbour.release();
        }
    })
    .unwrap();
    assert_eq!(one(&made, "journal").text, "wal: turned to it now");
    assert!(neighbour.is_none());
}
