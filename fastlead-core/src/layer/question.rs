//! What a channel is asked beside sending: each an operation of its own behind the same layers, so that an account in
//! trouble gets no burst of questions.
//!
//! Whoever calls the layers names the operation, `Service::<Ask<Check>>::call`: left to find it out, the compiler tries every
//! one at every layer, and is not done within minutes.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tower_service::Service;

use super::operation::{Account, ChannelService, Operation, Progress};
use super::policy::Resilient;
use crate::channel::{Channel, Lookup, SentReference};
use crate::error::{Error, ErrorKind, Result};
use crate::port::QuotaKey;
use crate::secret::Secret;
use crate::webhook::{RegistrationStatus, WebhookRegistration};

/// One kind of question. Asking again never does harm.
#[async_trait]
pub(super) trait Question: Debug + Send + Sync + 'static {
    const NAME: &'static str;
    const SECONDS: &'static str;
    const TOTAL: &'static str;
    /// Whether a person waits for the answer, who wants it also while the breaker is open.
    const PASSES_OPEN_BREAKER: bool;

    type Answer: Send + 'static;

    async fn put_to(&self, channel: &dyn Channel) -> Result<Self::Answer>;
}

/// A question to one account.
#[derive(Debug)]
pub(super) struct Ask<Q> {
    question: Arc<Q>,
    account: Arc<Account>,
    progress: Progress,
}

impl<Q> Ask<Q> {
    pub(super) fn new(question: Q, account: &Arc<Account>) -> Self {
        Self { question: Arc::new(question), account: Arc::clone(account), progress: Progress::default() }
    }
}

impl<Q> Clone for Ask<Q> {
    fn clone(&self) -> Self {
        let Self { question, account, progress } = self;
        Self { question: Arc::clone(question), account: Arc::clone(account), progress: progress.clone() }
    }
}

impl<Q: Question> Operation for Ask<Q> {
    const NAME: &'static str = Q::NAME;
    const SECONDS: &'static str = Q::SECONDS;
    const TOTAL: &'static str = Q::TOTAL;

    fn account(&self) -> &Account {
        &self.account
    }

    fn reference(&self) -> &dyn fmt::Display {
        &self.account.instance
    }

    /// It writes to nobody.
    fn recipient(&self) -> Option<QuotaKey> {
        None
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    fn is_question(&self) -> bool {
        true
    }

    fn passes_open_breaker(&self) -> bool {
        Q::PASSES_OPEN_BREAKER
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn begin(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl<Q: Question> Service<Ask<Q>> for ChannelService {
    type Response = Q::Answer;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Q::Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, ask: Ask<Q>) -> Self::Future {
        let channel = self.channel();
        Box::pin(async move { ask.question.put_to(&*channel).await })
    }
}

/// Whether the account can send.
#[derive(Debug)]
pub(super) struct Check;

#[async_trait]
impl Question for Check {
    const NAME: &'static str = "check";
    const SECONDS: &'static str = "fastlead_channel_check_seconds";
    const TOTAL: &'static str = "fastlead_channel_check_total";
    const PASSES_OPEN_BREAKER: bool = true;

    type Answer = ();

    async fn put_to(&self, channel: &dyn Channel) -> Result<()> {
        channel.check().await
    }
}

/// What became of a message.
#[async_trait]
impl Question for SentReference {
    const NAME: &'static str = "lookup";
    const SECONDS: &'static str = "fastlead_channel_lookup_seconds";
    const TOTAL: &'static str = "fastlead_channel_lookup_total";
    const PASSES_OPEN_BREAKER: bool = false;

    type Answer = Lookup;

    async fn put_to(&self, channel: &dyn Channel) -> Result<Lookup> {
        channel.lookup(self).await
    }
}

/// Whom the provider calls.
#[derive(Debug)]
struct Status;

#[async_trait]
impl Question for Status {
    const NAME: &'static str = "webhook";
    const SECONDS: &'static str = "fastlead_channel_registration_seconds";
    const TOTAL: &'static str = "fastlead_channel_registration_total";
    const PASSES_OPEN_BREAKER: bool = true;

    type Answer = RegistrationStatus;

    async fn put_to(&self, channel: &dyn Channel) -> Result<RegistrationStatus> {
        registration_of(channel)?.status().await
    }
}

/// Call this address, or nobody: saying it twice changes nothing.
#[derive(Debug)]
struct Call(Option<Secret<String>>);

#[async_trait]
impl Question for Call {
    const NAME: &'static str = "webhook";
    const SECONDS: &'static str = "fastlead_channel_registration_seconds";
    const TOTAL: &'static str = "fastlead_channel_registration_total";
    const PASSES_OPEN_BREAKER: bool = false;

    type Answer = ();

    async fn put_to(&self, channel: &dyn Channel) -> Result<()> {
        let registration = registration_of(channel)?;
        match &self.0 {
            Some(url) => registration.register(url.expose()).await,
            None => registration.unregister().await,
        }
    }
}

fn registration_of(channel: &dyn Channel) -> Result<&dyn WebhookRegistration> {
    let missing = || Error::new(ErrorKind::Internal, "the channel has lost its registration");
    channel.registration().ok_or_else(missing)
}

/// The registration of a channel behind its layers.
#[derive(Debug, Clone)]
pub(super) struct LayeredRegistration {
    pub(super) service: Resilient<ChannelService>,
    pub(super) account: Arc<Account>,
}

#[async_trait]
impl WebhookRegistration for LayeredRegistration {
    async fn register(&self, url: &str) -> Result<()> {
        let call = Call(Some(Secret::new(url.to_owned())));
        Service::<Ask<Call>>::call(&mut self.service.clone(), Ask::new(call, &self.account)).await
    }

    async fn unregister(&self) -> Result<()> {
        Service::<Ask<Call>>::call(&mut self.service.clone(), Ask::new(Call(None), &self.account)).await
    }

    async fn status(&self) -> Result<RegistrationStatus> {
        Service::<Ask<Status>>::call(&mut self.service.clone(), Ask::new(Status, &self.account)).await
    }
}
