//! Thumbnails from our own cache, drawn anew and small: not a byte of a stranger's is passed on.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::Semaphore;

use super::assets::{self, NO_PICTURE};
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;
use crate::face::web::seen::if_new;

/// The longest address of a picture that is asked for, in bytes.
pub(super) const LONGEST_URL: usize = 2_048;
/// The longest side in a list.
const SMALL: u32 = 240;
/// The longest side on a page of its own.
const LARGE: u32 = 640;
/// Pictures drawn at once for each of the server's threads.
const AT_ONCE: usize = 1;

/// Bounds how many pictures are drawn at once.
pub(super) struct Shrinking(Arc<Semaphore>);

impl Default for Shrinking {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// A picture of a video, or one that says that there is none.
pub(super) async fn picture(
    shared: Data<Shared>,
    shrinking: Data<Shrinking>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let size = request.match_info().query("size");
    let side = match size {
        "small" => SMALL,
        "large" => LARGE,
        _ => return Err(Problem::not_found("size", size)),
    };
    let mut query = Query::of(&request)?;
    let (video, url) = (query.text("video"), query.text("url"));
    query.end()?;
    let drawn = match video.zip(url) {
        Some((video, url)) => drawn(&shared, &shrinking, video, url, side).await,
        None => None,
    };
    let mut response = match drawn {
        Some(png) => if_new(&request, "image/png", png),
        None => assets::asset_of(NO_PICTURE, &request)?,
    };
    // A minute: the wall is looked at again and again, and a picture may be fetched meanwhile.
    let private = HeaderValue::from_static("private, max-age=60");
    response.headers_mut().insert(CACHE_CONTROL, private);
    Ok(response)
}

async fn drawn(
    shared: &Shared,
    shrinking: &Shrinking,
    video: String,
    url: String,
    side: u32,
) -> Option<Vec<u8>> {
    let place = Arc::clone(&shrinking.0).acquire_owned().await.ok()?;
    let engine = shared.site.engine.clone();
    let drawn = tokio::task::spawn_blocking(move || {
        // Held as long as the work goes on, whether or not the asker stays.
        let _place = place;
        engine.thumbnail(&video, &url, side)
    });
    drawn.await.ok().flatten()
}
