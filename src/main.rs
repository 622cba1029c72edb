//! The `vvv-actors` program.

fn main() {}
