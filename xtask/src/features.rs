//! `cargo xtask features`: every published crate without features, and with each of them alone.

use std::process::Command;

use crate::Outcome;
use crate::metadata::{Package, workspace};
use crate::steps::{Steps, cargo};

/// The crate whose own tests are run with each of its features alone.
const CORE: &str = "fastlead-core";

/// Checks each combination; stops at the first that fails.
pub(crate) fn run() -> Outcome {
    let mut steps = Steps::default();
    let outcome = check(&mut steps);
    steps.report();
    outcome
}

/// The same as steps of a longer run.
pub(crate) fn check(steps: &mut Steps) -> Outcome {
    for package in workspace()?.packages.iter().filter(|package| package.published) {
        for features in alone(package) {
            let name = format!(
                "{} with {}",
                package.name,
                if features.is_empty() { "no features" } else { features }
            );
            steps.run(&name, &mut command("check", package, features))?;
            if package.name == CORE {
                steps.run_tests(&format!("tests of {name}"), &mut command("test", package, features))?;
            }
        }
    }
    Ok(())
}

/// Nothing, then one feature after the other; nothing at all where a crate has no features.
fn alone(package: &Package) -> Vec<&str> {
    if package.features.is_empty() {
        return Vec::new();
    }
    std::iter::once("").chain(package.features.iter().map(String::as_str)).collect()
}

/// In a target folder of its own, because other features build every dependency again.
fn command(what: &str, package: &Package, features: &str) -> Command {
    let mut command =
        cargo(&[what, "--lib", "--locked", "--no-default-features", "--target-dir", "target/features"]);
    command.args(["--package", &package.name, "--features", features]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_built_alone_and_none_too() {
        let package = |features: &[&str]| Package {
            name: "a".to_owned(),
            version: "0.1.0".to_owned(),
            published: true,
            features: features.iter().map(|name| (*name).to_owned()).collect(),
            programs: Vec::new(),
        };
        assert_eq!(alone(&package(&["x", "y"])), ["", "x", "y"]);
        assert!(alone(&package(&[])).is_empty());
        let built = command("check", &package(&["x"]), "x");
        let words: Vec<_> = built.get_args().map(|word| word.to_string_lossy()).collect();
        assert!(
            words.contains(&"--no-default-features".into())
                && words.ends_with(&["--features".into(), "x".into()])
        );
    }
}
