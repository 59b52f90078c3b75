//! Nothing that a person or an account owns stands in what the program writes for its operator: logs of the most
//! talkative level, metrics, health answers, problem documents, and the recorded errors of attempts.

mod seeds;
mod story;

use serde_json::Value;

use super::desk::Desk;
use story::{Cast, Story};

/// Our own crates say everything, the others what they say to developers.
const FILTER: &str = "debug,fastlead_core=trace,fastlead_channels=trace,fastlead_server=trace,fastlead_store=trace,fastlead=trace";

/// Traces of trouble that the story must have left, or it has proved nothing.
const MARKS: [&str; 9] = [
    "\"channel paused\"",
    "\"channel created\"",
    "a provider's request was refused",
    "operation failed",
    "rate limited",
    "recipient refused",
    "credentials refused",
    "balance too low",
    "\"level\":\"DEBUG\"",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_private_is_written_for_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let cast = Cast::start().await;
    let mut story = Story::begin(folder.path(), cast, FILTER).await;
    story.tell().await;
    let (seeds, written) = story.end().await;

    let logs = &written.iter().find(|(name, _)| name == "output").expect("there is output").1;
    for mark in MARKS {
        assert!(logs.contains(mark), "the story has left no `{mark}`");
    }
    let mut found = Vec::new();
    for (name, text) in &written {
        assert!(!text.is_empty(), "{name} is empty");
        found.extend(seeds.found_in(text).into_iter().map(|found| format!("{name}: {found}")));
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n\n"));
    let size: usize = written.iter().map(|(_, text)| text.len()).sum();
    println!("secrecy: {} kinds of text, {size} bytes, nothing private", written.len());
}

/// The errors of all attempts, which operators read and logs repeat.
async fn attempt_errors(desk: &Desk) -> String {
    let mut errors = String::new();
    let deliveries = desk.get("/v1/deliveries?limit=200").await;
    for delivery in deliveries["items"].as_array().unwrap() {
        let id = delivery["id"].as_str().unwrap();
        let details = desk.get(&format!("/v1/deliveries/{id}")).await;
        for attempt in details["attempts"].as_array().unwrap() {
            if attempt["error"] != Value::Null {
                errors.push_str(&format!("{}\n", attempt["error"]));
            }
        }
    }
    errors
}
