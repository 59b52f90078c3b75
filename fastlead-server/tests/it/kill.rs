//! `kill -9` at random moments under load: what was acknowledged is kept, and nothing is sent twice unnoticed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastlead_core::delivery::{Delivery, DeliveryState};
use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{ChannelId, PolicyId, ProjectId, SourceId, WorkspaceId};
use fastlead_core::port::{
    ChannelRecord, ChannelStatus, DeliveryFilter, LeadFilter, PageRequest, Project, SourceLimits,
};
use fastlead_server::app::App;
use fastlead_server::{Server, Settings, bootstrap};
use fastlead_testkit::sim::smsc::SmscSim;
use fastlead_testkit::sim::telegram::TelegramSim;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::program::{Program, client};

/// How often the program is killed, unless `FASTLEAD_KILL_ROUNDS` says otherwise.
const ROUNDS: u32 = 200;
const CLIENTS: usize = 16;
/// Telegram takes one message a second into one chat; so many chats take what a round brings.
const PROJECTS: u32 = 128;
const FIRST_CHAT: i64 = 10_000;
/// Longer than a send may take at the most, as the server demands; short enough that later rounds recover what
/// earlier ones left.
const LEASE_SECS: u64 = 45;
/// How long the last process may take for what all the others have left: their leases run out, and what they sent is
/// asked about beside the receipts of everything else.
const FINISH_SECS: u64 = 120 + LEASE_SECS;
const SEED: u64 = 0x00C0_FFEE;

/// What the visitors know.
#[derive(Debug, Default)]
struct Ledger {
    next: AtomicU32,
    /// Number of the visitor → lead id of the answer.
    acknowledged: Mutex<HashMap<u32, String>>,
    /// Visitors who got no answer; they send the same again, as a browser does.
    unanswered: Mutex<Vec<u32>>,
    refused: Mutex<Vec<String>>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "the number of rounds belongs to the test's command line, not to the server"
)]
fn rounds() -> u32 {
    let said = std::env::var("FASTLEAD_KILL_ROUNDS").ok();
    said.map_or(ROUNDS, |said| said.parse().expect("FASTLEAD_KILL_ROUNDS is a number"))
}

fn phone(number: u32) -> String {
    format!("+7900{number:07}")
}

fn workspace() -> WorkspaceId {
    WorkspaceId::from_uuid(stable_uuid("workspace", "first"))
}

fn settings(folder: &Path) -> Settings {
    let mut settings = Settings::defaults().unwrap();
    settings.http.listen.set_port(0);
    settings.channels.allowed_private_hosts = vec!["127.0.0.1".to_owned()];
    settings.store.path = folder.join("store.db");
    settings.engine.lease_secs = LEASE_SECS;
    settings
}

async fn prepare(folder: &Path, telegram: &TelegramSim, smsc: &SmscSim) {
    let server = Server::builder(settings(folder)).build().await.unwrap();
    let app = server.app();
    bootstrap::first_run(app, "kill").await.unwrap();
    let bot = json!({
        "bot_token": telegram.token(), "endpoint": telegram.base_url(), "updates": "polling",
        "messages_per_second": 1000,
    });
    let sms = json!({"login": smsc.login(), "password": smsc.password(), "endpoint": smsc.base_url()});
    add_channel(app, "telegram", "bot", bot).await;
    add_channel(app, "smsc", "sms", sms).await;
    let first = app.engine.directory().source("kill").map(Arc::clone).unwrap();
    let now = app.engine.clock().now();
    for index in 0..PROJECTS {
        let name = format!("kill-{index}");
        let project = Project {
            id: ProjectId::from_uuid(stable_uuid("project", &name)),
            workspace_id: workspace(),
            name: name.clone(),
            created_at: now,
        };
        let mut source = (*first).clone();
        source.id = SourceId::from_uuid(stable_uuid("source", &name));
        source.project_id = project.id;
        source.key = name.clone();
        source.consents = Vec::new();
        source.limits = SourceLimits { per_ip_per_minute: 0, min_fill_millis: 0, ..SourceLimits::default() };
        let chat = FIRST_CHAT + i64::from(index);
        telegram.add_chat(chat, "Sales");
        let id = PolicyId::from_uuid(stable_uuid("policy", &name));
        let policy = serde_json::from_value(policy(chat)).unwrap();
        app.store.put_project(project.clone()).await.unwrap();
        app.store.put_source(source).await.unwrap();
        app.store.publish_policy(workspace(), project.id, id, policy, now).await.unwrap();
    }
}

fn policy(chat: i64) -> Value {
    let both = |text: &str| json!({"ru": {"plain": text}, "en": {"plain": text}});
    json!({
        "targets": {"sales": {
            "display_name": "Sales", "locale": "en",
            "destinations": [{"channel": "bot", "recipient": {"chat": chat.to_string()}}],
        }},
        "route": {"strategy": "broadcast", "targets": ["sales"], "template": "offer"},
        "auto_reply": [{"channel": "sms", "to": "phone", "template": "thanks"}],
        "templates": {"offer": both("Lead [{{ lead.name }}]"), "thanks": both("Thank you [{{ lead.name }}]")},
        "delivery": {"retry": [1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8, 16, 16, 16, 16]},
    })
}

