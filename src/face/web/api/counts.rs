//! How many there are of each. Counting walks a whole index, so it is not done anew for everybody.

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

/// What was counted a moment ago. Whoever asks while it is being counted waits for that.
#[derive(Debug, Default)]
pub(in super::super) struct Counted(Mutex<Option<(Instant, Vec<Tally>)>>);

impl Counted {
    async fn within<C>(
        &self,
        lasts: Duration,
        count: impl FnOnce() -> C,
    ) -> Result<Vec<Tally>, RpcError>
    where
        C: Future<Output = Result<Vec<Tally>, RpcError>>,
    {
        let mut counted = self.0.lock().await;
        if let Some((at, tallies)) = &*counted
            && at.elapsed() < lasts
        {
            return Ok(tallies.clone());
        }
        let tallies = count().await?;
        *counted = Some((Instant::now(), tallies.clone()));
        Ok(tallies)
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
}
