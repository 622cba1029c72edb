//! A disk that answers with errors for as long as a test wants it to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What makes a program's disk fail.
pub struct FailingDisk {
    library: PathBuf,
    flag: PathBuf,
}

impl FailingDisk {
    /// Built into this folder; none, said aloud, where there is no C compiler for a library.
    #[track_caller]
    pub fn build(folder: &Path) -> Option<Self> {
        let library = folder.join("failing_disk.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/failing_disk.c");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .output();
        let refused = match output {
            Ok(output) if output.status.success() => {
                let flag = folder.join("fails");
                return Some(Self { library, flag });
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        super::skip(&format!("cannot build a failing disk: {refused}"));
        None
    }

    /// What the program is to have in its environment.
    pub fn settings(&self) -> [(&str, &str); 2] {
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("FAILING_DISK", self.flag.to_str().unwrap()),
        ]
    }

    /// From now on nothing can be written.
    pub fn fail(&self) {
        fs::write(&self.flag, "").unwrap();
    }

    /// From now on all is well.
    pub fn mend(&self) {
        fs::remove_file(&self.flag).unwrap();
    }
}
