//! Leads: what came in, what happened to it and why.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::decide::{Event, LeadStatus, Trace};
use fastlead_core::engine::ResponseOutcome;
use fastlead_core::id::{EventId, LeadId, SourceId, WorkspaceId};
use fastlead_core::lead::Needle;
use fastlead_core::message::{Locale, Response};
use fastlead_core::port::{DeliveryFilter, LeadFilter, LeadRecord, PageRequest, StoredEvent, UnreadableRow};
use fastlead_core::secret::Pii;
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deliveries::details;
use super::explain::sentences;
use super::input::{Body, Faults, Id, List, Query};
use super::names;
use super::unreadable;
use super::views::{DeliveryDetailsView, LeadStateView, LeadSummaryView, LeadView};
use crate::app::App;
use crate::auth::Operator;
use crate::problem::Problem;

/// Leads that are counted one by one at most.
const MOST_COUNTED: u32 = 10_000;
/// The orders of a list.
pub(crate) const SORTS: [&str; 2] = ["-created_at", "created_at"];
/// Entries that are read at a time for an explanation.
const EXPLAIN_PAGE: u32 = 200;
/// Pages that an explanation has at most.
const EXPLAIN_PAGES: usize = 5;

/// Leads, newest first.
#[utoipa::path(
    get, path = "/v1/leads", tag = "leads",
    params(
        ("project_id" = Option<String>, Query, description = "Only of this project"),
        ("source_id" = Option<String>, Query, description = "Only of this source"),
        ("status" = Option<String>, Query, description = "Only those with this status"),
        ("q" = Option<String>, Query, description = "Only those with this in their name, phone number (however it is written), e-mail address or messenger account; 100 characters of it are read"),
        ("from" = Option<String>, Query, description = "Only those captured at this moment or later"),
        ("to" = Option<String>, Query, description = "Only those captured before this moment"),
        ("sort" = Option<String>, Query, description = "`-created_at`, the newest first, or `created_at`; `-created_at` unless said"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 200; 50 unless said"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of leads", body = ref("#/components/schemas/LeadSummaryList"))),
)]
pub(crate) async fn list_leads(
    State(app): State<App>,
    operator: Operator,
    mut query: Query,
) -> Result<Json<List<LeadSummaryView>>, Problem> {
    let page = query.take_page()?;
    let status = query.take_name("status", &LeadStatus::NAMES)?;
    let sort = query.take_name("sort", &SORTS)?;
    let oldest_first = sort.as_deref() == Some("created_at");
    let filter = LeadFilter { status, oldest_first, ..take_filter(&mut query)? };
    query.finish()?;
    let page = app.store.leads(operator.workspace_id, filter, page).await?;
    Ok(Json(List::of(page, LeadSummaryView::from)))
}

/// What a list and a count have in common.
fn take_filter(query: &mut Query) -> Result<LeadFilter, Problem> {
    Ok(LeadFilter {
        project_id: query.take("project_id")?,
        source_id: query.take("source_id")?,
        since: query.take_moment("from")?,
        until: query.take_moment("to")?,
        text: query.take::<String>("q")?.and_then(|typed| Needle::new(&typed)),
        ..LeadFilter::default()
    })
}

/// How many leads there are.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeadCounts")]
pub(crate) struct LeadCountsView {
    /// All of them.
    total: u64,
    /// By their status; those that no lead has are left out.
    by_status: BTreeMap<String, u64>,
    /// Whether all were counted; otherwise there are more than `total`.
    exact: bool,
}

/// How many leads there are in each status, for the same filters as the list. With `q` the newest 10,000 that match are counted.
#[utoipa::path(
    get, path = "/v1/leads/count", tag = "leads",
    params(
        ("project_id" = Option<String>, Query, description = "Only of this project"),
        ("source_id" = Option<String>, Query, description = "Only of this source"),
        ("q" = Option<String>, Query, description = "As in the list"),
        ("from" = Option<String>, Query, description = "Only those captured at this moment or later"),
        ("to" = Option<String>, Query, description = "Only those captured before this moment"),
    ),
    responses((status = 200, description = "The counts", body = ref("#/components/schemas/LeadCounts"))),
)]
pub(crate) async fn count_leads(
    State(app): State<App>,
    operator: Operator,
    mut query: Query,
) -> Result<Json<LeadCountsView>, Problem> {
    let filter = take_filter(&mut query)?;
    query.finish()?;
    let counts = app.store.count_leads(operator.workspace_id, filter, MOST_COUNTED).await?;
    let total = counts.by_status.values().sum();
    Ok(Json(LeadCountsView { total, by_status: counts.by_status, exact: counts.complete }))
}

