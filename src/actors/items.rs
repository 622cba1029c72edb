//! Works through the items of one job, so many at once, until they end or are asked to.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::control::JobControl;
use super::worker::{Why, panic_text};

/// How one item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemEnd {
    /// Recorded.
    Done,
    /// Left for another attempt.
    Left(Why),
    /// The claim is lost: nothing more of the job can be recorded.
    NotOurs,
}

/// What is left of a job.
#[derive(Debug, PartialEq, Eq)]
pub enum Rest<T> {
    /// Nothing: every item is recorded.
    None,
    /// These items, and why.
    Items(Vec<T>, Why),
    /// The work was dropped.
    Dropped,
    /// A panic hit outside an item's own boundary.
    Lost(String),
}

impl<T> Rest<T> {
    /// Whether the attempt's outcome says what became of each item: what it reused it does not look
    /// up again.
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::None | Self::Items(..))
    }
}

/// Runs `work` for each item, `in_flight` at once. A request to stop begins nothing new; dropped
/// work is left where it stands.
pub async fn work_through<T, F>(
    items: Vec<T>,
    in_flight: usize,
    control: &JobControl,
    work: impl Fn(T) -> F,
) -> Rest<T>
where
    T: Clone,
    F: Future<Output = ItemEnd>,
{
    let mut queue = items.into_iter();
    let mut running = FuturesUnordered::new();
    let mut left = Left::default();
    loop {
        while running.len() < in_flight.max(1) && !control.is_asked() && !left.ends_the_attempt() {
            let Some(item) = queue.next() else { break };
            let kept = item.clone();
            let guarded = AssertUnwindSafe(work(item)).catch_unwind();
            running.push(guarded.map(move |end| (kept, end)));
        }
        tokio::select! {
            biased;
            () = control.dropped() => return Rest::Dropped,
            ended = running.next() => match ended {
                None => break,
                Some((_, Ok(ItemEnd::Done))) => {}
                Some((item, Ok(ItemEnd::Left(why)))) => left.add(item, why),
                Some((_, Ok(ItemEnd::NotOurs))) => return Rest::Dropped,
                Some((_, Err(panic))) => return Rest::Lost(panic_text(panic.as_ref())),
            },
        }
    }
    for item in queue {
        left.add(item, Why::Stopped);
    }
    left.into_rest()
}

/// Items left so far and the weightiest reason among them.
struct Left<T> {
    items: Vec<T>,
    why: Option<Why>,
}

impl<T> Default for Left<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            why: None,
        }
    }
}

impl<T> Left<T> {
    fn add(&mut self, item: T, why: Why) {
        self.items.push(item);
        self.why = Some(match self.why.take() {
            None => why,
            Some(before) => weightier(before, why),
        });
    }

    /// A parked upstream and spent calls concern every item that follows.
    fn ends_the_attempt(&self) -> bool {
        matches!(self.why, Some(Why::Parked(_) | Why::CallsSpent))
    }

    fn into_rest(self) -> Rest<T> {
        match self.why {
            None => Rest::None,
            Some(why) => Rest::Items(self.items, why),
        }
    }
}

fn weight(why: &Why) -> (u8, Duration) {
    match why {
        Why::Stopped => (0, Duration::ZERO),
        Why::Transient { retry_after, .. } => (1, retry_after.unwrap_or_default()),
        Why::Parked(wait) => (2, *wait),
        Why::CallsSpent => (3, Duration::ZERO),
    }
}

fn weightier(one: Why, other: Why) -> Why {
    if weight(&other) > weight(&one) {
        other
    } else {
        one
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn transient(error: &str, seconds: Option<u64>) -> Why {
        Why::Transient {
            error: error.into(),
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    #[actix_rt::test]
    async fn every_item_is_worked_and_never_more_at_once_than_allowed() {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let rest = work_through((0..20).collect(), 3, &JobControl::start(), |_| async {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            tokio::task::yield_now().await;
            now.set(now.get() - 1);
            ItemEnd::Done
        })
        .await;
        assert_eq!((rest, most.get()), (Rest::None, 3));
    }

    #[actix_rt::test]
    async fn the_longest_wait_asked_for_is_kept() {
        let rest = work_through(vec![1, 2, 3], 1, &JobControl::start(), |item| async move {
            match item {
                1 => ItemEnd::Left(transient("a", Some(9))),
                2 => ItemEnd::Left(transient("b", Some(3))),
                _ => ItemEnd::Done,
            }
        })
        .await;
        assert_eq!(rest, Rest::Items(vec![1, 2], transient("a", Some(9))));
    }

    #[actix_rt::test]
    async fn a_parked_upstream_is_asked_for_nothing_more() {
        let asked = RefCell::new(Vec::new());
        let rest = work_through(vec![1, 2, 3], 1, &JobControl::start(), |item| {
            asked.borrow_mut().push(item);
            async { ItemEnd::Left(Why::Parked(Duration::from_secs(60))) }
        })
        .await;
        assert_eq!(asked.into_inner(), [1]);
        assert_eq!(
            rest,
            Rest::Items(vec![1, 2, 3], Why::Parked(Duration::from_secs(60)))
        );
    }

    #[actix_rt::test]
    async fn a_job_that_is_not_ours_any_more_is_left_where_it_stands() {
        let asked = RefCell::new(Vec::new());
        let rest = work_through(vec![1, 2, 3], 2, &JobControl::start(), |item| {
            asked.borrow_mut().push(item);
            async move {
                match item {
                    1 => ItemEnd::NotOurs,
                    _ => std::future::pending().await,
                }
            }
        })
        .await;
        assert_eq!((rest, asked.into_inner()), (Rest::Dropped, vec![1, 2]));
    }

    #[actix_rt::test]
    async fn a_request_to_stop_finishes_what_runs_and_leaves_the_rest() {
        let control = JobControl::start();
        let rest = work_through(vec![1, 2, 3], 1, &control, |_| async {
            control.ask_to_stop();
            ItemEnd::Done
        })
        .await;
        assert_eq!(rest, Rest::Items(vec![2, 3], Why::Stopped));
    }

    #[actix_rt::test]
    async fn dropped_work_and_a_panic_lose_the_attempt_and_nothing_else() {
        let control = JobControl::start();
        control.drop_work();
        let rest = work_through(vec![1], 1, &control, |_| std::future::pending()).await;
        assert_eq!(rest, Rest::Dropped);
        let rest = work_through(vec![1], 1, &JobControl::start(), |_| async {
            panic!("odd")
        })
        .await;
        assert_eq!(rest, Rest::Lost("panicked: odd".into()));
    }
}
