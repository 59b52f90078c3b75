//! Leads are shared out exactly, under concurrency and by several engines, on every store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::async_trait;
use fastlead_core::engine::{CaptureRequest, Change, Engine, ResponseOutcome};
use fastlead_core::error::Result;
use fastlead_core::id::{LeadId, PolicyId, RandomIds, WorkspaceId};
use fastlead_core::lead::{Capture, CaptureInput, EnrichmentOutcome, Received};
use fastlead_core::message::{Locale, Recipient, Response};
use fastlead_core::policy::Policy;
use fastlead_core::port::{
    Addresses, CaptureVerdict, Catalog, ChangeLog, Enricher, Identities, Journal, Store,
};
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, ManualClock, epoch};
use fastlead_testkit::memory::MemoryChannel;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

fn policy(targets: Value, route: Value) -> Policy {
    let mut targets = targets;
    for (name, target) in targets.as_object_mut().unwrap() {
        target["display_name"] = json!(name);
        target["destinations"] = json!([{"channel": "bot", "recipient": {"chat": name}}]);
    }
    serde_json::from_value(json!({
        "targets": targets,
        "route": route,
        "returns": {"within_days": 7, "reasons": ["wrong_number"]},
        "templates": {"t": {"ru": {"plain": "x"}}},
    }))
    .unwrap()
}

async fn engine<S: Store + Catalog + Addresses + Identities + ChangeLog + Clone>(
    store: &S,
    clock: &Arc<ManualClock>,
    policy: &Policy,
) -> Engine {
    engine_on(store, clock, policy, &MemoryChannel::new("bot")).await
}

async fn engine_on<S: Store + Catalog + Addresses + Identities + ChangeLog + Clone>(
    store: &S,
    clock: &Arc<ManualClock>,
    policy: &Policy,
    bot: &MemoryChannel,
) -> Engine {
    Engine::builder(Arc::new(store.clone()))
        .clock(Arc::clone(clock) as Arc<dyn Clock>)
        .ids(Arc::new(RandomIds))
        .channel(Arc::new(bot.clone()))
        .project("clinic", policy.clone())
        .source("site")
        .build()
        .await
        .unwrap()
}

fn workspace(engine: &Engine) -> WorkspaceId {
    engine.directory().source("site").unwrap().workspace_id
}

async fn capture(engine: &Engine, number: usize) -> LeadId {
    let source = engine.directory().source("site").cloned().unwrap();
    let input =
        CaptureInput { phone: Some(format!("+7900{number:07}").as_str().into()), ..CaptureInput::default() };
    let capture = input.validate(&[], Locale::Ru, Received::at(engine.clock().now())).unwrap();
    let outcome = engine.capture(CaptureRequest { source, capture, idempotency: None }).await.unwrap();
    assert_eq!(outcome.answer.verdict, CaptureVerdict::Accepted);
    outcome.answer.lead_id
}

/// Captures so many leads at once, by all engines in turn.
async fn rush(engines: &[Engine], leads: usize) -> Vec<LeadId> {
    let mut tasks = JoinSet::new();
    for number in 0..leads {
        let engine = engines[number % engines.len()].clone();
        tasks.spawn(async move { capture(&engine, number).await });
    }
    tasks.join_all().await
}

/// How many leads each target was offered.
async fn shares<S: Store>(store: &S, workspace: WorkspaceId, leads: &[LeadId]) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for lead in leads {
        let record = store.lead(workspace, *lead).await.unwrap().unwrap();
        for offer in record.state.offers {
            *shares.entry(offer.target).or_default() += 1;
        }
    }
    shares
}

