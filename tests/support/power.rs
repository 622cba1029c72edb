//! A disk whose power can be cut: what the system had not written by then is gone.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Shuts a file system down where it stands; 2 is "do not even flush the log".
const CUT: &str = "import fcntl, os, struct, sys\n\
    disk = os.open(sys.argv[1], os.O_RDONLY)\n\
    fcntl.ioctl(disk, 0x8004587d, struct.pack('I', 2))\n";

/// An ext4 of its own in a file, which goes with the value.
pub struct PoweredDisk {
    image: PathBuf,
    mounted: PathBuf,
    _folder: tempfile::TempDir,
}

impl PoweredDisk {
    /// `None`, said aloud, where it cannot be made.
    #[track_caller]
    pub fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (image, mounted) = (folder.path().join("image"), folder.path().join("disk"));
        std::fs::create_dir(&mounted).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(64 << 20).unwrap();
        let disk = Self {
            image,
            mounted,
            _folder: folder,
        };
        let made = run(Command::new("mkfs.ext4").arg("-q").arg(&disk.image));
        match made.and_then(|()| disk.connect()) {
            Ok(()) => Some(disk),
            Err(refused) => {
                super::skip(&format!("cannot make a disk to cut: {refused}"));
                None
            }
        }
    }

    fn connect(&self) -> Result<(), String> {
        let mut mount = Command::new("mount");
        run(mount
            .args(["-o", "loop"])
            .args([&self.image, &self.mounted]))
    }

    /// A path on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.mounted.join(name)
    }

    /// Cuts the power. Nothing can be written any more.
    pub fn cut(&self) {
        run(Command::new("python3").args([Path::new("-c"), Path::new(CUT), &self.mounted]))
            .unwrap();
    }

    /// Power is back; nobody may have a file of it open.
    pub fn restore(&self) {
        run(Command::new("umount").arg(&self.mounted)).unwrap();
        self.connect().unwrap();
    }
}

impl Drop for PoweredDisk {
    fn drop(&mut self) {
        // Lazily: what a failed test left open must not keep the mount.
        let _ = run(Command::new("umount").arg("-l").arg(&self.mounted));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
