<?php

declare(strict_types=1);

/**
 * Hands work to vvv-actors and reads its results.
 *
 *     $actors = VvvActors::database($pdo);        // rows in the site's file, in your transaction
 *     $actors = VvvActors::socket();              // the daemon's socket
 *     $id = $actors->score(['dQw4w9WgXcQ'], uniqueKey: 'score-dQw4w9WgXcQ');
 *     $actors->get($id, timeout: 60);             // ['dQw4w9WgXcQ' => ['score' => 87.3, ...]]
 *
 * One file for PHP 8.0 or newer; rows need pdo_sqlite. Copy it into your site.
 */
final class VvvActors
{
    private const LINE_LIMIT = 1 << 20;
    private const JOBS_A_CALL = 1000;
    private const WAIT_AT_MOST = 30;
    private const ENDED = ['succeeded', 'failed', 'cancelled'];
    private const UNKNOWN = -32003;
    private const NOT_FOUND = -32004;

    private function __construct(private ?PDO $pdo, private string $socket, private float $timeout)
    {
    }

    /** Jobs are rows, written in whatever transaction the connection is in; only cancel() needs the socket. */
    public static function database(PDO|string $database, ?string $socket = null): self
    {
        if (is_string($database)) {
            // A file that is missing must not be made: it would be an empty database.
            if (!file_exists($database)) {
                throw new VvvActorsException("$database: no such database");
            }
            $database = new PDO("sqlite:$database");
            $database->exec('PRAGMA busy_timeout = 60000');
        }
        $database->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
        $version = $database->query('SELECT sqlite_version()')->fetchColumn();
        if (version_compare((string) $version, '3.51.3', '<')) {
            // SQLite below this can lose commits when two programs checkpoint at once.
            $database->exec('PRAGMA wal_autocheckpoint = 0');
        }
        return new self($database, $socket ?? self::defaultSocket(), 10);
    }

    /** Jobs go over the daemon's socket. */
    public static function socket(?string $path = null, float $timeout = 10): self
    {
        return new self(null, $path ?? self::defaultSocket(), $timeout);
    }

    /** Where the daemon listens if it was told nothing else. */
    public static function defaultSocket(): string
    {
        if (($path = getenv('VVV_DAEMON__SOCKET')) !== false && $path !== '') {
            return $path;
        }
        $folder = getenv('XDG_RUNTIME_DIR');
        $root = function_exists('posix_geteuid') && posix_geteuid() === 0;
        return ($folder && !$root ? $folder : '/run/vvv-actors') . '/vvv-actors.sock';
    }

    /** Scores any number of videos; the job's number. Options as for submit(). */
    public function score(array $ids, mixed ...$options): int
    {
        return $this->submit('score', ['video_ids' => self::ids($ids)], ...$options);
    }

    /** Checks thumbnails, [['video_id' => ..., 'thumbnail_url' => ...], ...]; videos without one are left out. */
    public function thumbnails(array $videos, mixed ...$options): int
    {
        $checked = [];
        foreach ($videos as $video) {
            if (!empty($video['thumbnail_url'])) {
                $checked[] = [
                    'video_id' => (string) $video['video_id'],
                    'thumbnail_url' => $video['thumbnail_url'],
                ];
            }
        }
        return $this->submit('thumbnails', ['videos' => $checked], ...$options);
    }

    /** Asks whether any number of videos exist; the job's number. Options as for submit(). */
    public function liveness(array $ids, mixed ...$options): int
    {
        return $this->submit('liveness', ['video_ids' => self::ids($ids)], ...$options);
    }

