//! Looking into the durable queue, with or without a daemon that works it off.

use std::sync::{Mutex, PoisonError};

use super::{EngineError, store_options};
use crate::config::Config;
use crate::store::{
    GroupId, GroupSummary, JobDetail, JobFilter, JobId, JobSummary, QueueSummary, Reader,
    StoreError,
};

/// A view of the queue in the file. Each call may block for a moment.
pub struct QueueView {
    reader: Mutex<Reader>,
}

impl QueueView {
    /// Opens the file that the configuration names.
    ///
    /// # Errors
    /// When no database is named, it cannot be read, or no queue was ever made in it.
    pub fn open(config: &Config) -> Result<Self, EngineError> {
        if config.database.path.as_os_str().is_empty() {
            return Err(EngineError::NoDatabase);
        }
        let reader = Reader::open(&store_options(config))?;
        if !reader.has_queue()? {
            return Err(EngineError::NoQueue);
        }
        Ok(Self {
            reader: Mutex::new(reader),
        })
    }

    fn look<T>(&self, look: impl Fn(&Reader) -> Result<T, StoreError>) -> Result<T, EngineError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(look(&reader)?)
    }

    /// Lists jobs, newest first.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobSummary>, EngineError> {
        self.look(|reader| reader.jobs(filter))
    }

    /// Everything of one job.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn job(&self, id: JobId) -> Result<Option<JobDetail>, EngineError> {
        self.look(|reader| reader.job(id))
    }

    /// One group.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn group(&self, id: GroupId) -> Result<Option<GroupSummary>, EngineError> {
        self.look(|reader| reader.group(id))
    }

    /// Every queue.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn queues(&self) -> Result<Vec<QueueSummary>, EngineError> {
        self.look(Reader::queues)
    }
}
