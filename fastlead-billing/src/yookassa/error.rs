//! What YooKassa's refusals mean, in one place
//! (<https://yookassa.ru/developers/using-api/response-handling/http-codes>).

use std::time::Duration;

use fastlead_core::{Error, ErrorKind, RetryHint};
use serde::Deserialize;

use super::adapter::KIND;
use crate::http::{Answer, NoAnswer};
use crate::payment::DeclineClass;

/// "Processing" without a delay: what the official PHP client waits.
const PROCESSING_PAUSE: Duration = Duration::from_millis(1_800);
const LONGEST_PAUSE_MILLIS: u64 = 60_000;

/// What was asked, for errors, and whether it changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) is_question: bool,
}

impl Operation {
    pub(super) const fn acts(name: &'static str) -> Self {
        Self { name, is_question: false }
    }

    pub(super) const fn asks(name: &'static str) -> Self {
        Self { name, is_question: true }
    }

    /// An error of this operation. "Outcome unknown" turns into "safe" where asking again is harmless.
    pub(super) fn error(self, kind: ErrorKind, retry: RetryHint, message: &'static str) -> Error {
        let retry = match retry {
            RetryHint::IfIdempotent { after } if self.is_question => RetryHint::Safe { after },
            retry => retry,
        };
        Error::new(kind, message).with_retry(retry).with_adapter(KIND).with_operation(self.name)
    }

    pub(super) fn unreadable(self) -> Error {
        self.error(ErrorKind::Protocol, RetryHint::UNKNOWN, "the answer cannot be read")
    }
}

/// Body of a refusal. The description is not shown: it may repeat what was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    id: Option<String>,
    code: Option<String>,
    parameter: Option<String>,
    retry_after: Option<u64>,
}

/// The error behind an answer that is no success.
pub(super) fn parse_error(operation: Operation, answer: &Answer) -> Error {
    use ErrorKind::{Auth, Invalid, NotFound, Protocol, RateLimited, Unavailable};
    const NEVER: RetryHint = RetryHint::Never;
    let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    let millis = refusal.retry_after.map(|millis| Duration::from_millis(millis.min(LONGEST_PAUSE_MILLIS)));
    let after = millis.or(answer.after);
    let (kind, retry, message) = match answer.status {
        // The same key again: it may have acted, or be about to.
        202 => {
            let after = Some(after.unwrap_or(PROCESSING_PAUSE));
            (Unavailable, RetryHint::IfIdempotent { after }, "yookassa is still working on it")
        }
        200..=299 => (Protocol, RetryHint::UNKNOWN, "the answer cannot be read"),
        300..=399 => (Unavailable, NEVER, "the endpoint redirects, which is not followed"),
        401 => (Auth, NEVER, "the shop id or the secret key is refused"),
        403 => (Auth, NEVER, "the shop may not do this"),
        404 => (NotFound, NEVER, "yookassa does not know it"),
        429 => (RateLimited, RetryHint::Safe { after }, "too many requests"),
        400..=499 => (Invalid, NEVER, "yookassa refuses the request"),
        500..=599 => (Unavailable, RetryHint::IfIdempotent { after }, "yookassa failed, and may have acted"),
        _ => (Protocol, RetryHint::UNKNOWN, "the answer has no meaning"),
    };
    let mut error =
        operation.error(kind, retry, message).with_context("http_status", answer.status.to_string());
    if let Some(code) = refusal.code.filter(|code| is_word(code)) {
        error = error.with_provider_code(code);
    }
    for (name, word) in [("request_id", refusal.id), ("parameter", refusal.parameter)] {
        if let Some(word) = word.filter(|word| is_word(word)) {
            error = error.with_context(name, word);
        }
    }
    error
}

/// Whether a word of the provider's can be shown: a code, an id or the name of a field.
fn is_word(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte))
}

/// The error behind a request without an answer.
pub(super) fn transport(operation: Operation, none: NoAnswer) -> Error {
    let error = operation.error(none.kind, none.retry, none.message);
    match none.source {
        Some(source) => error.with_source(source),
        None => error,
    }
}

