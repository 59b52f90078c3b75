//! A harness that answers nothing does not make a channel green.

use std::sync::Arc;

use fastlead_core::async_trait;
use fastlead_core::channel::Channel;
use fastlead_core::message::Recipient;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, run_every_check};
use fastlead_testkit::conformance::{LeftOut, Verdict};
use fastlead_testkit::memory::MemoryChannel;
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};

/// What a lazy harness leaves out.
trait Lazy: Send + Sync + 'static {
    fn left_out() -> Vec<LeftOut>;
}

struct Silent;

impl Lazy for Silent {
    fn left_out() -> Vec<LeftOut> {
        Vec::new()
    }
}

/// Names one check twice, and one that applies.
struct Careless;

impl Lazy for Careless {
    fn left_out() -> Vec<LeftOut> {
        vec![LeftOut::new("no time", &["text_arrives_literally", "secrets_are_named", "secrets_are_named"])]
    }
}

struct Shy<L>(MemoryChannel, std::marker::PhantomData<L>);

#[async_trait]
impl<L: Lazy> ChannelHarness for Shy<L> {
    async fn start() -> Self {
        Self(MemoryChannel::new("shy"), std::marker::PhantomData)
    }

    fn left_out() -> Vec<LeftOut> {
        L::left_out()
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(self.0.clone())
    }

    fn recipient(&self) -> Recipient {
        Recipient::Chat("790000000".into())
    }

    fn unknown_recipient(&self) -> Option<Recipient> {
        None
    }

    fn arrivals(&self) -> Inbox {
        self.0.inbox()
    }

    fn faults(&self) -> Option<&Faults> {
        None
    }

    fn fault_applies(&self, _: &Fault) -> bool {
        false
    }

    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        None
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        None
    }

    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        None
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }

    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }

    async fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> Inbound {
        Inbound::ByWebhook(self.0.press(arrival, button))
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_lazy_harness_makes_inapplicable_fails() {
    let report = run_every_check::<Shy<Silent>>().await;
    let failed: Vec<_> =
        report.outcomes.iter().filter(|(_, outcome)| outcome.is_err()).map(|(name, _)| *name).collect();
    for name in [
        "secrets_are_named",
        "silence_is_unknown",
        "gateway_errors_are_unknown",
        "unreadable_answer_is_unknown",
        "redirects_are_not_followed",
        "server_error_is_retryable",
        "connection_lost_after_accept_is_unknown",
        "no_status_makes_an_error_leak",
        "a_slow_send_holds_up_no_other",
    ] {
        assert!(failed.contains(&name), "{name} is green: {report}");
    }
    assert_eq!((report.left_out(), report.failed()), (0, failed.len()), "{report}");
    assert_eq!(report.held() + failed.len(), report.outcomes.len());
    assert!(report.to_string().ends_with(&format!("0 left out, {} failed", failed.len())), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_careless_list_is_found() {
    let report = run_every_check::<Shy<Careless>>().await;
    let found = |name| report.outcomes.iter().find(|(check, _)| *check == name).unwrap().1.clone();
    assert_eq!(found("secrets_are_named"), Ok(Verdict::LeftOut("no time")));
    let applies = found("text_arrives_literally").unwrap_err().to_string();
    assert!(applies.contains("applies and holds"), "{applies}");
    let twice = found("every_check_that_is_left_out_has_a_reason").unwrap_err().to_string();
    assert!(twice.contains("names secrets_are_named twice"), "{twice}");
    assert_eq!(report.left_out(), 1);
}
