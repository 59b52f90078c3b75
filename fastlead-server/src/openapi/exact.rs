//! What the description says beyond the types: which ids, names and numbers a parameter takes, and how an operation can
//! end. Schemathesis compares it with the running server.

use fastlead_core::decide::LeadStatus;
use serde_json::{Map, Value, json};

use crate::operator::{LEAD_SORTS, MAX_AT_RISK_SECS, MAX_LIMIT};

/// Which id stands in a path, by the collection that it belongs to.
const IDS: [(&str, &str); 10] = [
    ("api-keys", "ApiKeyId"),
    ("channels", "ChannelId"),
    ("deliveries", "DeliveryId"),
    ("identities", "IdentityId"),
    ("leads", "LeadId"),
    ("projects", "ProjectId"),
    ("sessions", "SessionId"),
    ("sources", "SourceId"),
    ("suppressions", "SuppressionId"),
    ("users", "UserId"),
];

/// Operations for which the role `admin` is needed.
pub(super) const ADMIN: [&str; 26] = [
    "POST /v1/api-keys",
    "GET /v1/api-keys",
    "DELETE /v1/api-keys/{id}",
    "POST /v1/channels",
    "PUT /v1/channels/{id}",
    "POST /v1/channels/{id}/test",
    "GET /v1/channels/{id}/config",
    "GET /v1/channels/{id}/inbound",
    "POST /v1/identities",
    "POST /v1/identities/{id}/undo",
    "DELETE /v1/leads/{id}/person",
    "POST /v1/projects",
    "PUT /v1/projects/{id}/policy",
    "PUT /v1/projects/{id}/policy/draft",
    "DELETE /v1/projects/{id}/policy/draft",
    "POST /v1/projects/{id}/policy/draft/publish",
    "POST /v1/projects/{id}/policy/rollback",
    "POST /v1/sources",
    "PUT /v1/sources/{id}",
    "POST /v1/suppressions",
    "DELETE /v1/suppressions/{id}",
    "GET /v1/users",
    "POST /v1/users",
    "POST /v1/users/{id}/disable",
    "POST /v1/users/{id}/enable",
    "POST /v1/users/{id}/reset-password",
];

/// Operations that are counted, and refused where there are too many.
const LIMITED: [&str; 5] = [
    "GET /v1/events",
    "POST /v1/capture/{source_key}",
    "POST /v1/channels/{id}/test",
    "POST /v1/login",
    "POST /v1/session",
];

/// Makes one operation exact. `method` in capitals.
pub(super) fn make_exact(path: &str, method: &str, operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        if let Some(schema) = schema(path, &name) {
            parameter["schema"] = schema;
        }
    }
    if let Some(body) = operation.get_mut("requestBody") {
        body["required"] = json!(true);
    }
    let name = format!("{method} {path}");
    if ADMIN.contains(&name.as_str()) {
        operation["x-required-role"] = json!("admin");
    }
    let endings = endings(path, method, &name, operation);
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        for (status, ending) in endings {
            responses.entry(status).or_insert(ending);
        }
    }
}

/// What a parameter takes.
fn schema(path: &str, name: &str) -> Option<Value> {
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let id = match name {
        "id" => path
            .split('/')
            .nth(2)
            .and_then(|collection| IDS.iter().find(|(known, _)| *known == collection).map(|(_, id)| *id)),
        "lead_id" => Some("LeadId"),
        "channel_id" => Some("ChannelId"),
        "project_id" => Some("ProjectId"),
        "source_id" => Some("SourceId"),
        _ => None,
    };
    if let Some(id) = id {
        return Some(reference(id));
    }
    Some(match name {
        "status" => json!({ "type": "string", "enum": LeadStatus::NAMES }),
        "state" => reference("DeliveryState"),
        "locale" => reference("Locale"),
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50 }),
        "version" => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        "after" => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
        "within_secs" => {
            json!({ "type": "integer", "minimum": 0, "maximum": MAX_AT_RISK_SECS, "default": 300 })
        }
        "from" | "to" if path.starts_with("/v1/leads") => {
            json!({ "type": "string", "format": "date-time" })
        }
        "q" => json!({ "type": "string" }),
        "sort" => json!({ "type": "string", "enum": LEAD_SORTS, "default": LEAD_SORTS[0] }),
        "from" | "to" => json!({ "type": "string", "pattern": "^(current|draft|[0-9]{1,9})$" }),
        // Sixteen bytes in base64.
        "cursor" => json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$" }),
        _ => return None,
    })
}

