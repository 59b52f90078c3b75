//! Rates and holds kept in memory, and the decisions that every implementation of [`Quota`] makes alike.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::allowance::Arrival;
use crate::error::Result;
use crate::port::{Quota, QuotaAnswer, QuotaHold, QuotaKey, QuotaRequest};
use crate::time::{Timestamp, plus};

/// Number of keys of a scope, and of scopes of a shard, before those that say nothing any more are dropped.
const CLEAN_AT: usize = 1_024;
/// Maximum number of keys remembered of a scope; beyond that nobody new is let through.
const MOST_KEYS: usize = 65_536;
/// How long a scope that is full counts as full before its keys are looked at again.
const LONGEST_LOOK: Duration = Duration::from_secs(60);
/// Number of parts with a lock of their own.
const SHARDS: usize = 16;

/// What is kept of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// What the last permit that was taken has left.
    pub arrival: Option<Arrival>,
    /// Until when it is held.
    pub held_until: Option<Timestamp>,
}

/// Decision about a [`QuotaRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is granted once these are kept.
    Granted(Vec<(QuotaKey, Arrival)>),
    /// It is not, and nothing changes.
    Refused(QuotaAnswer),
}

/// Decides about a request by what is kept of its keys, and of [`QuotaKey::SCOPE`].
///
/// For implementations of [`Quota`]: what is kept must not change between the question and the writing down of the answer.
pub fn decide(request: &QuotaRequest<'_>, kept: impl Fn(QuotaKey) -> Kept) -> Decision {
    let now = request.now;
    let keys = request.limits.iter().map(|limit| limit.key).chain([QuotaKey::SCOPE]);
    let held = keys.filter_map(|key| hold_left(kept(key).held_until?, now)).max();
    if let Some(left) = held {
        return Decision::Refused(QuotaAnswer::Held { left });
    }
    let (mut taken, mut wait) = (Vec::new(), None);
    for limit in request.limits {
        let Some(allowance) = limit.allowance else { continue };
        match allowance.take(kept(limit.key).arrival, now) {
            Ok(arrival) => taken.push((limit.key, arrival)),
            Err(left) => wait = wait.max(Some(left)),
        }
    }
    match wait {
        None => Decision::Granted(taken),
        Some(left) => Decision::Refused(QuotaAnswer::Wait { left }),
    }
}

/// Decides which key a hold is about, and until when it is held then. `held` are the holds of the scope so far, of which
/// that key's is replaced.
pub fn place(
    hold: &QuotaHold<'_>,
    held: impl IntoIterator<Item = (QuotaKey, Timestamp)>,
) -> (QuotaKey, Timestamp) {
    let until = plus(hold.now, hold.delay.min(QuotaHold::LONGEST));
    let (mut of_key, mut of_scope, mut of_others) = (None, None, None);
    for (key, until) in held {
        if hold_left(until, hold.now).is_none() {
            continue;
        }
        let longest = match key {
            QuotaKey::SCOPE => &mut of_scope,
            key if key == hold.key => &mut of_key,
            _ => &mut of_others,
        };
        *longest = (*longest).max(Some(until));
    }
    if hold.key != QuotaKey::SCOPE && of_others.is_none() {
        return (hold.key, of_key.map_or(until, |longest| longest.max(until)));
    }
    let longest = of_scope.max(of_others).map_or(until, |longest: Timestamp| longest.max(until));
    (QuotaKey::SCOPE, longest)
}

/// What is left of a hold; `None` where it is over, or where the clock was set back since.
fn hold_left(until: Timestamp, now: Timestamp) -> Option<Duration> {
    let left = (until - now).to_std().ok()?;
    (!left.is_zero() && left <= QuotaHold::LONGEST + Arrival::SKEW).then_some(left)
}

/// Rates and holds of one process. Clones share them.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use std::time::Duration;
///
/// use fastlead_core::allowance::Allowance;
/// use fastlead_core::channel::Rate;
/// use fastlead_core::port::{Quota, QuotaAnswer, QuotaKey, QuotaLimit, QuotaRequest};
/// use fastlead_core::quota::LocalQuota;
/// use fastlead_core::time::epoch;
///
/// let quota = LocalQuota::new();
/// let second = Some(Allowance::within(Rate::per_second(1)));
/// let limits = [QuotaLimit { key: QuotaKey::SCOPE, allowance: second }];
/// let request = QuotaRequest { scope: "account:chn_1", limits: &limits, now: epoch() };
/// assert_eq!(quota.take(request).await?, QuotaAnswer::Granted);
/// assert_eq!(quota.take(request).await?, QuotaAnswer::Wait { left: Duration::from_secs(1) });
/// # Ok::<(), fastlead_core::Error>(()) }).unwrap().unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct LocalQuota(Arc<[Mutex<Shard>; SHARDS]>);