/// One lead.
#[utoipa::path(
    get, path = "/v1/leads/{id}", tag = "leads",
    params(("id" = String, Path, description = "The lead's id")),
    responses((status = 200, description = "The lead", body = ref("#/components/schemas/Lead"))),
)]
pub(crate) async fn get_lead(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<LeadId>,
) -> Result<Json<LeadView>, Problem> {
    Ok(Json(stored(&app, &operator, id).await?.into()))
}

/// Everything that happened to a lead and why.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeadExplanation")]
pub(crate) struct ExplanationView {
    /// The lead; `null` where it cannot be read.
    lead: Option<LeadView>,
    /// What happened, oldest first.
    history: Vec<EventView>,
    /// The messages about it, newest first, each with its attempts.
    deliveries: Vec<DeliveryDetailsView>,
    /// Whether nothing was left out for its length.
    complete: bool,
    /// What of it cannot be read; absent where everything can.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    unreadable: Vec<UnreadableRow>,
}

/// Something that happened to a lead.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeadEvent")]
pub(crate) struct EventView {
    /// Its id.
    id: EventId,
    /// Its place in the order in which the workspace's events were committed.
    position: u64,
    /// When it was decided upon.
    at: Timestamp,
    /// Whose doing it is: `{"type": "user", "id": "usr_…"}`, or of the type `visitor`, `target` (with its `name`), `api_key`,
    /// `provider`, `timer` or `program`. Absent where an earlier version has stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    actor: Option<fastlead_core::Actor>,
    /// What happened.
    #[schemars(extend("enum" = names::EVENTS))]
    kind: String,
    /// The source that a capture came over; a repeated one may come over another than the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_id: Option<SourceId>,
    /// What happened, with all its data.
    event: Pii<serde_json::Value>,
    /// What was looked at, in order, and what came of it.
    trace: Trace,
    /// The same in plain words.
    sentences: Vec<String>,
}

/// Everything that happened to a lead: its history with the reasons of each decision, and its messages with their attempts.
#[utoipa::path(
    get, path = "/v1/leads/{id}/explain", tag = "leads",
    params(
        ("id" = String, Path, description = "The lead's id"),
        ("locale" = Option<String>, Query, description = "The language of the sentences, `ru` or `en`; `en` unless said"),
    ),
    responses((status = 200, description = "The explanation", body = ref("#/components/schemas/LeadExplanation"))),
)]
pub(crate) async fn explain_lead(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<LeadId>,
    mut query: Query,
) -> Result<Json<ExplanationView>, Problem> {
    let locale: Option<Locale> = query.take_one_of("locale", "ru, en")?;
    query.finish()?;
    let lead = match app.store.lead(operator.workspace_id, id).await {
        Ok(lead) => Some(lead.ok_or_else(|| Problem::not_found("this lead"))?),
        // The rest of the story can still be told.
        Err(error) if error.kind() == ErrorKind::Unreadable => None,
        Err(error) => return Err(error.into()),
    };
    let locale = locale.unwrap_or(Locale::En);
    Ok(Json(explanation(&app, operator.workspace_id, id, lead, locale).await?))
}

