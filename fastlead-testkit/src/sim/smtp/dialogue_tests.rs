//! The server spoken to by hand, so that no client library can hide what it says.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{SmtpAction, SmtpFault, SmtpPhase, SmtpSim};
use crate::sim::Fault;

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(sim: &SmtpSim) -> Self {
        let stream = TcpStream::connect(sim.address()).await.unwrap();
        let mut client = Self(BufReader::new(stream));
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    /// A whole reply, its lines joined by `|`; empty where the connection has ended.
    async fn reply(&mut self) -> String {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.unwrap_or(0) == 0 {
                return lines.join("|");
            }
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line.trim_end().to_owned());
            if !more {
                return lines.join("|");
            }
        }
    }

    async fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn say(&mut self, line: &str) -> String {
        self.write(&format!("{line}\r\n")).await;
        self.reply().await
    }

    /// Says each line and checks the start of each reply.
    async fn play(&mut self, script: &[(&str, &str)]) {
        for (line, wanted) in script {
            let reply = self.say(line).await;
            assert!(reply.starts_with(wanted), "{line} got {reply}, not {wanted}");
        }
    }
}

const TO_DATA: &[(&str, &str)] = &[
    (
        "EHLO client.example",
        "250-mail.example.test|250-PIPELINING|250-SIZE 10485760|250-8BITMIME|250-SMTPUTF8|250-AUTH PLAIN LOGIN|250 ENHANCEDSTATUSCODES",
    ),
    ("MAIL FROM:<a@example.com>", "250 2.1.0"),
    ("RCPT TO:<b@example.com>", "250 2.1.5"),
    ("DATA", "354 "),
];

const HEAD: &str = "From: a@example.com\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n";

