//! SMTP: the adapter against the simulator, and against servers that are worse.

use std::sync::Arc;
use std::time::Duration;

use fastlead_channels::smtp::{Smtp, SmtpAdapter, SmtpConfig};
use fastlead_core::channel::{Channel, ChannelInfo};
use fastlead_core::contact::Email;
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::{Button, ButtonAction, Content, MessageClass, OutboundMessage, Recipient, Text};
use fastlead_core::registry::Registry;
use fastlead_core::secret::Pii;
use fastlead_core::time::{epoch, plus_seconds};
use fastlead_core::{Error, ErrorKind, RetryHint, async_trait};
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, outbound};
use fastlead_testkit::sim::smtp::{SmtpAction, SmtpFault, SmtpPhase, SmtpSim};
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::egress::loopback;

const ANNA: &str = "anna@example.com";
const NOBODY: &str = "nobody@example.org";
const USER: &str = "login-of-the-account";
const PASSWORD: &str = "app-password-123";

/// A config for a server on `port` of this machine, with `extra` fields over it.
fn config(port: u16, extra: Value) -> Value {
    let mut config = json!({
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "from": { "name": "Клиника «Пример»", "address": "leads@example.net" },
        "timeout_secs": 5,
        "accept_timeout_secs": 5,
    });
    for (name, value) in extra.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn info() -> ChannelInfo {
    ChannelInfo { kind: "smtp", id: ChannelId::generate(&RandomIds, epoch()), name: "mail".to_owned() }
}

fn smtp_at(port: u16, extra: Value) -> Smtp {
    let config: SmtpConfig = serde_json::from_value(config(port, extra)).unwrap();
    Smtp::with_egress(info(), config, &loopback()).unwrap()
}

fn smtp(sim: &SmtpSim, extra: Value) -> Smtp {
    smtp_at(sim.address().port(), extra)
}

async fn start() -> (SmtpSim, Smtp) {
    let sim = SmtpSim::start().await.unwrap();
    let channel = smtp(&sim, json!({}));
    (sim, channel)
}

fn mail_to(address: &str, text: Text) -> OutboundMessage {
    outbound(Recipient::Email(Email::parse(address).unwrap()), Content::Text(text))
}

fn mail(text: &str) -> OutboundMessage {
    mail_to(ANNA, Text::plain(text))
}

fn header(arrival: &Arrival, name: &str) -> Option<String> {
    arrival.details["headers"][name].as_str().map(str::to_owned)
}

struct Harness(SmtpSim);

impl Harness {
    fn with(&self, extra: Value) -> Arc<dyn Channel> {
        Arc::new(smtp(&self.0, extra))
    }
}

#[async_trait]
impl ChannelHarness for Harness {
    async fn start() -> Self {
        let sim = SmtpSim::start().await.unwrap();
        sim.require_auth(USER, PASSWORD);
        sim.add_unknown(NOBODY);
        Self(sim)
    }
    fn channel(&self) -> Arc<dyn Channel> {
        self.with(json!({ "username": USER, "password": PASSWORD }))
    }
    fn recipient(&self) -> Recipient {
        mail("").recipient
    }
    fn unknown_recipient(&self) -> Option<Recipient> {
        Some(mail_to(NOBODY, Text::default()).recipient)
    }
    fn arrivals(&self) -> Inbox {
        self.0.inbox().clone()
    }
    fn faults(&self) -> Option<&Faults> {
        Some(self.0.faults())
    }
    fn fault_applies(&self, fault: &Fault) -> bool {
        // A relay has no balance, and its replies are neither pages nor redirects.
        !matches!(fault, Fault::NoBalance | Fault::Answer { .. } | Fault::Redirect { .. })
    }
    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        Some(self.with(json!({ "username": USER, "password": "wrong-password" })))
    }
    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        Some(self.with(json!({ "username": USER, "password": PASSWORD, "port": 1 })))
    }
    fn left_out() -> Vec<LeftOut> {
        vec![
            LeftOut::new(
                "mail is for people and cannot be changed",
                &["event_arrives", "an_edit_changes_the_message_that_it_names", "buttons_round_trip"],
            ),
            LeftOut::new(
                "SMTP has neither idempotency keys nor lifetimes",
                &["same_key_arrives_once", "lifetime_is_passed_on_as_declared"],
            ),
            LeftOut::new(
                "nothing comes back over SMTP",
                &[
                    "answers_come_back_as_declared",
                    "genuine_webhooks_verify",
                    "forged_webhooks_do_not_verify",
                    "repeated_webhook_is_one_event",
                ],
            ),
            LeftOut::new("a relay has no balance", &["empty_balance_is_balance"]),
            LeftOut::new(
                "SMTP is not HTTP; unreadable replies are in transport.rs",
                &["gateway_errors_are_unknown", "unreadable_answer_is_unknown", "redirects_are_not_followed"],
            ),
        ]
    }
    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        let login =
            json!({ "username": USER, "password": PASSWORD, "timeout_secs": 1, "accept_timeout_secs": 1 });
        Some(self.with(login))
    }
    fn secrets(&self) -> Vec<String> {
        vec![USER.to_owned(), PASSWORD.to_owned(), "wrong-password".to_owned()]
    }
    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }
    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }
    async fn press(&self, _: &Arrival, _: &ArrivedButton) -> Inbound {
        panic!("mail has no buttons")
    }
    fn server_errors(&self) -> Vec<u16> {
        vec![421, 450, 451, 452]
    }
    fn rate_limit_names_delay(&self) -> bool {
        false
    }
}

