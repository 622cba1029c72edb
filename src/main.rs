//! The `vvv-actors` program.

use std::env;
use std::process::ExitCode;

use vvv_actors::face::cli;

/// Gives memory back soon after a picture is decoded; glibc's keeps what its threads freed, which
/// doubled the peak under hostile thumbnails.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(env::args_os(), env::vars_os()).into()
}
