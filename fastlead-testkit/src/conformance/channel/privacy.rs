//! Nothing that is printed carries a secret or a person.

use std::error::Error as _;
use std::fmt::{Debug, Write as _};

use fastlead_core::Error;
use fastlead_core::message::{Content, Text};
use tracing::instrument::WithSubscriber;

use super::ChannelHarness;
use super::log::Log;
use super::probe::{MARKED_TEXT, Probe, event, events_of, interaction_reply, recipients_of_every_kind};
use super::sample::outbound;
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};
use crate::sim::{Arrival, Fault};

/// Statuses that a provider or a proxy answers.
const STATUSES: [u16; 26] = [
    301, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 413, 415, 418, 422, 425, 429, 451, 500,
    501, 502, 503, 504, 520,
];

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
        found(what, text, &forbidden)?;
    }
    Ok(Verdict::Held)
}

fn forbidden<H: ChannelHarness>(harness: &H) -> Result<Vec<(String, String)>, Violation> {
    let mut named = secrets_of(harness);
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
    Ok(encoded(&named))
}

/// The harness names the channel's secrets, so that they can be searched for.
pub async fn secrets_are_named<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(!probe.harness.secrets().is_empty(), "the harness names no secrets");
    forbidden(&probe.harness)?;
    Ok(Verdict::Held)
}

/// An error carries no secret, no address and no text whatever status the provider answers, also where its answer repeats
/// all of them.
pub async fn no_status_makes_an_error_leak<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let Some(faults) = probe.harness.faults() else {
        return Ok(Verdict::NotApplicable("the simulator has no faults"));
    };
    let forbidden = forbidden(&probe.harness)?;
    let echo: Vec<_> = forbidden.iter().map(|(_, value)| value.as_str()).collect();
    let echo = echo.join(" ");
    let pages = STATUSES.map(|status| Fault::ServerError { status });
    let words = STATUSES.map(|status| Fault::ProviderCode { code: status.into(), text: echo.clone() });
    for fault in pages.into_iter().chain(words).filter(|fault| probe.harness.fault_applies(fault)) {
        let status = match &fault {
            Fault::ServerError { status } => i64::from(*status),
            Fault::ProviderCode { code, .. } => *code,
            _ => 0,
        };
        faults.push(fault);
        if let Err(error) = probe.channel.send(&probe.message(MARKED_TEXT)).await {
            found(&format!("an error of status or code {status}"), &whole_text(&error), &forbidden)?;
        }
    }
    Ok(Verdict::Held)
}

/// Nothing that the channel logs while it sends, fails, checks and receives carries a secret, an address or a text.
pub async fn no_log_line_leaks<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let forbidden = forbidden(&probe.harness)?;
    let log = Log::default();
    let work = async {
        let mut printed = Vec::new();
        probe.send(&probe.message(MARKED_TEXT)).await?;
        let _checked = probe.channel.check().await;
        provoke_with_faults(&probe, &mut printed).await;
        provoke_with_broken_channels(&probe, &mut printed).await?;
        provoke_with_forgeries(&probe, &mut printed).await;
        for request in probe.harness.genuine_webhooks().await {
            let _events = events_of(&*probe.channel, &request);
        }
        Ok::<_, Violation>(())
    };
    work.with_subscriber(log.clone()).await?;
    for line in log.lines() {
        found("a log line", &line, &forbidden)?;
    }
    Ok(Verdict::Held)
}

/// No secret is in what a person or a program gets, be it in a title, nor in the receipt.
pub async fn no_message_carries_a_secret<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let secrets = encoded(&secrets_of(&probe.harness));
    let mut contents = vec![probe.carried("письмо")];
    if probe.capabilities.text {
        let subject = Some("Тема".into());
        contents.push(Content::Text(Text {
            subject,
            html: Some("<b>текст</b>".into()),
            ..Text::plain("текст")
        }));
    }
    if probe.capabilities.events {
        contents.push(event("событие"));
    }
    for (done, content) in contents.into_iter().enumerate() {
        let receipt = probe.send(&outbound(probe.harness.recipient(), content)).await?;
        found("a receipt", &format!("{receipt:?}"), &secrets)?;
        for arrival in probe.arrived(done + 1).await? {
            // What only the provider sees, such as headers, is in the details.
            let Arrival { to, from, subject, text, markup, buttons, .. } = arrival;
            let shown = format!("{to} {from} {subject:?} {text} {markup:?} {buttons:?}");
            found("a message that arrived", &shown, &secrets)?;
        }
    }
    Ok(Verdict::Held)
}

fn found(what: &str, text: &str, forbidden: &[(String, String)]) -> Result<(), Violation> {
    for (name, value) in forbidden {
        // The value itself is not repeated: this line ends up in logs.
        ensure!(!text.contains(value.as_str()), "{name} is in {what}");
    }
    Ok(())
}

fn secrets_of<H: ChannelHarness>(harness: &H) -> Vec<(String, String)> {
    let secrets = harness.secrets().into_iter().enumerate();
    secrets.map(|(number, secret)| (format!("secret {number}"), secret)).collect()
}

/// The values themselves, and as they are written into an address.
fn encoded(named: &[(String, String)]) -> Vec<(String, String)> {
    let mut all = named.to_vec();
    all.extend(named.iter().map(|(name, value)| (format!("{name} (encoded)"), percent_encode(value))));
    all
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
        Fault::Answer { body: "<h1>Welcome</h1>".to_owned() },
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
