"""The Python module over rows, in the folder of a vault that an engine works on."""

import datetime
import os
import sqlite3
import time
import unittest

import vvv_actors
from vvv_actors import detect_dead_videos, enqueue, score_virality_batch, validate_thumbnails

DATABASE = os.environ["VVV_DATABASE__PATH"]
KNOWN = "dQw4w9WgXcQ"


def vault():
    """A connection of the pipeline's own, whose rows are of a kind of its own."""
    connection = sqlite3.connect(DATABASE, isolation_level=None)
    connection.row_factory = lambda cursor, row: {
        column[0]: value for column, value in zip(cursor.description, row)
    }
    return connection


class Rows(unittest.TestCase):
    def setUp(self):
        vvv_actors.configure(database=DATABASE)
        self.vault = vault()
        self.addCleanup(self.vault.close)
        self.ids = [row["video_id"] for row in self.vault.execute("SELECT video_id FROM videos")]

    def row(self, result):
        return self.vault.execute("SELECT * FROM vvv_jobs WHERE id = ?", (int(result.id),)).fetchone()

    def test_work_of_any_size_is_one_result(self):
        result = score_virality_batch.delay(self.ids)
        scores = result.get(timeout=20)
        self.assertEqual(scores.keys(), set(self.ids))
        self.assertEqual(scores[KNOWN].keys(), {"score", "velocity", "engagement", "region", "label"})
        parts = self.vault.execute(
            "SELECT count(*) AS jobs FROM vvv_jobs WHERE group_id = ?", (self.row(result)["group_id"],)
        ).fetchone()
        self.assertEqual(parts["jobs"], 3)
        self.assertEqual((result.state, result.ready(), result.successful()), ("SUCCESS", True, True))
        # Another process has no more than the id.
        self.assertEqual(vvv_actors.AsyncResult(result.id).get(timeout=0), scores)

    def test_what_is_found_has_the_articles_shape(self):
        url = self.vault.execute(
            "SELECT thumbnail_url FROM videos WHERE thumbnail_url IS NOT NULL"
        ).fetchone()["thumbnail_url"]
        videos = [
            {"video_id": "a", "thumbnail_url": url, "title": "more than is needed"},
            {"video_id": "b", "thumbnail_url": "http://127.0.0.1:1/x.jpg"},
            {"video_id": "c", "thumbnail_url": None},
        ]
        checked = validate_thumbnails.delay(videos).get(timeout=20)
        self.assertEqual((checked["valid"], checked["placeholder"]), (1, 0))
        self.assertEqual([detail["id"] for detail in checked["details"]], ["b"])
        asked = detect_dead_videos.delay(["alive00001A", "dead_00001A", "x"]).get(timeout=20)
        self.assertEqual((asked["alive"], asked["dead"], asked["dead_ids"]), (1, 1, ["dead_00001A"]))
        self.assertEqual(asked["invalid_ids"], ["x"])
        self.assertEqual(detect_dead_videos.delay([]).get(timeout=20)["dead_ids"], [])

    def test_a_job_is_there_if_the_caller_commits(self):
        before = self.vault.execute("SELECT count(*) AS jobs FROM vvv_jobs").fetchone()
        self.vault.execute("BEGIN IMMEDIATE")
        enqueue(self.vault, "score", {"video_ids": ["rolled-back"]})
        self.vault.execute("ROLLBACK")
        after = self.vault.execute("SELECT count(*) AS jobs FROM vvv_jobs").fetchone()
        self.assertEqual(before, after)

        self.vault.execute("BEGIN IMMEDIATE")
        result = score_virality_batch.apply_async(args=[[KNOWN]], connection=self.vault)
        self.assertEqual(result.state, "PENDING")
        with self.assertRaises(vvv_actors.WaitTimeout):
            result.get(timeout=0.05)
        self.vault.execute("COMMIT")
        self.assertIn(KNOWN, result.get(timeout=20))

    def test_a_key_is_taken_once(self):
        first = score_virality_batch.apply_async(args=[[KNOWN]], task_id="once")
        again = score_virality_batch.apply_async(args=[["other"]], task_id="once")
        self.assertEqual((first.id, first.duplicate, again.duplicate), ("once", False, True))
        self.assertEqual(score_virality_batch.AsyncResult("once").get(timeout=20), first.get(timeout=20))
        with self.assertRaises(ValueError):
            score_virality_batch.apply_async(args=[[KNOWN]], task_id="7")

        short = dict(args=[[KNOWN]], unique_key="short", unique_for=1)
        ended = score_virality_batch.apply_async(**short)
        ended.get(timeout=20)
        self.assertTrue(score_virality_batch.apply_async(**short).duplicate)
        self.vault.execute("UPDATE vvv_jobs SET queued_ms = queued_ms - 1000 WHERE id = ?", (ended.id,))
        later = score_virality_batch.apply_async(**short)
        self.assertFalse(later.duplicate)
        self.assertNotEqual(later.id, ended.id)

    def test_when_and_how_soon(self):
        later = score_virality_batch.apply_async(args=[[KNOWN]], countdown=3600, priority=0)
        at = datetime.datetime(2100, 1, 1)
        dated = score_virality_batch.apply_async(args=[[KNOWN]], eta=at)
        self.assertAlmostEqual(self.row(later)["run_at_ms"] / 1000, time.time() + 3600, delta=60)
        self.assertEqual(self.row(later)["priority"], 0)
        self.assertEqual(self.row(dated)["run_at_ms"], 4102444800000)
        self.assertEqual((later.state, later.ready(), later.result), ("PENDING", False, None))
        # Nobody waits for these.
        self.vault.execute("DELETE FROM vvv_jobs WHERE id IN (?, ?)", (later.id, dated.id))
        with self.assertRaises(vvv_actors.NotKept):
            later.get(timeout=1)

    def test_what_fails_says_why(self):
        result = enqueue(self.vault, "score", {"videos": []})
        with self.assertRaises(vvv_actors.TaskFailed) as caught:
            result.get(timeout=20)
        self.assertIn("video_ids", str(caught.exception))
        self.assertEqual((result.state, result.failed()), ("FAILURE", True))
        self.assertIsInstance(result.result, vvv_actors.TaskFailed)

    def test_a_part_that_is_gone_is_not_left_out_silently(self):
        result = score_virality_batch.delay(self.ids[:60])
        result.get(timeout=20)
        self.vault.execute("DELETE FROM vvv_jobs WHERE id > ? AND group_id IS NOT NULL", (result.id,))
        with self.assertRaises(vvv_actors.NotKept):
            result.get(timeout=0)

    def test_what_cannot_be_done_is_refused(self):
        for options in ({"expires": 5}, {"link": None}):
            with self.assertRaises(TypeError):
                score_virality_batch.apply_async(args=[[KNOWN]], **options)
        for options in ({"queue": "cleanup"}, {"priority": 10}, {"priority": True}):
            with self.assertRaises(ValueError):
                score_virality_batch.apply_async(args=[[KNOWN]], **options)
        for wrong in (KNOWN, [7]):
            with self.assertRaises(TypeError):
                score_virality_batch.delay(wrong)
        with self.assertRaises(TypeError):
            score_virality_batch.delay()
        with self.assertRaises(ValueError):
            score_virality_batch.delay([KNOWN], db_path=__file__)
        with self.assertRaises(ValueError):
            score_virality_batch.delay([KNOWN], "/nowhere/other.db")
        score_virality_batch.apply_async(args=[[KNOWN], DATABASE], queue="scoring", serializer="json")

    def test_without_a_queue_the_remedy_is_named(self):
        elsewhere = os.path.join(os.path.dirname(DATABASE), "elsewhere.db")
        vvv_actors.configure(database=elsewhere)
        with self.assertRaises(vvv_actors.VvvError):
            score_virality_batch.delay([KNOWN])
        self.assertFalse(os.path.exists(elsewhere))
        with open(elsewhere, "wb"):
            pass
        with self.assertRaisesRegex(vvv_actors.VvvError, "vvv-actors daemon"):
            score_virality_batch.delay([KNOWN])


if __name__ == "__main__":
    unittest.main()
