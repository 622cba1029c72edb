//! `unit`: prints a systemd unit for the site at hand. `conf/vvv-actors.service` is its pattern.

use std::path::Path;

use clap::Args;

use super::daemon_link::say;
use super::{Console, Global};
use crate::engine::database::User;
use crate::face::exit::{Code, Failure, printed};

const PATTERN: &str = include_str!("../../../conf/vvv-actors.service");

/// Arguments of `unit`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UnitArgs {
    /// The user it runs as: the one that owns the database
    #[arg(long, value_name = "USER")]
    pub user: String,
    /// Its group [default: the user's name]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
}

/// Prints it.
///
/// # Errors
/// When no database is named, or a name or path cannot stand in a unit.
pub fn run(
    arguments: &UnitArgs,
    global: &Global,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let usage = |error: anyhow::Error| Failure::new(Code::Usage, error);
    // The daemon's own environment is not ours.
    let database = match &global.db {
        Some(named) => named.clone(),
        None => global.load(Vec::new())?.config.database.path,
    };
    let unit = unit(arguments, global, &database).map_err(usage)?;
    for note in notes(arguments, &database) {
        say(&note, global, console);
    }
    printed(
        console
            .stdout
            .write_all(unit.as_bytes())
            .and_then(|()| console.stdout.flush()),
    )
}

/// What is not there, or not yet: the unit is good all the same on the machine it is meant for.
fn notes(arguments: &UnitArgs, database: &Path) -> Vec<String> {
    let mut notes = Vec::new();
    if !database.is_file() {
        notes.push(format!("there is no file {} here", database.display()));
    }
    if let Ok(None) = User::find(&arguments.user) {
        notes.push(format!("there is no user {} here", arguments.user));
    }
    notes
}

fn unit(arguments: &UnitArgs, global: &Global, named: &Path) -> anyhow::Result<String> {
    anyhow::ensure!(
        !named.as_os_str().is_empty(),
        "print a unit: neither --db nor a configuration names a database"
    );
    let database = std::path::absolute(named)?;
    let folder = database
        .parent()
        .ok_or_else(|| anyhow::anyhow!("print a unit: --db {}: no file", named.display()))?;
    let program = std::env::current_exe()?;
    let mut command = format!("{} daemon --db {}", word(&program)?, argument(&database)?);
    if let Some(config) = &global.config {
        command += &format!(" --config {}", argument(&std::path::absolute(config)?)?);
    }
    let user = name(&arguments.user)?;
    let group = arguments.group.as_deref().map_or(Ok(user), name)?;
    let lies_in = |places: &[&str]| places.iter().any(|place| folder.starts_with(place));
    let words = [
        ("@USER@", user.to_owned()),
        ("@GROUP@", group.to_owned()),
        ("@COMMAND@", command),
        ("@FOLDER@", word(folder)?),
        (
            "@HOME@",
            pick(lies_in(&["/home", "/root", "/run/user"]), "read-only"),
        ),
        ("@TMP@", pick(lies_in(&["/tmp", "/var/tmp"]), "no")),
    ];
    let lines = PATTERN.lines().filter(|line| !line.starts_with("##"));
    let filled = lines.map(|line| {
        let filled = words
            .iter()
            .find(|(place, _)| line.ends_with(place))
            .map(|(place, word)| line.replace(place, word));
        filled.unwrap_or_else(|| line.to_owned()) + "\n"
    });
    Ok(filled.collect())
}

/// A protection, or what is left of it where the database lies in what it hides.
fn pick(is_in_the_way: bool, instead: &str) -> String {
    (if is_in_the_way { instead } else { "yes" }).to_owned()
}

/// The name of a user or group.
fn name(name: &str) -> anyhow::Result<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    anyhow::ensure!(
        !name.is_empty() && !name.starts_with('-') && name.chars().all(plain),
        "print a unit: {name:?} is no name of a user or group"
    );
    Ok(name)
}

/// A path as a word of a command: there a dollar begins a variable.
fn argument(path: &Path) -> anyhow::Result<String> {
    Ok(word(path)?.replace('$', "$$"))
}

/// A path as a word of a unit: quoted, and what systemd would expand written twice.
fn word(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let text = path
        .to_str()
        .ok_or_else(|| anyhow::anyhow!("print a unit: {shown}: not UTF-8"))?;
    anyhow::ensure!(
        !text.chars().any(char::is_control),
        "print a unit: {shown:?}: has a control character"
    );
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    Ok(format!("\"{escaped}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(user: &str, database: &str) -> anyhow::Result<String> {
        let arguments = UnitArgs {
            user: user.to_owned(),
            group: None,
        };
        let global = Global {
            db: Some(database.into()),
            ..Global::default()
        };
        unit(
            &arguments,
            &global,
            global.db.as_deref().unwrap_or(Path::new("")),
        )
    }

    #[test]
    fn the_pattern_is_filled_for_the_site_at_hand() {
        let unit = printed("www-data", "/srv/my site/50%$x/vault.db").unwrap();
        assert!(!unit.contains('@') || !unit.contains("@USER@"), "{unit}");
        for line in [
            "User=www-data",
            "Group=www-data",
            "ReadWritePaths=\"/srv/my site/50%%$x\"",
            "ProtectHome=yes",
            "PrivateTmp=yes",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line}: {unit}");
        }
        assert!(
            unit.contains(" daemon --db \"/srv/my site/50%%$$x/vault.db\"\n"),
            "{unit}"
        );
        assert!(!unit.contains("##") && unit.starts_with("[Unit]"));
        let at_home = printed("alice", "/home/alice/vault.db").unwrap();
        assert!(at_home.contains("ProtectHome=read-only\n"));
    }

    #[test]
    fn nothing_can_be_smuggled_into_a_unit() {
        assert!(printed("www-data\nExecStartPre=/bin/evil", "/srv/v.db").is_err());
        assert!(printed("-x", "/srv/v.db").is_err());
        assert!(printed("www-data", "/srv/a\nb/v.db").is_err());
        let quoted = printed("www-data", "/srv/a\"b/v.db").unwrap();
        assert!(quoted.contains("\"/srv/a\\\"b/v.db\""), "{quoted}");
    }
}
