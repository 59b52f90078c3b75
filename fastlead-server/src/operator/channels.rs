//! Channel instances: what they are, and how they are made and changed. Their configuration never comes out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::channel::{Capabilities, Channel};
use fastlead_core::engine::{ActiveChannel, PollingTrouble};
use fastlead_core::id::ChannelId;
use fastlead_core::layer::BreakerState;
use fastlead_core::port::{ChannelRecord, ChannelStatus};
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CATALOG;
use super::channel_config::with_credentials;
use super::input::{Body, Faults, Id, List};
use super::names;
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::bootstrap::random_text;
use crate::problem::Problem;

/// Characters of a webhook token: about 186 bits.
const TOKEN_CHARS: usize = 32;

/// A kind of channel.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChannelKind")]
pub(crate) struct ChannelKindView {
    /// The kind, such as `telegram`.
    kind: String,
    /// What people read.
    title: String,
    /// The JSON Schema of its configuration. Fields with `writeOnly` are credentials.
    config_schema: schemars::Schema,
}

/// A channel instance, without its configuration.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Channel")]
pub(crate) struct ChannelView {
    /// Its id.
    id: ChannelId,
    /// The adapter.
    kind: String,
    /// What its owner calls it; policies name it so.
    name: String,
    /// `active`, or `paused`: it receives, but nothing is sent over it.
    #[schemars(extend("enum" = names::CHANNELS))]
    status: String,
    /// Why it is paused: `operator`, or the code of the error that paused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_reason: Option<String>,
    /// Since when it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_since: Option<Timestamp>,
    /// Whether its configuration could be opened. Otherwise its messages wait; the log says why.
    open: bool,
    /// What it can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
    /// The circuit breaker: `closed` (everything goes through), `open` or `half_open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = names::BREAKERS))]
    breaker: Option<String>,
    /// When an open breaker lets the next attempt through.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker_until: Option<Timestamp>,
    /// Why the provider's news do not come, where it is asked for them and that fails: another program polls the same
    /// account, a webhook is set, or the credentials are wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    polling_trouble: Option<PollingTroubleView>,
    /// The address to give to the provider, where it calls us.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
    /// When it was created.
    created_at: Timestamp,
}

/// Why a provider cannot be asked for news.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PollingTrouble")]
pub(crate) struct PollingTroubleView {
    /// Since when.
    since: Timestamp,
    /// The code of the last error.
    code: String,
    /// What it says.
    message: String,
    /// The provider's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_code: Option<String>,
}

impl From<PollingTrouble> for PollingTroubleView {
    fn from(trouble: PollingTrouble) -> Self {
        let code = trouble.kind.code().to_owned();
        let PollingTrouble { since, message, provider_code, .. } = trouble;
        Self { since, code, message, provider_code }
    }
}

pub(super) fn view(app: &App, record: ChannelRecord) -> ChannelView {
    let directory = app.engine.directory();
    let active = directory.channel(record.id);
    let webhook = active.and_then(|active| active.channel.webhook());
    let webhook_url = webhook.and_then(|_| {
        let url = app.webhook_url(&record);
        url.inspect_err(|error| tracing::warn!(channel = %record.id, %error, "its address cannot be shown"))
            .ok()
    });
    let (status, paused_reason, paused_since) = match record.status {
        ChannelStatus::Active => ("active", None, None),
        ChannelStatus::Paused { reason, since } => ("paused", Some(reason), Some(since)),
    };
    let (breaker, breaker_until) = match active.map(|active| active.channel.breaker_state()) {
        None => (None, None),
        Some(BreakerState::Closed) => (Some("closed"), None),
        Some(BreakerState::Open { until }) => (Some("open"), Some(until)),
        Some(BreakerState::HalfOpen) => (Some("half_open"), None),
    };
    ChannelView {
        id: record.id,
        kind: record.kind,
        name: record.name,
        status: status.to_owned(),
        paused_reason,
        paused_since,
        open: active.is_some(),
        capabilities: active.map(|active| active.capabilities.clone()),
        breaker: breaker.map(str::to_owned),
        breaker_until,
        polling_trouble: active.and_then(|active| active.polling_trouble()).map(PollingTroubleView::from),
        webhook_url,
        created_at: record.created_at,
    }
}

/// The kinds of channel that this server was built with.
#[utoipa::path(
    get, path = "/v1/channel-kinds", tag = "channels",
    responses((status = 200, description = "The kinds", body = ref("#/components/schemas/ChannelKindList"))),
)]
pub(crate) async fn list_channel_kinds(
    State(app): State<App>,
    _operator: Operator,
) -> Result<Json<List<ChannelKindView>>, Problem> {
    let mut kinds = Vec::new();
    for (kind, title) in app.registry.kinds() {
        let config_schema = app.registry.schema(kind)?;
        kinds.push(ChannelKindView { kind: kind.to_owned(), title: title.to_owned(), config_schema });
    }
    Ok(Json(List::whole(kinds)))
}

