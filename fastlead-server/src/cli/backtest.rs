//! `fastlead backtest`: what a policy would have done with the captures of the past.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use fastlead_core::policy::Policy;
use fastlead_core::replay::{Assumptions, Backtest as Test, Limit, Report, Side};
use fastlead_core::time::{Clock as _, SystemClock, Timestamp};
use fastlead_core::{Error, ErrorKind, Result};
use fastlead_store::SpillingMemory;
use fastlead_testkit::policy::{in_words, parse_duration};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::file::PolicyFile;
use super::{Fault, pretty, say};
use crate::app::Backend;
use crate::settings::Settings;

/// The exit code where a number has changed by more than was allowed.
const TOO_MUCH: u8 = 3;

#[derive(Debug, Args)]
pub(super) struct Backtest {
    /// The new policy's file, in YAML or JSON.
    #[arg(long)]
    policy: PathBuf,
    /// From when on captures are replayed: so long ago, such as `30d`, or a moment in RFC 3339.
    #[arg(long)]
    since: String,
    /// Before when, said like --since. Default: now.
    #[arg(long)]
    until: Option<String>,
    /// What the new policy is compared with: `current`, the number of a version, or a file.
    #[arg(long, default_value = "current")]
    against: String,
    /// The SQLite file with the captures; it is only read. Default: the one of the settings.
    #[arg(long)]
    store: Option<PathBuf>,
    /// Where temporary files are made, which disappear with the command: what policies remember of many people, and
    /// leads under way. Default: the folder of the captures.
    #[arg(long, value_name = "FOLDER")]
    temporary: Option<PathBuf>,
    /// The project's name or id; not needed where there is only one.
    #[arg(long)]
    project: Option<String>,
    /// Everything as JSON.
    #[arg(long)]
    json: bool,
    /// Exit with 3 where numbers change by more than so many percent: `10` for all, or `targets=10`, `sources=`,
    /// `rejected=`, `revenue=`, `first_offer=`. Can be given several times.
    #[arg(long, value_name = "[NUMBERS=]PERCENT")]
    max_change: Vec<Limit>,
    /// After how long a target accepts an offer that it did not have then.
    #[arg(long, default_value = "60s")]
    answer_after: String,
    /// After how long the work on an accepted lead is done.
    #[arg(long, default_value = "1d")]
    close_after: String,
}

/// Replays, and prints what differs.
pub(super) async fn run(command: Backtest, mut settings: Settings) -> Result<ExitCode, Fault> {
    let now = SystemClock.now();
    let since = moment("--since", &command.since, now)?;
    let until = match &command.until {
        Some(until) => moment("--until", until, now)?,
        None => now,
    };
    if until <= since {
        return Err(Error::new(ErrorKind::Invalid, "--until: is not after --since").into());
    }
    let assumed = Assumptions {
        answer_secs: duration("--answer-after", &command.answer_after)?,
        close_secs: duration("--close-after", &command.close_after)?,
    };
    let new = PolicyFile::read(&command.policy)?;
    new.check_alone()?;
    if let Some(path) = &command.store {
        settings.store.path = path.clone();
    }
    if !settings.store.path.is_file() {
        let message = format!("--store: there is no file {}", settings.store.path.display());
        return Err(Error::new(ErrorKind::NotFound, message).into());
    }
    let store = crate::server::open_store_beside_others(&settings).await?;
    let loaded = store.load().await?;
    let wanted = |project: &&fastlead_core::port::Project| match &command.project {
        Some(name) => project.name == *name || project.id.to_string() == *name,
        None => true,
    };
    let found: Vec<_> = loaded.projects.iter().filter(wanted).collect();
    let [project] = found[..] else {
        let names: Vec<&str> = loaded.projects.iter().map(|project| project.name.as_str()).collect();
        let message = format!("--project: name one of these: {}", names.join(", "));
        return Err(Error::new(ErrorKind::NotFound, message).into());
    };
    let old = against(&command.against, &*store, project).await?;
    let test = Test { workspace_id: project.workspace_id, project_id: project.id, since, until, assumed };
    let folder = match command.temporary {
        Some(folder) if !folder.is_dir() => {
            let message = format!("--temporary: there is no folder {}", folder.display());
            return Err(Error::new(ErrorKind::NotFound, message).into());
        }
        Some(folder) => folder,
        None => settings.store.folder().to_owned(),
    };
    let side = |policy| Side::new(Arc::new(policy), Box::new(SpillingMemory::new(&folder)));
    let bar = progress_bar();
    let room = |read| {
        bar.set_position(read);
        u64::MAX
    };
    let replayed = test.run_within(&*store, &loaded.sources, side(old), side(new.policy), room).await?;
    bar.finish_and_clear();
    let tallies = (replayed.before, replayed.after);
    let report = Report::new((since, until), assumed, tallies, &command.max_change);
    if command.json {
        let mut document = serde_json::json!(report);
        document["unreadable"] = replayed.unreadable.into();
        say(&pretty(&document)?);
    } else {
        let title = format!("{} against {}", command.policy.display(), command.against);
        table(&title, &report).iter().for_each(|line| say(line));
        if replayed.unreadable > 0 {
            say(&format!("left out, because they cannot be read: {} captures", replayed.unreadable));
        }
    }
    Ok(if report.exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(TOO_MUCH) })
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{spinner} {pos} captures, {per_sec}, {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    } else {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

async fn against(
    name: &str,
    store: &dyn Backend,
    project: &fastlead_core::port::Project,
) -> Result<Policy, Fault> {
    let path = std::path::Path::new(name);
    if path.is_file() {
        return PolicyFile::read(path).map(|file| file.policy);
    }
    let newest = store.policies(project.workspace_id, project.id, 1).await?.into_iter().next();
    let newest = newest
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("project {} has no policy", project.name)))?;
    if name == "current" {
        return Ok(Policy::clone(&newest.policy));
    }
    let missing = || {
        let message =
            format!("--against: expected `current`, the number of a version, or a file, not `{name}`");
        Error::new(ErrorKind::NotFound, message)
    };
    let version = name.parse().map_err(|_| missing())?;
    let reference = fastlead_core::policy::PolicyRef { version, ..newest.reference };
    Ok(Policy::clone(&store.policy(reference).await?.ok_or_else(missing)?.policy))
}

