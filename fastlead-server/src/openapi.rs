//! The OpenAPI 3.1 description of the whole HTTP interface, and a page to try it out.

mod exact;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use fastlead_core::lead::CaptureInput;
use fastlead_core::port::CaptureAnswer;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use crate::app::App;
use crate::capture::NoteView;
use crate::problem::{FieldProblem, Problem};
use crate::{live, operator};

const PAGE: &str = include_str!("web/api.html");

/// What stands above the page: no script but its own, and no other host.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /openapi.json` and `GET /api`.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/openapi.json", get(|| async { ([(header::CONTENT_TYPE, "application/json")], made_once()) }))
        .route("/api", get(page))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, PAGE)
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "FastLead",
        description = "Takes leads in, routes them and delivers messages about them. Errors are problem documents (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "capture", description = "Where leads come in; needs no token"),
        (name = "session", description = "Signing in, and keys for programs"),
        (name = "installation", description = "Projects and sources"),
        (name = "policies", description = "What happens to leads"),
        (name = "channels", description = "Accounts at providers that carry messages"),
        (name = "leads", description = "What came in, what happened to it and why"),
        (name = "deliveries", description = "Messages and what became of them"),
        (name = "suppressions", description = "Addresses to which nothing more is sent"),
        (name = "identities", description = "Messenger accounts and phone numbers of one person"),
        (name = "live", description = "What is happening now"),
    ),
    components(schemas(Problem, FieldProblem)),
)]
struct Head;

/// The description, made once: it is large, and anybody may ask for it.
fn made_once() -> Bytes {
    static MADE: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document()));
    MADE.clone()
}

/// The description as JSON with a newline at the end. It depends on nothing but the code.
pub fn document() -> String {
    let mut openapi = Head::openapi();
    openapi.merge(operator::documented().into_openapi());
    openapi.merge(live::documented().into_openapi());
    let mut document = serde_json::to_value(openapi).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["security"] = json!([{ "bearer": [] }]);
    document["paths"]["/v1/capture/{source_key}"] = capture();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, operations) in paths {
            for (method, operation) in operations.as_object_mut().into_iter().flatten() {
                exact::make_exact(path, &method.to_ascii_uppercase(), operation);
            }
        }
    }
    document["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token from POST /v1/login, or an API key.",
        },
    });
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.append(&mut types());
    }
    // The order must not depend on a feature that another crate may turn on.
    document.sort_all_objects();
    format!("{document:#}\n")
}

/// The types that the operations name, from their Rust definitions.
fn types() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    let mut generator: SchemaGenerator = settings.into_generator();
    generator.subschema_for::<CaptureInput>();
    generator.subschema_for::<CaptureAnswer>();
    operator::schemas(&mut generator);
    live::schemas(&mut generator);
    generator.subschema_for::<NoteView>();
    let mut types = generator.take_definitions(true);
    // As a lead comes in: names that are not known are fields of the source's own.
    if let Some(mut body) = types.get("CaptureInput").cloned() {
        body["description"] =
            json!("A lead as somebody sends it. Names that are not known here go to `fields`.");
        body["additionalProperties"] = json!(true);
        types.insert("CaptureBody".to_owned(), body);
    }
    types
}

fn capture() -> Value {
    let form = json!({ "schema": { "type": "object", "additionalProperties": { "type": "string" } } });
    json!({
        "post": {
            "tags": ["capture"],
            "operationId": "capture",
            "summary": "Take a lead in.",
            "description": "The lead is on disk before the answer is sent. In a form, `consent_personal_data`, \
                `consent_advertising` and `consent_offer` tick boxes, `utm_*` and click ids go to the attribution, and \
                names that are not known go to `fields`. A source's `mapping` says where the fields of another program's form \
                belong. What is too long, wrong or too much is cut or set aside and named in `notes`.",
            "security": [],
            "parameters": [
                { "name": "source_key", "in": "path", "required": true, "schema": { "type": "string" },
                  "description": "The source's public key" },
                { "name": "Idempotency-Key", "in": "header", "schema": { "type": "string" },
                  "description": "The same key with the same body within a day gets the same answer and makes no second lead" },
                { "name": "submission", "in": "query", "schema": { "type": "string" },
                  "description": "The same for pages of other origins, whose browsers ask before they send a header; not looked \
                      at where there is `Idempotency-Key`" },
            ],
            "requestBody": {
                "required": true,
                "content": {
                    "application/json": {
                        "schema": { "$ref": "#/components/schemas/CaptureBody" },
                        "example": {
                            "name": "Anna", "phone": "+7 900 000-00-00", "comment": "Call me after six",
                            "consents": { "personal_data": true },
                        },
                    },
                    "application/x-www-form-urlencoded": form,
                    "multipart/form-data": form,
                },
            },
            "responses": {
                "202": {
                    "description": "Decided and on disk",
                    "headers": {
                        "Idempotency-Replayed": { "description": "`true` where the answer is repeated", "schema": { "type": "string" } },
                    },
                    "content": { "application/json": { "schema": {
                        "allOf": [
                            { "$ref": "#/components/schemas/CaptureAnswer" },
                            { "type": "object", "properties": { "notes": {
                                "type": "array", "items": { "$ref": "#/components/schemas/CaptureAnswerNote" },
                                "description": "What was cut or set aside; absent where nothing was",
                            } } },
                        ],
                    } } },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_committed_description_is_the_one_of_the_code() {
        let committed = include_str!("../openapi.json");
        assert!(
            committed == document(),
            "fastlead-server/openapi.json is out of date; write it anew with\n    \
             cargo run -p fastlead-server -- schema openapi > fastlead-server/openapi.json"
        );
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_its_own_name() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let mut references = BTreeSet::new();
        collect(&document, &mut references);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let operations = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values());
        let mut names = BTreeSet::new();
        for operation in operations {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name}");
            assert!(operation["responses"]["5XX"].is_object(), "{name}");
            assert!(operation["responses"].get("default").is_none(), "{name}");
            assert!(operation["summary"].is_string(), "{name}");
        }
    }

    #[test]
    fn secrets_go_in_and_never_come_out() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        assert_eq!(document["components"]["schemas"]["Login"]["properties"]["password"]["writeOnly"], true);
        assert!(document["components"]["schemas"]["Channel"]["properties"].get("config").is_none());
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        for foreign in ["http://", "https://", "src=\"//", "@import", "href=\"//"] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
    }

    fn collect(value: &Value, references: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    references.insert(reference.clone());
                }
                map.values().for_each(|value| collect(value, references));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }
}