/// What a payment that was canceled means, by the reason that YooKassa gives; `None` where nobody has refused it: it was
/// withdrawn, or its time ran out.
///
/// Source: <https://yookassa.ru/developers/payment-acceptance/after-the-payment/declined-payments>. A reason that is not known
/// never lets the same method be tried again.
pub(super) fn decline(reason: &str) -> Option<DeclineClass> {
    Some(match reason {
        "canceled_by_merchant"
        | "deal_expired"
        | "expired_on_confirmation"
        | "expired_on_capture"
        | "loan_application_expired" => return None,
        "insufficient_funds" => DeclineClass::InsufficientFunds,
        "issuer_unavailable" | "payment_method_limit_exceeded" | "internal_timeout" => DeclineClass::Soft,
        "permission_revoked" => DeclineClass::PermissionRevoked,
        _ => DeclineClass::Hard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACT: Operation = Operation::acts("create");

    #[test]
    fn every_answer_of_the_table() {
        let body = |code: &str| {
            format!(
                r#"{{"type":"error","id":"e65a8f85-f8b7-4f4f-9fd3-bfef99aacbbb","code":"{code}","description":"Anna anna@example.com","parameter":"Idempotence-Key"}}"#
            )
        };
        let unknown = RetryHint::UNKNOWN;
        let after = |millis| Some(Duration::from_millis(millis));
        for (status, body, kind, retry, code) in [
            (400, body("invalid_request"), ErrorKind::Invalid, RetryHint::Never, Some("invalid_request")),
            (
                401,
                body("invalid_credentials"),
                ErrorKind::Auth,
                RetryHint::Never,
                Some("invalid_credentials"),
            ),
            (403, body("forbidden"), ErrorKind::Auth, RetryHint::Never, Some("forbidden")),
            (404, body("not_found"), ErrorKind::NotFound, RetryHint::Never, Some("not_found")),
            (405, String::new(), ErrorKind::Invalid, RetryHint::Never, None),
            (410, String::new(), ErrorKind::Invalid, RetryHint::Never, None),
            (415, String::new(), ErrorKind::Invalid, RetryHint::Never, None),
            (
                429,
                body("too_many_requests"),
                ErrorKind::RateLimited,
                RetryHint::SAFE,
                Some("too_many_requests"),
            ),
            (
                500,
                body("internal_server_error"),
                ErrorKind::Unavailable,
                unknown,
                Some("internal_server_error"),
            ),
            (502, "<h1>502</h1>".into(), ErrorKind::Unavailable, unknown, None),
            (200, "<h1>Welcome</h1>".into(), ErrorKind::Protocol, unknown, None),
            (302, String::new(), ErrorKind::Unavailable, RetryHint::Never, None),
            (
                202,
                r#"{"type":"processing","retry_after":500}"#.into(),
                ErrorKind::Unavailable,
                RetryHint::IfIdempotent { after: after(500) },
                None,
            ),
            (
                202,
                String::new(),
                ErrorKind::Unavailable,
                RetryHint::IfIdempotent { after: after(1_800) },
                None,
            ),
        ] {
            let answer = Answer { status, after: None, body: body.into_bytes() };
            let error = parse_error(ACT, &answer);
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{status}");
            assert_eq!(error.provider_code(), code, "{status}");
            assert!(!format!("{error} {error:?}").contains("example.com"), "{error:?}");
            let question = parse_error(Operation::asks("get"), &answer);
            assert!(!matches!(question.retry(), RetryHint::IfIdempotent { .. }), "{status}");
        }
    }

    /// The reasons of the fact sheet, section 5.
    #[test]
    fn every_reason_has_its_class() {
        for (class, reasons) in [
            (
                Some(DeclineClass::Hard),
                "3d_secure_failed call_issuer card_expired country_forbidden fraud_suspected general_decline invalid_card_number invalid_csc payment_method_restricted unsupported_mobile_operator identification_required loan_declined loan_declined_by_payer something_new",
            ),
            (Some(DeclineClass::InsufficientFunds), "insufficient_funds"),
            (Some(DeclineClass::Soft), "issuer_unavailable payment_method_limit_exceeded internal_timeout"),
            (Some(DeclineClass::PermissionRevoked), "permission_revoked"),
            (
                None,
                "expired_on_confirmation expired_on_capture loan_application_expired canceled_by_merchant deal_expired",
            ),
        ] {
            for reason in reasons.split(' ') {
                assert_eq!(decline(reason), class, "{reason}");
            }
        }
    }
}
