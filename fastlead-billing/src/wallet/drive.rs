//! From step to step: each is stored before the next, and each may be the last before a crash.

use fastlead_core::id::PostingId;
use fastlead_core::port::{CommitOutcome, Posting, Refusal};
use fastlead_core::time::plus;
use fastlead_core::{Error, ErrorKind, Result, RetryHint};

use super::intent::{Intent, IntentState, Purpose};
use super::{LEASE, Wallet, between, refused};
use crate::payment::{
    Attempt, Cancel, CaptureMode, ChargeSaved, CreatePayment, DeclineClass, IdempotencyKey, Payment,
    PaymentStatus, ProviderPaymentId, Refund, RefundStatus, RequestRefund,
};

impl Wallet {
    /// Continues an intent that was begun before.
    pub(super) async fn resume(&self, intent: Intent) -> Result<Intent> {
        if intent.state == IntentState::Settled {
            return Ok(intent);
        }
        let now = self.clock.now();
        if intent.leased_until > now {
            return Err(Error::new(ErrorKind::Conflict, "somebody works on this intent right now"));
        }
        if let IntentState::Failed { .. } = intent.state {
            return self.reconsider(intent).await;
        }
        let asks_again = u32::from(intent.state == IntentState::Begun);
        let (leased_until, tries) = (plus(now, LEASE), intent.tries.saturating_add(asks_again));
        let intent = self.store(Intent { leased_until, tries, ..intent }).await?;
        self.drive(intent).await
    }

    /// Drives an intent that this call has leased.
    pub(super) async fn drive(&self, intent: Intent) -> Result<Intent> {
        match (&intent.state, &intent.purpose) {
            (IntentState::Settled | IntentState::Failed { .. }, _) => Ok(intent),
            (IntentState::TakingBack, _) => self.take_back(intent).await,
            (IntentState::Begun, Purpose::Refund { payment }) => {
                let payment = payment.clone();
                self.begin_refund(intent, payment).await
            }
            (IntentState::AtProvider { .. }, Purpose::Refund { payment }) => {
                let refund = Refund {
                    id: intent.refund.clone(),
                    payment: payment.clone(),
                    amount: intent.amount,
                    status: RefundStatus::Pending,
                };
                let refund = self.ask_or_let_go(&intent, self.provider.refund_state(&refund).await).await?;
                self.follow_refund(intent, refund).await
            }
            (IntentState::Begun, _) => self.begin_payment(intent).await,
            (IntentState::AtProvider { .. }, _) => {
                let Some(payment) = intent.payment.clone() else {
                    return Err(Error::new(
                        ErrorKind::Unreadable,
                        "an intent at the provider has no payment",
                    ));
                };
                let found = self.ask_or_let_go(&intent, self.provider.get(&payment).await).await?;
                self.follow_payment(intent, found).await
            }
        }
    }

    /// Stores the next version.
    async fn store(&self, intent: Intent) -> Result<Intent> {
        let next = Intent { version: intent.version.saturating_add(1), ..intent };
        if self.intents.advance(next.clone()).await? {
            Ok(next)
        } else {
            Err(Error::new(ErrorKind::Conflict, "somebody else has changed this intent"))
        }
    }

    /// Stores a state and ends the lease. A final intent keeps no address.
    async fn rest(&self, intent: Intent, state: IntentState) -> Result<Intent> {
        let receipt = intent.receipt.filter(|_| !state.is_final());
        let leased_until = self.clock.now();
        self.store(Intent { state, receipt, leased_until, ..intent }).await
    }

