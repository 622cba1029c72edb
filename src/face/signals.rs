//! The signals that end a run. Only the program listens for them: the library leaves a host's
//! signals to the host.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::{io, thread};

use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::oneshot;

use super::exit::Code;

/// A signal that asks the program to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: somebody typed Ctrl-C.
    Interrupt,
    /// SIGTERM: a supervisor, or the machine goes down.
    Terminate,
}

impl Signal {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// How a program ends that it ended.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Interrupt => Code::Interrupted,
            Self::Terminate => Code::Terminated,
        }
    }
}

/// A run's ear. It hears the first signal, a daemon's the second too; any other, and any after the
/// run has closed it, ends the process at once, whatever that is busy with.
#[derive(Debug)]
pub struct Signals(VecDeque<oneshot::Receiver<Signal>>);

impl Signals {
    /// Listens until the process ends, on a thread of its own: a run may be stuck, be it in
    /// printing to a pipe that nobody reads.
    ///
    /// # Errors
    /// When there is no thread or event loop to be had.
    pub fn watch() -> io::Result<Self> {
        Self::watch_for(1)
    }

    /// The same, and the second signal is heard too.
    ///
    /// # Errors
    /// As [`Self::watch`].
    pub fn watch_for_two() -> io::Result<Self> {
        Self::watch_for(2)
    }

    fn watch_for(count: usize) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let signals = {
            let _inside = runtime.enter();
            Both {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            }
        };
        let (run, heard): (Vec<_>, _) = (0..count).map(|_| oneshot::channel()).unzip();
        thread::Builder::new()
            .name("vvv-signals".to_owned())
            .spawn(move || runtime.block_on(signals.serve(run)))?;
        Ok(Self(heard))
    }

    /// Hears nothing: for runs inside of a program that minds its signals itself.
    #[must_use]
    pub const fn none() -> Self {
        Self(VecDeque::new())
    }

    /// The next signal, if one is still to be heard.
    pub async fn next(&mut self) -> Signal {
        if let Some(heard) = self.0.front_mut() {
            let signal = heard.await;
            self.0.pop_front();
            if let Ok(signal) = signal {
                return signal;
            }
        }
        std::future::pending().await
    }

    /// The next signal, if it was sent by now.
    pub fn heard(&mut self) -> Option<Signal> {
        let signal = self.0.front_mut()?.try_recv().ok()?;
        self.0.pop_front();
        Some(signal)
    }

    /// Hears no more; gives what was sent and not heard yet.
    pub fn close(mut self) -> Option<Signal> {
        let heard = self.0.front_mut()?;
        heard.close();
        heard.try_recv().ok()
    }
}

struct Both {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Both {
    async fn serve(mut self, run: Vec<oneshot::Sender<Signal>>) -> Infallible {
        for run in run {
            let signal = self.next().await;
            if run.send(signal).is_err() {
                end_at_once(signal);
            }
        }
        end_at_once(self.next().await)
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

/// What was committed stays; the rest is given up without a report.
fn end_at_once(signal: Signal) -> ! {
    std::process::exit(signal.code().number().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_is_heard_once_and_none_is_lost() {
        let (first, heard) = oneshot::channel();
        let mut signals = Signals([heard].into());
        first.send(Signal::Terminate).unwrap();
        assert_eq!(signals.next().await, Signal::Terminate);
        assert_eq!(signals.close(), None);

        let (first, heard) = oneshot::channel();
        first.send(Signal::Interrupt).unwrap();
        assert_eq!(Signals([heard].into()).close(), Some(Signal::Interrupt));

        let (first, heard) = oneshot::channel();
        assert_eq!(Signals([heard].into()).close(), None);
        assert_eq!(first.send(Signal::Interrupt), Err(Signal::Interrupt));

        let (run, heard): (Vec<_>, _) = (0..2).map(|_| oneshot::channel()).unzip();
        let mut signals = Signals(heard);
        for (run, signal) in run.into_iter().zip([Signal::Terminate, Signal::Interrupt]) {
            run.send(signal).unwrap();
        }
        assert_eq!(signals.next().await, Signal::Terminate);
        assert_eq!(signals.heard(), Some(Signal::Interrupt));
        assert_eq!(signals.heard(), None);
    }
}