    /**
     * Hands a job in; its number, or that of the job that has its key already.
     *
     * @param int $priority 0 (first) to 9
     * @param float|null $countdown seconds before it may begin
     * @param DateTimeInterface|null $eta not before this
     * @param string|null $uniqueKey of jobs with one key only the first is queued
     * @param int|null $uniqueFor seconds after which a job that has ended gives its key up
     */
    public function submit(
        string $kind,
        array $payload,
        int $priority = 5,
        ?float $countdown = null,
        ?DateTimeInterface $eta = null,
        ?string $uniqueKey = null,
        ?int $uniqueFor = null
    ): int {
        if ($priority < 0 || $priority > 9) {
            throw new InvalidArgumentException("priority = $priority: must be 0 (first) to 9");
        }
        if ($countdown !== null && $eta !== null) {
            throw new InvalidArgumentException('countdown and eta exclude each other');
        }
        if ($uniqueKey === '' || ($uniqueFor !== null && $uniqueFor < 0)) {
            throw new InvalidArgumentException('uniqueKey must not be empty, uniqueFor not negative');
        }
        $delay = $countdown === null ? null : max(0, (int) round($countdown * 1000));
        if ($this->pdo !== null) {
            $runAt = $delay === null ? 0 : self::nowMs() + $delay;
            $runAt = $eta === null ? $runAt : (int) $eta->format('Uv');
            return $this->insert([$kind, self::encode($payload), $priority, $runAt, $uniqueKey, $uniqueFor]);
        }
        $params = ['kind' => $kind, 'payload' => $payload, 'priority' => $priority];
        $params += array_filter([
            'delay' => $delay === null ? null : "{$delay}ms",
            'run_at' => $eta === null ? null : gmdate('Y-m-d\TH:i:s', $eta->getTimestamp()) . $eta->format('.v\Z'),
            'unique_key' => $uniqueKey,
            'unique_for' => $uniqueFor === null ? null : "{$uniqueFor}s",
        ], static fn ($value) => $value !== null);
        return $this->call('jobs.submit', $params)['ids'][0];
    }

    /** available, scheduled, running, retryable, succeeded, failed or cancelled; null: not known (yet, or any more). */
    public function state(int $id): ?string
    {
        $jobs = $this->jobs($id, 0);
        $states = array_column($jobs, 'state');
        $order = self::hasEnded($jobs)
            ? ['failed', 'cancelled', 'succeeded']
            : ['running', 'retryable', 'available', 'scheduled'];
        foreach ($order as $state) {
            if (in_array($state, $states, true)) {
                return $state;
            }
        }
        return null;
    }

    /** Whether the job, and all it was cut into, has ended. */
    public function ready(int $id): bool
    {
        return self::hasEnded($this->jobs($id, 0));
    }

    /** Waits for the end and answers what was found, in the shape of the report's section. */
    public function get(int $id, ?float $timeout = null): array
    {
        $deadline = $timeout === null ? INF : microtime(true) + $timeout;
        do {
            $left = max(0, $deadline - microtime(true));
            $jobs = $this->jobs($id, min($left, self::WAIT_AT_MOST));
            if (self::hasEnded($jobs)) {
                return self::outcome($id, $jobs);
            }
            if ($this->pdo !== null || $jobs === []) {
                usleep((int) (min($left, 0.1) * 1_000_000));
            }
        } while ($left > 0);
        throw new VvvActorsException("job $id has not ended in $timeout s");
    }

    /** Cancels what has not ended, running jobs too, by the daemon; whether that was anything. */
    public function cancel(int $id): bool
    {
        $ids = array_column($this->jobs($id, 0), 'id');
        $cancelled = 0;
        foreach (array_chunk($ids, self::JOBS_A_CALL) as $some) {
            $cancelled += count($this->call('jobs.cancel', ['ids' => $some])['cancelled']);
        }
        return $cancelled > 0;
    }

    /** Calls any method of the daemon's. */
    public function call(string $method, array $params = [], float $patience = 0): mixed
    {
        $line = self::encode(['jsonrpc' => '2.0', 'id' => 1, 'method' => $method, 'params' => (object) $params]);
        if (strlen($line) >= self::LINE_LIMIT) {
            throw new VvvActorsException('a request holds 1 MiB at most: hand over fewer items, or use rows');
        }
        $stream = @stream_socket_client("unix://{$this->socket}", $code, $reason, $this->timeout);
        if ($stream === false) {
            throw new VvvActorsException("no daemon at {$this->socket}: $reason");
        }
        try {
            $seconds = $this->timeout + $patience;
            stream_set_timeout($stream, (int) $seconds, (int) (fmod($seconds, 1) * 1_000_000));
            $answer = self::writeAll($stream, "$line\n") ? stream_get_line($stream, PHP_INT_MAX, "\n") : false;
        } finally {
            fclose($stream);
        }
        if ($answer === false || $answer === '') {
            throw new VvvActorsException('the daemon gave no answer: it may have happened', self::UNKNOWN);
        }
        $answer = json_decode($answer, true, 512, JSON_THROW_ON_ERROR);
        if (isset($answer['error'])) {
            throw new VvvActorsException($answer['error']['message'], $answer['error']['code']);
        }
        return $answer['result'];
    }

