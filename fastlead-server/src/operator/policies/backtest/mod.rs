//! What a policy would have done with the captures of the past, over HTTP.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use fastlead_core::error::Result;
use fastlead_core::id::{ProjectId, WorkspaceId};
use fastlead_core::port::{Journal, Source};
use fastlead_core::replay::{Assumptions, Backtest, Memory, MemoryKey, Remembered, Report, Row, Shelf, Side};
use fastlead_core::time::Timestamp;
use fastlead_store::SpillingMemory;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use super::versions::named;
use crate::app::App;
use crate::auth::Operator;
use crate::operator::input::{Body, Faults, Id};
use crate::operator::projects::own;
use crate::policies;
use crate::problem::Problem;

/// Most captures of one request. The command line has no such limit.
const MAX_CAPTURES: u32 = 100_000;
/// For how long captures are read.
const LONGEST: Duration = Duration::from_secs(20);
/// How far back captures are replayed unless said.
const DAYS: i64 = 30;
/// Longest assumption: as durations of a policy.
const MAX_SECS: u64 = 366 * 86_400;

/// Who has a backtest running. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<watch::Sender<BTreeSet<WorkspaceId>>>);

impl Running {
    /// The workspace's turn, unless it has one running.
    fn take(&self, workspace: WorkspaceId) -> Option<Turn> {
        let taken = self.0.send_if_modified(|running| running.insert(workspace));
        taken.then(|| Turn { workspace, running: self.clone() })
    }
}

/// Which policies are compared, and on which captures.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PolicyBacktest")]
pub(crate) struct BacktestInput {
    /// The new policy, which need not be published. Default: the draft.
    #[serde(default)]
    policy: Option<serde_json::Map<String, serde_json::Value>>,
    /// What it is compared with: a version, `current` or `draft`. Default `current`.
    #[serde(default)]
    against: Option<String>,
    /// From when on captures are replayed. Default: 30 days ago.
    #[serde(default, deserialize_with = "crate::operator::input::optional_moment")]
    since: Option<Timestamp>,
    /// Before when. Default: now.
    #[serde(default, deserialize_with = "crate::operator::input::optional_moment")]
    until: Option<Timestamp>,
    /// After how many seconds a target accepts an offer that it did not have then. Default 60.
    #[serde(default)]
    answer_secs: Option<u64>,
    /// After how many seconds the work on an accepted lead is done. Default 86400.
    #[serde(default)]
    close_secs: Option<u64>,
    /// At most so many captures, the oldest, 1 to 100000. Default 100000.
    #[serde(default)]
    max_captures: Option<u32>,
}

/// What two policies do with the same captures.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyBacktestOutcome")]
pub(crate) struct BacktestView {
    /// What the new policy was compared with: a version or `draft`.
    against: String,
    /// From when on captures were replayed.
    since: Timestamp,
    /// Before when.
    until: Timestamp,
    /// How many captures were replayed with both policies.
    captures: u64,
    /// How many captures were left out because they cannot be read.
    unreadable: u64,
    /// Whether these are all. Otherwise the numbers are those of the oldest captures alone.
    complete: bool,
    /// Where not all were replayed: when the first capture that was left out came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_at: Option<Timestamp>,
    /// After how many seconds a target was assumed to accept an offer that it did not have then.
    answer_secs: u64,
    /// After how many seconds the work on an accepted lead was assumed to be done.
    close_secs: u64,
    /// Every number of both, in the order of names.
    rows: Vec<RowView>,
}

/// A number of both policies.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyBacktestRow")]
pub(crate) struct RowView {
    /// Its name, such as `targets.anna.accepted`.
    name: String,
    /// With the policy of before.
    before: i64,
    /// With the new policy.
    after: i64,
    /// By how much it has changed, of 1,000; `null` where it was 0 before.
    change_permille: Option<i64>,
}

impl From<Row> for RowView {
    fn from(row: Row) -> Self {
        Self { name: row.name, before: row.before, after: row.after, change_permille: row.change_permille }
    }
}

/// The right of a workspace to have a backtest running; given back when it is dropped.
#[derive(Debug)]
struct Turn {
    workspace: WorkspaceId,
    running: Running,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.0.send_if_modified(|running| running.remove(&self.workspace));
    }
}

/// What a replay remembers, and with it the turn: it is given back when the work has ended, which is a little after
/// nobody waits for it any more.
#[derive(Debug)]
struct Held {
    people: SpillingMemory,
    _turn: Arc<Turn>,
}

impl Memory for Held {
    fn get(&mut self, key: &MemoryKey, now: i64) -> Result<Option<Remembered>> {
        self.people.get(key, now)
    }

