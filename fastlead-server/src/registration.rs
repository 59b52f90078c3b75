//! Telling providers where to call us, and looking at what they were told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastlead_core::channel::Channel;
use fastlead_core::engine::{ActiveChannel, Engine};
use fastlead_core::id::ChannelId;
use fastlead_core::port::ChannelRecord;
use fastlead_core::time::{Clock, plus};
use fastlead_core::webhook::WebhookRegistration;
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
/// How often the provider is asked whether it still calls us: MAX forgets an address that has failed for eight hours.
const LOOK_AGAIN: Duration = Duration::from_secs(15 * 60);

/// Registers webhooks in the background, one attempt per channel at a time: a newer wish ends an
/// older one. A provider that cannot be reached is asked again; one that refuses is not. One that has forgotten
/// us is told again; one that calls somebody else is left to people.
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
        let (id, engine) = (active.id, app.engine.clone());
        let work = tokio::spawn(async move { fulfil(&engine, &active, &wish).await });
        let mut under_way = self.lock();
        under_way.retain(|_, work| !work.is_finished());
        under_way.insert(id, AbortOnDropHandle::new(work));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, AbortOnDropHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fulfil(engine: &Engine, active: &Arc<ActiveChannel>, wish: &Wish) {
    let Some(registration) = active.channel.registration() else { return };
    let teller = Teller { clock: &**engine.clock(), registration, id: active.id };
    // Another server on the same store may have changed the channel: then this one has nothing more to say.
    let is_current = || engine.directory().channel(active.id).is_some_and(|now| Arc::ptr_eq(now, active));
    match wish {
        Wish::Call(url) => teller.keep(url, is_current).await,
        Wish::CallNobody => drop(teller.tell(None).await),
    }
}

/// Tells one provider where to call.
struct Teller<'a> {
    clock: &'a dyn Clock,
    registration: &'a dyn WebhookRegistration,
    id: ChannelId,
}

impl Teller<'_> {
    /// Registers `url`, and again whenever the provider calls nobody any more, for as long as the channel is current.
    async fn keep(&self, url: &str, is_current: impl Fn() -> bool + Send) {
        while self.tell(Some(url)).await {
            loop {
                self.rest(LOOK_AGAIN).await;
                if !is_current() {
                    return;
                }
                if self.registration.status().await.is_ok_and(|status| status.url.is_none()) {
                    tracing::warn!(channel = %self.id, "the provider calls us no more and is told again");
                    break;
                }
            }
        }
    }

    /// Tries until the provider knows it. Returns whether it does.
    async fn tell(&self, url: Option<&str>) -> bool {
        let mut rest = FIRST_REST;
        loop {
            let told = match url {
                Some(url) => self.registration.register(url).await,
                None => self.registration.unregister().await,
            };
            let after = match told {
                Ok(()) => {
                    let registered = url.is_some();
                    tracing::info!(channel = %self.id, registered, "the provider was told where to call");
                    return true;
                }
                Err(error) => {
                    tracing::warn!(channel = %self.id, %error, "the provider could not be told where to call");
                    match error.retry() {
                        RetryHint::Safe { after } | RetryHint::IfIdempotent { after } => after,
                        RetryHint::Never => return false,
                    }
                }
            };
            self.rest(after.unwrap_or(rest)).await;
            rest = (rest * 2).min(LONGEST_REST);
        }
    }

    async fn rest(&self, time: Duration) {
        self.clock.sleep_until(plus(self.clock.now(), time)).await;
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use fastlead_core::async_trait;
    use fastlead_core::secret::Secret;
    use fastlead_core::time::{ManualClock, epoch};
    use fastlead_core::webhook::RegistrationStatus;
    use tokio::sync::watch;

    use super::*;

    /// A provider that can be made to forget, and counts what it is asked.
    #[derive(Debug)]
    struct Forgetful {
        url: Mutex<Option<String>>,
        /// How often it was told, and how often it was asked.
        asked: watch::Sender<(u32, u32)>,
    }

    #[async_trait]
    impl WebhookRegistration for Forgetful {
        async fn register(&self, url: &str) -> Result<()> {
            *self.url.lock().unwrap() = Some(url.to_owned());
            self.asked.send_modify(|(told, _)| *told += 1);
            Ok(())
        }

        async fn unregister(&self) -> Result<()> {
            Ok(())
        }

        async fn status(&self) -> Result<RegistrationStatus> {
            let mut status = RegistrationStatus::default();
            status.url = self.url.lock().unwrap().clone().map(Secret::new);
            self.asked.send_modify(|(_, looked)| *looked += 1);
            Ok(status)
        }
    }

    #[tokio::test]
    async fn a_provider_that_has_forgotten_us_is_told_again_and_no_other() {
        let clock = ManualClock::new(epoch());
        let provider = Forgetful { url: Mutex::default(), asked: watch::Sender::new((0, 0)) };
        let mut asked = provider.asked.subscribe();
        let current = AtomicBool::new(true);
        let id = ChannelId::from_uuid(uuid::Uuid::nil());
        let teller = Teller { clock: &clock, registration: &provider, id };
        let keeping = teller.keep("https://leads.example.com/hook", || current.load(Ordering::Relaxed));
        let watching = async {
            asked.wait_for(|asked| *asked == (1, 0)).await.unwrap();
            clock.advance(LOOK_AGAIN);
            asked.wait_for(|asked| *asked == (1, 1)).await.unwrap();
            *provider.url.lock().unwrap() = Some("https://other.example.com/hook".to_owned());
            clock.advance(LOOK_AGAIN);
            asked.wait_for(|asked| *asked == (1, 2)).await.unwrap();
            *provider.url.lock().unwrap() = None;
            clock.advance(LOOK_AGAIN);
            asked.wait_for(|asked| *asked == (2, 3)).await.unwrap();
            current.store(false, Ordering::Relaxed);
            clock.advance(LOOK_AGAIN);
        };
        tokio::join!(keeping, watching);
        assert_eq!(*provider.asked.borrow(), (2, 3), "a channel that was changed elsewhere is let go");
    }
}
