//! What the API tells of the site's videos.

use serde_json::{Value, json};

use super::Document;
use super::operations::names;
use crate::face::protocol::Submitted;
use crate::face::web::api::videos::Check;
use crate::face::web::api::wire::{
    Counts, History, LivenessCheck, Paged, ScoredVideo, ThumbnailCheck,
};

const AFTER: &str = "Only those after this place: the last page's `next`.";

fn page_size() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 1000})
}

/// The site's videos, and what was found of them.
pub(super) fn describe(document: &mut Document) {
    videos(document);
    checks(document);
}

fn videos(document: &mut Document) {
    document
        .operation("get", "/videos", "Videos by score, highest first.")
        .query("region", "Only of this region.", json!({"type": "string"}))
        .query(
            "label",
            "Only these.",
            names(&["VIRAL", "TRENDING", "NORMAL"]),
        )
        .query("after", AFTER, json!({"type": "string"}))
        .query("limit", "How many; 100 without it.", page_size())
        .answer::<Paged<ScoredVideo>>("200", "A page of them.")
        .end();
    document
        .operation("get", "/regions", "How many scores each region has.")
        .answer::<Counts>("200", "The counts.")
        .end();
    document
        .operation(
            "get",
            "/videos/{video_id}",
            "All that is known of a video, and why.",
        )
        .answer_as(
            "200",
            "The video.",
            "application/json",
            json!({
                "type": "object",
                "required": ["video_id", "in_site", "score", "thumbnail", "liveness", "snapshots"],
            }),
        )
        .end();
    document
        .operation(
            "get",
            "/videos/{video_id}/history",
            "The snapshots of a video, newest first.",
        )
        .query(
            "limit",
            "How many; 100 without it.",
            json!({"type": "integer", "minimum": 1, "maximum": 500}),
        )
        .answer::<History>("200", "The snapshots; none of a video nobody knows.")
        .end();
    document
        .operation(
            "post",
            "/videos/{video_id}/check",
            "Has a video scored or asked for anew.",
        )
        .traced()
        .body::<Check>()
        .answer::<Submitted>("202", "Its job.")
        .end();
}

fn checks(document: &mut Document) {
    let statuses = ["valid", "placeholder", "broken", "error", "unknown"];
    document
        .operation(
            "get",
            "/thumbnails",
            "The latest check of each thumbnail, newest first.",
        )
        .query("status", "Only these.", names(&statuses))
        .query("after", AFTER, json!({"type": "string"}))
        .query("limit", "How many; 100 without it.", page_size())
        .answer::<Paged<ThumbnailCheck>>("200", "A page of them.")
        .end();
    document
        .operation("get", "/thumbnails/counts", "How many came out how.")
        .answer::<Counts>("200", "The counts.")
        .end();
    let verdicts = ["alive", "dead", "invalid", "unknown"];
    document
        .operation(
            "get",
            "/liveness",
            "The latest check of each video, newest first.",
        )
        .query("verdict", "Only these.", names(&verdicts))
        .query("after", AFTER, json!({"type": "string"}))
        .query("limit", "How many; 100 without it.", page_size())
        .answer::<Paged<LivenessCheck>>("200", "A page of them.")
        .end();
    document
        .operation("get", "/liveness/counts", "How many came out how.")
        .answer::<Counts>("200", "The counts.")
        .end();
    document
        .operation("get", "/liveness.csv", "All of them as CSV.")
        .query("verdict", "Only these.", names(&verdicts))
        .answer_as("200", "The rows.", "text/csv", json!({"type": "string"}))
        .end();
}
