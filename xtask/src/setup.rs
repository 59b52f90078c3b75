//! `cargo xtask setup`: installs what the tests need, and says what it does.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::steps::{Steps, available, root};
use crate::{Failure, Outcome};

/// A program that some test starts.
#[derive(Debug, Clone, Copy)]
struct Need {
    /// What it may be called; one of them is enough.
    programs: &'static [&'static str],
    /// The Debian package that brings it.
    package: &'static str,
    /// Which test starts it.
    purpose: &'static str,
}

/// Debian keeps the server's own programs out of PATH.
const POSTGRES: &[&str] = &[
    "postgres",
    "/usr/lib/postgresql/18/bin/postgres",
    "/usr/lib/postgresql/17/bin/postgres",
    "/usr/lib/postgresql/16/bin/postgres",
    "/usr/lib/postgresql/15/bin/postgres",
    "/usr/lib/postgresql/14/bin/postgres",
];

const NEEDS: &[Need] = &[
    Need { programs: &["git"], package: "git", purpose: "the architecture tests list files with it" },
    Need { programs: &["node"], package: "nodejs", purpose: "the browser test is driven by Node" },
    Need {
        programs: &["npm"],
        package: "npm",
        purpose: "it installs playwright-core and what builds the widget",
    },
    Need {
        programs: &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
        package: "chromium",
        purpose: "the browser test opens pages in it",
    },
    Need { programs: &["python3"], package: "python3", purpose: "schemathesis runs in it" },
    Need { programs: POSTGRES, package: "postgresql", purpose: "the PostgreSQL store is tried on a server" },
];

/// The oldest Node that playwright-core takes (its `engines` field).
const NODE_MAJOR_MIN: u32 = 20;

/// How packages can be installed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installer {
    /// apt-get, as root already.
    Root,
    /// apt-get through sudo.
    Sudo,
    /// Not at all.
    Nothing,
}

/// Installs what is missing; says what to install by hand where it cannot.
pub(crate) fn run() -> Outcome {
    let mut steps = Steps::default();
    rust_components(&mut steps)?;
    system_packages(&mut steps)?;
    node_version()?;
    node_packages(&mut steps)?;
    python_packages(&mut steps)?;
    println!("\nready: cargo xtask test");
    Ok(())
}

fn rust_components(steps: &mut Steps) -> Outcome {
    for (component, command) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if available("cargo", &[command, "--version"]) {
            println!("{component}: present");
        } else if available("rustup", &["--version"]) {
            steps.run(component, Command::new("rustup").args(["component", "add", component]))?;
        } else {
            return Err(Failure::new(format!(
                "`cargo {command}` is missing: install {component} for this toolchain"
            )));
        }
    }
    if !available("cargo", &["nextest", "--version"]) {
        println!(
            "cargo-nextest: absent, `cargo test` is used instead (https://nexte.st shows how to install it)"
        );
    }
    Ok(())
}