/// Puts everything that happened to a lead together.
///
/// # Errors
/// Those of the store.
pub(crate) async fn explanation(
    app: &App,
    workspace: WorkspaceId,
    id: LeadId,
    lead: Option<LeadRecord>,
    locale: Locale,
) -> Result<ExplanationView, Error> {
    let mut complete = true;
    let mut unread = match lead {
        Some(_) => Vec::new(),
        None => unreadable::named(app, workspace, "leads", &id.to_string()).await?,
    };
    let (mut history, mut page) = (Vec::new(), PageRequest { after: None, limit: EXPLAIN_PAGE });
    for turn in 1..=EXPLAIN_PAGES {
        let events = app.store.events(workspace, id, page.clone()).await?;
        unread.extend(events.unreadable);
        for event in events.items {
            history.push(event_view(event, locale)?);
        }
        page.after = events.next;
        if page.after.is_none() {
            break;
        }
        complete = turn < EXPLAIN_PAGES;
    }
    let (mut deliveries, mut page) = (Vec::new(), PageRequest { after: None, limit: EXPLAIN_PAGE });
    for turn in 1..=EXPLAIN_PAGES {
        let filter = DeliveryFilter { lead_id: Some(id), ..DeliveryFilter::default() };
        let found = app.store.deliveries(workspace, filter, page.clone()).await?;
        unread.extend(found.unreadable);
        for delivery in found.items {
            deliveries.extend(details(app, workspace, delivery.id).await?);
        }
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
        complete &= turn < EXPLAIN_PAGES;
    }
    let lead = lead.map(LeadView::from);
    Ok(ExplanationView { lead, history, deliveries, complete, unreadable: unread })
}

pub(super) fn event_view(stored: StoredEvent, locale: Locale) -> Result<EventView, Error> {
    let event = serde_json::to_value(&stored.event)
        .map_err(|_| Error::new(ErrorKind::Internal, "a stored event cannot be written as JSON"))?;
    Ok(EventView {
        id: stored.id,
        position: stored.position,
        at: stored.at,
        actor: stored.actor,
        kind: stored.event.kind().to_owned(),
        source_id: match &stored.event {
            Event::Captured(capture) => capture.received.source_id,
            _ => None,
        },
        event: Pii::new(event),
        sentences: sentences(&stored.event, &stored.trace, locale),
        trace: stored.trace,
    })
}

/// An answer on behalf of a target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LeadResponse")]
pub(crate) struct RespondInput {
    /// The target's name in the policy that decides on the lead.
    target: String,
    /// Its answer.
    response: Response,
}

/// Answer an offer on behalf of a target, as if it had pressed the button.
#[utoipa::path(
    post, path = "/v1/leads/{id}/respond", tag = "leads",
    params(("id" = String, Path, description = "The lead's id")),
    request_body = ref("#/components/schemas/LeadResponse"),
    responses((status = 200, description = "Where the lead stands then", body = ref("#/components/schemas/LeadState"))),
)]
pub(crate) async fn respond_to_lead(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<LeadId>,
    Body(input): Body<RespondInput>,
) -> Result<Json<LeadStateView>, Problem> {
    let lead = stored(&app, &operator, id).await?;
    let policy =
        app.store.policy(lead.policy).await?.ok_or_else(|| Problem::not_found("the lead's policy"))?;
    if !policy.policy.targets.contains_key(&input.target) {
        let known: Vec<&str> = policy.policy.targets.keys().take(20).map(String::as_str).collect();
        let mut faults = Faults::default();
        faults.add(
            "target",
            "unknown_target",
            format!("the policy of the lead has these targets: {}", known.join(", ")),
        );
        faults.finish()?;
    }
    match operator.engine(&app).respond(operator.workspace_id, id, &input.target, input.response).await? {
        // An acceptance that came too late changes nothing, and the caller must hear of it.
        ResponseOutcome::Decided(state)
            if input.response == Response::Accept
                && state.assigned_to.as_deref() != Some(input.target.as_str()) =>
        {
            let detail = match &state.assigned_to {
                Some(target) => format!("target `{target}` has the lead already"),
                None if state.waits() => {
                    format!("target `{}` has no room for the lead by its limits", input.target)
                }
                None => format!("the lead is {} and cannot be accepted", state.status.as_str()),
            };
            Err(Problem::new(StatusCode::CONFLICT, "not_accepted", detail))
        }
        ResponseOutcome::Decided(state) => Ok(Json((*state).into())),
        ResponseOutcome::NotFound => Err(Problem::not_found("this lead")),
    }
}

pub(super) async fn stored(app: &App, operator: &Operator, id: LeadId) -> Result<LeadRecord, Problem> {
    app.store.lead(operator.workspace_id, id).await?.ok_or_else(|| Problem::not_found("this lead"))
}
