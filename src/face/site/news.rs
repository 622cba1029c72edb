//! What happened lately, numbered, so that whoever was away can go on where it was.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::engine::JobMoved;
use crate::face::protocol::{JobEvent, QueueEvent};

/// How many events are kept for those who come back.
const KEPT: usize = 4096;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::face) enum Event {
    /// To a job.
    Job(JobEvent),
    /// To a queue.
    Queue(QueueEvent),
}

/// An event with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::face) struct Told {
    pub(in crate::face) number: u64,
    pub(in crate::face) event: Event,
}

/// What happened since a number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::face) struct Since {
    /// In order.
    pub(in crate::face) told: Vec<Told>,
    /// How many more there were that are no longer known.
    pub(in crate::face) missed: u64,
    /// The number of the last.
    pub(in crate::face) last: u64,
}

/// The last events. Nobody has to run for it: who looks takes in what has come meanwhile.
pub(in crate::face) struct News {
    /// Tells the numbers of this process from those of the one before.
    epoch: u64,
    log: Mutex<Log>,
}

struct Log {
    jobs: Receiver<JobMoved>,
    queues: Receiver<QueueEvent>,
    kept: VecDeque<Told>,
    last: u64,
}

impl News {
    pub(in crate::face) fn new(jobs: Receiver<JobMoved>, queues: Receiver<QueueEvent>) -> Self {
        Self {
            epoch: fastrand::u64(..),
            log: Mutex::new(Log {
                jobs,
                queues,
                kept: VecDeque::new(),
                last: 0,
            }),
        }
    }

    /// What names an event to a client.
    pub(in crate::face) fn name(&self, number: u64) -> String {
        format!("{:016x}-{number}", self.epoch)
    }

    /// The number a client names; none if it is of another process, or was never given out.
    pub(in crate::face) fn number(&self, name: &str) -> Option<u64> {
        let (epoch, number) = name.split_once('-')?;
        let is_ours = u64::from_str_radix(epoch, 16) == Ok(self.epoch);
        let number = number.parse().ok().filter(|_| is_ours)?;
        (number <= self.last()).then_some(number)
    }

    /// The number of the last event.
    pub(in crate::face) fn last(&self) -> u64 {
        self.since(u64::MAX).last
    }

    /// What happened after the event of this number.
    pub(in crate::face) fn since(&self, number: u64) -> Since {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.take_in();
        let first = log.kept.front().map_or(log.last + 1, |told| told.number);
        let known = log.kept.partition_point(|told| told.number <= number);
        Since {
            told: log.kept.range(known..).cloned().collect(),
            missed: first.saturating_sub(number.saturating_add(1)),
            last: log.last,
        }
    }
}

impl Log {
    fn take_in(&mut self) {
        while let Some(event) = next(&mut self.queues, &mut self.last, &mut self.kept) {
            self.keep(Event::Queue(event));
        }
        while let Some(moved) = next(&mut self.jobs, &mut self.last, &mut self.kept) {
            self.keep(Event::Job(moved.into()));
        }
    }

    fn keep(&mut self, event: Event) {
        self.last += 1;
        let number = self.last;
        self.kept.push_back(Told { number, event });
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }
}

/// The next that came. What was missed leaves a hole in the numbers, before which nothing is told.
fn next<T: Clone>(from: &mut Receiver<T>, last: &mut u64, kept: &mut VecDeque<Told>) -> Option<T> {
    loop {
        match from.try_recv() {
            Ok(event) => return Some(event),
            Err(TryRecvError::Lagged(missed)) => {
                *last += missed;
                kept.clear();
            }
            Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{JobId, JobState, Queue};
    use tokio::sync::broadcast::Sender;

    fn news() -> (News, Sender<JobMoved>, Sender<QueueEvent>) {
        let (jobs, queues) = (Sender::new(8), Sender::new(8));
        (
            News::new(jobs.subscribe(), queues.subscribe()),
            jobs,
            queues,
        )
    }

    fn moved(id: i64) -> JobMoved {
        JobMoved {
            id: JobId(id),
            queue: Queue::Scoring,
            state: JobState::Running,
            error: None,
            trace: None,
        }
    }

    fn ids(since: &Since) -> Vec<i64> {
        let id = |told: &Told| match &told.event {
            Event::Job(event) => event.id,
            Event::Queue(_) => 0,
        };
        since.told.iter().map(id).collect()
    }

    #[test]
    fn who_comes_back_hears_what_it_missed() {
        let (news, jobs, _queues) = news();
        jobs.send(moved(1)).unwrap();
        let name = news.name(news.last());
        jobs.send(moved(2)).unwrap();
        jobs.send(moved(3)).unwrap();
        let since = news.since(news.number(&name).unwrap());
        assert_eq!((ids(&since), since.missed, since.last), (vec![2, 3], 0, 3));
        assert_eq!(
            news.since(3),
            Since {
                last: 3,
                ..Since::default()
            }
        );
    }

    #[test]
    fn a_name_of_another_process_is_none_of_ours() {
        let (ours, others) = (news(), news());
        let (news, other) = (&ours.0, &others.0);
        assert_eq!(news.number(&other.name(7)), None);
        ours.1.send(moved(1)).unwrap();
        assert_eq!(news.number(&news.name(1)), Some(1));
        for wrong in ["", "1", "x-1", "-", &news.name(2)] {
            assert_eq!(news.number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_longer_known_is_counted() {
        let (news, jobs, _queues) = news();
        for id in 1..=20 {
            jobs.send(moved(id)).unwrap();
        }
        let since = news.since(0);
        assert_eq!(ids(&since), (13..=20).collect::<Vec<_>>());
        assert_eq!((since.missed, since.last), (12, 20));
        for id in 21..=21 + i64::try_from(KEPT).unwrap() {
            jobs.send(moved(id)).unwrap();
            news.last();
        }
        let since = news.since(20);
        assert_eq!((since.told.len(), since.missed), (KEPT, 1));
    }
}
