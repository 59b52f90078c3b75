//! The Postal adapter against the simulated installation.

use std::error::Error as _;
use std::sync::Arc;

use fastlead_channels::postal::{Postal, PostalConfig};
use fastlead_core::channel::{
    Channel, ChannelInfo, FailureReason, InboundEvent, InboundKind, MessageReference, ReceiptStatus,
};
use fastlead_core::contact::Email;
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::{Content, MessageClass, OutboundMessage, Part, Recipient, Text};
use fastlead_core::registry::Registry;
use fastlead_core::time::{Clock, SystemClock, epoch};
use fastlead_core::{Error, ErrorKind, RetryHint, async_trait};
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, outbound};
use fastlead_testkit::sim::postal::PostalSim;
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::json;

use super::certificates::Authority;
use super::egress::loopback;

const ANNA: &str = "anna@example.net";
/// Nobody listens on the discard port here.
const NOBODY: &str = "http://127.0.0.1:9";

struct Server {
    sim: PostalSim,
    hears: bool,
}

impl Server {
    async fn start(hears: bool) -> Self {
        Self { sim: PostalSim::start().await.unwrap(), hears }
    }

    fn with(&self, change: impl FnOnce(&mut PostalConfig)) -> Postal {
        let from = Email::parse("no-reply@example.com").unwrap();
        let mut config = PostalConfig::new(self.sim.base_url(), self.sim.api_key().into(), from);
        config.from.name = Some("Shop \"Ёлка\"".to_owned());
        config.signing_keys = self.hears.then(|| self.sim.signing_keys());
        change(&mut config);
        Postal::with_egress(info(), config, &loopback()).unwrap()
    }

    fn postal(&self) -> Postal {
        self.with(|_| {})
    }
}

fn info() -> ChannelInfo {
    let id = ChannelId::generate(&RandomIds, SystemClock.now());
    ChannelInfo { kind: "postal", id, name: "mail".to_owned() }
}

fn anna() -> Recipient {
    Recipient::Email(Email::parse(ANNA).unwrap())
}

fn to_anna(text: Text) -> OutboundMessage {
    outbound(anna(), Content::Text(text))
}

fn events(postal: &Postal, request: &SampleRequest) -> Vec<InboundEvent> {
    let receiver = postal.webhook().unwrap();
    let batch = request.show(|request| receiver.parse(&receiver.verify(request).unwrap()).unwrap());
    assert_eq!(batch.reply.status, 200);
    batch.events
}

fn everything_that_prints(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?} {cause:#?}"));
        source = cause.source();
    }
    text
}

#[async_trait]
impl ChannelHarness for Server {
    async fn start() -> Self {
        Self::start(true).await
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(self.postal())
    }

    fn recipient(&self) -> Recipient {
        anna()
    }

    /// Postal takes every mail, and tells later what has become of it.
    fn unknown_recipient(&self) -> Option<Recipient> {
        None
    }

    fn arrivals(&self) -> Inbox {
        self.sim.inbox().clone()
    }

    fn faults(&self) -> Option<&Faults> {
        Some(self.sim.faults())
    }

    fn fault_applies(&self, fault: &Fault) -> bool {
        !matches!(fault, Fault::NoBalance | Fault::BadRecipient)
    }

    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.api_key = "some-other-key".into())))
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.endpoint = NOBODY.to_owned())))
    }

    fn left_out() -> Vec<LeftOut> {
        vec![
            LeftOut::new(
                "mail has no lifetime, and is for people",
                &["lifetime_is_passed_on_as_declared", "event_arrives"],
            ),
            LeftOut::new("people answer by mail", &["answers_come_back_as_declared", "buttons_round_trip"]),
            LeftOut::new(
                "a mail that was sent cannot be changed",
                &["an_edit_changes_the_message_that_it_names"],
            ),
            LeftOut::new("Postal honours no key", &["same_key_arrives_once"]),
            LeftOut::new(
                "Postal refuses no recipient at once, and sending costs nothing",
                &["unknown_recipient_is_never_retried", "empty_balance_is_balance"],
            ),
        ]
    }

    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.timeout_secs = 1)))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.sim.api_key().to_owned(), "some-other-key".to_owned()]
    }

    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        let id = self.postal().send(&to_anna(Text::plain("a"))).await.unwrap().provider_message_id.unwrap();
        let id = id.parse().unwrap();
        for event in [
            "MessageSent",
            "MessageDelayed",
            "MessageDeliveryFailed",
            "MessageHeld",
            "MessageBounced",
            "MessageLoaded",
        ] {
            self.sim.tell(id, event, "", "550 5.1.1 no such user");
        }
        self.sim.write("Anna <anna@example.net>", "Вопрос", "Здравствуйте");
        self.sim.take_requests()
    }

    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        self.sim.write("Anna <anna@example.net>", "Вопрос", "Здравствуйте");
        let genuine = self.sim.take_requests().remove(0);
        self.sim.write("Anna <anna@example.net>", "Вопрос", "Другое");
        let other = self.sim.take_requests().remove(0);
        let header = "x-postal-signature-256";
        let signature = genuine.headers.iter().find(|(name, _)| name == header).unwrap().1.clone();
        let bare = genuine.clone().without_header(header);
        vec![
            bare.clone(),
            bare.clone().with_header(header, ""),
            bare.clone().with_header(header, "not base64!"),
            bare.clone().with_header(header, signature[4..].to_vec()),
            // The older scheme is not believed.
            bare.clone().with_header("x-postal-signature", signature.clone()),
            bare.with_body(other.body).with_header(header, signature),
            SampleRequest { method: "GET".to_owned(), ..genuine },
        ]
    }

    async fn press(&self, _: &Arrival, _: &ArrivedButton) -> Inbound {
        unreachable!("mail has no buttons that answer")
    }
}

