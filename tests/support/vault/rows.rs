//! The rows of an ordinary vault: what a pipeline that fetches every region a few times a day
//! leaves behind.

use rusqlite::{Transaction, params};

use super::{REGIONS, VaultSpec};

/// 2026-08-20 12:00:00 UTC: when the newest snapshots were taken.
const NEWEST: i64 = 1_787_227_200;
const HOUR: i64 = 3_600;

/// How one video does: views, likes and comments come hour by hour.
struct Life {
    views: i64,
    /// Views an hour.
    pace: f64,
    /// Likes and comments a view.
    warmth: (f64, f64),
    region: &'static str,
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    spec: &VaultSpec,
    ids: &[String],
    dice: &mut fastrand::Rng,
) {
    let mut lives = Vec::with_capacity(ids.len());
    let mut video = transaction
        .prepare(
            "INSERT INTO videos(video_id, title, channel, virality_score, thumbnail_url, \
             created_at) VALUES (?1, ?2, ?3, ?4, ?5, datetime(?6, 'unixepoch'))",
        )
        .expect("prepare a video");
    for (number, id) in ids.iter().enumerate() {
        let life = Life::of(number, dice);
        let file = spec.files.get(number % spec.files.len().max(1));
        let thumbnail = file.map(|file| format!("{}/vi/{id}/{file}", spec.thumbnails));
        let title = format!("Video {number} \u{2014} \"{}\"", life.region);
        let channel = format!("Channel {}", number % 97);
        // A tenth was scored before.
        let score = (number % 10 == 3).then(|| f64::from(dice.u16(..1_000)) / 10.0);
        let created = NEWEST - dice.i64(1..90) * 24 * HOUR;
        video
            .execute(params![id, title, channel, score, thumbnail, created])
            .expect("insert a video");
        lives.push(life);
    }
    let mut snapshot = transaction
        .prepare(
            "INSERT INTO video_snapshots(video_id, view_count, likes, comments, region, \
             fetched_at) VALUES (?1, ?2, ?3, ?4, ?5, datetime(?6, 'unixepoch'))",
        )
        .expect("prepare a snapshot");
    // Round by round, as a pipeline writes them: one video's rows lie far apart.
    for round in (0..spec.snapshots).rev() {
        let hours = 6 * i64::try_from(round).expect("few rounds");
        for (number, (id, life)) in ids.iter().zip(&mut lives).enumerate() {
            // One in fifty is too new to have more than its last snapshot.
            if number % 50 == 49 && round > 0 {
                continue;
            }
            let second = i64::try_from(number % 300).expect("less than 300");
            let at = NEWEST - hours * HOUR + second;
            let (views, likes, comments) = life.next(dice);
            snapshot
                .execute(params![id, views, likes, comments, life.region, at])
                .expect("insert a snapshot");
        }
    }
}

impl Life {
    fn of(number: usize, dice: &mut fastrand::Rng) -> Self {
        // From a view an hour to a million, evenly on a log scale.
        let pace = 10f64.powf(dice.f64() * 6.0);
        Self {
            views: dice.i64(0..5_000_000),
            pace,
            warmth: (dice.f64() * 0.12, dice.f64() * 0.02),
            region: REGIONS[number % REGIONS.len()],
        }
    }

    fn next(&mut self, dice: &mut fastrand::Rng) -> (i64, i64, i64) {
        let views = self.views;
        self.views += (self.pace * 6.0 * (0.5 + dice.f64())) as i64;
        let of_views = |share: f64| (views as f64 * share) as i64;
        (views, of_views(self.warmth.0), of_views(self.warmth.1))
    }
}