    fn put(&mut self, key: MemoryKey, entry: Remembered, now: i64) -> Result<()> {
        self.people.put(key, entry, now)
    }

    fn sweep(&mut self, now: i64) -> Result<()> {
        self.people.sweep(now)
    }

    fn shelf(&mut self) -> Option<&mut dyn Shelf> {
        self.people.shelf()
    }
}

/// Replay stored captures with a policy and with the one that it is compared with. Only reads. At most 100,000
/// captures and 20 seconds; one at a time for each workspace; ends when the caller goes away.
#[utoipa::path(
    post, path = "/v1/projects/{id}/policy/backtest", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    request_body = ref("#/components/schemas/PolicyBacktest"),
    responses((status = 200, description = "What both come to", body = ref("#/components/schemas/PolicyBacktestOutcome"))),
)]
pub(crate) async fn backtest_policy(
    State(app): State<App>,
    operator: Operator,
    Id(project): Id<ProjectId>,
    Body(input): Body<BacktestInput>,
) -> Result<Json<BacktestView>, Problem> {
    own(&app, &operator, project)?;
    let now = app.engine.clock().now();
    let until = input.until.unwrap_or(now);
    let since = input.since.unwrap_or(now - TimeDelta::days(DAYS));
    let usual = Assumptions::default();
    let assumed = Assumptions {
        answer_secs: input.answer_secs.unwrap_or(usual.answer_secs),
        close_secs: input.close_secs.unwrap_or(usual.close_secs),
    };
    let most = input.max_captures.unwrap_or(MAX_CAPTURES);
    let mut faults = Faults::default();
    if until <= since {
        faults.add("until", "out_of_range", "is not after `since`");
    }
    for (name, seconds) in [("answer_secs", assumed.answer_secs), ("close_secs", assumed.close_secs)] {
        if seconds > MAX_SECS {
            faults.add(name, "out_of_range", format!("expected at most {MAX_SECS} seconds"));
        }
    }
    if !(1..=MAX_CAPTURES).contains(&most) {
        faults.add("max_captures", "out_of_range", format!("expected a number from 1 to {MAX_CAPTURES}"));
    }
    faults.finish()?;
    let new = match input.policy {
        Some(document) => policies::read(&document.into())?,
        None => named(&app, &operator, project, "draft").await?.1,
    };
    policies::check(&app, operator.workspace_id, &new).map_err(Problem::policy)?;
    let (against, old) =
        named(&app, &operator, project, input.against.as_deref().unwrap_or("current")).await?;
    let Some(turn) = app.backtests.take(operator.workspace_id) else {
        let detail = "a backtest of this workspace is running; wait for it to end";
        return Err(Problem::new(StatusCode::CONFLICT, "backtest_running", detail).retry_after(5));
    };
    let turn = Arc::new(turn);
    let side = |policy| {
        let people = SpillingMemory::new(app.settings.store.folder());
        Side::new(Arc::new(policy), Box::new(Held { people, _turn: Arc::clone(&turn) }))
    };
    let test = Backtest { workspace_id: operator.workspace_id, project_id: project, since, until, assumed };
    let sources = app.store.load_workspace(operator.workspace_id).await?.sources;
    let limits = Limits { captures: most, time: LONGEST };
    run(&*app.store, &sources, &test, (side(old), side(new)), &limits, against).await.map(Json)
}

/// How much of the past is replayed.
#[derive(Debug)]
struct Limits {
    captures: u32,
    time: Duration,
}

async fn run(
    journal: &dyn Journal,
    sources: &[Source],
    test: &Backtest,
    (old, new): (Side, Side),
    limits: &Limits,
    against: String,
) -> Result<BacktestView, Problem> {
    let begun = Instant::now();
    let room = |read: u64| {
        if begun.elapsed() < limits.time { u64::from(limits.captures).saturating_sub(read) } else { 0 }
    };
    let replayed = test.run_within(journal, sources, old, new, room).await?;
    let (since, until, assumed) = (test.since, test.until, test.assumed);
    let report = Report::new((since, until), assumed, (replayed.before, replayed.after), &[]);
    Ok(BacktestView {
        against,
        since,
        until,
        captures: report.after.captures,
        unreadable: replayed.unreadable,
        complete: replayed.cut_at.is_none(),
        cut_at: replayed.cut_at,
        answer_secs: assumed.answer_secs,
        close_secs: assumed.close_secs,
        rows: report.rows.into_iter().map(RowView::from).collect(),
    })
}

#[cfg(test)]
mod tests;
