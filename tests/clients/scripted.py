"""The Python module over a socket whose other end follows a script: what goes over the wire, and
what becomes of a daemon that misbehaves. The real one is met in tests/clients.rs."""

import datetime
import json
import os
import socket
import threading
import unittest

import vvv_actors
from vvv_actors import score_virality_batch

FOUND = {"score": [{"id": "a", "score": 1.5, "velocity": 2, "engagement": 3.0, "label": "NORMAL"}]}
SCORES = {"a": {"score": 1.5, "velocity": 2, "engagement": 3.0, "region": None, "label": "NORMAL"}}


class Daemon:
    """Answers each connection's line with the script's next answer; bytes as they are."""

    def __init__(self, *script):
        self.path = os.path.abspath("scripted.sock")
        self.asked = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, args=(script,))
        self._thread.start()

    def _serve(self, script):
        for answer in script:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rwb") as stream:
                request = json.loads(stream.readline())
                self.asked.append((request["method"], request["params"]))
                if not isinstance(answer, bytes):
                    answer = dict(answer, jsonrpc="2.0", id=request["id"])
                    answer = json.dumps(answer).encode() + b"\n"
                stream.write(answer)

    def __enter__(self):
        vvv_actors.configure(socket=self.path)
        return self

    def __exit__(self, *_):
        self._listener.close()
        os.unlink(self.path)
        self._thread.join(timeout=10)
        assert not self._thread.is_alive(), "the script was not played to its end"


def result(**fields):
    return {"result": fields}


def error(code, message):
    return {"error": {"code": code, "message": message, "data": {}}}


def job(number, state, **fields):
    return dict(id=number, state=state, **fields)


SUBMITTED = result(ids=[7, 8], duplicate=False, group=3)


class Wire(unittest.TestCase):
    def test_a_job_is_handed_in_as_the_protocol_has_it(self):
        with Daemon(SUBMITTED, SUBMITTED) as daemon:
            score_virality_batch.apply_async(
                args=[["a"]], countdown=1.5, priority=2, unique_key="k", unique_for=60
            )
            east = datetime.timezone(datetime.timedelta(hours=2))
            at = datetime.datetime(2026, 1, 31, 14, 0, 0, 250000, tzinfo=east)
            score_virality_batch.apply_async(args=[["a"]], eta=at)
        common = {"kind": "score", "payload": {"video_ids": ["a"]}}
        more = {"priority": 2, "delay": "1500ms", "unique_key": "k", "unique_for": "60s"}
        dated = {"priority": 5, "run_at": "2026-01-31T12:00:00.250Z"}
        expected = [("jobs.submit", {**common, **more}), ("jobs.submit", {**common, **dated})]
        self.assertEqual(daemon.asked, expected)

    def test_a_result_is_waited_for_by_the_daemon(self):
        done = job(7, "succeeded", result=FOUND)
        pending = result(ended=False, jobs=[done, job(8, "running")])
        ended = result(ended=True, jobs=[done, job(8, "succeeded", result={"score": []})])
        with Daemon(SUBMITTED, pending, pending, ended) as daemon:
            handed_in = score_virality_batch.delay(["a"])
            self.assertEqual((handed_in.id, handed_in.state), ("7", "STARTED"))
            self.assertEqual(handed_in.get(), SCORES)
        waits = [("jobs.wait", {"ids": [7, 8], "timeout": span}) for span in ("0ms", "30000ms")]
        self.assertEqual(daemon.asked[1:3], waits)

    def test_an_id_alone_finds_all_parts(self):
        kept = result(job={"id": 7, "kind": "score", "group": 3})
        first = result(jobs=[{"id": 8}], next=8)
        second = result(jobs=[{"id": 7}], next=None)
        ended = result(
            ended=True,
            jobs=[job(7, "succeeded", result=FOUND), job(8, "failed", error="no answer")],
        )
        with Daemon(kept, first, second, ended) as daemon:
            with self.assertRaisesRegex(vvv_actors.TaskFailed, "no answer") as caught:
                score_virality_batch.AsyncResult("7").get(timeout=5)
            self.assertEqual(caught.exception.result, SCORES)
        listed = {"group": 3, "kind": "score", "limit": 1000}
        self.assertEqual(
            daemon.asked[1:3], [("jobs.list", listed), ("jobs.list", dict(listed, before=8))]
        )

    def test_a_key_finds_its_job(self):
        near = {"id": 9, "unique_key": "nightly-2"}
        found = result(jobs=[near, {"id": 7, "unique_key": "nightly"}], next=None)
        kept = result(job={"id": 7, "kind": "score", "group": None})
        with Daemon(found, kept, result(ended=True, jobs=[job(7, "cancelled")])):
            self.assertEqual(vvv_actors.AsyncResult("nightly").state, "REVOKED")

    def test_more_jobs_than_a_request_may_name(self):
        ids = list(range(1, 1502))
        ended = [result(ended=True, jobs=[job(n, "succeeded") for n in part])
                 for part in (ids[:1000], ids[1000:])]  # fmt: skip
        cancelled = [result(cancelled=[1]), result(cancelled=[])]
        with Daemon(result(ids=ids, duplicate=False, group=1), *ended, *ended, *cancelled) as daemon:
            handed_in = score_virality_batch.delay(["a"])
            self.assertEqual(handed_in.get(timeout=5), {})
            self.assertEqual(handed_in.revoke(terminate=True), [1])
        self.assertEqual([len(asked["ids"]) for _, asked in daemon.asked[1:]], [1000, 501] * 3)

    def test_refusals_keep_their_code(self):
        with Daemon(error(-32001, "busy"), b"", error(-32004, "no job 7")):
            with self.assertRaisesRegex(vvv_actors.RpcError, "busy") as caught:
                score_virality_batch.delay(["a"])
            self.assertEqual(caught.exception.code, -32001)
            with self.assertRaises(vvv_actors.RpcError) as caught:
                score_virality_batch.delay(["a"])
            self.assertEqual(caught.exception.code, vvv_actors.RpcError.UNKNOWN)
            with self.assertRaises(vvv_actors.NotKept):
                score_virality_batch.AsyncResult(7).get(timeout=5)
        with self.assertRaises(ValueError):
            score_virality_batch.delay(["a" * (1 << 20)])

    def test_a_place_is_waited_for(self):
        full = {"error": {"code": -32001, "message": "full", "data": {"no_place": 64}}}
        with Daemon(full, full, SUBMITTED):
            self.assertEqual(score_virality_batch.delay(["a"]).id, "7")

    def test_a_result_outlasts_a_daemon_that_restarts(self):
        ended = result(ended=True, jobs=[job(7, "succeeded", result=FOUND), job(8, "succeeded")])
        with Daemon(SUBMITTED, b"", error(-32005, "stopping"), ended):
            self.assertEqual(score_virality_batch.delay(["a"]).get(timeout=20), SCORES)
        with self.assertRaises(vvv_actors.NoDaemon):
            score_virality_batch.delay(["a"])


if __name__ == "__main__":
    unittest.main()