async fn add_channel(app: &App, kind: &str, name: &str, config: Value) {
    let id = ChannelId::from_uuid(stable_uuid("channel", name));
    app.registry.build(kind, id, name, config.clone()).unwrap();
    let record = ChannelRecord {
        id,
        workspace_id: workspace(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        config: app.keyring.seal(workspace(), id, config.to_string().as_bytes()).unwrap(),
        webhook_token: bootstrap::random_text(32),
        status: ChannelStatus::Active,
        created_at: app.engine.clock().now(),
    };
    app.store.put_channel(record).await.unwrap();
}

/// One visitor after another, until the program is gone.
async fn visitors(client: reqwest::Client, url: String, ledger: Arc<Ledger>) {
    loop {
        let again = ledger.unanswered.lock().unwrap().pop();
        let number = again.unwrap_or_else(|| ledger.next.fetch_add(1, Ordering::Relaxed));
        let answer = client
            .post(format!("{url}/v1/capture/kill-{}", number % PROJECTS))
            .header("idempotency-key", format!("visitor-{number}"))
            .json(&json!({"phone": phone(number), "name": format!("v{number}")}))
            .send()
            .await;
        let answer = match answer {
            Ok(answer) if answer.status() == 202 => answer.json::<Value>().await,
            Ok(answer) => {
                ledger.refused.lock().unwrap().push(format!("visitor {number}: {}", answer.status()));
                return;
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                let lead = answer["lead_id"].as_str().unwrap().to_owned();
                ledger.acknowledged.lock().unwrap().insert(number, lead);
            }
            Err(_) => {
                ledger.unanswered.lock().unwrap().push(number);
                return;
            }
        }
    }
}

/// Serves in this process until nothing is left to do, and answers every lead (id → name) and delivery.
async fn finish(folder: &Path) -> (HashMap<String, String>, Vec<Delivery>) {
    let server = Server::builder(settings(folder)).build().await.unwrap();
    let store = Arc::clone(&server.app().store);
    let clock = Arc::clone(server.app().engine.clock());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.serve(stop.clone()));
    let mut look = tokio::time::interval(Duration::from_millis(250));
    let drained = tokio::time::timeout(Duration::from_secs(FINISH_SECS), async {
        loop {
            look.tick().await;
            let depth = store.queue_depth(clock.now()).await.unwrap();
            if depth.pending + depth.sending == 0 {
                let deliveries = all_deliveries(&*store).await;
                if deliveries.iter().all(|delivery| !delivery.uncertain || delivery.state.is_terminal()) {
                    return deliveries;
                }
            }
        }
    });
    let drained = drained.await;
    let depth = store.queue_depth(clock.now()).await.unwrap();
    let deliveries =
        drained.unwrap_or_else(|_| panic!("work is left over after {FINISH_SECS} seconds: {depth:?}"));
    let mut leads = HashMap::new();
    let mut page = PageRequest { after: None, limit: 500 };
    loop {
        let found = store.leads(workspace(), LeadFilter::default(), page.clone()).await.unwrap();
        for lead in found.items {
            let name = lead.capture.contact.name.unwrap().expose().clone();
            leads.insert(lead.id.to_string(), name);
        }
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    stop.cancel();
    serving.await.unwrap().unwrap();
    (leads, deliveries)
}

async fn all_deliveries(store: &dyn fastlead_server::app::Backend) -> Vec<Delivery> {
    let mut all = Vec::new();
    let mut page = PageRequest { after: None, limit: 500 };
    loop {
        let found = store.deliveries(workspace(), DeliveryFilter::default(), page.clone()).await.unwrap();
        all.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            return all;
        }
    }
}

