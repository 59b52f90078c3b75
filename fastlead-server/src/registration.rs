//! Telling providers where to call us, and looking at what they were told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastlead_core::channel::Channel;
use fastlead_core::engine::ActiveChannel;
use fastlead_core::id::ChannelId;
use fastlead_core::port::ChannelRecord;
use fastlead_core::time::{Clock, plus};
use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;

/// Where a provider calls us from that lets itself be told.
const NO_PUBLIC_ADDRESS: &str =
    "the webhook is not registered with the provider: http.public_url does not start with https://";
/// How long the next attempt waits after the first failure; each further wait is twice as long.
const FIRST_REST: Duration = Duration::from_secs(5);
/// The longest wait between attempts.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// Registers webhooks in the background, one attempt per channel at a time: a newer wish ends an
/// older one. A provider that cannot be reached is asked again; one that refuses is not.
#[derive(Debug, Default)]
pub struct Registrar(Mutex<HashMap<ChannelId, AbortOnDropHandle<()>>>);

/// What the provider shall do.
enum Wish {
    Call(String),
    CallNobody,
}

impl Registrar {
    /// Sees to it that the provider of every channel calls us. Called when a server starts.
    pub(crate) async fn register_all(&self, app: &App) {
        match app.store.load().await {
            Ok(loaded) => {
                for record in &loaded.channels {
                    self.register(app, record);
                }
            }
            Err(error) => tracing::error!(%error, "webhooks cannot be registered: no channel can be read"),
        }
    }

    /// Sees to it that the provider of this channel calls us, where it can be told.
    pub(crate) fn register(&self, app: &App, record: &ChannelRecord) {
        let directory = app.engine.directory();
        let Some(active) = directory.channel(record.id) else { return };
        if active.channel.registration().is_none() {
            return;
        }
        if app.has_public_address() {
            match app.webhook_url(record) {
                Ok(url) => self.start(app, Arc::clone(active), Wish::Call(url)),
                Err(error) => {
                    tracing::error!(channel = %record.id, %error, "the provider is not told where to call")
                }
            }
        } else {
            tracing::warn!(channel = %record.id, "{NO_PUBLIC_ADDRESS}");
        }
    }

    /// Sees to it that the provider of a channel that has taken webhooks calls nobody any more.
    pub(crate) fn unregister(&self, app: &App, active: Arc<ActiveChannel>) {
        if app.has_public_address() && active.channel.registration().is_some() {
            self.start(app, active, Wish::CallNobody);
        }
    }

    /// Ends what is under way.
    pub(crate) fn stop(&self) {
        self.lock().clear();
    }

    fn start(&self, app: &App, active: Arc<ActiveChannel>, wish: Wish) {
        let (id, clock) = (active.id, Arc::clone(app.engine.clock()));
        let work = tokio::spawn(async move { fulfil(&*clock, &active, &wish).await });
        let mut under_way = self.lock();
        under_way.retain(|_, work| !work.is_finished());
        under_way.insert(id, AbortOnDropHandle::new(work));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, AbortOnDropHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fulfil(clock: &dyn Clock, active: &ActiveChannel, wish: &Wish) {
    let Some(registration) = active.channel.registration() else { return };
    let mut rest = FIRST_REST;
    loop {
        let told = match wish {
            Wish::Call(url) => registration.register(url).await,
            Wish::CallNobody => registration.unregister().await,
        };
        let after = match told {
            Ok(()) => {
                let registered = matches!(wish, Wish::Call(_));
                tracing::info!(channel = %active.id, registered, "the provider was told where to call");
                return;
            }
            Err(error) => {
                tracing::warn!(channel = %active.id, %error, "the provider could not be told where to call");
                match error.retry() {
                    RetryHint::Safe { after } | RetryHint::IfIdempotent { after } => after,
                    RetryHint::Never => return,
                }
            }
        };
        clock.sleep_until(plus(clock.now(), after.unwrap_or(rest))).await;
        rest = (rest * 2).min(LONGEST_REST);
    }
}

/// What a look at a channel's registration found.
#[derive(Debug)]
pub(crate) enum Standing {
    /// The provider calls us, or is not to be told by a program.
    Good,
    /// The provider cannot be told, for this reason.
    NotTold(&'static str),
}

/// Asks the provider whether it calls us, or says why it cannot be asked for news.
///
/// # Errors
/// That of polling, where it fails;
/// [`ErrorKind::Config`] where it calls somebody else or brings too little; [`ErrorKind::Unavailable`]
/// where its calls fail and events wait; as for any request to the provider.
pub(crate) async fn look(app: &App, active: &ActiveChannel, record: &ChannelRecord) -> Result<Standing> {
    if let Some(trouble) = active.polling_trouble() {
        return Err(trouble.to_error());
    }
    let Some(registration) = active.channel.registration() else { return Ok(Standing::Good) };
    if !app.has_public_address() {
        return Ok(Standing::NotTold(NO_PUBLIC_ADDRESS));
    }
    let status = registration.status().await?;
    let wrong = |message: String| Err(Error::new(ErrorKind::Config, message).with_operation("webhook"));
    match status.url {
        None => return wrong("the provider calls nobody; save the channel again to register it".to_owned()),
        Some(url) if *url.expose() != app.webhook_url(record)? => {
            let message = "the provider calls another address; does another program use the same account? \
                           Save the channel again to register this one";
            return wrong(message.to_owned());
        }
        Some(_) if !status.complete => {
            return wrong(
                "the provider does not bring every kind of event; save the channel again".to_owned(),
            );
        }
        Some(_) => {}
    }
    match status.last_failure {
        Some(words) if status.waiting > 0 => {
            let message =
                format!("the provider's last call failed, and {} events wait: {words}", status.waiting);
            Err(Error::new(ErrorKind::Unavailable, message).with_operation("webhook"))
        }
        _ => Ok(Standing::Good),
    }
}
