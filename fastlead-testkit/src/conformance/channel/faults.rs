//! Trouble is named for what it is, and "may I retry" is answered truthfully.

use std::time::Duration;

use fastlead_core::channel::{Channel, Lookup, SendReceipt};
use fastlead_core::message::{OutboundMessage, Part};
use fastlead_core::{Error, ErrorKind, RetryHint};

use super::ChannelHarness;
use super::probe::{
    MARKED_TEXT, NO_ANSWER, Probe, expect_error, expect_kind, expect_never, expect_safe, expect_unknown,
    reference,
};
use super::sample::outbound;
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};
use crate::sim::Fault;

/// Sends into `fault`, expects `kind` and `Never`, and that the next message goes through.
async fn refused_for_good<H: ChannelHarness>(
    fault: Fault,
    kind: ErrorKind,
    missing: &'static str,
) -> Outcome {
    let probe = Probe::<H>::start().await;
    let Some(faults) = probe.faults_with(&fault) else {
        return Ok(Verdict::NotApplicable(missing));
    };
    let what = format!("{fault:?}");
    let error = probe.fail_with(faults, fault).await?;
    expect_kind(&what, &error, &[kind])?;
    expect_never(&what, &error)?;
    probe.arrived(0).await?;
    probe.still_works_after(0).await?;
    Ok(Verdict::Held)
}

/// A person who does not exist or has blocked the sender is a matter of the recipient, and final.
pub async fn unknown_recipient_is_never_retried<H: ChannelHarness>() -> Outcome {
    let by_fault = refused_for_good::<H>(Fault::BadRecipient, ErrorKind::Recipient, "").await?;
    let probe = Probe::<H>::start().await;
    let Some(unknown) = probe.harness.unknown_recipient() else {
        return Ok(match by_fault {
            Verdict::Held => Verdict::Held,
            _ => Verdict::NotApplicable("the provider does not refuse recipients at once"),
        });
    };
    let error = expect_error(
        "unknown recipient",
        probe.channel.send(&outbound(unknown, probe.carried("никому"))).await,
    )?;
    expect_kind("unknown recipient", &error, &[ErrorKind::Recipient])?;
    expect_never("unknown recipient", &error)?;
    probe.arrived(0).await?;
    Ok(Verdict::Held)
}

/// Refused credentials are the account's trouble, in `check` and in `send`.
pub async fn refused_credentials_are_auth<H: ChannelHarness>() -> Outcome {
    let by_fault = refused_for_good::<H>(Fault::BadCredentials, ErrorKind::Auth, "").await?;
    let probe = Probe::<H>::start().await;
    let Some(channel) = probe.harness.with_bad_credentials() else {
        return Ok(match by_fault {
            Verdict::Held => Verdict::Held,
            _ => Verdict::NotApplicable("there are no credentials to refuse"),
        });
    };
    for (what, error) in both_fail(&probe, &*channel).await? {
        expect_kind(what, &error, &[ErrorKind::Auth])?;
        expect_never(what, &error)?;
    }
    probe.arrived(0).await?;
    Ok(Verdict::Held)
}

/// The errors of `send` and `check`, both of which must fail.
async fn both_fail<H: ChannelHarness>(
    probe: &Probe<H>,
    channel: &dyn Channel,
) -> Result<[(&'static str, Error); 2], Violation> {
    let sent = expect_error("send", channel.send(&probe.message(MARKED_TEXT)).await)?;
    match channel.check().await {
        Ok(()) => Err(Violation::new("check said Ok")),
        Err(checked) => Ok([("send", sent), ("check", checked)]),
    }
}

/// An account without money is named so.
pub async fn empty_balance_is_balance<H: ChannelHarness>() -> Outcome {
    refused_for_good::<H>(Fault::NoBalance, ErrorKind::Balance, "the provider has no balance").await
}

/// Refused content is named so, and final.
pub async fn refused_content_is_content<H: ChannelHarness>() -> Outcome {
    refused_for_good::<H>(Fault::BadContent, ErrorKind::Content, "the provider does not judge content").await
}

/// "Too many requests" means that nothing was done; the named delay is passed on.
pub async fn rate_limit_is_safe_to_retry<H: ChannelHarness>() -> Outcome {
    let fault = Fault::RateLimited { after_secs: 17 };
    let probe = Probe::<H>::start().await;
    let Some(faults) = probe.faults_with(&fault) else {
        return Ok(Verdict::NotApplicable("the provider has no rate limit"));
    };
    let error = probe.fail_with(faults, fault).await?;
    expect_kind("rate limit", &error, &[ErrorKind::RateLimited])?;
    expect_safe("rate limit", &error)?;
    if probe.harness.rate_limit_names_delay() {
        let after = error.retry().after();
        ensure!(
            after == Some(Duration::from_secs(17)),
            "the provider said 17 seconds, the channel says {after:?}"
        );
    }
    probe.arrived(0).await?;
    probe.still_works_after(0).await?;
    Ok(Verdict::Held)
}

/// A provider that is out of order may be asked again, one way or the other.
pub async fn server_error_is_retryable<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let statuses = probe.harness.server_errors();
    applies_if!(!statuses.is_empty() && probe.harness.faults().is_some(), "the provider has no such answer");
    for (done, status) in statuses.into_iter().enumerate() {
        let fault = Fault::ServerError { status };
        let Some(faults) = probe.faults_with(&fault) else {
            return Ok(Verdict::NotApplicable("the provider has no such answer"));
        };
        let error = probe.fail_with(faults, fault).await?;
        let what = format!("status {status}");
        expect_kind(&what, &error, &[ErrorKind::Unavailable])?;
        ensure!(error.retry() != RetryHint::Never, "{what}: expected a retry, got RetryHint::Never");
        probe.still_works_after(done).await?;
    }
    Ok(Verdict::Held)
}