fn system_packages(steps: &mut Steps) -> Outcome {
    let missing = missing(NEEDS, |program| available(program, &["--version"]));
    for need in NEEDS {
        let state =
            if missing.iter().any(|other| other.package == need.package) { "missing" } else { "present" };
        println!("{}: {state}", need.package);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let commands = apt_commands(installer(), &missing).ok_or_else(|| Failure::new(by_hand(&missing)))?;
    for words in commands {
        let (program, arguments) = words.split_first().ok_or_else(|| Failure::new("empty command"))?;
        steps.run("system packages", Command::new(program).args(arguments))?;
    }
    Ok(())
}

fn missing(needs: &[Need], present: impl Fn(&str) -> bool) -> Vec<Need> {
    needs.iter().filter(|need| !need.programs.iter().any(|program| present(program))).copied().collect()
}

fn installer() -> Installer {
    if !available("apt-get", &["--version"]) {
        return Installer::Nothing;
    }
    let user = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    if user.is_ok_and(|output| output.stdout.trim_ascii() == b"0") {
        Installer::Root
    } else if available("sudo", &["--version"]) {
        Installer::Sudo
    } else {
        Installer::Nothing
    }
}

/// The commands that install the packages; `None` where nothing can.
fn apt_commands(installer: Installer, missing: &[Need]) -> Option<Vec<Vec<&'static str>>> {
    let prefix: &[&str] = match installer {
        Installer::Root => &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
        Installer::Sudo => &["sudo", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
        Installer::Nothing => return None,
    };
    let mut install = [prefix, &["install", "--yes", "--no-install-recommends"]].concat();
    install.extend(missing.iter().map(|need| need.package));
    Some(vec![[prefix, &["update"]].concat(), install])
}

fn by_hand(missing: &[Need]) -> String {
    let mut text =
        String::from("cannot install packages here (apt-get with root or sudo is needed). Install by hand:");
    for need in missing {
        text.push_str(&format!(
            "\n  {} (any of: {}): {}",
            need.package,
            need.programs.join(", "),
            need.purpose
        ));
    }
    text
}

fn node_version() -> Outcome {
    let output = Command::new("node")
        .arg("--version")
        .output()
        .map_err(|error| Failure::new(format!("cannot start node: {error}")))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match node_major(&version) {
        Some(major) if major >= NODE_MAJOR_MIN => Ok(()),
        _ => Err(Failure::new(format!(
            "the browser test needs Node {NODE_MAJOR_MIN} or newer, and `node --version` says `{version}`; \
            install it from https://nodejs.org"
        ))),
    }
}

fn node_major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Installs what the lock file names into `target/e2e`, so that nothing outside `target` changes.
fn node_packages(steps: &mut Steps) -> Outcome {
    let source = root().join("fastlead-server/tests/e2e");
    let private = root().join("target/e2e");
    if same(&source.join("package-lock.json"), &private.join("package-lock.json"))
        && ["axe-core", "playwright-core"]
            .iter()
            .all(|name| private.join("node_modules").join(name).join("package.json").exists())
    {
        println!("playwright-core: present in target/e2e");
        return Ok(());
    }
    let prepare = || {
        std::fs::create_dir_all(&private)?;
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(source.join(file), private.join(file))?;
        }
        Ok(())
    };
    prepare().map_err(|error: std::io::Error| Failure::new(format!("cannot prepare target/e2e: {error}")))?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&private);
    steps.run("node packages", &mut npm)
}

/// Installs what `requirements.txt` names into `target/e2e/python`, so that nothing outside `target` changes.
fn python_packages(steps: &mut Steps) -> Outcome {
    let wanted = root().join("fastlead-server/tests/api/requirements.txt");
    let private = root().join("target/e2e/python");
    if same(&wanted, &private.join("requirements.txt")) && private.join("bin/st").exists() {
        println!("schemathesis: present in target/e2e/python");
        return Ok(());
    }
    // Debian has the module for this in a package of its own.
    if !available("python3", &["-c", "import ensurepip, venv"]) {
        let need = [Need {
            programs: &["python3"],
            package: "python3-venv",
            purpose: "schemathesis is installed by it",
        }];
        for words in apt_commands(installer(), &need).ok_or_else(|| Failure::new(by_hand(&need)))? {
            let (program, arguments) = words.split_first().ok_or_else(|| Failure::new("empty command"))?;
            steps.run("python3-venv", Command::new(program).args(arguments))?;
        }
    }
    steps.run("python environment", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&private))?;
    let mut pip = Command::new(private.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
    steps.run("python packages", &mut pip)?;
    // Named last: whoever was interrupted begins anew.
    std::fs::copy(&wanted, private.join("requirements.txt"))
        .map(drop)
        .map_err(|error| Failure::new(format!("cannot write into target/e2e/python: {error}")))
}

/// Whether both files exist and are equal.
pub(crate) fn same(left: &Path, right: &Path) -> bool {
    matches!((std::fs::read(left), std::fs::read(right)), (Ok(left), Ok(right)) if left == right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_of_a_program_is_enough() {
        let names = |present: &[&str]| -> Vec<&str> {
            missing(NEEDS, |program| present.contains(&program)).iter().map(|need| need.package).collect()
        };
        assert_eq!(names(&["git", "node", "npm", "google-chrome", "python3", "postgres"]), [""; 0]);
        assert_eq!(names(&["git", "node", "python3", "postgres"]), ["npm", "chromium"]);
    }

    #[test]
    fn apt_runs_as_root_or_through_sudo_or_not_at_all() {
        let chromium = &NEEDS[3..4];
        let last = |installer| apt_commands(installer, chromium).map(|all| all[1].join(" "));
        let install =
            "env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium";
        assert_eq!(last(Installer::Root).as_deref(), Some(install));
        assert_eq!(last(Installer::Sudo), Some(format!("sudo {install}")));
        assert_eq!(last(Installer::Nothing), None);
        assert!(by_hand(chromium).contains("google-chrome"));
    }

    #[test]
    fn node_says_its_major_version() {
        assert_eq!(node_major("v20.20.2"), Some(20));
        assert_eq!(node_major(""), None);
        assert_eq!(node_major("20"), None);
    }
}
