//! What arrives is what was said, and what cannot be said is refused.

use fastlead_core::ErrorKind;
use fastlead_core::channel::Channel;
use fastlead_core::message::url_text::HttpUrl;
use fastlead_core::message::{Button, ButtonAction, Content, Text};
use fastlead_core::secret::Pii;

use super::ChannelHarness;
use super::probe::{
    Probe, edit, event, expect_error, expect_kind, expect_never, interaction_reply, recipients_of_every_kind,
};
use super::sample::outbound;
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};

/// Texts that transports and markup languages like to break.
const TEXTS: [&str; 12] = [
    "Hello",
    "Новая заявка: Анна, ёлка, №5 — «срочно»",
    "Emoji 👩‍👩‍👧‍👦 🇷🇺 👍🏽 and e\u{301}",
    "שלום עולם, مرحبا بالعالم",
    "<b>not bold</b> & <script>alert(1)</script> &amp; &lt;",
    "*stars* _under_ `tick` [link](https://example.com) ~x~ #tag +1 - = | {a} . !",
    "quotes \" ' ` and backslash \\ \\n %41 %d {{name}} ${x}",
    "first line\nsecond line\n\nfourth line",
    ".\na line that is a single dot, and\n..two dots",
    "+7 900 000-00-00 anna@example.com https://example.com/?a=1&b=2;c=3+4",
    "a=1&mes=2;psw=3\u{a0}\u{2028}x",
    "From the start of a line",
];

/// How many times two words are repeated where no limit is declared: some 20,000 characters.
const UNLIMITED_WORDS: usize = 1_430;

/// A text arrives character for character, whatever it looks like.
pub async fn text_arrives_literally<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.text, "capability text");
    for (number, text) in TEXTS.into_iter().enumerate() {
        probe.send(&probe.message(text)).await?;
        let arrivals = probe.arrived(number + 1).await?;
        let seen = arrivals.last().map(|arrival| probe.harness.as_seen(arrival).text).unwrap_or_default();
        ensure!(seen == text, "sent {text:?}, a person sees {seen:?}");
    }
    Ok(Verdict::Held)
}

/// Where the capability `subject` is declared the subject is shown, and a line break in it stays inside; else nobody sees
/// one.
pub async fn subject_is_shown<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.text, "capability text");
    let subject = "Заявка №1: Анна & <b>Ко</b>";
    let text = Text { subject: Some(subject.into()), ..Text::plain("Текст") };
    probe.send(&outbound(probe.harness.recipient(), Content::Text(text))).await?;
    let seen = probe.only_arrival().await?;
    if !probe.capabilities.subject {
        let hidden = !format!("{:?} {}", seen.subject, seen.text).contains("Заявка №1");
        ensure!(hidden, "a person sees the subject, but the capability subject is not declared");
        return Ok(Verdict::NotApplicable("capability subject"));
    }
    ensure!(
        seen.subject.as_deref() == Some(subject),
        "sent the subject {subject:?}, a person sees {:?}",
        seen.subject
    );
    ensure!(seen.text == "Текст", "the text beside a subject arrived as {:?}", seen.text);

    let injected =
        Text { subject: Some("Тема\r\nBcc: anna@example.com".into()), ..Text::plain("Текст") };
    match probe.channel.send(&outbound(probe.harness.recipient(), Content::Text(injected))).await {
        Ok(_) => {
            let arrivals = probe.arrived(2).await?;
            let whole = arrivals.iter().all(|arrival| probe.harness.as_seen(arrival).text == "Текст");
            ensure!(whole, "a line break in the subject changed the message");
            let to = probe.harness.arrivals().all();
            let same = to.first().map(|arrival| &arrival.to) == to.last().map(|arrival| &arrival.to);
            ensure!(same, "a line break in the subject changed who gets the message");
        }
        Err(error) => {
            expect_kind("a line break in the subject", &error, &[ErrorKind::Content, ErrorKind::Invalid])?
        }
    }
    Ok(Verdict::Held)
}

