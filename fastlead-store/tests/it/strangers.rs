//! What belongs to nobody here, and what cannot be acted upon: it holds up nothing else.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::{
    Channel, InboundEvent, InboundKind, MessageReference, Peer, ReceiptStatus, ResponseTokenText,
};
use fastlead_core::delivery::Lease;
use fastlead_core::engine::{CaptureRequest, Engine};
use fastlead_core::error::ErrorKind;
use fastlead_core::id::{DeliveryId, IdSource, LeadId, LeaseToken, SeededIds, WorkspaceId};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, PressedMessage, Response, ResponseToken};
use fastlead_core::policy::Policy;
use fastlead_core::port::{
    Addresses, Catalog, ChangeLog, Identities, InboundBatch, Journal, PageRequest, Store,
};
use fastlead_core::time::{Clock, ManualClock, epoch, plus_seconds};
use fastlead_testkit::memory::MemoryChannel;
use tokio_util::sync::CancellationToken;

use crate::broken_store::{BrokenStore, Flaw, LOST_PAGE};

struct World<S> {
    engine: Engine,
    store: S,
    clock: Arc<ManualClock>,
    bot: MemoryChannel,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

fn policy() -> Policy {
    serde_json::from_value(serde_json::json!({
        "targets": {
            "anna": {"display_name": "Anna", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}]},
            "oleg": {"display_name": "Oleg", "destinations": [{"channel": "bot", "recipient": {"chat": "2"}}]},
        },
        "route": {"strategy": "waterfall", "targets": ["anna", "oleg"], "template": "lead"},
        "escalation": [{"after_secs": 60, "targets": ["oleg"], "template": "lead"}],
        "returns": {"within_days": 1, "reasons": ["wrong_number"]},
        "templates": {"lead": {"ru": {"plain": "Заявка: {{ lead.phone }}"}}},
    }))
    .unwrap()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

impl<S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone> World<S> {
    async fn start(store: S) -> Self {
        let clock = Arc::new(ManualClock::new(epoch()));
        let bot = MemoryChannel::new("bot");
        let engine = Engine::builder(Arc::new(store.clone()))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .ids(Arc::new(SeededIds::new(1)))
            .channel(Arc::new(bot.clone()))
            .project("clinic", policy())
            .source("site")
            .build()
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        Self { engine, store, clock, bot, stop, running }
    }

    fn workspace(&self) -> WorkspaceId {
        self.engine.directory().source("site").unwrap().workspace_id
    }

    async fn capture(&self) -> LeadId {
        let source = self.engine.directory().source("site").cloned().unwrap();
        let input = CaptureInput { phone: Some("+7 900 000-00-00".into()), ..CaptureInput::default() };
        let capture = input.validate(&[], Locale::Ru, Received::at(self.clock.now())).unwrap();
        let captured = self.engine.capture(CaptureRequest { source, capture, idempotency: None }).await;
        captured.unwrap().answer.lead_id
    }

    /// The press of a button with this token in Anna's chat, in a language.
    fn press(&self, id: &str, token: Option<String>, language: &str) -> InboundEvent {
        let from = Peer {
            chat: "1".into(),
            user: "11".into(),
            display_name: None,
            language: Some(language.to_owned()),
        };
        let message = PressedMessage { chat: "1".into(), message_id: "7".to_owned(), links: Vec::new() };
        let kind = InboundKind::Interaction {
            interaction_id: id.to_owned(),
            token: token.map(ResponseTokenText),
            from,
            message: Some(message),
        };
        InboundEvent { provider_event_id: id.to_owned(), occurred_at: self.clock.now(), kind }
    }

    async fn ingest(&self, events: Vec<InboundEvent>) {
        let channel = self.engine.directory().channel(self.bot.info().id).cloned().unwrap();
        self.engine.ingest(&channel, events, None).await.unwrap();
    }

    /// Records events as a process does that dies before it has acted upon them.
    async fn leave_behind(&self, events: Vec<InboundEvent>) {
        let at = self.clock.now();
        let ids: Arc<dyn IdSource> = Arc::new(SeededIds::new(77));
        let lease = Lease { token: LeaseToken::generate(&*ids, at), until: at };
        let channel_id = self.bot.info().id;
        self.store
            .record_inbound(InboundBatch { channel_id, events, cursor: None, at, lease })
            .await
            .unwrap();
        self.engine.wake();
    }

