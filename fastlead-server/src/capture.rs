//! `POST /v1/capture/{source_key}`: where leads come in.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fastlead_core::ErrorKind;
use fastlead_core::engine::{CaptureOutcome, CaptureRequest, IdempotencyKey};
use fastlead_core::lead::{Automated, Capture, CaptureInput, ConsentDocument, NoteCode};
use fastlead_core::port::{AutomatedAction, CaptureAnswer, CaptureVerdict, Source};
use fastlead_core::secret::Pii;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::auth::Operator;
use crate::body::{self, Media};
use crate::client::Visitor;
use crate::limits::Sender;
use crate::problem::Problem;
use crate::{form, outer};

/// After how many seconds somebody may have published a policy.
const NOT_CONFIGURED_SECS: u64 = 60;

/// What a caller is told of a capture.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    answer: &'a CaptureAnswer,
    /// What was cut or set aside; the values are with the lead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<NoteView>,
}

/// A note without its value.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CaptureAnswerNote")]
pub(crate) struct NoteView {
    /// The path of the field; empty where it concerns the whole body.
    field: String,
    /// What was done.
    code: NoteCode,
}

/// Takes a lead in, as JSON or as a form. A visitor whose browser goes here from a plain form is shown a page.
pub(crate) async fn capture(
    State(app): State<App>,
    Path(key): Path<String>,
    visitor: Visitor,
    request: Request,
) -> Response {
    let locale = is_visit(&request).then(|| outer::locale(request.headers()));
    let response = answer(&app, &key, &visitor, request).await;
    let Some(locale) = locale else { return response.unwrap_or_else(IntoResponse::into_response) };
    match response {
        Ok(taken) if taken.status().is_success() => form::thanks(locale),
        Ok(other) => other,
        Err(problem) => form::refused(&problem, locale),
    }
}

/// Whether a browser shows the answer to a person: it has sent a form, and no script has.
fn is_visit(request: &Request) -> bool {
    let headers = request.headers();
    let navigates = match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => outer::accepts_pages(headers),
    };
    let media = body::media(headers).0;
    request.method() == Method::POST && navigates && matches!(media, Media::UrlEncoded | Media::Multipart(_))
}

async fn answer(app: &App, key: &str, visitor: &Visitor, request: Request) -> Result<Response, Problem> {
    let Some(source) = app.engine.directory().source(key).map(Arc::clone) else {
        return Err(Problem::not_found("this source"));
    };
    let origin = allowed_origin(&source, request.headers(), &app.public_url)?;
    let is_visit = is_visit(&request);
    let answer = if request.method() == Method::OPTIONS {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        take(app, &source, visitor, request).await
    };
    match (answer, origin) {
        // Only scripts are told more of an error.
        (Err(problem), Some(origin)) if !is_visit => {
            let mut response = problem.into_response();
            cross_origin(response.headers_mut(), origin);
            Ok(response)
        }
        (Ok(mut response), Some(origin)) => {
            cross_origin(response.headers_mut(), origin);
            Ok(response)
        }
        (answer, _) => answer,
    }
}

/// The answer to every method but POST and OPTIONS.
pub(crate) async fn wrong_method() -> Response {
    let detail = "leads are taken by POST; send the fields in the body";
    let mut response =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    response
}

async fn take(
    app: &App,
    source: &Arc<Source>,
    visitor: &Visitor,
    request: Request,
) -> Result<Response, Problem> {
    let (mut head, body) = request.into_parts();
    let sender = sender(app, source, visitor, &mut head).await;
    admit(app, source, sender).await?;
    let limit = app.settings.http.body_limit_bytes;
    let (media, charset) = body::media(&head.headers);
    let (mut input, identity) = if let Media::Multipart(boundary) = media {
        let form = body::multipart(body, boundary, limit).await?;
        let identity = form.identity();
        (form.into_input(&source.mapping), Bytes::from(identity))
    } else {
        let bytes = Bytes::from_request(Request::from_parts(head.clone(), body), app)
            .await
            .map_err(|rejection| too_large(rejection.status(), limit))?;
        let looks_like_form = || {
            let start = bytes.trim_ascii_start();
            !start.starts_with(b"{") && !start.starts_with(b"[") && start.contains(&b'=')
        };
        let input = match media {
            Media::UrlEncoded => Ok(body::url_encoded(&bytes, charset)),
            Media::Unsaid if looks_like_form() => Ok(body::url_encoded(&bytes, charset)),
            Media::Json | Media::Unsaid => Err(body::document(&bytes, charset, &source.mapping)?),
            Media::Other | Media::Multipart(_) => {
                return Err(Problem::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported_media_type",
                    "send `application/json`, `application/x-www-form-urlencoded` or `multipart/form-data`",
                ));
            }
        };
        let input = match input {
            Ok(form) if form.is_tilda_check() => return Ok((StatusCode::OK, "ok").into_response()),
            Ok(form) => form.into_input(&source.mapping),
            Err(input) => input,
        };
        (input, bytes)
    };
    input.automated = is_program(&input, source)?;
    page_of(&mut input, &head.headers);
    let idempotency = idempotency(&head, &identity);
    let capture = validated(app, source, visitor, input).await?;
    let notes =
        capture.notes.iter().map(|note| NoteView { field: note.field.clone(), code: note.code }).collect();
    let outcome = store(app, source, capture, idempotency).await?;
    let answer = Answer { answer: &outcome.answer, notes };
    let mut response = (StatusCode::ACCEPTED, axum::Json(answer)).into_response();
    if outcome.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The key under which a capture counts once: the header `Idempotency-Key`, or else the parameter `submission` of the