fastlead_testkit::channel_conformance!(conformance, Harness);

#[tokio::test]
async fn a_mail_arrives_with_everything_that_belongs_to_it() {
    let (sim, _) = start().await;
    let channel = smtp(
        &sim,
        json!({ "reply_to": "sales@example.net", "return_path": "bounce+{delivery}@example.net" }),
    );
    let text = Text {
        subject: Some("Новая заявка 🎉 №7: عميل جديد".into()),
        plain: "Анна ждёт звонка".into(),
        html: Some("<p><b>Анна</b> ждёт звонка</p>".into()),
        buttons: vec![Button {
            label: "Открыть".to_owned(),
            action: ButtonAction::Open("https://example.net/l/7?a=1&b=2".to_owned().try_into().unwrap()),
        }],
    };
    let message = mail_to(ANNA, text);
    let receipt = channel.send(&message).await.unwrap();
    let arrival = sim.inbox().all().remove(0);
    assert_eq!(arrival.to, ANNA);
    assert_eq!(arrival.from, "Клиника «Пример» <leads@example.net>");
    assert_eq!(arrival.subject.as_deref(), Some("Новая заявка 🎉 №7: عميل جديد"));
    assert_eq!(arrival.text, "Анна ждёт звонка\n\nОткрыть: https://example.net/l/7?a=1&b=2");
    let markup = arrival.markup.as_deref().unwrap();
    assert!(markup.contains("<p><b>Анна</b> ждёт звонка</p>"), "{markup}");
    assert!(markup.contains("href=\"https://example.net/l/7?a=1&amp;b=2\""), "{markup}");
    let message_id = format!("<{}@example.net>", message.delivery_id);
    assert_eq!(receipt.provider_message_id.as_deref(), Some(message_id.as_str()));
    assert_eq!(arrival.provider_message_id, message_id);
    assert!(!receipt.delivered);
    assert_eq!(header(&arrival, "Reply-To").as_deref(), Some("sales@example.net"));
    assert_eq!(header(&arrival, "Auto-Submitted").as_deref(), Some("auto-generated"));
    let bounce = format!("bounce+{}@example.net", message.delivery_id.hex());
    assert_eq!(arrival.details["envelope_from"], bounce.as_str());
    let date = message.attempted_at.format("%a, %d %b %Y %H:%M:%S +0000").to_string();
    assert_eq!(header(&arrival, "Date"), Some(date));
}

