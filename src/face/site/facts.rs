//! What a daemon tells of itself.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::face::protocol::RpcError;

/// What a daemon tells of itself.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The database.
    pub database: PathBuf,
    /// The socket.
    pub socket: PathBuf,
    /// When it started.
    pub began: Instant,
}

impl Facts {
    /// Who names a database means that one. Where a relative path begins is not known here, so of it
    /// only the file's name is compared.
    pub(super) fn refuse_other(&self, named: &Path) -> Result<(), RpcError> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (own, ours) = (real(&self.database), &self.database);
        let is_ours = if named.is_absolute() {
            real(named) == own
        } else {
            let name = named.file_name();
            name.is_some() && [own.file_name(), ours.file_name()].contains(&name)
        };
        if is_ours {
            return Ok(());
        }
        let reason = format!(
            "the daemon works on {}, not on {}",
            ours.display(),
            named.display()
        );
        Err(RpcError::params("db_path", reason))
    }
}
