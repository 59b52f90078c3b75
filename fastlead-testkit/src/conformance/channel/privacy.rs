//! Nothing that is printed carries a secret or a person.

use std::error::Error as _;
use std::fmt::{Debug, Write as _};

use fastlead_core::Error;

use super::ChannelHarness;
use super::probe::{MARKED_TEXT, Probe, event, interaction_reply, recipients_of_every_kind};
use super::sample::outbound;
use crate::conformance::{Outcome, Verdict, Violation, ensure};
use crate::sim::Fault;

/// Shortest text whose occurrence is not an accident.
const SHORTEST: usize = 6;

/// Errors (with their sources) and `Debug` of everything the channel offers carry neither the
/// credentials, nor the recipient's address, nor what was said.
pub async fn errors_and_debug_leak_nothing<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let forbidden = forbidden(&probe.harness)?;
    let mut printed: Vec<(String, String)> = Vec::new();
    provoke_with_faults(&probe, &mut printed).await;
    provoke_with_broken_channels(&probe, &mut printed).await?;
    provoke_with_forgeries(&probe, &mut printed).await;
    print("channel", &probe.channel, &mut printed);
    print("webhook", &probe.channel.webhook(), &mut printed);
    print("poller", &probe.channel.poller(), &mut printed);
    for (what, text) in &printed {
        for (name, value) in &forbidden {
            // The value itself is not repeated: this line ends up in logs.
            ensure!(!text.contains(value.as_str()), "{name} is printed by {what}");
        }
    }
    Ok(Verdict::Held)
}

fn forbidden<H: ChannelHarness>(harness: &H) -> Result<Vec<(String, String)>, Violation> {
    let mut named: Vec<(String, String)> = Vec::new();
    for (number, secret) in harness.secrets().into_iter().enumerate() {
        named.push((format!("secret {number}"), secret));
    }
    let recipients = [Some(harness.recipient()), harness.unknown_recipient()];
    for address in
        recipients.iter().flatten().map(|recipient| recipient.address()).filter(|text| !text.is_empty())
    {
        named.push(("a recipient's address".to_owned(), address.trim_start_matches('+').to_owned()));
    }
    named.push(("the text of a message".to_owned(), MARKED_TEXT.to_owned()));
    for (name, value) in &named {
        ensure!(value.len() >= SHORTEST, "the harness's {name} is too short to be searched for");
    }
    let encoded: Vec<_> =
        named.iter().map(|(name, value)| (format!("{name} (encoded)"), percent_encode(value))).collect();
    named.extend(encoded);
    Ok(named)
}

async fn provoke_with_faults<H: ChannelHarness>(probe: &Probe<H>, printed: &mut Vec<(String, String)>) {
    let faults = [
        Fault::RateLimited { after_secs: 1 },
        Fault::DropBeforeAccept,
        Fault::DropAfterAccept,
        Fault::BadRecipient,
        Fault::BadCredentials,
        Fault::NoBalance,
        Fault::BadContent,
        Fault::ProviderCode { code: 999, text: "не знаю".to_owned() },
    ];
    let errors = probe.harness.server_errors().into_iter().map(|status| Fault::ServerError { status });
    for fault in faults.into_iter().chain(errors) {
        let Some(queue) = probe.faults_with(&fault) else { continue };
        let what = format!("send into {fault:?}");
        queue.push(fault);
        if let Err(error) = probe.channel.send(&probe.message(MARKED_TEXT)).await {
            printed.push((what, whole_text(&error)));
        }
    }
}

async fn provoke_with_broken_channels<H: ChannelHarness>(
    probe: &Probe<H>,
    printed: &mut Vec<(String, String)>,
) -> Result<(), Violation> {
    let harness = &probe.harness;
    for (name, channel) in
        [("unreachable", harness.unreachable()), ("with bad credentials", harness.with_bad_credentials())]
    {
        let Some(channel) = channel else { continue };
        print(&format!("the channel {name}"), &channel, printed);
        if let Err(error) = channel.send(&probe.message(MARKED_TEXT)).await {
            printed.push((format!("send of the channel {name}"), whole_text(&error)));
        }
        if let Err(error) = channel.check().await {
            printed.push((format!("check of the channel {name}"), whole_text(&error)));
        }
    }
    let mut attempts = vec![
        outbound(harness.recipient(), event(MARKED_TEXT)),
        outbound(harness.recipient(), interaction_reply("790000099", None)),
        outbound(harness.recipient(), probe.carried(&MARKED_TEXT.repeat(400))),
    ];
    attempts.extend(harness.unknown_recipient().map(|unknown| outbound(unknown, probe.carried(MARKED_TEXT))));
    for (_, recipient) in recipients_of_every_kind()? {
        attempts.push(outbound(recipient, probe.carried(MARKED_TEXT)));
    }
    for message in attempts {
        if let Err(error) = probe.channel.send(&message).await {
            let what = format!("{:?} to {:?}", message.content.kind(), message.recipient.kind());
            printed.push((what, whole_text(&error)));
        }
    }
    Ok(())
}

async fn provoke_with_forgeries<H: ChannelHarness>(probe: &Probe<H>, printed: &mut Vec<(String, String)>) {
    let Some(receiver) = probe.channel.webhook() else { return };
    for request in probe.harness.forged_webhooks().await {
        if let Some(error) = request.show(|request| receiver.verify(request).err()) {
            printed.push(("verify of a forged webhook".to_owned(), whole_text(&error)));
        }
    }
}

fn print(what: &str, value: &(impl Debug + ?Sized), printed: &mut Vec<(String, String)>) {
    printed.push((format!("Debug of the {what}"), format!("{value:?} {value:#?}")));
}

/// Everything that an error may print, with its chain of sources.
fn whole_text(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a String cannot fail.
        let _written = write!(text, " {cause} {cause:?}");
        source = cause.source();
    }
    text
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _written = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
