//! The `fastlead` program.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    fastlead_server::cli::run(fastlead_server::cli::Cli::parse()).await
}
