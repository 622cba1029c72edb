//! What a page of a site with our tables is made of, read as a face reads it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use support::engine::{EngineScene, score, stop};
use support::pictures;
use support::site::Reply;
use support::talk::until;
use support::vault::VaultSpec;
use vvv_actors::engine::{
    BlockingEngine, CheckFilter, Direction, EngineError, Found, LeaderboardFilter, LeaderboardRow,
    PictureCache, Report, SiteView, StoreError, ThumbnailStatus, ThumbnailsJob, Work, resized,
};

fn stage() -> EngineScene {
    EngineScene::of(VaultSpec::new(30))
}

fn view(stage: &EngineScene) -> SiteView {
    SiteView::open(&stage.config).unwrap()
}

fn cache(stage: &EngineScene) -> Arc<PictureCache> {
    Arc::new(PictureCache::open(&stage.folder.path().join("pictures"), 1 << 20).unwrap())
}

/// What an engine that keeps such pictures does.
fn run(
    stage: &EngineScene,
    pictures: Option<Arc<PictureCache>>,
    what: impl FnOnce(&BlockingEngine),
) {
    let engine = stage.builder(false).pictures(pictures);
    let engine = engine.start().unwrap().blocking();
    what(&engine);
    stop(&engine);
}

/// Has work done to its end.
fn work_off<F: Found>(engine: &BlockingEngine, work: impl Work<Report = Report<F>>) {
    let report = engine.submit(work).unwrap().wait().unwrap();
    assert!(report.is_complete(), "{:?}", report.failures);
}

/// The leaderboard, gathered page by page.
fn whole_board(view: &SiteView) -> Vec<LeaderboardRow> {
    let mut filter = LeaderboardFilter {
        limit: 7,
        ..LeaderboardFilter::default()
    };
    let mut rows = Vec::new();
    loop {
        let page = view.leaderboard(&filter).unwrap();
        rows.extend(page.rows);
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    rows
}

#[test]
fn a_file_where_we_never_ran_has_empty_pages() {
    let stage = stage();
    let view = view(&stage);
    let board = LeaderboardFilter {
        limit: 10,
        ..LeaderboardFilter::default()
    };
    assert_eq!(view.leaderboard(&board).unwrap().rows, []);
    assert_eq!(view.regions().unwrap(), []);
    assert_eq!(view.thumbnail_counts().unwrap(), []);
    assert_eq!(view.liveness_counts().unwrap(), []);
    assert_eq!(view.job_rates(0).unwrap(), []);
    let id = &stage.vault.ids[0];
    assert!(view.video(id).unwrap().unwrap().in_site);
    assert_eq!(view.video("nobody").unwrap(), None);
    assert_eq!(view.history("nobody", 10).unwrap(), []);
    let mut nowhere = stage.config.clone();
    nowhere.database.path = Path::new("").into();
    assert!(matches!(
        SiteView::open(&nowhere),
        Err(EngineError::NoDatabase)
    ));
}

#[test]
fn pages_show_what_the_actors_found() {
    let stage = stage();
    let ids = stage.vault.ids.clone();
    let gone = stage.picture(&ids[1], "gone.jpg");
    let videos = vec![stage.picture(&ids[0], "hqdefault.jpg"), gone.clone()];
    stage.site.thumbnail(&ids[1], Reply::status(404));
    run(&stage, None, |engine| {
        work_off(engine, score(&ids));
        work_off(engine, ThumbnailsJob { videos });
    });
    let later = format!(
        "DELETE FROM video_snapshots WHERE video_id = '{id}'; \
         INSERT INTO video_snapshots (video_id, view_count, likes, comments, region, fetched_at) \
         VALUES ('{id}', 100, 1, 2, 'PL', '2026-01-01 10:00:00'), \
           ('{id}', 700, 1, 2, 'PL', '2026-01-01 11:00:00'), \
           ('{id}', 800, 3, 4, 'PL', '2026-01-01 12:00:00');",
        id = ids[0]
    );
    stage.vault.connect().execute_batch(&later).unwrap();
    let view = view(&stage);
    let rows = whole_board(&view);
    let mut listed: Vec<_> = rows.iter().map(|row| row.video_id.clone()).collect();
    assert!(rows.is_sorted_by(|one, other| one.score >= other.score));
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), rows.len());
    let scored = stage.vault.ask("SELECT count(*) FROM vvv_scores");
    assert_eq!(scored, listed.len().to_string());
    let counted: u64 = view.regions().unwrap().iter().map(|of| of.rows.count).sum();
    assert_eq!(counted, u64::try_from(listed.len()).unwrap());

    let row = rows.iter().find(|row| row.video_id == ids[0]).unwrap();
    assert_eq!(row.trend.unwrap().direction, Direction::Falling);
    assert_eq!(row.thumbnail.as_deref(), Some("valid"));
    history_is_told(&view, &ids[0]);

    let page = view.thumbnail_checks(&CheckFilter {
        found: Some(ThumbnailStatus::Broken),
        before: None,
        limit: 10,
    });
    let page = page.unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(page.rows[0].url, gone.thumbnail_url);
    let card = view.video(&ids[1]).unwrap().unwrap();
    assert_eq!(card.thumbnail.verdict.unwrap().verdict, "broken");
}

