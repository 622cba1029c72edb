#!/usr/bin/env python3
"""The pipeline's last step, on Celery or on vvv-actors.

    VVV_BACKGROUND=celery      python3 background_processing.py vault.db
    VVV_BACKGROUND=vvv-actors  python3 background_processing.py vault.db

The import is all that differs. A site can so try the one, go back to the other, and drop the
switch when it is sure. Without the variable it is vvv-actors. For Celery, `tasks.py` has to be
there, with its Redis and its workers.
"""

import os
import sqlite3
import sys

if os.environ.get("VVV_BACKGROUND") == "celery":
    from tasks import detect_dead_videos, score_virality_batch, validate_thumbnails
else:
    from vvv_actors import detect_dead_videos, score_virality_batch, validate_thumbnails


def background_processing(new_videos, stale_ids, db_path):
    """Hands over what is too slow for the pipeline; answers at once."""
    ids = [video["video_id"] for video in new_videos]
    batches = [ids[start : start + 50] for start in range(0, len(ids), 50)]
    results = [
        score_virality_batch.apply_async(args=[batch, db_path], countdown=1) for batch in batches
    ]
    results.append(validate_thumbnails.delay(new_videos))
    results.append(detect_dead_videos.apply_async(args=[stale_ids, db_path], priority=9))
    return results


def main(db_path):
    """New is what has no score yet; stale is here what has one."""
    vault = sqlite3.connect(db_path)
    vault.row_factory = sqlite3.Row
    query = "SELECT video_id, thumbnail_url FROM videos WHERE virality_score IS {} NULL LIMIT 2000"
    new_videos = [dict(row) for row in vault.execute(query.format(""))]
    stale_ids = [row["video_id"] for row in vault.execute(query.format("NOT"))]
    vault.close()
    for result in background_processing(new_videos, stale_ids, db_path):
        print(result.id, result.get(timeout=60))


if __name__ == "__main__":
    main(sys.argv[1])
