//! Which events, statuses, reasons, refusals and states have come about.

use fastlead_core::port::{CommitOutcome, Settled, Settlement, Transition};

use super::Model;

impl Model {
    pub(in super::super) fn reaches(&mut self, transition: &Transition, outcome: &CommitOutcome) {
        let CommitOutcome::Applied = outcome else {
            let CommitOutcome::Refused(refusal) = outcome else { return };
            let text = format!("{refusal:?}");
            let name = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            self.reach("refusal", name);
            return;
        };
        self.reach("event", transition.event.kind());
        self.reach("status", transition.state.status.as_str());
        for step in &transition.trace.steps {
            if let Some(reason) = step.reason.and_then(|reason| serde_json::to_value(reason).ok()) {
                self.reach("reason", reason.as_str().unwrap_or_default());
            }
        }
        if let Some(settlement) = &transition.settlement {
            self.reaches_end(settlement);
        }
        if let Some(receipt) = &transition.receipt {
            self.reach("delivery", receipt.state.as_str());
        }
    }

    pub(in super::super) fn reaches_end(&mut self, settlement: &Settlement) {
        if let Settled::Ended { state, .. } = &settlement.outcome {
            self.reach("delivery", state.as_str());
        }
    }

    fn reach(&mut self, kind: &str, name: &str) {
        let what = format!("{kind} {name}");
        if !self.reached.contains(&what) {
            self.reached.insert(what);
        }
    }
}
