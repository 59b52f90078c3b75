//! A bank in memory, and a plug that is pulled at one call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use fastlead_billing::fiscal::ReceiptStatus;
use fastlead_billing::{
    Cancel, Capture, ChargeSaved, CreatePayment, DeclineClass, ForgetSaved, Intent, IntentId, Intents,
    Payment, PaymentProvider, PaymentProviderInfo, PaymentStatus, PaymentWebhook, ProviderPaymentId,
    ProviderReceiptId, ReceiptRegistration, Refund, RefundStatus, RegisterReceipt, RequestRefund,
};
use fastlead_core::id::{AccountId, PostingId, WorkspaceId};
use fastlead_core::money::Money;
use fastlead_core::port::{
    AccountBalance, AccountEntry, CommitOutcome, Ledger, LedgerAccount, Page, PageRequest, Posting,
};
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, Result, async_trait};
use tokio::sync::Notify;

/// The page of the top-up with this id.
pub(super) fn page(reference: &str) -> String {
    format!("https://example.com/pay/{reference}")
}

/// What the bank refuses for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refuses {
    Nothing,
    Refunds,
    Everything,
}

/// Without keys it makes another payment at every `create`, as the adapter of such a bank does unless it looks before.
#[derive(Debug)]
pub(super) struct Bank {
    info: PaymentProviderInfo,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    payments: Vec<Payment>,
    refunds: BTreeMap<String, Refund>,
    refuses: Refuses,
}

impl Bank {
    pub(super) fn new(honours_keys: bool) -> Self {
        let info = PaymentProviderInfo { kind: "bank", name: String::new(), honours_keys };
        let state = State { payments: Vec::new(), refunds: BTreeMap::new(), refuses: Refuses::Nothing };
        Self { info, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn refuse(&self, refuses: Refuses) {
        self.lock().refuses = refuses;
    }

    /// How many payments have taken money.
    pub(super) fn charged(&self) -> usize {
        self.lock().payments.iter().filter(|payment| payment.status == PaymentStatus::Succeeded).count()
    }

    /// How many wait for the payer.
    pub(super) fn open(&self) -> usize {
        self.lock().payments.iter().filter(|payment| payment.status == PaymentStatus::Pending).count()
    }

    pub(super) fn refunded(&self) -> i64 {
        let state = self.lock();
        let made = state.refunds.values().filter(|refund| refund.status == RefundStatus::Succeeded);
        made.map(|refund| refund.amount.minor).sum()
    }

    pub(super) fn pay(&self, id: &ProviderPaymentId) {
        self.set(id, |payment| payment.status = PaymentStatus::Succeeded);
    }

    pub(super) fn pay_other_amount(&self, id: &ProviderPaymentId, amount: Money) {
        self.set(id, |payment| (payment.status, payment.amount) = (PaymentStatus::Succeeded, amount));
    }

    pub(super) fn decline(&self, id: &ProviderPaymentId) {
        let status = PaymentStatus::Declined { class: DeclineClass::Soft, provider_code: None };
        self.set(id, |payment| payment.status = status);
    }

    fn set(&self, id: &ProviderPaymentId, change: impl FnOnce(&mut Payment)) {
        let mut state = self.lock();
        let open = state.payments.iter_mut().find(|payment| payment.id == *id);
        change(open.filter(|payment| payment.status != PaymentStatus::Canceled).unwrap());
    }

    fn make(
        &self,
        reference: &str,
        repeated: bool,
        amount: Money,
        status: PaymentStatus,
        url: bool,
    ) -> Result<Payment> {
        let mut state = self.lock();
        if state.refuses == Refuses::Everything {
            return Err(Error::new(ErrorKind::Auth, "no"));
        }
        let earlier = state.payments.iter().find(|payment| payment.reference.as_deref() == Some(reference));
        if let Some(earlier) = earlier.filter(|_| self.info.honours_keys || repeated) {
            // A bank without keys does not tell the page again.
            let confirmation_url = earlier.confirmation_url.clone().filter(|_| self.info.honours_keys);
            return Ok(Payment { confirmation_url, ..earlier.clone() });
        }
        let payment = Payment {
            id: ProviderPaymentId(format!("p{}", state.payments.len() + 1)),
            reference: Some(reference.to_owned()),
            amount,
            status,
            refunded: None,
            net: None,
            confirmation_url: url.then(|| page(reference)),
            saved_method: None,
            receipt: None,
            test: true,
        };
        state.payments.push(payment.clone());
        Ok(payment)
    }
}

/// Pulled at one of the calls, counted from 0: before it at even numbers, after it at odd ones.
#[derive(Debug, Clone)]
pub(super) struct Plug {
    at: usize,
    calls: Arc<AtomicUsize>,
    pulled: Arc<Notify>,
}

impl Plug {
    pub(super) fn at(at: usize) -> Self {
        Self { at, calls: Arc::default(), pulled: Arc::default() }
    }

    pub(super) fn never() -> Self {
        Self::at(usize::MAX)
    }

    pub(super) async fn pulled(&self) {
        self.pulled.notified().await;
    }

    async fn may_be_pulled(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) == self.at {
            self.pulled.notify_one();
            std::future::pending::<()>().await;
        }
    }

    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.may_be_pulled().await;
        let answer = call.await;
        self.may_be_pulled().await;
        answer
    }
}

