//! Which configuration file counts. The current folder is never searched: it may be a web root
//! that strangers write to.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::layers::Origin;
use super::{Config, ConfigError};

/// The machine's file, read if neither a flag nor the user names one.
pub(super) const SYSTEM: &str = "/etc/vvv-actors/config.toml";
/// The user's file, in `$XDG_CONFIG_HOME` or `~/.config`.
const USER: &str = "vvv-actors/config.toml";

/// The file that counts, with its text: the flag's, which must exist, else the first of the
/// user's and the machine's that does.
pub(super) fn find_file(
    flag: Option<&Path>,
    environment: &[(OsString, OsString)],
    system: &Path,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let unreadable = |path: PathBuf, source| ConfigError::Unreadable { path, source };
    if let Some(path) = flag {
        return match fs::read_to_string(path) {
            Ok(text) => Ok(Some((path.to_owned(), text))),
            Err(source) => Err(unreadable(path.to_owned(), source)),
        };
    }
    for path in user_file(environment)
        .into_iter()
        .chain([system.to_owned()])
    {
        match fs::read_to_string(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(source) if is_absent(&source) => {}
            Err(source) => return Err(unreadable(path, source)),
        }
    }
    Ok(None)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// A relative folder is ignored, as the XDG specification wants it: it would be searched for in
/// the current one.
fn user_file(environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    let folder = |wanted: &str| {
        environment
            .iter()
            .find(|(name, _)| name == OsStr::new(wanted))
            .map(|(_, value)| PathBuf::from(value))
            .filter(|folder| folder.is_absolute())
    };
    folder("XDG_CONFIG_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".config")))
        .map(|folder| folder.join(USER))
}

/// A relative path starts at the folder of the file that names it.
fn beside(file: &Path, path: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !path.as_os_str().is_empty() => folder.join(path),
        _ => path.to_owned(),
    }
}

/// Makes every path that a file set begin at that file's folder.
pub(super) fn settle(config: &mut Config, origins: &BTreeMap<String, Origin>) {
    for (key, path) in [
        ("database.path", &mut config.database.path),
        ("daemon.socket", &mut config.daemon.socket),
        (
            "http.thumbnail_cache_folder",
            &mut config.http.thumbnail_cache_folder,
        ),
    ] {
        if let Some(Origin::File { path: file, .. }) = origins.get(key) {
            *path = beside(file, path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &Path)]) -> Vec<(OsString, OsString)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), value.as_os_str().into()))
            .collect()
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_flag_stands_above_the_user_and_the_user_above_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let env = environment(&[("XDG_CONFIG_HOME", &at("xdg")), ("HOME", &at("home"))]);
        let found = |flag: Option<&Path>| {
            find_file(flag, &env, &at("etc/config.toml"))
                .unwrap()
                .map(|(_, text)| text)
        };
        assert_eq!(found(None), None);
        write(&at("etc/config.toml"), "machine");
        assert_eq!(found(None).unwrap(), "machine");
        // With XDG_CONFIG_HOME set, ~/.config is not the user's folder.
        write(&at("home/.config").join(USER), "home");
        assert_eq!(found(None).unwrap(), "machine");
        write(&at("xdg").join(USER), "user");
        assert_eq!(found(None).unwrap(), "user");
        write(&at("mine.toml"), "flag");
        assert_eq!(found(Some(&at("mine.toml"))).unwrap(), "flag");
    }

    #[test]
    fn without_xdg_the_users_file_lies_in_the_home_folder() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join(".config").join(USER), "home");
        let env = environment(&[("XDG_CONFIG_HOME", Path::new("")), ("HOME", folder.path())]);
        let (path, text) = find_file(None, &env, Path::new("/nowhere/at/all"))
            .unwrap()
            .unwrap();
        assert_eq!(text, "home");
        assert!(path.starts_with(folder.path()));
    }

    #[test]
    fn a_relative_folder_is_never_searched() {
        let env = environment(&[
            ("XDG_CONFIG_HOME", Path::new(".")),
            ("HOME", Path::new("conf")),
        ]);
        assert_eq!(user_file(&env), None);
    }

    #[test]
    fn a_file_that_is_named_but_missing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.toml");
        let error = find_file(Some(&missing), &[], &missing).unwrap_err();
        assert!(error.to_string().contains("missing.toml"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let env = environment(&[("XDG_CONFIG_HOME", folder.path())]);
        fs::create_dir_all(folder.path().join(USER)).unwrap();
        let error = find_file(None, &env, Path::new("/nowhere")).unwrap_err();
        assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
    }

    #[test]
    fn a_relative_path_starts_beside_the_file_that_names_it() {
        let file = Path::new("/etc/vvv-actors/config.toml");
        for (path, expected) in [
            ("vault.db", "/etc/vvv-actors/vault.db"),
            ("/srv/vault.db", "/srv/vault.db"),
            ("", ""),
        ] {
            assert_eq!(beside(file, Path::new(path)), Path::new(expected));
        }
        assert_eq!(
            beside(Path::new("mine.toml"), Path::new("vault.db")),
            Path::new("vault.db")
        );
    }
}
