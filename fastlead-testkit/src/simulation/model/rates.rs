//! Rates and holds of accounts, whichever engine asks.

use std::collections::{HashMap, VecDeque};

use fastlead_core::channel::Rate;
use fastlead_core::id::ChannelId;
use fastlead_core::port::{QuotaAnswer, QuotaHold, QuotaKey, QuotaRequest};
use fastlead_core::time::{Timestamp, plus};

use super::{Checked, Model};

/// One account at a provider.
#[derive(Debug, Default)]
pub(super) struct Account {
    rate: Option<Rate>,
    /// When permits were given, those of the last period.
    given: VecDeque<Timestamp>,
    /// How many permits nobody has used so far: whoever dies or hears of trouble uses none.
    unused: u64,
    holds: HashMap<QuotaKey, Timestamp>,
}

pub(super) type Accounts = HashMap<String, Account>;

fn scope(channel: ChannelId) -> String {
    format!("account:{channel}")
}

impl Model {
    pub(in super::super) fn knows_rate(&mut self, channel: ChannelId, rate: Option<Rate>) {
        self.accounts.entry(scope(channel)).or_default().rate = rate;
    }

    /// An engine has asked for a permit, and this is what it was told.
    pub(in super::super) fn permit_asked(
        &mut self,
        asked: &QuotaRequest<'_>,
        answer: QuotaAnswer,
        now: Timestamp,
    ) -> Checked {
        let Some(account) = self.accounts.get_mut(asked.scope) else {
            return Err(format!("a permit of `{}` is asked for, which is no account", asked.scope));
        };
        let keys = asked.limits.iter().map(|limit| limit.key).chain([QuotaKey::SCOPE]);
        let held = keys.filter_map(|key| account.holds.get(&key)).any(|until| *until > now);
        if held != matches!(answer, QuotaAnswer::Held { .. }) {
            return Err(format!("`{}` is held: {held}, and the answer is {answer:?}", asked.scope));
        }
        if answer != QuotaAnswer::Granted {
            return Ok(());
        }
        account.unused += 1;
        let Some(rate) = account.rate else { return Ok(()) };
        let period = std::time::Duration::from_millis(rate.per_millis);
        while account.given.front().is_some_and(|first| plus(*first, period) <= now) {
            account.given.pop_front();
        }
        account.given.push_back(now);
        if account.given.len() > rate.permits as usize {
            return Err(format!(
                "the rate of `{}` is exceeded: {} permits where {} are allowed",
                asked.scope,
                account.given.len(),
                rate.permits
            ));
        }
        Ok(())
    }

    /// A provider wants to be left alone.
    pub(in super::super) fn held(&mut self, hold: &QuotaHold<'_>, now: Timestamp) {
        let Some(account) = self.accounts.get_mut(hold.scope) else { return };
        account.holds.retain(|_, until| *until > now);
        let until = plus(now, hold.delay.min(QuotaHold::LONGEST));
        let others = account.holds.iter().filter(|(key, _)| **key != hold.key && **key != QuotaKey::SCOPE);
        let others = others.map(|(_, until)| *until).max();
        let key = if others.is_some() { QuotaKey::SCOPE } else { hold.key };
        let kept = account.holds.entry(key).or_insert(until);
        *kept = until.max(*kept).max(others.unwrap_or(until));
    }

    /// A provider is asked for something.
    pub(in super::super) fn permit_used(&mut self, channel: ChannelId) -> Checked {
        let account = self.accounts.entry(scope(channel)).or_default();
        let left = account.unused.checked_sub(1);
        account.unused =
            left.ok_or_else(|| format!("the provider of {channel} is asked without a permit"))?;
        Ok(())
    }
}
