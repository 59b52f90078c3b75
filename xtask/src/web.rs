//! `cargo xtask web`: builds what browsers are given, and compares it with what is committed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::same;
use crate::steps::{Steps, available, root};
use crate::{Failure, Outcome};

/// What is done with what was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Built {
    /// It takes the place of what is committed.
    Kept,
    /// It must be what is committed, byte for byte.
    Compared,
}

/// Where the widget's sources are.
const WIDGET: &str = "fastlead-server/web/widget";

/// Builds and keeps, or compares with `--check`.
pub(crate) fn run(built: Built) -> Outcome {
    let mut steps = Steps::default();
    let outcome = check(&mut steps, built);
    steps.report();
    outcome
}

/// The same as steps of a longer run. Without npm nothing is checked, and it is said.
pub(crate) fn check(steps: &mut Steps, built: Built) -> Outcome {
    if !available("npm", &["--version"]) {
        if built == Built::Kept {
            return Err(Failure::new("npm is missing: run `cargo xtask setup`"));
        }
        println!("\nnot checked here: the widget, because npm is absent; CI has it");
        return Ok(());
    }
    let folder = root().join(WIDGET);
    let tools = root().join("target/web");
    install(steps, &folder, &tools)?;
    let modules = tools.join("node_modules");
    steps.run(
        "types of the widget",
        Command::new("node").arg(modules.join("typescript/bin/tsc")).arg("-p").arg(&folder),
    )?;
    let made = tools.join("w.js");
    steps.run(
        "build of the widget",
        Command::new("node").arg(folder.join("build.mjs")).arg(&modules).arg(&made),
    )?;
    settle(&made, &folder.join("dist/w.js"), built)?;
    let tests = folder.join("test/parts.test.mjs");
    let mut node = Command::new("node");
    node.arg("--test").arg(tests).env("WIDGET_PARTS", tools.join("parts"));
    steps.run("parts of the widget", &mut node)
}

/// Installs what the lock file names, so that nothing outside `target` changes.
fn install(steps: &mut Steps, folder: &Path, tools: &Path) -> Outcome {
    let lock = "package-lock.json";
    let installed = tools.join("node_modules/esbuild/package.json");
    if same(&folder.join(lock), &tools.join(lock)) && installed.exists() {
        return Ok(());
    }
    let prepare = || {
        std::fs::create_dir_all(tools)?;
        for file in ["package.json", lock, ".npmrc"] {
            std::fs::copy(folder.join(file), tools.join(file))?;
        }
        Ok(())
    };
    prepare().map_err(|error: std::io::Error| Failure::new(format!("cannot prepare target/web: {error}")))?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(tools);
    steps.run("tools of the widget", &mut npm)
}

/// Keeps what was made, and its gzip, or compares it with what is committed.
fn settle(made: &Path, committed: &Path, built: Built) -> Outcome {
    match built {
        _ if same(made, committed) => Ok(()),
        Built::Kept => {
            let folder = committed.parent().unwrap_or(committed);
            let copied = std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::copy(made, committed))
                .and_then(|_| std::fs::copy(zipped(made), zipped(committed)));
            copied.map(drop).map_err(|error| Failure::new(format!("{}: {error}", committed.display())))
        }
        Built::Compared => Err(Failure::new(format!(
            "{} is not what the sources make: run `cargo xtask web` and commit it",
            committed.strip_prefix(root()).unwrap_or(committed).display()
        ))),
    }
}

fn zipped(script: &Path) -> PathBuf {
    script.with_extension("js.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_and_what_is_kept_differs_no_more() {
        let folder = std::env::temp_dir().join(format!("fastlead-xtask-web-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (made, committed) = (folder.join("made.js"), folder.join("dist/w.js"));
        std::fs::write(&made, "1").unwrap();
        std::fs::write(zipped(&made), "2").unwrap();
        let failure = settle(&made, &committed, Built::Compared).unwrap_err().to_string();
        assert!(failure.contains("w.js") && failure.contains("cargo xtask web"), "{failure}");
        settle(&made, &committed, Built::Kept).unwrap();
        settle(&made, &committed, Built::Compared).unwrap();
        assert_eq!(std::fs::read(folder.join("dist/w.js.gz")).unwrap(), b"2");
        std::fs::write(&committed, "1\n").unwrap();
        assert!(settle(&made, &committed, Built::Compared).is_err(), "a byte more");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
