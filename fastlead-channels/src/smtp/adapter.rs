//! The adapter and the channel.

use std::sync::Arc;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference,
};
use fastlead_core::message::{OutboundMessage, RecipientKind};
use fastlead_core::registry::ChannelAdapter;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{Result, async_trait};

use super::client::{Connection, Progress, within};
use super::config::{Sender, Server, SmtpConfig};
use super::error::{Trouble, parse_error};
use super::message;
use super::pool::Pool;
use crate::egress::Egress;

/// Registers the kind `smtp`.
#[derive(Debug, Clone, Copy)]
pub struct SmtpAdapter;

impl ChannelAdapter for SmtpAdapter {
    const KIND: &'static str = "smtp";
    const TITLE: &'static str = "E-mail (SMTP)";
    type Config = SmtpConfig;

    fn build(info: ChannelInfo, config: Self::Config) -> Result<Arc<dyn Channel>> {
        Ok(Arc::new(Smtp::new(info, config)?))
    }
}

/// One mail account.
#[derive(Debug)]
pub struct Smtp {
    info: ChannelInfo,
    server: Server,
    sender: Sender,
    pool: Pool,
    pool_max: u32,
}

impl Smtp {
    /// An account on a server on the public internet. Makes no network call.
    ///
    /// # Errors
    /// [`fastlead_core::ErrorKind::Config`] that names the field and the fix.
    pub fn new(info: ChannelInfo, config: SmtpConfig) -> Result<Self> {
        Self::with_egress(info, config, &Egress::public())
    }

    /// An account on a server where `egress` lets channels connect to. Makes no network call.
    ///
    /// # Errors
    /// [`fastlead_core::ErrorKind::Config`] that names the field and the fix.
    pub fn with_egress(info: ChannelInfo, config: SmtpConfig, egress: &Egress) -> Result<Self> {
        let settings = config.validate(egress)?;
        let pool = Pool::new(settings.pool_max);
        Ok(Self { info, server: settings.server, sender: settings.sender, pool, pool_max: settings.pool_max })
    }

    async fn deliver(
        &self,
        mail: &message::Mail,
        message: &OutboundMessage,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        let mut lease = self.pool.lease(&self.server, message.attempted_at, progress).await?;
        let outcome = lease.connection.deliver(mail, progress).await;
        if outcome.as_ref().err().is_none_or(Trouble::leaves_connection_usable) {
            lease.give_back(message.attempted_at);
        }
        outcome
    }

    async fn try_out(&self, progress: &Progress) -> Result<(), Trouble> {
        let _permit = self.pool.permit().await?;
        let connection = Connection::open(&self.server, progress).await?;
        connection.try_out(&self.sender.from.email, progress).await
    }
}

#[async_trait]
impl Channel for Smtp {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Email];
        capabilities.text = true;
        capabilities.html = true;
        capabilities.subject = true;
        capabilities.max_in_flight = self.pool_max;
        let longest = self.server.timeout + self.server.accept_timeout;
        capabilities.attempt_timeout_millis = u64::try_from(longest.as_millis()).ok();
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        let mail = message::build(&self.sender, message)?;
        let progress = Progress::new();
        within(&self.server, &progress, self.deliver(&mail, message, &progress))
            .await
            .map_err(|trouble| parse_error("send", &trouble))?;
        Ok(SendReceipt::accepted(mail.message_id))
    }

    async fn check(&self) -> Result<()> {
        let progress = Progress::new();
        within(&self.server, &progress, self.try_out(&progress))
            .await
            .map_err(|trouble| parse_error("check", &trouble))
    }

    async fn lookup(&self, _sent: &SentReference) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        None
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_login_nor_password_is_in_the_debug_output() {
        let config = serde_json::json!({
            "host": "smtp.example.com",
            "username": "login-1",
            "password": "hunter2",
            "from": { "address": "leads@example.com" },
        });
        let info = ChannelInfo {
            kind: SmtpAdapter::KIND,
            id: fastlead_core::id::ChannelId::from_uuid(uuid::Uuid::nil()),
            name: "mail".to_owned(),
        };
        let smtp = Smtp::new(info, serde_json::from_value(config).unwrap()).unwrap();
        let shown = format!("{smtp:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("login-1"), "{shown}");
        assert!(shown.contains("smtp.example.com"));
    }
}