    private function insert(array $row): int
    {
        $key = $row[4];
        if ($key !== null) {
            // What has ended gives its key up when its time is over.
            $this->pdo->prepare(
                'UPDATE vvv_jobs SET unique_key = NULL WHERE unique_key = ? '
                . 'AND ended_ms IS NOT NULL AND queued_ms + unique_for * 1000 <= CAST(? AS INTEGER)'
            )->execute([$key, self::nowMs()]);
        }
        $insert = $this->pdo->prepare(
            'INSERT OR IGNORE INTO vvv_jobs (kind, payload, priority, run_at_ms, unique_key, unique_for) '
            . 'VALUES (?, ?, ?, ?, ?, ?)'
        );
        // As what they are: a number bound as text would be refused.
        foreach ($row as $at => $value) {
            $type = is_int($value) ? PDO::PARAM_INT : ($value === null ? PDO::PARAM_NULL : PDO::PARAM_STR);
            $insert->bindValue($at + 1, $value, $type);
        }
        $insert->execute();
        if ($insert->rowCount() === 1) {
            return (int) $this->pdo->lastInsertId();
        }
        return (int) $this->rows('SELECT id FROM vvv_jobs WHERE unique_key = ?', [$key])[0]['id'];
    }

    /** A job and those it was cut into; over the socket after their end or `$seconds`. */
    private function jobs(int $id, float $seconds): array
    {
        return $this->pdo === null ? $this->jobsBySocket($id, $seconds) : $this->jobsByRow($id);
    }

    private function jobsByRow(int $id): array
    {
        // One statement, so that all of it is of one moment.
        $jobs = $this->rows(
            'SELECT job.id, job.kind, job.state, job.error, job.result, grp.jobs AS parts, '
            . '(SELECT count(*) FROM vvv_jobs part WHERE part.group_id = own.group_id) AS kept, '
            . 'job.kind IS own.kind AS same FROM vvv_jobs own '
            . 'JOIN vvv_jobs job ON job.id = own.id OR job.group_id = own.group_id '
            . 'LEFT JOIN vvv_groups grp ON grp.id = own.group_id WHERE own.id = ? ORDER BY job.id',
            [$id]
        );
        $given = $jobs === [] ? $this->rows("SELECT seq FROM sqlite_sequence WHERE name = 'vvv_jobs'", []) : [];
        // Numbers are never given twice: one that was given has gone.
        if (($given !== [] && $given[0]['seq'] >= $id) || ($jobs !== [] && $jobs[0]['parts'] > $jobs[0]['kept'])) {
            throw new VvvActorsException("job $id, or a part of it, is not kept any more", self::NOT_FOUND);
        }
        $jobs = array_filter($jobs, static fn (array $job) => (bool) $job['same']);
        return array_map(static function (array $job) {
            $job['id'] = (int) $job['id'];
            $job['result'] = $job['result'] === null ? null : json_decode($job['result'], true, 512, JSON_THROW_ON_ERROR);
            return $job;
        }, array_values($jobs));
    }

    private function jobsBySocket(int $id, float $seconds): array
    {
        $job = $this->call('jobs.get', ['id' => $id])['job'];
        $ids = [$id];
        if (isset($job['group'])) {
            $ids = [];
            $wanted = ['group' => $job['group'], 'kind' => $job['kind'], 'limit' => self::JOBS_A_CALL];
            do {
                $page = $this->call('jobs.list', $wanted);
                array_push($ids, ...array_column($page['jobs'], 'id'));
                $wanted['before'] = $page['next'];
            } while ($page['next'] !== null);
            sort($ids);
        }
        $deadline = microtime(true) + $seconds;
        $jobs = [];
        foreach (array_chunk($ids, self::JOBS_A_CALL) as $some) {
            $left = max(0, $deadline - microtime(true));
            $params = ['ids' => $some, 'timeout' => (int) round($left * 1000) . 'ms'];
            array_push($jobs, ...$this->call('jobs.wait', $params, $left)['jobs']);
        }
        if (count($jobs) < count($ids)) {
            throw new VvvActorsException("parts of job $id are not kept any more", self::NOT_FOUND);
        }
        return array_map(static fn (array $part) => $part + ['kind' => $job['kind']], $jobs);
    }

