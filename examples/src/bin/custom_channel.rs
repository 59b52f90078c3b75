//! A channel from outside FastLead: registered beside ours, configured as JSON, under the engine's care.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use fastlead_channels::egress::Egress;
use fastlead_channels::guarded::{GuardedAdapter, GuardedRegistry};
use fastlead_core::channel::ChannelInfo;
use fastlead_core::engine::{EmbeddedSource, Engine};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, Recipient};
use fastlead_core::policy::Policy;
use fastlead_core::registry::Registry;
use fastlead_examples::acme::{AcmeServer, AcmeSms};
use fastlead_store::MemoryStore;
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The program says where channels may connect to: the public internet, and here also this machine.
    let egress = Egress::public().with_private_hosts(&["127.0.0.1".to_owned()])?;
    let registry = Registry::builder()
        .apply(fastlead_channels::register_with(egress.clone()))
        .guarded::<AcmeSms>(&egress)
        .build()?;
    for (kind, title) in registry.kinds() {
        println!("{kind}: {title}");
    }
    println!("the form of {}: {}", AcmeSms::TITLE, serde_json::to_string(&registry.schema(AcmeSms::KIND)?)?);

    // The gateway, played on this machine.
    let gateway = AcmeServer::start("an-invented-key").await?;
    let config = json!({"endpoint": gateway.endpoint(), "api_key": "an-invented-key", "sender": "Clinic"});
    let id = ChannelInfo::embedded(AcmeSms::KIND, "sms").id;
    let channel = registry.build(AcmeSms::KIND, id, "sms", config)?;
    channel.check().await?;
    println!("the gateway takes the key");

    let manager = Recipient::Phone("+7 900 000-00-09".parse()?);
    let engine = Engine::builder(Arc::new(MemoryStore::new()))
        .channel(channel)
        .project("clinic", Policy::starter_in(Locale::En, "sms", manager))
        .source(EmbeddedSource::new("site").locale(Locale::En))
        .build()
        .await?;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });

    let input = CaptureInput { email: Some("anna@example.com".into()), ..CaptureInput::default() };
    engine.capture_input("site", input, Received::at(engine.clock().now())).await?;
    for arrival in gateway.inbox().wait_for(1).await {
        println!("{} got from {}: {}", arrival.to, arrival.from, arrival.text);
    }

    stop.cancel();
    running.await?;
    Ok(())
}
