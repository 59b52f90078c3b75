//! `cargo xtask <command>`: what people and CI repeat.
//!
//! Exit codes: 0 when everything went well, 1 when a step failed, 2 when the command line was not
//! understood.
#![allow(clippy::print_stdout, reason = "a command-line tool talks on its standard output")]

mod agents;
mod bench;
mod features;
mod metadata;
mod package;
mod power;
mod setup;
mod simulate;
mod steps;
mod test;
mod web;

use std::fmt;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  setup     install what the tests need: a browser, Node packages, Rust components
  test      everything that CI checks: format, lints, tests, doc tests, examples, licences;
            with --long also the pages of rustdoc, and each cargo feature alone
  features  build every published crate without features and with each alone, and run core's tests so
  web       build the widget for sites and keep it; with --check compare it with what is committed
  agents    make AGENTS.md and llms.txt from the documents
  package   build the .crate file of every published crate, without uploading anything
  bench     measure throughput, latency and memory: --seconds N, --only NAME, --save
  simulate  play whole installations from seeds: --seeds N, --seed S, --visits N, --steps N, --show N, --store sqlite, --replay, --policy
  power     lose the power at many points of a busy day of the store: --cuts N, --seed S, --leads N
  help      this text
";

/// Why a command did not succeed, in words for the person who ran it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["setup"] => setup::run(),
        ["test"] => test::run(test::Extent::Usual),
        ["test", "--long"] => test::run(test::Extent::Long),
        ["features"] => features::run(),
        ["web"] => web::run(web::Built::Kept),
        ["web", "--check"] => web::run(web::Built::Compared),
        ["agents"] => agents::run(),
        ["package"] => package::run(),
        ["bench", options @ ..] => bench::run(options),
        ["simulate", options @ ..] => simulate::run(options),
        ["power", options @ ..] => power::run(options),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
