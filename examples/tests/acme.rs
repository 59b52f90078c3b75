//! The adapter from outside keeps the contract of channels.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use fastlead_channels::egress::Egress;
use fastlead_channels::guarded::{GuardedAdapter, GuardedRegistry};
use fastlead_core::async_trait;
use fastlead_core::channel::{Channel, ChannelInfo};
use fastlead_core::message::Recipient;
use fastlead_core::registry::Registry;
use fastlead_examples::acme::{AcmeServer, AcmeSms};
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest};
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::json;

const KEY: &str = "an-invented-key";

/// Lets the adapter connect to the gateway that is played here.
fn this_machine() -> Egress {
    Egress::public().with_private_hosts(&["127.0.0.1".to_owned()]).unwrap()
}

struct Acme(AcmeServer);

fn channel(endpoint: &str, api_key: &str) -> Arc<dyn Channel> {
    build(endpoint, api_key, 10)
}

fn build(endpoint: &str, api_key: &str, timeout_secs: u64) -> Arc<dyn Channel> {
    let registry = Registry::builder().guarded::<AcmeSms>(&this_machine()).build().unwrap();
    let id = ChannelInfo::embedded(AcmeSms::KIND, "sms").id;
    let config =
        json!({"endpoint": endpoint, "api_key": api_key, "sender": "Clinic", "timeout_secs": timeout_secs});
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

    fn left_out() -> Vec<LeftOut> {
        vec![
            LeftOut::new(
                "Acme carries plain texts and nothing else",
                &[
                    "subject_is_shown",
                    "html_is_shown",
                    "event_arrives",
                    "an_edit_changes_the_message_that_it_names",
                    "buttons_round_trip",
                    "lifetime_is_passed_on_as_declared",
                ],
            ),
            LeftOut::new(
                "nothing comes back from Acme",
                &[
                    "answers_come_back_as_declared",
                    "genuine_webhooks_verify",
                    "forged_webhooks_do_not_verify",
                    "repeated_webhook_is_one_event",
                ],
            ),
        ]
    }

    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        Some(build(&self.0.endpoint(), KEY, 1))
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
    let registry = Registry::builder().guarded::<AcmeSms>(&this_machine()).build().unwrap();
    let id = ChannelInfo::embedded(AcmeSms::KIND, "sms").id;
    let build = |config| registry.build(AcmeSms::KIND, id, "sms", config).unwrap_err().to_string();
    let error = build(json!({"endpoint": "ftp://example.com", "api_key": KEY, "sender": "Clinic"}));
    assert!(error.contains("endpoint"), "{error}");
    let error = build(json!({"endpoint": "https://example.com", "api_key": [KEY], "sender": "Clinic"}));
    assert!(!error.contains(KEY), "{error}");
}

#[test]
fn the_inside_is_refused_unless_the_program_allows_it() {
    let id = ChannelInfo::embedded(AcmeSms::KIND, "sms").id;
    let build = |egress: &Egress, endpoint: &str| {
        let registry = Registry::builder().guarded::<AcmeSms>(egress).build().unwrap();
        let config = json!({"endpoint": endpoint, "api_key": KEY, "sender": "Clinic"});
        registry.build(AcmeSms::KIND, id, "sms", config).map(drop).map_err(|error| error.to_string())
    };
    for (endpoint, why) in
        [("http://127.0.0.1:8080", "public internet"), ("http://sms.example.com", "not encrypted")]
    {
        let error = build(&Egress::public(), endpoint).unwrap_err();
        assert!(error.contains("endpoint: ") && error.contains(why), "{error}");
    }
    build(&this_machine(), "http://127.0.0.1:8080").unwrap();
    build(&Egress::public(), "https://sms.example.com").unwrap();
}