/// All channel instances.
#[utoipa::path(
    get, path = "/v1/channels", tag = "channels",
    responses((status = 200, description = "The channels", body = ref("#/components/schemas/ChannelList"))),
)]
pub(crate) async fn list_channels(
    State(app): State<App>,
    operator: Operator,
) -> Result<Json<List<ChannelView>>, Problem> {
    let channels = app.store.load_workspace(operator.workspace_id).await?.channels;
    let mine = channels.into_iter().filter(|record| record.workspace_id == operator.workspace_id);
    Ok(Json(List::whole(mine.map(|record| view(&app, record)).collect())))
}

/// One channel instance.
#[utoipa::path(
    get, path = "/v1/channels/{id}", tag = "channels",
    params(("id" = String, Path, description = "The channel's id")),
    responses((status = 200, description = "The channel", body = ref("#/components/schemas/Channel"))),
)]
pub(crate) async fn get_channel(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<ChannelId>,
) -> Result<Json<ChannelView>, Problem> {
    let record = stored(&app, &operator, id).await?;
    Ok(Json(view(&app, record)))
}

/// A channel instance to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewChannel")]
pub(crate) struct NewChannelInput {
    /// The adapter, such as `telegram`.
    kind: String,
    /// What policies call it: 1 to 64 of a-z, 0-9, `-` and `_`. It cannot be changed.
    name: String,
    /// The configuration, as the kind's JSON Schema says. It is sealed and never comes out again.
    config: Config,
}

/// A configuration. It does not print.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, with = "serde_json::Map<String, Value>")]
pub(crate) struct Config(Value);

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Make a channel instance and put it to work. No message is sent; use `check` to prove the credentials.
#[utoipa::path(
    post, path = "/v1/channels", tag = "channels",
    request_body = ref("#/components/schemas/NewChannel"),
    responses((status = 201, description = "The channel", body = ref("#/components/schemas/Channel"))),
)]
pub(crate) async fn create_channel(
    State(app): State<App>,
    Admin(operator): Admin,
    Body(input): Body<NewChannelInput>,
) -> Result<(StatusCode, Json<ChannelView>), Problem> {
    let mut faults = Faults::default();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if input.name.is_empty() || input.name.len() > 64 || !input.name.chars().all(good) {
        faults.add("name", "invalid_name", "expected 1 to 64 of a-z, 0-9, `-` and `_`, such as `sales-bot`");
    }
    faults.finish()?;
    let now = app.engine.clock().now();
    let id = ChannelId::generate(&**app.engine.ids(), now);
    build(&app, &input.kind, id, &input.name, input.config.0.clone())?;
    let record = ChannelRecord {
        id,
        workspace_id: operator.workspace_id,
        kind: input.kind,
        name: input.name,
        config: app.keyring.seal(operator.workspace_id, id, input.config.0.to_string().as_bytes())?,
        webhook_token: app.keyring.seal_token(operator.workspace_id, id, &random_text(TOKEN_CHARS))?,
        status: ChannelStatus::Active,
        created_at: now,
    };
    let _order = CATALOG.lock().await;
    app.store.put_channel(record.clone()).await?;
    app.engine.catch_up().await?;
    app.registrar.register(&app, &record);
    tracing::info!(channel = %id, kind = %record.kind, "channel created");
    Ok((StatusCode::CREATED, Json(view(&app, record))))
}

/// A new configuration for a channel instance.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChannelUpdate")]
pub(crate) struct ChannelUpdateInput {
    /// The whole configuration. A credential that is `null` stays as it is.
    config: Config,
}

/// Replace a channel's configuration. What is under way ends with the old one.
#[utoipa::path(
    put, path = "/v1/channels/{id}", tag = "channels",
    params(("id" = String, Path, description = "The channel's id")),
    request_body = ref("#/components/schemas/ChannelUpdate"),
    responses((status = 200, description = "The channel", body = ref("#/components/schemas/Channel"))),
)]
pub(crate) async fn update_channel(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<ChannelId>,
    Body(input): Body<ChannelUpdateInput>,
) -> Result<Json<ChannelView>, Problem> {
    let _order = CATALOG.lock().await;
    let mut record = stored(&app, &operator, id).await?;
    let config = with_credentials(&app, &record, input.config.0)?;
    let channel = build(&app, &record.kind, id, &record.name, config.clone())?;
    record.config = app.keyring.seal(operator.workspace_id, id, config.to_string().as_bytes())?;
    let before = app.engine.directory().channel(id).map(Arc::clone);
    app.store.put_channel(record.clone()).await?;
    let takes_webhooks = channel.registration().is_some();
    app.engine.catch_up().await?;
    match before {
        Some(before) if !takes_webhooks => app.registrar.unregister(&app, before),
        _ => app.registrar.register(&app, &record),
    }
    tracing::info!(channel = %id, kind = %record.kind, "channel reconfigured");
    Ok(Json(view(&app, record)))
}