/// A store and a bank behind one plug.
#[derive(Debug)]
pub(super) struct Plugged {
    plug: Plug,
    ledger: Arc<dyn Ledger>,
    intents: Arc<dyn Intents>,
    bank: Arc<Bank>,
}

impl Plugged {
    pub(super) fn new(
        plug: &Plug,
        ledger: &Arc<dyn Ledger>,
        intents: &Arc<dyn Intents>,
        bank: &Arc<Bank>,
    ) -> Self {
        let (ledger, intents, bank) = (Arc::clone(ledger), Arc::clone(intents), Arc::clone(bank));
        Self { plug: plug.clone(), ledger, intents, bank }
    }
}

#[async_trait]
impl Ledger for Plugged {
    async fn open_account(&self, account: LedgerAccount) -> Result<LedgerAccount> {
        self.plug.around(self.ledger.open_account(account)).await
    }

    async fn set_credit(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        credit: Option<i64>,
    ) -> Result<CommitOutcome> {
        self.plug.around(self.ledger.set_credit(workspace, account, credit)).await
    }

    async fn post(&self, workspace: WorkspaceId, postings: Vec<Posting>) -> Result<CommitOutcome> {
        self.plug.around(self.ledger.post(workspace, postings)).await
    }

    async fn balances(
        &self,
        workspace: WorkspaceId,
        accounts: Vec<AccountId>,
    ) -> Result<Vec<Option<AccountBalance>>> {
        self.plug.around(self.ledger.balances(workspace, accounts)).await
    }

    async fn ledger_accounts(
        &self,
        workspace: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<AccountBalance>> {
        self.plug.around(self.ledger.ledger_accounts(workspace, page)).await
    }

    async fn entries(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<AccountEntry>> {
        self.plug.around(self.ledger.entries(workspace, account, page)).await
    }

    async fn posting(&self, workspace: WorkspaceId, posting: PostingId) -> Result<Option<Posting>> {
        self.plug.around(self.ledger.posting(workspace, posting)).await
    }
}

#[async_trait]
impl Intents for Plugged {
    async fn begin(&self, intent: Intent) -> Result<(Intent, bool)> {
        self.plug.around(self.intents.begin(intent)).await
    }

    async fn intent(&self, workspace: WorkspaceId, id: &IntentId) -> Result<Option<Intent>> {
        self.plug.around(self.intents.intent(workspace, id)).await
    }

    async fn of_payment(
        &self,
        workspace: WorkspaceId,
        payment: &ProviderPaymentId,
    ) -> Result<Option<Intent>> {
        self.plug.around(self.intents.of_payment(workspace, payment)).await
    }

    async fn advance(&self, intent: Intent) -> Result<bool> {
        self.plug.around(self.intents.advance(intent)).await
    }

    async fn unfinished(&self, workspace: WorkspaceId, most: u32) -> Result<Vec<Intent>> {
        self.plug.around(self.intents.unfinished(workspace, most)).await
    }
}

fn unsupported<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "not at this bank"))
}

