//! `POST /v1/capture/{source_key}`: where leads come in.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fastlead_core::ErrorKind;
use fastlead_core::engine::{CaptureOutcome, CaptureRequest, IdempotencyKey};
use fastlead_core::lead::{CaptureInput, ConsentAnswer, ConsentPurpose, limits};
use fastlead_core::port::Source;
use fastlead_core::secret::Pii;

use crate::app::App;
use crate::client::Visitor;
use crate::problem::Problem;

/// After how many seconds somebody may have published a policy.
const NOT_CONFIGURED_SECS: u64 = 60;

/// Takes a lead in, as JSON or as a form.
pub(crate) async fn capture(
    State(app): State<App>,
    Path(key): Path<String>,
    visitor: Visitor,
    method: Method,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(source) = app.engine.directory().source(&key).map(Arc::clone) else {
        return Problem::not_found("this source").into_response();
    };
    let origin = match allowed_origin(&source, &headers, &app.public_url) {
        Ok(origin) => origin,
        Err(problem) => return problem.into_response(),
    };
    let mut response = if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        match take(&app, &source, &visitor, &headers, body).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    };
    if let Some(origin) = origin {
        cross_origin(response.headers_mut(), origin);
    }
    response
}

async fn take(
    app: &App,
    source: &Arc<Source>,
    visitor: &Visitor,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    admit(app, source, visitor)?;
    let body = body.map_err(|rejection| too_large(rejection.status(), app.settings.http.body_limit_bytes))?;
    let input = parse(headers, &body)?;
    if is_program(&input, source) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "looks_automated",
            "the form was filled in the way programs do it; wait a moment and send it again",
        ));
    }
    let idempotency = match headers.get("idempotency-key").map(HeaderValue::to_str) {
        None => None,
        Some(Ok(key)) if !key.is_empty() && key.len() <= limits::IDEMPOTENCY_KEY_CHARS => {
            Some(IdempotencyKey::new(key, &body))
        }
        Some(_) => {
            let detail = format!(
                "Idempotency-Key: expected 1 to {} visible ASCII characters",
                limits::IDEMPOTENCY_KEY_CHARS
            );
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail));
        }
    };
    let outcome = store(app, source, visitor, input, idempotency).await?;
    let mut response = (StatusCode::ACCEPTED, axum::Json(&outcome.answer)).into_response();
    if outcome.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Whether the source takes anything from this visitor now.
pub(crate) fn admit(app: &App, source: &Source, visitor: &Visitor) -> Result<(), Problem> {
    if !source.active {
        return Err(Problem::new(StatusCode::GONE, "source_closed", "this source takes no leads any more"));
    }
    app.limits.check(source.id, &source.limits, visitor.ip).map_err(|wait| {
        metrics::counter!("fastlead_captures_total", "decision" => "rate_limited").increment(1);
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "too many leads from here; send it again later",
        )
        .retry_after(wait.as_secs().max(1))
    })
}

/// Whether the input was made by a program: a field that people do not see is filled in, or the form
/// was sent faster than a person can.
pub(crate) fn is_program(input: &CaptureInput, source: &Source) -> bool {
    let honeypot = input.bot_check.honeypot.as_ref().is_some_and(|value| !value.expose().is_empty());
    let fast = input
        .bot_check
        .elapsed_millis
        .is_some_and(|elapsed| elapsed < u64::from(source.limits.min_fill_millis));
    if honeypot || fast {
        metrics::counter!("fastlead_captures_total", "decision" => "looks_automated").increment(1);
    }
    honeypot || fast
}