fn history_is_told(view: &SiteView, id: &str) {
    let history = view.history(id, 2).unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|point| (point.seconds, point.velocity))
        .collect();
    let noon = 1_767_268_800;
    assert_eq!(
        told,
        [(Some(noon), Some(100.0)), (Some(noon - 3600), Some(600.0))]
    );
    assert_eq!(view.history(id, 500).unwrap()[2].velocity, None);
}

#[test]
fn a_look_ends_at_its_deadline() {
    let stage = stage();
    run(&stage, None, |engine| {
        work_off(engine, score(&stage.vault.ids));
    });
    let mut view = view(&stage);
    let filter = LeaderboardFilter {
        limit: 1_000,
        ..LeaderboardFilter::default()
    };
    view.bound(Duration::ZERO, Duration::from_nanos(1));
    let stopped = view.leaderboard(&filter);
    assert!(
        matches!(stopped, Err(EngineError::Store(StoreError::Interrupted))),
        "{stopped:?}"
    );
    // However short: what asks the file for many things has one deadline for all.
    let later = view.thumbnail_counts();
    assert!(
        matches!(later, Err(EngineError::Store(StoreError::Interrupted))),
        "{later:?}"
    );
    view.bound(Duration::ZERO, Duration::from_secs(60));
    assert!(view.leaderboard(&filter).is_ok());
}

#[test]
fn pictures_that_were_fetched_are_shown_from_the_cache() {
    let stage = stage();
    let ids = &stage.vault.ids;
    let small = stage.picture(&ids[0], "hqdefault.jpg");
    let page = stage.picture(&ids[1], "hqdefault.jpg");
    let broken = Reply::picture(b"\xff\xd8\xff no picture".to_vec());
    stage.site.thumbnail(&ids[1], broken);
    let videos = vec![small.clone(), page.clone()];
    let both = ThumbnailsJob { videos };
    run(&stage, Some(cache(&stage)), |engine| {
        work_off(engine, both.clone());
        let engine = engine.handle();
        let bytes = until("it is kept", || {
            engine.picture(&small.video_id, &small.thumbnail_url)
        });
        assert_eq!(bytes, pictures::youtube("hqdefault").unwrap());
        let shown = resized(&bytes, 160).unwrap();
        assert!(shown.starts_with(b"\x89PNG"));
        let asked = engine.thumbnail(&small.video_id, &small.thumbnail_url, 160);
        assert_eq!(asked, Some(shown));
        assert_eq!(engine.picture(&page.video_id, &page.thumbnail_url), None);
    });
    let cache = cache(&stage);
    let kept = cache.get(&small.video_id, &small.thumbnail_url);
    assert!(kept.is_some(), "it outlives the engine");
    // A file that was damaged is found out when it is decoded, and goes.
    let cut = kept.unwrap()[..2000].to_vec();
    cache.put(&small.video_id, &small.thumbnail_url, cut.clone());
    run(&stage, Some(cache), |engine| {
        let engine = engine.handle();
        until("the file is damaged", || {
            engine
                .picture(&small.video_id, &small.thumbnail_url)
                .filter(|kept| *kept == cut)
        });
        let asked = || engine.thumbnail(&small.video_id, &small.thumbnail_url, 160);
        assert_eq!(asked(), None);
        assert_eq!(engine.picture(&small.video_id, &small.thumbnail_url), None);
    });
    // Without a cache nothing is kept, and nothing shown.
    run(&stage, None, |engine| {
        work_off(engine, both);
        let engine = engine.handle();
        assert_eq!(engine.picture(&small.video_id, &small.thumbnail_url), None);
    });
}
