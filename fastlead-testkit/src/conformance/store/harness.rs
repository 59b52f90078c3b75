//! What the suite needs to know about a store.

use std::sync::Arc;

use fastlead_core::async_trait;
use fastlead_core::id::{AccountId, DeliveryId, PostingId};
use fastlead_core::port::{
    Accounts, Addresses, Catalog, ChangeLog, Identities, Journal, Ledger, Quota, Store,
};

/// All nine ports of a store in one. Every type that implements them has it.
///
/// ```
/// use std::sync::Arc;
///
/// use fastlead_core::Result;
/// use fastlead_core::port::{Accounts as _, Journal as _};
/// use fastlead_core::time::epoch;
/// use fastlead_testkit::conformance::store::FullStore;
///
/// async fn is_empty(store: &Arc<dyn FullStore>) -> Result<bool> {
///     Ok(store.queue_depth(epoch()).await?.pending == 0 && store.count_users().await? == 0)
/// }
/// ```
pub trait FullStore:
    Store + Catalog + Journal + Accounts + Addresses + Identities + ChangeLog + Ledger + Quota
{
}

impl<S: Store + Catalog + Journal + Accounts + Addresses + Identities + ChangeLog + Ledger + Quota> FullStore
    for S
{
}

/// One empty store. Every check starts its own.
///
/// ```
/// use std::sync::Arc;
///
/// use fastlead_core::async_trait;
/// use fastlead_testkit::conformance::store::{FullStore, StoreHarness};
///
/// /// Any store that is in memory alone: nothing is left of it after a restart.
/// struct InMemory<S>(Arc<S>);
///
/// #[async_trait]
/// impl<S: FullStore + Default> StoreHarness for InMemory<S> {
///     async fn start() -> Self {
///         Self(Arc::default())
///     }
///
///     fn store(&self) -> Arc<dyn FullStore> {
///         Arc::clone(&self.0) as _
///     }
///
///     async fn reopen(&mut self) -> bool {
///         false
///     }
/// }
/// ```
#[async_trait]
pub trait StoreHarness: Send + Sync + Sized + 'static {
    /// Opens an empty store.
    async fn start() -> Self;

    /// The store under test. All calls answer the same one.
    fn store(&self) -> Arc<dyn FullStore>;

    /// Closes the store and opens it again, as after a restart of the process; the suite has dropped
    /// its own handles before. Answers whether the store is of the kind that survives that.
    async fn reopen(&mut self) -> bool;

    /// Makes a row of the store unreadable behind its back, as a damaged file or a newer program would. Answers whether
    /// rows of this kind of store can be damaged.
    async fn damage(&self, row: StoredRow) -> bool {
        let _cannot_be = row;
        false
    }

    /// Whether a store that is opened again gives back what was set aside: a newer program may be able to read it.
    fn gives_back(&self) -> bool {
        false
    }
}

/// A row that can be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredRow {
    /// Of a delivery.
    Delivery(DeliveryId),
    /// Of an account of the ledger.
    Account(AccountId),
    /// Of a posting.
    Posting(PostingId),
}
