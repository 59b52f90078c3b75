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

/// What cargo is told. The memory store alone is enough, so SQLite is not built.
pub(crate) fn arguments<'a>(options: &[&'a str]) -> Vec<&'a str> {
    let program = [
        "run",
        "--release",
        "--quiet",
        "--locked",
        "--package",
        "fastlead-store",
        "--no-default-features",
        "--example",
        "simulate",
        "--",
    ];
    [&program, options].concat()
}
