//! Who waits for which job. A ticket is what a submitter holds; its events arrive only after the
//! commit they speak of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::meters::Meters;
use crate::domain::job::{Job, Kind, Queue, ThumbnailItem};
use crate::domain::liveness::Judgement;
use crate::domain::score::Score;
use crate::domain::thumbnail;
use crate::store::NewJob;

/// Committed news of a submitted job.
#[derive(Debug, Clone)]
pub enum TicketEvent {
    /// These videos are scored.
    Scored(Arc<Vec<(String, Score)>>),
    /// A thumbnail has its verdict.
    Thumbnail {
        /// The picture.
        item: ThumbnailItem,
        /// What it is worth.
        verdict: thumbnail::Verdict,
        /// Whether an earlier verdict was reused.
        cached: bool,
    },
    /// A video has its verdict.
    Liveness {
        /// The site's id.
        video_id: String,
        /// What was found, with its evidence.
        judgement: Judgement,
        /// Whether an earlier verdict was reused.
        cached: bool,
    },
    /// These items got no answer.
    Failed(Failure),
    /// Every job of the ticket has ended.
    End,
}

/// Items a job could not answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the job did.
    pub kind: Kind,
    /// The items left without an answer; `None` if not even they could be read.
    pub left: Option<Job>,
    /// Why.
    pub error: String,
}

impl Failure {
    /// The failure of a job with this payload.
    #[must_use]
    pub fn of(kind: Kind, payload: &str, error: String) -> Self {
        Self {
            kind,
            left: Job::from_payload(kind, payload).ok(),
            error,
        }
    }
}

/// Which submitted piece of work a job came from. It outlives the job's row: work that has to be
/// submitted once more keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(pub i64);

struct Outstanding {
    ticket: u64,
    job: NewJob,
    resubmitted: bool,
}

struct Waiter {
    events: mpsc::UnboundedSender<TicketEvent>,
    outstanding: usize,
}

/// A ticket that was opened.
pub struct Opened {
    /// Its number.
    pub ticket: u64,
    /// Its jobs, each with its origin.
    pub jobs: Vec<NewJob>,
    /// Its news.
    pub events: mpsc::UnboundedReceiver<TicketEvent>,
}

/// Every open ticket and the work each still waits for.
#[derive(Default)]
pub struct Tickets {
    next: i64,
    outstanding: HashMap<Origin, Outstanding>,
    waiters: HashMap<u64, Waiter>,
    meters: Meters,
}

impl Tickets {
    /// None yet; how many jobs are open is metered.
    #[must_use]
    pub fn new(meters: Meters) -> Self {
        Self {
            meters,
            ..Self::default()
        }
    }

    /// Opens a ticket for these jobs and gives each its origin.
    pub fn open(&mut self, jobs: Vec<NewJob>) -> Opened {
        let (events, receiver) = mpsc::unbounded_channel();
        let ticket = self.next.unsigned_abs();
        self.next += 1;
        if jobs.is_empty() {
            let _ = events.send(TicketEvent::End);
            return Opened {
                ticket,
                jobs,
                events: receiver,
            };
        }
        self.waiters.insert(
            ticket,
            Waiter {
                events,
                outstanding: jobs.len(),
            },
        );
        let jobs = jobs
            .into_iter()
            .map(|mut job| {
                job.origin = self.next;
                self.next += 1;
                let kept = Outstanding {
                    ticket,
                    job: job.clone(),
                    resubmitted: false,
                };
                self.outstanding.insert(Origin(job.origin), kept);
                self.meters.jobs.opened(job.kind.queue());
                job
            })
            .collect();
        Opened {
            ticket,
            jobs,
            events: receiver,
        }
    }

    /// Takes back what has not ended of a ticket: nothing is told of it any more. The ticket itself
    /// ends when it is [closed](Self::close).
    pub fn withdraw(&mut self, ticket: u64) -> Vec<NewJob> {
        let of_ticket = self.outstanding.extract_if(|_, kept| kept.ticket == ticket);
        let withdrawn: Vec<NewJob> = of_ticket.map(|(_, kept)| kept.job).collect();
        for job in &withdrawn {
            self.meters.jobs.closed(job.kind.queue());
        }
        withdrawn
    }

    /// Ends a ticket whose work was withdrawn.
    pub fn close(&mut self, ticket: u64) {
        if let Some(waiter) = self.waiters.remove(&ticket) {
            let _ = waiter.events.send(TicketEvent::End);
        }
    }

    /// Passes news of a job on to whoever waits for it.
    pub fn tell(&self, origin: Origin, event: TicketEvent) {
        let waiter = self
            .outstanding
            .get(&origin)
            .and_then(|kept| self.waiters.get(&kept.ticket));
        if let Some(waiter) = waiter {
            let _ = waiter.events.send(event);
        }
    }

    /// Notes that a job has ended; the last one closes its ticket.
    pub fn end(&mut self, origin: Origin) {
        let Some(kept) = self.outstanding.remove(&origin) else {
            return;
        };
        self.meters.jobs.closed(kept.job.kind.queue());
        let Some(waiter) = self.waiters.get_mut(&kept.ticket) else {
            return;
        };
        waiter.outstanding -= 1;
        if waiter.outstanding == 0 {
            let _ = waiter.events.send(TicketEvent::End);
            self.waiters.remove(&kept.ticket);
        }
    }

    /// The queue's rows are gone with their connection: what is to be submitted once more. Work
    /// that was submitted again before fails instead.
    pub fn resubmit(&mut self, error: &str) -> Vec<NewJob> {
        self.resubmit_if(|_| true, error)
    }

