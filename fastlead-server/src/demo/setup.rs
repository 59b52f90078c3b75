//! The demo's channels and policy, pointed at the simulators of this process.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{ChannelId, PolicyId, ProjectId, WorkspaceId};
use fastlead_core::lead::{FieldMapping, Preset};
use fastlead_core::policy::Policy;
use fastlead_core::port::{ChannelRecord, ChannelStatus, Source};
use fastlead_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use super::{MANAGER_CHAT, Providers, SENIOR_CHAT, SOURCE_KEY};
use crate::app::App;

/// The demo's policy, which is also an example to copy.
const POLICY: &str = include_str!("policy.json");

/// Whoever tries the demo tries it with a form of their own. Nothing but this machine reaches it.
pub(super) async fn forms_of_any_site(app: &App) -> Result<()> {
    let Some(source) = app.engine.directory().source(SOURCE_KEY).cloned() else { return Ok(()) };
    // The names of Tilda and of plain forms are known without a preset.
    let mapping = FieldMapping { preset: Some(Preset::WordPress), ..FieldMapping::default() };
    let source = Source { allowed_origins: vec!["*".to_owned()], mapping, ..Source::clone(&source) };
    app.store.put_source(source.clone()).await?;
    app.engine.put_source(source);
    Ok(())
}

pub(super) async fn channels_and_policy(app: &App, providers: &Arc<Providers>) -> Result<()> {
    let workspace = WorkspaceId::from_uuid(stable_uuid("workspace", "first"));
    let project = ProjectId::from_uuid(stable_uuid("project", "first"));
    let smtp = providers.smtp.address();
    let channels = [
        (
            "telegram",
            "manager-bot",
            json!({
                "bot_token": providers.telegram.token(),
                "endpoint": providers.telegram.base_url(),
                "updates": "polling",
            }),
        ),
        (
            "smsc",
            "sms",
            json!({
                "login": providers.smsc.login(),
                "password": providers.smsc.password(),
                "endpoint": providers.smsc.base_url(),
            }),
        ),
        (
            "smtp",
            "mail",
            json!({
                "host": smtp.ip().to_string(),
                "port": smtp.port(),
                "tls": "none",
                "accept_timeout_secs": 10,
                "from": {"name": "Клиника «Пример»", "address": "hello@example.com"},
            }),
        ),
        (
            "webhook",
            "crm",
            json!({
                "url": providers.crm.url(),
                "secrets": [format!("whsec_{}", STANDARD.encode(rand::random::<[u8; 32]>()))],
            }),
        ),
    ];
    for (kind, name, config) in channels {
        add(app, workspace, kind, name, config).await?;
    }
    let text = POLICY
        .replace("\"{manager_chat}\"", &format!("\"{MANAGER_CHAT}\""))
        .replace("\"{senior_chat}\"", &format!("\"{SENIOR_CHAT}\""));
    let policy: Policy = serde_json::from_str(&text).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("the demo's policy does not parse: {error}"))
    })?;
    policy.validate(&app.engine.directory().capabilities(workspace), app.engine.clock().now()).map_err(
        |faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Error::new(ErrorKind::Internal, format!("the demo's policy is wrong: {}", faults.join("; ")))
        },
    )?;
    let now = app.engine.clock().now();
    let id = PolicyId::from_uuid(stable_uuid("policy", "first"));
    let record = app.store.publish_policy(workspace, project, id, policy, now).await?;
    app.engine.activate_policy(&record)
}

/// The simulators have new ports at every start, so the channels are stored anew under the same ids.
async fn add(app: &App, workspace: WorkspaceId, kind: &str, name: &str, config: Value) -> Result<()> {
    let id = ChannelId::from_uuid(stable_uuid("channel", name));
    let channel = app.channels.build(kind, id, name, config.clone())?;
    let sealed = app.keyring.seal(workspace, id, config.to_string().as_bytes())?;
    let record = ChannelRecord {
        id,
        workspace_id: workspace,
        kind: kind.to_owned(),
        name: name.to_owned(),
        config: sealed,
        webhook_token: app.keyring.seal_token(workspace, id, &crate::bootstrap::random_text(32))?,
        status: ChannelStatus::Active,
        created_at: app.engine.clock().now(),
    };
    app.store.put_channel(record).await?;
    app.engine.attach(workspace, channel, false)
}