fastlead_testkit::channel_conformance!(conformance, Server);

#[tokio::test]
async fn what_becomes_of_a_mail_comes_as_a_receipt() {
    let server = Server::start(true).await;
    let postal = server.postal();
    let message = to_anna(Text::plain("a"));
    let id = postal.send(&message).await.unwrap().provider_message_id.unwrap().parse().unwrap();
    for (event, details, output, failed) in [
        ("MessageSent", "", "250 2.0.0 OK", None),
        (
            "MessageDeliveryFailed",
            "",
            "550 5.1.1 no such user",
            Some((FailureReason::Recipient, "550 5.1.1")),
        ),
        // Field report: it is the sender's reputation, and no fault of the recipient's.
        ("MessageDeliveryFailed", "", "550 5.7.1 suspicious", Some((FailureReason::Other, "550 5.7.1"))),
        ("MessageHeld", "Recipient is on the suppression list", "", Some((FailureReason::Recipient, "held"))),
        (
            "MessageHeld",
            "Credential is configured to hold all messages",
            "",
            Some((FailureReason::Other, "held")),
        ),
        ("MessageBounced", "", "", Some((FailureReason::Other, "bounced"))),
    ] {
        server.sim.tell(id, event, details, output);
        let found = events(&postal, &server.sim.take_requests()[0]);
        let [InboundEvent { kind: InboundKind::Receipt { message: named, status }, .. }] = found.as_slice()
        else {
            panic!("{found:?}")
        };
        assert_eq!(*named, MessageReference::Delivery(message.delivery_id));
        let told = match status {
            ReceiptStatus::Failed(failure) => {
                Some((failure.reason, failure.provider_code.as_deref().unwrap_or_default()))
            }
            _ => None,
        };
        assert_eq!(told, failed, "{event} {details} {output}");
    }
    server.sim.push_event("SendLimitExceeded", json!({"server": {"uuid": "1"}}));
    server.sim.push_event("InventedTomorrow", json!({}));
    for request in server.sim.take_requests() {
        assert_eq!(events(&postal, &request), []);
    }
}

#[tokio::test]
async fn a_suppressed_address_is_no_silence() {
    let server = Server::start(true).await;
    let postal = server.postal();
    server.sim.suppress(ANNA);
    let part = OutboundMessage { part: Part { index: 1, count: 2 }, ..to_anna(Text::plain("b")) };
    postal.send(&part).await.unwrap();
    let found = events(&postal, &server.sim.take_requests()[0]);
    let [InboundEvent { kind: InboundKind::Receipt { message, status: ReceiptStatus::Failed(_) }, .. }] =
        found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!(*message, MessageReference::Delivery(part.delivery_id), "a part that fails fails the whole");
}

