//! What the suite needs to know about a store.

use std::sync::Arc;

use fastlead_core::async_trait;
use fastlead_core::id::{AccountId, DeliveryId, PostingId};
use fastlead_core::port::{Accounts, Addresses, Catalog, ChangeLog, Identities, Journal, Ledger, Store};

/// All eight ports of a store in one. Every type that implements them has it.
pub trait FullStore:
    Store + Catalog + Journal + Accounts + Addresses + Identities + ChangeLog + Ledger
{
}

impl<S: Store + Catalog + Journal + Accounts + Addresses + Identities + ChangeLog + Ledger> FullStore for S {}

/// One empty store. Every check starts its own.
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
