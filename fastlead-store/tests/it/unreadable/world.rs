//! Two tenants with something in every table, and a program that works on them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::{Channel, InboundEvent, InboundKind, Peer};
use fastlead_core::contact::{Handle, Phone};
use fastlead_core::delivery::Lease;
use fastlead_core::engine::{CaptureOutcome, CaptureRequest, ChannelOpener, Engine, IdempotencyKey};
use fastlead_core::id::{
    AccountId, ApiKeyId, ChannelId, IdentityId, LeadId, LeaseToken, PolicyId, PostingId, ProjectId,
    RandomIds, SessionId, SourceId, SuppressionId, UserId, WorkspaceId,
};
use fastlead_core::lead::{CaptureInput, ConsentDocument, ConsentPurpose, FieldMapping, Received};
use fastlead_core::message::{Locale, Recipient, Response};
use fastlead_core::money::{Currency, Money};
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::{
    Accounts as _, AddressMove, Addresses as _, ApiKeyRecord, Catalog as _, ChannelRecord, ChannelStatus,
    Entry, FormSettings, Identities as _, IdentityLink, InboundBatch, InboundRef, Ledger as _, LedgerAccount,
    LinkedBy, PolicyDraft, Posting, Project, Role, SealedConfig, SessionRecord, SetAside, Source,
    SourceLimits, Store as _, Suppression, SuppressionScope, UserRecord, Workspace,
};
use fastlead_core::time::{Clock, ManualClock, Timestamp, from_millis, plus_seconds};
use fastlead_core::{Error, ErrorKind, Result};
use fastlead_store::{SqliteOptions, SqliteStore};
use fastlead_testkit::memory::MemoryChannel;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) fn start() -> Timestamp {
    from_millis(1_767_225_600_000)
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

/// What was stored of a tenant.
#[derive(Debug, Clone)]
pub(super) struct Tenant {
    pub workspace: WorkspaceId,
    pub project: ProjectId,
    pub source: SourceId,
    pub key: String,
    pub bot: ChannelId,
    pub sms: ChannelId,
    pub policy: PolicyRef,
    pub user: UserRecord,
    pub session: SessionRecord,
    pub api_key: ApiKeyRecord,
    pub suppression: Suppression,
    pub link: IdentityLink,
    pub leads: Vec<LeadId>,
    pub accounts: [AccountId; 2],
    pub posting: Posting,
    letter: char,
}

fn policy(limit: u32) -> Policy {
    serde_json::from_value(serde_json::json!({
        "dedupe": {"match": "any", "fields": ["contact.phone"], "window_secs": 600},
        "targets": {
            "anna": {"display_name": "Anna", "caps": [{"per": "day", "limit": limit}],
                "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}]},
            "oleg": {"display_name": "Oleg", "destinations": [{"channel": "bot", "recipient": {"chat": "2"}}]},
        },
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "escalation": [{"after_secs": 60, "targets": ["oleg"], "template": "lead"}],
        "auto_reply": [{"channel": "sms", "to": "phone", "template": "thanks"}],
        "delivery": {"ordered": true},
        "templates": {
            "lead": {"ru": {"plain": "Заявка: {{ lead.phone }}"}},
            "thanks": {"ru": {"plain": "Спасибо!"}},
        },
    }))
    .unwrap()
}

fn said(id: &str, chat: &str) -> InboundEvent {
    let from =
        Peer { chat: chat.into(), user: chat.into(), display_name: Some("Вера".into()), language: None };
    InboundEvent {
        provider_event_id: id.to_owned(),
        occurred_at: start(),
        kind: InboundKind::Message { from, text: "Здравствуйте".into() },
    }
}

impl Tenant {
    fn new(letter: char) -> Self {
        let now = start();
        let (workspace, bot) = (WorkspaceId::generate(&RandomIds, now), ChannelId::generate(&RandomIds, now));
        let user = UserId::generate(&RandomIds, now);
        let accounts = [(); 2].map(|()| AccountId::generate(&RandomIds, now));
        let amounts = [(accounts[0], -500), (accounts[1], 500)];
        let entries =
            amounts.map(|(account, minor)| Entry::new(account, Money::new(minor, Currency::RUB))).to_vec();
        let handle = Handle { messenger: "memory".to_owned(), id: "77".into() };
        Self {
            workspace,
            project: ProjectId::generate(&RandomIds, now),
            source: SourceId::generate(&RandomIds, now),
            key: format!("site-{letter}"),
            bot,
            sms: ChannelId::generate(&RandomIds, now),
            policy: PolicyRef { id: PolicyId::generate(&RandomIds, now), version: 1 },
            user: UserRecord {
                id: user,
                workspace_id: workspace,
                login: format!("{letter}@example.com").as_str().into(),
                password_hash: "$argon2id$v=19$invented".into(),
                role: Role::Operator,
                created_at: now,
                tokens_valid_from: now,
                disabled_at: None,
            },
            session: SessionRecord {
                id: SessionId::generate(&RandomIds, now),
                user_id: user,
                workspace_id: workspace,
                created_at: now,
                expires_at: plus_seconds(now, 86_400),
                last_used_at: now,
                address: Some("192.0.2.1".into()),
                client: None,
                ended_at: None,
            },
            api_key: ApiKeyRecord {
                id: ApiKeyId::generate(&RandomIds, now),
                workspace_id: workspace,
                name: "site".to_owned(),
                hash: [letter as u8; 32],
                hint: "fl_1234".to_owned(),
                role: Role::Admin,
                scopes: vec!["leads:read".to_owned()],
                created_at: now,
                expires_at: None,
                last_used_at: None,
                revoked_at: None,
            },
            suppression: Suppression {
                id: SuppressionId::generate(&RandomIds, now),
                workspace_id: workspace,
                channel_id: bot,
                recipient: Recipient::Chat("99".into()),
                scope: SuppressionScope::All,
                reason: "operator".to_owned(),
                since: now,
                advertising: None,
                erased: None,
            },
            link: IdentityLink {
                id: IdentityId::generate(&RandomIds, now),
                workspace_id: workspace,
                handle,
                phone: Phone::parse("+79000000077").unwrap(),
                by: LinkedBy::Operator { actor: "anna".to_owned() },
                at: now,
                undone: None,
            },
            leads: Vec::new(),
            accounts,
            posting: Posting::new(PostingId::of(&["first"]), now, "charge", entries),
            letter,
        }
    }

    async fn install(&mut self, store: &SqliteStore) -> Result<()> {
        let now = start();
        let &mut Self { workspace, project, .. } = self;
        store.put_workspace(Workspace { id: workspace, name: "Main".to_owned(), created_at: now }).await?;
        let name = "clinic".to_owned();
        store.put_project(Project { id: project, workspace_id: workspace, name, created_at: now }).await?;
        for limit in [100, 200] {
            let id = self.policy.id;
            self.policy = store.publish_policy(workspace, project, id, policy(limit), now).await?.reference;
        }
        store
            .put_draft(PolicyDraft {
                workspace_id: workspace,
                project_id: project,
                document: serde_json::json!({"a": 1}),
                based_on: Some(1),
                saved_at: now,
            })
            .await?;
        store
            .put_source(Source {
                id: self.source,
                workspace_id: workspace,
                project_id: project,
                key: self.key.clone(),
                name: "Website".to_owned(),
                active: true,
                locale: Locale::Ru,
                allowed_origins: Vec::new(),
                consents: vec![ConsentDocument {
                    purpose: ConsentPurpose::PersonalData,
                    locale: None,
                    document_id: "personal-data".to_owned(),
                    version: "1".to_owned(),
                    label: "Согласен".to_owned(),
                    text: "Образец".to_owned(),
                    required: false,
                }],
                form: FormSettings::default(),
                limits: SourceLimits::default(),
                mapping: FieldMapping::default(),
                created_at: now,
            })
            .await?;
        for (id, name) in [(self.bot, "bot"), (self.sms, "sms")] {
            store
                .put_channel(ChannelRecord {
                    id,
                    workspace_id: workspace,
                    kind: "memory".to_owned(),
                    name: name.to_owned(),
                    config: SealedConfig(vec![1; 8]),
                    webhook_token: format!("{name}-{}", self.letter),
                    status: ChannelStatus::Active,
                    created_at: now,
                })
                .await?;
        }
        store.put_user(self.user.clone()).await?;
        store.open_session(self.session.clone()).await?;
        store.put_api_key(self.api_key.clone()).await?;
        store.suppress(self.suppression.clone()).await?;
        store
            .move_address(AddressMove {
                workspace_id: workspace,
                channel_id: self.bot,
                from: Recipient::Chat("98".into()),
                to: Recipient::Chat("97".into()),
            })
            .await?;
        for account in self.accounts {
            let account = LedgerAccount::new(workspace, account, "Buyer", Currency::RUB).with_credit(None);
            store.open_account(account).await?;
        }
        store.post(workspace, vec![self.posting.clone()]).await?;
        #[cfg(feature = "billing")]
        super::intents::begin(store, self).await?;
        store.link(self.link.clone()).await.map(drop)
    }

    /// Two leads: one is taken, nobody has answered the other yet; what thanks for them waits on a paused channel.
    async fn live(&mut self, work: &Work) -> Result<()> {
        work.engine.pause(self.workspace, self.sms, "operator").await?;
        for number in 0..2 {
            let phone = format!("+790000000{number}{}", self.letter as u8 % 10);
            let key = format!("key-{number}");
            let outcome = work.capture(&self.key, &phone, Some(&key)).await?;
            self.leads.push(outcome.answer.lead_id);
        }
        within(work.bots[&self.bot].inbox().wait_for(2)).await;
        let taken = work.engine.respond(self.workspace, self.leads[0], "anna", Response::Accept).await?;
        assert!(matches!(taken, fastlead_core::engine::ResponseOutcome::Decided(_)));
        let channel = work.engine.directory().channel(self.bot).cloned().unwrap();
        work.engine.ingest(&channel, vec![said("done", "5")], Some("7".to_owned())).await.map(drop)
    }

    /// What came in and was not acted upon when the program ended.
    async fn leave_behind(&self, store: &SqliteStore) -> Result<()> {
        let events = vec![said("aside", "6"), said("first", "7"), said("last", "8")];
        // Its worker is gone: the lease has run out.
        let lease = Lease { token: LeaseToken::generate(&RandomIds, start()), until: start() };
        let batch = InboundBatch { channel_id: self.bot, events, cursor: None, at: start(), lease };
        store.record_inbound(batch).await?;
        let reference = InboundRef { channel_id: self.bot, provider_event_id: "aside".to_owned() };
        store.set_aside(Some(self.workspace), SetAside::Inbound(reference), "leads.state").await
    }
}

/// Every channel that is stored is one in memory.
#[derive(Debug)]
struct Opener(HashMap<ChannelId, MemoryChannel>);

impl ChannelOpener for Opener {
    fn open(&self, record: &ChannelRecord) -> Result<Arc<dyn Channel>> {
        let channel = self.0.get(&record.id);
        let channel = channel.ok_or_else(|| Error::new(ErrorKind::Config, "no such channel"))?;
        Ok(Arc::new(channel.clone()))
    }
}

/// A program at work on a store.
pub(super) struct Work {
    pub engine: Engine,
    pub bots: HashMap<ChannelId, MemoryChannel>,
    pub clock: Arc<ManualClock>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Work {
    pub(super) async fn begin(store: &SqliteStore, tenants: &[Tenant], now: Timestamp) -> Result<Self> {
        let clock = Arc::new(ManualClock::new(now));
        let channels = tenants.iter().flat_map(|tenant| [(tenant.bot, "bot"), (tenant.sms, "sms")]);
        let bots: HashMap<_, _> =
            channels.map(|(id, name)| (id, MemoryChannel::new(name).with_id(id))).collect();
        let engine = Engine::builder(Arc::new(store.clone()))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .ids(Arc::new(RandomIds))
            .opener(Arc::new(Opener(bots.clone())))
            .build()
            .await?;
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        Ok(Self { engine, bots, clock, stop, running })
    }

    pub(super) async fn capture(
        &self,
        source: &str,
        phone: &str,
        key: Option<&str>,
    ) -> Result<CaptureOutcome> {
        let unknown = || Error::new(ErrorKind::NotFound, "no such source");
        let source = self.engine.directory().source(source).cloned().ok_or_else(unknown)?;
        let input = CaptureInput { phone: Some(phone.into()), ..CaptureInput::default() };
        let capture = input.validate(&[], Locale::Ru, Received::at(self.clock.now())).unwrap();
        let idempotency = key.map(|key| IdempotencyKey::new(key, key.as_bytes()));
        self.engine.capture(CaptureRequest { source, capture, idempotency }).await
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        within(self.running).await.unwrap();
    }
}

/// Fills a new file.
pub(super) async fn populate(path: &Path) -> [Tenant; 2] {
    let store = SqliteStore::open(SqliteOptions::new(path)).await.unwrap();
    let mut tenants = [Tenant::new('a'), Tenant::new('b')];
    for tenant in &mut tenants {
        tenant.install(&store).await.unwrap();
    }
    store.init_setting("installation", vec![1; 32]).await.unwrap();
    let work = Work::begin(&store, &tenants, start()).await.unwrap();
    for tenant in &mut tenants {
        tenant.live(&work).await.unwrap();
    }
    work.end().await;
    for tenant in &tenants {
        tenant.leave_behind(&store).await.unwrap();
    }
    tenants
}
