//! What a job costs when there is nothing to do: jobs of one unknown video, submitted, claimed, run,
//! ended and told, as `cargo bench --bench pool` shows them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a benchmark may stop at the first surprise"
)]

mod common;

use std::time::{Duration, Instant};

use vvv_actors::engine::{Engine, Job, ScoreJob, TicketEvent};

const JOBS: usize = 20_000;
const RUNS: usize = 3;

fn main() {
    println!("workers   jobs/s   microseconds a job");
    for workers in [1, 4] {
        let rates = (0..RUNS).map(|_| run(workers)).collect();
        let rate = common::median(rates);
        println!("{workers:7} {rate:8.0} {:10.1}", 1e6 / rate);
    }
}

fn run(workers: usize) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.db");
    common::make_vault(&path, 1, "WAL");
    let mut config = common::config(&path);
    config.queues.scoring.workers = workers;
    config.queues.scoring.chunk = 1;
    let engine = Engine::builder().config(config).start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ids = (0..JOBS).map(|n| format!("unknown{n}")).collect();
    let began = Instant::now();
    let ended = runtime.block_on(async {
        let job = Job::Score(ScoreJob { video_ids: ids });
        let mut ticket = engine.start_job(job).await.unwrap();
        let mut ended = 0;
        while let Some(event) = ticket.next().await {
            match event {
                TicketEvent::Scored(scores) => ended += scores.len(),
                other => panic!("{other:?}"),
            }
        }
        ended
    });
    let elapsed = began.elapsed();
    assert_eq!(ended, JOBS);
    runtime.block_on(engine.shutdown(Duration::ZERO));
    common::rate(JOBS, elapsed)
}