#[tokio::test]
async fn hard_texts_arrive_letter_for_letter() {
    let (sim, channel) = start().await;
    let long_word = "слово".repeat(3_000);
    let many_dots = format!("{}.", "..\n.\nx\n".repeat(3_000));
    let texts = [
        "",
        ".",
        "..",
        ".\n.\n..leading dots\n.",
        "one\n\n\ntwo",
        &"x".repeat(20_000),
        &long_word,
        &many_dots,
        "=?utf-8?B?0JDQvdC90LA=?= =41 =\n= =3D",
        "--=_dlv_0190b6f45d3c7000a000000000000001\nContent-Type: text/html\n\n<b>x</b>",
        "  leading and inner   spaces\tand tabs",
        "👩‍👩‍👧‍👦 שלום\u{202e}abc\u{202c} e\u{301}",
        "Subject: x\nBcc: eve@example.org",
        "QUIT\nRSET\nMAIL FROM:<eve@example.org>",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        let both = Text { html: Some(Pii::from("<i>x</i>")), ..Text::plain(text) };
        for text_of in [Text::plain(text), both] {
            channel.send(&mail_to(ANNA, text_of)).await.unwrap();
            let arrival = sim.inbox().all().pop().unwrap();
            assert_eq!(arrival.text, text, "text {number}");
            assert_eq!(arrival.to, ANNA);
        }
    }
    assert_eq!(sim.inbox().all().len(), texts.len() * 2);
}

#[tokio::test]
async fn hard_subjects_arrive_as_one_line() {
    let (sim, channel) = start().await;
    let cyrillic = "Очень длинная тема письма ".repeat(9);
    let emoji = "👩‍👩‍👧‍👦".repeat(20);
    let word = "x".repeat(240);
    let table = [
        ("Тема", "Тема"),
        ("Тема from Anna и 日本語 🎉 end", "Тема from Anna и 日本語 🎉 end"),
        (cyrillic.as_str(), cyrillic.trim_end()),
        (emoji.as_str(), emoji.as_str()),
        (word.as_str(), word.as_str()),
        ("Hi\r\nBcc: eve@example.org\r\n\r\nbody", "Hi Bcc: eve@example.org body"),
        ("Hi\nX-Header: 1", "Hi X-Header: 1"),
        ("\"quoted\" <b>, comma; =41 \\ (c)", "\"quoted\" <b>, comma; =41 \\ (c)"),
        ("=?utf-8?B?0JDQvdC90LA=?=", "= ?utf-8?B?0JDQvdC90LA= ?="),
    ];
    for (given, seen) in table {
        let text = Text { subject: Some(given.into()), ..Text::plain("x") };
        channel.send(&mail_to(ANNA, text)).await.unwrap();
        let arrival = sim.inbox().all().pop().unwrap();
        assert_eq!(arrival.subject.as_deref(), Some(seen));
        assert_eq!(arrival.text, "x");
        assert_eq!(header(&arrival, "Bcc"), None);
        assert_eq!(header(&arrival, "X-Header"), None);
    }
    assert!(sim.inbox().all().iter().all(|arrival| arrival.to == ANNA));
}

#[tokio::test]
async fn advertising_can_be_unsubscribed_with_one_click() {
    let (sim, _) = start().await;
    let channel = smtp(&sim, json!({ "list_unsubscribe": "https://example.net/u/{delivery}" }));
    let mut message = mail("Скидка");
    message.class = MessageClass::Advertising;
    channel.send(&message).await.unwrap();
    let arrival = sim.inbox().all().remove(0);
    let page = format!("<https://example.net/u/{}>", message.delivery_id.hex());
    assert_eq!(header(&arrival, "List-Unsubscribe"), Some(page));
    assert_eq!(header(&arrival, "List-Unsubscribe-Post").as_deref(), Some("List-Unsubscribe=One-Click"));
    assert_eq!(header(&arrival, "Auto-Submitted").as_deref(), Some("auto-generated"));
}

#[tokio::test]
async fn another_attempt_carries_the_same_message_id() {
    let (sim, channel) = start().await;
    sim.faults().push(Fault::DropAfterAccept);
    let mut message = mail("once or twice");
    let error = channel.send(&message).await.unwrap_err();
    assert_eq!(error.retry(), RetryHint::UNKNOWN);
    message.attempt = 2;
    message.attempted_at = plus_seconds(message.attempted_at, 300);
    let receipt = channel.send(&message).await.unwrap();
    let ids: Vec<_> = sim.inbox().all().into_iter().map(|arrival| arrival.provider_message_id).collect();
    assert_eq!(ids, [receipt.provider_message_id.clone().unwrap(), receipt.provider_message_id.unwrap()]);
}

/// What a phase's failure must be called.
fn silent(phase: SmtpPhase) -> RetryHint {
    if phase == SmtpPhase::EndOfData { RetryHint::UNKNOWN } else { RetryHint::SAFE }
}