async fn status<S: Store>(store: &S, workspace: WorkspaceId, lead: LeadId) -> String {
    store.lead(workspace, lead).await.unwrap().unwrap().state.status.as_str().to_owned()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

/// Waits until this was decided about the lead.
async fn decided(changes: &mut Receiver<Change>, lead: LeadId, what: &str) {
    loop {
        let change = within(changes.recv()).await.unwrap();
        if matches!(change, Change::Lead { lead_id, kind, .. } if lead_id == lead && kind == what) {
            return;
        }
    }
}

async fn a_cap_of_twenty_is_twenty<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let route = json!([
        {"strategy": "waterfall", "targets": ["a"], "template": "t", "overflow": "next"},
        {"strategy": "waterfall", "targets": ["rest"], "template": "t"},
    ]);
    let policy = policy(json!({"a": {"caps": [{"per": "day", "limit": 20}]}, "rest": {}}), route);
    // The second engine knows nothing of what the first has counted: the store refuses.
    let bot = MemoryChannel::new("bot");
    let start = || engine_on(&store, &clock, &policy, &bot);
    let engines = [start().await, start().await];
    let leads = rush(&engines, 200).await;
    let expected = BTreeMap::from([("a".to_owned(), 20), ("rest".to_owned(), 180)]);
    assert_eq!(shares(&store, workspace(&engines[0]), &leads).await, expected);
    // One that starts later reads what was counted.
    let third = start().await;
    let lead = capture(&third, 900).await;
    assert_eq!(shares(&store, workspace(&third), &[lead]).await, BTreeMap::from([("rest".to_owned(), 1)]));
}

async fn a_round_is_exact_under_concurrency<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let route = json!({"strategy": "round_robin", "targets": ["a", "b", "c"], "template": "t"});
    let policy = policy(json!({"a": {}, "b": {}, "c": {}}), route);
    let engine = engine(&store, &clock, &policy).await;
    let leads = rush(std::slice::from_ref(&engine), 301).await;
    let shares = shares(&store, workspace(&engine), &leads).await;
    let (most, least) = (shares.values().max().unwrap(), shares.values().min().unwrap());
    assert!(most - least <= 1, "{shares:?}");
}

async fn the_oldest_gets_the_place_that_is_free<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let route = json!({"strategy": "round_robin", "targets": ["a"], "template": "t"});
    let engine = engine(&store, &clock, &policy(json!({"a": {"capacity": 1}}), route)).await;
    let workspace = workspace(&engine);
    let mut changes = engine.changes();
    let mut leads = Vec::new();
    for number in 0..4 {
        clock.advance(Duration::from_millis(1));
        leads.push(capture(&engine, number).await);
    }
    assert_eq!(status(&store, workspace, leads[1]).await, "queued");
    for (done, next) in [(0, 1), (1, 2), (2, 3)] {
        engine.respond(workspace, leads[done], "a", Response::Accept).await.unwrap();
        // One is done with, one is given back: both make room.
        let outcome = match done {
            1 => engine.give_back(workspace, leads[done], "a", "wrong_number").await.unwrap(),
            _ => engine.close(workspace, leads[done]).await.unwrap(),
        };
        assert!(matches!(outcome, ResponseOutcome::Decided(_)));
        decided(&mut changes, leads[next], "slot_free").await;
        assert_eq!(status(&store, workspace, leads[next]).await, "open");
        for later in &leads[next + 1..] {
            assert_eq!(status(&store, workspace, *later).await, "queued");
        }
    }
}

async fn a_queue_is_first_in_first_out_however_many_leave_at_once<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let route = json!({"strategy": "round_robin", "targets": ["a", "b"], "template": "t"});
    let targets = json!({"a": {"capacity": 2}, "b": {"capacity": 1}});
    let engine = engine(&store, &clock, &policy(targets, route)).await;
    let workspace = workspace(&engine);
    let mut changes = engine.changes();
    let mut leads = Vec::new();
    for number in 0..40 {
        clock.advance(Duration::from_millis(1));
        leads.push(capture(&engine, number).await);
    }
    let close = |lead: LeadId| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.close(workspace, lead).await.unwrap() })
    };
    let mut closing: Vec<_> = leads[..3].iter().map(|lead| close(*lead)).collect();
    let mut order = Vec::new();
    while order.len() < 37 {
        if let Change::Lead { lead_id, kind: "slot_free", .. } = within(changes.recv()).await.unwrap() {
            order.push(lead_id);
            closing.push(close(lead_id));
        }
    }
    assert_eq!(order, leads[3..]);
    for closed in closing {
        within(closed).await.unwrap();
    }
}

async fn nobody_overtakes_the_queue<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t"});
    let hours = json!({"weekly": [{"days": "mon-sun", "from": "09:00", "to": "18:00"}]});
    let targets = json!({"a": {"timezone": "UTC", "hours": hours, "capacity": 1}});
    let engine = engine(&store, &clock, &policy(targets, route)).await;
    let workspace = workspace(&engine);
    let mut changes = engine.changes();
    // At midnight nobody works.
    let first = capture(&engine, 1).await;
    assert_eq!(status(&store, workspace, first).await, "queued");
    // At nine, before any timer has fired, another one comes: it makes way, and the first is looked after.
    clock.advance(Duration::from_secs(9 * 3_600));
    let second = capture(&engine, 2).await;
    decided(&mut changes, first, "slot_free").await;
    assert_eq!(status(&store, workspace, first).await, "open");
    assert_eq!(status(&store, workspace, second).await, "queued");
}

