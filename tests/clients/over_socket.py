"""The Python module over the socket of a daemon that works on a vault."""

import os
import sqlite3
import unittest

import vvv_actors
from vvv_actors import detect_dead_videos, score_virality_batch, validate_thumbnails

DATABASE = os.environ["VVV_DATABASE__PATH"]
SOCKET = os.environ["VVV_DAEMON__SOCKET"]
KNOWN = "dQw4w9WgXcQ"


class Daemon(unittest.TestCase):
    def setUp(self):
        vault = sqlite3.connect(DATABASE)
        self.videos = [
            {"video_id": row[0], "thumbnail_url": row[1], "title": "more than is needed"}
            for row in vault.execute("SELECT video_id, thumbnail_url FROM videos")
        ]
        vault.close()

    def test_work_of_any_size_is_one_result(self):
        ids = [video["video_id"] for video in self.videos]
        result = score_virality_batch.delay(ids)
        scores = result.get(timeout=20)
        self.assertEqual(scores.keys(), set(ids))
        self.assertEqual(scores[KNOWN].keys(), {"score", "velocity", "engagement", "region", "label"})
        self.assertEqual((result.state, result.successful()), ("SUCCESS", True))
        # Another process has no more than the id, and may go by rows.
        self.assertEqual(score_virality_batch.AsyncResult(result.id).get(timeout=20), scores)
        rows = vvv_actors.Database(DATABASE)
        self.assertEqual(vvv_actors.AsyncResult(result.id, rows).get(timeout=20), scores)

    def test_what_is_found_has_the_articles_shape(self):
        checked = validate_thumbnails.delay(self.videos).get(timeout=20)
        self.assertEqual((checked["valid"], checked["details"]), (len(self.videos) - 1, []))
        asked = detect_dead_videos.delay(["alive00001A", "dead_00001A", "x"]).get(timeout=20)
        self.assertEqual((asked["alive"], asked["dead_ids"], asked["invalid_ids"]), (1, ["dead_00001A"], ["x"]))
        self.assertEqual(detect_dead_videos.delay([]).get(timeout=20)["dead_ids"], [])

    def test_a_key_is_taken_once_and_found_again(self):
        first = score_virality_batch.apply_async(args=[[KNOWN]], task_id="once", unique_for=3600)
        again = score_virality_batch.apply_async(args=[["other"]], task_id="once")
        self.assertEqual((first.id, first.duplicate, again.duplicate), ("once", False, True))
        self.assertEqual(score_virality_batch.AsyncResult("once").get(timeout=20).keys(), {KNOWN})
        self.assertEqual(score_virality_batch.AsyncResult("never").state, "PENDING")

    def test_a_key_that_is_none_or_another_kinds_is_told(self):
        for configured in ({"socket": SOCKET}, {"database": DATABASE}):
            vvv_actors.configure(**configured)
            for wrong in ({"unique_key": ""}, {"unique_key": "k", "unique_for": -4}, {"task_id": ""}):
                with self.assertRaises(ValueError):
                    score_virality_batch.apply_async(args=[[KNOWN]], **wrong)
        vvv_actors.configure(socket=SOCKET)
        score_virality_batch.apply_async(args=[[KNOWN]], unique_key="of scores").get(timeout=20)
        asked = detect_dead_videos.apply_async(args=[[KNOWN]], unique_key="of scores")
        self.assertTrue(asked.duplicate)
        with self.assertRaisesRegex(vvv_actors.VvvError, "is a score job, not liveness"):
            asked.get(timeout=20)

    def test_what_waits_can_be_revoked(self):
        for configured in ({"socket": SOCKET}, {"socket": SOCKET, "database": DATABASE}):
            vvv_actors.configure(**configured)
            later = score_virality_batch.apply_async(args=[[KNOWN]], countdown=3600)
            self.assertEqual((later.state, later.ready()), ("PENDING", False))
            with self.assertRaises(vvv_actors.WaitTimeout):
                later.get(timeout=0.05)
            self.assertEqual(later.revoke(), [int(later.id)])
            with self.assertRaises(vvv_actors.TaskRevoked):
                later.get(timeout=20)
        vvv_actors.configure(socket=SOCKET)

    def test_refusals_keep_their_code(self):
        with self.assertRaises(vvv_actors.RpcError) as caught:
            vvv_actors.Socket(SOCKET).call("jobs.submit", {"kind": "score", "payload": {"ids": []}})
        self.assertEqual(caught.exception.code, -32602)
        with self.assertRaises(vvv_actors.NotKept):
            score_virality_batch.AsyncResult(10**9).get(timeout=5)


if __name__ == "__main__":
    vvv_actors.configure(socket=SOCKET)
    unittest.main()
