//! What a wallet has begun with a provider, kept so that nothing is begun twice.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use fastlead_core::id::{AccountId, WorkspaceId};
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::Money;
use crate::fiscal::FiscalReceipt;
use crate::payment::{DeclineClass, IdempotencyKey, ProviderPaymentId, ProviderRefundId, SavedMethodId};

/// Most characters of an intent's id: what every provider takes as an order id.
const LONGEST_ID: usize = 36;

/// Id of an intent, chosen by whoever begins it: the same on every try. It is the idempotency key and the reference at the
/// provider, so it must be unique among all who share a provider account: all its workspaces and all other programs. A store
/// sees one workspace, and cannot tell where two of them have chosen the same id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(IdempotencyKey);

impl IntentId {
    /// An id of 1 to 36 characters of `[A-Za-z0-9_-]`; `None` for anything else.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        IdempotencyKey::new(id).filter(|key| key.as_str().len() <= LONGEST_ID).map(Self)
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) const fn key(&self) -> &IdempotencyKey {
        &self.0
    }
}

/// What an intent is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Purpose {
    /// The payer confirms a payment on the provider's page.
    TopUp {
        /// What the payer reads.
        description: String,
        /// Where the payer comes back to.
        return_url: String,
        /// The payer, where the provider shall keep the payment method.
        save_method_of: Option<String>,
    },
    /// A saved method is charged without the payer.
    Charge {
        /// The method.
        method: SavedMethodId,
        /// What the payer reads.
        description: String,
    },
    /// Money goes back to the payer.
    Refund {
        /// The payment that it goes back along.
        payment: ProviderPaymentId,
    },
}

/// Where an intent stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum IntentState {
    /// Stored; the provider may have been asked.
    Begun,
    /// The provider has it.
    AtProvider {
        /// Where the payer confirms it.
        page: Option<String>,
    },
    /// A refund was refused for good; its money is on the way back into the wallet.
    TakingBack,
    /// The money has moved, and the ledger says so. Final.
    Settled,
    /// No money has moved. A top-up may still become settled where the payer tries again on the provider's page.
    Failed {
        /// Why the payer's side refused it, where it did.
        class: Option<DeclineClass>,
    },
}

impl IntentState {
    /// Whether nothing is left to do.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Settled | Self::Failed { .. })
    }
}

/// Something that a wallet has begun with a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its id, unique in the workspace and at the provider account.
    pub id: IntentId,
    /// Goes up with every change.
    pub version: u32,
    /// When it was begun.
    pub made_at: Timestamp,
    /// The wallet's account.
    pub account: AccountId,
    /// How much.
    pub amount: Money,
    /// What for.
    pub purpose: Purpose,
    /// The fiscal receipt. Holds the payer's address, and is dropped once the intent is final.
    pub receipt: Option<FiscalReceipt>,
    /// Where it stands.
    pub state: IntentState,
    /// The payment at the provider, once it is known.
    pub payment: Option<ProviderPaymentId>,
    /// The refund at the provider, where it has a name.
    pub refund: Option<ProviderRefundId>,
    /// Until when somebody works on it, who may have the provider asked right now.
    pub leased_until: Timestamp,
    /// How often the provider may have been asked.
    pub tries: u32,
}

impl Intent {
    /// Whether another intent with this id is the same: who begins again says the same.
    pub fn is_the_same(&self, other: &Self) -> bool {
        self.account == other.account && self.amount == other.amount && self.purpose == other.purpose
    }
}