fn duration(option: &str, text: &str) -> Result<u64> {
    parse_duration(text).ok_or_else(|| {
        let message = format!("{option}: expected a duration such as `90s`, `5m` or `30d`, not `{text}`");
        Error::new(ErrorKind::Invalid, message)
    })
}

fn moment(option: &str, text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let wrong = || {
        let message =
            format!("{option}: expected a duration such as `30d`, or a moment in RFC 3339, not `{text}`");
        Error::new(ErrorKind::Invalid, message)
    };
    let seconds = parse_duration(text).and_then(|seconds| i64::try_from(seconds).ok()).ok_or_else(wrong)?;
    let back = chrono::TimeDelta::try_seconds(seconds).ok_or_else(wrong)?;
    now.checked_sub_signed(back).ok_or_else(wrong)
}

/// A moment to the second.
fn shown(at: Timestamp) -> impl std::fmt::Display {
    at.format("%Y-%m-%d %H:%M:%S UTC")
}

/// The report in lines.
fn table(title: &str, report: &Report) -> Vec<String> {
    let Report { since, until, assumed, rows, exceeded, .. } = report;
    let mut lines = vec![
        title.to_owned(),
        format!("captures from {} to {}: {}", shown(*since), shown(*until), report.after.captures),
        format!(
            "assumed: whoever is offered a lead that it was not offered then accepts it after {}; a lead is done {} \
             after that",
            in_words(assumed.answer_secs),
            in_words(assumed.close_secs)
        ),
        String::new(),
    ];
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(4);
    lines
        .push(format!("{:width$} {:>12} {:>12} {:>12} {:>9}", "", "before", "after", "difference", "change"));
    for row in rows {
        let change = match row.change_permille {
            _ if row.before == row.after => "0".to_owned(),
            Some(permille) => {
                let sign = if permille < 0 { '-' } else { '+' };
                let tenths = permille.unsigned_abs();
                format!("{sign}{}.{}%", tenths / 10, tenths % 10)
            }
            None => "new".to_owned(),
        };
        let difference = row.after.saturating_sub(row.before);
        let mark = if exceeded.contains(&row.name) { " !" } else { "" };
        lines.push(format!(
            "{:width$} {:>12} {:>12} {difference:>12} {change:>9}{mark}",
            row.name, row.before, row.after
        ));
    }
    if !exceeded.is_empty() {
        lines.push(String::new());
        lines.push(format!("changed by more than was allowed (!): {}", exceeded.join(", ")));
    }
    lines
}
