//! FastLead's server and its whole command line, with an adapter of one's own: `custom_server schema acme_sms`.

use std::process::ExitCode;

use fastlead_examples::acme::AcmeSms;
use fastlead_server::GuardedRegistry as _;
use fastlead_server::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run_with(Cli::read(), |registry, egress| registry.guarded::<AcmeSms>(egress)).await
}