/// Publishes another version of a policy, as a program beside the engine would.
async fn publish<S: Catalog>(store: &S, engine: &Engine, policy: &Policy) {
    let project = engine.directory().source("site").unwrap().project_id;
    let (workspace, new) = (workspace(engine), PolicyId::generate(&RandomIds, engine.clock().now()));
    store.publish_policy(workspace, project, new, policy.clone(), engine.clock().now()).await.unwrap();
}

async fn who_waits_goes_on_by_the_policy_that_was_published<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let route = json!({"strategy": "round_robin", "targets": ["a"], "template": "t"});
    let engine = engine(&store, &clock, &policy(json!({"a": {"capacity": 1}}), route.clone())).await;
    let workspace = workspace(&engine);
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let mut changes = engine.changes();
    let mut leads = Vec::new();
    for number in 0..6 {
        clock.advance(Duration::from_millis(1));
        leads.push(capture(&engine, number).await);
    }
    assert_eq!(status(&store, workspace, leads[1]).await, "queued");
    publish(&store, &engine, &policy(json!({"a": {"capacity": 4}}), route.clone())).await;
    engine.catch_up().await.unwrap();
    for lead in &leads[1..] {
        decided(&mut changes, *lead, "policy_changed").await;
    }
    // Whoever comes now waits behind the two who found no room.
    leads.push(capture(&engine, 6).await);
    let mut statuses = Vec::new();
    for lead in &leads {
        statuses.push(status(&store, workspace, *lead).await);
    }
    assert_eq!(statuses, ["open", "open", "open", "open", "queued", "queued", "queued"]);
    engine.close(workspace, leads[0]).await.unwrap();
    decided(&mut changes, leads[4], "slot_free").await;
    // Published while nobody is told of it: it is found by whoever begins to work.
    stop.cancel();
    within(running).await.unwrap();
    publish(&store, &engine, &policy(json!({"a": {"capacity": 9}}), route)).await;
    engine.catch_up().await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    decided(&mut changes, leads[6], "policy_changed").await;
    assert_eq!(status(&store, workspace, leads[6]).await, "open");
    stop.cancel();
    within(running).await.unwrap();
}

/// A lead that came while a policy was published is stored, and waits, after the others were looked after.
async fn who_begins_to_wait_by_an_old_policy_goes_on_by_the_newest<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let route = json!({"strategy": "round_robin", "targets": ["a"], "template": "t"});
    let mut first = policy(json!({"a": {"capacity": 1}}), route.clone());
    first.review =
        serde_json::from_value(json!({"when": "fields.odd == \"yes\"", "sla_secs": 3600})).unwrap();
    let engine = engine(&store, &clock, &first).await;
    let workspace = workspace(&engine);
    let mut changes = engine.changes();
    let source = engine.directory().source("site").cloned().unwrap();
    let input: CaptureInput =
        serde_json::from_value(json!({"phone": "+79000000001", "fields": {"odd": "yes"}})).unwrap();
    let input = input.validate(&[], Locale::Ru, Received::at(clock.now())).unwrap();
    let request = CaptureRequest { source, capture: input, idempotency: None };
    let reviewed = engine.capture(request).await.unwrap().answer.lead_id;
    capture(&engine, 2).await;
    publish(&store, &engine, &policy(json!({"a": {"capacity": 2}}), route)).await;
    engine.catch_up().await.unwrap();
    // The policy that it is pinned to knows one place, which is taken.
    engine.review(workspace, reviewed, true).await.unwrap();
    decided(&mut changes, reviewed, "policy_changed").await;
    assert_eq!(status(&store, workspace, reviewed).await, "open");
}

