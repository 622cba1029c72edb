//! What pages are drawn with, within the program itself.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use ring::digest::{SHA256, digest};

use crate::face::web::asked::Query;
use crate::face::web::options::hex;
use crate::face::web::problem::Problem;
use crate::face::web::seen::if_new;

/// What stands where there is no picture.
pub(super) const NO_PICTURE: &str = "no-picture.svg";

const SVG: &str = "image/svg+xml";
/// An address with its hash never means anything else.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Bytes of a hash that tell one asset from its next version.
const TELLING: usize = 8;

struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static str,
    hash: String,
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        asset(
            "style.css",
            "text/css; charset=utf-8",
            include_str!("../assets/style.css"),
        ),
        asset(
            "script.js",
            "text/javascript; charset=utf-8",
            include_str!("../assets/script.js"),
        ),
        asset("icon.svg", SVG, include_str!("../assets/icon.svg")),
        asset(NO_PICTURE, SVG, include_str!("../assets/no-picture.svg")),
    ]
});

fn asset(name: &'static str, kind: &'static str, body: &'static str) -> Asset {
    let digest = digest(&SHA256, body.as_bytes());
    let telling = digest.as_ref().get(..TELLING).unwrap_or_default();
    let hash = hex(telling);
    Asset {
        name,
        kind,
        body,
        hash,
    }
}

/// The hash of an asset; empty if there is none of this name.
pub(super) fn hash_of(name: &str) -> &'static str {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    found.map(|asset| asset.hash.as_str()).unwrap_or_default()
}

/// One, by its name.
pub(super) fn asset_of(name: &str, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(|| Problem::not_found("asset", name))?;
    let mut response = if_new(request, asset.kind, asset.body.into());
    let asked = Query::of(request)?.text("v");
    if asked.as_deref() == Some(asset.hash.as_str()) {
        let for_ever = HeaderValue::from_static(FOR_EVER);
        response.headers_mut().insert(CACHE_CONTROL, for_ever);
    }
    Ok(response)
}

/// The asset that a path names.
pub(super) async fn asset_at(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let name = request.match_info().query("name").to_owned();
    asset_of(&name, &request)
}
