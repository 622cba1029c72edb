<?php

require 'VvvActors.php';

function same(mixed $expected, mixed $found): void
{
    if ($expected !== $found) {
        throw new Exception(var_export($found, true) . ' is not ' . var_export($expected, true));
    }
}

function refused(string|int $part, callable $call): void
{
    try {
        $call();
    } catch (Exception $error) {
        same(true, is_int($part) ? $error->getCode() === $part : str_contains($error->getMessage(), $part));
        return;
    }
    throw new Exception("not refused: $part");
}

$actors = VvvActors::socket();
$rows = VvvActors::database(getenv('VVV_DATABASE__PATH'));
$pdo = new PDO('sqlite:' . getenv('VVV_DATABASE__PATH'));
$ids = $pdo->query('SELECT video_id FROM videos')->fetchAll(PDO::FETCH_COLUMN);

$job = $actors->score($ids);
$scores = $actors->get($job, timeout: 20);
same(count($ids), count($scores));
same($scores, $rows->get($job, timeout: 20));
same(['succeeded', true], [$actors->state($job), $actors->ready($job)]);

$asked = $actors->get($actors->liveness(['alive00001A', 'dead_00001A', 'x']), timeout: 20);
same([1, ['dead_00001A'], ['x']], [$asked['alive'], $asked['dead_ids'], $asked['invalid_ids']]);
same(0, $actors->get($actors->thumbnails([]), timeout: 20)['valid']);

$first = $actors->score(['dQw4w9WgXcQ'], uniqueKey: 'mine', uniqueFor: 3600);
same($first, $actors->score(['other'], uniqueKey: 'mine'));
foreach ([$actors, $rows] as $hand) {
    refused('uniqueKey', fn () => $hand->score(['other'], uniqueKey: ''));
    $later = $hand->score(['dQw4w9WgXcQ'], eta: new DateTimeImmutable('2100-01-01T01:00:00.250+01:00'));
    refused('has not ended', fn () => $hand->get($later, timeout: 0.05));
    same(true, $hand->cancel($later));
    refused('cancelled', fn () => $hand->get($later, timeout: 20));
}
same('2100-01-01T00:00:00.25Z', $actors->call('jobs.get', ['id' => $later])['job']['run_at']);
refused(-32602, fn () => $actors->submit('score', ['ids' => []]));
refused(-32004, fn () => $actors->get(1_000_000_000));
same('running', $actors->call('daemon.status')['state']);
echo "well\n";
