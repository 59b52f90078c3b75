//! SMSC's answers as JSON, and its tables of statuses. Every number may also come as a string.

use fastlead_core::channel::{FailureReason, ReceiptFailure};
use serde::Deserialize;

/// A number that may come as a string, or a string that may come as a number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Number(serde_json::Number),
    Text(String),
}

impl Scalar {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

/// `{"error":"invalid number","error_code":7,"id":34}`, in place of any answer, with HTTP 200. The text beside
/// the code is not read: it may repeat a phone.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorAnswer {
    pub(super) error_code: Scalar,
}

/// `{"id":63,"cnt":1,"cost":"3.8","balance":"286.55"}`.
#[derive(Debug, Deserialize)]
pub(super) struct SendAnswer {
    pub(super) id: Scalar,
    pub(super) cnt: Scalar,
    pub(super) cost: Option<Scalar>,
}

/// `{"status":1,"last_date":"18.10.2016 15:34:12","last_timestamp":1476794052}`, with `err` where it failed.
#[derive(Debug, Deserialize)]
pub(super) struct StatusAnswer {
    pub(super) status: Scalar,
    pub(super) err: Option<Scalar>,
}

/// `{"balance":"1871.62"}`.
#[derive(Debug, Deserialize)]
pub(super) struct BalanceAnswer {
    #[serde(rename = "balance")]
    pub(super) _balance: Scalar,
}

/// What SMSC's status number says (<https://smscentre.com/api/http/status_messages>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// -3: SMSC knows no such message.
    NotFound,
    /// -1 waits, 0 handed to the operator.
    InTransit,
    /// 1 delivered.
    Delivered,
    /// 2 read, 4 its link was opened.
    Read,
    /// Given up.
    Failed(ReceiptFailure),
    /// A number that the tables do not have.
    Unlisted,
}

impl Fate {
    pub(super) fn read(status: i64, err: Option<i64>) -> Self {
        let failed = |reason| {
            let provider_code = match err {
                Some(err) if err != 0 => format!("{status}/{err}"),
                _ => status.to_string(),
            };
            Self::Failed(ReceiptFailure { reason, provider_code: Some(provider_code) })
        };
        match status {
            -3 => Self::NotFound,
            -1 | 0 => Self::InTransit,
            1 => Self::Delivered,
            2 | 4 => Self::Read,
            3 => failed(FailureReason::Expired),
            -2 => failed(FailureReason::Other),
            20 => failed(undeliverable(err)),
            22 | 25 => failed(FailureReason::Recipient),
            23 => failed(FailureReason::Content),
            24 => failed(FailureReason::Balance),
            _ => Self::Unlisted,
        }
    }
}

/// Status 20 covers everything from a dead number to a spam filter; the detail tells them apart.
const fn undeliverable(err: Option<i64>) -> FailureReason {
    match err {
        // no such subscriber, offline, no SMS service, handset error, blocked, not supported, SIM replaced,
        // no answer, busy, answering machine, no status received, bad number, number forbidden
        Some(1 | 6 | 11 | 12 | 13 | 21 | 219 | 237 | 240 | 242 | 245 | 249 | 250 | 252) => {
            FailureReason::Recipient
        }
        // no template, conversion error, spam filter, sender name not registered
        Some(238 | 241 | 253 | 254) => FailureReason::Content,
        // virtual send, queue overflow, IP, contract, limits, route, the operator's refusal, or nothing said
        _ => FailureReason::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_as_strings_too() {
        for body in [
            r#"{"id":63,"cnt":1,"cost":"3.8","balance":"286.55"}"#,
            r#"{"id":"63","cnt":"1","cost":3.8,"balance":286.55}"#,
        ] {
            let answer: SendAnswer = serde_json::from_str(body).unwrap();
            assert_eq!(answer.id.text(), "63");
            assert_eq!(answer.cnt.integer(), Some(1));
            assert_eq!(answer.cost.unwrap().text(), "3.8");
        }
    }

    #[test]
    fn the_status_table() {
        use FailureReason::{Balance, Content, Expired, Other, Recipient};
        let failed =
            |reason, code: &str| Fate::Failed(ReceiptFailure { reason, provider_code: Some(code.into()) });
        for (status, err, fate) in [
            (-3, None, Fate::NotFound),
            (-2, None, failed(Other, "-2")),
            (-1, None, Fate::InTransit),
            (0, Some(0), Fate::InTransit),
            (1, Some(0), Fate::Delivered),
            (2, None, Fate::Read),
            (3, Some(0), failed(Expired, "3")),
            (4, None, Fate::Read),
            (20, None, failed(Other, "20")),
            (20, Some(1), failed(Recipient, "20/1")),
            (20, Some(13), failed(Recipient, "20/13")),
            (20, Some(200), failed(Other, "20/200")),
            (20, Some(253), failed(Content, "20/253")),
            (20, Some(255), failed(Other, "20/255")),
            (22, None, failed(Recipient, "22")),
            (23, None, failed(Content, "23")),
            (24, None, failed(Balance, "24")),
            (25, Some(248), failed(Recipient, "25/248")),
            (99, None, Fate::Unlisted),
        ] {
            assert_eq!(Fate::read(status, err), fate, "{status} {err:?}");
        }
    }
}