    /// The same for the work of one queue that has no row there any more: its end was committed,
    /// and whoever was to tell of it died.
    pub fn resubmit_lost(&mut self, queue: Queue, held: &[i64], error: &str) -> Vec<NewJob> {
        let held: HashSet<i64> = held.iter().copied().collect();
        let is_lost = |job: &NewJob| job.kind.queue() == queue && !held.contains(&job.origin);
        self.resubmit_if(is_lost, error)
    }

    fn resubmit_if(&mut self, is_lost: impl Fn(&NewJob) -> bool, error: &str) -> Vec<NewJob> {
        let mut again = Vec::new();
        let mut spent = Vec::new();
        for (origin, kept) in &mut self.outstanding {
            if !is_lost(&kept.job) {
                continue;
            }
            if kept.resubmitted {
                spent.push(*origin);
            } else {
                kept.resubmitted = true;
                again.push(kept.job.clone());
            }
        }
        again.sort_by_key(|job| job.origin);
        for origin in spent {
            self.fail(origin, error);
        }
        again
    }

    /// Ends a job without an answer for its items.
    pub fn fail(&mut self, origin: Origin, error: &str) {
        let Some(kept) = self.outstanding.get(&origin) else {
            return;
        };
        let failure = Failure::of(kept.job.kind, &kept.job.payload, error.to_owned());
        self.tell(origin, TicketEvent::Failed(failure));
        self.end(origin);
    }

    /// Ends every open job without an answer.
    pub fn fail_all(&mut self, error: &str) {
        for queue in Queue::ALL {
            self.fail_queue(queue, error);
        }
    }

    /// Ends every open job of a queue without an answer.
    pub fn fail_queue(&mut self, queue: Queue, error: &str) {
        let of_queue = |kept: &Outstanding| kept.job.kind.queue() == queue;
        let mut origins: Vec<Origin> = self
            .outstanding
            .iter()
            .filter(|(_, kept)| of_queue(kept))
            .map(|(at, _)| *at)
            .collect();
        origins.sort_by_key(|origin| origin.0);
        for origin in origins {
            self.fail(origin, error);
        }
    }

    /// How many jobs are open.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str) -> NewJob {
        NewJob {
            kind: Kind::Score,
            payload: format!(r#"{{"video_ids":["{id}"]}}"#),
            priority: 5,
            run_at_ms: 0,
            origin: 0,
            trace: None,
        }
    }

    #[test]
    fn a_ticket_ends_with_its_last_job() {
        let mut tickets = Tickets::default();
        let Opened {
            jobs, mut events, ..
        } = tickets.open(vec![job("a"), job("b")]);
        tickets.end(Origin(jobs[0].origin));
        assert!(events.try_recv().is_err());
        tickets.end(Origin(jobs[0].origin));
        assert!(
            events.try_recv().is_err(),
            "an end that is told twice counts once"
        );
        tickets.end(Origin(jobs[1].origin));
        assert!(matches!(events.try_recv(), Ok(TicketEvent::End)));
        assert_eq!(tickets.outstanding(), 0);
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        let Opened {
            jobs, mut events, ..
        } = Tickets::default().open(vec![]);
        assert!(jobs.is_empty());
        assert!(matches!(events.try_recv(), Ok(TicketEvent::End)));
    }

    #[test]
    fn of_withdrawn_work_nothing_is_told_and_nothing_submitted_again() {
        let mut tickets = Tickets::default();
        let mut opened = tickets.open(vec![job("a"), job("b")]);
        let other = tickets.open(vec![job("c")]);
        tickets.end(Origin(opened.jobs[0].origin));
        let withdrawn = tickets.withdraw(opened.ticket);
        assert_eq!(withdrawn, [opened.jobs[1].clone()]);
        tickets.fail(Origin(opened.jobs[1].origin), "too late");
        assert!(opened.events.try_recv().is_err());
        assert_eq!(tickets.resubmit("lost"), other.jobs);
        tickets.close(opened.ticket);
        assert!(matches!(opened.events.try_recv(), Ok(TicketEvent::End)));
        assert!(tickets.withdraw(opened.ticket).is_empty());
    }

    #[test]
    fn work_whose_end_nobody_told_is_submitted_once_more() {
        let mut tickets = Tickets::default();
        let Opened {
            jobs,
            events: _events,
            ..
        } = tickets.open(vec![job("a"), job("b")]);
        let held = [jobs[0].origin];
        let lost = |tickets: &mut Tickets, queue| tickets.resubmit_lost(queue, &held, "died");
        assert!(lost(&mut tickets, Queue::Cleanup).is_empty());
        assert_eq!(lost(&mut tickets, Queue::Scoring), vec![jobs[1].clone()]);
        assert!(lost(&mut tickets, Queue::Scoring).is_empty());
        assert_eq!(tickets.outstanding(), 1, "the second time it failed");
    }

    #[test]
    fn work_is_submitted_once_more_and_then_fails_by_name() {
        let mut tickets = Tickets::default();
        let Opened {
            jobs, mut events, ..
        } = tickets.open(vec![job("a"), job("b")]);
        tickets.end(Origin(jobs[1].origin));
        assert_eq!(tickets.resubmit("disk full"), vec![jobs[0].clone()]);
        assert!(tickets.resubmit("disk full").is_empty());
        let Ok(TicketEvent::Failed(failure)) = events.try_recv() else {
            panic!("no failure")
        };
        assert_eq!(failure.left.unwrap().video_ids(), ["a"]);
        assert_eq!(failure.error, "disk full");
        assert!(matches!(events.try_recv(), Ok(TicketEvent::End)));
    }
}
