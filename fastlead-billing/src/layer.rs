//! A payment provider behind the layers of `fastlead-core`: deadline, short retries, circuit breaker, rates.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use fastlead_core::layer::{
    Account, AccountQuota, BreakerHandle, Limits, Operation, Progress, ResiliencePolicy, Resilient,
};
use fastlead_core::port::{Quota, QuotaKey};
use fastlead_core::quota::LocalQuota;
use fastlead_core::time::{Clock, Timestamp};
use fastlead_core::{Error, ErrorKind, Result};
use futures_util::future::BoxFuture;
use tower_service::Service;

use crate::payment::{
    Attempt, Cancel, Capture, ChargeSaved, CreatePayment, ForgetSaved, Payment, ProviderPaymentId,
    ProviderReceiptId, ReceiptRegistration, Refund, RegisterReceipt, RequestRefund,
};
use crate::provider::{PaymentProvider, PaymentProviderInfo, PaymentWebhook};

/// What is asked of a provider.
#[derive(Debug, Clone)]
enum Request {
    Create(CreatePayment),
    Get(ProviderPaymentId),
    Find(String, Timestamp),
    Capture(Capture),
    Cancel(Cancel),
    Refund(RequestRefund),
    RefundState(Refund),
    Charge(ChargeSaved),
    Forget(ForgetSaved),
    Register(RegisterReceipt),
    Receipt(ProviderReceiptId),
    Check,
}

impl Request {
    fn attempt(&mut self) -> Option<&mut Attempt> {
        match self {
            Self::Create(request) => Some(&mut request.attempt),
            Self::Capture(request) => Some(&mut request.attempt),
            Self::Cancel(request) => Some(&mut request.attempt),
            Self::Refund(request) => Some(&mut request.attempt),
            Self::Charge(request) => Some(&mut request.attempt),
            Self::Forget(request) => Some(&mut request.attempt),
            Self::Register(request) => Some(&mut request.attempt),
            Self::Get(_) | Self::Find(..) | Self::RefundState(_) | Self::Receipt(_) | Self::Check => None,
        }
    }
}

/// What it answers.
#[derive(Debug)]
enum Answer {
    Payment(Payment),
    Payments(Vec<Payment>),
    Refund(Refund),
    Receipt(ReceiptRegistration),
    Done,
}

/// One request to an account. Clones are tries of the same request.
#[derive(Debug, Clone)]
struct Call {
    request: Arc<Request>,
    account: Arc<Account>,
    honours_keys: bool,
    is_question: bool,
    tried: Arc<AtomicBool>,
    progress: Progress,
}

impl Operation for Call {
    const NAME: &'static str = "payment";
    const SECONDS: &'static str = "fastlead_payment_seconds";
    const TOTAL: &'static str = "fastlead_payment_total";

    fn account(&self) -> &Account {
        &self.account
    }

    fn reference(&self) -> &dyn fmt::Display {
        &self.account.instance
    }

    fn recipient(&self) -> Option<QuotaKey> {
        None
    }

    fn is_idempotent(&self) -> bool {
        self.honours_keys || self.is_question
    }

    fn is_question(&self) -> bool {
        self.is_question
    }

