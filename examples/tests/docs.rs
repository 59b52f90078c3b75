//! What the book says is what the code does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use fastlead_core::channel::{Capabilities, Channel};
use fastlead_core::delivery::{RECEIPT_CHECKS_SECS, RetrySchedule};
use fastlead_core::error::ErrorKind;
use fastlead_core::policy::{Condition, Field, Policy, known_variables};
use fastlead_core::schedule::{WorkingHours, Zone};
use fastlead_testkit::memory::MemoryChannel;

fn page(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// `5 s`, `2 min` or `3 h`.
fn in_words(seconds: u64) -> String {
    match seconds {
        3_600.. => format!("{} h", seconds / 3_600),
        60.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

#[test]
fn the_example_policy_works() {
    let page = page("docs/policy.md");
    let everything = || MemoryChannel::new("any").capabilities();
    let channels: BTreeMap<String, Capabilities> =
        ["sales-bot", "mail", "sms", "crm"].into_iter().map(|name| (name.to_owned(), everything())).collect();
    for heading in ["\n## An example\n", "\n## Distribution\n"] {
        let [example] = blocks(&page, heading, "json")[..] else { panic!("one block") };
        let policy = Policy::from_json(example.as_bytes()).unwrap();
        policy.validate(&channels, fastlead_core::time::from_millis(1_795_597_200_000)).unwrap();
    }
}

/// The blocks of a language under a heading.
fn blocks<'a>(page: &'a str, heading: &str, language: &str) -> Vec<&'a str> {
    let (_, section) = page.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let start = format!("```{language}\n");
    section.split(&start).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

#[test]
fn the_conditions_read_as_they_are_shown() {
    let page = page("docs/policy.md");
    let [conditions, refusal] = blocks(&page, "\n## Conditions\n", "text")[..] else { panic!("two blocks") };
    for text in conditions.lines() {
        assert_eq!(text.parse::<Condition>().unwrap().to_string(), text);
    }
    let (_, text) = refusal.lines().nth(1).unwrap().split_once("| ").unwrap();
    assert_eq!(text.parse::<Condition>().unwrap_err().to_string(), refusal);
    let fields = schemars::schema_for!(Field).to_value();
    let fields = fields["anyOf"][0]["enum"].as_array().unwrap();
    assert!(fields.len() > 20);
    for field in fields {
        let name = format!("`{}`", field.as_str().unwrap());
        assert!(page.contains(&name), "{name}");
    }
}

#[test]
fn the_working_hours_work() {
    let page = page("docs/policy.md");
    let [example] = blocks(&page, "\n## Schedules\n", "json")[..] else { panic!("one block") };
    let hours: WorkingHours = serde_json::from_str(example).unwrap();
    let zone: Zone = "Europe/Moscow".parse().unwrap();
    hours.check("2026-11-25T12:00:00Z".parse().unwrap(), zone).unwrap();
    assert!(hours.is_open("2026-11-04T12:00:00Z".parse().unwrap(), zone));
}

#[test]
fn the_variables_are_those_of_templates() {
    let page = page("docs/policy.md");
    for name in known_variables() {
        assert!(page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}.NAME`")), "{name}");
    }
}

#[test]
fn the_published_schedule_is_the_default() {
    let page = page("docs/delivery.md");
    for (index, seconds) in RetrySchedule::default().delays_secs.into_iter().enumerate() {
        let row = format!("\n| {} | {} |\n", index + 1, in_words(seconds));
        assert!(page.contains(&row), "{row}");
    }
    let [others @ .., last] = RECEIPT_CHECKS_SECS.map(in_words);
    let checks = format!("{} and {last} after", others.join(", "));
    assert!(page.replace('\n', " ").contains(&checks), "{checks}");
}

#[test]
fn every_code_has_its_entry() {
    use ErrorKind::{
        Auth, Balance, Config, Conflict, Content, Internal, Invalid, NotFound, Overloaded, Paused, Protocol,
        RateLimited, Recipient, Storage, Timeout, Unauthenticated, Unavailable, Unreadable, Unsupported,
    };
    let page = page("docs/errors.md");
    for kind in [
        Auth,
        Balance,
        Config,
        Conflict,
        Content,
        Internal,
        Invalid,
        NotFound,
        Overloaded,
        Paused,
        Protocol,
        RateLimited,
        Recipient,
        Storage,
        Timeout,
        Unauthenticated,
        Unavailable,
        Unreadable,
        Unsupported,
    ] {
        let heading = format!("\n### {}\n", kind.code());
        assert!(page.contains(&heading), "{heading}");
    }
    // Codes that the server gives by itself.
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fastlead-server/src");
    let mut folders = vec![server];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for code in text.split("Problem::new(").skip(1).filter_map(code) {
                    assert!(page.contains(&format!("\n### {code}\n")), "{code} of {path:?}");
                }
            }
        }
    }
}

#[test]
fn the_pictures_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in ["README.md", "README.ru.md"] {
        for picture in page(name).split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(root.join(picture).is_file(), "{name}: {picture}");
        }
    }
}

/// The literal in second place of a call, where there is one.
fn code(arguments: &str) -> Option<&str> {
    let (_, rest) = arguments.split_once(',')?;
    rest.trim_start().strip_prefix('"')?.split('"').next()
}
