//! What becomes of a delivery after an attempt or a question. Pure: the promise in one place.

use std::time::Duration;

use crate::channel::{Capabilities, Lookup, SendReceipt};
use crate::delivery::{Delivery, DeliveryState, receipt_check_at};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::message::Part;
use crate::port::Settled;
use crate::time::{Timestamp, plus, plus_seconds};

/// What was decided upon an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Where the delivery stands.
    pub settled: Settled,
    /// The same in one word, for the record of attempts.
    pub verdict: &'static str,
    /// The fault lies with the account: pause the channel.
    pub pause: Option<ErrorKind>,
}

/// How soon an unknown outcome is asked about.
const UNCERTAIN_CHECK_SECS: u64 = 5;
/// How soon a delivery that met a pause is looked at again, at the earliest.
const PAUSED_SECS: u64 = 1;
/// How soon what could not even be asked is asked, after the last moment at which it should have been.
const HELD_CHECK: Duration = Duration::from_secs(600);
/// How often an outcome is asked about at the most, held questions included.
const MOST_CHECKS: u32 = 24;
/// How soon a send that is under way is looked at again.
const SENDING_SECS: u64 = 2;

fn ended(state: DeliveryState, reason: Option<&str>, provider_message_id: Option<String>) -> Outcome {
    let settled = Settled::Ended { state, reason: reason.map(str::to_owned), provider_message_id };
    Outcome { settled, verdict: state.as_str(), pause: None }
}

/// A question for a bid is done with once it was taken: its answer came with it, and no receipt is owed.
pub(super) fn asked(outcome: Outcome) -> Outcome {
    match outcome.settled {
        Settled::Await { uncertain: false, provider_message_id, .. } => {
            ended(DeliveryState::Delivered, None, provider_message_id)
        }
        _ => outcome,
    }
}

/// A changed message is nobody's news: no receipt is owed, and its id stays that of the delivery that sent it.
pub(super) fn changed(outcome: Outcome) -> Outcome {
    match outcome.settled {
        Settled::Await { uncertain: false, .. } | Settled::Ended { state: DeliveryState::Sent, .. } => {
            ended(DeliveryState::Sent, None, None)
        }
        _ => outcome,
    }
}

pub(super) fn expired(delivery: &Delivery, capabilities: &Capabilities, now: Timestamp) -> Outcome {
    not_sent(delivery, capabilities, DeliveryState::Expired, "ttl", now)
}

pub(super) fn suppressed(
    delivery: &Delivery,
    capabilities: &Capabilities,
    reason: &str,
    now: Timestamp,
) -> Outcome {
    not_sent(delivery, capabilities, DeliveryState::Suppressed, reason, now)
}

/// An unknown outcome of what may be done twice.
pub(super) fn harmless_again(error: Error) -> Error {
    match error.retry() {
        RetryHint::IfIdempotent { after } => error.with_retry(RetryHint::Safe { after }),
        _ => error,
    }
}

/// There is nothing to change: what was to be changed was never sent.
pub(super) fn not_shown() -> Outcome {
    ended(DeliveryState::Cancelled, Some("not_shown"), None)
}

pub(super) fn refused(
    delivery: &Delivery,
    capabilities: &Capabilities,
    error: &Error,
    now: Timestamp,
) -> Outcome {
    not_sent(delivery, capabilities, DeliveryState::Failed, error.code(), now)
}

/// Nothing more is sent. Where an earlier attempt may have arrived, that is no reason to say that it did not: the
/// provider is asked, or a person must look.
fn not_sent(
    delivery: &Delivery,
    capabilities: &Capabilities,
    state: DeliveryState,
    reason: &str,
    now: Timestamp,
) -> Outcome {
    if !delivery.uncertain {
        ended(state, Some(reason), None)
    } else if capabilities.lookup {
        uncertain(delivery, delivery.parts_sent, now)
    } else {
        ended(DeliveryState::Ambiguous, Some("outcome_unknown"), None)
    }
}

/// `begun`: whether a request to the provider was made at all. Where none was, the wait for a turn was too long:
/// the delivery comes back later, and no attempt counts.
pub(super) fn after_send(
    delivery: &Delivery,
    capabilities: &Capabilities,
    part: Part,
    result: &Result<SendReceipt>,
    begun: bool,
    now: Timestamp,
) -> Outcome {
    match result {
        Ok(receipt) => accepted(delivery, capabilities, part, receipt, now),
        Err(error) if !begun => {
            let wait = error.retry().after().unwrap_or(std::time::Duration::from_secs(1));
            put_off(delivery, plus(now, wait), "deferred")
        }
        Err(error) => failed(delivery, capabilities, part, error, now),
    }
}

