//! The `vvv-actors` program.

use std::env;
use std::process::ExitCode;

use vvv_actors::face::cli;

fn main() -> ExitCode {
    cli::main(env::args_os(), env::vars_os()).into()
}
