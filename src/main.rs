//! The program: see [`cli`] for what it can be told.

mod cli;

use std::process::ExitCode;

// Collecting 100,000 series makes as many small allocations: mimalloc halves their cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
