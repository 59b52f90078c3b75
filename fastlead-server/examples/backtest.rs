//! How long a backtest takes and how much memory it needs.
//!
//! ```sh
//! cargo run --release -p fastlead-server --example backtest -- generate leads.db 1000000
//! cargo run --release -p fastlead-server --example backtest -- measure leads.db
//! ```
//!
//! `generate` fills a store with so many captures of 30 days, or of as many as are named in a third argument. `measure`
//! replays them with two policies of the library in `examples/policies`, and `measure-in-memory` without temporary
//! files. They are processes of their own, so that the peak of memory is that of the backtest alone.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a measuring program")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fastlead_core::decide::{Event, LeadState, LeadStatus, Trace};
use fastlead_core::delivery::Scope;
use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{IdSource as _, LeadId, PolicyId, ProjectId, SeededIds, SourceId, WorkspaceId};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::Locale;
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::{CommitOutcome, Store, Transition};
use fastlead_core::replay::{Assumptions, Backtest, Side};
use fastlead_core::time::{Timestamp, from_millis};
use fastlead_store::{SpillingMemory, SqliteOptions, SqliteStore};
use fastlead_testkit::policy::Document;
use serde_json::json;

/// 1 November 2026 in UTC.
const START: i64 = 1_793_491_200_000;
const DAY: i64 = 86_400_000;
/// Captures that are committed at the same time.
const AT_ONCE: u64 = 1_000;

fn scope() -> Scope {
    Scope {
        workspace_id: WorkspaceId::from_uuid(stable_uuid("workspace", "backtest")),
        project_id: ProjectId::from_uuid(stable_uuid("project", "backtest")),
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["generate", file, count] => generate(file, count.parse().expect("a number"), 30).await,
        ["generate", file, count, days] => {
            generate(file, count.parse().expect("a number"), days.parse().expect("a number")).await;
        }
        ["measure", file] => measure(file, true).await,
        ["measure-in-memory", file] => measure(file, false).await,
        _ => println!("generate FILE COUNT [DAYS], measure FILE, or measure-in-memory FILE"),
    }
}

async fn generate(file: &str, count: u64, days: u64) {
    let store = SqliteStore::open(SqliteOptions::new(file)).await.unwrap();
    let ids = SeededIds::new(1);
    let begun = Instant::now();
    let mut number = 0;
    while number < count {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE.min(count - number) {
            let span = u128::from(days) * u128::from(DAY.unsigned_abs());
            let millis = i64::try_from(u128::from(number) * span / u128::from(count));
            let at = from_millis(START + millis.unwrap_or(0));
            let (store, transition) = (store.clone(), capture(&ids, number, at));
            tasks.spawn(async move { store.commit(transition).await });
            number += 1;
        }
        for outcome in tasks.join_all().await {
            assert_eq!(outcome.unwrap(), CommitOutcome::Applied);
        }
    }
    println!("{count} captures written in {:.1} s", begun.elapsed().as_secs_f32());
}

/// A capture of one of as many people as there are captures, every twentieth of somebody who was there before.
fn capture(ids: &SeededIds, number: u64, at: Timestamp) -> Transition {
    let person = if number % 20 == 19 { number - 10 } else { number };
    let input = json!({
        "phone": format!("+7900{:07}", person % 10_000_000),
        "name": "Анна",
        "comment": "Перезвоните после шести",
        "fields": {"budget": (person % 300_000).to_string(), "city": "Казань"},
        "attribution": {"last": {"utm_source": "yandex", "page": "https://example.com/landing"}},
    });
    let input: CaptureInput = serde_json::from_value(input).unwrap();
    let capture = input.validate(&[], Locale::Ru, Received::at(at)).unwrap();
    let lead_id = LeadId::from_uuid(ids.next(at));
    let policy = PolicyRef { id: PolicyId::from_uuid(stable_uuid("policy", "backtest")), version: 1 };
    Transition::new_lead(
        scope(),
        SourceId::from_uuid(stable_uuid("source", "backtest")),
        lead_id,
        Event::Captured(Box::new(capture)),
        at,
        Trace::new(policy),
        LeadState { version: 1, status: LeadStatus::Open, ..LeadState::default() },
    )
}

fn policy(name: &str) -> Arc<Policy> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    Arc::new(Document::parse(&text).unwrap().policy().unwrap())
}

async fn measure(file: &str, spills: bool) {
    let store = SqliteStore::open(SqliteOptions::new(file)).await.unwrap();
    let (since, until) = (from_millis(START), from_millis(START + 3_650 * DAY));
    let Scope { workspace_id, project_id } = scope();
    let test = Backtest { workspace_id, project_id, since, until, assumed: Assumptions::default() };
    let (before, after) = (policy("dental-clinic.yaml"), policy("lead-seller.yaml"));
    let side = |policy: Arc<Policy>| {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        if spills { Side::new(policy, Box::new(SpillingMemory::new(folder))) } else { policy.into() }
    };
    let (before, after) = (side(before), side(after));
    let begun = Instant::now();
    let (before, after) = test.run(&store, &[], before, after, |_| {}).await.unwrap();
    let seconds = begun.elapsed().as_secs_f32();
    println!("{} captures, two policies, {seconds:.1} s", before.captures);
    for (name, tally) in [("clinic", &before), ("seller", &after)] {
        println!(
            "{name}: {} accepted, {} repeated, {} queued",
            tally.accepted, tally.duplicates, tally.queued
        );
    }
    let numbers = serde_json::to_string(&(before, after)).unwrap();
    println!("all numbers: {}", stable_uuid("numbers", &numbers));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or(" unknown");
    println!("peak of memory:{peak}");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of the machine: {}", load.trim());
}