/// With the capability `html` the markup takes effect; without it the plain form arrives, and nothing else.
pub async fn html_is_shown<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.text, "capability text");
    let plain = "Анна & Ко: <важно>";
    let html = "<b>Анна</b> &amp; Ко: &lt;важно&gt;";
    let text = Text { html: Some(Pii::from(html)), ..Text::plain(plain) };
    probe.send(&outbound(probe.harness.recipient(), Content::Text(text))).await?;
    let seen = probe.only_arrival().await?;
    ensure!(seen.text == plain, "sent {html:?}, a person sees {:?}", seen.text);
    let bold =
        seen.markup.as_deref().is_some_and(|markup| markup.contains("<b>") || markup.contains("<strong>"));
    if !probe.capabilities.html {
        ensure!(!bold, "the bold markup arrived, but the capability html is not declared");
        return Ok(Verdict::NotApplicable("capability html"));
    }
    ensure!(bold, "the capability html is declared, but the bold markup did not arrive");
    Ok(Verdict::Held)
}

/// A link reaches its reader: under the text where the channel shows no buttons, as the engine writes it there, or where the
/// harness says that the provider has none for links; else on a button.
pub async fn links_reach_their_reader<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.text, "capability text");
    let address = "https://example.com/lead?id=1&from=2";
    let page = HttpUrl::try_from(address.to_owned()).map_err(Violation::new)?;
    let button = Button { label: "Открыть".to_owned(), action: ButtonAction::Open(page) };
    let text = Text {
        buttons: vec![button], html: Some("<b>Заявка</b>".into()), ..Text::plain("Заявка")
    };
    let text = if probe.capabilities.buttons { text } else { text.with_links_written_out() };
    probe.send(&outbound(probe.harness.recipient(), Content::Text(text))).await?;
    let seen = probe.only_arrival().await?;
    let on_a_button = seen.buttons.iter().any(|button| button.opens_url && button.data == address);
    let belongs_on_a_button = probe.capabilities.buttons && probe.harness.shows_links_on_buttons();
    let shown = if belongs_on_a_button { on_a_button } else { seen.text.contains(address) };
    ensure!(
        shown,
        "a link was lost on the way: a person sees {:?} and the buttons {:?}",
        seen.text,
        seen.buttons
    );
    Ok(Verdict::Held)
}

/// An event for a program arrives with its name and data.
pub async fn event_arrives<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.events, "capability events");
    let content = event("Анна \"<Ко>\"\n\\");
    let Content::Event(sent) = content.clone() else {
        return Err(Violation::new("the suite's own sample is not an event"));
    };
    probe.send(&outbound(probe.harness.recipient(), content)).await?;
    let arrivals = probe.arrived(1).await?;
    let seen = arrivals.first().and_then(|arrival| probe.harness.seen_event(arrival));
    let (name, data) = seen.ok_or_else(|| Violation::new("what arrived is not an event"))?;
    ensure!(name == sent.event_type, "sent the event {}, got {name}", sent.event_type);
    ensure!(data == *sent.data.expose(), "the event's data changed on the way: {data}");
    Ok(Verdict::Held)
}

/// Content that is not declared is refused as unsupported, without asking the provider.
pub async fn unsupported_content_is_refused_before_any_request<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let declared = &probe.capabilities;
    let undeclared: Vec<Content> = [
        (declared.text, Content::Text(Text::plain("текст"))),
        (declared.events, event("событие")),
        (declared.interaction_replies, interaction_reply("1", None)),
        (declared.edits, edit("1", Text::plain("другой текст"))),
    ]
    .into_iter()
    .filter_map(|(carried, content)| (!carried).then_some(content))
    .collect();
    applies_if!(!undeclared.is_empty(), "it carries every kind of content");
    for content in undeclared {
        let kind = content.kind();
        let error =
            expect_error(kind, probe.offline().send(&outbound(probe.harness.recipient(), content)).await)?;
        expect_kind(kind, &error, &[ErrorKind::Unsupported, ErrorKind::Content])?;
        expect_never(kind, &error)?;
    }
    probe.arrived(0).await?;
    Ok(Verdict::Held)
}

