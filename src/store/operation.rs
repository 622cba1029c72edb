//! A write as a value: it can wait in line, share a transaction with others and be applied again
//! if that transaction had to be rolled back.

use std::cell::Cell;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection};

use super::error::StoreError;
use super::site::Site;

/// One write. [`Operation::apply`] may run more than once: only the last run is kept.
pub trait Operation: Send + 'static {
    /// What the caller gets once the write is committed.
    type Output: Send + 'static;

    /// Writes, inside a transaction that is not the operation's to end. After an error nothing
    /// it wrote is kept, so it returns at the first one.
    ///
    /// # Errors
    /// The caller's answer.
    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError>;

    /// Acts on what is committed, before any caller of it or of a later write is answered.
    fn committed(&self, _output: &Self::Output) {}

    /// Whether it needs the file's write lock; false for what touches only the connection's own
    /// TEMP tables.
    fn touches_file(&self) -> bool {
        true
    }

    /// Whether more of its like are about to follow, so that it had better wait a moment and share
    /// a transaction with them: a commit writes every page it touched, however little changed.
    fn may_wait(&self) -> bool {
        false
    }
}

/// One that may have to be handed over again.
impl<O: Operation + Sync> Operation for Arc<O> {
    type Output = O::Output;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        self.as_ref().apply(scope)
    }

    fn committed(&self, output: &Self::Output) {
        self.as_ref().committed(output);
    }

    fn touches_file(&self) -> bool {
        self.as_ref().touches_file()
    }

    fn may_wait(&self) -> bool {
        self.as_ref().may_wait()
    }
}

/// What an operation may use.
pub struct Scope<'a> {
    pub(super) connection: &'a Connection,
    pub(super) site: &'a Site,
    pub(super) keep_details: bool,
    pub(super) home: QueueHome,
    /// Set by an operation that puts rows in as the site would, to be taken in.
    pub(super) new_rows: &'a Cell<bool>,
}

/// Where the queue's tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueueHome {
    /// In this connection's memory: no job is left behind.
    #[default]
    Memory,
    /// In the site's file: no job is lost.
    File,
}

impl<'a> Scope<'a> {
    /// A statement, prepared once a connection.
    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'a>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// A statement over the queue's tables, which it names as `queue.vvv_…`.
    pub(super) fn prepare_queue(&self, sql: &str) -> Result<CachedStatement<'a>, StoreError> {
        let schema = match self.home {
            QueueHome::Memory => "temp.vvv_",
            QueueHome::File => "main.vvv_",
        };
        self.prepare(&sql.replace("queue.vvv_", schema))
    }
}

/// An operation in line with the caller that waits for it.
pub trait Pending: Send {
    /// See [`Operation::touches_file`].
    fn touches_file(&self) -> bool;

    /// Applies the operation and keeps its output for [`Pending::answer`].
    ///
    /// # Errors
    /// The operation's.
    fn apply(&mut self, scope: &Scope<'_>) -> Result<(), StoreError>;

    /// Tells the caller: the output of the last run, or why nothing was written.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// Puts an operation in line; `answer` is called once, after its transaction.
pub fn pending<O: Operation>(
    operation: O,
    answer: impl FnOnce(Result<O::Output, StoreError>) + Send + 'static,
) -> Box<dyn Pending> {
    Box::new(Waiting {
        operation,
        output: None,
        answer,
    })
}

struct Waiting<O: Operation, F> {
    operation: O,
    output: Option<O::Output>,
    answer: F,
}

impl<O, F> Pending for Waiting<O, F>
where
    O: Operation,
    F: FnOnce(Result<O::Output, StoreError>) + Send + 'static,
{
    fn touches_file(&self) -> bool {
        self.operation.touches_file()
    }

    fn apply(&mut self, scope: &Scope<'_>) -> Result<(), StoreError> {
        self.output = None;
        self.output = Some(self.operation.apply(scope)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self {
            operation,
            output,
            answer,
        } = *self;
        let outcome = outcome.and_then(|()| {
            output.ok_or_else(|| StoreError::Unknown("answered before it was applied".to_owned()))
        });
        if let Ok(output) = &outcome {
            operation.committed(output);
        }
        answer(outcome);
    }
}
