//! Trouble over HTTP that is the same for every provider.

use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::{Fault, Faults};

/// Closes the connection instead of answering: a body that fails before its first byte makes the
/// server hang up without sending the head.
pub fn hang_up() -> Response {
    let broken = futures_util::stream::once(async {
        Err::<Bytes, _>(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "scripted hang-up"))
    });
    Response::new(Body::from_stream(broken))
}

impl Faults {
    /// Answers one request to a simulated provider over HTTP: takes the next fault and plays it, or else answers what
    /// `accept` returns. `accept` takes the message in and is called at most once, before the answer of a fault that comes
    /// afterwards (such as [`Fault::DropAfterAccept`]), and not at all where a fault comes before.
    ///
    /// `own` is asked first how the provider words a fault, and returns `None` where a bare status does:
    ///
    /// | fault | status |
    /// |---|---|
    /// | [`Fault::RateLimited`] | 429 with `Retry-After` |
    /// | [`Fault::ServerError`] | that status, and a page |
    /// | [`Fault::BadCredentials`] | 401 |
    /// | [`Fault::NoBalance`] | 402 |
    /// | [`Fault::BadRecipient`] | 404 |
    /// | [`Fault::BadContent`] | 422 |
    /// | [`Fault::ProviderCode`] | the code where it is a status, else 500; the text is the body |
    ///
    /// ```
    /// use axum::http::StatusCode;
    /// use axum::response::IntoResponse;
    /// use fastlead_testkit::sim::{Arrival, Fault, Faults, Inbox};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let (faults, inbox) = (Faults::default(), Inbox::default());
    /// let accept = || {
    ///     inbox.push(Arrival::new("acme", "+79000000000", "Новая заявка", "acme-1"));
    ///     StatusCode::ACCEPTED.into_response()
    /// };
    /// faults.push(Fault::ServerError { status: 502 });
    /// faults.push(Fault::Answer { body: "<h1>Welcome</h1>".into() });
    /// assert_eq!(faults.http(|_| None, accept).await.status(), 502);
    /// assert!(inbox.all().is_empty());
    /// assert_eq!(faults.http(|_| None, accept).await.status(), 200);
    /// assert_eq!(inbox.all().len(), 1);
    /// # });
    /// ```
    pub async fn http(
        &self,
        own: impl FnOnce(&Fault) -> Option<Response> + Send,
        accept: impl FnOnce() -> Response + Send,
    ) -> Response {
        let Some(fault) = self.take() else { return accept() };
        if let Some(answer) = own(&fault) {
            return answer;
        }
        if let Some(played) = before_accept(&fault).await {
            return played;
        }
        match bare_status(&fault) {
            Some(answer) => answer,
            None => {
                if let Fault::Delay { millis } = fault {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                }
                let answer = accept();
                after_accept(Some(fault), answer).await
            }
        }
    }
}

/// The answer of a provider that has no words of its own for a refusal.
fn bare_status(fault: &Fault) -> Option<Response> {
    Some(match fault {
        Fault::RateLimited { after_secs } => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, after_secs.to_string())]).into_response()
        }
        Fault::ServerError { status } => (status_of(*status), "<h1>out of order</h1>").into_response(),
        Fault::BadCredentials => StatusCode::UNAUTHORIZED.into_response(),
        Fault::NoBalance => StatusCode::PAYMENT_REQUIRED.into_response(),
        Fault::BadRecipient => StatusCode::NOT_FOUND.into_response(),
        Fault::BadContent => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        Fault::ProviderCode { code, text } => {
            (status_of(u16::try_from(*code).unwrap_or_default()), text.clone()).into_response()
        }
        _ => return None,
    })
}

/// Plays a fault that comes before the provider acts: a silence, a closed connection or a redirect. `None` for every
/// other fault.
pub(super) async fn before_accept(fault: &Fault) -> Option<Response> {
    match fault {
        Fault::Hang => std::future::pending().await,
        Fault::DropBeforeAccept => Some(hang_up()),
        Fault::Redirect { status, location } => {
            Some((status_of(*status), [(header::LOCATION, location.as_str())]).into_response())
        }
        _ => None,
    }
}

/// Plays a fault that comes once the provider has acted, instead of `answer`.
pub(super) async fn after_accept(fault: Option<Fault>, answer: Response) -> Response {
    match fault {
        Some(Fault::DropAfterAccept) => hang_up(),
        Some(Fault::HangAfterAccept) => std::future::pending().await,
        Some(Fault::Answer { body }) => body.into_response(),
        _ => answer,
    }
}

/// The HTTP status of this number; 500 where there is none.
fn status_of(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
