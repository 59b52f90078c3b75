//! What is done with a channel instance: check, test, pause, resume, recover.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::channel::{Capabilities, Channel};
use fastlead_core::delivery::{
    Body as MessageBody, DeliverySpec, NewDelivery, Purpose, RetrySchedule, Scope,
};
use fastlead_core::engine::Recovered;
use fastlead_core::id::{ChannelId, DeliveryId, ProjectId};
use fastlead_core::message::{Content, EventPayload, MessageClass, Recipient, RecipientKind, Text};
use fastlead_core::port::Recovery;
use fastlead_core::secret::Pii;
use fastlead_core::text::Overflow;
use fastlead_core::time::{Timestamp, plus_seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::CATALOG;
use super::channels::{ChannelView, active, stored, view};
use super::input::{Body, Faults, Id};
use super::projects::own;
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::problem::Problem;
use crate::registration::{self, Standing};

/// How many lost deliveries are looked at by one request.
const MOST_RECOVERED: u32 = 50_000;
/// A test message is worth sending for an hour: a mail server that does not know us yet puts the first one off for five
/// minutes and more (greylisting).
const TEST_TTL_SECS: u64 = 3_600;

/// What a check found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChannelCheck")]
pub(crate) struct CheckView {
    /// Whether the provider accepts the credentials, and calls us where it was told to.
    ok: bool,
    /// The code of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What is wrong; where nothing is, why the provider was not told to call us.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The provider's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_code: Option<String>,
}

/// Prove a channel's credentials without messaging anyone.
#[utoipa::path(
    post, path = "/v1/channels/{id}/check", tag = "channels",
    params(("id" = String, Path, description = "The channel's id")),
    responses((status = 200, description = "What was found", body = ref("#/components/schemas/ChannelCheck"))),
)]
pub(crate) async fn check_channel(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<ChannelId>,
) -> Result<Json<CheckView>, Problem> {
    let channel = active(&app, &operator, id).await?;
    let record = stored(&app, &operator, id).await?;
    let checked = match channel.channel.check().await {
        Ok(()) => registration::look(&app, &channel, &record).await,
        Err(error) => Err(error),
    };
    Ok(Json(match checked {
        Ok(standing) => {
            let message = match standing {
                Standing::Good => None,
                Standing::NotTold(why) => Some(why.to_owned()),
            };
            CheckView { ok: true, code: None, message, provider_code: None }
        }
        Err(error) => CheckView {
            ok: false,
            code: Some(error.code().to_owned()),
            message: Some(error.message().to_owned()),
            provider_code: error.provider_code().map(str::to_owned),
        },
    }))
}

/// Pause a channel: nothing is sent over it, and its messages wait within their lifetime.
#[utoipa::path(
    post, path = "/v1/channels/{id}/pause", tag = "channels",
    params(("id" = String, Path, description = "The channel's id")),
    responses((status = 200, description = "The channel", body = ref("#/components/schemas/Channel"))),
)]
pub(crate) async fn pause_channel(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<ChannelId>,
) -> Result<Json<ChannelView>, Problem> {
    let _order = CATALOG.lock().await;
    if !stored(&app, &operator, id).await?.status.is_paused() {
        app.engine.pause(operator.workspace_id, id, "operator").await?;
        tracing::info!(channel = %id, "channel paused by an operator");
    }
    Ok(Json(view(&app, stored(&app, &operator, id).await?)))
}

/// Let a paused channel go on. What has failed meanwhile comes back with `recover`.
#[utoipa::path(
    post, path = "/v1/channels/{id}/resume", tag = "channels",
    params(("id" = String, Path, description = "The channel's id")),
    responses((status = 200, description = "The channel", body = ref("#/components/schemas/Channel"))),
)]
pub(crate) async fn resume_channel(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<ChannelId>,
) -> Result<Json<ChannelView>, Problem> {
    let _order = CATALOG.lock().await;
    stored(&app, &operator, id).await?;
    if app.engine.resume(operator.workspace_id, id).await? {
        tracing::info!(channel = %id, "channel resumed by an operator");
    }
    Ok(Json(view(&app, stored(&app, &operator, id).await?)))
}

/// Since when to recover.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Recovery")]
pub(crate) struct RecoverInput {
    /// Deliveries that were made since this moment are made due again.
    #[serde(deserialize_with = "super::input::moment")]
    since: Timestamp,
}

/// Send again what a channel has failed to deliver since a moment: failed and expired deliveries, and ambiguous ones where
/// the receiver recognises a message that it has had before (`idempotent_send` of the channel's capabilities).
#[utoipa::path(
    post, path = "/v1/channels/{id}/recover", tag = "channels",
    params(("id" = String, Path, description = "The channel's id")),
    request_body = ref("#/components/schemas/Recovery"),
    responses((status = 200, description = "How many are due again", body = ref("#/components/schemas/Recovered"))),
)]
pub(crate) async fn recover_channel(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<ChannelId>,
    Body(input): Body<RecoverInput>,
) -> Result<Json<Recovered>, Problem> {
    stored(&app, &operator, id).await?;
    let directory = app.engine.directory();
    let ambiguous = directory.channel(id).is_some_and(|channel| channel.capabilities.idempotent_send);
    let recovery = Recovery { channel_id: id, since: input.since, ambiguous };
    let now = app.engine.clock().now();
    if input.since > now {
        let mut faults = Faults::default();
        faults.add("since", "in_future", "expected a moment that has passed");
        faults.finish()?;
    }
    let total = operator.engine(&app).recover(operator.workspace_id, recovery, MOST_RECOVERED).await?;
    tracing::info!(
        channel = %id,
        deliveries = total.deliveries,
        refused = total.refused,
        "deliveries recovered by an operator"
    );
    Ok(Json(total))
}

