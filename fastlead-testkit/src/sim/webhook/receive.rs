//! The receiver over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;

use super::state::{ReceivedRequest, Shared, WebhookAnswer};
use crate::sim::Fault;
use crate::sim::page::frame;
use crate::sim::played::hang_up;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new().fallback(receive).with_state(Arc::clone(shared))
}

/// The same beside a page at `/`.
pub(super) fn with_page(shared: &Arc<Shared>, page: Router) -> Router {
    let front = get(frame).fallback(receive);
    Router::new().route("/", front).fallback(receive).with_state(Arc::clone(shared)).merge(page)
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = ReceivedRequest { method, uri, headers, body };
    shared.lock().requests.push(request.clone());
    if request.method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    match shared.faults.take() {
        None => answer(&shared, &request),
        Some(Fault::Delay { millis }) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            answer(&shared, &request)
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::DropBeforeAccept) => hang_up(),
        Some(Fault::DropAfterAccept) => {
            shared.accept(&request);
            hang_up()
        }
        Some(Fault::HangAfterAccept) => {
            shared.accept(&request);
            std::future::pending().await
        }
        Some(Fault::Answer { body }) => {
            shared.accept(&request);
            render(WebhookAnswer::status(200).with_body(body))
        }
        Some(fault) => render(scripted(fault)),
    }
}

fn answer(shared: &Shared, request: &ReceivedRequest) -> Response {
    let chosen = shared.lock().answer.clone().unwrap_or_else(|| WebhookAnswer::status(204));
    if (200..300).contains(&chosen.status) {
        shared.accept(request);
    }
    render(chosen)
}

fn scripted(fault: Fault) -> WebhookAnswer {
    match fault {
        Fault::RateLimited { after_secs } => {
            WebhookAnswer::status(429).with_header("retry-after", &after_secs.to_string())
        }
        Fault::ServerError { status } => WebhookAnswer::status(status).with_body("<h1>out of order</h1>"),
        Fault::BadCredentials => WebhookAnswer::status(401),
        Fault::NoBalance => WebhookAnswer::status(402),
        Fault::BadRecipient => WebhookAnswer::status(410),
        Fault::BadContent => WebhookAnswer::status(422),
        Fault::ProviderCode { code, text } => {
            WebhookAnswer::status(u16::try_from(code).unwrap_or(500)).with_body(text)
        }
        Fault::Redirect { status, location } => WebhookAnswer::redirect(status, &location),
        // Those that accept and those that are no answers are played before this.
        Fault::Hang
        | Fault::DropBeforeAccept
        | Fault::DropAfterAccept
        | Fault::HangAfterAccept
        | Fault::Answer { .. }
        | Fault::Delay { .. } => WebhookAnswer::status(500),
    }
}

/// Headers that HTTP does not allow are left out: they are a mistake in the test's script.
fn render(answer: WebhookAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
