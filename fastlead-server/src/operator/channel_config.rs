//! The configuration of a channel without its credentials, so that a form can show and change it.
//!
//! What is a credential says the schema of the kind: what it marks `writeOnly`. It is shown as `null`, and `null` in a change
//! means: as it is.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::id::ChannelId;
use fastlead_core::port::ChannelRecord;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::channels::stored;
use super::input::Id;
use crate::app::App;
use crate::auth::Admin;
use crate::problem::Problem;

/// Schemas inside schemas are followed no deeper than this.
const DEEPEST: usize = 8;

/// A channel's configuration, its credentials left out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChannelConfig")]
pub(crate) struct ConfigView {
    /// The configuration as it was given. Credentials stand as `null`, whether there is one or not.
    config: Map<String, Value>,
}

/// The configuration of a channel instance, its credentials as `null`.
#[utoipa::path(
    get, path = "/v1/channels/{id}/config", tag = "channels",
    params(("id" = String, Path, description = "The channel's id")),
    responses((status = 200, description = "The configuration", body = ref("#/components/schemas/ChannelConfig"))),
)]
pub(crate) async fn get_channel_config(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<ChannelId>,
) -> Result<Json<ConfigView>, Problem> {
    let record = stored(&app, &operator, id).await?;
    let config = opened(&app, &record)?;
    let schema = app.registry.schema(&record.kind)?.to_value();
    match without_credentials(&config, &schema, &schema, 0) {
        Value::Object(config) => Ok(Json(ConfigView { config })),
        _ => Err(closed()),
    }
}

/// The configuration as it is stored.
///
/// # Errors
/// A 409 problem where it does not open.
fn opened(app: &App, record: &ChannelRecord) -> Result<Value, Problem> {
    let plain = app.keyring.open(record.workspace_id, record.id, &record.config).map_err(|error| {
        tracing::warn!(channel = %record.id, %error, "a configuration cannot be shown");
        closed()
    })?;
    serde_json::from_slice(&plain).map_err(|_| closed())
}

fn closed() -> Problem {
    let detail = "this channel's configuration cannot be opened; the log says why; PUT it anew";
    Problem::new(StatusCode::CONFLICT, "channel_not_open", detail)
}

/// Puts the stored credentials into a new configuration wherever that has `null` in place of one.
///
/// # Errors
/// Those of [`opened`].
pub(super) fn with_credentials(app: &App, record: &ChannelRecord, given: Value) -> Result<Value, Problem> {
    let schema = app.registry.schema(&record.kind)?.to_value();
    if !asks_for_old(&given, &schema, &schema, 0) {
        return Ok(given);
    }
    let old = opened(app, record)?;
    Ok(merged(given, &old, &schema, &schema, 0))
}

/// What a schema says where it only refers to another one.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
    reference.and_then(|path| root.pointer(path)).unwrap_or(schema)
}

/// Whether a value is a credential, or a list of nothing but credentials.
fn is_credential(schema: &Value, root: &Value) -> bool {
    let marked = |schema: &Value| schema.get("writeOnly").and_then(Value::as_bool) == Some(true);
    marked(schema) || schema.get("items").is_some_and(|items| marked(resolved(items, root)))
}

/// The schema of an entry of an object.
fn of_entry<'a>(schema: &'a Value, root: &'a Value, name: &str) -> Option<&'a Value> {
    let schema = resolved(schema, root);
    let own = schema.get("properties").and_then(|properties| properties.get(name));
    own.or_else(|| schema.get("additionalProperties").filter(|other| other.is_object()))
}

fn without_credentials(value: &Value, schema: &Value, root: &Value, depth: usize) -> Value {
    if is_credential(schema, root) || is_credential(resolved(schema, root), root) || depth > DEEPEST {
        return Value::Null;
    }
    match value {
        Value::Object(entries) => {
            let shown = entries.iter().map(|(name, inner)| {
                // What the schema does not know may be anything.
                let shown = of_entry(schema, root, name)
                    .map_or(Value::Null, |schema| without_credentials(inner, schema, root, depth + 1));
                (name.clone(), shown)
            });
            Value::Object(shown.collect())
        }
        other => other.clone(),
    }
}

fn asks_for_old(value: &Value, schema: &Value, root: &Value, depth: usize) -> bool {
    let is_credential = is_credential(schema, root) || is_credential(resolved(schema, root), root);
    match value {
        Value::Null => is_credential,
        Value::Object(entries) if depth <= DEEPEST => entries.iter().any(|(name, inner)| {
            of_entry(schema, root, name).is_some_and(|schema| asks_for_old(inner, schema, root, depth + 1))
        }),
        _ => false,
    }
}

fn merged(given: Value, old: &Value, schema: &Value, root: &Value, depth: usize) -> Value {
    let is_credential = is_credential(schema, root) || is_credential(resolved(schema, root), root);
    match given {
        Value::Null if is_credential => old.clone(),
        Value::Object(entries) if depth <= DEEPEST => {
            let entries = entries.into_iter().map(|(name, inner)| {
                let before = old.get(&name).unwrap_or(&Value::Null);
                let inner = match of_entry(schema, root, &name) {
                    Some(schema) => merged(inner, before, schema, root, depth + 1),
                    None => inner,
                };
                (name, inner)
            });
            Value::Object(entries.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        let secret = json!({ "type": ["string", "null"], "writeOnly": true });
        json!({
            "properties": {
                "login": { "type": "string" },
                "password": secret,
                "secrets": { "type": "array", "items": secret },
                "headers": { "type": "object", "additionalProperties": secret },
                "from": { "$ref": "#/$defs/Sender" },
                "key": { "$ref": "#/$defs/Key" },
            },
            "$defs": {
                "Sender": { "properties": { "address": { "type": "string" }, "pin": secret } },
                "Key": secret,
            },
        })
    }

    #[test]
    fn credentials_are_not_shown_and_null_keeps_them() {
        let schema = schema();
        let config = json!({
            "login": "anna", "password": "p-1", "secrets": ["s-1", "s-2"], "headers": { "authorization": "h-1" },
            "from": { "address": "anna@example.com", "pin": "n-1" }, "key": "k-1", "forgotten": "f-1",
        });
        let shown = without_credentials(&config, &schema, &schema, 0);
        let text = shown.to_string();
        for secret in ["p-1", "s-1", "s-2", "h-1", "n-1", "k-1", "f-1"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(
            (&shown["login"], &shown["from"]["address"]),
            (&json!("anna"), &json!("anna@example.com"))
        );
        assert_eq!(shown["headers"], json!({ "authorization": null }));

        let mut changed = shown;
        changed["login"] = json!("oleg");
        changed["password"] = json!("p-2");
        changed["forgotten"] = json!("f-1");
        assert!(asks_for_old(&changed, &schema, &schema, 0));
        let mut wanted = config.clone();
        wanted["login"] = json!("oleg");
        wanted["password"] = json!("p-2");
        assert_eq!(merged(changed, &config, &schema, &schema, 0), wanted);
        assert!(!asks_for_old(&json!({ "login": null, "password": "p-3" }), &schema, &schema, 0));
    }
}
