//! What only one of several engines does at a time.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::LeaseToken;
use crate::time::Timestamp;

/// Leases by name: of several engines on one store one at a time does what the name says, such as asking a provider for
/// news.
///
/// # Behavior
/// * A lease keeps others from beginning. It does not stop a holder that has stood still beyond its end: what must not
///   happen twice is guarded by what is committed, never by a lease alone.
/// * Nothing of it need outlive the processes that use the store: a lease that is forgotten is one that has ended.
/// * A store with a clock of its own goes by that, see [`Store::time`](super::Store::time).
///
/// # Examples
/// ```
/// use fastlead_core::port::{LeaseAnswer, Leases, NamedLease};
/// use fastlead_core::id::LeaseToken;
/// use fastlead_core::time::{Timestamp, plus_seconds};
///
/// /// Whether this program is the one that makes the report.
/// async fn is_mine(store: &dyn Leases, me: LeaseToken, now: Timestamp) -> fastlead_core::Result<bool> {
///     let lease = NamedLease { name: "report".to_owned(), holder: me, now, until: plus_seconds(now, 60) };
///     Ok(store.take_lease(lease).await? == LeaseAnswer::Taken)
/// }
/// ```
#[async_trait]
pub trait Leases: Debug + Send + Sync + 'static {
    /// Takes a lease, or renews the own one.
    ///
    /// # Behavior
    /// * Linearizable: of many that ask at the same time one has it.
    /// * Its holder renews it also after its end, as long as nobody else has taken it. A shorter end than before counts.
    async fn take_lease(&self, lease: NamedLease) -> Result<LeaseAnswer>;

    /// Gives a lease back before its end. Nothing happens where somebody else has it, or nobody.
    async fn end_lease(&self, name: &str, holder: LeaseToken) -> Result<()>;
}

/// A lease that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLease {
    /// What is done under it, such as `poll:` and a channel's id. No personal data.
    pub name: String,
    /// Who asks.
    pub holder: LeaseToken,
    /// The present moment.
    pub now: Timestamp,
    /// Until when, later than `now`.
    pub until: Timestamp,
}

/// Whether a lease was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// Whoever asked has it.
    Taken,
    /// Somebody else has it.
    Held {
        /// Until this moment, unless it is renewed or given back.
        until: Timestamp,
    },
}