async fn a_queue_is_worked_off_by_timers<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t"});
    let hours = json!({"weekly": [{"days": "mon-sun", "from": "09:00", "to": "18:00"}]});
    let engine =
        engine(&store, &clock, &policy(json!({"a": {"timezone": "UTC", "hours": hours}}), route)).await;
    let workspace = workspace(&engine);
    let mut changes = engine.changes();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let lead = capture(&engine, 1).await;
    clock.advance(Duration::from_secs(9 * 3_600));
    decided(&mut changes, lead, "timer_fired").await;
    assert_eq!(status(&store, workspace, lead).await, "open");
    stop.cancel();
    within(running).await.unwrap();
}

async fn the_highest_bid_gets_the_lead<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let route = json!({"strategy": "ping_post", "targets": ["low", "high", "silent"], "template": "t",
        "ping_timeout_secs": 10});
    let bot = MemoryChannel::new("bot");
    let answers = [
        ("low", json!({"bid": 100, "accept": true})),
        ("high", json!({"bid": 200, "currency": "RUB", "accept": true})),
        ("silent", json!({"thanks": true})),
    ];
    for (chat, answer) in answers {
        bot.answer(Recipient::Chat(chat.into()), answer);
    }
    let policy = policy(json!({"low": {}, "high": {}, "silent": {}}), route);
    let engine = engine_on(&store, &clock, &policy, &bot).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let mut changes = engine.changes();
    let lead = capture(&engine, 1).await;
    // Three answers, and then the winner takes it in its answer to the offer.
    decided(&mut changes, lead, "responded").await;
    let record = store.lead(workspace(&engine), lead).await.unwrap().unwrap();
    assert_eq!(record.state.status.as_str(), "accepted");
    assert_eq!(record.state.sales.len(), 1);
    assert_eq!(record.state.sales[0].target, "high");
    assert_eq!(record.state.sales[0].price.unwrap().minor, 200);
    let told = within(bot.inbox().wait_for(4)).await;
    let pings: Vec<_> = told[..3].iter().map(|arrival| arrival.text.contains("+7900")).collect();
    assert_eq!(pings, [false, false, false], "a ping names the person");
    assert!(told[3].text.contains("lead.offered") && told[3].text.contains("+7900"));
    stop.cancel();
    within(running).await.unwrap();
}

/// Knows the city, unless it hangs.
#[derive(Debug)]
struct City {
    hangs: bool,
}

#[async_trait]
impl Enricher for City {
    fn name(&self) -> &str {
        if self.hangs { "slow" } else { "city" }
    }

    async fn enrich(&self, _: &Capture) -> Result<BTreeMap<String, Pii<String>>> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok(BTreeMap::from([("name".to_owned(), "Казань".into())]))
    }
}

async fn an_enricher_that_hangs_holds_up_nobody<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let route = json!([
        {"when": "fields[\"city.name\"] == \"Казань\"", "strategy": "waterfall", "targets": ["kazan"], "template": "t"},
        {"strategy": "waterfall", "targets": ["rest"], "template": "t"},
    ]);
    let mut policy = policy(json!({"kazan": {}, "rest": {}}), route);
    policy.enrich = serde_json::from_value(json!([
        {"name": "slow", "budget_ms": 20},
        {"name": "city"},
        {"name": "unknown"},
    ]))
    .unwrap();
    let engine = Engine::builder(Arc::new(store.clone()))
        .channel(Arc::new(MemoryChannel::new("bot")))
        .enricher(Arc::new(City { hangs: true }))
        .enricher(Arc::new(City { hangs: false }))
        .project("clinic", policy)
        .source("site")
        .build()
        .await
        .unwrap();
    let lead = within(capture(&engine, 1)).await;
    let record = store.lead(workspace(&engine), lead).await.unwrap().unwrap();
    assert_eq!(record.state.offers[0].target, "kazan");
    let outcomes: Vec<_> = record.capture.enrichment.iter().map(|step| step.outcome).collect();
    assert_eq!(
        outcomes,
        [EnrichmentOutcome::TooLate, EnrichmentOutcome::Answered, EnrichmentOutcome::Missing]
    );
}

on_every_store! {
    a_cap_of_twenty_is_twenty
    a_round_is_exact_under_concurrency
    the_oldest_gets_the_place_that_is_free
    a_queue_is_first_in_first_out_however_many_leave_at_once
    nobody_overtakes_the_queue
    who_waits_goes_on_by_the_policy_that_was_published
    who_begins_to_wait_by_an_old_policy_goes_on_by_the_newest
    a_queue_is_worked_off_by_timers
    an_enricher_that_hangs_holds_up_nobody
    the_highest_bid_gets_the_lead
}
