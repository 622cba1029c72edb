//! The article's virality score: velocity and engagement of the last two snapshots, each against
//! its region's baseline.
//!
//! Results equal the article's Python to the last digit, so a site can switch over without its
//! ranking moving. Where that Python would raise for a whole batch, one video gets a reason.

mod number;
mod reason;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use number::{Number, at_most_hundred, round_to_integer};

pub use number::round_half_even;
pub use reason::{Field, Reason};

/// What a region's ordinary success looks like.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Views an hour.
    pub velocity: f64,
    /// Engagement, percent.
    pub engagement: f64,
}

/// The region whose baseline serves all regions without their own.
const FALLBACK_REGION: &str = "GB";

/// The article's baseline of [`FALLBACK_REGION`].
const FALLBACK: Baseline = Baseline {
    velocity: 20_000.0,
    engagement: 4.5,
};

/// The baselines by region.
#[derive(Debug, Clone, PartialEq)]
pub struct Baselines {
    by_region: BTreeMap<Arc<str>, Baseline>,
    fallback: Baseline,
}

impl Baselines {
    /// Takes the configured ones; without GB among them the article's stands in.
    #[must_use]
    pub fn new(by_region: &BTreeMap<String, Baseline>) -> Self {
        let shared = |(region, baseline): (&String, &Baseline)| (region.as_str().into(), *baseline);
        Self {
            by_region: by_region.iter().map(shared).collect(),
            fallback: by_region.get(FALLBACK_REGION).copied().unwrap_or(FALLBACK),
        }
    }

    /// The baseline of a region, GB's for an unknown one.
    #[must_use]
    pub fn of(&self, region: Option<&str>) -> Baseline {
        region
            .and_then(|region| self.by_region.get(region))
            .copied()
            .unwrap_or(self.fallback)
    }

    /// The region's name to keep with a score: known ones are shared, not copied for each video.
    fn shared_name(&self, region: &str) -> Arc<str> {
        let known = self.by_region.get_key_value(region);
        known.map_or_else(|| region.into(), |(name, _)| Arc::clone(name))
    }
}

/// A cell of the site's views, likes or comments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Count {
    /// NULL.
    Missing,
    /// An INTEGER.
    Integer(i64),
    /// A REAL.
    Real(f64),
    /// Text or a blob: nothing to calculate with.
    Unreadable,
}

/// What the site recorded of a video at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Views up to then.
    pub views: Count,
    /// Likes up to then.
    pub likes: Count,
    /// Comments up to then.
    pub comments: Count,
    /// Where the video trended.
    pub region: Option<String>,
    /// When, Unix seconds; none where the date cannot be read.
    pub seconds: Option<i64>,
    /// Whether the region is text that is no UTF-8.
    pub region_is_unreadable: bool,
}

/// What became of one video.
#[derive(Debug, Clone, PartialEq)]
pub enum Score {
    /// A score.
    Scored(Scored),
    /// None, and why.
    Unscored(Reason),
}

/// A score with what it is made of, rounded as the report shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// At most 100, no lower bound; 1 decimal.
    pub score: f64,
    /// Views an hour, whole.
    pub velocity: i128,
    /// Likes and twice the comments by views, percent; 2 decimals.
    pub engagement: f64,
    /// Region of the latest snapshot.
    pub region: Option<Arc<str>>,
    /// Judged on the unrounded score.
    pub label: Label,
}

/// The lowest score of a viral video.
const VIRAL: f64 = 85.0;
/// The lowest score of a trending one.
const TRENDING: f64 = 60.0;

/// The class of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Label {
    /// 85 and above.
    Viral,
    /// 60 and above.
    Trending,
    /// The rest.
    Normal,
}

impl Label {
    /// The article's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viral => "VIRAL",
            Self::Trending => "TRENDING",
            Self::Normal => "NORMAL",
        }
    }

    /// The lowest and the highest score, as stored, that may bear it. One that was rounded up to
    /// the next class bears the lower one's.
    #[must_use]
    pub const fn range(self) -> (f64, f64) {
        match self {
            Self::Viral => (VIRAL, f64::INFINITY),
            Self::Trending => (TRENDING, VIRAL),
            Self::Normal => (f64::NEG_INFINITY, TRENDING),
        }
    }

    fn of(score: f64) -> Self {
        if score >= VIRAL {
            Self::Viral
        } else if score >= TRENDING {
            Self::Trending
        } else {
            Self::Normal
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Score {
    /// The report's shape; without a score `{"score": 0, "reason": …}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Scored(scored) => scored.serialize(serializer),
            Self::Unscored(reason) => {
                let mut fields = serializer.serialize_struct("Unscored", 2)?;
                fields.serialize_field("score", &0)?;
                fields.serialize_field("reason", &reason.to_string())?;
                fields.end()
            }
        }
    }
}

