//! What the bank's codes mean, in one place. The meanings are of the official table (specification 1.80, "Коды ошибок");
//! the classes are ours.

use fastlead_core::{Error, ErrorKind, RetryHint};

use super::adapter::KIND;
use super::wire::Reply;
use crate::http::{Answer, NoAnswer};
use crate::payment::DeclineClass;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Init,
    GetState,
    CheckOrder,
    Confirm,
    Cancel,
    Charge,
    ClosingReceipt,
}

impl Operation {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Init => "v2/Init",
            Self::GetState => "v2/GetState",
            Self::CheckOrder => "v2/CheckOrder",
            Self::Confirm => "v2/Confirm",
            Self::Cancel => "v2/Cancel",
            Self::Charge => "v2/Charge",
            Self::ClosingReceipt => "cashbox/SendClosingReceipt",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::GetState => "get state",
            Self::CheckOrder => "check order",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Charge => "charge",
            Self::ClosingReceipt => "send closing receipt",
        }
    }

    /// Whether it changes nothing at the bank.
    const fn is_question(self) -> bool {
        matches!(self, Self::GetState | Self::CheckOrder)
    }

    /// An error of this operation. "Outcome unknown" turns into "safe" where asking again is harmless.
    pub(super) fn error(self, kind: ErrorKind, retry: RetryHint, message: &'static str) -> Error {
        let retry = match retry {
            RetryHint::IfIdempotent { after } if self.is_question() => RetryHint::Safe { after },
            retry => retry,
        };
        Error::new(kind, message).with_retry(retry).with_adapter(KIND).with_operation(self.name())
    }

    pub(super) fn unreadable(self) -> Error {
        self.error(ErrorKind::Protocol, RetryHint::UNKNOWN, "the answer cannot be read")
    }
}

/// Class of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// All is well.
    Good,
    /// The terminal, its password or its settings.
    Terminal,
    /// The request.
    Invalid,
    /// The state of the payment is another one, or the order exists.
    Conflict,
    /// There is no such thing.
    NotFound,
    /// The payer's side says no.
    Declined(DeclineClass),
    /// The merchant has too little money for a refund.
    Balance,
    /// Too many requests.
    Rate,
    /// The bank cannot work now, and did not act.
    Transient,
    /// The bank may have acted.
    Unknown,
    /// The cash register; the payment may be fine.
    Fiscal,
}

/// Returns the class of a code; a code that the table does not know may mean anything.
pub(super) fn class(code: &str) -> Class {
    use DeclineClass::{Hard, InsufficientFunds};
    let Ok(number) = code.parse::<u32>() else { return Class::Unknown };
    match number {
        0 | 1085 => Class::Good,
        10
        | 60
        | 62
        | 105
        | 191
        | 202
        | 204
        | 205
        | 253
        | 254
        | 322
        | 331
        | 411..=415
        | 417
        | 500
        | 501
        | 648
        | 702
        | 991
        | 1003
        | 1099
        | 1235
        | 2015
        | 3001
        | 3011
        | 3013
        | 3019
        | 3038
        | 3101 => Class::Terminal,
        4 | 7 | 8 | 14 | 20 | 27 | 54 | 100 | 262 | 323 | 324 | 326 | 330 | 510 | 623 | 926 | 3015 | 3037 => {
            Class::Conflict
        }
        63 | 107 | 231 | 255 | 325 | 335 | 407 | 502 | 503 | 651 | 914 | 927 | 3012 | 3014 | 5031 => {
            Class::NotFound
        }
        1
        | 2
        | 9
        | 12
        | 17
        | 61
        | 64
        | 201
        | 203
        | 206..=230
        | 232..=251
        | 256..=261
        | 308..=310
        | 316..=321
        | 329
        | 332..=334
        | 383
        | 385
        | 386
        | 410
        | 416
        | 419
        | 508
        | 620
        | 642
        | 1064
        | 1125
        | 1126
        | 3016
        | 3017
        | 3044 => Class::Invalid,
        103
        | 116
        | 403..=406
        | 632..=634
        | 1013
        | 1019
        | 1051
        | 1061
        | 1065
        | 1075
        | 1202..=1204
        | 5060..=5062 => Class::Declined(InsufficientFunds),
        11
        | 101
        | 106
        | 108
        | 111
        | 252
        | 1001
        | 1005
        | 1006
        | 1012
        | 1205
        | 76..=79
        | 102
        | 104
        | 109
        | 110
        | 506
        | 507
        | 511
        | 512
        | 514
        | 600
        | 601
        | 1004
        | 1007
        | 1008
        | 1014
        | 1015
        | 1033
        | 1038
        | 1039
        | 1041
        | 1043
        | 1053..=1055
        | 1057..=1059
        | 1062
        | 1063
        | 1077
        | 1078
        | 1080
        | 1082
        | 1086
        | 1088
        | 1092..=1094
        | 1217
        | 1218
        | 1316
        | 2014
        | 3003
        | 3008..=3010
        | 5032
        | 5036
        | 5038
        | 5043
        | 5063..=5067 => Class::Declined(Hard),
        1502 | 3002 => Class::Balance,
        119 | 603 | 2200 | 3029 | 3030 | 3032 | 3033 | 3041 | 3042 => Class::Rate,
        55 | 99 | 120 | 123 | 125 | 402 | 903 | 999 | 1017 | 1030 | 1034 | 1089 | 1091 | 8002 | 8004
        | 9001 => Class::Transient,
        65..=68 | 311..=315 => Class::Fiscal,
        // 3, 21, 96 to 98, 401, 504, 505, 509, 513, 515, 1018, 1076, 1096, 3040, 7999 and 9999 stand in the table.
        _ => Class::Unknown,
    }
}

