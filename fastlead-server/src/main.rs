//! The `fastlead` program.

use std::process::ExitCode;

use clap::Parser;

// Many small values are made and dropped for each lead, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn run() -> ExitCode {
    fastlead_server::cli::run(fastlead_server::cli::Cli::parse()).await
}

fn main() -> ExitCode {
    fastlead_server::refuse_huge_pages();
    run()
}
