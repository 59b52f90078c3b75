//! `cargo xtask bench`: throughput and latency of the whole program, measured.

use std::process::Command;

use crate::metadata::workspace;
use crate::steps::{Steps, available, cargo};
use crate::{Failure, Outcome};

/// Builds the program and its measurement with optimisations, and measures.
///
/// `--seconds N` and `--only NAME` go to the measurement; `--save` keeps the figures in `target/bench`.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let target = workspace()?.target_directory;
    let mut steps = Steps::default();
    let build =
        ["build", "--release", "--package", "fastlead-server", "--bin", "fastlead", "--example", "bench"];
    steps.run("build", &mut cargo(&build))?;
    // What the build has left to be written would be flushed together with what is measured.
    if !available("sync", &[]) {
        println!(
            "== `sync` does not run here; what the build has written may be flushed during the measurement"
        );
    }
    let release = target.join("release");
    let mut measure = Command::new(release.join("examples/bench"));
    measure.args(options.iter().filter(|option| **option != "--save"));
    if options.contains(&"--save") {
        measure.arg("--save").arg(target.join("bench"));
    }
    measure.arg("--program").arg(release.join("fastlead"));
    measure.arg("--toolchain").arg(toolchain()?);
    steps.run("measure", &mut measure)
}

/// Which compiler has built it.
fn toolchain() -> Outcome<String> {
    let output = Command::new("rustc")
        .arg("--version")
        .output()
        .map_err(|error| Failure::new(format!("bench: rustc cannot be started: {error}")))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
