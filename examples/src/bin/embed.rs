//! FastLead inside another program: one policy, one channel, one lead, and why it went where it went.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use fastlead_core::engine::{EmbeddedSource, Engine};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, Recipient};
use fastlead_core::policy::Policy;
use fastlead_core::port::{Journal, PageRequest};
use fastlead_store::MemoryStore;
use fastlead_testkit::memory::MemoryChannel;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What must survive a crash belongs into `SqliteStore::open(SqliteOptions::new("leads.db")).await?`.
    let store = MemoryStore::new();
    let bot = MemoryChannel::new("bot");
    let engine = Engine::builder(Arc::new(store.clone()))
        .channel(Arc::new(bot.clone()))
        .project("clinic", Policy::starter_in(Locale::En, "bot", Recipient::Chat("790000000".into())))
        .source(EmbeddedSource::new("site").locale(Locale::En))
        .build()
        .await?;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });

    let input = CaptureInput {
        name: Some("Anna".into()),
        phone: Some("+7 900 000-00-00".into()),
        ..CaptureInput::default()
    };
    let received = Received::at(engine.clock().now());
    let lead = engine.capture_input("site", input, received).await?.answer.lead_id;

    for arrival in bot.inbox().wait_for(1).await {
        println!("{} got: {}", arrival.to, arrival.text);
    }
    let workspace = engine.directory().source("site").ok_or("the source is gone")?.workspace_id;
    for entry in store.events(workspace, lead, PageRequest::default()).await?.items {
        println!("{} of {lead}:", entry.event.kind());
        for step in entry.trace.steps {
            println!("  {} {:?} {:?} {:?}", step.rule, step.subject, step.verdict, step.reason);
        }
    }
    stop.cancel();
    running.await?;
    Ok(())
}