const PHASES: [SmtpPhase; 7] = [
    SmtpPhase::Connect,
    SmtpPhase::Ehlo,
    SmtpPhase::Auth,
    SmtpPhase::Mail,
    SmtpPhase::Rcpt,
    SmtpPhase::Data,
    SmtpPhase::EndOfData,
];

/// The error of one mail into one fault; the mail must not arrive, and the next one must.
async fn send_into(fault: SmtpFault, extra: Value) -> Error {
    let sim = SmtpSim::start().await.unwrap();
    let mut account = json!({ "username": USER, "password": PASSWORD });
    for (name, value) in extra.as_object().unwrap() {
        account[name] = value.clone();
    }
    let channel = smtp(&sim, account);
    let accepts = fault.action == SmtpAction::CloseAfterAccept && fault.at == SmtpPhase::EndOfData;
    sim.script(fault);
    let error = channel.send(&mail("x")).await.unwrap_err();
    assert_eq!(sim.inbox().all().len(), usize::from(accepts));
    channel.send(&mail("y")).await.unwrap();
    assert_eq!(sim.inbox().all().pop().unwrap().text, "y");
    assert!(!error.to_string().contains(ANNA) && !error.to_string().contains(USER), "{error}");
    error
}

#[tokio::test]
async fn a_lost_connection_is_unknown_only_after_the_message() {
    for at in PHASES {
        for action in [SmtpAction::Close, SmtpAction::CloseAfterAccept] {
            let error = send_into(SmtpFault::new(at, action), json!({})).await;
            assert_eq!(
                (error.kind(), error.retry()),
                (ErrorKind::Unavailable, silent(at)),
                "{at:?}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn silence_is_unknown_only_after_the_message() {
    let limits = json!({ "timeout_secs": 1, "accept_timeout_secs": 1 });
    let hangs =
        PHASES.map(|at| tokio::spawn(send_into(SmtpFault::new(at, SmtpAction::Hang), limits.clone())));
    for (at, hang) in PHASES.into_iter().zip(hangs) {
        let error = hang.await.unwrap();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, silent(at)), "{at:?}: {error}");
    }
}

#[tokio::test]
async fn nonsense_is_unknown_only_after_the_message() {
    for at in PHASES {
        for bytes in
            ["HTTP/1.1 400 Bad Request\r\n\r\n", "250-never\r\n451 equal\r\n", "999 what\r\n", "\u{fffd}\r\n"]
        {
            let action = SmtpAction::Raw { bytes: bytes.to_owned() };
            let error = send_into(SmtpFault::new(at, action), json!({})).await;
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, silent(at)), "{at:?}: {error}");
        }
    }
    // "Go on" is no answer to a finished message, and "done" none to DATA.
    for (at, code, retry) in [
        (SmtpPhase::EndOfData, 354, RetryHint::UNKNOWN),
        (SmtpPhase::Data, 250, RetryHint::SAFE),
        (SmtpPhase::Rcpt, 354, RetryHint::SAFE),
    ] {
        let error = send_into(SmtpFault::reply(at, code, "2.0.0 Ok"), json!({})).await;
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, retry), "{at:?} {code}");
    }
}

#[tokio::test]
async fn a_reply_is_a_definite_answer_at_every_phase() {
    for at in PHASES {
        let error = send_into(SmtpFault::reply(at, 421, "4.3.2 Service shutting down"), json!({})).await;
        let wanted = (ErrorKind::Unavailable, RetryHint::SAFE, Some("421 4.3.2"));
        assert_eq!((error.kind(), error.retry(), error.provider_code()), wanted, "{at:?}: {error}");
    }
    for (at, code, text, kind) in [
        (SmtpPhase::Connect, 554, "5.7.1 Client host rejected", ErrorKind::Config),
        (SmtpPhase::Auth, 535, "5.7.8 authentication failed for login-of-the-account", ErrorKind::Auth),
        (SmtpPhase::Mail, 553, "5.7.1 <{address}>: Sender address rejected", ErrorKind::Config),
        (SmtpPhase::Rcpt, 550, "5.1.1 <{address}>: User unknown\n5.1.1 in table", ErrorKind::Recipient),
        (SmtpPhase::Rcpt, 554, "5.7.1 <{address}>: Relay access denied", ErrorKind::Config),
        (SmtpPhase::Data, 554, "5.5.1 no valid recipients", ErrorKind::Invalid),
        (SmtpPhase::EndOfData, 554, "5.7.1 spam to {address}", ErrorKind::Content),
    ] {
        let error = send_into(SmtpFault::reply(at, code, text), json!({})).await;
        assert_eq!((error.kind(), error.retry()), (kind, RetryHint::Never), "{at:?}: {error}");
        let shown = error.provider_code().unwrap();
        assert!(shown.starts_with(&code.to_string()) && shown.len() == 9, "{shown}");
    }
}