    /// A person waits for the answer.
    fn passes_open_breaker(&self) -> bool {
        matches!(*self.request, Request::Check)
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn begin(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The innermost service: the provider itself.
#[derive(Debug, Clone)]
struct Asked(Arc<dyn PaymentProvider>);

impl Service<Call> for Asked {
    type Response = Answer;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let provider = Arc::clone(&self.0);
        Box::pin(async move {
            let mut request = Request::clone(&call.request);
            if call.tried.swap(true, Ordering::AcqRel)
                && let Some(attempt) = request.attempt()
            {
                attempt.repeated = true;
            }
            Ok(match request {
                Request::Create(request) => Answer::Payment(provider.create(&request).await?),
                Request::Get(id) => Answer::Payment(provider.get(&id).await?),
                Request::Find(reference, since) => Answer::Payments(provider.find(&reference, since).await?),
                Request::Capture(request) => Answer::Payment(provider.capture(&request).await?),
                Request::Cancel(request) => Answer::Payment(provider.cancel(&request).await?),
                Request::Refund(request) => Answer::Refund(provider.refund(&request).await?),
                Request::RefundState(refund) => Answer::Refund(provider.refund_state(&refund).await?),
                Request::Charge(request) => Answer::Payment(provider.charge_saved(&request).await?),
                Request::Forget(request) => provider.forget_saved(&request).await.map(|()| Answer::Done)?,
                Request::Register(request) => Answer::Receipt(provider.register_receipt(&request).await?),
                Request::Receipt(id) => Answer::Receipt(provider.receipt(&id).await?),
                Request::Check => provider.check().await.map(|()| Answer::Done)?,
            })
        })
    }
}

/// A payment provider behind all the layers of [`ResiliencePolicy`].
///
/// # Behavior
/// * A request that moves money is tried again within seconds only where the provider certainly did not act, or honours
///   keys ([`PaymentProviderInfo::honours_keys`]). Every further try says that it is one ([`Attempt::repeated`]).
/// * Everything else is left to whoever asks, such as [`crate::Wallet::reconcile`].
#[derive(Debug, Clone)]
pub struct LayeredProvider {
    provider: Arc<dyn PaymentProvider>,
    service: Resilient<Asked>,
    account: Arc<Account>,
}

impl LayeredProvider {
    /// Puts `provider` behind the layers. `instance` is the id of the account for logs and metrics. Its permits are counted
    /// for it alone.
    pub fn new(
        policy: &ResiliencePolicy,
        limits: &Limits,
        provider: Arc<dyn PaymentProvider>,
        instance: impl Into<String>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self::counted_in(Arc::new(LocalQuota::new()), policy, limits, provider, instance, clock)
    }

    /// The same with permits that are counted in `quota`, under `instance`.
    pub fn counted_in(
        quota: Arc<dyn Quota>,
        policy: &ResiliencePolicy,
        limits: &Limits,
        provider: Arc<dyn PaymentProvider>,
        instance: impl Into<String>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let account = Account { kind: provider.info().kind, instance: instance.into() };
        let quota = AccountQuota::shared(quota, &account);
        let service = policy.stack(Asked(Arc::clone(&provider)), limits, clock, quota);
        Self { provider, service, account: Arc::new(account) }
    }

    /// A view of the circuit breaker.
    pub const fn breaker(&self) -> &BreakerHandle {
        self.service.breaker()
    }

    async fn ask(&self, mut request: Request) -> Result<Answer> {
        let call = Call {
            is_question: request.attempt().is_none(),
            request: Arc::new(request),
            account: Arc::clone(&self.account),
            honours_keys: self.provider.info().honours_keys,
            tried: Arc::default(),
            progress: Progress::default(),
        };
        let mut service = self.service.clone();
        Service::<Call>::call(&mut service, call).await
    }

    async fn payment(&self, request: Request) -> Result<Payment> {
        match self.ask(request).await? {
            Answer::Payment(payment) => Ok(payment),
            _ => Err(mixed_up()),
        }
    }

    async fn refunded(&self, request: Request) -> Result<Refund> {
        match self.ask(request).await? {
            Answer::Refund(refund) => Ok(refund),
            _ => Err(mixed_up()),
        }
    }

    async fn done(&self, request: Request) -> Result<()> {
        match self.ask(request).await? {
            Answer::Done => Ok(()),
            _ => Err(mixed_up()),
        }
    }

    async fn registration(&self, request: Request) -> Result<ReceiptRegistration> {
        match self.ask(request).await? {
            Answer::Receipt(receipt) => Ok(receipt),
            _ => Err(mixed_up()),
        }
    }
}

fn mixed_up() -> Error {
    Error::new(ErrorKind::Internal, "a layer returned the answer to another question")
}

#[async_trait]
impl PaymentProvider for LayeredProvider {
    fn info(&self) -> &PaymentProviderInfo {
        self.provider.info()
    }

    async fn create(&self, request: &CreatePayment) -> Result<Payment> {
        self.payment(Request::Create(request.clone())).await
    }

    async fn get(&self, payment: &ProviderPaymentId) -> Result<Payment> {
        self.payment(Request::Get(payment.clone())).await
    }

    async fn find(&self, reference: &str, since: Timestamp) -> Result<Vec<Payment>> {
        match self.ask(Request::Find(reference.to_owned(), since)).await? {
            Answer::Payments(payments) => Ok(payments),
            _ => Err(mixed_up()),
        }
    }

    async fn capture(&self, request: &Capture) -> Result<Payment> {
        self.payment(Request::Capture(request.clone())).await
    }

    async fn cancel(&self, request: &Cancel) -> Result<Payment> {
        self.payment(Request::Cancel(request.clone())).await
    }

    async fn refund(&self, request: &RequestRefund) -> Result<Refund> {
        self.refunded(Request::Refund(request.clone())).await
    }

    async fn refund_state(&self, refund: &Refund) -> Result<Refund> {
        self.refunded(Request::RefundState(refund.clone())).await
    }

    async fn charge_saved(&self, request: &ChargeSaved) -> Result<Payment> {
        self.payment(Request::Charge(request.clone())).await
    }

    async fn forget_saved(&self, request: &ForgetSaved) -> Result<()> {
        self.done(Request::Forget(request.clone())).await
    }

    async fn register_receipt(&self, request: &RegisterReceipt) -> Result<ReceiptRegistration> {
        self.registration(Request::Register(request.clone())).await
    }

    async fn receipt(&self, receipt: &ProviderReceiptId) -> Result<ReceiptRegistration> {
        self.registration(Request::Receipt(receipt.clone())).await
    }

    async fn check(&self) -> Result<()> {
        self.done(Request::Check).await
    }

    fn webhook(&self) -> &dyn PaymentWebhook {
        self.provider.webhook()
    }
}
