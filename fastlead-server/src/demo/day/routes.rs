//! The page of the day: what it is made of, what it shows, and what reads its policy.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use fastlead_core::Result;
use fastlead_core::id::ProjectId;
use fastlead_core::message::Locale;
use fastlead_core::port::{LeadFilter, PageRequest};
use fastlead_core::time::Timestamp;
use fastlead_testkit::policy::{Document, LocatedFault};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::page::{DemoState, asset, live};
use super::{CHATS, KEY, night, policy_text, project, workspace};
use crate::app::App;
use crate::operator::LeadView;
use crate::policies;

/// How many of the newest leads the page shows.
const SHOWN: u32 = 40;

/// The routes under `/demo/day`.
pub(in crate::demo) fn routes(state: DemoState) -> Router<App> {
    Router::new()
        .route(
            "/demo/day",
            get(|| async { asset("text/html; charset=utf-8", include_str!("../../web/day.html")) }),
        )
        .route(
            "/demo/day.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("../../web/day.js")) }),
        )
        .route(
            "/demo/tables.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("../../web/tables.js")) }),
        )
        .route(
            "/demo/day/stream",
            get(move |State(app): State<App>| {
                live(app, state, |app, state| Box::pin(async move { collect(&app, &state).await }))
            }),
        )
        .route("/demo/day/check", post(check))
}

#[derive(Debug, Serialize)]
struct Shown {
    project_id: ProjectId,
    source_key: &'static str,
    /// The version that decides on new leads.
    version: u32,
    /// The wall clock where the agency is, and the next night.
    zone: &'static str,
    local_time: String,
    night: Timestamp,
    /// The policy to begin with, in both languages.
    suggested: [String; 2],
    chats: Vec<Value>,
    /// Those that came since the demo was started, newest first.
    leads: Vec<LeadView>,
}

async fn collect(app: &App, state: &DemoState) -> Result<Value> {
    let now = app.engine.clock().now();
    let page = PageRequest { after: None, limit: SHOWN };
    let filter = LeadFilter { project_id: Some(project()), ..LeadFilter::default() };
    let found = app.store.leads(workspace(), filter, page).await?;
    let mut leads = Vec::new();
    for lead in found.items.into_iter().filter(|lead| lead.created_at >= state.started()) {
        leads.extend(app.store.lead(workspace(), lead.id).await?.map(LeadView::from));
    }
    let current = policies::current(app, workspace(), project()).await?;
    let zone = current.as_ref().map(|record| record.policy.timezone).unwrap_or_default();
    let shown = Shown {
        project_id: project(),
        source_key: KEY,
        version: current.map_or(0, |record| record.reference.version),
        zone: zone.name(),
        local_time: zone.local(now).format("%H:%M").to_string(),
        night: night(zone, now),
        suggested: [policy_text(zone, Locale::Ru), policy_text(zone, Locale::En)],
        chats: state.chats(&CHATS),
        leads,
    };
    Ok(json!(shown))
}

/// A policy that was typed: as JSON where it can be read, and what is wrong, by line.
#[derive(Debug, Serialize)]
struct Checked {
    document: Option<Value>,
    faults: Vec<Fault>,
}

#[derive(Debug, Serialize)]
struct Fault {
    line: Option<u64>,
    path: String,
    message: String,
}

impl From<LocatedFault> for Fault {
    fn from(fault: LocatedFault) -> Self {
        Self { line: fault.line, path: fault.path, message: fault.message }
    }
}

/// Reads a typed policy as `fastlead policy` reads a file, and checks it against the demo's channels.
async fn check(State(app): State<App>, text: String) -> Json<Checked> {
    let document = match Document::parse(&text) {
        Ok(document) => document,
        Err(fault) => return Json(Checked { document: None, faults: vec![fault.into()] }),
    };
    let faults = match document.policy() {
        Ok(policy) => policies::check(&app, workspace(), &policy)
            .map_or_else(|faults| document.locate(faults), |()| Vec::new()),
        Err(faults) => faults,
    };
    Json(Checked { document: Some(document.value), faults: faults.into_iter().map(Fault::from).collect() })
}
