//! Outgoing webhooks over HTTPS.

use fastlead_channels::egress::Egress;
use fastlead_channels::webhook::{Webhook, WebhookConfig};
use fastlead_core::channel::{Channel, ChannelInfo};
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::{Content, EventPayload, OutboundMessage, Recipient};
use fastlead_core::secret::Pii;
use fastlead_core::time::epoch;
use fastlead_core::{ErrorKind, Result, RetryHint};
use fastlead_testkit::conformance::channel::outbound;
use fastlead_testkit::sim::webhook::WebhookSim;
use serde_json::{Value, json};

use super::certificates::Authority;
use super::egress::loopback;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn webhook(url: &str, extra: Value, egress: &Egress) -> Result<Webhook> {
    let mut config =
        json!({"url": url, "secrets": [SECRET], "headers": {"Authorization": "Bearer confidential"}});
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let config: WebhookConfig = serde_json::from_value(config).unwrap();
    let id = ChannelId::generate(&RandomIds, epoch());
    Webhook::with_egress(ChannelInfo { kind: "webhook", id, name: "crm".to_owned() }, config, egress)
}

fn event() -> OutboundMessage {
    let data = Pii::new(json!({"phone": "+79000000000"}));
    let payload = EventPayload { event_type: "lead.created".to_owned(), occurred_at: epoch(), data };
    outbound(Recipient::Endpoint, Content::Event(payload))
}

#[tokio::test]
async fn an_event_goes_to_a_receiver_with_a_private_authority() {
    let authority = Authority::new();
    for (certified, host) in [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost")] {
        let sim = WebhookSim::start_tls(authority.certify(certified)).await.unwrap();
        let url = sim.url().replace("127.0.0.1", host);
        assert!(url.starts_with("https://"));
        let egress = Egress::public().with_private_hosts(&[host.to_owned()]).unwrap();
        let channel = webhook(&url, json!({"ca_pem": authority.pem}), &egress).unwrap();
        channel.check().await.unwrap();
        assert!(channel.send(&event()).await.unwrap().delivered);
        let received = sim.requests().pop().unwrap();
        assert!(
            standardwebhooks::Webhook::new(SECRET).unwrap().verify(&received.body, &received.headers).is_ok()
        );
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_gets_nothing_and_its_owner_is_told() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (certificate, ca_pem) in [
        (authority.certify("127.0.0.1"), None),
        (stranger.certify("127.0.0.1"), Some(&authority.pem)),
        (authority.certify("crm.example.org"), Some(&authority.pem)),
        (authority.certify_expired("127.0.0.1"), Some(&authority.pem)),
    ] {
        let sim = WebhookSim::start_tls(certificate).await.unwrap();
        let channel = webhook(&sim.url(), json!({"ca_pem": ca_pem}), &loopback()).unwrap();
        for error in [channel.send(&event()).await.unwrap_err(), channel.check().await.unwrap_err()] {
            // An error of the account: the channel is paused, its owner is told, and nothing is lost.
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
            assert!(error.message().contains("the receiver's certificate has expired"), "{error}");
            assert!(!format!("{error:?}").contains("confidential"));
        }
        assert!(sim.requests().is_empty(), "nothing was sent, neither encrypted nor in the clear");
    }
}

#[tokio::test]
async fn a_trusted_certificate_opens_no_private_network() {
    let authority = Authority::new();
    let sim = WebhookSim::start_tls(authority.certify("localhost")).await.unwrap();
    let trusting = json!({"ca_pem": authority.pem});
    assert_eq!(
        webhook(&sim.url(), trusting.clone(), &Egress::public()).unwrap_err().kind(),
        ErrorKind::Config
    );
    // The address behind a name is known only when it is resolved.
    let url = sim.url().replace("127.0.0.1", "localhost");
    let channel = webhook(&url, trusting, &Egress::public()).unwrap();
    let error = channel.send(&event()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
    assert!(sim.requests().is_empty());
}

#[tokio::test]
async fn tls_that_breaks_before_a_certificate_is_seen_is_tried_again() {
    // A server that does not speak TLS here: a proxy that starts, or a port that is being set up.
    let sim = WebhookSim::start().await.unwrap();
    let channel = webhook(&sim.url().replace("http://", "https://"), json!({}), &loopback()).unwrap();
    for error in [channel.send(&event()).await.unwrap_err(), channel.check().await.unwrap_err()] {
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE), "{error}");
    }
    assert!(sim.requests().is_empty());
}
