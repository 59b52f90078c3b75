//! Callers hang up at every await point: what they asked for is not on disk, or is fully acted upon at once.
//!
//! The clock stands still, so no lease ever runs out: what is left to nobody stays undone, and the test waits in vain.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fastlead_core::channel::{Channel, ChannelInfo, InboundEvent, InboundKind, Peer, ResponseTokenText};
use fastlead_core::decide::LeadStatus;
use fastlead_core::engine::{CaptureRequest, Engine};
use fastlead_core::id::{ChannelId, LeadId, WorkspaceId};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, RecipientKind, Response, ResponseToken};
use fastlead_core::policy::Policy;
use fastlead_core::port::{
    AddressKey, Addresses, Catalog, ChangeLog, Identities, Journal, LeadFilter, PageRequest, Store,
    Suppression, SuppressionScope,
};
use fastlead_core::time::{Clock, ManualClock, epoch};
use fastlead_testkit::memory::MemoryChannel;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// How often callers hang up on each operation; `HANG_UPS=10000` for a long run.
#[allow(clippy::disallowed_methods, reason = "a test has no settings but its environment")]
fn rounds() -> usize {
    std::env::var("HANG_UPS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// Polls a future so many times, lets others go on in between, and drops it.
async fn hang_up<F: Future>(future: F, polls: usize) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

struct World<S> {
    engine: Engine,
    store: S,
    clock: Arc<ManualClock>,
    bot: MemoryChannel,
    sms: MemoryChannel,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

fn policy() -> Policy {
    serde_json::from_value(json!({
        "targets": {
            "anna": {"display_name": "Anna", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}]},
        },
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "auto_reply": [{"channel": "sms", "to": "phone", "template": "thanks"}],
        "returns": {"within_days": 5, "reasons": ["wrong_number"]},
        "templates": {"lead": {"ru": {"plain": "Заявка"}}, "thanks": {"ru": {"plain": "Спасибо!"}}},
    }))
    .unwrap()
}

impl<S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone> World<S> {
    async fn start(store: S) -> Self {
        let clock = Arc::new(ManualClock::new(epoch()));
        let only = |name: &str, kind| {
            let channel = MemoryChannel::new(name).with_id(ChannelInfo::embedded("memory", name).id);
            let mut capabilities = channel.capabilities();
            // No receipts: what is accepted has ended.
            (capabilities.recipients, capabilities.receipts) = (vec![kind], false);
            channel.with_capabilities(capabilities)
        };
        let (bot, sms) = (only("bot", RecipientKind::Chat), only("sms", RecipientKind::Phone));
        let engine = Engine::builder(Arc::new(store.clone()))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .channel(Arc::new(bot.clone()))
            .channel(Arc::new(sms.clone()))
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
        Self { engine, store, clock, bot, sms, stop, running }
    }

    fn workspace(&self) -> WorkspaceId {
        self.engine.directory().source("site").unwrap().workspace_id
    }

    fn request(&self, number: usize) -> CaptureRequest {
        let source = self.engine.directory().source("site").cloned().unwrap();
        let phone = format!("+7900{number:07}");
        let input: CaptureInput = serde_json::from_value(json!({ "phone": phone })).unwrap();
        let capture = input.validate(&[], Locale::Ru, Received::at(self.clock.now())).unwrap();
        CaptureRequest { source, capture, idempotency: None }
    }

    async fn ingest(&self, over: ChannelId, event: InboundEvent) -> bool {
        let channel = self.engine.directory().channel(over).cloned().unwrap();
        self.engine.ingest(&channel, vec![event], None).await.unwrap().new == 1
    }

    /// Waits until nothing is left to be sent.
    async fn comes_to_rest(&self) {
        let mut changes = self.engine.changes();
        let rest = async {
            loop {
                let depth = self.store.queue_depth(self.clock.now()).await.unwrap();
                if depth.pending + depth.sending + depth.awaiting_receipt == 0 {
                    return;
                }
                // One that was missed is as good as one that was heard.
                let _missed = changes.recv().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), rest).await.expect("work is left to nobody");
    }

    /// Waits until every task of the engine has ended, and goes on.
    async fn quiet(&mut self) {
        self.comes_to_rest().await;
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(60), &mut self.running).await;
        ended.expect("the engine stops").unwrap();
        self.stop = CancellationToken::new();
        let (engine, stop) = (self.engine.clone(), self.stop.clone());
        self.running = tokio::spawn(async move { engine.run(stop).await });
        self.comes_to_rest().await;
    }

    async fn leads(&self) -> Vec<LeadId> {
        let (mut all, mut page) = (Vec::new(), PageRequest { limit: 500, ..PageRequest::default() });
        loop {
            let found =
                self.store.leads(self.workspace(), LeadFilter::default(), page.clone()).await.unwrap();
            all.extend(found.items.into_iter().map(|lead| lead.id));
            match found.next {
                Some(next) => page.after = Some(next),
                None => return all,
            }
        }
    }

    async fn status(&self, lead: LeadId) -> LeadStatus {
        self.store.lead(self.workspace(), lead).await.unwrap().unwrap().state.status
    }

    async fn finish(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

async fn a_capture_is_not_there_or_told_at_once<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let mut world = World::start(store).await;
    let rounds = rounds();
    for number in 0..rounds {
        hang_up(world.engine.capture(world.request(number)), number % 8).await;
    }
    world.quiet().await;
    let leads = world.leads().await.len();
    // Those that were polled went on to their end.
    assert_eq!(leads, rounds - rounds.div_ceil(8));
    assert_eq!((world.bot.inbox().all().len(), world.sms.inbox().all().len()), (leads, leads));
    world.finish().await;
}

async fn a_stop_word_is_not_there_or_acted_upon_at_once<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let mut world = World::start(store).await;
    let rounds = rounds();
    let sms = world.sms.info().id;
    let phone = |number: usize| format!("+7900{number:07}");
    let stop = |number: usize| {
        let from = Peer {
            chat: phone(number).as_str().into(),
            user: phone(number).as_str().into(),
            display_name: None,
            language: None,
        };
        let kind = InboundKind::Message { from, text: "СТОП".into() };
        InboundEvent { provider_event_id: format!("stop-{number}"), occurred_at: epoch(), kind }
    };
    for number in 0..rounds {
        hang_up(world.ingest(sms, stop(number)), number % 8).await;
    }
    world.quiet().await;
    let (mut recorded, mut unsubscribed) = (0, HashSet::new());
    let mut page = PageRequest { limit: 500, ..PageRequest::default() };
    loop {
        let found = world.store.suppressions(world.workspace(), page.clone()).await.unwrap();
        let advertising = found.items.iter().filter(|held| held.scope == SuppressionScope::Advertising);
        unsubscribed.extend(advertising.map(Suppression::key));
        match found.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    for number in 0..rounds {
        let address = fastlead_core::contact::Phone::parse(&phone(number)).unwrap();
        let recipient = fastlead_core::message::Recipient::Phone(address);
        let key = AddressKey::of(world.workspace(), sms, &recipient);
        let acted = unsubscribed.contains(&key);
        // The provider repeats what it was not answered.
        let new = world.ingest(sms, stop(number)).await;
        assert!(acted || new, "message {number} was recorded and not acted upon");
        recorded += usize::from(!new);
    }
    assert_eq!(recorded, rounds - rounds.div_ceil(8));
    world.finish().await;
}

async fn a_press_is_not_there_or_decided_upon_at_once<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let mut world = World::start(store).await;
    let rounds = rounds();
    let mut leads = Vec::new();
    for number in 0..rounds {
        leads.push(world.engine.capture(world.request(number)).await.unwrap().answer.lead_id);
    }
    world.comes_to_rest().await;
    let bot = world.bot.info().id;
    let mut presses = Vec::new();
    for (number, lead) in leads.iter().enumerate() {
        let deliveries = world.store.deliveries_of(world.workspace(), *lead).await.unwrap();
        let offer = deliveries.iter().find(|delivery| delivery.channel_id == bot).unwrap();
        let token = ResponseToken { response: Response::Accept, delivery_id: offer.id }.encode();
        let from = Peer { chat: "1".into(), user: "1".into(), display_name: None, language: None };
        let kind = InboundKind::Interaction {
            interaction_id: format!("i-{number}"),
            token: Some(ResponseTokenText(token)),
            from,
            message: None,
        };
        presses.push(InboundEvent { provider_event_id: format!("p-{number}"), occurred_at: epoch(), kind });
    }
    for (number, press) in presses.iter().enumerate() {
        hang_up(world.ingest(bot, press.clone()), number % 8).await;
    }
    world.quiet().await;
    for (lead, press) in leads.iter().zip(presses) {
        let decided = world.status(*lead).await == LeadStatus::Accepted;
        let new = world.ingest(bot, press).await;
        assert!(decided || new, "a press was recorded and not decided upon");
    }
    world.finish().await;
}

