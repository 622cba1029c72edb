#!/usr/bin/env python3
"""The article's virality score, evaluated on its own.

Written from the text of the design ("Score") and from nothing else, so that it can judge
the Rust code: plain Python ints and floats, Python's own round(), the sqlite3 module.

    article.py score VAULT                    print {id: result} for every id in the vault
    article.py compare BEFORE AFTER REPORT    print what differs, exit 1 if anything does
    article.py seconds FILE                   a JSON list of dates -> list of seconds or null

Where the article's code would raise, the one video gets {"score": 0, "reason": "raises: ..."}.
"""

import json
import math
import pathlib
import re
import sqlite3
import sys

BASELINES = {
    "PL": (10000, 6.0),
    "NL": (8000, 5.5),
    "SE": (5000, 5.0),
    "NO": (4000, 5.0),
    "AT": (6000, 5.0),
    "GB": (20000, 4.5),
    "US": (50000, 5.0),
}

FIXED_REASONS = ("insufficient data", "no time delta")

SNAPSHOTS = """
    SELECT view_count, likes, comments, region, fetched_at
    FROM video_snapshots WHERE video_id = ?
    ORDER BY fetched_at DESC, rowid DESC LIMIT 5
"""


def open_vault(path):
    """Opens a vault for reading only."""
    return sqlite3.connect(pathlib.Path(path).resolve().as_uri() + "?mode=ro", uri=True)


def seconds(db, date):
    """Unix seconds as the bundled SQLite (3.54) reads a date; None if it cannot.

    Python's SQLite may be older. Up to 3.40 it rounds fractions of a second to milliseconds,
    so that .9996 is the next second, and it lets 24:00:01 pass. Newer ones cut the fraction
    and know 24:00:00 only. Cutting the fraction here makes both read alike.
    """
    if isinstance(date, str):
        clock = re.match(r"[^:]*(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?", date)
        if clock:
            hour, minute, second, fraction = (int(part or 0) for part in clock.groups())
            if hour == 24 and (minute or second or fraction):
                return None
        date = re.sub(r"(:\d\d\.\d{3})\d+", r"\1", date, count=1)
    (text,) = db.execute("SELECT strftime('%s', ?)", (date,)).fetchone()
    return None if text is None else int(text)


def article(db, video_id):
    """One video's result; raises where the article's code would."""
    rows = db.execute(SNAPSHOTS, (video_id,)).fetchall()
    if len(rows) < 2:
        return {"score": 0, "reason": "insufficient data"}
    latest, previous = rows[0], rows[1]
    views, likes, comments, region, fetched_at = latest
    baseline_velocity, baseline_engagement = BASELINES.get(region, BASELINES["GB"])

    time_delta = seconds(db, fetched_at) - seconds(db, previous[4])
    if time_delta <= 0:
        return {"score": 0, "reason": "no time delta"}

    velocity = (views - previous[0]) / time_delta * 3600
    engagement = (likes + 2 * comments) / max(views, 1) * 100
    score = (
        min(100, velocity / baseline_velocity * 100) * 0.55
        + min(100, engagement / baseline_engagement * 100) * 0.45
    )
    label = "VIRAL" if score >= 85 else "TRENDING" if score >= 60 else "NORMAL"
    return {
        "score": round(score, 1),
        "velocity": round(velocity),
        "engagement": round(engagement, 2),
        "region": region,
        "label": label,
    }


def evaluate(db, video_id):
    """One video's result; an exception becomes its reason."""
    try:
        return article(db, video_id)
    except (TypeError, ValueError, OverflowError, sqlite3.OperationalError) as error:
        return {"score": 0, "reason": f"raises: {type(error).__name__}: {error}"}


def every_id(db):
    """Ids of videos and ids that only have snapshots."""
    query = "SELECT video_id FROM videos UNION SELECT video_id FROM video_snapshots"
    return [video_id for (video_id,) in db.execute(query)]


def same_number(expected, got):
    """Equal in type and value, the sign of a zero included."""
    if isinstance(got, bool) or type(expected) is not type(got):
        return False
    return expected == got and math.copysign(1, expected) == math.copysign(1, got)


def same_result(expected, got):
    """Whether a report's entry says what the article says."""
    if not isinstance(got, dict) or got.keys() != expected.keys():
        return False
    if "reason" in expected:
        if expected["reason"] in FIXED_REASONS:
            return got == expected
        told = got["reason"]
        return got["score"] == 0 and bool(told) and told not in FIXED_REASONS
    return (
        same_number(expected["score"], got["score"])
        and same_number(expected["velocity"], got["velocity"])
        and same_number(expected["engagement"], got["engagement"])
        and (expected["region"], expected["label"]) == (got["region"], got["label"])
    )


def stored(path):
    """Every stored score."""
    return dict(open_vault(path).execute("SELECT video_id, virality_score FROM videos"))


def compare(before, after, report):
    """Differences between the article on BEFORE and what a run reported and stored in AFTER."""
    db = open_vault(before)
    with open(report, encoding="utf-8") as file:
        reported = json.load(file)["scoring"]
    old, new = stored(before), stored(after)
    differences = []
    results = {video_id: evaluate(db, video_id) for video_id in reported}
    for video_id, result in results.items():
        if not same_result(result, reported[video_id]):
            differences.append(
                {"id": video_id, "expected": result, "reported": reported[video_id]}
            )
    for video_id, score in new.items():
        # A reason, like no result at all, leaves the old score.
        expected = results.get(video_id, {"reason": "not asked"})
        expected = old.get(video_id) if "reason" in expected else expected["score"]
        if score != expected:
            differences.append({"id": video_id, "expected": expected, "stored": score})
    return {"compared": len(reported), "differences": differences}


def main(arguments):
    match arguments:
        case ["score", vault]:
            db = open_vault(vault)
            print(json.dumps({video_id: evaluate(db, video_id) for video_id in every_id(db)}))
        case ["compare", before, after, report]:
            result = compare(before, after, report)
            # A stored blob is told as Python writes it.
            print(json.dumps(result, indent=1, default=repr))
            return 1 if result["differences"] else 0
        case ["seconds", dates]:
            db = sqlite3.connect(":memory:")
            with open(dates, encoding="utf-8") as file:
                print(json.dumps([seconds(db, date) for date in json.load(file)]))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