/// Keeps intents. Durable: what it has answered survives a crash.
///
/// # Behavior
/// * A stored intent that cannot be read is an [`ErrorKind::Unreadable`] error where it is asked for by its id or its payment,
///   and where it is begun again. It stands in the way of no other.
///
/// ```
/// use fastlead_billing::{Currency, Intent, IntentId, IntentState, Intents, MemoryIntents, Money, Purpose};
/// use fastlead_core::id::{AccountId, RandomIds, WorkspaceId};
/// use fastlead_core::time::{epoch, plus_seconds};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (intents, now) = (MemoryIntents::default(), epoch());
/// let workspace = WorkspaceId::generate(&RandomIds, now);
/// let intent = Intent {
///     workspace_id: workspace,
///     id: IntentId::new("top-up-1").expect("a short id"),
///     version: 1,
///     made_at: now,
///     account: AccountId::generate(&RandomIds, now),
///     amount: Money::new(50_000, Currency::RUB),
///     purpose: Purpose::TopUp {
///         description: "Top-up".to_owned(),
///         return_url: "https://example.com/back".to_owned(),
///         save_method_of: None,
///     },
///     receipt: None,
///     state: IntentState::Begun,
///     payment: None,
///     refund: None,
///     leased_until: plus_seconds(now, 300),
///     tries: 1,
/// };
/// let (begun, is_new) = intents.begin(intent.clone()).await?;
/// assert!(is_new && begun == intent);
/// assert!(!intents.begin(intent.clone()).await?.1);
/// assert_eq!(intents.unfinished(workspace, 10).await?, [intent]);
/// # Ok::<(), fastlead_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait Intents: Debug + Send + Sync + 'static {
    /// Stores a new intent. Returns it, or the one that has its id already, and whether it is new.
    async fn begin(&self, intent: Intent) -> Result<(Intent, bool)>;

    /// One intent.
    async fn intent(&self, workspace: WorkspaceId, id: &IntentId) -> Result<Option<Intent>>;

    /// The top-up or charge that has made this payment.
    async fn of_payment(&self, workspace: WorkspaceId, payment: &ProviderPaymentId)
    -> Result<Option<Intent>>;

    /// Replaces the intent where its stored version is one lower. Returns whether it was.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where the payment belongs to another intent: ids of providers are unique.
    async fn advance(&self, intent: Intent) -> Result<bool>;

    /// Intents that are not final, oldest first, at most `most`. One that cannot be read is left out, counts for nothing in
    /// `most`, and is noted as [`UnreadableRows`](fastlead_core::port::UnreadableRows) says.
    async fn unfinished(&self, workspace: WorkspaceId, most: u32) -> Result<Vec<Intent>>;
}

/// Intents in memory: for tests and trying things out. Nothing survives the process.
#[derive(Debug, Default)]
pub struct MemoryIntents {
    intents: Mutex<BTreeMap<(WorkspaceId, IntentId), Intent>>,
}

impl MemoryIntents {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(WorkspaceId, IntentId), Intent>> {
        self.intents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The intent that a payment belongs to, among these.
fn owner<'a>(
    mut intents: impl Iterator<Item = &'a Intent>,
    workspace: WorkspaceId,
    payment: &ProviderPaymentId,
) -> Option<&'a Intent> {
    intents.find(|intent| {
        intent.workspace_id == workspace
            && intent.payment.as_ref() == Some(payment)
            && !matches!(intent.purpose, Purpose::Refund { .. })
    })
}

#[async_trait]
impl Intents for MemoryIntents {
    async fn begin(&self, intent: Intent) -> Result<(Intent, bool)> {
        let mut intents = self.lock();
        let key = (intent.workspace_id, intent.id.clone());
        if let Some(stored) = intents.get(&key) {
            return Ok((stored.clone(), false));
        }
        intents.insert(key, intent.clone());
        Ok((intent, true))
    }

    async fn intent(&self, workspace: WorkspaceId, id: &IntentId) -> Result<Option<Intent>> {
        Ok(self.lock().get(&(workspace, id.clone())).cloned())
    }

    async fn of_payment(
        &self,
        workspace: WorkspaceId,
        payment: &ProviderPaymentId,
    ) -> Result<Option<Intent>> {
        Ok(owner(self.lock().values(), workspace, payment).cloned())
    }

    async fn advance(&self, intent: Intent) -> Result<bool> {
        let mut intents = self.lock();
        if let Some(payment) = &intent.payment
            && !matches!(intent.purpose, Purpose::Refund { .. })
            && owner(intents.values(), intent.workspace_id, payment).is_some_and(|own| own.id != intent.id)
        {
            return Err(taken());
        }
        let stored = intents.get_mut(&(intent.workspace_id, intent.id.clone()));
        let Some(stored) = stored.filter(|stored| stored.version.checked_add(1) == Some(intent.version))
        else {
            return Ok(false);
        };
        *stored = intent;
        Ok(true)
    }

    async fn unfinished(&self, workspace: WorkspaceId, most: u32) -> Result<Vec<Intent>> {
        let intents = self.lock();
        let open =
            intents.values().filter(|intent| intent.workspace_id == workspace && !intent.state.is_final());
        let mut open: Vec<Intent> = open.cloned().collect();
        open.sort_by_key(|intent| intent.made_at);
        open.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(open)
    }
}

/// The error of [`Intents::advance`] where a payment belongs to another intent.
pub fn taken() -> Error {
    Error::new(ErrorKind::Conflict, "the payment belongs to another intent").with_operation("advance intent")
}
