//! Rates that several engines keep together, watched.

use std::sync::PoisonError;

use fastlead_core::port::{Quota, QuotaAnswer, QuotaHold, QuotaRequest};
use fastlead_core::{Error, ErrorKind, Result, RetryHint, async_trait};

use super::watch::Watch;

impl Watch {
    /// A draw of its own stream, so that what else goes wrong with the store does not depend on how often rates are asked.
    fn draw_of_rates(&self, below: u64) -> u64 {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).below(below)
    }

    async fn turn_of_rates(&self) {
        let yields = if self.world.setting.quiet { 0 } else { self.draw_of_rates(2) };
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        self.gate.pass().await;
    }

    fn trouble_of_rates(&self) -> Result<()> {
        if self.draw_of_rates(100) >= self.world.setting.store_trouble {
            return Ok(());
        }
        self.world.note(format_args!("the store fails in quota"));
        Err(Error::new(ErrorKind::Storage, "as the simulation has it").with_retry(RetryHint::UNKNOWN))
    }
}

#[async_trait]
impl Quota for Watch {
    async fn take(&self, request: QuotaRequest<'_>) -> Result<QuotaAnswer> {
        self.turn_of_rates().await;
        let answer = self.at_once(self.store.take(request))?;
        let now = self.now();
        let checked = self.world.model().permit_asked(&request, answer, now);
        self.world.check(checked);
        // Where it fails, a permit may have been taken in vain.
        self.trouble_of_rates()?;
        self.turn_of_rates().await;
        Ok(answer)
    }

    async fn hold(&self, hold: QuotaHold<'_>) -> Result<()> {
        self.turn_of_rates().await;
        self.at_once(self.store.hold(hold))?;
        self.world.note(format_args!("{} is held for {:?}", hold.scope, hold.delay));
        let now = self.now();
        self.world.model().held(&hold, now);
        self.trouble_of_rates()
    }
}
