//! What has ended long ago is forgotten where the settings say so; leads stay.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::Capabilities;
use fastlead_core::engine::{CaptureRequest, Change, Engine};
use fastlead_core::id::{SeededIds, WorkspaceId};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, Recipient, RecipientKind};
use fastlead_core::policy::Policy;
use fastlead_core::port::{DeliveryFilter, Journal as _, LeadFilter, PageRequest};
use fastlead_core::time::{Clock, ManualClock, SystemClock};
use fastlead_server::app::Backend;
use fastlead_server::{Server, Settings};
use fastlead_store::{SqliteOptions, SqliteStore};
use fastlead_testkit::memory::MemoryChannel;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// Two leads whose messages were sent 40 days and one day ago; answers their workspace.
async fn live_through_the_past(path: &Path) -> WorkspaceId {
    let store = SqliteStore::open(SqliteOptions::new(path)).await.unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now() - chrono::TimeDelta::days(40)));
    // Without receipts, so that what is accepted has ended.
    let mut capabilities = Capabilities::default();
    (capabilities.text, capabilities.recipients) = (true, vec![RecipientKind::Chat]);
    let bot = MemoryChannel::new("bot").with_capabilities(capabilities);
    let engine = Engine::builder(Arc::new(store))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .ids(Arc::new(SeededIds::new(1)))
        .channel(Arc::new(bot))
        .project("clinic", Policy::starter("bot", Recipient::Chat("1".into())))
        .source("site")
        .build()
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let source = engine.directory().source("site").cloned().unwrap();
    let workspace = source.workspace_id;
    for (number, phone) in ["+79000000051", "+79000000052"].into_iter().enumerate() {
        let input = CaptureInput { phone: Some(phone.into()), ..CaptureInput::default() };
        let capture = input.validate(&[], Locale::Ru, Received::at(clock.now())).unwrap();
        let request = CaptureRequest { source: Arc::clone(&source), capture, idempotency: None };
        let mut changes = engine.changes();
        engine.capture(request).await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, async {
            let ended =
                |change: &Change| matches!(change, Change::Delivery { verdict, .. } if *verdict == "sent");
            while !ended(&changes.recv().await.unwrap()) {}
        });
        ended.await.expect("the message is sent");
        if number == 0 {
            clock.advance(Duration::from_secs(39 * 86_400));
        }
    }
    stop.cancel();
    running.await.unwrap();
    workspace
}

async fn deliveries(store: &dyn Backend, workspace: WorkspaceId) -> usize {
    let found = store.deliveries(workspace, DeliveryFilter::default(), PageRequest::default()).await;
    found.unwrap().items.len()
}

#[tokio::test]
async fn what_ended_long_ago_is_forgotten_and_leads_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::defaults().unwrap();
    settings.http.listen.set_port(0);
    settings.store.path = folder.path().join("store.db");
    let workspace = live_through_the_past(&settings.store.path).await;
    for (days, left) in [(0, 2), (60, 2), (30, 1)] {
        settings.store.retention_days = days;
        let server = Server::builder(settings.clone()).build().await.unwrap();
        let store = Arc::clone(&server.app().store);
        assert_eq!(deliveries(&*store, workspace).await, 2);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(stop.clone()));
        if left < 2 {
            let mut look = tokio::time::interval(Duration::from_millis(50));
            let forgotten = tokio::time::timeout(PATIENCE, async {
                while deliveries(&*store, workspace).await > left {
                    look.tick().await;
                }
            });
            forgotten.await.expect("the old delivery is forgotten");
        }
        stop.cancel();
        serving.await.unwrap().unwrap();
        // A server that has stopped has closed its store.
        let store =
            SqliteStore::open(SqliteOptions::new(settings.store.path.clone()).shared()).await.unwrap();
        assert_eq!(deliveries(&store, workspace).await, left, "kept for {days} days");
        let leads = store.leads(workspace, LeadFilter::default(), PageRequest::default()).await.unwrap();
        assert_eq!(leads.items.len(), 2);
    }
}
