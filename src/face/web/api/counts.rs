//! How many there are of each. Counting walks a whole index, so it is not done anew for everybody;
//! the pages do, which are asked for again because something has changed.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::super::Shared;
use super::super::asked::Query;
use super::super::problem::Problem;
use super::super::remembered::Remembered;
use super::super::seen::seen;
use super::wire::Counts;
use crate::engine::{EngineError, SiteView, Tally};
use crate::face::protocol::RpcError;

/// So long a count is told again.
const LASTS: Duration = Duration::from_secs(1);

/// What was counted, or why it was not.
type Counted = Remembered<Result<Vec<Tally>, RpcError>>;

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