/// An edit changes the message that it names: its text and its buttons. Once more it changes nothing, and succeeds.
pub async fn an_edit_changes_the_message_that_it_names<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.edits, "capability edits");
    let open = |label: &str| -> Result<Button, Violation> {
        let page = HttpUrl::try_from("https://example.com/lead?id=1".to_owned()).map_err(Violation::new)?;
        Ok(Button { label: label.to_owned(), action: ButtonAction::Open(page) })
    };
    let buttons = if probe.capabilities.buttons { vec![open("Старая")?] } else { Vec::new() };
    let first = Text { buttons, ..Text::plain("Новая заявка") };
    let receipt = probe.send(&outbound(probe.harness.recipient(), Content::Text(first))).await?;
    probe.send(&probe.message("соседнее сообщение")).await?;
    let Some(id) = receipt.provider_message_id else {
        return Err(Violation::new("a channel that edits gives no id of what it has sent"));
    };
    let buttons = if probe.capabilities.buttons { vec![open("Новая")?] } else { Vec::new() };
    let html = Some("Новая заявка<br><i>Взято: Анна &amp; Ко</i>".into());
    let text = Text { html, buttons, ..Text::plain("Новая заявка\nВзято: Анна & Ко") };
    for _ in 0..2 {
        probe.send(&outbound(probe.harness.recipient(), edit(&id, text.clone()))).await?;
    }
    let all: Vec<_> = probe.arrived(2).await?.iter().map(|arrival| probe.harness.as_seen(arrival)).collect();
    let seen: Vec<_> = all.iter().map(|arrival| arrival.text.as_str()).collect();
    ensure!(seen == ["Новая заявка\nВзято: Анна & Ко", "соседнее сообщение"], "a person sees {seen:?}");
    let labels: Vec<_> = all[0].buttons.iter().map(|button| button.label.as_str()).collect();
    let expected = if probe.capabilities.buttons { vec!["Новая"] } else { Vec::new() };
    ensure!(labels == expected, "after the edit the buttons are {labels:?}");
    Ok(Verdict::Held)
}

/// An address of a kind that the channel does not send to is refused as invalid, without asking
/// the provider.
pub async fn wrong_kind_of_recipient_is_refused_before_any_request<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let declared = &probe.capabilities.recipients;
    let wrong: Vec<_> =
        recipients_of_every_kind()?.into_iter().filter(|(kind, _)| !declared.contains(kind)).collect();
    applies_if!(!wrong.is_empty(), "it sends to every kind of recipient");
    for (kind, recipient) in wrong {
        let what = format!("recipient of kind {kind:?}");
        let error =
            expect_error(&what, probe.offline().send(&outbound(recipient, probe.carried("не туда"))).await)?;
        expect_kind(&what, &error, &[ErrorKind::Invalid])?;
        expect_never(&what, &error)?;
    }
    probe.arrived(0).await?;
    Ok(Verdict::Held)
}

/// The declared limit is the real one, in the declared unit: a text of exactly that length
/// arrives whole, and one more character is refused and not cut. Where no limit is declared, a text of many pages arrives
/// whole.
pub async fn longest_text_is_accepted_and_a_longer_one_refused<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.text, "capability text");
    let Some(limit) = probe.capabilities.text_max else {
        return arrives_whole(&probe, &"длинный текст ".repeat(UNLIMITED_WORDS)).await;
    };
    let max = usize::try_from(limit.max).map_err(|error| Violation::new(error.to_string()))?;
    let mut arrived = 0;
    for letter in ["a", "я", "😀"] {
        let size = limit.unit.measure(letter);
        let longest = letter.repeat(max / size) + &"a".repeat(max % size);
        probe.send(&probe.message(&longest)).await?;
        arrived += 1;
        let arrivals = probe.arrived(arrived).await?;
        let seen = arrivals.last().map(|arrival| probe.harness.as_seen(arrival).text).unwrap_or_default();
        ensure!(seen == longest, "{max} units of {letter:?} did not arrive whole");
        refuses_longer(&probe, &probe.channel, &(longest + "a")).await?;
    }
    probe.arrived(arrived).await?;
    Ok(Verdict::Held)
}

async fn arrives_whole<H: ChannelHarness>(probe: &Probe<H>, text: &str) -> Outcome {
    let text = text.trim_end();
    let length = text.chars().count();
    let sent = probe.send(&probe.message(text)).await;
    sent.map_err(|why| {
        Violation::new(format!("no `text_max` is declared, but of {length} characters: {why}"))
    })?;
    let seen = probe.only_arrival().await?.text;
    ensure!(
        seen == text,
        "no `text_max` is declared, but a text of {length} characters did not arrive whole"
    );
    Ok(Verdict::Held)
}

async fn refuses_longer<H: ChannelHarness>(
    probe: &Probe<H>,
    channel: &std::sync::Arc<dyn Channel>,
    text: &str,
) -> Result<(), Violation> {
    let error = expect_error("a text over the limit", channel.send(&probe.message(text)).await)?;
    expect_kind("a text over the limit", &error, &[ErrorKind::Content])?;
    expect_never("a text over the limit", &error)
}