/// Scores a video from its snapshots, newest first; only the first two count.
#[must_use]
pub fn score(newest_first: &[Snapshot], baselines: &Baselines) -> Score {
    match newest_first {
        [latest, previous, ..] => {
            rate(latest, previous, baselines).map_or_else(Score::Unscored, Score::Scored)
        }
        _ => Score::Unscored(Reason::InsufficientData),
    }
}

fn rate(latest: &Snapshot, previous: &Snapshot, baselines: &Baselines) -> Result<Scored, Reason> {
    if latest.region_is_unreadable || previous.region_is_unreadable {
        return Err(Reason::UnreadableRegion);
    }
    let (Some(now), Some(then)) = (latest.seconds, previous.seconds) else {
        return Err(Reason::UnreadableDate);
    };
    let elapsed = i128::from(now) - i128::from(then);
    if elapsed <= 0 {
        return Err(Reason::NoTimeDelta);
    }
    let views = number(latest.views, Field::Views)?;
    let gained = views.minus(number(previous.views, Field::Views)?);
    let likes = number(latest.likes, Field::Likes)?;
    let comments = number(latest.comments, Field::Comments)?;
    let baseline = baselines.of(latest.region.as_deref());

    // The article's operations in the article's order; another order rounds otherwise.
    let velocity = gained.over(Number::Int(elapsed)) * 3600.0;
    let engagement = likes.plus(comments.doubled()).over(views.at_least_one()) * 100.0;
    let score =
        share(velocity, baseline.velocity)? * 0.55 + share(engagement, baseline.engagement)? * 0.45;
    if !score.is_finite() {
        return Err(Reason::OutOfRange);
    }
    Ok(Scored {
        score: round_half_even(score, 1),
        velocity: round_to_integer(velocity).ok_or(Reason::OutOfRange)?,
        engagement: round_half_even(engagement, 2),
        region: latest
            .region
            .as_deref()
            .map(|region| baselines.shared_name(region)),
        label: Label::of(score),
    })
}

/// A value as percent of its baseline, capped at 100.
fn share(value: f64, baseline: f64) -> Result<f64, Reason> {
    if !value.is_finite() || baseline == 0.0 {
        return Err(Reason::OutOfRange);
    }
    Ok(at_most_hundred(value / baseline * 100.0))
}

