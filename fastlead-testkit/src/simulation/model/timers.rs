//! Timers: each fires once, not before its moment, and not long after it.

use chrono::TimeDelta;
use fastlead_core::decide::TimerName;
use fastlead_core::delivery::Lease;
use fastlead_core::id::{LeadId, LeaseToken, TimerId};
use fastlead_core::port::{LeasedTimer, Transition};
use fastlead_core::time::Timestamp;

use super::{Checked, Model};

/// How late a timer may be taken, in seconds: a failing store can cost several leases.
const LATE_SECS: i64 = 1_200;

#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    pub lead: LeadId,
    pub name: TimerName,
    pub due_at: Timestamp,
    lease: Option<Lease>,
}

impl Model {
    /// A timer was handed to a worker.
    pub(in super::super) fn timer_leased(
        &mut self,
        leased: &LeasedTimer,
        lease: Lease,
        now: Timestamp,
    ) -> Checked {
        let Some(timer) = self.timers.get_mut(&leased.id) else {
            return Err(format!(
                "{} of {} is cleared and was claimed: {:?}",
                leased.id, leased.lead_id, leased.name
            ));
        };
        if timer.due_at > now || (timer.lead, timer.name) != (leased.lead_id, leased.name) {
            return Err(format!(
                "{:?} of {} was claimed too early or under another name",
                leased.name, leased.lead_id
            ));
        }
        if timer.lease.is_some_and(|lease| lease.until > now) {
            return Err(format!("{:?} of {} is leased to two", leased.name, leased.lead_id));
        }
        timer.lease = Some(lease);
        Ok(())
    }

    /// The timer that a transition reports was leased to whoever reports it.
    pub(super) fn timer_fired(&mut self, id: TimerId, token: LeaseToken) -> Checked {
        match self.timers.remove(&id) {
            Some(timer) if timer.lease.is_some_and(|lease| lease.token == token) => Ok(()),
            Some(timer) => {
                Err(format!("{:?} of {} fired for somebody who did not hold it", timer.name, timer.lead))
            }
            None => Err(format!("{id} fired twice")),
        }
    }

    /// Clears and sets timers as a transition says.
    pub(super) fn timers_set(&mut self, transition: &Transition) {
        let lead = transition.lead_id;
        if transition.clear_timers {
            self.timers.retain(|_, timer| timer.lead != lead);
        }
        for new in &transition.timers {
            self.timers.retain(|_, timer| timer.lead != lead || timer.name != new.name);
            self.timers.insert(new.id, Timer { lead, name: new.name, due_at: new.due_at, lease: None });
        }
    }

    pub(super) fn timers_of(&self, lead: LeadId) -> impl Iterator<Item = &Timer> {
        self.timers.values().filter(move |timer| timer.lead == lead)
    }

    pub(super) fn no_timer_is_forgotten(&self, now: Timestamp, up_since: Timestamp) -> Checked {
        let limit = TimeDelta::seconds(LATE_SECS);
        match self.timers.values().find(|timer| now - timer.due_at.max(up_since) > limit) {
            None => Ok(()),
            Some(timer) => Err(format!(
                "{:?} of {} was due at {} and nobody took it",
                timer.name, timer.lead, timer.due_at
            )),
        }
    }
}
