//! Whether we live, and whether we are of use: for whoever restarts us, and whoever sends us work.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::Shared;
use super::problem::Problem;
use super::remembered::Remembered;
use crate::engine::Status;
use crate::face::site::Site;

/// So long an answer is told again. Anybody may ask, and all actors are asked for it.
const LASTS: Duration = Duration::from_secs(1);

/// What keeps work from being done, as it was found a moment ago; none if nothing does.
pub(super) type Unready = Remembered<Option<String>>;

/// The process answers.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// All actors live, or are replaced at once, and work is taken.
pub(super) async fn readyz(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    let unready = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unready", detail);
    if shared.site.is_draining() || *shared.closing.borrow() {
        return Err(unready("it is about to stop"));
    }
    let found = shared.unready.within(LASTS, || found(&shared.site));
    match found.await {
        None => Ok(HttpResponse::Ok().json(json!({"status": "ready"}))),
        Some(wrong) => Err(unready(&wrong)),
    }
}

async fn found(site: &Site) -> Option<String> {
    match site.engine_status().await {
        Ok(status) => wrong(&status),
        Err(error) => Some(error.message),
    }
}

/// What keeps work from being done; none if nothing does.
fn wrong(status: &Status) -> Option<String> {
    let spent = status.seats.iter().filter(|seat| seat.is_spent);
    let spent = spent.map(|seat| seat.actor.as_str());
    let degraded = status.pools.iter().filter(|pool| pool.degraded);
    let told: Vec<String> = spent
        .clone()
        .map(|actor| format!("the {actor} died too often and rests for a while"))
        .chain(degraded.map(|pool| format!("the workers of {} died too often", pool.queue)))
        .chain(
            status
                .silent
                .iter()
                .filter(|name| spent.clone().all(|actor| actor != **name))
                .map(|name| format!("the {name} does not answer")),
        )
        .collect();
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{PoolStatus, Queue, SeatStatus};

    fn status() -> Status {
        let pool = PoolStatus {
            queue: Queue::Scoring,
            workers: 4,
            busy: 0,
            ready: 0,
            uncommitted: 0,
            restarts: 1,
            degraded: false,
            running: Vec::new(),
        };
        let seat = SeatStatus {
            actor: "rate limiter".to_owned(),
            restarts: 1,
            is_spent: false,
        };
        Status {
            pools: vec![pool],
            open_jobs: None,
            writes_waiting: 0,
            waiting_for_lock_s: None,
            restarts: 2,
            seats: vec![seat],
            silent: Vec::new(),
        }
    }

    #[test]
    fn whoever_cannot_work_is_named() {
        assert_eq!(wrong(&status()), None);
        let mut bad = status();
        bad.seats[0].is_spent = true;
        bad.pools[0].degraded = true;
        bad.silent = vec!["rate limiter".to_owned(), "database actor".to_owned()];
        assert_eq!(
            wrong(&bad).unwrap(),
            "the rate limiter died too often and rests for a while; the workers of scoring died \
             too often; the database actor does not answer"
        );
    }
}
