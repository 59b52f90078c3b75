//! What the layers need to know of a request, so that the same ones serve messages and payments.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tower_service::Service;

use crate::channel::{Channel, SendReceipt};
use crate::error::{Error, Result};
use crate::message::{Content, OutboundMessage, RecipientKind};
use crate::port::QuotaKey;

/// A request that is the whole operation: it can be cloned for another attempt, and says what the
/// layers ask of it.
///
/// ```
/// use fastlead_core::layer::{Operation, SendMessage};
///
/// /// What a layer may ask of any operation.
/// fn may_be_repeated<Op: Operation>(operation: &Op) -> bool {
///     operation.is_question() || operation.is_idempotent()
/// }
///
/// assert_eq!(SendMessage::NAME, "send");
/// # let _ = may_be_repeated::<SendMessage>;
/// ```
pub trait Operation: Clone + Debug + Send + Sync + 'static {
    /// What is done, such as `send`.
    const NAME: &'static str;
    /// The histogram of durations, in seconds.
    const SECONDS: &'static str;
    /// The counter of finished operations.
    const TOTAL: &'static str;

    /// The account that it goes through.
    fn account(&self) -> &Account;

    /// The id that logs know it by. Never personal data.
    fn reference(&self) -> &dyn fmt::Display;

    /// Who it is addressed to, for a limit per recipient; `None` where that limit does not apply.
    fn recipient(&self) -> Option<QuotaKey>;

    /// Whether the provider does not act twice on the same request.
    fn is_idempotent(&self) -> bool;

    /// Whether it only asks, or says what may be said twice: a time-out does no harm, and whether and when to ask again
    /// is left to whoever asks.
    fn is_question(&self) -> bool {
        false
    }

    /// Whether it is carried out also while the circuit breaker is open.
    fn passes_open_breaker(&self) -> bool {
        false
    }

    /// Where the layers note how far the operation has got. Clones share it.
    fn progress(&self) -> &Progress;

    /// Makes it known that a request to the provider begins. Called before each; an error ends the operation,
    /// and nothing is sent.
    fn begin(&self) -> BoxFuture<'_, Result<()>>;
}

/// Who must know before a message is handed to a channel.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use fastlead_core::layer::BeforeAttempt;
/// use fastlead_core::{Result, async_trait};
///
/// /// Counts requests, short retries included.
/// #[derive(Debug, Default)]
/// struct Requests(AtomicU32);
///
/// #[async_trait]
/// impl BeforeAttempt for Requests {
///     async fn begin(&self) -> Result<()> {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait BeforeAttempt: Debug + Send + Sync {
    /// Called right before each request of one operation, short retries included.
    ///
    /// # Errors
    /// Where the message must not be sent; the sender gets this error.
    async fn begin(&self) -> Result<()>;
}

/// The account at a provider that an operation goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The adapter, such as `telegram`.
    pub kind: &'static str,
    /// The id of the configured instance, such as `chn_…`.
    pub instance: String,
}

/// How far an operation has got, so that a deadline knows whether the provider may have acted.
///
/// The answer is "it may have" unless a layer says that it only waits.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<State>);

#[derive(Debug, Default)]
struct State {
    waits: AtomicU32,
    unknown: AtomicBool,
}

impl Progress {
    /// Says that nothing is on the wire until the returned guard is dropped.
    pub fn wait(&self) -> Waiting<'_> {
        self.0.waits.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// Says that an attempt has ended without telling whether the provider acted. Never taken back.
    pub fn outcome_is_unknown(&self) {
        self.0.unknown.store(true, Ordering::Relaxed);
    }

    /// Whether an attempt has ended without telling whether the provider acted.
    pub fn is_outcome_unknown(&self) -> bool {
        self.0.unknown.load(Ordering::Relaxed)
    }

    /// Whether the provider certainly did not act so far.
    pub fn provider_did_not_act(&self) -> bool {
        self.0.waits.load(Ordering::Relaxed) > 0 && !self.is_outcome_unknown()
    }
}

/// Held while an operation waits for its turn.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Progress);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.waits.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hand one message to a channel.
#[derive(Debug, Clone)]
pub struct SendMessage {
    message: Arc<OutboundMessage>,
    account: Arc<Account>,
    idempotent: bool,
    progress: Progress,
    before: Option<Arc<dyn BeforeAttempt>>,
}