/// Everything that somebody can say of a lead over the API.
async fn an_answer_over_the_api_is_not_there_or_whole<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let mut world = World::start(store).await;
    let rounds = rounds() / 3;
    let workspace = world.workspace();
    for number in 0..rounds {
        let lead = world.engine.capture(world.request(number)).await.unwrap().answer.lead_id;
        // What changes a message that is just being sent waits for it by the clock.
        world.comes_to_rest().await;
        hang_up(world.engine.respond(workspace, lead, "anna", Response::Accept), number % 5).await;
        hang_up(world.engine.give_back(workspace, lead, "anna", "wrong_number"), number % 3).await;
        hang_up(world.engine.close(workspace, lead), number % 4).await;
        hang_up(world.engine.review(workspace, lead, true), number % 2).await;
        hang_up(world.engine.confirm(workspace, lead, None, None), number % 2).await;
    }
    world.quiet().await;
    for lead in world.leads().await {
        let record = world.store.lead(workspace, lead).await.unwrap().unwrap();
        let events = world.store.events(workspace, lead, PageRequest::default()).await.unwrap().items.len();
        let version = usize::try_from(record.state.version).unwrap();
        assert_eq!(version, events, "the state is the fold of what is in the history");
        let deliveries = world.store.deliveries_of(workspace, lead).await.unwrap();
        assert!(deliveries.iter().all(|delivery| delivery.state.is_terminal()), "{deliveries:?}");
    }
    world.finish().await;
}

on_every_store! {
    a_capture_is_not_there_or_told_at_once
    a_stop_word_is_not_there_or_acted_upon_at_once
    a_press_is_not_there_or_decided_upon_at_once
    an_answer_over_the_api_is_not_there_or_whole
}