fn accepted(
    delivery: &Delivery,
    capabilities: &Capabilities,
    part: Part,
    receipt: &SendReceipt,
    now: Timestamp,
) -> Outcome {
    if part.index + 1 < part.count {
        return next_part(part.index + 1, now);
    }
    let id = receipt.provider_message_id.clone();
    if receipt.delivered {
        return ended(DeliveryState::Delivered, None, id);
    }
    await_receipt(delivery, capabilities, part, id, now)
}

fn await_receipt(
    delivery: &Delivery,
    capabilities: &Capabilities,
    part: Part,
    id: Option<String>,
    now: Timestamp,
) -> Outcome {
    let id = id.or_else(|| delivery.provider_message_id.clone());
    match receipt_check_at(now, 0) {
        Some(check_at) if capabilities.receipts => Outcome {
            settled: Settled::Await {
                check_at,
                provider_message_id: id,
                uncertain: false,
                parts_sent: part.count,
                frees_order: false,
            },
            verdict: "accepted",
            pause: None,
        },
        _ => ended(DeliveryState::Sent, None, id),
    }
}

fn next_part(parts_sent: u32, now: Timestamp) -> Outcome {
    let settled = Settled::Retry {
        due_at: now,
        reason: "next_part".to_owned(),
        counted: false,
        parts_sent,
        uncertain: false,
    };
    Outcome { settled, verdict: "next_part", pause: None }
}

fn failed(
    delivery: &Delivery,
    capabilities: &Capabilities,
    part: Part,
    error: &Error,
    now: Timestamp,
) -> Outcome {
    let kind = error.kind();
    if kind == ErrorKind::Paused {
        let wait = error.retry().after().unwrap_or(std::time::Duration::from_secs(1));
        return put_off(delivery, plus(now, wait), "deferred");
    }
    if kind.is_account_level() && error.retry() == RetryHint::Never {
        return Outcome { pause: Some(kind), ..put_off(delivery, now, "channel_paused") };
    }
    match error.retry() {
        RetryHint::Never => not_sent(delivery, capabilities, DeliveryState::Failed, error.code(), now),
        RetryHint::IfIdempotent { .. } if !capabilities.idempotent_send => {
            if capabilities.lookup {
                uncertain(delivery, part.index, now)
            } else {
                ended(DeliveryState::Ambiguous, Some("outcome_unknown"), None)
            }
        }
        RetryHint::IfIdempotent { after } => {
            let unknown = Delivery { uncertain: true, ..delivery.clone() };
            retry(&unknown, capabilities, error.code(), after, now)
        }
        RetryHint::Safe { after } => retry(delivery, capabilities, error.code(), after, now),
    }
}

/// Nothing was begun; it is claimed again.
pub(super) fn deferred(delivery: &Delivery, now: Timestamp) -> Outcome {
    put_off(delivery, now, "deferred")
}

/// Nothing was begun, because the channel is paused; it goes on when the channel does. Where this engine cannot learn that it
/// is paused, it does not ask the store again and again.
pub(super) fn paused(delivery: &Delivery, now: Timestamp) -> Outcome {
    put_off(delivery, plus_seconds(now, PAUSED_SECS), "channel_paused")
}

/// What is to be changed is just being sent.
pub(super) fn waits_for_another(delivery: &Delivery, now: Timestamp) -> Outcome {
    put_off(delivery, plus_seconds(now, SENDING_SECS), "deferred")
}

/// Comes back at `due_at`; no attempt counts.
fn put_off(delivery: &Delivery, due_at: Timestamp, verdict: &'static str) -> Outcome {
    let Delivery { parts_sent, uncertain, .. } = *delivery;
    let settled =
        Settled::Retry { due_at, reason: verdict.to_owned(), counted: false, parts_sent, uncertain };
    Outcome { settled, verdict, pause: None }
}

fn uncertain(delivery: &Delivery, parts_sent: u32, now: Timestamp) -> Outcome {
    Outcome {
        settled: Settled::Await {
            check_at: plus_seconds(now, UNCERTAIN_CHECK_SECS),
            provider_message_id: delivery.provider_message_id.clone(),
            uncertain: true,
            parts_sent,
            frees_order: false,
        },
        verdict: "outcome_unknown",
        pause: None,
    }
}

/// What stands behind a message of unknown outcome waits for it until `wait_secs` after the attempt. Then the message is
/// asked about once more, and the others go on whatever the answer.
pub(super) fn held_for(
    mut outcome: Outcome,
    wait_secs: u64,
    attempted_at: Timestamp,
    now: Timestamp,
) -> Outcome {
    let end = plus_seconds(attempted_at, wait_secs);
    if let Settled::Await { uncertain: true, check_at, frees_order, .. } = &mut outcome.settled {
        *frees_order = now >= end;
        if !*frees_order {
            *check_at = end.min(*check_at);
        }
    }
    outcome
}

