//! The same fact of the network has the same meaning in every adapter: one table over all of them.
//!
//! HTTP statuses mean what [RFC 9110 section 15](https://www.rfc-editor.org/rfc/rfc9110#section-15) says. Where a provider
//! answers in words of its own, these decide; the answers here have none. HTTP/2's refusals are beside the shared code, in
//! `http_tests.rs`.

use std::sync::Arc;

use fastlead_core::channel::{Channel, SendReceipt};
use fastlead_core::contact::{Email, Phone};
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::{Content, OutboundMessage, Recipient, RecipientKind, Text};
use fastlead_core::registry::Registry;
use fastlead_core::secret::Pii;
use fastlead_core::time::epoch;
use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use fastlead_testkit::conformance::channel::outbound;
use fastlead_testkit::sim::smtp::SmtpSim;
use fastlead_testkit::sim::webhook::WebhookSim;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::certificates::Authority;
use super::egress::loopback;

const HTTP: [&str; 7] = ["telegram", "max", "postal", "smsc", "vk", "webhook", "whatsapp"];
const ALL: [&str; 8] = ["telegram", "max", "postal", "smsc", "vk", "webhook", "whatsapp", "smtp"];
/// Those that answer in words of their own.
const SPOKEN: [&str; 6] = ["telegram", "max", "postal", "smsc", "vk", "whatsapp"];

/// What a server does once it has got the whole message.
#[derive(Debug, Clone, Copy)]
enum Play {
    /// Says these bytes and closes the connection.
    Say(&'static str),
    /// Says nothing.
    Silence,
}

/// Whether the message may be handed over again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// It was certainly not taken.
    Safe,
    /// Nobody knows.
    Unknown,
    Never,
}

impl Again {
    fn of(error: &Error) -> Self {
        match error.retry() {
            RetryHint::Safe { .. } => Self::Safe,
            RetryHint::IfIdempotent { .. } => Self::Unknown,
            RetryHint::Never => Self::Never,
        }
    }
}

fn channel(kind: &str, host: &str, port: u16, encrypted: bool) -> Arc<dyn Channel> {
    let url = format!("{}://{host}:{port}", if encrypted { "https" } else { "http" });
    let config: Value = match kind {
        "telegram" => json!({"bot_token": "123456:ABC-DEF", "endpoint": url, "timeout_secs": 1}),
        "max" => json!({"bot_token": "some-token", "endpoint": url, "timeout_secs": 1}),
        "postal" => json!({
            "api_key": "k", "endpoint": url, "from": {"address": "leads@example.net"}, "timeout_secs": 1,
        }),
        "smsc" => json!({"api_key": "k", "endpoint": url, "timeout_secs": 1}),
        "vk" => json!({"access_token": "k", "group_id": 1, "endpoint": url, "timeout_secs": 1}),
        "whatsapp" => {
            json!({"access_token": "k", "phone_number_id": "1", "endpoint": url, "timeout_secs": 1})
        }
        "webhook" => {
            json!({"url": url, "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"], "timeout_secs": 1})
        }
        _ => json!({
            "host": host, "port": port, "tls": if encrypted { "wrapper" } else { "none" },
            "from": {"address": "leads@example.net"}, "timeout_secs": 1, "accept_timeout_secs": 1,
        }),
    };
    let registry = Registry::builder().apply(fastlead_channels::register_with(loopback())).build().unwrap();
    registry.build(kind, ChannelId::generate(&RandomIds, epoch()), "some", config).unwrap()
}

fn message(channel: &dyn Channel) -> OutboundMessage {
    let recipient = match channel.capabilities().recipients[0] {
        RecipientKind::Phone => Recipient::Phone(Phone::parse("+79000000000").unwrap()),
        RecipientKind::Email => Recipient::Email(Email::parse("anna@example.com").unwrap()),
        RecipientKind::Chat => Recipient::Chat(Pii::from("790000000")),
        _ => Recipient::Endpoint,
    };
    outbound(recipient, Content::Text(Text::plain("hello")))
}

