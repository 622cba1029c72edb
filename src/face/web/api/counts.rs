//! How many there are of each. Counting walks a whole index, so it is not done anew for everybody;
//! the pages do, which are asked for again because something has changed.

use std::future::Future;
use std::time::{Duration, Instant};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::Mutex;

use super::super::Shared;
use super::super::asked::Query;
use super::super::problem::Problem;
use super::super::seen::seen;
use super::wire::Counts;
use crate::engine::{EngineError, SiteView, Tally};
use crate::face::protocol::RpcError;

/// So long a count is told again.
const LASTS: Duration = Duration::from_secs(1);

type Tallied = Result<Vec<Tally>, RpcError>;

/// What was counted a moment ago, or why it was not. Whoever asks while it is being counted waits for
/// that.
#[derive(Debug, Default)]
pub(in super::super) struct Counted(Mutex<Option<(Instant, Tallied)>>);

impl Counted {
    async fn within<C>(&self, lasts: Duration, count: impl FnOnce() -> C) -> Tallied
    where
        C: Future<Output = Tallied>,
    {
        let mut counted = self.0.lock().await;
        if let Some((at, tallied)) = &*counted
            && at.elapsed() < lasts
        {
            return tallied.clone();
        }
        let tallied = count().await;
        *counted = Some((Instant::now(), tallied.clone()));
        tallied
    }
}

/// What is counted.
#[derive(Debug, Default)]
pub(in super::super) struct AllCounted {
    regions: Counted,
    thumbnails: Counted,
    liveness: Counted,
}

/// How many scores each region has.
pub(super) async fn regions(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    counts(
        &shared,
        &request,
        &shared.counted.regions,
        SiteView::regions,
    )
    .await
}

/// How many checks of thumbnails came out how.
pub(super) async fn thumbnails(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let counted = &shared.counted.thumbnails;
    counts(&shared, &request, counted, SiteView::thumbnail_counts).await
}

/// How many checks of videos came out how.
pub(super) async fn liveness(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let counted = &shared.counted.liveness;
    counts(&shared, &request, counted, SiteView::liveness_counts).await
}

async fn counts(
    shared: &Shared,
    request: &HttpRequest,
    counted: &Counted,
    look: fn(&SiteView) -> Result<Vec<Tally>, EngineError>,
) -> Result<HttpResponse, Problem> {
    Query::of(request)?.end()?;
    let tallies = counted.within(LASTS, || shared.site.videos.look(look));
    let counts = tallies.await?.into_iter().map(Into::into).collect();
    seen(request, &Counts { counts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[actix_rt::test]
    async fn what_was_counted_a_moment_ago_is_not_counted_anew() {
        let (counted, looks) = (Counted::default(), Cell::new(0));
        let count = || async {
            looks.set(looks.get() + 1);
            Ok(Vec::new())
        };
        for _ in 0..3 {
            counted
                .within(Duration::from_secs(3600), count)
                .await
                .unwrap();
        }
        assert_eq!(looks.get(), 1);
        counted.within(Duration::ZERO, count).await.unwrap();
        assert_eq!(looks.get(), 2);
    }

    #[actix_rt::test]
    async fn who_waited_for_a_count_that_failed_does_not_wait_for_another() {
        let (counted, looks) = (Counted::default(), Cell::new(0));
        let fail = || async {
            looks.set(looks.get() + 1);
            Err(RpcError::params("count", "locked"))
        };
        let lasts = Duration::from_secs(3600);
        let (first, second) =
            tokio::join!(counted.within(lasts, fail), counted.within(lasts, fail));
        assert_eq!(
            (first.is_err(), second.is_err(), looks.get()),
            (true, true, 1)
        );
    }
}