/// The next attempt by the schedule, if there is one.
fn retry(
    delivery: &Delivery,
    capabilities: &Capabilities,
    reason: &str,
    asked: Option<std::time::Duration>,
    now: Timestamp,
) -> Outcome {
    match delivery.spec.retry.next(delivery.id, delivery.attempts, now, asked) {
        None => not_sent(delivery, capabilities, DeliveryState::Failed, "retries_exhausted", now),
        Some(due_at) if due_at >= delivery.expires_at => expired(delivery, capabilities, now),
        Some(due_at) => Outcome {
            settled: Settled::Retry {
                due_at,
                reason: reason.to_owned(),
                counted: true,
                parts_sent: delivery.parts_sent,
                uncertain: delivery.uncertain,
            },
            verdict: "retry",
            pause: None,
        },
    }
}

/// What becomes of a delivery whose worker died while sending.
pub(super) enum Recovery {
    /// Send again: the provider honours the key.
    SendAgain,
    /// Ask the provider.
    Ask,
    /// Nobody can tell.
    End(Outcome),
}

/// Decides what becomes of an attempt whose outcome nobody has recorded.
pub(super) fn after_crash(capabilities: &Capabilities, delivery: &Delivery, now: Timestamp) -> Recovery {
    let may_go_out = delivery.expires_at > now && !delivery.unwanted;
    if capabilities.idempotent_send && may_go_out {
        Recovery::SendAgain
    } else if capabilities.lookup {
        Recovery::Ask
    } else {
        Recovery::End(ended(DeliveryState::Ambiguous, Some("worker_died"), None))
    }
}

/// `uncertain`: whether it is unknown that the provider has the message at all.
pub(super) fn after_lookup(
    delivery: &Delivery,
    capabilities: &Capabilities,
    uncertain: bool,
    part: Part,
    result: &Result<Lookup>,
    now: Timestamp,
) -> Outcome {
    let last_part = part.index + 1 >= part.count;
    match result {
        Ok(Lookup::Delivered) if uncertain && !last_part => next_part(part.index + 1, now),
        Ok(Lookup::Delivered) => ended(DeliveryState::Delivered, None, delivery.provider_message_id.clone()),
        Ok(Lookup::Accepted { .. }) if uncertain && !last_part => next_part(part.index + 1, now),
        Ok(Lookup::Accepted { provider_message_id }) if uncertain => {
            await_receipt(delivery, capabilities, part, provider_message_id.clone(), now)
        }
        Ok(Lookup::Failed(failure)) => ended(DeliveryState::Failed, Some(failure.reason.code()), None),
        Ok(Lookup::NotAccepted) if uncertain => {
            let known = Delivery { uncertain: false, parts_sent: part.index, ..delivery.clone() };
            retry(&known, capabilities, "not_accepted", None, now)
        }
        Ok(Lookup::Accepted { .. } | Lookup::NotAccepted | Lookup::Unknown) | Err(_) => {
            ask_later(delivery, uncertain, part, result, now)
        }
    }
}

/// How long to wait where the question was held back: by an open breaker, or by a rate.
fn was_not_asked(result: &Result<Lookup>) -> Option<Duration> {
    let error = result.as_ref().err()?;
    let held = matches!(error.kind(), ErrorKind::Paused | ErrorKind::RateLimited);
    held.then(|| error.retry().after().unwrap_or_default().max(HELD_CHECK))
}

fn ask_later(
    delivery: &Delivery,
    uncertain: bool,
    part: Part,
    result: &Result<Lookup>,
    now: Timestamp,
) -> Outcome {
    let pause = match result {
        Err(error) if error.kind().is_account_level() => Some(error.kind()),
        _ => None,
    };
    let since = delivery.last_attempt_at.unwrap_or(now);
    let next = receipt_check_at(since, delivery.checks)
        .map(|at| at.max(plus_seconds(now, UNCERTAIN_CHECK_SECS)))
        .or_else(|| {
            was_not_asked(result).filter(|_| delivery.checks < MOST_CHECKS).map(|after| plus(now, after))
        });
    match next {
        Some(check_at) => Outcome {
            settled: Settled::Await {
                check_at,
                provider_message_id: delivery.provider_message_id.clone(),
                uncertain,
                parts_sent: if uncertain { part.index } else { part.count },
                frees_order: false,
            },
            verdict: "ask_later",
            pause,
        },
        None if uncertain => {
            Outcome { pause, ..ended(DeliveryState::Ambiguous, Some("outcome_unknown"), None) }
        }
        None => Outcome {
            pause,
            ..ended(DeliveryState::Sent, Some("no_receipt"), delivery.provider_message_id.clone())
        },
    }
}