async fn send(channel: &dyn Channel) -> Result<SendReceipt> {
    channel.send(&message(channel)).await
}

/// A server that reads one whole message, over HTTP or SMTP, and then plays.
struct Server {
    port: u16,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    async fn start(kind: &str, play: Play) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let smtp = kind == "smtp";
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    // A client that goes away early is no fault of the server's.
                    let taken =
                        if smtp { take_mail(&mut stream).await } else { take_request(&mut stream).await };
                    if taken.is_ok() {
                        perform(stream, play).await;
                    }
                });
            }
        });
        Self { port, _task: AbortOnDropHandle::new(task) }
    }
}

async fn perform(mut stream: BufReader<TcpStream>, play: Play) {
    match play {
        Play::Say(words) => {
            let _gone = stream.get_mut().write_all(words.as_bytes()).await;
            let _gone = stream.get_mut().shutdown().await;
        }
        Play::Silence => std::future::pending().await,
    }
}

async fn take_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(())
}

async fn take_mail(stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    stream.get_mut().write_all(b"220 mail.example.test\r\n").await?;
    let mut in_message = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match (in_message, line.as_str()) {
            (true, ".\r\n") => return Ok(()),
            (true, _) => {}
            (false, "DATA\r\n") => {
                in_message = true;
                stream.get_mut().write_all(b"354 go on\r\n").await?;
            }
            (false, _) => stream.get_mut().write_all(b"250 ok\r\n").await?,
        }
    }
}