/// A test message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TestMessage")]
pub(crate) struct TestInput {
    /// Who gets it; may be left out where the channel itself points somewhere.
    #[serde(default = "endpoint")]
    recipient: Recipient,
    /// What it says. Up to 1,000 characters.
    #[serde(default = "test_text")]
    text: Pii<String>,
    /// In whose name it is sent; any project of the workspace unless said.
    project_id: Option<ProjectId>,
}

const fn endpoint() -> Recipient {
    Recipient::Endpoint
}

fn test_text() -> Pii<String> {
    Pii::from("FastLead: a test message")
}

/// A message that will be sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Enqueued")]
pub(crate) struct EnqueuedView {
    /// The delivery; ask for it to see what became of it.
    delivery_id: DeliveryId,
}

/// Send a test message over a channel, as an administrator; at most five a minute over each.
#[utoipa::path(
    post, path = "/v1/channels/{id}/test", tag = "channels",
    params(("id" = String, Path, description = "The channel's id")),
    request_body = ref("#/components/schemas/TestMessage"),
    responses((status = 202, description = "On disk, and on its way", body = ref("#/components/schemas/Enqueued"))),
)]
pub(crate) async fn test_channel(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<ChannelId>,
    Body(input): Body<TestInput>,
) -> Result<(StatusCode, Json<EnqueuedView>), Problem> {
    let channel = active(&app, &operator, id).await?;
    if channel.is_paused() {
        let detail = "the channel is paused; check it and resume it first";
        return Err(Problem::new(StatusCode::CONFLICT, "paused", detail));
    }
    let now = app.engine.clock().now();
    let content = content(&input, &channel.capabilities, now)?;
    if let Some(wait) = app.tests.check(id, now).await? {
        let detail = "a channel carries five test messages a minute; try again later";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        return Err(problem.retry_after(wait.as_secs().max(1)));
    }
    let project_id = match input.project_id {
        Some(project) => own(&app, &operator, project).map(|()| project)?,
        None => any_project(&app, &operator).await?,
    };
    let delivery_id = DeliveryId::generate(&**app.engine.ids(), now);
    let delivery = NewDelivery {
        id: delivery_id,
        scope: Scope { workspace_id: operator.workspace_id, project_id },
        lead_id: None,
        channel_id: id,
        created_at: now,
        due_at: now,
        expires_at: plus_seconds(now, TEST_TTL_SECS),
        order_key: None,
        spec: DeliverySpec {
            purpose: Purpose::Manual,
            recipient: input.recipient,
            body: MessageBody::Fixed(content),
            class: MessageClass::Service,
            retry: RetrySchedule::default(),
            overflow: Overflow::default(),
            policy: None,
        },
        lease: None,
    };
    app.engine.enqueue(vec![delivery]).await?;
    Ok((StatusCode::ACCEPTED, Json(EnqueuedView { delivery_id })))
}

/// What the channel can carry of a test message.
fn content(input: &TestInput, capabilities: &Capabilities, now: Timestamp) -> Result<Content, Problem> {
    let mut faults = Faults::default();
    faults.text("text", input.text.expose(), 1_000);
    let kind = input.recipient.kind();
    if !capabilities.recipients.contains(&kind) {
        let known: Vec<&str> = capabilities.recipients.iter().copied().map(name).collect();
        let message = format!("this channel sends to {}, not to {}", known.join(" or "), name(kind));
        faults.add("recipient", "wrong_recipient", message);
    }
    faults.recipient("recipient", &input.recipient);
    if matches!(&input.recipient, Recipient::Chat(chat) if chat.expose().trim().is_empty()) {
        faults.add("recipient.chat", "required", "must not be empty");
    }
    faults.finish()?;
    Ok(if capabilities.text {
        Content::Text(Text::plain(input.text.expose().clone()))
    } else {
        let data = json!({ "text": input.text.expose() });
        Content::Event(EventPayload { event_type: "test".to_owned(), occurred_at: now, data: Pii::new(data) })
    })
}

const fn name(kind: RecipientKind) -> &'static str {
    match kind {
        RecipientKind::Phone => "a phone number",
        RecipientKind::Email => "an e-mail address",
        RecipientKind::Chat => "a chat",
        RecipientKind::Endpoint => "its own address",
        _ => "another kind of address",
    }
}

async fn any_project(app: &App, operator: &Operator) -> Result<ProjectId, Problem> {
    let projects = app.store.load_workspace(operator.workspace_id).await?.projects;
    let mine = projects.iter().find(|project| project.workspace_id == operator.workspace_id);
    mine.map(|project| project.id).ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "no_project", "the workspace has no project yet; make one first")
    })
}