/// How often each visitor's name stands in what has arrived.
fn arrivals(texts: impl Iterator<Item = String>) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for text in texts {
        let name = text.split(['[', ']']).nth(1).expect("a name in brackets").to_owned();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_at_random_moments_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let telegram = TelegramSim::start().await.unwrap();
    let smsc = SmscSim::start().await.unwrap();
    smsc.notice_repetitions(false);
    smsc.set_balance(100_000_000);
    prepare(folder.path(), &telegram, &smsc).await;

    let rounds = rounds();
    let mut random = rand::rngs::StdRng::seed_from_u64(SEED);
    let ledger = Arc::new(Ledger::default());
    let lease = LEASE_SECS.to_string();
    let started = std::time::Instant::now();
    for _ in 0..rounds {
        let mut program = Program::start(folder.path(), &[("FASTLEAD__ENGINE__LEASE_SECS", &lease)]).await;
        let client = client();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(visitors(client.clone(), program.url.clone(), Arc::clone(&ledger)));
        }
        let life = Duration::from_millis(random.random_range(20..150));
        // The clients go on until the program is gone, so it is always the time that runs out.
        if tokio::time::timeout(life, clients.join_next()).await.is_ok() {
            assert_eq!(*ledger.refused.lock().unwrap(), Vec::<String>::new());
        }
        program.kill();
        clients.join_all().await;
    }
    let took = started.elapsed();
    let (leads, deliveries) = finish(folder.path()).await;
    let report = Report::of(&ledger, &leads, &deliveries, &telegram, &smsc);
    println!(
        "kill test: rounds {rounds} in {} s, acknowledged {}, lost {}, deliveries {}, deliveries lost {}, sent twice {}, \
         ambiguous {} (of them arrived {}); states {:?}",
        took.as_secs(),
        ledger.acknowledged.lock().unwrap().len(),
        report.lost.len(),
        deliveries.len(),
        report.deliveries_lost.len(),
        report.twice,
        report.ambiguous,
        report.ambiguous_arrived,
        report.states,
    );
    assert_eq!(*ledger.refused.lock().unwrap(), Vec::<String>::new());
    // A slow machine takes few in so short lives, and still enough to say something.
    assert!(ledger.acknowledged.lock().unwrap().len() > usize::try_from(rounds / 4).unwrap());
    assert_eq!(report.lost, Vec::<String>::new(), "acknowledged leads are lost");
    assert_eq!(report.deliveries_lost, Vec::<String>::new(), "deliveries are lost");
    assert_eq!(report.faults, Vec::<String>::new());
}

#[derive(Debug, Default)]
struct Report {
    lost: Vec<String>,
    deliveries_lost: Vec<String>,
    faults: Vec<String>,
    twice: u32,
    ambiguous: u32,
    ambiguous_arrived: u32,
    states: BTreeMap<String, u32>,
}

impl Report {
    fn of(
        ledger: &Ledger,
        leads: &HashMap<String, String>,
        deliveries: &[Delivery],
        telegram: &TelegramSim,
        smsc: &SmscSim,
    ) -> Self {
        let mut report = Self::default();
        for (number, lead) in &*ledger.acknowledged.lock().unwrap() {
            if leads.get(lead) != Some(&format!("v{number}")) {
                report.lost.push(format!("visitor {number}, lead {lead}"));
            }
        }
        let names: HashSet<&String> = leads.values().collect();
        if names.len() != leads.len() {
            report.faults.push(format!("{} leads of {} visitors", leads.len(), names.len()));
        }
        let offers = arrivals(telegram.inbox().all().into_iter().map(|arrival| arrival.text));
        let replies = arrivals(smsc.inbox().all().into_iter().map(|arrival| arrival.text));
        let mut by_lead: HashMap<(String, &str), &Delivery> = HashMap::new();
        for delivery in deliveries {
            let purpose = delivery.spec.purpose.as_str();
            *report.states.entry(format!("{purpose} {}", delivery.state.as_str())).or_default() += 1;
            let lead = delivery.lead_id.map(|id| id.to_string()).unwrap_or_default();
            if by_lead.insert((lead.clone(), purpose), delivery).is_some() {
                report.faults.push(format!("lead {lead} has two deliveries of the kind {purpose}"));
            }
        }
        for (lead, name) in leads {
            for (purpose, arrived) in [("offer", &offers), ("auto_reply", &replies)] {
                let count = arrived.get(name).copied().unwrap_or(0);
                match by_lead.get(&(lead.clone(), purpose)) {
                    Some(delivery) => report.judge(delivery, name, count),
                    None => report.deliveries_lost.push(format!("{purpose} of {name} was never made")),
                }
            }
        }
        report
    }

    fn judge(&mut self, delivery: &Delivery, name: &str, arrived: u32) {
        let purpose = delivery.spec.purpose.as_str();
        let told = || {
            let reason = delivery.reason.as_deref().unwrap_or("no reason");
            format!("{purpose} of {name}: {} ({reason}), arrived {arrived}", delivery.state.as_str())
        };
        let ambiguous = delivery.state == DeliveryState::Ambiguous;
        self.ambiguous += u32::from(ambiguous);
        self.ambiguous_arrived += u32::from(ambiguous && arrived > 0);
        if ambiguous && purpose == "auto_reply" {
            self.faults.push(format!("SMSC can be asked, and nobody did: {}", told()));
        }
        if arrived > 1 {
            self.twice += 1;
            if !ambiguous || purpose == "auto_reply" {
                self.faults.push(format!("sent twice: {}", told()));
            }
        }
        let well = matches!(
            delivery.state,
            DeliveryState::Sent | DeliveryState::Delivered | DeliveryState::AwaitingReceipt
        );
        if !ambiguous && (!well || arrived == 0) {
            self.deliveries_lost.push(told());
        }
    }
}