/// Builds the adapter and sees whether it fits the engine; says which field is wrong.
fn build(
    app: &App,
    kind: &str,
    id: ChannelId,
    name: &str,
    config: Value,
) -> Result<Arc<dyn Channel>, Problem> {
    if let Ok(schema) = app.registry.schema(kind) {
        crate::json::objects_are_objects(&config, schema.as_value())?;
    }
    let schema = app.registry.schema(kind).map(|schema| schema.to_value()).unwrap_or_default();
    let built = app.channels.build(kind, id, name, config);
    let admitted = built.and_then(|channel| app.engine.admit(&channel).map(|()| channel));
    admitted.map_err(|error: Error| {
        let (field, message) = match error.kind() {
            ErrorKind::NotFound => ("kind".to_owned(), error.message()),
            ErrorKind::Config | ErrorKind::Invalid => config_fault(error.message(), &schema["properties"]),
            _ => return error.into(),
        };
        let mut faults = Faults::default();
        faults.add(&field, error.code(), message);
        match faults.finish() {
            Err(problem) => problem,
            Ok(()) => error.into(),
        }
    })
}

/// The field of a request that an adapter's fault is about, such as `config.priority`, and what is wrong with it. An adapter
/// begins with the field: `priority: …`, `priority must be …`; what it leaves to serde may say `missing field`. A fault that
/// names no field of the schema is about `config` as a whole.
fn config_fault<'a>(message: &'a str, properties: &Value) -> (String, &'a str) {
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return (format!("config.{name}"), message);
    }
    let end = message.find([':', ' ']).unwrap_or(message.len());
    let (path, rest) = (message[..end].trim_matches('`'), &message[end..]);
    let first = path.split(['.', '[']).next().unwrap_or_default();
    let after_colon = rest.strip_prefix(": ");
    let is_unknown = after_colon.is_some_and(|rest| rest.starts_with("unknown field"));
    if first.is_empty() || (properties.get(first).is_none() && !is_unknown) {
        return ("config".to_owned(), message);
    }
    (format!("config.{path}"), after_colon.unwrap_or(message))
}

/// The record of one of the caller's channels.
pub(super) async fn stored(app: &App, operator: &Operator, id: ChannelId) -> Result<ChannelRecord, Problem> {
    let channels = app.store.load_workspace(operator.workspace_id).await?.channels;
    channels
        .into_iter()
        .find(|record| record.id == id && record.workspace_id == operator.workspace_id)
        .ok_or_else(|| Problem::not_found("this channel"))
}

/// One of the caller's channels at work.
pub(super) async fn active(
    app: &App,
    operator: &Operator,
    id: ChannelId,
) -> Result<Arc<ActiveChannel>, Problem> {
    let directory = app.engine.directory();
    if let Some(channel) =
        directory.channel(id).filter(|channel| channel.workspace_id == operator.workspace_id)
    {
        return Ok(Arc::clone(channel));
    }
    stored(app, operator, id).await?;
    let detail = "this channel's configuration cannot be opened; the log says why; PUT it anew";
    Err(Problem::new(StatusCode::CONFLICT, "channel_not_open", detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::config_fault;

    #[test]
    fn a_fault_of_an_adapter_names_its_field() {
        let properties = json!({ "priority": {}, "from": {}, "host": {} });
        for (message, field, said) in [
            ("priority: expected 1 to 5", "config.priority", "expected 1 to 5"),
            ("from.address: invalid type", "config.from.address", "invalid type"),
            ("priority must be 1 to 5", "config.priority", "priority must be 1 to 5"),
            ("`host` is empty", "config.host", "`host` is empty"),
            ("missing field `priority`", "config.priority", "missing field `priority`"),
            ("prioriti: unknown field `prioriti`", "config.prioriti", "unknown field `prioriti`"),
            ("give a login or a key", "config", "give a login or a key"),
            ("expected an object", "config", "expected an object"),
            ("", "config", ""),
        ] {
            assert_eq!(config_fault(message, &properties), (field.to_owned(), said), "{message}");
        }
    }
}
