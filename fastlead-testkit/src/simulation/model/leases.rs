//! Leases by name.

use fastlead_core::id::LeaseToken;
use fastlead_core::port::{LeaseAnswer, NamedLease};
use fastlead_core::time::Timestamp;

use super::{Checked, Model};

impl Model {
    /// A lease was asked for, and this is what the store has answered.
    pub(in super::super) fn lease_taken(&mut self, asked: &NamedLease, answer: LeaseAnswer) -> Checked {
        let held = self.leases.get(&asked.name).filter(|(who, end)| *who != asked.holder && *end > asked.now);
        let right = held.map_or(LeaseAnswer::Taken, |(_, until)| LeaseAnswer::Held { until: *until });
        if answer != right {
            return Err(format!("the lease `{}` is {answer:?}, and should be {right:?}", asked.name));
        }
        if answer == LeaseAnswer::Taken {
            self.leases.insert(asked.name.clone(), (asked.holder, asked.until));
        }
        Ok(())
    }

    pub(in super::super) fn lease_ended(&mut self, name: &str, holder: LeaseToken) {
        if self.leases.get(name).is_some_and(|(who, _)| *who == holder) {
            self.leases.remove(name);
        }
    }

    /// All of them, which nobody has any more.
    pub(in super::super) fn forget_leases(&mut self) -> Vec<(String, LeaseToken)> {
        let mut held: Vec<_> = self.leases.drain().map(|(name, (holder, _))| (name, holder)).collect();
        held.sort_unstable();
        held
    }

    /// Whoever does what only one may do at a time has the lease for it at this moment.
    pub(in super::super) fn lease_is_held(
        &self,
        name: &str,
        holder: Option<LeaseToken>,
        now: Timestamp,
    ) -> Checked {
        match self.leases.get(name) {
            Some((who, end)) if Some(*who) == holder && *end > now => Ok(()),
            _ => Err(format!("somebody goes on with `{name}` without its lease")),
        }
    }
}
