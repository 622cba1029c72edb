//! Durable operations a second through the database actor, by how many wait at once, beside one
//! transaction an operation on a bare connection. `cargo bench --bench db`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may stop at the first surprise"
)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler};
use futures_util::StreamExt;
use rusqlite::Connection;
use vvv_actors::actors::clock::Clock;
use vvv_actors::actors::db::{Db, DbActor, Troubles, WriterReopened};
use vvv_actors::actors::faults::Faults;
use vvv_actors::actors::meters::Meters;
use vvv_actors::actors::slot::Slot;
use vvv_actors::store::{Options, ParkUpstream, Writer};

const FOR: Duration = Duration::from_secs(2);

struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<WriterReopened> for Nobody {
    type Result = ();

    fn handle(&mut self, _: WriterReopened, _: &mut Self::Context) {}
}

fn main() {
    println!("journal   in flight   operations/s");
    for journal in ["WAL", "DELETE"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.db");
        common::make_vault(&path, 1_000, journal);
        for in_flight in [1, 8, 64, 256, 512] {
            println!(
                "{journal:8} {in_flight:10} {:14.0}",
                actor(&path, in_flight)
            );
        }
        println!("{journal:8} {:>10} {:14.0}", "bare", bare(&path));
    }
}

fn actor(path: &Path, in_flight: usize) -> f64 {
    let config = common::config(path);
    let options = Arc::new(Options {
        path: path.to_owned(),
        database: config.database.clone(),
        schema: config.schema.clone(),
        keep_details: true,
        queue: vvv_actors::store::QueueHome::Memory,
    });
    let writer = Writer::open(&options).unwrap();
    let clock = Clock::system();
    actix_rt::System::new().block_on(async move {
        let nobody = Nobody.start().recipient();
        let arbiter = actix_rt::Arbiter::new();
        let actor = DbActor::start_in_arbiter(&arbiter.handle(), move |_| {
            DbActor::new(
                writer,
                options,
                nobody,
                Meters::default(),
                Faults::default(),
            )
        });
        let db = Db::new(Slot::new(actor), Troubles::default());
        let began = Instant::now();
        let done = futures_util::stream::iter(0_u64..)
            .take_while(|_| std::future::ready(began.elapsed() < FOR))
            .map(|n| {
                let upstream = format!("upstream {}", n % 1_000);
                let park = ParkUpstream {
                    upstream,
                    now: clock.boot(),
                    retry_after: None,
                };
                let db = db.clone();
                async move { db.write(park).await.unwrap() }
            })
            .buffer_unordered(in_flight)
            .count()
            .await;
        let rate = common::rate(done, began.elapsed());
        arbiter.stop();
        arbiter.join().unwrap();
        rate
    })
}

/// The same row written in a transaction of its own, at the same durability.
fn bare(path: &Path) -> f64 {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA synchronous = EXTRA")
        .unwrap();
    let mut write = connection
        .prepare(
            "INSERT INTO vvv_upstreams (upstream, boot_id, parked_until_ms, strikes) VALUES (?1, 'b', ?2, 1)
             ON CONFLICT (upstream) DO UPDATE SET parked_until_ms = excluded.parked_until_ms, strikes = strikes + 1",
        )
        .unwrap();
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < FOR {
        write
            .execute((
                format!("upstream {}", done % 1_000),
                i64::try_from(done).unwrap(),
            ))
            .unwrap();
        done += 1;
    }
    common::rate(done, began.elapsed())
}
