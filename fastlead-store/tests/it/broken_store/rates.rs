//! Rates and holds of the broken store.

use std::collections::HashMap;

use fastlead_core::error::Result;
use fastlead_core::port::{Quota, QuotaAnswer, QuotaHold, QuotaKey, QuotaLimit, QuotaRequest};
use fastlead_core::quota::LocalQuota;
use fastlead_core::time::plus;
use fastlead_core::{async_trait, time::Timestamp};

use super::flaw::{BrokenStore, Flaw};

/// What a flaw needs to know of what went by.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What another engine counts for itself.
    another: LocalQuota,
    asked: u64,
    last: Option<Timestamp>,
    holds: HashMap<(String, QuotaKey), Timestamp>,
}

impl BrokenStore {
    /// The holds of a store that knows nothing of the whole.
    fn own_hold(&self, request: &QuotaRequest<'_>) -> Option<QuotaAnswer> {
        let holds = &self.seen.lock().unwrap().rates.holds;
        let until = |key| holds.get(&(request.scope.to_owned(), key)).copied();
        let keys = request.limits.iter().map(|limit| limit.key).chain([QuotaKey::SCOPE]);
        let until = keys.filter_map(until).max()?;
        let left = (until - request.now).to_std().ok().filter(|left| !left.is_zero())?;
        Some(QuotaAnswer::Held { left })
    }
}

#[async_trait]
impl Quota for BrokenStore {
    async fn take(&self, mut request: QuotaRequest<'_>) -> Result<QuotaAnswer> {
        let all_keys = |limit: &QuotaLimit| QuotaLimit { key: QuotaKey::of(&[b"all"]), ..*limit };
        let lumped: Vec<QuotaLimit> = request.limits.iter().map(all_keys).collect();
        if let Some(held) = self.own_hold(&request) {
            return Ok(held);
        }
        {
            let rates = &mut self.seen.lock().unwrap().rates;
            rates.asked += 1;
            let last = rates.last;
            rates.last = rates.last.max(Some(request.now));
            match self.flaw {
                Flaw::ForgetsRates => return Ok(QuotaAnswer::Granted),
                Flaw::RatesForEachEngine if rates.asked % 2 == 1 => {
                    return Ok(rates.another.take_at_once(&request));
                }
                Flaw::LumpsScopes => request.scope = "all",
                Flaw::LumpsKeys => request.limits = &lumped,
                Flaw::BelievesClocksThatGoBack if last.is_some_and(|last| last > request.now) => {
                    return Ok(QuotaAnswer::Granted);
                }
                Flaw::WaitsForWrongClocks => request.now = request.now.max(last.unwrap_or(request.now)),
                _ => {}
            }
        }
        let answer = self.inner.take(request).await?;
        match answer {
            QuotaAnswer::Wait { left } if self.has(Flaw::WaitsTooShort) => {
                return Ok(QuotaAnswer::Wait { left: left / 2 });
            }
            QuotaAnswer::Wait { .. } if self.has(Flaw::TakesByHalf) => {
                for limit in request.limits {
                    let one = QuotaRequest { limits: std::slice::from_ref(limit), ..request };
                    self.inner.take(one).await?;
                }
            }
            _ => {}
        }
        Ok(answer)
    }

    async fn hold(&self, hold: QuotaHold<'_>) -> Result<()> {
        let until = plus(hold.now, hold.delay);
        let keep_one_by_one = |longest: bool| {
            let holds = &mut self.seen.lock().unwrap().rates.holds;
            let kept = holds.entry((hold.scope.to_owned(), hold.key)).or_insert(until);
            *kept = if longest { until.max(*kept) } else { until };
        };
        match self.flaw {
            Flaw::ForgetsHolds => {}
            Flaw::HoldsOneByOne => keep_one_by_one(true),
            Flaw::ShortensHolds => keep_one_by_one(false),
            _ => self.inner.hold(hold).await?,
        }
        Ok(())
    }
}
