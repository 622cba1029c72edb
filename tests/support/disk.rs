//! A disk that can be full.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// A disk of its own size, which goes with the value.
pub struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// `None`, said aloud, where mounting is not permitted.
    #[track_caller]
    pub fn mount(kib: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(folder.path())
            .output();
        let refused = match output {
            Ok(output) if output.status.success() => return Some(Self { folder }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        super::skip(&format!("cannot mount a small disk: {refused}"));
        None
    }

    /// A path on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Fills it but for `left` KiB.
    pub fn fill(&self, left: usize) {
        let mut filler = File::create(self.path("filler")).unwrap();
        while filler.write_all(&[1; 4096]).is_ok() {}
        let size = filler.metadata().unwrap().len();
        let left = u64::try_from(left * 1024).unwrap();
        filler.set_len(size.saturating_sub(left)).unwrap();
    }

    /// Makes room again.
    pub fn free(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what a failed test left open must not keep the mount.
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
    }
}