impl SendMessage {
    /// Sends `message` through `account`. `idempotent` is the channel's
    /// [`crate::channel::Capabilities::idempotent_send`].
    pub fn new(message: Arc<OutboundMessage>, account: Arc<Account>, idempotent: bool) -> Self {
        Self { message, account, idempotent, progress: Progress::default(), before: None }
    }

    /// Tells `before` of each request that goes out.
    #[must_use]
    pub fn announced_to(mut self, before: Arc<dyn BeforeAttempt>) -> Self {
        self.before = Some(before);
        self
    }

    /// The message.
    pub fn message(&self) -> &OutboundMessage {
        &self.message
    }
}

impl Operation for SendMessage {
    const NAME: &'static str = "send";
    const SECONDS: &'static str = "fastlead_channel_send_seconds";
    const TOTAL: &'static str = "fastlead_channel_send_total";

    fn account(&self) -> &Account {
        &self.account
    }

    fn reference(&self) -> &dyn fmt::Display {
        &self.message.delivery_id
    }

    /// The answer to a pressed button writes nothing into the chat, so the chat's limit does not hold it up.
    fn recipient(&self) -> Option<QuotaKey> {
        let recipient = &self.message.recipient;
        let kind: &[u8] = match recipient.kind() {
            RecipientKind::Phone => b"phone",
            RecipientKind::Email => b"email",
            RecipientKind::Chat => b"chat",
            RecipientKind::Endpoint => b"endpoint",
        };
        match self.message.content {
            Content::InteractionReply(_) => None,
            _ => {
                Some(QuotaKey::of(&[self.account.instance.as_bytes(), kind, recipient.address().as_bytes()]))
            }
        }
    }

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn begin(&self) -> BoxFuture<'_, Result<()>> {
        match &self.before {
            Some(before) => before.begin(),
            None => Box::pin(std::future::ready(Ok(()))),
        }
    }
}

/// A service that a layer can wrap: cheap to clone, with this crate's error.
///
/// ```
/// use fastlead_core::layer::{ChannelService, SendMessage, Wrapped};
///
/// fn can_be_wrapped<S: Wrapped<SendMessage>>() {}
///
/// can_be_wrapped::<ChannelService>();
/// ```
pub trait Wrapped<Op: Operation>:
    Service<Op, Response: Send + 'static, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<Op, S> Wrapped<Op> for S
where
    Op: Operation,
    S: Service<Op, Error = Error> + Clone + Send + Sync + 'static,
    S::Response: Send + 'static,
    S::Future: Send,
{
}

/// Waits until `service` is ready and calls it. Our layers are always ready and do this inside the
/// call, so that a clone is as good as the original.
pub(super) async fn call<S, Op>(mut service: S, operation: Op) -> Result<S::Response>
where
    Op: Operation,
    S: Wrapped<Op>,
{
    std::future::poll_fn(|context| service.poll_ready(context)).await?;
    service.call(operation).await
}

/// The innermost service: the channel itself.
#[derive(Debug, Clone)]
pub struct ChannelService(Arc<dyn Channel>);

impl ChannelService {
    /// Serves [`SendMessage`], and questions, with `channel`.
    pub fn new(channel: Arc<dyn Channel>) -> Self {
        Self(channel)
    }

    pub(super) fn channel(&self) -> Arc<dyn Channel> {
        Arc::clone(&self.0)
    }
}

impl Service<SendMessage> for ChannelService {
    type Response = SendReceipt;
    type Error = Error;
    type Future = BoxFuture<'static, Result<SendReceipt>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, operation: SendMessage) -> Self::Future {
        let channel = Arc::clone(&self.0);
        Box::pin(async move { channel.send(operation.message()).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_may_have_acted_unless_somebody_says_otherwise() {
        let progress = Progress::default();
        assert!(!progress.provider_did_not_act());
        let waiting = progress.wait();
        assert!(progress.clone().provider_did_not_act());
        drop(waiting);
        assert!(!progress.provider_did_not_act());
        progress.outcome_is_unknown();
        let _waiting = progress.wait();
        assert!(!progress.provider_did_not_act());
    }
}