#[derive(Debug)]
struct Shard {
    scopes: HashMap<Box<str>, Scope>,
    clean_at: usize,
}

#[derive(Debug, Default)]
struct Scope {
    arrivals: HashMap<QuotaKey, Arrival>,
    holds: HashMap<QuotaKey, Timestamp>,
    /// Number of keys at which it is worth looking for those that say nothing any more.
    clean_at: usize,
    /// Until when the scope counts as full.
    full_until: Option<Timestamp>,
}

impl Default for LocalQuota {
    fn default() -> Self {
        let shard = |_| Mutex::new(Shard { scopes: HashMap::new(), clean_at: CLEAN_AT });
        Self(Arc::new(std::array::from_fn(shard)))
    }
}

impl LocalQuota {
    /// One in which nothing was taken yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic elsewhere leaves something behind that is still good.
    fn shard(&self, scope: &str) -> MutexGuard<'_, Shard> {
        let last = scope.bytes().rev().take(4).fold(0_usize, |sum, byte| sum * 31 + usize::from(byte));
        self.0[last % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Quota::take`], which has nothing to wait for here.
    pub fn take_at_once(&self, request: &QuotaRequest<'_>) -> QuotaAnswer {
        let mut shard = self.shard(request.scope);
        let known = shard.scopes.get_mut(request.scope);
        let decision = match &known {
            Some(scope) => decide(request, |key| scope.kept(key)),
            None => decide(request, |_| Kept::default()),
        };
        let taken = match decision {
            Decision::Granted(taken) => taken,
            Decision::Refused(answer) => return answer,
        };
        if taken.is_empty() {
            return QuotaAnswer::Granted;
        }
        match known {
            Some(scope) => scope.keep(taken, request.now),
            None => shard.scope(request.scope, request.now).keep(taken, request.now),
        }
    }

    /// [`Quota::hold`], which has nothing to wait for here.
    pub fn hold_at_once(&self, hold: &QuotaHold<'_>) {
        let mut shard = self.shard(hold.scope);
        let scope = shard.scope(hold.scope, hold.now);
        scope.holds.retain(|_, until| hold_left(*until, hold.now).is_some());
        let (key, until) = place(hold, scope.holds.iter().map(|(key, until)| (*key, *until)));
        scope.holds.insert(key, until);
    }
}

impl Shard {
    /// The scope, made where there is none.
    fn scope(&mut self, name: &str, now: Timestamp) -> &mut Scope {
        if self.scopes.len() >= self.clean_at && !self.scopes.contains_key(name) {
            self.scopes.retain(|_, scope| {
                scope.clean(|arrival| arrival.is_past(now));
                scope.holds.retain(|_, until| hold_left(*until, now).is_some());
                !(scope.arrivals.is_empty() && scope.holds.is_empty())
            });
            self.clean_at = CLEAN_AT.max(self.scopes.len() * 2);
        }
        self.scopes.entry(name.into()).or_default()
    }
}

impl Scope {
    fn kept(&self, key: QuotaKey) -> Kept {
        Kept { arrival: self.arrivals.get(&key).copied(), held_until: self.holds.get(&key).copied() }
    }

    fn clean(&mut self, is_past: impl Fn(Arrival) -> bool) {
        self.arrivals.retain(|_, arrival| !is_past(*arrival));
    }

    /// Keeps what was taken, or says how long there is no room for it.
    fn keep(&mut self, taken: Vec<(QuotaKey, Arrival)>, now: Timestamp) -> QuotaAnswer {
        let is_new =
            |(key, _): &(QuotaKey, Arrival)| *key != QuotaKey::SCOPE && !self.arrivals.contains_key(key);
        if self.arrivals.len() >= self.clean_at.max(CLEAN_AT)
            && taken.iter().any(is_new)
            && let Some(left) = self.no_room_for(now)
        {
            return QuotaAnswer::Wait { left };
        }
        self.arrivals.extend(taken);
        QuotaAnswer::Granted
    }

    /// Makes room for other keys, or answers how long there is none.
    fn no_room_for(&mut self, now: Timestamp) -> Option<Duration> {
        let left = |until: Timestamp| (until - now).to_std().ok().filter(|left| !left.is_zero());
        if let Some(left) = self.full_until.and_then(left).filter(|left| *left <= LONGEST_LOOK) {
            return Some(left);
        }
        self.full_until = None;
        self.clean(|arrival| arrival.is_past(now));
        if self.arrivals.len() >= MOST_KEYS {
            // Whose clock is not behind this one is told the same without them.
            self.clean(|arrival| arrival.moment() <= now);
        }
        self.clean_at = CLEAN_AT.max(self.arrivals.len() * 2).min(MOST_KEYS);
        if self.arrivals.len() < MOST_KEYS {
            return None;
        }
        let first = self.arrivals.values().min().map_or(now, |first| first.moment());
        self.full_until = Some(first.min(plus(now, LONGEST_LOOK)));
        self.full_until.and_then(left)
    }
}

#[async_trait]
impl Quota for LocalQuota {
    async fn take(&self, request: QuotaRequest<'_>) -> Result<QuotaAnswer> {
        Ok(self.take_at_once(&request))
    }

    async fn hold(&self, hold: QuotaHold<'_>) -> Result<()> {
        self.hold_at_once(&hold);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowance::Allowance;
    use crate::channel::Rate;
    use crate::port::QuotaLimit;
    use crate::time::{epoch, plus_seconds};

    fn key(name: &str) -> QuotaKey {
        QuotaKey::of(&[name.as_bytes()])
    }

    fn take(quota: &LocalQuota, scope: &str, name: &str, now: Timestamp) -> QuotaAnswer {
        let allowance = Some(Allowance::within(Rate::per_second(1)));
        let limits = [QuotaLimit { key: key(name), allowance }];
        quota.take_at_once(&QuotaRequest { scope, limits: &limits, now })
    }

    fn remembered(quota: &LocalQuota) -> (usize, usize) {
        quota.0.iter().map(|shard| shard.lock().unwrap()).fold((0, 0), |(scopes, keys), shard| {
            let arrivals = shard.scopes.values().map(|scope| scope.arrivals.len()).sum::<usize>();
            (scopes + shard.scopes.len(), keys + arrivals)
        })
    }

    #[test]
    fn keys_are_forgotten_and_bounded() {
        let (quota, mut now) = (LocalQuota::new(), epoch());
        for round in 0..20 {
            for recipient in 0..500 {
                let answer = take(&quota, "a", &format!("{round}-{recipient}"), now);
                assert_eq!(answer, QuotaAnswer::Granted);
            }
            now = plus_seconds(now, 62);
        }
        assert!(remembered(&quota).1 <= 2 * CLEAN_AT, "{:?}", remembered(&quota));

        let answers = (0..70_000).map(|recipient| take(&quota, "a", &recipient.to_string(), now));
        let refused = answers.into_iter().find(|answer| *answer != QuotaAnswer::Granted);
        assert_eq!(refused, Some(QuotaAnswer::Wait { left: Duration::from_secs(1) }));
        assert!(remembered(&quota).1 <= MOST_KEYS);
        // Others have room, and those who were told to wait get it.
        assert_eq!(take(&quota, "b", "new", now), QuotaAnswer::Granted);
        assert_eq!(take(&quota, "a", "new", plus_seconds(now, 1)), QuotaAnswer::Granted);
    }

    #[test]
    fn a_full_scope_blocks_nobody_when_the_clock_is_set_back() {
        let (quota, now) = (LocalQuota::new(), plus_seconds(epoch(), 100_000));
        let full = (0..70_000)
            .map(|number| take(&quota, "a", &number.to_string(), now))
            .any(|answer| answer != QuotaAnswer::Granted);
        assert!(full);
        let QuotaAnswer::Wait { left } = take(&quota, "a", "new", epoch()) else { return };
        assert!(left <= Duration::from_secs(60), "{left:?}");
    }

    #[test]
    fn scopes_are_forgotten() {
        let (quota, mut now) = (LocalQuota::new(), epoch());
        for round in 0..40 {
            for scope in 0..1_000 {
                take(&quota, &format!("{round}-{scope}"), "a", now);
            }
            now = plus_seconds(now, 62);
        }
        assert!(remembered(&quota).0 <= SHARDS * CLEAN_AT + 1_000, "{:?}", remembered(&quota));
    }

    #[test]
    fn one_refusal_holds_its_recipient_and_a_second_one_the_account() {
        let (quota, now) = (LocalQuota::new(), epoch());
        let hold = |name, seconds, now| {
            let delay = Duration::from_secs(seconds);
            quota.hold_at_once(&QuotaHold { scope: "a", key: key(name), delay, now });
        };
        hold("a", 40, now);
        // A shorter delay takes nothing back.
        hold("a", 5, now);
        let left = |seconds| QuotaAnswer::Held { left: Duration::from_secs(seconds) };
        assert_eq!(take(&quota, "a", "a", plus_seconds(now, 10)), left(30));
        assert_eq!(take(&quota, "a", "b", now), QuotaAnswer::Granted);
        hold("b", 10, now);
        for recipient in ["a", "b", "c"] {
            assert_eq!(take(&quota, "a", recipient, now), left(40));
        }
        // Once that is over, the next refusal is about one recipient again.
        let later = plus_seconds(now, 60);
        hold("b", 10, later);
        assert_eq!(
            (take(&quota, "a", "b", later), take(&quota, "a", "c", later)),
            (left(10), QuotaAnswer::Granted)
        );
    }
}