/// Validates the input and hands it to the engine.
pub(crate) async fn store(
    app: &App,
    source: &Arc<Source>,
    visitor: &Visitor,
    input: CaptureInput,
    idempotency: Option<IdempotencyKey>,
) -> Result<CaptureOutcome, Problem> {
    let received = visitor.received(app.engine.clock().now());
    let capture = input.validate(&source.consents, source.locale, received).map_err(Problem::fields)?;
    let request = CaptureRequest { source: Arc::clone(source), capture, idempotency };
    let outcome = app.engine.capture(request).await.map_err(|error| match error.kind() {
        // Not the fault of whoever sends the lead, who shall send it again.
        ErrorKind::Config => {
            tracing::error!(source = %source.id, %error, "a capture could not be taken");
            let detail = "leads are not taken yet: the project has no published policy; nothing was stored, so send the lead again later";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", detail).retry_after(NOT_CONFIGURED_SECS)
        }
        _ => Problem::from(error),
    })?;
    let decision = match &outcome.answer.verdict {
        _ if outcome.replayed => "replayed",
        fastlead_core::port::CaptureVerdict::Accepted => "accepted",
        fastlead_core::port::CaptureVerdict::Duplicate => "duplicate",
        fastlead_core::port::CaptureVerdict::Rejected { .. } => "rejected",
    };
    metrics::counter!("fastlead_captures_total", "decision" => decision).increment(1);
    Ok(outcome)
}

pub(crate) fn too_large(status: StatusCode, limit: usize) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("the body is larger than {limit} bytes; send less");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    } else {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "body_unreadable",
            "the body ended before it was complete; send it again",
        )
    }
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Result<CaptureInput, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match media.as_str() {
        "application/json" | "text/plain" | "" => crate::json::read(body)
            .map_err(|problem| problem.with_advice("put your own fields under `fields`")),
        "application/x-www-form-urlencoded" => form_input(body),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send `application/json` or `application/x-www-form-urlencoded`",
        )),
    }
}

/// A form: known names go to their places, `utm_*` and click ids to the attribution, the rest to `fields`.
pub(crate) fn form_input(body: &[u8]) -> Result<CaptureInput, Problem> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body).map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_form",
            "the body is not a valid URL-encoded form in UTF-8",
        )
    })?;
    let mut input = CaptureInput::default();
    let mut touch = fastlead_core::lead::Touch::default();
    for (name, value) in pairs {
        match name.as_str() {
            "name" => input.name = Some(Pii::new(value)),
            "phone" => input.phone = Some(Pii::new(value)),
            "email" => input.email = Some(Pii::new(value)),
            "comment" | "message" => input.comment = Some(Pii::new(value)),
            "locale" => input.locale = Some(value),
            "page" => touch.page = Some(Pii::new(value)),
            "referrer" => touch.referrer = Some(Pii::new(value)),
            "consent_personal_data" => answer(&mut input, ConsentPurpose::PersonalData, &value),
            "consent_advertising" => answer(&mut input, ConsentPurpose::Advertising, &value),
            "consent_offer" => answer(&mut input, ConsentPurpose::Offer, &value),
            "website" => input.bot_check.honeypot = Some(Pii::new(value)),
            "elapsed_millis" => input.bot_check.elapsed_millis = value.parse().ok(),
            _ if touch.take_parameter(&name, &value) => {}
            _ => {
                let name = name.strip_prefix("fields.").map_or_else(|| name.clone(), str::to_owned);
                input.fields.insert(name, Pii::new(serde_json::Value::String(value)));
            }
        }
    }
    if !touch.is_empty() {
        input.attribution.last = Some(touch);
    }
    Ok(input)
}

/// Notes the value of a box; a box that stands twice must be ticked twice.
fn answer(input: &mut CaptureInput, purpose: ConsentPurpose, value: &str) {
    let given = input.consents.remove(&purpose).unwrap_or_default();
    input.consents.insert(purpose, given.and(ConsentAnswer::read(value)));
}

/// The origin to answer to, where a browser sent one that may post here.
fn allowed_origin(
    source: &Source,
    headers: &HeaderMap,
    public_url: &str,
) -> Result<Option<HeaderValue>, Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
    let text = origin.to_str().unwrap_or_default();
    let own = text == public_url
        || headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(|host| {
            text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) == Some(host)
        });
    if own || source.allowed_origins.iter().any(|allowed| allowed == text || allowed == "*") {
        Ok(Some(origin.clone()))
    } else {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "pages of this origin may not post here; add it to the source's `allowed_origins`",
        ))
    }
}

fn cross_origin(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, OPTIONS"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("content-type, idempotency-key"),
    );
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("idempotency-replayed, retry-after"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}
