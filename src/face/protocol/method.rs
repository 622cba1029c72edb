//! The methods there are. A closed enum is the registry: the server's match over it is exhaustive.

use std::fmt;

/// A method of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Queues work.
    JobsSubmit,
    /// Queues all that a batch file asks for, as one group.
    JobsSubmitBatch,
    /// Tells everything of one job.
    JobsGet,
    /// Waits for jobs or a group to end.
    JobsWait,
    /// Lists jobs, newest first.
    JobsList,
    /// Cancels jobs.
    JobsCancel,
    /// Has ended jobs done again.
    JobsRetry,
    /// Lists the queues.
    QueuesList,
    /// Pauses a queue.
    QueuesPause,
    /// Lets a queue go on.
    QueuesResume,
    /// Cancels all that waits in a queue.
    QueuesPurge,
    /// Tells how the daemon fares.
    DaemonStatus,
    /// Stops the daemon when running jobs have finished.
    DaemonDrain,
    /// Stops the daemon.
    DaemonShutdown,
    /// Reads the configuration again.
    DaemonReload,
    /// Streams the moves of jobs.
    EventsSubscribe,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 16] = [
        Self::JobsSubmit,
        Self::JobsSubmitBatch,
        Self::JobsGet,
        Self::JobsWait,
        Self::JobsList,
        Self::JobsCancel,
        Self::JobsRetry,
        Self::QueuesList,
        Self::QueuesPause,
        Self::QueuesResume,
        Self::QueuesPurge,
        Self::DaemonStatus,
        Self::DaemonDrain,
        Self::DaemonShutdown,
        Self::DaemonReload,
        Self::EventsSubscribe,
    ];

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::JobsSubmit => "jobs.submit",
            Self::JobsSubmitBatch => "jobs.submit_batch",
            Self::JobsGet => "jobs.get",
            Self::JobsWait => "jobs.wait",
            Self::JobsList => "jobs.list",
            Self::JobsCancel => "jobs.cancel",
            Self::JobsRetry => "jobs.retry",
            Self::QueuesList => "queues.list",
            Self::QueuesPause => "queues.pause",
            Self::QueuesResume => "queues.resume",
            Self::QueuesPurge => "queues.purge",
            Self::DaemonStatus => "daemon.status",
            Self::DaemonDrain => "daemon.drain",
            Self::DaemonShutdown => "daemon.shutdown",
            Self::DaemonReload => "daemon.reload",
            Self::EventsSubscribe => "events.subscribe",
        }
    }

    /// Whether it does no more than look into the queue's file, once.
    #[must_use]
    pub const fn is_look(self) -> bool {
        matches!(
            self,
            Self::JobsGet | Self::JobsList | Self::QueuesList | Self::DaemonStatus
        )
    }

    /// Whether it neither waits nor takes work: then it has a place where others have none.
    #[must_use]
    pub const fn is_soon_done(self) -> bool {
        !matches!(
            self,
            Self::JobsSubmit | Self::JobsSubmitBatch | Self::JobsWait | Self::EventsSubscribe
        )
    }

    /// Reads a method by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
