//! Cases are run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastlead_core::channel::{Capabilities, Channel as _};
use fastlead_core::decide::{Decision, Event, LeadState, Via};
use fastlead_core::delivery::DeliveryState;
use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{
    ChannelId, DeliveryId, LeadId, PolicyId, ProjectId, SeededIds, SourceId, WorkspaceId,
};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, Response};
use fastlead_core::money::Money;
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::CaptureVerdict;
use fastlead_core::replay::{Observer, Origin, Replay, Step as Decided};
use fastlead_core::time::{Timestamp, plus_seconds};
use serde_json::{Map, Value};

use super::case::{Case, CaseFile, Step};
use super::document::Document;
use super::expect::{Outcome, differences};
use crate::memory::MemoryChannel;
use fastlead_core::duration::parse_duration;

/// How a file of cases ends.
const ENDING: &str = ".cases.yaml";

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseOutcome {
    /// The file, as it was given.
    pub file: PathBuf,
    /// The case's name; empty where the file itself has a fault.
    pub case: String,
    /// What went otherwise than expected: line, step, expected, got. Empty where nothing did.
    pub failures: Vec<String>,
}

/// Keeps the decisions of a step.
#[derive(Debug, Default)]
struct Log(Vec<(LeadId, Decision)>);

impl Observer for Log {
    fn decided(&mut self, step: &Decided<'_>) -> Vec<(Timestamp, Event)> {
        self.0.push((step.lead_id, step.decision.clone()));
        Vec::new()
    }

    fn forgotten(&mut self, _: LeadId) {}
}

/// Runs every file of cases in a folder, or the file that `path` names, in the order of their names.
///
/// # Errors
/// Where the folder cannot be read, or has no cases.
pub fn run_folder(path: &Path) -> Result<Vec<CaseOutcome>, String> {
    let fault = |error: std::io::Error| format!("{}: {error}", path.display());
    if path.is_file() {
        return Ok(run_cases(path));
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fault)? {
        let file = entry.map_err(fault)?.path();
        if file.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING)) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: has no file that ends in `{ENDING}`", path.display()));
    }
    Ok(files.iter().flat_map(|file| run_cases(file)).collect())
}

/// Runs the cases of one file.
pub fn run_cases(path: &Path) -> Vec<CaseOutcome> {
    let whole =
        |failures: Vec<String>| vec![CaseOutcome { file: path.to_owned(), case: String::new(), failures }];
    let (document, file) = match read(path) {
        Ok(read) => read,
        Err(fault) => return whole(vec![fault]),
    };
    let policy_path = match &file.policy {
        Some(name) => path.with_file_name(name),
        None => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            path.with_file_name(format!("{}.yaml", name.strip_suffix(ENDING).unwrap_or(&name)))
        }
    };
    let policy = match read_policy(&policy_path) {
        Ok(policy) => Arc::new(policy),
        Err(faults) => return whole(faults),
    };
    let outcome = |(index, case): (usize, &Case)| CaseOutcome {
        file: path.to_owned(),
        case: case.name.clone(),
        failures: run_case(&policy, &document, index, case),
    };
    file.cases.iter().enumerate().map(outcome).collect()
}

fn read(path: &Path) -> Result<(Document, CaseFile), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let document = Document::parse(&text).map_err(|fault| fault.to_string())?;
    let file: CaseFile = serde_json::from_value(document.value.clone()).map_err(|error| error.to_string())?;
    if file.cases.is_empty() {
        return Err("cases: expected at least one case".to_owned());
    }
    Ok((document, file))
}

/// Reads the policies of a folder, in the order of their names, without the files of cases.
///
/// # Errors
/// Where the folder or a policy cannot be read, or there is none.
pub fn read_policies(folder: &Path) -> Result<Vec<Policy>, Vec<String>> {
    let fault = |error: std::io::Error| vec![format!("{}: {error}", folder.display())];
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let file = entry.map_err(fault)?.path();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".yaml") && !name.ends_with(ENDING) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(vec![format!("{}: has no policy", folder.display())]);
    }
    files.iter().map(|file| read_policy(file)).collect()
}