#[tokio::test]
async fn a_slow_last_word_is_waited_for() {
    let (sim, _) = start().await;
    let channel = smtp(&sim, json!({ "timeout_secs": 1, "accept_timeout_secs": 60 }));
    sim.script(SmtpFault::new(SmtpPhase::EndOfData, SmtpAction::Delay { millis: 1_300 }));
    channel.send(&mail("slow")).await.unwrap();
    assert_eq!(sim.inbox().all().len(), 1);
}

/// A server that takes the first commands and then behaves as `end` says.
async fn custom_server(answers: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            for answer in answers {
                stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
                let mut line = String::new();
                if *answer != answers[answers.len() - 1] {
                    stream.read_line(&mut line).await.unwrap();
                }
            }
            kept.push(stream);
        }
    });
    port
}

#[tokio::test]
async fn a_message_that_was_not_written_to_its_end_may_be_sent_again() {
    // After DATA nobody reads: the network takes some of the message, and never the rest.
    let port = custom_server(&["220 a\r\n", "250 a\r\n", "250 b\r\n", "250 c\r\n", "354 d\r\n"]).await;
    let channel = smtp_at(port, json!({ "timeout_secs": 1 }));
    let huge = "a long text that no socket buffer can hold\n".repeat(180_000);
    let error = channel.send(&mail(&huge)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, RetryHint::SAFE), "{error}");
    assert!(error.context().contains(&("phase", "body".to_owned())), "{error}");

    let (sim, channel) = start().await;
    let action = SmtpAction::Raw { bytes: "354 go ahead\r\n".to_owned() };
    sim.script(SmtpFault::new(SmtpPhase::Data, action));
    let error = channel.send(&mail(&huge)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE), "{error}");
    assert!(sim.inbox().all().is_empty());
}

#[tokio::test]
async fn connections_are_used_again_until_they_are_old_or_gone() {
    let (sim, channel) = start().await;
    sim.add_unknown(NOBODY);
    let first = mail("1");
    channel.send(&first).await.unwrap();
    channel.send(&mail("2")).await.unwrap();
    assert_eq!(sim.connections(), 1);
    // A refused recipient does not cost the connection.
    channel.send(&mail_to(NOBODY, Text::plain("3"))).await.unwrap_err();
    channel.send(&mail("4")).await.unwrap();
    assert_eq!(sim.connections(), 1);
    // The server went away while nobody looked.
    sim.script(SmtpFault::new(SmtpPhase::Rset, SmtpAction::Close));
    channel.send(&mail("5")).await.unwrap();
    assert_eq!(sim.connections(), 2);
    let mut later = mail("6");
    later.attempted_at = plus_seconds(first.attempted_at, 120);
    channel.send(&later).await.unwrap();
    assert_eq!(sim.connections(), 3);
    assert_eq!(sim.inbox().all().len(), 5);
}

#[tokio::test]
async fn a_connection_retires_after_a_hundred_mails() {
    let (sim, channel) = start().await;
    for number in 1..=101 {
        channel.send(&mail(&number.to_string())).await.unwrap();
    }
    assert_eq!((sim.connections(), sim.inbox().all().len()), (2, 101));
}

#[tokio::test]
async fn the_pool_keeps_its_limit() {
    let sim = SmtpSim::start().await.unwrap();
    let channel = Arc::new(smtp(&sim, json!({ "pool_max": 2 })));
    assert_eq!(channel.capabilities().max_in_flight, 2);
    assert_eq!(channel.capabilities().attempt_timeout_millis, Some(10_000), "to hand over, and to accept");
    let sends: Vec<_> = (0..12)
        .map(|number| {
            let channel = Arc::clone(&channel);
            tokio::spawn(async move { channel.send(&mail(&number.to_string())).await })
        })
        .collect();
    for send in sends {
        send.await.unwrap().unwrap();
    }
    assert_eq!(sim.inbox().all().len(), 12);
    assert!(sim.connections() <= 2, "{}", sim.connections());
}

