//! A thread for what may block. Where the system has none left, tokio panics; the shortage is ours and
//! says nothing of what was to be done, so here it is an error.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use actix_rt::task::spawn_blocking;

/// Runs `work` on a thread that may block.
///
/// # Errors
/// When `work` panicked, and with [`io::ErrorKind::WouldBlock`] when no thread is to be had. It may
/// then be done later all the same, and nobody hears of it.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let begun = catch_unwind(AssertUnwindSafe(|| spawn_blocking(work)));
    let running = begun.map_err(|_| {
        let text = "no thread is to be had";
        io::Error::new(io::ErrorKind::WouldBlock, text)
    })?;
    running.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[actix_rt::test]
    async fn a_panic_is_an_error() {
        assert_eq!(aside(|| 7).await.unwrap(), 7);
        let panicked = aside(|| panic!("of this test")).await.unwrap_err();
        assert_eq!(panicked.kind(), io::ErrorKind::Other);
    }

    #[test]
    fn where_tokio_panics_it_is_an_error() {
        // Without a runtime there is as little a thread as without room for one.
        let polled = pin!(aside(|| 7)).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Err(error)) = polled else {
            panic!("{polled:?}");
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