#[async_trait]
impl PaymentProvider for Plugged {
    fn info(&self) -> &PaymentProviderInfo {
        &self.bank.info
    }

    async fn create(&self, request: &CreatePayment) -> Result<Payment> {
        let CreatePayment { reference, attempt, amount, .. } = request;
        let make =
            async { self.bank.make(reference, attempt.repeated, *amount, PaymentStatus::Pending, true) };
        self.plug.around(make).await
    }

    async fn get(&self, payment: &ProviderPaymentId) -> Result<Payment> {
        let get = async {
            let state = self.bank.lock();
            let found = state.payments.iter().find(|known| known.id == *payment).cloned();
            found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such payment"))
        };
        self.plug.around(get).await
    }

    async fn find(&self, reference: &str, _: Timestamp) -> Result<Vec<Payment>> {
        let find = async {
            let state = self.bank.lock();
            let named = |payment: &&Payment| payment.reference.as_deref() == Some(reference);
            Ok(state.payments.iter().filter(named).cloned().collect())
        };
        self.plug.around(find).await
    }

    async fn capture(&self, _: &Capture) -> Result<Payment> {
        unsupported()
    }

    async fn cancel(&self, request: &Cancel) -> Result<Payment> {
        let cancel = async {
            let mut state = self.bank.lock();
            let found = state.payments.iter_mut().find(|known| known.id == request.payment).unwrap();
            if found.status == PaymentStatus::Pending {
                found.status = PaymentStatus::Canceled;
            }
            Ok(found.clone())
        };
        self.plug.around(cancel).await
    }

    async fn refund(&self, request: &RequestRefund) -> Result<Refund> {
        let refund = async {
            let mut state = self.bank.lock();
            let status = match state.refuses {
                Refuses::Nothing => RefundStatus::Succeeded,
                _ => RefundStatus::Declined { provider_code: None },
            };
            let (payment, amount) = (request.payment.clone(), request.amount);
            let made = Refund { id: None, payment, amount, status };
            Ok(state.refunds.entry(request.idempotency.as_str().to_owned()).or_insert(made).clone())
        };
        self.plug.around(refund).await
    }

    async fn refund_state(&self, refund: &Refund) -> Result<Refund> {
        let look = async {
            let state = self.bank.lock();
            Ok(state.refunds.values().find(|known| known.payment == refund.payment).unwrap().clone())
        };
        self.plug.around(look).await
    }

    async fn charge_saved(&self, request: &ChargeSaved) -> Result<Payment> {
        let status = match request.method.0.as_str() {
            "good" => PaymentStatus::Succeeded,
            _ => PaymentStatus::Declined { class: DeclineClass::InsufficientFunds, provider_code: None },
        };
        let ChargeSaved { reference, attempt, amount, .. } = request;
        let make = async { self.bank.make(reference, attempt.repeated, *amount, status, false) };
        self.plug.around(make).await
    }

    async fn forget_saved(&self, _: &ForgetSaved) -> Result<()> {
        unsupported()
    }

    async fn register_receipt(&self, _: &RegisterReceipt) -> Result<ReceiptRegistration> {
        Ok(ReceiptRegistration { id: None, status: ReceiptStatus::Pending, marks: None })
    }

    async fn receipt(&self, _: &ProviderReceiptId) -> Result<ReceiptRegistration> {
        unsupported()
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    fn webhook(&self) -> &dyn PaymentWebhook {
        unreachable!("the wallet reads no webhooks")
    }
}