/// address, by which a page of another origin says the same without asking first (a header of its own costs a browser a
/// request before).
///
/// Whatever its caller has made of it, it tells two requests apart. An empty one tells nothing.
fn idempotency(head: &Parts, identity: &[u8]) -> Option<IdempotencyKey> {
    if let Some(key) = head.headers.get("idempotency-key").filter(|key| !key.is_empty()) {
        return Some(IdempotencyKey::new(key, identity));
    }
    let query = head.uri.query().unwrap_or_default();
    let named =
        |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name == "submission").then(|| value.into_owned());
    let id = url::form_urlencoded::parse(query.as_bytes()).find_map(named).filter(|id| !id.is_empty())?;
    Some(IdempotencyKey::new(format!("submission:{id}"), identity))
}

/// Who sends it. A key that is not one is no reason to refuse the lead: it is counted by its address then.
async fn sender(app: &App, source: &Source, visitor: &Visitor, head: &mut Parts) -> Sender {
    if head.headers.contains_key(header::AUTHORIZATION)
        && let Ok(operator) = Operator::from_request_parts(head, app).await
        && operator.workspace_id == source.workspace_id
    {
        return Sender::Authenticated;
    }
    Sender::Visitor(visitor.ip)
}

/// A page that posts a plain form says where it is in `Referer`.
fn page_of(input: &mut CaptureInput, headers: &HeaderMap) {
    let Some(page) = headers.get(header::REFERER).and_then(|value| value.to_str().ok()) else { return };
    let last = input.attribution.last.get_or_insert_default();
    last.page.get_or_insert_with(|| Pii::new(page.to_owned()));
}

/// Whether the source takes anything from this visitor now.
pub(crate) async fn admit(app: &App, source: &Source, sender: Sender) -> Result<(), Problem> {
    if !source.active {
        return Err(Problem::new(StatusCode::GONE, "source_closed", "this source takes no leads any more"));
    }
    let now = app.engine.clock().now();
    let Some(wait) = app.limits.check(source.id, &source.limits, sender, now).await? else { return Ok(()) };
    metrics::counter!("fastlead_captures_total", "decision" => "rate_limited").increment(1);
    let problem = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        "too many leads from here; send it again later. A program that sends the leads of many people \
         authenticates with an API key",
    );
    Err(problem.retry_after(wait.as_secs().max(1)))
}

/// Why the input seems to be made by a program: a field that people do not see is filled in, or the form was sent
/// faster than a person can.
///
/// # Errors
/// Where the source refuses such input.
pub(crate) fn is_program(input: &CaptureInput, source: &Source) -> Result<Option<Automated>, Problem> {
    let Some(found) = input.bot_check.automated(source.limits.min_fill_millis) else { return Ok(None) };
    match source.limits.automated {
        AutomatedAction::Review => Ok(Some(found)),
        AutomatedAction::Refuse => {
            metrics::counter!("fastlead_captures_total", "decision" => "looks_automated").increment(1);
            Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "looks_automated",
                "the form was filled in the way programs do it; wait a moment and send it again",
            ))
        }
    }
}

/// Validates the input.
pub(crate) async fn validated(
    app: &App,
    source: &Source,
    visitor: &Visitor,
    input: CaptureInput,
) -> Result<Capture, Problem> {
    let received = visitor.received(app.engine.clock().now());
    let documents = documents(app, source, &input).await?;
    input.validate(&documents, source.locale, received).map_err(Problem::fields)
}

/// The documents of the source and, where the visitor has answered to an earlier version of one, that version: a page that
/// was opened before a change shows the text that it had then.
async fn documents<'s>(
    app: &App,
    source: &'s Source,
    input: &CaptureInput,
) -> Result<Cow<'s, [ConsentDocument]>, Problem> {
    let mut documents = Cow::Borrowed(source.consents.as_slice());
    for (purpose, answer) in &input.consents {
        let Some(shown) = answer.shown() else { continue };
        let of_purpose = |document: &&ConsentDocument| document.purpose == *purpose;
        let is_shown = |document: &ConsentDocument| {
            document.version == shown.version && document.text_sha256() == shown.text_sha256
        };
        if source.consents.iter().filter(of_purpose).any(is_shown) {
            continue;
        }
        for current in source.consents.iter().filter(of_purpose) {
            let kept = app
                .store
                .consent_documents(source.workspace_id, &current.document_id, &shown.version)
                .await?;
            if let Some(earlier) = kept.into_iter().find(|kept| of_purpose(&kept) && is_shown(kept)) {
                documents.to_mut().push(ConsentDocument { required: current.required, ..earlier });
                break;
            }
        }
    }
    Ok(documents)
}

/// Hands the capture to the engine.
pub(crate) async fn store(
    app: &App,
    source: &Arc<Source>,
    capture: Capture,
    idempotency: Option<IdempotencyKey>,
) -> Result<CaptureOutcome, Problem> {
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
        CaptureVerdict::Accepted => "accepted",
        CaptureVerdict::Duplicate => "duplicate",
        CaptureVerdict::Rejected { .. } => "rejected",
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

/// The origin to answer to, where a browser sent one that may post here.
pub(crate) fn allowed_origin(
    source: &Source,
    headers: &HeaderMap,
    public_url: &str,
) -> Result<Option<HeaderValue>, Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
    let text = origin.to_str().unwrap_or_default();
    // A page that hides where it is (`Referrer-Policy: no-referrer`, a sandboxed frame) says so with this word. Whoever says
    // nothing is taken, too; only a script of that page is not told the answer.
    if text == "null" && !source.allowed_origins.iter().any(|allowed| allowed == "*") {
        return Ok(None);
    }
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