#[tokio::test]
async fn what_comes_after_the_message_was_handed_over() {
    use ErrorKind::{Invalid, Protocol, RateLimited, Timeout, Unavailable};
    use Play::{Say, Silence};
    let table: &[(&str, &[&str], Play, ErrorKind, Again)] = &[
        ("an empty reply", &ALL, Say(""), Unavailable, Again::Unknown),
        ("silence", &ALL, Silence, Timeout, Again::Unknown),
        ("what is no answer at all", &ALL, Say("hello there\r\n"), Protocol, Again::Unknown),
        ("an answer cut off in its first line", &HTTP, Say("HTTP/1.1 2"), Unavailable, Again::Unknown),
        ("a reply cut off in its first line", &["smtp"], Say("25"), Unavailable, Again::Unknown),
        (
            "a body cut off",
            &SPOKEN,
            Say("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"),
            Unavailable,
            Again::Unknown,
        ),
        (
            "an unreadable 200",
            &SPOKEN,
            Say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<h1>Welcome</h1>"),
            Protocol,
            Again::Unknown,
        ),
        (
            "an empty 200",
            &SPOKEN,
            Say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            Protocol,
            Again::Unknown,
        ),
        ("301", &HTTP, Say("HTTP/1.1 301 Moved\r\nlocation: /\r\n\r\n"), Unavailable, Again::Safe),
        ("302", &HTTP, Say("HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n"), Unavailable, Again::Unknown),
        ("303", &HTTP, Say("HTTP/1.1 303 See Other\r\nlocation: /\r\n\r\n"), Unavailable, Again::Unknown),
        ("307", &HTTP, Say("HTTP/1.1 307 Moved\r\nlocation: /\r\n\r\n"), Unavailable, Again::Safe),
        ("400", &HTTP, Say("HTTP/1.1 400 Bad Request\r\n\r\n<h1>"), Invalid, Again::Safe),
        ("404", &HTTP, Say("HTTP/1.1 404 Not Found\r\n\r\n<h1>"), Invalid, Again::Safe),
        ("405", &HTTP, Say("HTTP/1.1 405 Method Not Allowed\r\n\r\n"), Invalid, Again::Safe),
        ("408", &HTTP, Say("HTTP/1.1 408 Request Timeout\r\n\r\n"), Timeout, Again::Unknown),
        ("409", &HTTP, Say("HTTP/1.1 409 Conflict\r\n\r\n"), Invalid, Again::Unknown),
        ("429", &HTTP, Say("HTTP/1.1 429 Slow Down\r\n\r\n"), RateLimited, Again::Safe),
        ("500", &HTTP, Say("HTTP/1.1 500 Error\r\n\r\n"), Unavailable, Again::Unknown),
        ("502", &HTTP, Say("HTTP/1.1 502 Bad Gateway\r\n\r\n<h1>"), Unavailable, Again::Unknown),
        ("503", &HTTP, Say("HTTP/1.1 503 Unavailable\r\n\r\n"), Unavailable, Again::Unknown),
        ("503, later", &HTTP, Say("HTTP/1.1 503 No\r\nretry-after: 7\r\n\r\n"), RateLimited, Again::Unknown),
        ("504", &HTTP, Say("HTTP/1.1 504 Gateway Timeout\r\n\r\n"), Unavailable, Again::Unknown),
    ];
    for (fact, kinds, play, expected, again) in table {
        for kind in *kinds {
            let server = Server::start(kind, *play).await;
            let error = send(&*channel(kind, "127.0.0.1", server.port, false)).await.unwrap_err();
            assert_eq!((error.kind(), Again::of(&error)), (*expected, *again), "{fact}, {kind}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_named_delay_is_passed_on_exactly() {
    for (head, seconds) in
        [("retry-after: 7", 7), ("retry-after: 86400", 86_400), ("Retry-After: 999999", 86_400)]
    {
        let answer: &'static str = format!("HTTP/1.1 429 Slow Down\r\n{head}\r\n\r\n").leak();
        for kind in HTTP {
            let server = Server::start(kind, Play::Say(answer)).await;
            let error = send(&*channel(kind, "127.0.0.1", server.port, false)).await.unwrap_err();
            let after = Some(std::time::Duration::from_secs(seconds));
            assert_eq!(error.retry(), RetryHint::Safe { after }, "{kind}: {error:?}");
        }
    }
}

/// Asking again after a question is always safe, whatever came of it.
#[tokio::test]
async fn a_question_leaves_no_outcome_unknown() {
    for play in [Play::Say(""), Play::Silence, Play::Say("HTTP/1.1 502 Bad Gateway\r\n\r\n")] {
        for kind in SPOKEN {
            let server = Server::start(kind, play).await;
            let error = channel(kind, "127.0.0.1", server.port, false).check().await.unwrap_err();
            assert_eq!(Again::of(&error), Again::Safe, "{kind}, {play:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn what_keeps_the_message_from_being_handed_over() {
    // Bound and not listening, so that nobody else gets the port.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = closed.local_addr().unwrap().port();
    let no_tls = WebhookSim::start().await.unwrap();
    let no_tls_port = url::Url::parse(&no_tls.url()).unwrap().port().unwrap();
    let no_tls_mail = SmtpSim::start().await.unwrap();
    for kind in ALL {
        let other = if kind == "smtp" { no_tls_mail.address().port() } else { no_tls_port };
        for (fact, channel) in [
            ("refused", channel(kind, "127.0.0.1", nobody, false)),
            // RFC 6761 section 6.4: names under `invalid` never exist.
            ("no such name", channel(kind, "provider.invalid", 443, true)),
            ("no tls", channel(kind, "127.0.0.1", other, true)),
        ] {
            for error in [send(&*channel).await.unwrap_err(), channel.check().await.unwrap_err()] {
                assert_eq!(
                    (error.kind(), error.retry()),
                    (ErrorKind::Unavailable, RetryHint::SAFE),
                    "{fact}, {kind}: {error:?}"
                );
            }
        }
    }
    let authority = Authority::new();
    for kind in ALL {
        for certificate in authority.unacceptable("127.0.0.1") {
            let (web, mail);
            let port = if kind == "smtp" {
                let security = fastlead_testkit::sim::smtp::SmtpSecurity::Wrapper;
                mail = SmtpSim::start_tls(certificate, security).await.unwrap();
                mail.address().port()
            } else {
                web = WebhookSim::start_tls(certificate).await.unwrap();
                url::Url::parse(&web.url()).unwrap().port().unwrap()
            };
            let error = send(&*channel(kind, "127.0.0.1", port, true)).await.unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{kind}");
        }
    }
}
