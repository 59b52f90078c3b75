//! One HTTP request of an adapter, and what becomes of one without an answer.
//!
//! The client is made by the program, which decides where it may connect to and whom it trusts. It follows no redirects and
//! repeats nothing.

use std::time::Duration;

use fastlead_core::{ErrorKind, RetryHint};
use reqwest::header::RETRY_AFTER;

/// Longer answers are no provider's: a list of 100 payments has some hundred kilobytes.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
/// Whoever names more is asked again after this.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Answer of a provider, or of whatever stands in front of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Retry-After`, where it is in seconds.
    pub(crate) after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer, and whether the provider may have acted.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    pub(crate) kind: ErrorKind,
    pub(crate) retry: RetryHint,
    pub(crate) message: &'static str,
    pub(crate) source: Option<reqwest::Error>,
}

/// Makes one request.
///
/// # Errors
/// [`RetryHint::SAFE`] only where not a byte of the request was written.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Result<Answer, NoAnswer> {
    let mut response = request.send().await.map_err(no_answer)?;
    let status = response.status().as_u16();
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let after = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_DELAY));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken_off)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            let (kind, retry, message) = (ErrorKind::Protocol, RetryHint::UNKNOWN, "the answer is too long");
            return Err(NoAnswer { kind, retry, message, source: None });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, after, body })
}

fn no_answer(error: reqwest::Error) -> NoAnswer {
    let (kind, retry, message) = if error.is_builder() {
        (ErrorKind::Internal, RetryHint::Never, "cannot build the request")
    } else if error.is_connect() {
        let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Unavailable };
        (kind, RetryHint::SAFE, "cannot connect; check the endpoint and the certificates to trust")
    } else if error.is_timeout() {
        (ErrorKind::Timeout, RetryHint::UNKNOWN, "no answer in time")
    } else {
        (ErrorKind::Unavailable, RetryHint::UNKNOWN, "the connection broke before the answer")
    };
    NoAnswer { kind, retry, message, source: Some(error.without_url()) }
}

/// The head of an answer had come: the provider has acted, and nobody knows how.
fn broken_off(error: reqwest::Error) -> NoAnswer {
    let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Unavailable };
    let (retry, message) = (RetryHint::UNKNOWN, "the connection broke within the answer");
    NoAnswer { kind, retry, message, source: Some(error.without_url()) }
}