fn number(count: Count, field: Field) -> Result<Number, Reason> {
    match count {
        Count::Integer(integer) => Ok(Number::Int(integer.into())),
        Count::Real(real) => Ok(Number::Float(real)),
        Count::Missing => Err(Reason::Missing(field)),
        Count::Unreadable => Err(Reason::Unreadable(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn baselines() -> Baselines {
        let article = [
            ("PL", 10_000.0, 6.0),
            ("NL", 8_000.0, 5.5),
            ("GB", 20_000.0, 4.5),
            ("US", 50_000.0, 5.0),
        ];
        let by_region = article.map(|(region, velocity, engagement)| {
            let baseline = Baseline {
                velocity,
                engagement,
            };
            (region.to_owned(), baseline)
        });
        Baselines::new(&by_region.into())
    }

    fn snapshot(views: Count, likes: Count, comments: Count, seconds: i64) -> Snapshot {
        Snapshot {
            views,
            likes,
            comments,
            region: Some("PL".to_owned()),
            region_is_unreadable: false,
            seconds: Some(seconds),
        }
    }

    /// Two snapshots, a day apart, that give a score.
    fn pair() -> [Snapshot; 2] {
        let count = Count::Integer;
        [
            snapshot(count(5_000), count(80), count(10), 86_400),
            snapshot(count(1_000), count(20), count(1), 0),
        ]
    }

    fn reason(snapshots: &[Snapshot]) -> Option<String> {
        match score(snapshots, &baselines()) {
            Score::Scored(_) => None,
            Score::Unscored(reason) => Some(reason.to_string()),
        }
    }

    /// Inputs (a point makes a REAL), and what the article's formula gives in Python 3.11.
    const ARTICLE: &str = "
        views before likes comments seconds region = score velocity engagement label
        12500 11800 400 50 3600 PL = 33.8 700 4.0 NORMAL
        90000 50000 6000 900 3600 PL = 100.0 40000 8.67 VIRAL
        900 5000 10 5 86400 US = 19.8 -171 2.22 NORMAL
        0 0 0 0 1 XX = 0.0 0 0.0 NORMAL
        0 0 3 1 60 - = 45.0 0 500.0 NORMAL
        58199 50908 2217 343 6404 PL = 60.0 4099 4.99 NORMAL

        9007199254740995 1 9007199254740993 4503599627370503 7 GB = 100.0 4632273902438224896 200.0 VIRAL
        9007199254740993 0 0 0 36000000000000 PL = 55.0 900720 0.0 NORMAL
        9223372036854775807 -9223372036854775808 9223372036854775807 9223372036854775807 1 GB = 100.0 66408278665354385817600 300.0 VIRAL

        1500.5 1000 33 4.25 3600 NL = 26.1 500 2.77 NORMAL
        0.5 0 1 1 3600 US = 45.0 0 300.0 NORMAL
        5 5.0 -1 0.0 3600 US = -180.0 0 -20.0 NORMAL

        2990 1153 179 44 7200 NL = 51.3 919 8.93 NORMAL
        1620 -30 175 10 900 GB = 63.2 6600 12.04 TRENDING
        12000 11069 287 32 900 PL = 42.4 3724 2.93 NORMAL
        4000 3025 115 35 3600 PL = 40.1 975 4.62 NORMAL
        12800 11375 2 11 900 GB = 17.5 5700 0.19 NORMAL
    ";

    fn cell(text: &str) -> Count {
        match text.parse() {
            Ok(integer) => Count::Integer(integer),
            Err(_) => Count::Real(text.parse().unwrap()),
        }
    }

    // The first lines are ordinary, then integers beyond 2^53, then mixtures; any other order of
    // the same operations would change a digit of the last ones.
    #[test]
    fn scores_are_the_articles() {
        for line in ARTICLE.lines().skip(2).filter(|line| line.contains('=')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [
                views,
                before,
                likes,
                comments,
                seconds,
                region,
                "=",
                expected @ ..,
            ] = &words[..]
            else {
                panic!("not a case: {line}");
            };
            let seconds = seconds.parse().unwrap();
            let mut latest = snapshot(cell(views), cell(likes), cell(comments), seconds);
            latest.region = (*region != "-").then(|| (*region).to_owned());
            // Nothing but views and time of the previous one counts, and nothing of older ones.
            let previous = snapshot(cell(before), Count::Missing, Count::Unreadable, 0);
            let older = snapshot(Count::Missing, Count::Missing, Count::Missing, 7);
            let Score::Scored(scored) = score(&[latest, previous, older], &baselines()) else {
                panic!("not scored: {line}");
            };
            let (score, engagement) = (scored.score, scored.engagement);
            let got = format!(
                "{score:?} {} {engagement:?} {}",
                scored.velocity, scored.label
            );
            assert_eq!(got, expected.join(" "), "{line}");
        }
    }

    #[test]
    fn a_label_is_judged_before_rounding() {
        let snapshots = [
            snapshot(
                Count::Integer(58_199),
                Count::Integer(2_217),
                Count::Integer(343),
                6_404,
            ),
            snapshot(Count::Integer(50_908), Count::Missing, Count::Missing, 0),
        ];
        let Score::Scored(scored) = score(&snapshots, &baselines()) else {
            panic!("not scored");
        };
        // 59.95 shows as 60.0, the first score of TRENDING.
        assert_eq!((scored.score, scored.label), (60.0, Label::Normal));
        let labels = [59.999, 60.0, 84.999, 85.0].map(Label::of);
        assert_eq!(
            labels.map(Label::name),
            ["NORMAL", "TRENDING", "TRENDING", "VIRAL"]
        );
    }

    #[test]
    fn a_small_loss_of_views_is_a_negative_zero() {
        let [mut latest, mut previous] = pair();
        (latest.views, previous.views) = (Count::Integer(99_999), Count::Integer(100_000));
        (latest.likes, latest.comments) = (Count::Integer(0), Count::Integer(0));
        latest.seconds = Some(365 * 86_400);
        let json = serde_json::to_string(&score(&[latest, previous], &baselines())).unwrap();
        assert!(json.starts_with(r#"{"score":-0.0,"velocity":0,"#), "{json}");
    }

    #[test]
    fn a_video_without_two_snapshots_in_order_has_no_score() {
        let insufficient = Some("insufficient data".to_owned());
        assert_eq!(reason(&[]), insufficient);
        assert_eq!(reason(&pair()[..1]), insufficient);
        for (now, then) in [(5, 5), (5, 6), (i64::MIN, i64::MAX)] {
            let mut pair = pair();
            (pair[0].seconds, pair[1].seconds) = (Some(now), Some(then));
            assert_eq!(reason(&pair).as_deref(), Some("no time delta"));
        }
        for unreadable in 0..2 {
            let mut pair = pair();
            pair[unreadable].seconds = None;
            assert_eq!(reason(&pair).as_deref(), Some("unreadable date"));
        }
        assert_eq!(reason(&pair()), None);
    }

    #[test]
    fn a_count_that_is_none_has_its_reason() {
        let spoil: [fn(&mut [Snapshot; 2]) -> &mut Count; 4] = [
            |pair| &mut pair[0].views,
            |pair| &mut pair[1].views,
            |pair| &mut pair[0].likes,
            |pair| &mut pair[0].comments,
        ];
        for (cell, name) in spoil
            .into_iter()
            .zip(["views", "views", "likes", "comments"])
        {
            let with = |count| {
                let mut pair = pair();
                *cell(&mut pair) = count;
                reason(&pair)
            };
            assert_eq!(with(Count::Missing), Some(format!("no {name}")));
            assert_eq!(with(Count::Unreadable), Some(format!("unreadable {name}")));
            for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let given = with(Count::Real(x));
                assert_eq!(given.as_deref(), Some("out of range"), "{name} {x}");
            }
        }
    }

    #[test]
    fn a_region_that_is_no_text_has_its_reason() {
        for unreadable in 0..2 {
            let mut pair = pair();
            pair[unreadable].region_is_unreadable = true;
            assert_eq!(reason(&pair).as_deref(), Some("unreadable region"));
        }
    }

    #[test]
    fn a_baseline_of_zero_gives_a_reason() {
        let zero = Baseline {
            velocity: 0.0,
            engagement: 5.0,
        };
        let baselines = Baselines::new(&BTreeMap::from([("PL".to_owned(), zero)]));
        let unscored = Score::Unscored(Reason::OutOfRange);
        assert_eq!(score(&pair(), &baselines), unscored);
    }

    #[test]
    fn an_unknown_region_is_measured_by_great_britain() {
        let configured = baselines();
        assert_eq!(configured.of(Some("XX")), configured.of(Some("GB")));
        assert_eq!(configured.of(None), configured.of(Some("GB")));
        assert_eq!(configured.of(Some("pl")), configured.of(Some("GB")));
        assert_eq!(configured.of(Some("PL")).velocity, 10_000.0);
        let empty = Baselines::new(&BTreeMap::new());
        assert_eq!(empty.of(Some("PL")), FALLBACK);
    }

    #[test]
    fn the_report_has_the_articles_shape() {
        let shown = serde_json::to_value(score(&pair(), &baselines())).unwrap();
        let expected = json!({
            "score": 15.9, "velocity": 167, "engagement": 2.0, "region": "PL", "label": "NORMAL"
        });
        assert_eq!(shown, expected);
        let shown = serde_json::to_value(score(&[], &baselines())).unwrap();
        assert_eq!(shown, json!({"score": 0, "reason": "insufficient data"}));
    }

    fn count() -> impl Strategy<Value = Count> {
        prop_oneof![
            4 => any::<i64>().prop_map(Count::Integer),
            4 => (0_i64..1_000_000).prop_map(Count::Integer),
            2 => any::<f64>().prop_map(Count::Real),
            1 => Just(Count::Missing),
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_counts_a_score_is_a_finite_number_up_to_100(
            views in count(), before in count(), likes in count(), comments in count(),
            now: i64, then: i64,
        ) {
            let latest = snapshot(views, likes, comments, now);
            let previous = snapshot(before, Count::Missing, Count::Missing, then);
            let score = score(&[latest, previous], &baselines());
            prop_assert!(serde_json::to_string(&score).is_ok());
            if let Score::Scored(scored) = score {
                prop_assert!(scored.score.is_finite() && scored.score <= 100.0);
                prop_assert!(scored.engagement.is_finite());
            }
        }
    }
}
