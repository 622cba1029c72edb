//! `completions`: a script that teaches a shell our commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Console};
use crate::face::exit::{Code, Failure, printed};

/// Arguments of `completions`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(arguments: &CompletionsArgs, console: &mut Console<'_>) -> Result<Code, Failure> {
    // Into memory first: the generator panics where a reader of ours may leave early.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "vvv-actors",
        &mut script,
    );
    printed(
        console
            .stdout
            .write_all(&script)
            .and_then(|()| console.stdout.flush()),
    )
}