/// Reads a policy whose channels may be anything.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn read_policy(path: &Path) -> Result<Policy, Vec<String>> {
    let named = |fault: String| format!("{}: {fault}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| vec![named(error.to_string())])?;
    let document = Document::parse(&text).map_err(|fault| vec![named(fault.to_string())])?;
    let all = |faults: Vec<super::LocatedFault>| -> Vec<String> {
        faults.into_iter().map(|fault| named(fault.to_string())).collect()
    };
    let policy = document.policy().map_err(all)?;
    let anything = MemoryChannel::new("any").capabilities();
    let channels: BTreeMap<String, Capabilities> =
        policy.channel_names().into_iter().map(|name| (name.to_owned(), anything.clone())).collect();
    let now = fastlead_core::time::from_millis(1_795_597_200_000);
    policy.validate(&channels, now).map_err(|faults| all(document.locate(faults)))?;
    Ok(policy)
}

struct Run {
    replay: Replay<Log>,
    ids: SeededIds,
    leads: Vec<LeadId>,
    begun: bool,
    people: u32,
    steps: u32,
}

fn run_case(policy: &Arc<Policy>, document: &Document, index: usize, case: &Case) -> Vec<String> {
    let reference = PolicyRef { id: PolicyId::from_uuid(stable_uuid("policy", "cases")), version: 0 };
    let mut run = Run {
        replay: Replay::new(Arc::clone(policy), reference, Log::default()).keeping_leads(),
        ids: SeededIds::new(1),
        leads: Vec::new(),
        begun: false,
        people: 0,
        steps: 0,
    };
    let mut failures = Vec::new();
    for (number, step) in case.steps.iter().enumerate() {
        let line = document.line(&format!("cases[{index}].steps[{number}]"));
        let place = line.map_or_else(String::new, |line| format!("line {line}, "));
        match run.step(step) {
            Ok(differences) => {
                failures.extend(
                    differences.into_iter().map(|text| format!("{place}step {}: {text}", number + 1)),
                );
            }
            Err(fault) => {
                failures.push(format!("{place}step {}: {fault}", number + 1));
                // What follows would only repeat it.
                break;
            }
        }
    }
    failures
}

impl Run {
    fn step(&mut self, step: &Step) -> Result<Vec<String>, String> {
        self.replay.observer().0.clear();
        self.move_clock(step)?;
        let mut verdict = None;
        if let Some(capture) = &step.capture {
            verdict = Some(self.capture(capture)?);
        }
        let lead = match step.lead {
            None => self.leads.last().copied(),
            Some(number) => number.checked_sub(1).and_then(|index| self.leads.get(index)).copied(),
        };
        self.steps += 1;
        let events = events(step, self.steps);
        if lead.is_none() && !events.is_empty() {
            return Err(format!("lead: expected 1 to {}", self.leads.len()));
        }
        for event in events {
            if let Some(lead) = lead {
                self.replay.event(lead, event).map_err(|error| error.to_string())?;
            }
        }
        let Some(expected) = &step.expect else { return Ok(Vec::new()) };
        let lead = lead.ok_or("expect: nothing was captured yet")?;
        let now = self.replay.now();
        let log = std::mem::take(&mut self.replay.observer().0);
        let decisions: Vec<Decision> =
            log.into_iter().filter(|(id, _)| *id == lead).map(|(_, decision)| decision).collect();
        let nothing = LeadState::default();
        let outcome = Outcome {
            verdict: verdict.as_ref(),
            state: self.replay.state(lead).unwrap_or(&nothing),
            timers: self.replay.timers(lead),
            decisions: &decisions,
            now,
        };
        Ok(differences(expected, &outcome))
    }

