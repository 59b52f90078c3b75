//! What SMSC's refusals mean, in one place.

use std::time::Duration;

use fastlead_core::{Error, ErrorKind, RetryHint};

use super::adapter::KIND;
use super::client::Answer;
use super::wire::ErrorAnswer;
use crate::http;

/// "More than one identical request within a minute" passes after a minute; no delay is sent along.
const DUPLICATE_PAUSE: Duration = Duration::from_secs(60);
/// A blocked address gets no delay either; hammering prolongs the block.
const BLOCKED_PAUSE: Duration = Duration::from_secs(300);

/// What was asked. Only a send can have an effect, so only a send can leave an outcome unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Send {
        /// 1 for the first attempt.
        attempt: u32,
    },
    Lookup,
    Check,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::Lookup => "lookup",
            Self::Check => "check",
        }
    }

    /// An error of this operation. "Outcome unknown" turns into "safe" for mere questions.
    pub(super) fn error(self, kind: ErrorKind, retry: RetryHint, message: &'static str) -> Error {
        let retry = match (self, retry) {
            (Self::Lookup | Self::Check, RetryHint::IfIdempotent { after }) => RetryHint::Safe { after },
            _ => retry,
        };
        Error::new(kind, message).with_retry(retry).with_adapter(KIND).with_operation(self.name())
    }
}

/// The error behind an answer that is not what was asked for: first the HTTP status, then SMSC's own code, which
/// comes inside HTTP 200.
pub(super) fn parse_error(operation: Operation, answer: &Answer) -> Error {
    if (200..300).contains(&answer.status) {
        return refusal(operation, &answer.body);
    }
    let after = answer.retry_after.or((answer.status == 429).then_some(DUPLICATE_PAUSE));
    let class = http::by_status(answer.status, after);
    operation
        .error(class.kind, class.retry, class.message)
        .with_context("http_status", answer.status.to_string())
}

/// SMSC's own codes (<https://smsc.ru/api/http/>).
///
/// A code that the table does not have counts as "outcome unknown": SMSC may have acted, and asking for the
/// status settles it at the price of one request, while a blind repeat could send the SMS twice.
fn refusal(operation: Operation, body: &[u8]) -> Error {
    use ErrorKind::{Auth, Balance, Content, Invalid, Protocol, RateLimited, Recipient};
    const NEVER: RetryHint = RetryHint::Never;
    let Some(code) = error_code(body) else {
        return operation.error(
            Protocol,
            RetryHint::UNKNOWN,
            "the answer is not the json that smsc documents",
        );
    };
    let duplicate = RetryHint::IfIdempotent { after: Some(DUPLICATE_PAUSE) };
    let (kind, retry, message) = match code.as_str() {
        "1" => (Invalid, NEVER, "a parameter is wrong"),
        "2" => (Auth, NEVER, "login, password or api key refused, or this ip address is not allowed"),
        "3" => (Balance, NEVER, "not enough money on the account"),
        "4" => {
            let retry = RetryHint::Safe { after: Some(BLOCKED_PAUSE) };
            (RateLimited, retry, "this ip address is blocked for a while after too many errors")
        }
        "5" => (Invalid, NEVER, "a date is malformed"),
        "6" => (Content, NEVER, "the text or the sender name is forbidden"),
        "7" => (Recipient, NEVER, "the number is invalid"),
        "8" => (Recipient, NEVER, "nothing can be delivered to this number"),
        "9" => match operation {
            // An identical request within the last minute: on a repeat that was most likely our own first
            // attempt, whose answer got lost.
            Operation::Send { attempt } if attempt > 1 => (
                RateLimited,
                duplicate,
                "identical request within a minute, probably our own earlier attempt",
            ),
            _ => {
                let retry = RetryHint::Safe { after: Some(DUPLICATE_PAUSE) };
                (RateLimited, retry, "identical request within a minute")
            }
        },
        _ => (Protocol, RetryHint::UNKNOWN, "a code that smsc does not document"),
    };
    operation.error(kind, retry, message).with_provider_code(code)
}

/// The `error_code` of a body, whatever the declared charset: the code itself is always ASCII.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    let answer: ErrorAnswer = serde_json::from_str(&String::from_utf8_lossy(body)).ok()?;
    answer.error_code.integer().map(|code| code.to_string())
}

const BAD_CERTIFICATE: &str = "the server's certificate has expired, is not trusted or is of another name; check endpoint, \
                               and the clock of this machine";