#[tokio::test]
async fn commands_are_taken_in_their_order_only() {
    let sim = SmtpSim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client
        .play(&[
            ("MAIL FROM:<a@example.com>", "503 5.5.1"),
            ("ehlo client.example", "250-"),
            ("RCPT TO:<b@example.com>", "503 5.5.1"),
            ("DATA", "503 5.5.1"),
            ("MAIL FROM:a@example.com", "501 5.5.4"),
            ("MAIL FROM:<a@example.com> SIZE=99999999", "552 5.3.4"),
            ("MAIL FROM:<a@example.com> SIZE=x", "501 5.5.4"),
            ("MAIL FROM:<a@example.com> RET=FULL", "555 5.5.4"),
            ("MAIL FROM:<анна@example.com>", "553 5.6.7"),
            ("MAIL FROM:<nowhere>", "501 5.1.7"),
            ("MAIL FROM:<> BODY=8BITMIME SMTPUTF8", "250 2.1.0"),
            ("MAIL FROM:<a@example.com>", "503 5.5.1"),
            ("DATA", "503 5.5.1"),
            ("RSET", "250 2.0.0"),
            ("mail from:<a@example.com> size=100", "250 2.1.0"),
            ("RCPT TO:<b@example.com> NOTIFY=NEVER", "555 5.5.4"),
            ("RCPT TO:<nowhere>", "501 5.1.3"),
            ("RCPT TO:<анна@example.com>", "553 5.6.7"),
            ("NOOP", "250 2.0.0"),
            ("VRFY b", "252 2.5.2"),
            ("STARTTLS", "500 5.5.2"),
            (&"x".repeat(5_000), "500 5.5.2"),
            ("EHLO", "501 5.5.4"),
            ("HELO client.example", "250 mail.example.test"),
            ("QUIT", "221 2.0.0"),
        ])
        .await;
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn pipelined_mail_for_two_with_doubled_dots() {
    let sim = SmtpSim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.say("EHLO client.example").await;
    client
        .write("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nDATA\r\n")
        .await;
    for wanted in ["250 2.1.0", "250 2.1.5", "250 2.1.5", "354 "] {
        assert!(client.reply().await.starts_with(wanted));
    }
    client
        .write(&format!("{HEAD}Subject: =?utf-8?q?=D0=AF?=\r\n\r\n..\r\n...x\r\nend\r\n.\r\nNOOP\r\n"))
        .await;
    assert!(client.reply().await.starts_with("250 2.0.0 Ok: queued as "));
    assert!(client.reply().await.starts_with("250 2.0.0"));
    let arrivals = sim.inbox().all();
    let to: Vec<_> = arrivals.iter().map(|arrival| arrival.to.as_str()).collect();
    assert_eq!(to, ["b@example.com", "c@example.com"]);
    assert_eq!(arrivals[0].text, ".\n..x\nend");
    assert_eq!(arrivals[0].subject.as_deref(), Some("Я"));
    assert_eq!(arrivals[0].details["envelope_from"], "a@example.com");
}

#[tokio::test]
async fn sloppy_messages_are_refused_and_the_dialogue_goes_on() {
    let sim = SmtpSim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let long = format!("{HEAD}\r\n{}\r\n.\r\n", "x".repeat(999));
    let longest = format!("{HEAD}\r\n..{}\r\n.\r\n", "x".repeat(997));
    for (message, wanted) in [
        (long.as_str(), "554 5.6.0 Line longer"),
        (&format!("{HEAD}\r\none\ntwo\r\n.\r\n"), "554 5.6.0 Bare"),
        (&format!("{HEAD}\r\none\rtwo\r\n.\r\n"), "554 5.6.0 Bare"),
        (&format!("{HEAD}\r\none\n.\r\ntwo\r\n.\r\n"), "554 5.6.0 Bare"),
        (&format!("{HEAD}\r\nЯ\r\n.\r\n"), "554 5.6.1"),
        ("Subject: x\r\n\r\nbody\r\n.\r\n", "554 5.6.0 From and Date"),
        (longest.as_str(), "250 2.0.0"),
    ] {
        client.play(TO_DATA).await;
        client.write(message).await;
        let reply = client.reply().await;
        assert!(reply.starts_with(wanted), "{reply}, not {wanted}");
    }
    assert_eq!(sim.inbox().all().len(), 1);
    sim.limit_size(300);
    client.say("RSET").await;
    client.play(&TO_DATA[1..]).await;
    client.write(&format!("{HEAD}\r\n{}.\r\n", "a line of the body\r\n".repeat(20))).await;
    assert!(client.reply().await.starts_with("552 5.3.4"));
}

#[tokio::test]
async fn a_message_that_is_cut_off_never_arrives() {
    let sim = SmtpSim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.play(TO_DATA).await;
    client.write(&format!("{HEAD}\r\nhalf a message\r\n.")).await;
    client.0.get_mut().shutdown().await.unwrap();
    assert_eq!(client.reply().await, "");
    assert!(sim.inbox().all().is_empty());
}

#[tokio::test]
async fn logins() {
    let sim = SmtpSim::start().await.unwrap();
    sim.require_auth("user", "pass");
    let mut client = Client::connect(&sim).await;
    client
        .play(&[
            ("AUTH PLAIN AHVzZXIAcGFzcw==", "503 5.5.1"),
            ("EHLO client.example", "250-"),
            ("MAIL FROM:<a@example.com>", "530 5.7.0"),
            ("AUTH CRAM-MD5", "504 5.5.4"),
            ("AUTH PLAIN !!!", "501 5.5.2"),
            ("AUTH PLAIN AHVzZXIAd3Jvbmc=", "535 5.7.8"),
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("dXNlcg==", "334 UGFzc3dvcmQ6"),
            ("d3Jvbmc=", "535 5.7.8"),
            ("AUTH LOGIN dXNlcg==", "334 UGFzc3dvcmQ6"),
            ("cGFzcw==", "235 2.7.0"),
            ("AUTH PLAIN AHVzZXIAcGFzcw==", "503 5.5.1"),
            ("MAIL FROM:<a@example.com>", "250 2.1.0"),
        ])
        .await;
    let mut other = Client::connect(&sim).await;
    other.play(&[("EHLO c", "250-"), ("AUTH PLAIN", "334"), ("AHVzZXIAcGFzcw==", "235 2.7.0")]).await;
    assert!(sim.commands().iter().all(|command| !command.contains("AHVz")), "logins are not remembered");
}

#[tokio::test]
async fn mailboxes_that_cannot_be_written_to() {
    let sim = SmtpSim::start().await.unwrap();
    sim.add_unknown("Nobody@example.com");
    sim.add_full("full@example.com");
    let mut client = Client::connect(&sim).await;
    client
        .play(&[
            ("EHLO c", "250-"),
            ("MAIL FROM:<a@example.com>", "250"),
            ("RCPT TO:<nobody@example.com>", "550 5.1.1 <nobody@example.com>"),
            ("RCPT TO:<full@example.com>", "452 4.2.2 <full@example.com>"),
        ])
        .await;
    sim.greylist(true);
    client
        .play(&[
            ("RCPT TO:<b@example.com>", "451 4.7.1"),
            ("RCPT TO:<b@example.com>", "250 2.1.5"),
            ("RCPT TO:<c@example.com>", "451 4.7.1"),
        ])
        .await;
    sim.greylist(false);
    for number in 1..100 {
        client.play(&[(&format!("RCPT TO:<p{number}@example.com>"), "250 2.1.5")]).await;
    }
    client.play(&[("RCPT TO:<one-too-many@example.com>", "452 4.5.3")]).await;
}

#[tokio::test]
async fn trouble_comes_when_it_was_asked_for() {
    let sim = SmtpSim::start().await.unwrap();
    sim.faults().push(Fault::BadRecipient);
    sim.script(SmtpFault::reply(SmtpPhase::Noop, 421, "4.3.2 first\n4.3.2 second"));
    let mut client = Client::connect(&sim).await;
    client
        .play(&[
            ("EHLO c", "250-"),
            ("MAIL FROM:<a@example.com>", "250"),
            ("RCPT TO:<b@example.com>", "550 5.1.1 <b@example.com>"),
            ("RCPT TO:<b@example.com>", "250"),
            ("NOOP", "421-4.3.2 first|421 4.3.2 second"),
        ])
        .await;
    assert_eq!(client.reply().await, "");
    sim.script(SmtpFault::new(SmtpPhase::Mail, SmtpAction::Hang));
    let mut client = Client::connect(&sim).await;
    client.say("EHLO c").await;
    client.write("MAIL FROM:<a@example.com>\r\nNOOP\r\n").await;
    client.0.get_mut().shutdown().await.unwrap();
    assert_eq!(client.reply().await, "");
    assert_eq!(sim.connections(), 2);
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let sim = SmtpSim::start().await.unwrap();
    let address = sim.address();
    let mut client = Client::connect(&sim).await;
    drop(sim);
    assert_eq!(client.reply().await, "");
    assert!(TcpStream::connect(address).await.is_err());
}
