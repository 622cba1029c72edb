"""Hands work to vvv-actors the way it was handed to Celery.

    from vvv_actors import score_virality_batch, validate_thumbnails, detect_dead_videos

    result = score_virality_batch.apply_async(args=[["dQw4w9WgXcQ"]], countdown=30)
    result.get(timeout=60)  # {"dQw4w9WgXcQ": {"score": 87.3, "velocity": 12345, ...}}

One file, the standard library only, Python 3.8 or newer. Copy it beside your pipeline.

Work goes over the daemon's socket, or as rows into the site's own SQLite file, which needs no
daemon at that moment. `configure(socket=...)` or `configure(database=...)` picks one; without it
VVV_DAEMON__SOCKET, then VVV_DATABASE__PATH, then the daemon's usual socket. No connection is kept
between calls, so the module may be used from any thread and after a fork.
"""

import contextlib
import datetime
import json
import os
import pathlib
import socket as sockets
import sqlite3
import time

__all__ = [
    "AsyncResult",
    "Database",
    "NoDaemon",
    "NotKept",
    "RpcError",
    "Socket",
    "TaskFailed",
    "TaskRevoked",
    "Task",
    "VvvError",
    "WaitTimeout",
    "configure",
    "detect_dead_videos",
    "enqueue",
    "score_virality_batch",
    "validate_thumbnails",
]

LINE_LIMIT = 1 << 20  # bytes of a request, the daemon's limit
JOBS_A_CALL = 1000  # jobs that one request names or lists, the daemon's limit
WAIT_AT_MOST = 30  # seconds one request waits for the end of jobs
RESTART_PATIENCE = 30  # seconds a result waits for a daemon that is gone
BUSY_TIMEOUT = 60  # seconds to wait for another writer of the file
FIXED_CHECKPOINTS = (3, 51, 3)  # SQLite below this can lose commits when two checkpoint at once

STATES = {
    "scheduled": "PENDING",
    "available": "PENDING",
    "running": "STARTED",
    "retryable": "RETRY",
    "succeeded": "SUCCESS",
    "failed": "FAILURE",
    "cancelled": "REVOKED",
}
ENDED = ("succeeded", "failed", "cancelled")

# Options of Celery's that say how a message travels. Ours does not, so they change nothing.
CARRIAGE = {
    "compression",
    "delivery_mode",
    "exchange",
    "headers",
    "ignore_result",
    "retry",
    "retry_policy",
    "routing_key",
    "serializer",
    "shadow",
}


class VvvError(Exception):
    """Whatever goes wrong here."""


class TaskFailed(VvvError):
    """A job failed. `result` has what was found all the same."""

    def __init__(self, message, result):
        super().__init__(message)
        self.result = result


class TaskRevoked(TaskFailed):
    """A job was cancelled. `result` has what was found all the same."""


class WaitTimeout(VvvError, TimeoutError):
    """The jobs had not ended in time. They go on."""


class NotKept(VvvError):
    """The daemon keeps this job no longer, or never had it."""


class NoDaemon(VvvError):
    """Nobody answers on the socket."""


class RpcError(VvvError):
    """The daemon refused, or (`code` -32003) may have done it: repeat with the same key."""

    UNKNOWN = -32003
    NOT_FOUND = -32004
    STOPPING = -32005
    OF_A_RESTART = (None, UNKNOWN, STOPPING)

    def __init__(self, code, message, data=None):
        super().__init__(message)
        self.code = code
        self.data = data


class Options:
    """What is said of a job beside its kind and payload."""

    def __init__(self, priority=5, countdown=None, eta=None, unique_key=None, unique_for=None):
        if isinstance(priority, bool) or priority not in range(10):
            raise ValueError("priority = {!r}: must be 0 (first) to 9".format(priority))
        if countdown is not None and eta is not None:
            raise ValueError("countdown and eta exclude each other")
        if unique_key is not None and (not isinstance(unique_key, str) or not unique_key):
            raise ValueError("unique_key = {!r}: must be text, and not empty".format(unique_key))
        if unique_for is not None and unique_for < 0:
            raise ValueError("unique_for = {!r}: must be seconds, 0 or more".format(unique_for))
        if eta is not None and eta.tzinfo is None:
            eta = eta.replace(tzinfo=datetime.timezone.utc)
        self.priority = int(priority)
        self.delay_ms = None if countdown is None else max(0, round(countdown * 1000))
        self.eta = eta
        self.unique_key = unique_key
        self.unique_for = None if unique_for is None else int(unique_for)

    def run_at_ms(self):
        """Unix milliseconds; 0: now."""
        if self.eta is not None:
            return round(self.eta.timestamp() * 1000)
        return 0 if self.delay_ms is None else now_ms() + self.delay_ms