    /// Passes an answer on; after an error the intent may be taken up again at once.
    async fn ask_or_let_go<T>(&self, intent: &Intent, answer: Result<T>) -> Result<T> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.rest(intent.clone(), intent.state.clone()).await?;
                Err(error)
            }
        }
    }

    fn attempt(&self, intent: &Intent) -> Attempt {
        Attempt { first_at: intent.made_at, at: self.clock.now(), repeated: intent.tries > 1 }
    }

    async fn begin_payment(&self, intent: Intent) -> Result<Intent> {
        let (idempotency, reference) = (intent.id.key().clone(), intent.id.as_str().to_owned());
        let (amount, receipt) = (intent.amount, intent.receipt.clone());
        let attempt = self.attempt(&intent);
        let answer = match intent.purpose.clone() {
            Purpose::TopUp { description, return_url, save_method_of } => {
                let capture = CaptureMode::Immediate;
                let request = CreatePayment {
                    idempotency,
                    reference,
                    amount,
                    description,
                    capture,
                    return_url,
                    save_method_of,
                    receipt,
                    attempt,
                };
                self.provider.create(&request).await
            }
            Purpose::Charge { method, description } => {
                let request =
                    ChargeSaved { idempotency, reference, method, amount, description, receipt, attempt };
                self.provider.charge_saved(&request).await
            }
            Purpose::Refund { .. } => Err(Error::new(ErrorKind::Internal, "a refund is no payment")),
        };
        let made = match answer {
            Ok(made) => made,
            Err(error) if error.retry() == RetryHint::Never => {
                return self.give_up(intent, error).await;
            }
            Err(error) => return self.ask_or_let_go(&intent, Err(error)).await,
        };
        self.take_up(intent, made).await
    }

    /// The provider refuses this try. Where an earlier one may have been heard, it is looked for.
    async fn give_up(&self, intent: Intent, error: Error) -> Result<Intent> {
        if intent.tries > 1 {
            let found = self.provider.find(intent.id.as_str(), intent.made_at).await;
            let mut found = self.ask_or_let_go(&intent, found).await?;
            match found.pop() {
                None => {}
                Some(made) if found.is_empty() => return self.take_up(intent, made).await,
                Some(_) => return self.ask_or_let_go(&intent, Err(error)).await,
            }
        }
        self.rest(intent, IntentState::Failed { class: None }).await?;
        Err(error)
    }

    /// Stores which payment it is, then follows its state.
    async fn take_up(&self, intent: Intent, made: Payment) -> Result<Intent> {
        let state = IntentState::AtProvider { page: made.confirmation_url.clone() };
        let intent = self.store(Intent { state, payment: Some(made.id.clone()), ..intent }).await?;
        self.follow_payment(intent, made).await
    }

    async fn follow_payment(&self, intent: Intent, found: Payment) -> Result<Intent> {
        match found.status {
            PaymentStatus::Succeeded => self.credit(intent, &found).await,
            PaymentStatus::Canceled => self.rest(intent, IntentState::Failed { class: None }).await,
            PaymentStatus::Declined { class, .. } => {
                self.rest(intent, IntentState::Failed { class: Some(class) }).await
            }
            PaymentStatus::Pending if self.has_lost_its_page(&intent) => {
                self.withdraw(intent, found.id).await
            }
            PaymentStatus::Pending | PaymentStatus::Held => {
                let state = intent.state.clone();
                self.rest(intent, state).await
            }
        }
    }

    /// The money is at the provider: the wallet has it now.
    async fn credit(&self, intent: Intent, found: &Payment) -> Result<Intent> {
        if found.amount != intent.amount {
            let error = Error::new(ErrorKind::Conflict, "the payment has another amount than was asked for");
            return self.ask_or_let_go(&intent, Err(error)).await;
        }
        let entries = between(self.books.provider, intent.account, intent.amount)?;
        let id = PostingId::of(&["wallet", "top up", intent.id.as_str()]);
        match self.post(Posting::new(id, self.clock.now(), "top_up", entries)).await? {
            CommitOutcome::Applied => self.rest(intent, IntentState::Settled).await,
            CommitOutcome::Refused(refusal) => Err(refused(&refusal)),
        }
    }

    /// Nobody has seen the page of a top-up whose answer was lost, and nobody will.
    fn has_lost_its_page(&self, intent: &Intent) -> bool {
        matches!(intent.purpose, Purpose::TopUp { .. })
            && intent.state == (IntentState::AtProvider { page: None })
    }

    async fn withdraw(&self, intent: Intent, payment: ProviderPaymentId) -> Result<Intent> {
        let key = format!("{}-withdraw", intent.id.as_str());
        let idempotency = IdempotencyKey::new(key)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the key of a withdrawal does not fit"))?;
        let attempt = Attempt::again(intent.made_at, self.clock.now());
        let left = self.provider.cancel(&Cancel { idempotency, payment, attempt }).await;
        let left = self.ask_or_let_go(&intent, left).await?;
        match left.status {
            PaymentStatus::Succeeded => self.credit(intent, &left).await,
            PaymentStatus::Pending | PaymentStatus::Held => {
                let state = intent.state.clone();
                self.rest(intent, state).await
            }
            _ => self.rest(intent, IntentState::Failed { class: None }).await,
        }
    }

    /// A failed top-up whose payer may have tried again on the page.
    async fn reconsider(&self, intent: Intent) -> Result<Intent> {
        let Some(payment) = intent.payment.clone() else { return Ok(intent) };
        if matches!(intent.purpose, Purpose::Refund { .. }) {
            return Ok(intent);
        }
        let found = self.provider.get(&payment).await?;
        if found.status == PaymentStatus::Succeeded { self.credit(intent, &found).await } else { Ok(intent) }
    }

    async fn begin_refund(&self, intent: Intent, payment: ProviderPaymentId) -> Result<Intent> {
        let entries = between(intent.account, self.books.refunding, intent.amount)?;
        let posting = Posting::new(reserved(&intent), self.clock.now(), "refund_begun", entries);
        match self.post(posting).await? {
            CommitOutcome::Applied => {}
            CommitOutcome::Refused(Refusal::Short { .. }) => {
                self.rest(intent, IntentState::Failed { class: None }).await?;
                return Err(
                    Error::new(ErrorKind::Balance, "the wallet has too little").with_operation("refund")
                );
            }
            CommitOutcome::Refused(refusal) => return Err(refused(&refusal)),
        }
        let request = RequestRefund {
            idempotency: intent.id.key().clone(),
            reference: intent.id.as_str().to_owned(),
            payment,
            amount: intent.amount,
            receipt: intent.receipt.clone(),
            attempt: self.attempt(&intent),
        };
        let begun = match self.provider.refund(&request).await {
            Ok(begun) => begun,
            // Only the first try tells for certain that nothing was begun.
            Err(error) if error.retry() == RetryHint::Never && intent.tries == 1 => {
                let intent = self.store(Intent { state: IntentState::TakingBack, ..intent }).await?;
                self.take_back(intent).await?;
                return Err(error);
            }
            Err(error) => return self.ask_or_let_go(&intent, Err(error)).await,
        };
        let state = IntentState::AtProvider { page: None };
        let intent = self.store(Intent { state, refund: begun.id.clone(), ..intent }).await?;
        self.follow_refund(intent, begun).await
    }

    async fn follow_refund(&self, intent: Intent, refund: Refund) -> Result<Intent> {
        match refund.status {
            RefundStatus::Pending => {
                let state = intent.state.clone();
                self.rest(intent, state).await
            }
            RefundStatus::Succeeded => {
                let entries = between(self.books.refunding, self.books.provider, intent.amount)?;
                let id = PostingId::of(&["wallet", "refund", intent.id.as_str()]);
                match self.post(Posting::new(id, self.clock.now(), "refund", entries)).await? {
                    CommitOutcome::Applied => self.rest(intent, IntentState::Settled).await,
                    CommitOutcome::Refused(refusal) => Err(refused(&refusal)),
                }
            }
            // Stored first: a later try might be granted after the money went back into the wallet.
            RefundStatus::Declined { .. } => {
                let intent = self.store(Intent { state: IntentState::TakingBack, ..intent }).await?;
                self.take_back(intent).await
            }
        }
    }

    /// Puts the money of a refused refund back into the wallet.
    async fn take_back(&self, intent: Intent) -> Result<Intent> {
        let Some(begun) = self.ledger.posting(self.books.workspace, reserved(&intent)).await? else {
            return Err(Error::new(ErrorKind::Unreadable, "the posting of the refund is missing"));
        };
        let id = PostingId::of(&["wallet", "refund back", intent.id.as_str()]);
        let back = begun
            .reversal(id, self.clock.now(), "refund_refused")
            .map_err(|_| Error::new(ErrorKind::Unreadable, "the posting of the refund has no opposite"))?;
        match self.post(back).await? {
            CommitOutcome::Applied => {
                self.rest(intent, IntentState::Failed { class: Some(DeclineClass::Hard) }).await
            }
            CommitOutcome::Refused(refusal) => Err(refused(&refusal)),
        }
    }
}

fn reserved(intent: &Intent) -> PostingId {
    PostingId::of(&["wallet", "refund begun", intent.id.as_str()])
}