    fn move_clock(&mut self, step: &Step) -> Result<(), String> {
        let to = match (&step.at, &step.after) {
            (Some(_), Some(_)) => return Err("at, after: expected one of them".to_owned()),
            (Some(at), None) => moment(at, self.replay.policy())?,
            (None, Some(after)) if self.begun => {
                let seconds = parse_duration(after).ok_or_else(|| {
                    format!("after: expected a duration such as `90s` or `1h30m`, not `{after}`")
                })?;
                plus_seconds(self.replay.now(), seconds)
            }
            (None, None) if self.begun => return Ok(()),
            (None, _) => {
                return Err("at: the first step needs a moment, such as `2026-11-25 12:00`".to_owned());
            }
        };
        if self.begun && to < self.replay.now() {
            return Err(format!("at: {to} is before the step before, at {}", self.replay.now()));
        }
        self.begun = true;
        self.replay.advance(to).map_err(|error| error.to_string())
    }

    fn capture(&mut self, given: &Map<String, Value>) -> Result<CaptureVerdict, String> {
        let mut given = given.clone();
        let source = given.remove("source");
        let source =
            source.as_ref().map_or(Some("site"), Value::as_str).ok_or("capture.source: expected a key")?;
        let times = given.remove("times");
        let times =
            times.as_ref().map_or(Some(1), Value::as_u64).ok_or("capture.times: expected a number")?;
        let id = |kind: &str| stable_uuid(kind, "cases");
        let origin = Arc::new(Origin {
            workspace_id: WorkspaceId::from_uuid(id("workspace")),
            project_id: ProjectId::from_uuid(id("project")),
            source_id: SourceId::from_uuid(stable_uuid("source", source)),
            key: source.to_owned(),
            name: source.to_owned(),
        });
        let now = self.replay.now();
        let mut verdict = None;
        for _ in 0..times {
            if times > 1 {
                self.people += 1;
                given.insert("phone".to_owned(), format!("+7900{:07}", 1_000_000 + self.people).into());
            }
            let input: CaptureInput = serde_json::from_value(Value::Object(given.clone()))
                .map_err(|error| format!("capture: {error}"))?;
            let capture = input.validate(&[], Locale::Ru, Received::at(now)).map_err(|faults| {
                let faults: Vec<String> = faults
                    .iter()
                    .map(|fault| format!("capture.{}: {}", fault.field, fault.message))
                    .collect();
                faults.join("; ")
            })?;
            let captured = self.replay.capture(LeadId::generate(&self.ids, now), &origin, capture);
            let captured = captured.map_err(|error| error.to_string())?;
            self.leads.push(captured.lead_id);
            verdict = Some(captured.verdict);
        }
        verdict.ok_or_else(|| "capture.times: expected at least 1".to_owned())
    }
}

/// What happens in the step with this number.
fn events(step: &Step, number: u32) -> Vec<Event> {
    let answer =
        |target: &String, response| Event::Responded { target: target.clone(), response, via: Via::Api };
    let mut events = Vec::new();
    let bid =
        |(target, bid): (&String, &Option<Money>)| Event::Answered { target: target.clone(), bid: *bid };
    events.extend(step.bids.iter().map(bid));
    events.extend(step.accept.as_ref().map(|target| answer(target, Response::Accept)));
    events.extend(step.decline.as_ref().map(|target| answer(target, Response::Decline)));
    events.extend(step.lost.as_ref().map(|target| Event::DeliveryEnded {
        delivery_id: DeliveryId::from_uuid(stable_uuid("delivery", &format!("{target} {number}"))),
        target: Some(target.clone()),
        channel_id: ChannelId::from_uuid(stable_uuid("channel", "lost")),
        state: DeliveryState::Failed,
        reason: None,
    }));
    events.extend(
        step.give_back
            .as_ref()
            .map(|given| Event::Returned { target: given.target.clone(), reason: given.reason.clone() }),
    );
    events.extend(step.review.map(|approved| Event::Reviewed { approved }));
    events.extend(step.confirm.then_some(Event::Confirmed { ip: None, user_agent: None }));
    events.extend(step.close.then_some(Event::Closed));
    events
}

/// A moment as a case says it.
fn moment(text: &str, policy: &Policy) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"]
        .iter()
        .find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok());
    local
        .map(|local| policy.timezone.first_moment(local))
        .ok_or_else(|| format!("at: expected a moment such as `2026-11-25 12:00` or RFC 3339, not `{text}`"))
}