    private function rows(string $query, array $bound): array
    {
        $statement = $this->pdo->prepare($query);
        foreach ($bound as $at => $value) {
            $statement->bindValue($at + 1, $value, is_int($value) ? PDO::PARAM_INT : PDO::PARAM_STR);
        }
        $statement->execute();
        return $statement->fetchAll(PDO::FETCH_ASSOC);
    }

    private static function outcome(int $id, array $jobs): array
    {
        $found = [];
        $wrong = [];
        foreach ($jobs as $job) {
            array_push($found, ...($job['result'][$job['kind']] ?? []));
            if ($job['state'] !== 'succeeded') {
                $wrong[] = $job['error'] ?? $job['state'];
            }
        }
        if ($wrong !== []) {
            throw new VvvActorsException("job $id: " . implode('; ', array_unique($wrong)));
        }
        return match ($jobs[0]['kind']) {
            'score' => self::scores($found),
            'thumbnails' => self::verdicts($found),
            'liveness' => self::lives($found),
            default => [],
        };
    }

    private static function scores(array $found): array
    {
        $byId = [];
        foreach ($found as $item) {
            if (isset($item['reason'])) {
                $byId[$item['id']] = ['score' => 0, 'reason' => $item['reason']];
                continue;
            }
            foreach (['score', 'velocity', 'engagement', 'region', 'label'] as $name) {
                $byId[$item['id']][$name] = $item[$name] ?? null;
            }
        }
        return $byId;
    }

    private static function verdicts(array $found): array
    {
        $shape = ['valid' => 0, 'broken' => 0, 'placeholder' => 0, 'unknown' => 0, 'unknown_ids' => [], 'details' => []];
        foreach ($found as $item) {
            $status = $item['status'];
            $shape[$status === 'error' ? 'broken' : $status]++;
            if ($status === 'valid') {
                continue;
            }
            if ($status === 'unknown') {
                $shape['unknown_ids'][] = $item['id'];
            }
            $detail = ['id' => $item['id'], 'status' => $status];
            $detail += isset($item['width'], $item['height']) ? ['size' => "{$item['width']}x{$item['height']}"] : [];
            $detail += isset($item['reason']) ? ['msg' => $item['reason']] : [];
            $shape['details'][] = $detail + ['url' => $item['url']];
        }
        return $shape;
    }

    private static function lives(array $found): array
    {
        $shape = ['alive' => 0];
        foreach (['dead', 'unknown', 'invalid'] as $verdict) {
            $shape += [$verdict => 0, "{$verdict}_ids" => []];
        }
        foreach ($found as $item) {
            $shape[$item['verdict']]++;
            if ($item['verdict'] !== 'alive') {
                $shape["{$item['verdict']}_ids"][] = $item['id'];
            }
        }
        return $shape;
    }

    private static function hasEnded(array $jobs): bool
    {
        return $jobs !== [] && array_diff(array_column($jobs, 'state'), self::ENDED) === [];
    }

    /** Array keys turn ids of digits into numbers; ids are text. */
    private static function ids(array $ids): array
    {
        return array_map('strval', array_values($ids));
    }

    private static function nowMs(): int
    {
        return (int) (microtime(true) * 1000);
    }

    private static function encode(array $value): string
    {
        return json_encode($value, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
    }

    /** @param resource $stream */
    private static function writeAll($stream, string $bytes): bool
    {
        while ($bytes !== '') {
            $written = @fwrite($stream, $bytes);
            if ($written === false || $written === 0) {
                return false;
            }
            $bytes = substr($bytes, $written);
        }
        return true;
    }
}

/** Whatever goes wrong here; the code is the daemon's, if it was the daemon that refused. */
final class VvvActorsException extends RuntimeException
{
}