/// The kind of decline of a code; `None` where the payer's side has nothing to do with it.
pub(super) fn decline(code: &str) -> Option<DeclineClass> {
    match class(code) {
        Class::Declined(kind) => Some(kind),
        _ => None,
    }
}

/// The error behind a reply without success. The bank's message and details are not shown: they may repeat what was sent.
pub(super) fn by_code(operation: Operation, code: &str) -> Error {
    use ErrorKind::{
        Auth, Balance, Conflict, Invalid, NotFound, Protocol, RateLimited, Recipient, Unavailable,
    };
    const NEVER: RetryHint = RetryHint::Never;
    let (kind, retry, message) = match class(code) {
        Class::Good => (Protocol, RetryHint::UNKNOWN, "no success, and no error code"),
        Class::Terminal => (Auth, NEVER, "the terminal, its password or its settings are refused"),
        Class::Invalid => (Invalid, NEVER, "the bank refuses a parameter"),
        Class::Conflict => (Conflict, NEVER, "the payment or the order is in another state"),
        Class::NotFound => (NotFound, NEVER, "the bank does not know it"),
        Class::Declined(_) => (Recipient, NEVER, "the payer's side has refused it"),
        Class::Balance => (Balance, NEVER, "the merchant has too little money at the bank"),
        Class::Rate => (RateLimited, RetryHint::SAFE, "too many requests"),
        // Money may have moved where the bank says "try later"; a question or a new payment page moves none.
        Class::Transient => match operation {
            Operation::Confirm | Operation::Cancel | Operation::Charge => {
                (Unavailable, RetryHint::UNKNOWN, "the bank cannot work now")
            }
            _ => (Unavailable, RetryHint::SAFE, "the bank cannot work now"),
        },
        Class::Unknown => (Unavailable, RetryHint::UNKNOWN, "the bank failed, and may have acted"),
        Class::Fiscal => (Invalid, NEVER, "the cash register refuses the receipt"),
    };
    operation.error(kind, retry, message).with_provider_code(code.to_owned())
}

/// Reads an answer: a reply, or the error in its place.
pub(super) fn read(operation: Operation, answer: &Answer) -> Result<Reply, Error> {
    let reply = serde_json::from_slice::<Reply>(&answer.body).ok().filter(|reply| reply.success.is_some());
    match (answer.status, reply) {
        (200..=299, Some(reply)) => Ok(reply),
        // The bank's own word, whatever the status says.
        (_, Some(reply)) if reply.code().is_some() => Ok(reply),
        (status, _) => Err(by_status(operation, status, answer.after)),
    }
}

fn by_status(operation: Operation, status: u16, after: Option<std::time::Duration>) -> Error {
    use ErrorKind::{Auth, Invalid, Protocol, RateLimited, Unavailable};
    let (kind, retry, message) = match status {
        429 => (RateLimited, RetryHint::Safe { after }, "too many requests"),
        401 | 403 => (Auth, RetryHint::Never, "the bank refuses this terminal or address"),
        300..=399 => (Unavailable, RetryHint::Never, "the endpoint redirects, which is not followed"),
        400..=499 => (Invalid, RetryHint::Never, "the bank refuses the request"),
        500..=599 => (Unavailable, RetryHint::IfIdempotent { after }, "the bank failed"),
        _ => (Protocol, RetryHint::UNKNOWN, "the answer cannot be read"),
    };
    operation.error(kind, retry, message).with_context("http_status", status.to_string())
}

/// The error behind a request without an answer.
pub(super) fn transport(operation: Operation, none: NoAnswer) -> Error {
    let error = operation.error(none.kind, none.retry, none.message);
    match none.source {
        Some(source) => error.with_source(source),
        None => error,
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
