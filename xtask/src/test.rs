//! `cargo xtask test`: what CI checks, in the order in which it fails fastest.

use std::time::Duration;

use crate::metadata::workspace;
use crate::steps::{Steps, available, cargo};
use crate::{Outcome, features, web};

/// The package whose programs are run one by one.
const EXAMPLES: &str = "fastlead-examples";

/// An example shows something and ends; one that waits for a person does not belong there.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(120);

/// What an example is told that does nothing without.
const WORDS: [(&str, &[&str]); 1] = [("custom_server", &["schema", "acme_sms"])];

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What every change goes through.
    Usual,
    /// What takes another half hour as well: the pages of rustdoc, and each cargo feature alone.
    Long,
}

/// Runs every check; stops at the first that fails.
pub(crate) fn run(extent: Extent) -> Outcome {
    let mut steps = Steps::default();
    let outcome = check(&mut steps).and_then(|()| match extent {
        Extent::Usual => Ok(()),
        Extent::Long => pages(&mut steps).and_then(|()| features::check(&mut steps)),
    });
    steps.report();
    if outcome.is_ok() {
        println!("\nall checks passed");
    }
    outcome
}

fn check(steps: &mut Steps) -> Outcome {
    steps.run("format", &mut cargo(&["fmt", "--all", "--", "--check"]))?;
    steps.run(
        "lints",
        &mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    )?;
    web::check(steps, web::Built::Compared)?;
    if available("cargo", &["nextest", "--version"]) {
        let arguments = ["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--color", "never"];
        steps.run_tests("tests", &mut cargo(&arguments))?;
    } else {
        println!("\ncargo-nextest is not installed: the tests run under `cargo test`");
        let arguments = [
            "test",
            "--workspace",
            "--locked",
            "--no-fail-fast",
            "--color",
            "never",
            "--lib",
            "--bins",
            "--tests",
        ];
        steps.run_tests("tests", &mut cargo(&arguments))?;
    }
    steps.run_tests(
        "doc tests",
        &mut cargo(&["test", "--workspace", "--locked", "--doc", "--no-fail-fast", "--color", "never"]),
    )?;
    // Seeds that nobody has played before; the first one is printed.
    let simulate = [
        "run",
        "--quiet",
        "--locked",
        "--package",
        "fastlead-store",
        "--example",
        "simulate",
        "--",
        "--seeds",
        "150",
    ];
    steps.run("simulation", &mut cargo(&simulate))?;
    examples(steps)?;
    licences(steps)
}

/// The documentation as docs.rs builds it: every link in it leads somewhere.
fn pages(steps: &mut Steps) -> Outcome {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--all-features", "--locked"]);
    steps.run("pages of rustdoc", command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn examples(steps: &mut Steps) -> Outcome {
    let programs: Vec<_> = workspace()?
        .packages
        .into_iter()
        .filter(|package| package.name == EXAMPLES)
        .flat_map(|package| package.programs)
        .collect();
    if programs.is_empty() {
        println!("\nthere are no example programs to run");
        return Ok(());
    }
    steps.run(
        "build examples",
        &mut cargo(&["build", "--locked", "--package", EXAMPLES, "--bins", "--examples"]),
    )?;
    for (kind, name) in programs {
        let flag = format!("--{kind}");
        let mut command = cargo(&["run", "--quiet", "--locked", "--package", EXAMPLES, &flag, &name]);
        if let Some((_, words)) = WORDS.iter().find(|(program, _)| *program == name) {
            command.arg("--").args(*words);
        }
        steps.run_within(&format!("example {name}"), EXAMPLE_LIMIT, &mut command)?;
    }
    Ok(())
}

fn licences(steps: &mut Steps) -> Outcome {
    if available("cargo", &["deny", "--version"]) {
        // Advisories need the network: CI checks them in a job of their own.
        steps.run("licences and sources", &mut cargo(&["deny", "check", "licenses", "bans", "sources"]))
    } else {
        println!(
            "\nnot checked here: licences, bans and sources (cargo install cargo-deny --locked); CI does"
        );
        Ok(())
    }
}