def now_ms():
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Database:
    """Jobs as rows of `vvv_jobs` in the site's file; a daemon takes them in within a second."""

    def __init__(self, path, control=None):
        self.path = os.path.abspath(path)
        self.control = control

    def submit(self, kind, payload, options):
        """Inserts one job in a transaction of its own."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            submitted = insert(connection, kind, payload, options)
            connection.execute("COMMIT")
        return submitted

    def number_of(self, key):
        """The job that holds a key."""
        with self._connection() as connection:
            row = ask(connection, "SELECT id FROM vvv_jobs WHERE unique_key = ?", (key,))
        return row and row[0]

    def jobs(self, number, _ids):
        """A job and those it was cut into; none before its transaction is committed."""
        with self._connection() as connection:
            connection.execute("BEGIN")  # all that is read here is of one moment
            row = ask(connection, "SELECT kind, group_id FROM vvv_jobs WHERE id = ?", (number,))
            if row is None:
                self._expect(connection, number)
                return []
            kind, group = row
            rows = connection.execute(
                "SELECT id, kind, state, error, result FROM vvv_jobs "
                "WHERE id = ? OR group_id = ? ORDER BY id",
                (number, group),
            ).fetchall()
            if group is not None:
                counted = ask(connection, "SELECT jobs FROM vvv_groups WHERE id = ?", (group,))
                if counted is None or counted[0] > len(rows):
                    raise NotKept("job {}: parts of it are not kept any more".format(number))
        names = ("id", "kind", "state", "error", "result")
        jobs = [dict(zip(names, row)) for row in rows if row[1] == kind]
        return [dict(job, result=job["result"] and json.loads(job["result"])) for job in jobs]

    def wait(self, number, ids, seconds, interval):
        """Looks again and again."""
        deadline = time.monotonic() + seconds
        while True:
            jobs = self.jobs(number, ids)
            left = deadline - time.monotonic()
            if has_ended(jobs) or left <= 0:
                return jobs
            time.sleep(min(interval, left))

    def cancel(self, numbers):
        """Goes over the socket: the rows are the daemon's once it has taken them in."""
        return (self.control or Socket()).cancel(numbers)

    def check(self, db_path):
        """Refuses work that is meant for another file."""
        if db_path is not None and os.path.realpath(db_path) != os.path.realpath(self.path):
            if not (os.path.exists(db_path) and os.path.samefile(db_path, self.path)):
                raise ValueError("db_path {!r}: jobs go to {!r}".format(db_path, self.path))

    @contextlib.contextmanager
    def _connection(self):
        uri = pathlib.Path(self.path).as_uri() + "?mode=rw"
        try:
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
        except sqlite3.OperationalError as error:
            raise VvvError("{}: {}".format(self.path, error)) from error
        try:
            if sqlite3.sqlite_version_info < FIXED_CHECKPOINTS:
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            yield connection
        finally:
            connection.close()  # rolls back what was not committed

    @staticmethod
    def _expect(connection, number):
        """Numbers are never given twice: one that was given has gone."""
        row = ask(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'vvv_jobs'")
        if row is not None and row[0] >= number:
            raise NotKept("job {} is not kept any more".format(number))


def cursor_of(connection):
    """A cursor whose rows are tuples, whatever the caller likes his rows to be."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


def ask(connection, query, bound=()):
    """The first row."""
    with no_queue_said():
        return cursor_of(connection).execute(query, bound).fetchone()


@contextlib.contextmanager
def no_queue_said():
    """Names the remedy for a file that no daemon has worked on yet."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "no such table: vvv_" not in str(error):
            raise
        raise VvvError("no queue in this file: start `vvv-actors daemon` on it once") from error


def insert(connection, kind, payload, options):
    """Inserts one job; its number, and whether one with its key was there before."""
    key = options.unique_key
    cursor = cursor_of(connection)
    with no_queue_said():
        if key is not None:
            # What has ended gives its key up when its time is over.
            cursor.execute(
                "UPDATE vvv_jobs SET unique_key = NULL WHERE unique_key = ? "
                "AND ended_ms IS NOT NULL AND queued_ms + unique_for * 1000 <= ?",
                (key, now_ms()),
            )
        cursor.execute(
            "INSERT OR IGNORE INTO vvv_jobs "
            "(kind, payload, priority, run_at_ms, unique_key, unique_for) VALUES (?, ?, ?, ?, ?, ?)",
            (
                kind,
                json.dumps(payload),
                options.priority,
                options.run_at_ms(),
                key,
                options.unique_for,
            ),
        )
    if cursor.rowcount == 1:
        return [cursor.lastrowid], False
    (number,) = ask(connection, "SELECT id FROM vvv_jobs WHERE unique_key = ?", (key,))
    return [number], True


class Socket:
    """Jobs over the daemon's Unix socket: JSON-RPC 2.0, one object a line."""

    def __init__(self, path=None, timeout=10):
        self.path = path or default_socket()
        self.timeout = timeout

    def call(self, method, params=None, patience=0):
        """Calls any method of the daemon's; `patience`: seconds it may take beyond the usual."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        line = json.dumps(request, separators=(",", ":")).encode() + b"\n"
        if len(line) > LINE_LIMIT:
            raise ValueError(
                "{} bytes: a request holds {} at most; hand over fewer items at once, or "
                "configure(database=...)".format(len(line), LINE_LIMIT)
            )
        with contextlib.closing(self._connect()) as connection:
            connection.settimeout(self.timeout + patience)
            try:
                connection.sendall(line)
                with connection.makefile("rb") as reader:
                    answer = reader.readline()
            except OSError as error:
                raise RpcError(RpcError.UNKNOWN, "no answer: {}".format(error)) from error
        if not answer.endswith(b"\n"):
            raise RpcError(RpcError.UNKNOWN, "the daemon hung up before it answered")
        answer = json.loads(answer)
        if "error" in answer:
            error = answer["error"]
            raise RpcError(error["code"], error["message"], error.get("data"))
        return answer["result"]

    def submit(self, kind, payload, options):
        """Hands one job in; answered after its fsync."""
        params = {"kind": kind, "payload": payload, "priority": options.priority}
        if options.delay_ms is not None:
            params["delay"] = "{}ms".format(options.delay_ms)
        if options.eta is not None:
            utc = options.eta.astimezone(datetime.timezone.utc).replace(tzinfo=None)
            params["run_at"] = utc.isoformat(timespec="milliseconds") + "Z"
        if options.unique_key is not None:
            params["unique_key"] = options.unique_key
        if options.unique_for is not None:
            params["unique_for"] = "{}s".format(options.unique_for)
        answer = self.call("jobs.submit", params)
        return answer["ids"], answer["duplicate"]

    def number_of(self, key):
        """The job that holds a key."""
        return next((job["id"] for job in self._list({"unique_key": key})), None)

    def jobs(self, number, ids):
        """A job and those it was cut into."""
        return self._wait(ids or self._parts(number), 0)

    def wait(self, number, ids, seconds, _interval):
        """Has the daemon wait."""
        return self._wait(ids or self._parts(number), min(seconds, WAIT_AT_MOST))

    def cancel(self, numbers):
        """Cancels jobs, running ones too; those it cancelled."""
        calls = [self.call("jobs.cancel", {"ids": some}) for some in slices(numbers)]
        return [number for call in calls for number in call["cancelled"]]

    def check(self, _db_path):
        """The daemon has one database: a path says nothing to it."""

    def _connect(self):
        connection = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        connection.settimeout(self.timeout)
        try:
            connection.connect(self.path)
        except OSError as error:
            connection.close()
            raise NoDaemon("no daemon at {}: {}".format(self.path, error)) from error
        return connection

    def _parts(self, number):
        with known(number):
            job = self.call("jobs.get", {"id": number})["job"]
        if job.get("group") is None:
            return [number]
        parts = self._list({"group": job["group"], "kind": job["kind"]})
        return sorted(part["id"] for part in parts)

    def _list(self, wanted):
        params = dict(wanted, limit=JOBS_A_CALL)
        while True:
            page = self.call("jobs.list", params)
            yield from page["jobs"]
            if page["next"] is None:
                return
            params["before"] = page["next"]

    def _wait(self, ids, seconds):
        deadline = time.monotonic() + seconds
        jobs = []
        with known(ids[0]):
            for some in slices(ids):
                left = max(0, deadline - time.monotonic())
                params = {"ids": some, "timeout": "{}ms".format(round(left * 1000))}
                jobs += self.call("jobs.wait", params, patience=left)["jobs"]
        if len(jobs) < len(ids):
            raise NotKept("job {}: parts of it are not kept any more".format(ids[0]))
        return sorted(jobs, key=lambda job: job["id"])


def slices(numbers):
    """As many at a time as a request may name."""
    return (numbers[at : at + JOBS_A_CALL] for at in range(0, len(numbers), JOBS_A_CALL))


@contextlib.contextmanager
def known(number):
    """Names a job that the daemon does not know."""
    try:
        yield
    except RpcError as error:
        if error.code != RpcError.NOT_FOUND:
            raise
        raise NotKept("job {} is not kept any more".format(number)) from error


def default_socket():
    """Where the daemon listens if it was told nothing else."""
    folder = os.environ.get("XDG_RUNTIME_DIR")
    if not folder or os.geteuid() == 0:
        folder = "/run/vvv-actors"
    return os.path.join(folder, "vvv-actors.sock")


_backend = None


def configure(socket=None, database=None):
    """Picks where work goes. With both, jobs are rows and only `revoke` uses the socket."""
    global _backend
    control = Socket(socket) if socket else None
    _backend = Database(database, control) if database else control or Socket()
    return _backend


def backend():
    """What was configured, else what the daemon's own variables name."""
    if _backend is not None:
        return _backend
    socket = os.environ.get("VVV_DAEMON__SOCKET")
    database = os.environ.get("VVV_DATABASE__PATH")
    return Database(database) if database and not socket else Socket(socket)


class AsyncResult:
    """A job, and those it was cut into, as one result. Made from its id at any time."""

    def __init__(self, id, backend=None, kind=None, ids=None, duplicate=False):
        self.id = str(id)
        self.kind = kind
        self.duplicate = duplicate
        self._backend = backend
        self._ids = ids

    def __repr__(self):
        return "<AsyncResult: {}>".format(self.id)

    @property
    def backend(self):
        """Where it looks."""
        return self._backend or backend()

    @property
    def state(self):
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED."""
        number = self._number()
        return "PENDING" if number is None else overall(self.backend.jobs(number, self._ids))

    status = state

    @property
    def result(self):
        """What was found, or why there is nothing, as an exception; None until the end."""
        return self.get(propagate=False) if self.ready() else None

    def ready(self):
        """Whether it has ended, however it did."""
        return self.state in ("SUCCESS", "FAILURE", "REVOKED")

    def successful(self):
        """Whether it has ended well."""
        return self.state == "SUCCESS"

    def failed(self):
        """Whether it has failed."""
        return self.state == "FAILURE"

    def get(self, timeout=None, propagate=True, interval=0.1):
        """Waits for the end and answers what was found, as the article's tasks do.

        Raises TaskFailed, TaskRevoked, or WaitTimeout after `timeout` seconds.
        """
        jobs = self._wait(timeout, interval)
        found = in_the_articles_shape(self.kind, jobs)
        reasons = [str(job["error"]) for job in jobs if job["state"] == "failed"]
        error = None
        if reasons:
            error = TaskFailed("job {}: {}".format(self.id, "; ".join(reasons)), found)
        elif any(job["state"] == "cancelled" for job in jobs):
            error = TaskRevoked("job {} was cancelled".format(self.id), found)
        if error is None or not propagate:
            return error or found
        raise error

    def revoke(self, *_args, **_kwargs):
        """Cancels what has not ended, running jobs too; the numbers of those it cancelled."""
        number = self._number()
        if number is None:
            return []
        ids = [job["id"] for job in self.backend.jobs(number, self._ids)]
        return self.backend.cancel(ids) if ids else []

    def forget(self):
        """Does nothing: results go by themselves, after `retention.results`."""

    def _number(self):
        return int(self.id) if self.id.isdigit() else self.backend.number_of(self.id)

    def _wait(self, timeout, interval):
        deadline = None if timeout is None else time.monotonic() + timeout
        lost_since = None
        while True:
            left = WAIT_AT_MOST if deadline is None else max(0, deadline - time.monotonic())
            jobs, error = [], None
            try:
                number = self._number()
                if number is not None:
                    jobs = self.backend.wait(number, self._ids, left, interval)
                lost_since = None
            except (NoDaemon, RpcError) as lost:
                # A daemon that restarts goes on with its jobs.
                error = lost
                lost_since = lost_since or time.monotonic()
                patient = time.monotonic() - lost_since < RESTART_PATIENCE
                if not patient or getattr(lost, "code", None) not in RpcError.OF_A_RESTART:
                    raise
            if has_ended(jobs):
                return jobs
            if deadline is not None and time.monotonic() >= deadline:
                late = "job {} has not ended in {} s".format(self.id, timeout)
                raise WaitTimeout(late) from error
            if not jobs:
                time.sleep(interval if deadline is None else min(interval, left))


def has_ended(jobs):
    """Whether there are jobs and all have ended."""
    return bool(jobs) and all(job["state"] in ENDED for job in jobs)


def overall(jobs):
    """One state for all, in Celery's words."""
    states = {job["state"] for job in jobs}
    if has_ended(jobs):
        return next(STATES[state] for state in ("failed", "cancelled", "succeeded") if state in states)
    if "running" in states or states.intersection(ENDED):
        return "STARTED"
    return "RETRY" if "retryable" in states else "PENDING"


def in_the_articles_shape(kind, jobs):
    """What the jobs found, as the article's tasks return it."""
    results = [job["result"] for job in jobs if job.get("result")]
    others = {name for result in results for name in result} - {kind}
    if kind in TASKS and others:
        raise VvvError(
            "job {}: is a {} job, not {}; a job of another kind had the key or the id".format(
                jobs[0]["id"], ", ".join(sorted(others)), kind
            )
        )
    kinds = [kind] + [job.get("kind") for job in jobs] + [name for result in results for name in result]
    task = next((TASKS[kind] for kind in kinds if kind in TASKS), None)
    if task is None:
        return {}
    return task.shape([item for result in results for item in result[task.kind]])


def scores(found):
    """By id."""
    by_id = {}
    for item in found:
        if "reason" in item:
            by_id[item["id"]] = {"score": 0, "reason": item["reason"]}
        else:
            keys = ("score", "velocity", "engagement", "region", "label")
            by_id[item["id"]] = {key: item.get(key) for key in keys}
    return by_id


def thumbnails(found):
    """Counts, and a detail for each that is not valid."""
    shape = {"valid": 0, "broken": 0, "placeholder": 0, "unknown": 0, "unknown_ids": []}
    shape["details"] = details = []
    for item in found:
        status = item["status"]
        shape["broken" if status == "error" else status] += 1
        if status == "unknown":
            shape["unknown_ids"].append(item["id"])
        if status == "valid":
            continue
        detail = {"id": item["id"], "status": status}
        if "width" in item and "height" in item:
            detail["size"] = "{}x{}".format(item["width"], item["height"])
        if "reason" in item:
            detail["msg"] = item["reason"]
        details.append(dict(detail, url=item["url"]))
    return shape


def liveness(found):
    """Counts, and the ids of those that are not alive."""
    shape = {"alive": 0}
    for verdict in ("dead", "unknown", "invalid"):
        ids = [item["id"] for item in found if item["verdict"] == verdict]
        shape[verdict], shape[verdict + "_ids"] = len(ids), ids
    shape["alive"] = sum(item["verdict"] == "alive" for item in found)
    return shape


def ids_payload(video_ids):
    """Any number of ids: they are cut into jobs by the daemon."""
    if isinstance(video_ids, (str, bytes)):
        raise TypeError("video_ids: must be a list of ids, not one id")
    video_ids = list(video_ids)
    for video_id in video_ids:
        if not isinstance(video_id, str):
            raise TypeError("video_ids: {!r} is no text".format(video_id))
    return {"video_ids": video_ids}


def videos_payload(videos):
    """A video without a thumbnail has nothing to check and is left out, as in a batch file."""
    keys = ("video_id", "thumbnail_url")
    return {
        "videos": [
            {key: video[key] for key in keys} for video in videos if video.get("thumbnail_url")
        ]
    }


class Task:
    """One of the article's tasks."""

    def __init__(self, name, kind, queue, parameter, payload, shape):
        self.name = name
        self.kind = kind
        self.queue = queue
        self.shape = shape
        self._parameter = parameter
        self._payload = payload

    def __repr__(self):
        return "<Task: {}>".format(self.name)

    def delay(self, *args, **kwargs):
        """Hands the work in."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args=(),
        kwargs=None,
        *,
        countdown=None,
        eta=None,
        priority=5,
        task_id=None,
        unique_key=None,
        unique_for=None,
        queue=None,
        connection=None,
        **celery
    ):
        """Hands the work in, not to be begun within `countdown` seconds or before `eta`.

        Of jobs with one `unique_key` only the first is queued, until `unique_for` seconds are over
        and it has ended; a `task_id` is such a key, and the result's id. With a sqlite3
        `connection` the job is a row in whatever transaction that is in: it is there when the
        caller commits, and not if he rolls back.
        """
        strange = sorted(set(celery) - CARRIAGE)
        if strange:
            raise TypeError("{}: vvv-actors cannot do that".format(", ".join(strange)))
        if queue not in (None, self.queue):
            raise ValueError("queue = {!r}: jobs of {} go to {}".format(queue, self.name, self.queue))
        if task_id is not None:
            if unique_key not in (None, task_id) or str(task_id).isdigit():
                raise ValueError("task_id = {!r}: is the unique_key, and no number".format(task_id))
            unique_key = str(task_id)
        items, db_path = self._arguments(*args, **(kwargs or {}))
        options = Options(priority, countdown, eta, unique_key, unique_for)
        return submit(self.kind, self._payload(items), options, connection, task_id, db_path)

    def AsyncResult(self, id):
        """The result of an id, of this or another process."""
        return AsyncResult(id, kind=self.kind)

    def _arguments(self, *args, **kwargs):
        names = (self._parameter, "db_path")
        if len(args) > len(names) or set(kwargs) - set(names[len(args) :]):
            raise TypeError("{}: takes {} and db_path".format(self.name, self._parameter))
        given = dict(zip(names, args), **kwargs)
        if self._parameter not in given:
            raise TypeError("{}: {} is missing".format(self.name, self._parameter))
        return given[self._parameter], given.get("db_path")


def submit(kind, payload, options, connection=None, task_id=None, db_path=None):
    """Hands a job in, in the caller's transaction if there is a connection."""
    if connection is None:
        where = backend()
        where.check(db_path)
        ids, duplicate = where.submit(kind, payload, options)
    else:
        files = cursor_of(connection).execute("PRAGMA database_list").fetchall()
        path = next(path for _, name, path in files if name == "main")
        where = Database(path, _backend if isinstance(_backend, Socket) else None)
        where.check(db_path)
        ids, duplicate = insert(connection, kind, payload, options)
    # A row of the file, and a job that was there before, may have been cut into several.
    whole = None if duplicate or isinstance(where, Database) else ids
    return AsyncResult(task_id or ids[0], where, kind, whole, duplicate)


def enqueue(
    connection,
    kind,
    payload,
    priority=5,
    countdown=None,
    eta=None,
    unique_key=None,
    unique_for=None,
):
    """Inserts a job by a sqlite3 connection, in whatever transaction that is in.

    The payload is {"video_ids": [...]}, or {"videos": [{"video_id": ..., "thumbnail_url": ...}]}.
    """
    options = Options(priority, countdown, eta, unique_key, unique_for)
    return submit(kind, payload, options, connection)


score_virality_batch = Task(
    "tasks.score_virality_batch", "score", "scoring", "video_ids", ids_payload, scores
)
validate_thumbnails = Task(
    "tasks.validate_thumbnails", "thumbnails", "thumbnails", "videos", videos_payload, thumbnails
)
detect_dead_videos = Task(
    "tasks.detect_dead_videos", "liveness", "cleanup", "video_ids", ids_payload, liveness
)
TASKS = {
    name: task
    for task in (score_virality_batch, validate_thumbnails, detect_dead_videos)
    for name in (task.name, task.kind, task.queue)
}
