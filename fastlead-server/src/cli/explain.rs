//! `fastlead explain`: the whole story of a lead, with every candidate and why it was or was not chosen.

use std::process::ExitCode;

use clap::Args;
use fastlead_core::id::LeadId;
use fastlead_core::message::Locale;
use fastlead_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::desk::Place;
use super::{Program, pretty, say};

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The lead's id.
    lead: LeadId,
    /// Everything as JSON, as GET /v1/leads/{id}/explain answers it.
    #[arg(long)]
    json: bool,
    /// The language of the sentences: `ru` or `en`.
    #[arg(long, default_value = "en")]
    lang: String,
    #[command(flatten)]
    place: Place,
}

/// Prints the story.
pub(super) async fn run(command: Explain, program: Program) -> Result<ExitCode> {
    let locale = match command.lang.as_str() {
        "ru" => Locale::Ru,
        "en" => Locale::En,
        other => {
            let message = format!("--lang: expected `ru` or `en`, not `{other}`");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    };
    let desk = command.place.open(program).await?;
    let story = desk.explain(command.lead, locale).await?;
    if command.json {
        say(&pretty(&story)?);
    } else {
        lines(&story).iter().for_each(|line| say(line));
    }
    Ok(ExitCode::SUCCESS)
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The story in lines: the lead, its history with a sentence for each thing that was looked at, its messages.
fn lines(story: &Value) -> Vec<String> {
    let lead = &story["lead"];
    let owner = text(lead, "/state/assigned_to");
    let owner = if owner.is_empty() { String::new() } else { format!(", `{owner}`") };
    let version = lead.pointer("/policy/version").and_then(Value::as_u64).unwrap_or_default();
    let mut lines = vec![format!(
        "{}: {}{owner}, policy version {version}",
        text(lead, "/id"),
        text(lead, "/state/status")
    )];
    for event in list(story, "history") {
        lines.push(format!("{} {}", text(event, "/at"), text(event, "/kind")));
        let sentences = list(event, "sentences").iter().filter_map(Value::as_str);
        lines.extend(sentences.map(|sentence| format!("  {sentence}")));
    }
    for delivery in list(story, "deliveries") {
        let reason = text(delivery, "/reason");
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        let target = text(delivery, "/target");
        let target = if target.is_empty() { String::new() } else { format!(" to `{target}`") };
        let (id, purpose) = (text(delivery, "/id"), text(delivery, "/purpose"));
        lines.push(format!("{id}: {purpose}{target}: {}{reason}", text(delivery, "/state")));
    }
    for row in list(story, "unreadable") {
        lines.push(format!(
            "{} {}: `{}` cannot be read",
            text(row, "/table"),
            text(row, "/id"),
            text(row, "/column")
        ));
    }
    if story["complete"] == Value::Bool(false) {
        lines.push("The story is longer; see the operator API for the rest.".to_owned());
    }
    lines
}
