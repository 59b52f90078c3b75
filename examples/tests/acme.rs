//! The adapter from outside keeps the contract of channels.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use fastlead_core::async_trait;
use fastlead_core::channel::{Channel, ChannelInfo};
use fastlead_core::message::Recipient;
use fastlead_core::registry::{ChannelAdapter, Registry};
use fastlead_examples::acme::{AcmeServer, AcmeSms};
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest};
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::json;

const KEY: &str = "an-invented-key";

struct Acme(AcmeServer);

fn channel(endpoint: &str, api_key: &str) -> Arc<dyn Channel> {
    let registry = Registry::builder().channel::<AcmeSms>().build().unwrap();
    let id = ChannelInfo::embedded(AcmeSms::KIND, "sms").id;
    let config = json!({"endpoint": endpoint, "api_key": api_key, "sender": "Clinic"});
    registry.build(AcmeSms::KIND, id, "sms", config).unwrap()
}

#[async_trait]
impl ChannelHarness for Acme {
    async fn start() -> Self {
        Self(AcmeServer::start(KEY).await.unwrap())
    }

    fn channel(&self) -> Arc<dyn Channel> {
        channel(&self.0.endpoint(), KEY)
    }

    fn recipient(&self) -> Recipient {
        Recipient::Phone("+7 900 000-00-00".parse().unwrap())
    }

    fn unknown_recipient(&self) -> Option<Recipient> {
        Some(Recipient::Phone(AcmeServer::unknown_phone().parse().unwrap()))
    }

    fn arrivals(&self) -> Inbox {
        self.0.inbox()
    }

    fn faults(&self) -> Option<&Faults> {
        Some(self.0.faults())
    }

    fn fault_applies(&self, _: &Fault) -> bool {
        true
    }

    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        Some(channel(&self.0.endpoint(), "another-key"))
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        Some(channel("http://127.0.0.1:1", KEY))
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned(), "another-key".to_owned()]
    }

    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }

    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }

    async fn press(&self, _: &Arrival, _: &ArrivedButton) -> Inbound {
        unreachable!("this channel has no buttons")
    }
}

fastlead_testkit::channel_conformance!(acme_keeps_the_contract, Acme);

#[test]
fn a_wrong_setting_is_named_and_never_shown() {
    let registry = Registry::builder().channel::<AcmeSms>().build().unwrap();
    let id = ChannelInfo::embedded(AcmeSms::KIND, "sms").id;
    let build = |config| registry.build(AcmeSms::KIND, id, "sms", config).unwrap_err().to_string();
    let error = build(json!({"endpoint": "ftp://example.com", "api_key": KEY, "sender": "Clinic"}));
    assert!(error.contains("endpoint"), "{error}");
    let error = build(json!({"endpoint": "https://example.com", "api_key": [KEY], "sender": "Clinic"}));
    assert!(!error.contains(KEY), "{error}");
}
