//! Rates and pauses that all engines on one store keep together.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::allowance::Allowance;
use crate::error::Result;
use crate::time::Timestamp;

/// Answers whether something may be done now, or in how long: for the rate of an account, for attempts to sign in, for
/// captures.
///
/// # Behavior
/// * Everything is counted within a scope, such as one account at a provider. Scopes know nothing of each other.
/// * Linearizable within a scope: of many that ask at the same time as many pass as there are permits.
/// * An implementation with a clock of its own goes by that in place of the moments that it is told, as
///   [`Store::time`](super::Store::time) does. Those that are told may go back, and those of engines differ by up to
///   [`Arrival::SKEW`](crate::allowance::Arrival::SKEW): neither makes permits. Where the clock was set back by more, what
///   was taken before is forgotten, and nobody waits for moments that will not come.
/// * Nothing of it need outlive the processes that use it. What says nothing any more is forgotten by itself.
/// * It may remember a bounded number of keys of a scope, at least 65,536; while so many are busy, others are told to wait.
///
/// [`LocalQuota`](crate::quota::LocalQuota) is that of one process. Several engines on one store need one that they
/// share: [`EngineBuilder::quota`](crate::engine::EngineBuilder::quota).
///
/// # Examples
/// ```
/// use fastlead_core::allowance::Allowance;
/// use fastlead_core::channel::Rate;
/// use fastlead_core::port::{Quota, QuotaAnswer, QuotaKey, QuotaLimit, QuotaRequest};
/// use fastlead_core::time::Timestamp;
///
/// /// Whether another report may be made: at most three an hour for each person.
/// async fn may_report(quota: &dyn Quota, person: &str, now: Timestamp) -> fastlead_core::Result<bool> {
///     let hour = Allowance::within(Rate { permits: 3, per_millis: 3_600_000 });
///     let limits = [QuotaLimit { key: QuotaKey::of(&[person.as_bytes()]), allowance: Some(hour) }];
///     let request = QuotaRequest { scope: "reports", limits: &limits, now };
///     Ok(quota.take(request).await? == QuotaAnswer::Granted)
/// }
/// ```
#[async_trait]
pub trait Quota: Debug + Send + Sync + 'static {
    /// Takes a permit of each limit, or none and says how long to wait.
    ///
    /// # Behavior
    /// * Where the scope or one of the keys is held, the answer is [`QuotaAnswer::Held`], also for a key that has no
    ///   allowance here.
    /// * Whoever waits as told and is alone gets through then, and not before.
    ///
    /// # Errors
    /// Where it cannot be asked: nobody knows whether a permit was taken.
    async fn take(&self, request: QuotaRequest<'_>) -> Result<QuotaAnswer>;

    /// Lets nobody through to a key of the scope for a while, as a provider has asked by a 429.
    ///
    /// # Behavior
    /// * Where another key of the scope is held already, the whole scope is held, until the last of them ends: providers
    ///   do not say which of their limits was reached, and two recipients that are refused mean the account.
    /// * A shorter delay takes nothing back. [`QuotaHold::LONGEST`] is the longest.
    ///
    /// # Errors
    /// Where it cannot be asked: nobody knows whether the key is held.
    async fn hold(&self, hold: QuotaHold<'_>) -> Result<()>;
}

/// What is counted within a scope: 16 bytes that tell nothing of a person, or the scope itself.
///
/// They are the same in every process. Whoever can guess an address can tell its key, so keys are kept no longer than they
/// hold something up: a day at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaKey(pub [u8; 16]);

impl QuotaKey {
    /// The scope as a whole, such as the account.
    pub const SCOPE: Self = Self([0; 16]);

    /// The key of something that has these parts, such as an account and an address: the first half of a SHA-256 over them
    /// and their lengths.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

/// A key, and how much it is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaLimit {
    /// What is counted.
    pub key: QuotaKey,
    /// How much. `None` where it has no rate: only holds are looked at.
    pub allowance: Option<Allowance>,
}

/// Something that somebody wants to do now.
#[derive(Debug, Clone, Copy)]
pub struct QuotaRequest<'a> {
    /// Within what it is counted, such as `account:` and a channel's id. No personal data.
    pub scope: &'a str,
    /// Whose permits it takes, each key once.
    pub limits: &'a [QuotaLimit],
    /// The present moment.
    pub now: Timestamp,
}

/// The wish of a provider to be left alone.
#[derive(Debug, Clone, Copy)]
pub struct QuotaHold<'a> {
    /// As in [`QuotaRequest::scope`].
    pub scope: &'a str,
    /// Whom it was about; [`QuotaKey::SCOPE`] where it was about nobody by name.
    pub key: QuotaKey,
    /// For how long from now on.
    pub delay: Duration,
    /// The present moment.
    pub now: Timestamp,
}

impl QuotaHold<'_> {
    /// Longest delay. No provider is believed to mean more than a day; what seems longer is a clock that was set back.
    pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
}

/// Whether something may be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaAnswer {
    /// It may: a permit of each limit was taken.
    Granted,
    /// The permits are used up; nothing was taken.
    Wait {
        /// How long from now on.
        left: Duration,
    },
    /// The provider has asked to wait; nothing was taken.
    Held {
        /// How long from now on.
        left: Duration,
    },
}
