//! A lease outlives whatever is sent under it.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::Channel;
use fastlead_core::engine::EngineBuilder;
use fastlead_core::message::Recipient;
use fastlead_core::policy::Policy;
use fastlead_core::{Engine, ErrorKind};
use fastlead_store::MemoryStore;
use fastlead_testkit::memory::MemoryChannel;

fn builder(channel: &MemoryChannel) -> EngineBuilder {
    let policy = Policy::starter("bot", Recipient::Chat("790000000".into()));
    Engine::builder(Arc::new(MemoryStore::new())).channel(Arc::new(channel.clone())).project("clinic", policy)
}

#[tokio::test]
async fn a_lease_that_could_run_out_during_a_send_is_refused() {
    let usual = MemoryChannel::new("bot");
    let mut capabilities = usual.capabilities();
    capabilities.attempt_timeout_millis = Some(600_000);
    let slow = MemoryChannel::new("bot").with_capabilities(capabilities);
    for (channel, lease_secs, refused) in
        [(&usual, 30, Some("30 s")), (&usual, 31, None), (&slow, 620, Some("620 s")), (&slow, 621, None)]
    {
        let built = builder(channel).lease(Duration::from_secs(lease_secs)).build().await;
        match refused {
            None => assert!(built.is_ok(), "{lease_secs}"),
            Some(words) => {
                let error = built.map(drop).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.message().contains(words), "{error}");
                assert!(error.message().contains("raise the lease"), "{error}");
            }
        }
    }
}