#[tokio::test]
async fn a_mail_that_finds_no_free_connection_was_not_sent() {
    let sim = SmtpSim::start().await.unwrap();
    let limits = json!({ "pool_max": 1, "timeout_secs": 1, "accept_timeout_secs": 60 });
    let channel = Arc::new(smtp(&sim, limits));
    sim.script(SmtpFault::new(SmtpPhase::EndOfData, SmtpAction::Hang));
    let blocked = {
        let channel = Arc::clone(&channel);
        tokio::spawn(async move { channel.send(&mail("blocks")).await })
    };
    while !sim.commands().iter().any(|command| command == "DATA") {
        tokio::task::yield_now().await;
    }
    let error = channel.send(&mail("waits")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Overloaded, RetryHint::SAFE));
    blocked.abort();
}

#[tokio::test]
async fn every_common_way_to_sign_in() {
    let sim = SmtpSim::start().await.unwrap();
    sim.require_auth(USER, PASSWORD);
    for mechanisms in [json!(["plain"]), json!(["login"]), json!(["login", "plain"])] {
        let account = json!({ "username": USER, "password": PASSWORD, "mechanisms": mechanisms });
        let channel = smtp(&sim, account);
        channel.check().await.unwrap();
        channel.send(&mail("x")).await.unwrap();
        assert_eq!(sim.inbox().all().pop().unwrap().details["login"], USER);
        let wrong = smtp(&sim, json!({ "username": USER, "password": "no", "mechanisms": mechanisms }));
        let error = wrong.check().await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Auth, RetryHint::Never));
    }
    let nobody = smtp(&sim, json!({}));
    assert_eq!(nobody.send(&mail("x")).await.unwrap_err().kind(), ErrorKind::Auth);
    let token = smtp(&sim, json!({ "username": USER, "password": "token", "mechanisms": ["xoauth2"] }));
    assert_eq!(token.check().await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn check_signs_in_and_sends_nothing() {
    let sim = SmtpSim::start().await.unwrap();
    let channel =
        smtp(&sim, json!({ "username": USER, "password": PASSWORD, "hello_name": "app.example.net" }));
    channel.check().await.unwrap();
    assert_eq!(sim.commands(), ["EHLO app.example.net", "AUTH", "NOOP", "QUIT"]);
}

#[tokio::test]
async fn encryption_that_is_wanted_and_not_there() {
    let (sim, _) = start().await;
    let required = smtp(&sim, json!({ "tls": "required", "username": USER, "password": PASSWORD }));
    let error = required.send(&mail("x")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
    assert!(!sim.commands().iter().any(|command| command == "AUTH" || command.starts_with("MAIL")));
    let wrapper = smtp(&sim, json!({ "tls": "wrapper" }));
    let error = wrapper.send(&mail("x")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE), "{error}");
}

#[tokio::test]
async fn addresses_outside_ascii() {
    let (sim, channel) = start().await;
    channel.send(&mail_to("anna@пример.рф", Text::plain("домен"))).await.unwrap();
    channel.send(&mail_to("анна@пример.рф", Text::plain("всё"))).await.unwrap();
    let to: Vec<_> = sim.inbox().all().into_iter().map(|arrival| arrival.to).collect();
    assert_eq!(to, ["anna@xn--e1afmkfd.xn--p1ai", "анна@xn--e1afmkfd.xn--p1ai"]);
    sim.withhold("SMTPUTF8");
    sim.withhold("8BITMIME");
    let channel = smtp(&sim, json!({}));
    channel.send(&mail_to("anna@пример.рф", Text::plain("домен"))).await.unwrap();
    let error = channel.send(&mail_to("анна@пример.рф", Text::plain("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unsupported, RetryHint::Never));
    assert!(!error.to_string().contains("анна"));
    channel.send(&mail("the connection is still good")).await.unwrap();
    assert_eq!(sim.connections(), 2);
}

/// RFC 5321 section 4.2: the text of a reply is optional.
#[tokio::test]
async fn replies_of_a_bare_code_are_replies() {
    let sim = SmtpSim::start().await.unwrap();
    sim.require_auth(USER, PASSWORD);
    sim.answer_with_codes_only(true);
    for mechanism in ["plain", "login"] {
        let login = json!({ "username": USER, "password": PASSWORD, "mechanisms": [mechanism] });
        let channel = smtp(&sim, login);
        channel.check().await.unwrap();
        channel.send(&mail("a")).await.unwrap();
        channel.send(&mail(&"long ".repeat(10_000))).await.unwrap();
    }
    assert_eq!(sim.inbox().all().len(), 4);
    sim.add_unknown("nobody@example.org");
    let error = smtp(&sim, json!({ "username": USER, "password": PASSWORD }))
        .send(&mail_to("nobody@example.org", Text::plain("x")))
        .await
        .unwrap_err();
    // A code alone does not tell whether it is the mailbox or the message that is refused.
    assert_eq!((error.provider_code(), error.retry()), (Some("550"), RetryHint::Never), "{error}");
}

#[tokio::test]
async fn a_sender_that_needs_smtputf8_is_found_by_a_check() {
    let sim = SmtpSim::start().await.unwrap();
    let channel = smtp(&sim, json!({ "from": { "address": "заявки@example.com" } }));
    channel.check().await.unwrap();
    channel.send(&mail("a")).await.unwrap();
    sim.withhold("SMTPUTF8");
    let channel = smtp(&sim, json!({ "from": { "address": "заявки@example.com" } }));
    for error in [channel.check().await.unwrap_err(), channel.send(&mail("a")).await.unwrap_err()] {
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
        assert!(error.message().starts_with("`from.address`"), "{error}");
    }
}

#[tokio::test]
async fn enough_for_one_session_is_taken_over_the_next() {
    let (sim, channel) = start().await;
    channel.send(&mail("a")).await.unwrap();
    sim.script(SmtpFault::reply(SmtpPhase::Mail, 452, "4.5.3 Too many messages this session"));
    let error = channel.send(&mail("b")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE), "{error}");
    channel.send(&mail("b")).await.unwrap();
    assert_eq!((sim.connections(), sim.inbox().all().len()), (2, 2));
}

#[tokio::test]
async fn mailboxes_with_troubles_of_their_own() {
    let (sim, channel) = start().await;
    sim.add_full("full@example.org");
    let error = channel.send(&mail_to("full@example.org", Text::plain("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.provider_code()), (ErrorKind::Recipient, Some("452 4.2.2")));
    assert_eq!(error.retry().after(), Some(Duration::from_secs(3_600)));

    sim.greylist(true);
    let message = mail("patience");
    let error = channel.send(&message).await.unwrap_err();
    // It is put off for this recipient, and says nothing against mails to others.
    assert_eq!((error.kind(), error.provider_code()), (ErrorKind::Recipient, Some("451 4.7.1")));
    assert_eq!(error.retry(), RetryHint::Safe { after: Some(Duration::from_secs(300)) });
    channel.send(&message).await.unwrap();

    sim.limit_size(2_000);
    let error = channel.send(&mail(&"x".repeat(5_000))).await.unwrap_err();
    assert_eq!((error.kind(), error.provider_code()), (ErrorKind::Content, Some("552 5.3.4")));
    assert_eq!(sim.inbox().all().len(), 1);
}

#[tokio::test]
async fn the_registry_builds_it_and_shows_a_form() {
    let registry = Registry::builder().channel::<SmtpAdapter>().build().unwrap();
    let id = ChannelId::generate(&RandomIds, epoch());
    let channel = registry
        .build("smtp", id, "mail", config(25, json!({ "host": "smtp.example.com", "tls": "required" })))
        .unwrap();
    assert_eq!(channel.info().kind, "smtp");
    let schema = serde_json::to_value(registry.schema("smtp").unwrap()).unwrap();
    let fields = schema["properties"].as_object().unwrap();
    for (name, field) in fields {
        assert!(field["description"].as_str().is_some_and(|text| text.len() > 10), "{name} has no label");
    }
    assert_eq!(fields["password"]["writeOnly"], true);
    assert_eq!(fields["username"]["format"], "password");
    let wrong = config(25, json!({ "password": PASSWORD, "timeout_secs": "soon" }));
    let error = registry.build("smtp", id, "mail", wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains(PASSWORD));
}