/// The error behind a request that got no answer.
pub(super) fn transport_error(operation: Operation, error: reqwest::Error) -> Error {
    let class = http::no_answer(&error, BAD_CERTIFICATE);
    operation.error(class.kind, class.retry, class.message).with_source(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: Operation = Operation::Send { attempt: 1 };
    const AGAIN: Operation = Operation::Send { attempt: 2 };

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer { status, retry_after: None, body: body.to_vec() }
    }

    const fn safe(seconds: u64) -> RetryHint {
        RetryHint::Safe { after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn the_error_table() {
        use ErrorKind::{Auth, Balance, Content, Invalid, Protocol, RateLimited, Recipient};
        let duplicate = RetryHint::IfIdempotent { after: Some(Duration::from_secs(60)) };
        let cp1251 = b"{\"error\":\"\xed\xe5\xe2\xe5\xf0\xed\xfb\xe9 \xed\xee\xec\xe5\xf0\",\"error_code\":7,\"id\":34}";
        for (operation, body, kind, retry, code) in [
            (
                SEND,
                &br#"{"error":"parameters error","error_code":1}"#[..],
                Invalid,
                RetryHint::Never,
                Some("1"),
            ),
            (SEND, br#"{"error":"authorise error","error_code":2}"#, Auth, RetryHint::Never, Some("2")),
            (SEND, br#"{"error":"no money","error_code":3,"id":34}"#, Balance, RetryHint::Never, Some("3")),
            (SEND, br#"{"error":"ip is blocked","error_code":4}"#, RateLimited, safe(300), Some("4")),
            (SEND, br#"{"error":"bad date format","error_code":5}"#, Invalid, RetryHint::Never, Some("5")),
            (
                SEND,
                br#"{"error":"message is denied","error_code":6,"id":1}"#,
                Content,
                RetryHint::Never,
                Some("6"),
            ),
            (
                SEND,
                br#"{"error":"invalid number","error_code":7,"id":34}"#,
                Recipient,
                RetryHint::Never,
                Some("7"),
            ),
            (SEND, cp1251, Recipient, RetryHint::Never, Some("7")),
            (
                SEND,
                br#"{"error":"can't to deliver","error_code":8,"id":34}"#,
                Recipient,
                RetryHint::Never,
                Some("8"),
            ),
            (
                SEND,
                br#"{"error":"duplicate request, wait a minute","error_code":9}"#,
                RateLimited,
                safe(60),
                Some("9"),
            ),
            (
                AGAIN,
                br#"{"error":"duplicate request, wait a minute","error_code":9}"#,
                RateLimited,
                duplicate,
                Some("9"),
            ),
            (AGAIN, br#"{"error":"no money","error_code":"3"}"#, Balance, RetryHint::Never, Some("3")),
            (SEND, br#"{"error":"unknown error","error_code":15}"#, Protocol, RetryHint::UNKNOWN, Some("15")),
            (SEND, b"OK - 1 SMS, ID - 1234", Protocol, RetryHint::UNKNOWN, None),
            (SEND, b"<html>Maintenance</html>", Protocol, RetryHint::UNKNOWN, None),
            (SEND, b"", Protocol, RetryHint::UNKNOWN, None),
            (
                Operation::Lookup,
                br#"{"error":"authorise error","error_code":2}"#,
                Auth,
                RetryHint::Never,
                Some("2"),
            ),
            (
                Operation::Lookup,
                br#"{"error":"duplicate request, wait a minute","error_code":9}"#,
                RateLimited,
                safe(60),
                Some("9"),
            ),
            (
                Operation::Lookup,
                br#"{"error":"unknown error","error_code":15}"#,
                Protocol,
                RetryHint::SAFE,
                Some("15"),
            ),
            (Operation::Check, b"", Protocol, RetryHint::SAFE, None),
        ] {
            let error = parse_error(operation, &answer(200, body));
            let shown = (error.kind(), error.retry(), error.provider_code());
            assert_eq!(shown, (kind, retry, code), "{operation:?} {}", String::from_utf8_lossy(body));
            assert_eq!(error.adapter(), Some("smsc"));
        }
    }

    #[test]
    fn the_http_table() {
        use ErrorKind::{Invalid, RateLimited, Timeout, Unavailable};
        for (status, kind, retry) in [
            (301, Unavailable, RetryHint::SAFE),
            (400, Invalid, RetryHint::SAFE),
            (403, Invalid, RetryHint::SAFE),
            (404, Invalid, RetryHint::SAFE),
            (408, Timeout, RetryHint::UNKNOWN),
            (413, Invalid, RetryHint::SAFE),
            (429, RateLimited, safe(60)),
            (500, Unavailable, RetryHint::UNKNOWN),
            (502, Unavailable, RetryHint::UNKNOWN),
            (503, Unavailable, RetryHint::UNKNOWN),
            (504, Unavailable, RetryHint::UNKNOWN),
        ] {
            let error = parse_error(SEND, &answer(status, b"<html></html>"));
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{status}");
            let question = parse_error(Operation::Lookup, &answer(status, b""));
            assert!(!matches!(question.retry(), RetryHint::IfIdempotent { .. }), "{status}");
        }
        let named = Answer { retry_after: Some(Duration::from_secs(7)), ..answer(429, b"") };
        assert_eq!(parse_error(SEND, &named).retry(), safe(7));
    }

    #[test]
    fn what_smsc_says_about_a_phone_is_not_repeated() {
        let body = br#"{"error":"invalid number 79000000000","error_code":7,"id":34}"#;
        let error = parse_error(SEND, &answer(200, body));
        assert!(!format!("{error} {error:?}").contains("79000000000"));
    }
}
