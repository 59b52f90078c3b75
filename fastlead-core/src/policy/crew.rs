//! When anybody of a group of targets works.

use chrono::TimeDelta;

use super::{Policy, Target};
use crate::schedule::Zone;
use crate::time::{Timestamp, plus_seconds};

/// Most stretches of work that a search looks at: more than two a day for a year.
const MAX_STRETCHES: usize = 1_000;

/// Targets, each with its time zone. They work when one of them does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crew<'a>(Vec<(&'a Target, Zone)>);

impl<'a> Crew<'a> {
    /// The targets of these names; unknown ones are left out.
    pub(crate) fn of<'b>(policy: &'a Policy, names: impl IntoIterator<Item = &'b str>) -> Self {
        let known = names.into_iter().filter_map(|name| policy.targets.get(name));
        Self(known.map(|target| (target, target.timezone.unwrap_or(policy.timezone))).collect())
    }

    /// Returns whether nobody is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first moment from `at` on at which one works; `None` where that cannot be foreseen.
    pub(crate) fn works_from(&self, at: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|(target, zone)| target.works_from(at, *zone)).min()
    }

    /// The moment at which some of those who work at `at` have worked to their end; `None` where one never stops.
    fn works_until(&self, at: Timestamp) -> Option<Timestamp> {
        let mut last = at;
        for (target, zone) in &self.0 {
            if target.works_from(at, *zone) == Some(at) {
                last = last.max(target.works_until(at, *zone)?);
            }
        }
        Some(last)
    }

    /// The moment when `seconds` in which one of them works have passed since `at`; always a moment at which one
    /// works. `None` where that cannot be foreseen, or nobody is in it.
    pub(crate) fn plus_open(&self, at: Timestamp, seconds: u64) -> Option<Timestamp> {
        let mut left = TimeDelta::try_seconds(i64::try_from(seconds).ok()?)?;
        let mut at = at;
        for _ in 0..MAX_STRETCHES {
            let start = self.works_from(at)?;
            let Some(end) = self.works_until(start) else { return start.checked_add_signed(left) };
            if left < end - start {
                return start.checked_add_signed(left);
            }
            left -= end - start;
            // A stretch without length would be looked at for ever.
            at = end.max(plus_seconds(start, 1));
        }
        None
    }

    /// The longest stretch from `at` on, within so many days, in which nobody works.
    pub(crate) fn longest_closed(&self, at: Timestamp, days: u64) -> TimeDelta {
        let horizon = plus_seconds(at, days * 86_400);
        let (mut at, mut longest) = (at, TimeDelta::zero());
        for _ in 0..MAX_STRETCHES {
            let Some(start) = self.works_from(at) else { break };
            longest = longest.max(start - at);
            match self.works_until(start) {
                Some(end) if end < horizon => at = end.max(plus_seconds(start, 1)),
                _ => break,
            }
        }
        longest
    }
}

impl Target {
    /// The first moment from `at` on at which it works: `at` itself where it does. `None` where that cannot be foreseen.
    pub(crate) fn works_from(&self, at: Timestamp, zone: Zone) -> Option<Timestamp> {
        let mut at = at;
        // Each round leaves one stretch of absence behind.
        for _ in 0..=self.away.len() {
            at = match &self.hours {
                Some(hours) => hours.next_open(at, zone)?,
                None => at,
            };
            let day = zone.day(at);
            match self.away.iter().find(|away| away.from <= day && day <= away.to) {
                Some(away) => at = zone.day_start(away.to.succ_opt()?),
                None => return Some(at),
            }
        }
        None
    }

    /// The first moment after `at`, at which it works, when it does not any more; `None` where that never comes.
    fn works_until(&self, at: Timestamp, zone: Zone) -> Option<Timestamp> {
        let close = self.hours.as_ref().and_then(|hours| hours.next_close(at, zone));
        let leaves = self.away.iter().map(|away| zone.day_start(away.from)).filter(|start| *start > at).min();
        match (close, leaves) {
            (Some(close), Some(leaves)) => Some(close.min(leaves)),
            (close, leaves) => close.or(leaves),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::time::from_millis;

    /// Monday, 30 November 2026, 00:00 in Moscow.
    const MONDAY: i64 = 1_795_986_000_000;

    fn policy(targets: serde_json::Value) -> Policy {
        let document = json!({
            "targets": targets,
            "route": {"strategy": "broadcast", "targets": ["a"], "template": "t"},
            "templates": {"t": {"ru": "x"}},
        });
        serde_json::from_value(document).unwrap()
    }

    fn target(days: &str, from: u16, to: u16) -> serde_json::Value {
        let at = |hour: u16| format!("{hour:02}:00");
        let hours = json!({"weekly": [{"days": days, "from": at(from), "to": at(to)}]});
        json!({"display_name": "x", "destinations": [], "hours": hours})
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Against counting minute by minute.
        #[test]
        fn open_time_of_two_is_counted_as_on_the_fingers(
            first in (0_u16..23, 1_u16..12), second in (0_u16..23, 1_u16..12), minute in 0_i64..10_080, left in 0_u64..1_500,
            days in prop::sample::select(vec!["mon-fri", "sat,sun", "mon-sun", "wed"]),
        ) {
            let (end, other) = ((first.0 + first.1).min(24), (second.0 + second.1).min(24));
            let mut away = target("mon-sun", second.0, other);
            away["away"] = json!([{"from": "2026-12-01", "to": "2026-12-03"}]);
            let policy = policy(json!({"a": target(days, first.0, end), "b": away}));
            let crew = Crew::of(&policy, ["a", "b"]);
            let start = from_millis(MONDAY + minute * 60_000);
            let works = |at: Timestamp| crew.works_from(at) == Some(at);
            let (mut at, mut counted) = (start, 0);
            while counted < left || !works(at) {
                counted += u64::from(works(at));
                at = plus_seconds(at, 60);
            }
            prop_assert_eq!(crew.plus_open(start, left * 60), Some(at));
        }
    }

    #[test]
    fn the_longest_closed_stretch_is_the_weekend_of_all() {
        let policy = policy(
            json!({"a": target("mon-fri", 9, 18), "b": target("mon-fri", 12, 21), "c": {"display_name": "c", "destinations": []}}),
        );
        let start = from_millis(MONDAY);
        let hours =
            |names: &[&str]| Crew::of(&policy, names.iter().copied()).longest_closed(start, 60).num_hours();
        assert_eq!((hours(&["a"]), hours(&["a", "b"]), hours(&["a", "c"]), hours(&[])), (63, 60, 0, 0));
    }
}
