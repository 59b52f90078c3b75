//! The `fastlead` program.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn run() -> ExitCode {
    fastlead_server::cli::run(fastlead_server::cli::Cli::parse()).await
}

fn main() -> ExitCode {
    fastlead_server::refuse_huge_pages();
    run()
}