/// Where nobody listens nothing was done.
pub async fn refused_connection_is_safe_to_retry<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let Some(channel) = probe.harness.unreachable() else {
        return Ok(Verdict::NotApplicable("there is no network"));
    };
    for (what, error) in both_fail(&probe, &*channel).await? {
        expect_kind(what, &error, &[ErrorKind::Unavailable])?;
        expect_safe(what, &error)?;
    }
    Ok(Verdict::Held)
}

/// A connection that closes before the provider acts may be tried again; a lookup tells that
/// nothing was accepted.
pub async fn connection_lost_before_accept_is_retryable<H: ChannelHarness>() -> Outcome {
    let fault = Fault::DropBeforeAccept;
    let probe = Probe::<H>::start().await;
    let Some(faults) = probe.faults_with(&fault) else {
        return Ok(Verdict::NotApplicable("there is no network"));
    };
    let message = probe.message(MARKED_TEXT);
    faults.push(fault);
    let error = expect_error("connection lost before accept", probe.channel.send(&message).await)?;
    expect_kind("connection lost before accept", &error, &NO_ANSWER)?;
    let retryable = error.retry() != RetryHint::Never;
    ensure!(retryable, "connection lost before accept: expected a retry, got RetryHint::Never: {error}");
    probe.arrived(0).await?;
    if probe.capabilities.lookup {
        let found = probe.channel.lookup(&reference(&message, None)).await;
        let told = matches!(found, Ok(Lookup::NotAccepted));
        ensure!(told, "nothing was accepted, but lookup says {found:?}");
    }
    probe.still_works_after(0).await?;
    Ok(Verdict::Held)
}

/// A connection that closes after the provider has acted leaves the outcome unknown; a lookup
/// tells that the message was accepted.
pub async fn connection_lost_after_accept_is_unknown<H: ChannelHarness>() -> Outcome {
    let fault = Fault::DropAfterAccept;
    let probe = Probe::<H>::start().await;
    let Some(faults) = probe.faults_with(&fault) else {
        return Ok(Verdict::NotApplicable("there is no network"));
    };
    let message = probe.message(MARKED_TEXT);
    faults.push(fault);
    let error = expect_error("connection lost after accept", probe.channel.send(&message).await)?;
    expect_kind("connection lost after accept", &error, &NO_ANSWER)?;
    expect_unknown("connection lost after accept", &error)?;
    // Exactly one: an adapter that retries by itself has delivered twice here.
    probe.arrived(1).await?;
    if probe.capabilities.lookup {
        let found = probe.channel.lookup(&reference(&message, None)).await;
        let told = matches!(found, Ok(Lookup::Accepted { .. } | Lookup::Delivered));
        ensure!(told, "the message was accepted, but lookup says {found:?}");
    }
    probe.still_works_after(1).await?;
    Ok(Verdict::Held)
}

/// A lookup finds a message by the provider's id or without it, and does not find what was never
/// sent, be it another part of the same delivery; without the capability it always answers that it
/// cannot tell.
pub async fn lookup_finds_what_was_sent<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let first = Part { index: 0, count: 2 };
    let message = OutboundMessage { part: first, ..probe.message("найдётся") };
    let next = OutboundMessage { part: Part { index: 1, ..first }, ..message.clone() };
    let receipt = probe.send(&message).await?;
    let ask = |message: &OutboundMessage, receipt: Option<&SendReceipt>| {
        let reference = reference(message, receipt);
        let channel = &probe.channel;
        async move { channel.lookup(&reference).await }
    };
    let sent = [ask(&message, Some(&receipt)).await, ask(&message, None).await];
    let never_sent = [ask(&probe.message("не отправлено"), None).await, ask(&next, None).await];
    if probe.capabilities.lookup {
        for sent in sent {
            let found = matches!(sent, Ok(Lookup::Accepted { .. } | Lookup::Delivered));
            ensure!(found, "the message was accepted, but lookup says {sent:?}");
        }
        for never_sent in never_sent {
            let is_missing = matches!(never_sent, Ok(Lookup::NotAccepted));
            ensure!(is_missing, "nothing was sent, but lookup says {never_sent:?}");
        }
    } else {
        for found in sent.into_iter().chain(never_sent) {
            ensure!(matches!(found, Ok(Lookup::Unknown)), "without the capability, lookup says {found:?}");
        }
    }
    probe.arrived(1).await?;
    Ok(Verdict::Held)
}

/// A send that is dropped while the provider keeps silent leaves nothing locked or broken.
pub async fn dropped_send_leaves_the_channel_usable<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let Some(faults) = probe.faults_with(&Fault::Hang) else {
        return Ok(Verdict::NotApplicable("there is no network"));
    };
    let rounds = probe.capabilities.max_in_flight.clamp(1, 4);
    for _ in 0..rounds {
        faults.push(Fault::Hang);
        let message = probe.message(MARKED_TEXT);
        let outcome = tokio::time::timeout(Duration::from_millis(150), probe.channel.send(&message)).await;
        if let Ok(outcome) = outcome {
            // The adapter's own time limit came first, which is just as good.
            let error = expect_error("Hang", outcome)?;
            expect_kind("Hang", &error, &NO_ANSWER)?;
            expect_unknown("Hang", &error)?;
        }
    }
    // On a busy machine a request may have been dropped before the simulator saw it.
    while faults.take().is_some() {}
    probe.still_works_after(0).await?;
    Ok(Verdict::Held)
}
