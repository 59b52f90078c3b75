//! `cargo xtask bench`: throughput and latency of the whole program, measured.

use std::process::Command;

use crate::{Failure, Outcome};

/// Builds the measurement with optimisations and runs it; it prints its figures.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let status = Command::new("cargo")
        .args(["run", "--release", "--quiet", "--package", "fastlead-server", "--example", "bench", "--"])
        .args(options)
        .status()
        .map_err(|error| Failure::new(format!("bench: cargo cannot be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new("bench: the measurement failed; see above")) }
}
