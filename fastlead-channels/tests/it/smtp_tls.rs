//! SMTP over TLS, from the first byte and after STARTTLS.

use fastlead_channels::smtp::{Smtp, SmtpConfig};
use fastlead_core::channel::{Channel, ChannelInfo};
use fastlead_core::contact::Email;
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::{Content, OutboundMessage, Recipient, Text};
use fastlead_core::time::epoch;
use fastlead_core::{Error, ErrorKind, RetryHint};
use fastlead_testkit::conformance::channel::outbound;
use fastlead_testkit::sim::smtp::{SmtpSecurity, SmtpSim};
use serde_json::json;

use super::certificates::Authority;
use super::egress::loopback;

const USER: &str = "login-of-the-account";
const PASSWORD: &str = "app-password-123";
const BOTH: [(SmtpSecurity, &str); 2] =
    [(SmtpSecurity::Wrapper, "wrapper"), (SmtpSecurity::StartTls, "required")];

fn smtp(sim: &SmtpSim, tls: &str, ca_pem: Option<&str>) -> Smtp {
    let config: SmtpConfig = serde_json::from_value(json!({
        "host": "127.0.0.1",
        "port": sim.address().port(),
        "tls": tls,
        "username": USER,
        "password": PASSWORD,
        "from": { "address": "leads@example.net" },
        "ca_pem": ca_pem,
    }))
    .unwrap();
    let id = ChannelId::generate(&RandomIds, epoch());
    Smtp::with_egress(ChannelInfo { kind: "smtp", id, name: "mail".to_owned() }, config, &loopback()).unwrap()
}

fn mail() -> OutboundMessage {
    let anna = Email::parse("anna@example.com").unwrap();
    outbound(Recipient::Email(anna), Content::Text(Text::plain("Новая заявка")))
}

/// The channel is wrongly set up: nothing is tried again, and above all not in the clear.
fn is_refused(error: &Error, words: &str) {
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
    assert!(error.message().contains(words), "{error}");
    assert!(!format!("{error:?}").contains(PASSWORD));
}

/// What the server heard of us: neither login nor mail.
fn heard_nothing(sim: &SmtpSim) {
    let told = |line: &String| !line.starts_with("EHLO") && line != "STARTTLS";
    let commands = sim.commands();
    assert!(!commands.iter().any(told), "{commands:?}");
    assert!(sim.inbox().all().is_empty());
}

#[tokio::test]
async fn mail_goes_encrypted_where_the_certificate_is_trusted() {
    let authority = Authority::new();
    for (security, tls) in BOTH {
        let sim = SmtpSim::start_tls(authority.certify("127.0.0.1"), security).await.unwrap();
        sim.require_auth(USER, PASSWORD);
        let channel = smtp(&sim, tls, Some(&authority.pem));
        channel.check().await.unwrap();
        channel.send(&mail()).await.unwrap();
        assert_eq!(sim.inbox().all()[0].details["login"], USER, "{security:?}");
        let encrypted = sim.commands().iter().filter(|line| *line == "STARTTLS").count();
        assert_eq!(encrypted, if security == SmtpSecurity::StartTls { 2 } else { 0 });
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (security, tls) in BOTH {
        for (certificate, ca_pem) in [
            (authority.certify("127.0.0.1"), None),
            (stranger.certify("127.0.0.1"), Some(authority.pem.as_str())),
            (authority.certify("mail.example.org"), Some(authority.pem.as_str())),
            (authority.certify_expired("127.0.0.1"), Some(authority.pem.as_str())),
        ] {
            let sim = SmtpSim::start_tls(certificate, security).await.unwrap();
            let channel = smtp(&sim, tls, ca_pem);
            is_refused(
                &channel.send(&mail()).await.unwrap_err(),
                "certificate has expired, is not trusted or is of another name",
            );
            is_refused(&channel.check().await.unwrap_err(), "ca_pem");
            heard_nothing(&sim);
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_gets_neither_password_nor_mail() {
    let sim = SmtpSim::start().await.unwrap();
    let channel = smtp(&sim, "required", None);
    is_refused(&channel.send(&mail()).await.unwrap_err(), "does not offer starttls");
    heard_nothing(&sim);
    // A plain server where TLS is expected from the first byte.
    let channel = smtp(&sim, "wrapper", None);
    let error = channel.send(&mail()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE), "{error}");
    heard_nothing(&sim);
}
