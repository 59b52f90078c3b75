//! What is wrong with targets, caps, hours and returns.

use super::{Check, MAX_ENTRIES};
use crate::money::Currency;
use crate::policy::{Cap, Target};
use crate::schedule::{Per, Weekdays, WorkingHours, Zone};

impl Check<'_> {
    pub(super) fn distribution(&mut self) {
        let policy = self.policy;
        if let Some(hours) = &policy.hours {
            self.hours("hours", hours, policy.timezone);
        }
        self.caps("caps", &policy.caps, None);
        for (name, target) in &policy.targets {
            self.target(&format!("targets.{name}"), target);
        }
        if let Some(returns) = &policy.returns {
            if returns.within_days == 0 || returns.within_days > 366 {
                self.fault("returns.within_days", "expected 1 to 366 days; leave `returns` out to take none");
            }
            if returns.reasons.is_empty() {
                self.fault("returns.reasons", "expected at least one reason, such as `wrong_number`");
            }
            for (index, reason) in returns.reasons.iter().enumerate() {
                self.code(&format!("returns.reasons[{index}]"), reason);
            }
        }
        if policy.history_days == Some(0) {
            self.fault("history_days", "expected at least 1 day");
        }
    }

    fn target(&mut self, path: &str, target: &Target) {
        let zone = target.timezone.unwrap_or(self.policy.timezone);
        if let Some(hours) = &target.hours {
            self.hours(&format!("{path}.hours"), hours, zone);
        }
        for (index, away) in target.away.iter().enumerate() {
            if away.to < away.from {
                let message = format!("is {}, before the first day {}", away.to, away.from);
                self.fault(format!("{path}.away[{index}].to"), message);
            }
        }
        if target.away.len() > MAX_ENTRIES {
            self.fault(format!("{path}.away"), format!("has more than {MAX_ENTRIES} entries"));
        }
        if target.capacity == Some(0) {
            self.fault(format!("{path}.capacity"), "expected at least 1, or it never gets a lead");
        }
        if target.dedupe_secs == Some(0) {
            self.fault(format!("{path}.dedupe_secs"), "expected at least 1 second; leave it out for none");
        }
        if target.price.is_some_and(|price| price.minor < 0) {
            self.fault(format!("{path}.price.minor"), "expected 0 or more minor units");
        }
        self.caps(&format!("{path}.caps"), &target.caps, Some(target.price.map(|price| price.currency)));
    }

    fn hours(&mut self, path: &str, hours: &WorkingHours, zone: Zone) {
        let Err(faults) = hours.check(self.now, zone) else { return };
        for fault in faults {
            let path = if fault.path.is_empty() { path.to_owned() } else { format!("{path}.{}", fault.path) };
            self.fault(path, fault.message);
        }
    }

    /// `currency`: that of the target's price, for caps of a target.
    fn caps(&mut self, path: &str, caps: &[Cap], currency: Option<Option<Currency>>) {
        if caps.len() > 32 {
            self.fault(path, format!("has {} caps; at most 32", caps.len()));
        }
        for (index, cap) in caps.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if cap.limit.is_none() && cap.money.is_none() {
                self.fault(&path, "expected `limit`, `money` or both");
            }
            if cap.limit == Some(0) && closed_days(&caps[..=index], cap) == Weekdays::ALL {
                let message = match cap.days {
                    Some(_) => "leaves no day on which a lead passes; expected at least 1 on one",
                    None => "expected at least 1, or no lead ever passes; 0 needs `days`, such as `sun`",
                };
                self.fault(format!("{path}.limit"), message);
            }
            if cap.days.is_some() && !matches!(cap.per, Per::Hour | Per::Day) {
                let message = format!(
                    "a cap per {} holds on all days; expected one per `day` or `hour`",
                    cap.per.as_str()
                );
                self.fault(format!("{path}.days"), message);
            }
            if cap.money.is_some_and(|money| money <= 0) {
                self.fault(format!("{path}.money"), "expected at least 1 minor unit, or no lead ever passes");
            }
            match currency {
                None if cap.money.is_some() => {
                    self.fault(format!("{path}.money"), "only a target has a price; expected `limit`");
                }
                Some(None) if cap.money.is_some() => {
                    self.fault(
                        format!("{path}.money"),
                        "the target has no `price`, so nothing is ever spent",
                    );
                }
                _ => {}
            }
            self.counted_twice(&path, caps, index);
        }
    }

    /// Two caps of a kind on one day would count each lead twice.
    fn counted_twice(&mut self, path: &str, caps: &[Cap], index: usize) {
        let Some(cap) = caps.get(index) else { return };
        let own = cap.days.unwrap_or(Weekdays::ALL);
        let both = |other: &Cap| own.and(other.days.unwrap_or(Weekdays::ALL));
        let same =
            |other: &&Cap| other.per == cap.per && other.source == cap.source && !both(other).is_empty();
        let earlier = caps.iter().take(index);
        let Some((first, other)) = earlier.enumerate().find(|(_, other)| same(other)) else { return };
        let left = own.without(both(other));
        if left.is_empty() {
            self.fault(path, format!("counts the same leads as entry {first}; expected one cap for both"));
        } else {
            let message = format!(
                "counts the same leads on {} as entry {first}; expected each day in one of them, here `{left}`",
                both(other)
            );
            self.fault(format!("{path}.days"), message);
        }
    }
}

/// The days on which some of `caps` lets no lead of the same sources as `like` pass.
fn closed_days(caps: &[Cap], like: &Cap) -> Weekdays {
    let closed = caps.iter().filter(|cap| cap.limit == Some(0) && cap.source == like.source);
    closed.fold(Weekdays::NONE, |days, cap| days.or(cap.days.unwrap_or(Weekdays::ALL)))
}
