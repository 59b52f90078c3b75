//! `cargo xtask simulate`: whole installations, simulated seed after seed.

use crate::steps::cargo;
use crate::{Failure, Outcome};

/// Builds the simulation with optimisations and runs it; it says itself what does not hold.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let status = cargo(&arguments(options))
        .status()
        .map_err(|error| Failure::new(format!("simulate: cargo cannot be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new("simulate: something does not hold; see above")) }
}

/// What cargo is told. SQLite is built only where it is asked for.
pub(crate) fn arguments<'a>(options: &[&'a str]) -> Vec<&'a str> {
    let mut program = vec!["run", "--release", "--quiet", "--locked", "--package", "fastlead-store"];
    if !options.windows(2).any(|pair| pair == ["--store", "sqlite"]) {
        program.push("--no-default-features");
    }
    program.extend(["--example", "simulate", "--"]);
    program.extend(options);
    program
}
