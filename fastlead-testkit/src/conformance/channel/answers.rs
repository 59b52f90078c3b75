//! Answers that are not what the provider says when all is well.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastlead_core::ErrorKind;
use fastlead_core::secret::Pii;
use futures_util::FutureExt;
use serde_json::json;

use super::ChannelHarness;
use super::probe::{MARKED_TEXT, NO_ANSWER, Probe, event, expect_error, expect_kind, expect_unknown};
use super::sample::outbound;
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};
use crate::sim::{Fault, SimServer};

/// Statuses that a proxy answers after it has passed a request on: whether the provider has acted is not known
/// ([RFC 9110 section 15.6](https://www.rfc-editor.org/rfc/rfc9110#section-15.6)).
const GATEWAY_ERRORS: [u16; 2] = [502, 504];

/// Statuses that name another address.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Bodies that no provider answers a message with.
const UNREADABLE: [&str; 9] = [
    "",
    "<h1>Welcome</h1>",
    "{",
    "{}",
    "[]",
    "null",
    "\u{feff}\u{0}\u{fffd}",
    "{\"id\":{\"id\":[{}]},\"result\":[],\"error\":{}}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// 502 and 504 leave the outcome unknown: a proxy says them, which may have passed the request on.
pub async fn gateway_errors_are_unknown<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let known = probe.harness.server_errors();
    let statuses: Vec<u16> = GATEWAY_ERRORS.into_iter().filter(|status| known.contains(status)).collect();
    applies_if!(!statuses.is_empty(), "the provider has no such answer");
    for (done, status) in statuses.into_iter().enumerate() {
        let fault = Fault::ServerError { status };
        let Some(faults) = probe.faults_with(&fault) else {
            return Ok(Verdict::NotApplicable("the provider has no such answer"));
        };
        let error = probe.fail_with(faults, fault).await?;
        expect_unknown(&format!("status {status}"), &error)?;
        probe.still_works_after(done).await?;
    }
    Ok(Verdict::Held)
}

/// An answer that says "success" and cannot be read leaves the outcome unknown, and nothing panics. Where the other side
/// may answer what it likes (capability `answers`), the message counts as sent.
pub async fn unreadable_answer_is_unknown<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let fault = |body: &str| Fault::Answer { body: body.to_owned() };
    let Some(faults) = probe.faults_with(&fault("")) else {
        return Ok(Verdict::NotApplicable("the provider's answer has no body"));
    };
    for (done, body) in UNREADABLE.into_iter().enumerate() {
        let what = format!("the answer {body:?}");
        faults.push(fault(body));
        let message = probe.message(MARKED_TEXT);
        let Ok(outcome) = AssertUnwindSafe(probe.channel.send(&message)).catch_unwind().await else {
            return Err(Violation::new(format!("{what}: send panicked")));
        };
        if outcome.is_err() || !probe.capabilities.answers {
            let error = expect_error(&what, outcome)?;
            expect_kind(&what, &error, &NO_ANSWER)?;
            expect_unknown(&what, &error)?;
        }
        probe.arrived(done + 1).await?;
    }
    probe.still_works_after(UNREADABLE.len()).await?;
    Ok(Verdict::Held)
}

/// A redirect is an error. Following it would hand the message and the credentials to an address that nobody has checked.
pub async fn redirects_are_not_followed<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    let router = axum::Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async { "{}" }
    });
    let elsewhere = SimServer::start(router).await.map_err(|error| Violation::new(error.to_string()))?;
    for status in REDIRECTS {
        let fault = Fault::Redirect { status, location: format!("{}/elsewhere", elsewhere.base_url()) };
        let Some(faults) = probe.faults_with(&fault) else {
            return Ok(Verdict::NotApplicable("the provider does not redirect"));
        };
        faults.push(fault);
        let outcome = probe.channel.send(&probe.message(MARKED_TEXT)).await;
        let followed = visits.load(Ordering::Relaxed) > 0;
        ensure!(!followed, "status {status}: the redirect was followed to another address");
        let error = expect_error(&format!("status {status}"), outcome)?;
        let kind = error.kind();
        ensure!(kind != ErrorKind::Recipient, "status {status}: a redirect says nothing about the recipient");
    }
    probe.arrived(0).await?;
    probe.still_works_after(0).await?;
    Ok(Verdict::Held)
}

/// What the other side answers comes back where the capability `answers` is declared, and nowhere else.
pub async fn answers_come_back_as_declared<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let answer = json!({ "accepted": true, "price": "450.00", "note": "заявка ёлка" });
    if !probe.capabilities.answers {
        let receipt = probe.send(&probe.message(MARKED_TEXT)).await?;
        let silent = receipt.answer.is_none();
        ensure!(silent, "send brings an answer back, but the capability `answers` is not declared");
        return Ok(Verdict::NotApplicable("capability answers"));
    }
    let fault = Fault::Answer { body: answer.to_string() };
    let Some(faults) = probe.faults_with(&fault) else {
        return Err(Violation::new("the simulator must play `Fault::Answer` where `answers` is declared"));
    };
    let content = if probe.capabilities.events { event(MARKED_TEXT) } else { probe.carried(MARKED_TEXT) };
    faults.push(fault);
    let receipt = probe.send(&outbound(probe.harness.recipient(), content)).await?;
    let brought = receipt.answer.map(Pii::into_inner);
    ensure!(brought.as_ref() == Some(&answer), "the other side answered {answer}, send brings {brought:?}");
    Ok(Verdict::Held)
}
