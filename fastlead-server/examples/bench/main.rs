//! Measures the whole program against limits measured in the same run. `cargo xtask bench` runs it.
//!
//! The server under measurement is a process of its own, so that its memory and processor time are not
//! those of the load; both share the machine. Nothing is asserted about time. What was acknowledged is
//! counted in the file afterwards, so that a fast answer that kept nothing is not taken for speed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement stops at the first surprise and prints"
)]

mod child;
mod experiments;
mod file;
mod limits;
mod load;
mod process;
mod protocol;
mod report;
mod responders;
mod server;
mod sink;
mod start;

use std::path::PathBuf;

use clap::Parser;

use experiments::Bench;
use protocol::Spec;

/// Throughput, latency and memory of FastLead, each beside a limit measured in the same run.
#[derive(Debug, Parser)]
struct Options {
    /// For how many seconds each load lasts.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only one of: limits, capture, speed, meanwhile, drain, start, size.
    #[arg(long)]
    only: Option<String>,
    /// Writes the figures as JSON into this folder.
    #[arg(long)]
    save: Option<PathBuf>,
    /// How many deliveries wait before they are drained.
    #[arg(long, default_value_t = 50_000)]
    backlog: u64,
    /// How many leads are in the larger of the two files on which the program is started.
    #[arg(long, default_value_t = 100_000)]
    leads: u64,
    /// The program `fastlead`, built like this one. Default: the one beside it.
    #[arg(long)]
    program: Option<PathBuf>,
    /// What built the programs, for the record.
    #[arg(long, default_value = "unknown")]
    toolchain: String,
    /// What a child process is.
    #[arg(long, hide = true)]
    child: Option<String>,
}

fn main() {
    fastlead_server::refuse_huge_pages();
    measure();
}

#[tokio::main]
async fn measure() {
    let options = Options::parse();
    if let Some(spec) = &options.child {
        let spec: Spec = serde_json::from_str(spec).expect("the parent writes what the child reads");
        return child::run(spec).await;
    }
    let bench = Bench::new(options);
    bench.run().await;
}
