//! `fastlead policy`: policies as files, from the first check to the way back.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use fastlead_core::policy::{Policy, PolicyChange};
use fastlead_core::{Error, ErrorKind, Result};
use fastlead_testkit::policy::run_folder;

use super::desk::{Chosen, Desk, Place};
use super::file::PolicyFile;
use super::{Fault, Program, say};

/// The exit code of `plan` where something would change.
const CHANGES: u8 = 2;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check a policy file. With --api-key or --store against the channels that exist there, else as if every channel
    /// existed.
    Validate {
        /// The file, in YAML or JSON.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Show what publishing a file would change. Exits with 0 where nothing, with 2 where something, with 1 on a fault.
    Plan {
        /// The file, in YAML or JSON.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Publish a file. New leads are decided by it from then on; older leads keep their version.
    Apply {
        /// The file, in YAML or JSON.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Show what two policies differ in: files, versions by their number, or `current`.
    Diff {
        /// The first.
        from: String,
        /// The second.
        #[arg(default_value = "current")]
        to: String,
        #[command(flatten)]
        place: Place,
    },
    /// Publish what an older version said as a new version.
    Rollback {
        /// The older version.
        version: u32,
        #[command(flatten)]
        place: Place,
    },
    /// Run the cases of policies: every `NAME.cases.yaml` of a folder, or one such file.
    Test {
        /// The folder or file.
        path: PathBuf,
    },
}

/// Runs one.
pub(super) async fn run(command: PolicyCommand, program: Program) -> Result<ExitCode, Fault> {
    match command {
        PolicyCommand::Validate { file, place } => validate(&file, &place, program).await,
        PolicyCommand::Plan { file, place } => plan(&file, &place, program).await,
        PolicyCommand::Apply { file, place } => apply(&file, &place, program).await,
        PolicyCommand::Diff { from, to, place } => diff(&from, &to, &place, program).await,
        PolicyCommand::Rollback { version, place } => {
            let desk = place.open_to_write(program).await?;
            let project = place.choose(&desk).await?;
            let new = desk.roll_back(&project, version).await?;
            say(&format!("project {}: version {new} says what version {version} said", project.name));
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Test { path } => test(&path),
    }
}

async fn validate(file: &Path, place: &Place, program: Program) -> Result<ExitCode, Fault> {
    let read = PolicyFile::read(file)?;
    if place.is_given() {
        let desk = place.open(program).await?;
        check(&desk, &place.choose(&desk).await?, &read).await?;
        say(&format!("{}: ok", file.display()));
    } else {
        read.check_alone()?;
        read.warn();
        say(&format!("{}: ok; whether its channels exist was not looked at", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(desk: &Desk, project: &Chosen, file: &PolicyFile) -> Result<(), Fault> {
    let faults = desk.faults(project, &file.policy).await?;
    if !faults.is_empty() {
        return Err(file.faulty(faults));
    }
    file.warn();
    Ok(())
}

/// What publishing a file would change; nothing where it is the first.
async fn changes(
    desk: &Desk,
    project: &Chosen,
    file: &PolicyFile,
) -> Result<(Option<u32>, Vec<PolicyChange>)> {
    match desk.current(project).await? {
        Some((version, current)) => Ok((Some(version), current.changes_to(&file.policy)?)),
        None => Ok((None, Vec::new())),
    }
}

async fn plan(path: &Path, place: &Place, program: Program) -> Result<ExitCode, Fault> {
    let file = PolicyFile::read(path)?;
    let desk = place.open(program).await?;
    let project = place.choose(&desk).await?;
    check(&desk, &project, &file).await?;
    let (version, changes) = changes(&desk, &project, &file).await?;
    let Some(version) = version else {
        say(&format!("project {}: has no policy; {} would be version 1", project.name, path.display()));
        return Ok(ExitCode::from(CHANGES));
    };
    if changes.is_empty() {
        say(&format!("project {}: version {version} says the same as {}", project.name, path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("project {}: from version {version} to {}", project.name, path.display()));
    show(&changes);
    Ok(ExitCode::from(CHANGES))
}

fn show(changes: &[PolicyChange]) {
    changes.iter().for_each(|change| say(&change.to_string()));
    let count = changes.len();
    say(&format!("{count} {}", if count == 1 { "change" } else { "changes" }));
}

async fn apply(path: &Path, place: &Place, program: Program) -> Result<ExitCode, Fault> {
    let file = PolicyFile::read(path)?;
    let desk = place.open_to_write(program).await?;
    let project = place.choose(&desk).await?;
    check(&desk, &project, &file).await?;
    let (before, changes) = changes(&desk, &project, &file).await?;
    let version = desk.publish(&project, file.policy).await?;
    if before == Some(version) {
        say(&format!("project {}: version {version} says that already", project.name));
    } else {
        changes.iter().for_each(|change| say(&change.to_string()));
        say(&format!("project {}: published as version {version}", project.name));
    }
    Ok(ExitCode::SUCCESS)
}

async fn diff(from: &str, to: &str, place: &Place, program: Program) -> Result<ExitCode, Fault> {
    let files = [from, to].map(|name| Path::new(name).is_file());
    let desk = match files {
        [true, true] => None,
        _ => Some(place.open(program).await?),
    };
    let project = match &desk {
        Some(desk) => Some(place.choose(desk).await?),
        None => None,
    };
    let at = desk.as_ref().zip(project.as_ref());
    let (old, new) = (named(from, at).await?, named(to, at).await?);
    show(&old.changes_to(&new)?);
    Ok(ExitCode::SUCCESS)
}

/// A policy by the name of a file, a version, or `current`.
async fn named(name: &str, at: Option<(&Desk, &Chosen)>) -> Result<Policy, Fault> {
    let path = Path::new(name);
    if path.is_file() {
        return PolicyFile::read(path).map(|file| file.policy);
    }
    let missing = || {
        let message = format!("`{name}` is no file; expected a file, the number of a version, or `current`");
        Error::new(ErrorKind::NotFound, message)
    };
    let (desk, project) = at.ok_or_else(missing)?;
    if name == "current" {
        let current = desk.current(project).await?;
        let none = || Error::new(ErrorKind::NotFound, format!("project {} has no policy", project.name));
        return Ok(current.map(|(_, policy)| policy).ok_or_else(none)?);
    }
    Ok(desk.version(project, name.parse().map_err(|_| missing())?).await?)
}

fn test(path: &Path) -> Result<ExitCode, Fault> {
    let outcomes = run_folder(path).map_err(|message| Error::new(ErrorKind::NotFound, message))?;
    let mut failed = 0_usize;
    for outcome in &outcomes {
        failed += usize::from(!outcome.failures.is_empty());
        for failure in &outcome.failures {
            say(&format!("{}: {}: {failure}", outcome.file.display(), outcome.case));
        }
    }
    let cases = outcomes.len();
    if failed == 0 {
        say(&format!("{cases} cases passed"));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{failed} of {cases} cases failed"));
    Ok(ExitCode::FAILURE)
}