#[tokio::test]
async fn people_write_and_machines_do_not_count() {
    let server = Server::start(true).await;
    let postal = server.postal();
    server.sim.write("\"Иванова, Анна\" <anna@example.net>", "Вопрос", "Здравствуйте\n");
    server.sim.write_with(json!({"from": null, "mail_from": "ivan@example.net", "plain_body": null}));
    server.sim.write_with(json!({"auto_submitted": "auto-replied", "plain_body": "В отпуске"}));
    server.sim.write_with(json!({"bounce": true}));
    server.sim.write_with(json!({"from": "nobody", "mail_from": ""}));
    let seen: Vec<_> = server
        .sim
        .take_requests()
        .iter()
        .flat_map(|request| events(&postal, request))
        .map(|event| match event.kind {
            InboundKind::Message { from, text } => {
                let name = from.display_name.map(|name| name.expose().clone()).unwrap_or_default();
                format!("{} {name}: {}", from.chat.expose(), text.expose())
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, ["anna@example.net Иванова, Анна: Здравствуйте", "ivan@example.net : "]);
}

#[tokio::test]
async fn a_mail_says_who_it_is_from_and_how_to_be_left_alone() {
    let server = Server::start(false).await;
    let postal = server.with(|config| {
        config.reply_to = Some(Email::parse("sales@example.com").unwrap());
        config.list_unsubscribe = Some("https://example.com/u/{delivery}".to_owned());
    });
    let mut message = to_anna(Text {
        html: Some("<b>Скидка</b>".into()), ..Text::plain("Скидка\nдвадцать")
    });
    postal.send(&message).await.unwrap();
    message.class = MessageClass::Advertising;
    postal.send(&message).await.unwrap();
    let requests = server.sim.requests();
    assert_eq!(
        (&requests[0]["from"], &requests[0]["reply_to"], &requests[0]["subject"], &requests[0]["tag"]),
        (
            &json!("\"Shop \\\"Ёлка\\\"\" <no-reply@example.com>"),
            &json!("sales@example.com"),
            &json!("Скидка"),
            &json!(message.delivery_id.to_string())
        )
    );
    assert_eq!(requests[0]["headers"], json!({"Auto-Submitted": "auto-generated"}));
    let page = format!("<https://example.com/u/{}>", message.delivery_id.hex());
    assert_eq!(requests[1]["headers"]["List-Unsubscribe"], page);
    assert_eq!(requests[1]["headers"]["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
}

#[tokio::test]
async fn every_trouble_has_its_kind_and_the_key_is_printed_by_nothing() {
    let server = Server::start(true).await;
    let healthy = server.with(|config| config.timeout_secs = 1);
    let mut printed = format!("{healthy:?}");
    for (fault, kind, retry) in [
        (Fault::ServerError { status: 502 }, ErrorKind::Unavailable, RetryHint::UNKNOWN),
        (Fault::Hang, ErrorKind::Timeout, RetryHint::UNKNOWN),
        (Fault::DropBeforeAccept, ErrorKind::Unavailable, RetryHint::UNKNOWN),
        (Fault::BadCredentials, ErrorKind::Auth, RetryHint::Never),
        (Fault::BadContent, ErrorKind::Content, RetryHint::Never),
        (
            Fault::ProviderCode { code: 1, text: format!("{} {ANNA}", server.sim.api_key()) },
            ErrorKind::Invalid,
            RetryHint::Never,
        ),
    ] {
        server.sim.faults().push(fault.clone());
        let error = healthy.send(&to_anna(Text::plain("тайна"))).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{fault:?}: {error}");
        printed += &everything_that_prints(&error);
    }
    for secret in [server.sim.api_key(), ANNA, "тайна"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_registry_builds_it_from_json() {
    let server = Server::start(false).await;
    let registry = Registry::builder().apply(fastlead_channels::register_with(loopback())).build().unwrap();
    let id = ChannelId::generate(&RandomIds, epoch());
    let from = json!({"address": "no-reply@example.com"});
    let config = json!({"endpoint": server.sim.base_url(), "api_key": server.sim.api_key(), "from": from,
        "signing_keys": server.sim.signing_keys()});
    let channel = registry.build("postal", id, "mail", config).unwrap();
    channel.check().await.unwrap();
    assert!(channel.webhook().is_some() && channel.registration().is_none());
    for (field, value) in [
        ("endpoint", json!("ftp://postal.example.com")),
        ("endpoint", json!("https://user:hidden@postal.example.com")),
        ("api_key", json!("hidden key")),
        ("signing_keys", json!("{}")),
        ("signing_keys", json!(r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#)),
        ("list_unsubscribe", json!("http://example.com/hidden")),
        ("timeout_secs", json!(0)),
    ] {
        let mut config = json!({"endpoint": server.sim.base_url(), "api_key": "key", "from": from});
        config[field] = value.clone();
        let error = registry.build("postal", id, "mail", config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{field} {value}");
        assert!(error.message().starts_with(field), "{field} {value}: {error}");
        assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_gets_nothing_and_its_owner_is_told() {
    for certificate in Authority::new().unacceptable("127.0.0.1") {
        let server = Server { sim: PostalSim::start_tls(certificate).await.unwrap(), hears: true };
        let postal = server.postal();
        for error in
            [postal.send(&to_anna(Text::plain("a"))).await.unwrap_err(), postal.check().await.unwrap_err()]
        {
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
        }
        assert!(server.sim.requests().is_empty(), "nothing was sent");
    }
}
