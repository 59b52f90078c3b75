//! The server under measurement, with its defaults, and the sink inside.
//!
//! Two things differ from a first start of `fastlead serve`: the policy is published already, and the
//! source has no limit per IP address, for all load comes from one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{ChannelId, PolicyId, WorkspaceId};
use fastlead_core::message::{Locale, MessageClass, Recipient};
use fastlead_core::policy::{AutoReply, Policy, ReplyTo};
use fastlead_core::port::{ChannelRecord, ChannelStatus, SourceLimits};
use fastlead_core::template::{Template, TemplateSource};
use fastlead_core::time::epoch;
use fastlead_server::app::App;
use fastlead_server::{Server, Settings, bootstrap, logs};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::file;
use crate::protocol::{Answer, CHANNEL, PASSWORD, SOURCE, Spec};
use crate::sink::Sink;

/// A server that is being served.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    app: App,
    workspace: WorkspaceId,
    sink: Arc<Sink>,
    stop: CancellationToken,
    serving: JoinHandle<fastlead_core::Result<()>>,
}

impl Running {
    pub(crate) async fn start(spec: &Spec) -> Self {
        let mut settings = Settings::defaults().unwrap();
        settings.http.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.store.path = spec.folder.join(file::NAME);
        settings.auth.admin_password = PASSWORD.into();
        // All load comes from one address.
        settings.http.max_connections_per_address = 1_024;
        logs::start(&settings.log).unwrap();
        let server = Server::builder(settings).build().await.unwrap();
        let app = server.app().clone();
        let first = bootstrap::first_run(&app, SOURCE).await.unwrap().expect("a new file");
        let mut source = (**app.engine.directory().source(SOURCE).unwrap()).clone();
        source.limits = SourceLimits { per_ip_per_minute: 0, ..source.limits };
        app.store.put_source(source.clone()).await.unwrap();
        app.engine.put_source(source);
        let sink = Arc::new(Sink::new(Duration::from_millis(spec.latency_millis), spec.moments));
        app.engine.attach(first.workspace_id, Arc::clone(&sink) as _, false).unwrap();
        let id = PolicyId::from_uuid(stable_uuid("policy", SOURCE));
        let now = app.engine.clock().now();
        let policy = policy(spec.deliveries);
        let published = app.store.publish_policy(first.workspace_id, first.project_id, id, policy, now);
        app.engine.activate_policy(&published.await.unwrap()).unwrap();
        if spec.stored_channel {
            store_channel(&app, first.workspace_id).await;
        }
        let address = server.address().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(stop.clone()));
        Self { address, app, workspace: first.workspace_id, sink, stop, serving }
    }

    /// Pauses the sink or lets it go on. It is no stored channel, so it is attached anew.
    pub(crate) fn pause(&self, paused: bool) {
        self.app.engine.attach(self.workspace, Arc::clone(&self.sink) as _, paused).unwrap();
    }

    /// Waits until `sends` have been made and every outcome is on disk.
    pub(crate) async fn drain(&self, sends: u64) -> Answer {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        loop {
            look.tick().await;
            // The store is asked only at the end: asking it all the time would be measured too.
            if self.sink.sends() >= sends {
                let counts = self.counts().await;
                if counts.open == 0 {
                    return counts;
                }
            }
        }
    }

    pub(crate) async fn counts(&self) -> Answer {
        let depth = self.app.store.queue_depth(epoch()).await.unwrap();
        Answer { sends: self.sink.sends(), open: depth.pending + depth.sending, moments: Vec::new() }
    }

    pub(crate) fn moments(&self) -> Answer {
        Answer { sends: self.sink.sends(), open: 0, moments: self.sink.moments() }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// The policy to start from; with two deliveries the visitor is answered too.
fn policy(deliveries: u64) -> Policy {
    let mut policy = Policy::starter(CHANNEL, Recipient::Chat("1".into()));
    if deliveries > 1 {
        policy.auto_reply.push(AutoReply {
            when: None,
            channel: CHANNEL.to_owned(),
            to: ReplyTo::Phone,
            template: "thanks".to_owned(),
            class: MessageClass::Service,
            ttl_secs: 3_600,
        });
        let text = |text: &str| TemplateSource::plain(text);
        let thanks = Template::from([
            (
                Locale::Ru,
                text("{{ lead.name or 'Здравствуйте' }}, мы получили вашу заявку и скоро позвоним."),
            ),
            (Locale::En, text("{{ lead.name or 'Hello' }}, we have your request and will call soon.")),
        ]);
        policy.templates.insert("thanks".to_owned(), thanks);
    }
    policy
}

/// A Telegram channel by the sink's name, at an address where nobody listens: opening it costs the real
/// program what opening a channel costs, and nothing leaves the machine.
async fn store_channel(app: &App, workspace: WorkspaceId) {
    let id = ChannelId::from_uuid(stable_uuid("channel", CHANNEL));
    let config = serde_json::json!({"bot_token": "1:bench", "updates": "off"});
    let record = ChannelRecord {
        id,
        workspace_id: workspace,
        kind: "telegram".to_owned(),
        name: CHANNEL.to_owned(),
        config: app.keyring.seal(workspace, id, config.to_string().as_bytes()).unwrap(),
        webhook_token: bootstrap::random_text(32),
        status: ChannelStatus::Active,
        created_at: app.engine.clock().now(),
    };
    app.store.put_channel(record).await.unwrap();
}
