//! `cargo xtask bench`: throughput and latency of the whole program, measured.

use std::path::Path;
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
    steps.run("measure", &mut measurement(options, &target, &toolchain()?))
}

/// The command that measures. `--save` is given the folder.
fn measurement(options: &[&str], target: &Path, toolchain: &str) -> Command {
    let release = target.join("release");
    let mut command = Command::new(release.join("examples/bench"));
    command.args(options.iter().filter(|option| **option != "--save"));
    if options.contains(&"--save") {
        command.arg("--save").arg(target.join("bench"));
    }
    command.arg("--program").arg(release.join("fastlead")).args(["--toolchain", toolchain]);
    command
}

/// Which compiler has built it.
fn toolchain() -> Outcome<String> {
    let output = Command::new("rustc")
        .arg("--version")
        .output()
        .map_err(|error| Failure::new(format!("bench: rustc cannot be started: {error}")))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_go_to_the_measurement_and_save_is_given_a_folder() {
        let words = |options: &[&str]| -> Vec<String> {
            let command = measurement(options, Path::new("t"), "rustc 1");
            command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
        };
        let always = ["--program", "t/release/fastlead", "--toolchain", "rustc 1"];
        assert_eq!(words(&["--seconds", "9"])[..2], ["--seconds", "9"]);
        assert_eq!(words(&["--seconds", "9"])[2..], always);
        assert_eq!(words(&["--save", "--only", "size"])[..4], ["--only", "size", "--save", "t/bench"]);
    }
}