    /// Lets the others work until `done` says so.
    async fn until<F: Future<Output = bool> + Send>(&self, done: impl Fn() -> F + Sync) {
        within(async {
            while !done().await {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn finish(self) {
        self.stop.cancel();
        within(self.running).await.unwrap();
    }
}

fn receipt(number: usize, message: MessageReference) -> InboundEvent {
    let kind = InboundKind::Receipt { message, status: ReceiptStatus::Delivered };
    InboundEvent { provider_event_id: format!("receipt-{number}"), occurred_at: epoch(), kind }
}

async fn a_target_that_no_policy_has_answers_nothing<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let world = World::start(store).await;
    let (workspace, lead) = (world.workspace(), world.capture().await);
    let before = world.store.events(workspace, lead, PageRequest::default()).await.unwrap().items.len();
    for response in [Response::Accept, Response::Decline] {
        let refused = world.engine.respond(workspace, lead, "ghost", response).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        assert!(refused.to_string().contains("anna, oleg"), "{refused}");
    }
    let refused = world.engine.give_back(workspace, lead, "ghost", "wrong_number").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let after = world.store.events(workspace, lead, PageRequest::default()).await.unwrap().items.len();
    assert_eq!(before, after, "nothing was decided");
    world.finish().await;
}

async fn every_press_is_answered<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let world = World::start(store).await;
    let ids: Arc<dyn IdSource> = Arc::new(SeededIds::new(5));
    let nobody = DeliveryId::generate(&*ids, epoch());
    let token = ResponseToken { response: Response::Accept, delivery_id: nobody }.encode();
    let presses = vec![
        world.press("none", None, "ru"),
        world.press("foreign", Some("page:2".to_owned()), "en-GB"),
        world.press("forgotten", Some(token), "ru"),
    ];
    world.ingest(presses).await;
    world.until(|| async { world.bot.interaction_replies().len() == 3 }).await;
    let mut replies = world.bot.interaction_replies();
    replies.sort_by(|a, b| a.interaction_id.cmp(&b.interaction_id));
    let said: Vec<_> =
        replies.iter().map(|reply| (reply.interaction_id.as_str(), reply.text.as_str())).collect();
    let (ru, en) = ("Эта кнопка больше не действует.", "This button does not work any more.");
    assert_eq!(said, [("foreign", en), ("forgotten", ru), ("none", ru)]);
    // Only a message of ours loses its buttons.
    let closes: Vec<_> = replies.iter().map(|reply| reply.closes.is_some()).collect();
    assert_eq!(closes, [false, true, false]);
    world.finish().await;
}

on_every_store! {
    a_target_that_no_policy_has_answers_nothing
    every_press_is_answered
}

#[tokio::test]
async fn a_timer_of_a_lead_that_is_gone_fires_once() {
    let world = World::start(BrokenStore::new(Flaw::None)).await;
    let lead = world.capture().await;
    within(world.bot.inbox().wait_for(1)).await;
    world.store.lose(lead);
    world.clock.advance(Duration::from_secs(60));
    world.until(|| async { !world.store.unreadable(None).await.unwrap().is_empty() }).await;
    // Neither its lease nor anything else makes it due again.
    let later = plus_seconds(world.clock.now(), 86_400);
    assert_eq!(world.store.next_due(later, &[]).await.unwrap().earliest(), None);
    world.finish().await;
}

#[tokio::test]
async fn events_that_cannot_be_acted_upon_starve_no_others() {
    let world = World::start(BrokenStore::new(Flaw::None)).await;
    world.capture().await;
    within(world.bot.inbox().wait_for(1)).await;
    // Several batches of them, all older than the good one.
    let lost = || MessageReference::Provider(LOST_PAGE.to_owned());
    let mut events: Vec<_> = (0..300).map(|number| receipt(number, lost())).collect();
    events.push(world.press("good", None, "ru"));
    world.leave_behind(events).await;
    world.until(|| async { world.bot.interaction_replies().len() == 1 }).await;
    // They rest, and are tried again.
    let now = world.clock.now();
    world.until(|| async { world.store.next_due(now, &[]).await.unwrap().earliest() > Some(now) }).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_take_long_hold_up_no_lead() {
    let world = World::start(BrokenStore::new(Flaw::None)).await;
    let gate = world.store.close_the_gate();
    let any = || MessageReference::Provider("unknown".to_owned());
    world.leave_behind((0..300).map(|number| receipt(number, any())).collect()).await;
    // Leads are taken in and handed out, and their timers fire.
    world.capture().await;
    within(world.bot.inbox().wait_for(1)).await;
    world.clock.advance(Duration::from_secs(60));
    within(world.bot.inbox().wait_for(2)).await;
    gate.add_permits(1_000);
    world.finish().await;
}
