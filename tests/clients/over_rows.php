<?php

require 'VvvActors.php';

function same(mixed $expected, mixed $found): void
{
    if ($expected !== $found) {
        throw new Exception(var_export($found, true) . ' is not ' . var_export($expected, true));
    }
}

function refused(string $part, callable $call): void
{
    try {
        $call();
    } catch (Exception $error) {
        same(true, str_contains($error->getMessage(), $part));
        return;
    }
    throw new Exception("not refused: $part");
}

$path = getenv('VVV_DATABASE__PATH');
$pdo = new PDO("sqlite:$path");
$actors = VvvActors::database($pdo);
$ids = $pdo->query('SELECT video_id FROM videos')->fetchAll(PDO::FETCH_COLUMN);

// Work of any size is one result.
$job = $actors->score($ids);
same(count($ids), count($actors->get($job, timeout: 20)));
same('succeeded', $actors->state($job));
same(true, $actors->ready($job));

// The shapes are those of the report.
$asked = $actors->get($actors->liveness(['alive00001A', 'dead_00001A', 'x']), timeout: 20);
same([1, 1, ['dead_00001A'], ['x']], [$asked['alive'], $asked['dead'], $asked['dead_ids'], $asked['invalid_ids']]);
$url = $pdo->query('SELECT thumbnail_url FROM videos WHERE thumbnail_url IS NOT NULL')->fetchColumn();
$videos = [['video_id' => 'a', 'thumbnail_url' => $url], ['video_id' => 'b', 'thumbnail_url' => 'http://127.0.0.1:1/x.jpg']];
$checked = $actors->get($actors->thumbnails($videos), timeout: 20);
same([1, ['b']], [$checked['valid'], array_column($checked['details'], 'id')]);

// In the caller's transaction.
$pdo->beginTransaction();
$actors->score(['rolled-back'], uniqueKey: 'mine');
$pdo->rollBack();
$pdo->beginTransaction();
$first = $actors->score(['dQw4w9WgXcQ'], uniqueKey: 'mine', uniqueFor: 1);
same($first, $actors->score(['other'], uniqueKey: 'mine'));
$pdo->commit();
same(['dQw4w9WgXcQ'], array_keys($actors->get($first, timeout: 20)));

// Keys, times, priorities.
$pdo->exec("UPDATE vvv_jobs SET queued_ms = queued_ms - 1000 WHERE id = $first");
same(false, $first === $actors->score(['dQw4w9WgXcQ'], uniqueKey: 'mine'));
$later = $actors->score(['dQw4w9WgXcQ'], priority: 0, eta: new DateTimeImmutable('2100-01-01T01:00:00.250+01:00'));
$row = $pdo->query("SELECT priority, run_at_ms FROM vvv_jobs WHERE id = $later")->fetch(PDO::FETCH_NUM);
same([0, 4102444800250], $row);
refused('has not ended', fn () => $actors->get($later, timeout: 0.05));
$pdo->exec("DELETE FROM vvv_jobs WHERE id = $later");
refused('not kept', fn () => $actors->get($later));

// Refusals.
refused('video_ids', fn () => $actors->get($actors->submit('score', ['videos' => []]), timeout: 20));
refused('0 (first) to 9', fn () => $actors->score(['a'], priority: 10));
refused('no such database', fn () => VvvActors::database('nowhere.db'));
refused('no daemon', fn () => VvvActors::socket('/nowhere.sock')->score(['a']));
echo "well\n";