/// How an operation can end beside what it is for.
fn endings(path: &str, method: &str, name: &str, operation: &Value) -> Map<String, Value> {
    let mut endings = Map::new();
    let mut can_end = |status: &str, why: &str| {
        endings.insert(status.to_owned(), problem(why));
    };
    let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
    let has_body = operation.get("requestBody").is_some();
    let has_parameters = operation["parameters"].as_array().is_some_and(|all| !all.is_empty());
    if has_parameters || has_body || method == "GET" {
        can_end("400", "A parameter, or the form of the body, is not as described; `errors` names the field");
    }
    if !is_open || path == "/v1/login" || path == "/v1/session" {
        can_end("401", "No credential that is good, or a wrong one");
    }
    if !is_open {
        can_end("403", "The role or the scopes of the credential do not cover this");
    } else if name == "POST /v1/session" {
        can_end("403", "The request was made by a page of another site");
    } else if name.contains("/capture/") {
        can_end("403", "The source takes nothing from this origin, or nothing at all");
    }
    if path.contains('{') {
        can_end("404", "There is no such thing in this workspace");
    }
    if method != "GET" {
        can_end("409", "It stands otherwise than the request supposes");
    }
    if path == "/v1/identities" && method == "GET" {
        can_end("422", "A parameter is no phone number, or names no account; `errors` names it");
    }
    if path == "/v1/projects/{id}/policy/diff" {
        can_end("422", "The draft is no policy; `errors` names what cannot be read");
    }
    if name == "POST /v1/sources" {
        can_end("404", "The project does not exist in this workspace");
    }
    if has_body {
        can_end("408", "The body did not come in time");
        can_end("413", "The body is too large");
        can_end("415", "The body is of another type");
        can_end("422", "What the body says cannot be done; `errors` names each field");
    }
    if LIMITED.contains(&name) {
        can_end("429", "Too many; `Retry-After` says when to come back");
    }
    can_end(
        "5XX",
        "The server, its store or a provider is in trouble; nothing is lost, and `Retry-After` says when to come back where that is known",
    );
    for status in ["429", "5XX"] {
        if let Some(ending) = endings.get_mut(status) {
            ending["headers"] = json!({ "Retry-After": {
                "description": "Seconds", "schema": { "type": "integer", "minimum": 0 },
            } });
        }
    }
    endings
}

fn problem(why: &str) -> Value {
    json!({
        "description": why,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    /// The word after `start`, up to `end`.
    fn between<'a>(text: &'a str, start: &str, end: char) -> &'a str {
        let from = text.find(start).unwrap() + start.len();
        text[from..].split(end).next().unwrap().trim()
    }

    #[test]
    fn the_roles_are_those_of_the_code() {
        let mut needed = BTreeSet::new();
        let mut operations = 0;
        for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/operator")) {
            let text = std::fs::read_to_string(file).unwrap();
            for operation in text.split("#[utoipa::path(").skip(1) {
                operations += 1;
                if operation.contains(": Admin,") || operation.contains("require_admin()?") {
                    let method = between(operation, "", ',').to_uppercase();
                    needed.insert(format!("{method} {}", between(operation, "path = \"", '"')));
                }
            }
        }
        assert!(operations > 50, "{operations} operations were found");
        assert_eq!(needed, ADMIN.iter().map(ToString::to_string).collect());
    }

    #[test]
    fn every_id_of_a_path_has_its_form() {
        let document: Value = serde_json::from_str(&super::super::document()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for operation in operations.as_object().unwrap().values() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                for id in parameters.filter(|parameter| parameter["name"] == "id") {
                    assert!(id["schema"]["$ref"].is_string(), "{path}");
                }
            }
        }
    }

    #[test]
    fn every_status_of_a_lead_is_named() {
        let source = include_str!("../../../fastlead-core/src/decide/state.rs");
        for name in LeadStatus::NAMES {
            assert!(source.contains(&format!("=> \"{name}\",")), "{name}");
        }
        let arms = source
            .split("pub const fn as_str(&self)")
            .nth(1)
            .unwrap()
            .split("/// ")
            .next()
            .unwrap()
            .matches("=> \"")
            .count();
        assert_eq!(arms, LeadStatus::NAMES.len());
    }
}
