//! A service and a channel that do what a test tells them, on a clock that stands still.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower_service::Service;

use super::operation::{Account, Operation, SendMessage};
use crate::channel::{Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::id::{ChannelId, DeliveryId, SeededIds};
use crate::message::{Content, MessageClass, OutboundMessage, Part, Recipient, Text};
use crate::time::{Clock, ManualClock, epoch, plus};
use crate::webhook::{RegistrationStatus, WebhookReceiver, WebhookRegistration};

/// What one call does.
#[derive(Debug)]
pub(super) enum Script {
    Succeed,
    Fail(Error),
    /// Answers after a while.
    After(Duration),
    /// Never answers.
    Hang,
    /// Waits for ever, and notes that it only waits.
    Wait,
}

impl From<Result<()>> for Script {
    fn from(result: Result<()>) -> Self {
        result.map_or_else(Self::Fail, |()| Self::Succeed)
    }
}

/// Plays its script call by call; past the end every call succeeds.
#[derive(Debug, Clone)]
pub(super) struct Scripted {
    script: Arc<Mutex<VecDeque<Script>>>,
    calls: Arc<Mutex<Vec<crate::time::Timestamp>>>,
    clock: Arc<ManualClock>,
}

impl Scripted {
    pub(super) fn new(script: impl IntoIterator<Item = impl Into<Script>>) -> Self {
        Self::with_clock(script, &manual_clock())
    }

    pub(super) fn with_clock(
        script: impl IntoIterator<Item = impl Into<Script>>,
        clock: &Arc<ManualClock>,
    ) -> Self {
        let script = script.into_iter().map(Into::into).collect();
        Self { script: Arc::new(Mutex::new(script)), calls: Arc::default(), clock: Arc::clone(clock) }
    }

    /// How often it was called.
    pub(super) fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// When it was called, in milliseconds since the clock's start.
    pub(super) fn called_at_millis(&self) -> Vec<i64> {
        self.calls.lock().unwrap().iter().map(|moment| (*moment - epoch()).num_milliseconds()).collect()
    }

    async fn play(self, operation: Option<SendMessage>) -> Result<SendReceipt> {
        self.calls.lock().unwrap().push(self.clock.now());
        let step = self.script.lock().unwrap().pop_front().unwrap_or(Script::Succeed);
        match step {
            Script::Succeed => {}
            Script::Fail(error) => return Err(error),
            Script::After(wait) => self.clock.sleep_until(plus(self.clock.now(), wait)).await,
            Script::Hang => std::future::pending().await,
            Script::Wait => {
                let operation = operation.expect("only a service can wait");
                let _waiting = operation.progress().wait();
                std::future::pending().await
            }
        }
        Ok(SendReceipt::accepted("1"))
    }
}

impl Service<SendMessage> for Scripted {
    type Response = SendReceipt;
    type Error = Error;
    type Future = BoxFuture<'static, Result<SendReceipt>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, operation: SendMessage) -> Self::Future {
        Box::pin(self.clone().play(Some(operation)))
    }
}

/// The same as a channel.
#[derive(Debug)]
pub(super) struct ScriptedChannel {
    pub(super) info: ChannelInfo,
    pub(super) capabilities: Capabilities,
    pub(super) sends: Scripted,
}

impl ScriptedChannel {
    pub(super) fn new(sends: &Scripted, capabilities: Capabilities) -> Arc<Self> {
        let id = ChannelId::generate(&SeededIds::new(1), epoch());
        let info = ChannelInfo { kind: "scripted", id, name: "test".to_owned() };
        Arc::new(Self { info, capabilities, sends: sends.clone() })
    }
}

#[async_trait::async_trait]
impl Channel for ScriptedChannel {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
    async fn send(&self, _: &OutboundMessage) -> Result<SendReceipt> {
        self.sends.clone().play(None).await
    }
    async fn check(&self) -> Result<()> {
        self.sends.clone().play(None).await.map(|_| ())
    }
    async fn lookup(&self, _: &SentReference) -> Result<Lookup> {
        self.sends.clone().play(None).await.map(|_| Lookup::Delivered)
    }
    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        None
    }
    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        Some(self)
    }
    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

#[async_trait::async_trait]
impl WebhookRegistration for ScriptedChannel {
    async fn register(&self, _: &str) -> Result<()> {
        self.check().await
    }
    async fn unregister(&self) -> Result<()> {
        self.check().await
    }
    async fn status(&self) -> Result<RegistrationStatus> {
        self.check().await.map(|()| RegistrationStatus::default())
    }
}

pub(super) fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(epoch()))
}

/// The same clock as the layers want it.
pub(super) fn shared(clock: &Arc<ManualClock>) -> Arc<dyn Clock> {
    let clock: Arc<ManualClock> = Arc::clone(clock);
    clock
}

/// A message to an invented chat.
pub(super) fn message_to(chat: &str) -> OutboundMessage {
    OutboundMessage {
        delivery_id: DeliveryId::generate(&SeededIds::new(7), epoch()),
        attempt: 1,
        part: Part { index: 0, count: 1 },
        recipient: Recipient::Chat(chat.into()),
        content: Content::Text(Text::plain("New lead: Anna")),
        class: MessageClass::Service,
        attempted_at: epoch(),
        expires_at: None,
    }
}

pub(super) fn operation_to(chat: &str, idempotent: bool) -> SendMessage {
    let account = Account { kind: "scripted", instance: "chn_1".to_owned() };
    SendMessage::new(Arc::new(message_to(chat)), Arc::new(account), idempotent)
}

pub(super) fn operation() -> SendMessage {
    operation_to("100200300", false)
}

/// The provider certainly did not act.
pub(super) fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "connection refused").with_retry(RetryHint::SAFE)
}

/// The provider may have acted.
pub(super) fn reset() -> Error {
    Error::new(ErrorKind::Unavailable, "connection reset").with_retry(RetryHint::UNKNOWN)
}

/// Polls once; the future must not be done.
#[track_caller]
pub(super) fn pending<T>(future: &mut (impl Future<Output = T> + Unpin)) {
    assert!(future.now_or_never().is_none(), "done too early");
}

/// Polls once; the future must be done.
#[track_caller]
pub(super) fn ready<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("not done yet")
}
