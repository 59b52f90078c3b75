//! Questions to working hours, and arithmetic in business time.

use chrono::{Datelike, Days, NaiveDate, TimeDelta};

use super::{DayRule, ScheduleFault, Weekday, WorkingHours, Zone};
use crate::time::Timestamp;

/// How many days ahead a search looks.
pub const SEARCH_DAYS: u64 = 400;
/// Most shifts of a week.
const MAX_SHIFTS: usize = 50;
/// Most days of a calendar.
const MAX_DAYS: usize = 2_000;

/// A stretch of open time: the first moment, and the first moment after it.
type Opening = (Timestamp, Timestamp);

impl WorkingHours {
    /// Whether somebody works at `at`.
    pub fn is_open(&self, at: Timestamp, zone: Zone) -> bool {
        // Only shifts of today and of the night before can run now.
        self.openings_of(2, at, zone).any(|(start, _)| start <= at)
    }

    /// The first moment from `at` on that is open: `at` itself where it is. `None` where there is
    /// none within [`SEARCH_DAYS`].
    pub fn next_open(&self, at: Timestamp, zone: Zone) -> Option<Timestamp> {
        self.openings(at, zone).next().map(|(start, _)| start)
    }

    /// The first moment from `at` on that is closed: `at` itself where it is. `None` where there is
    /// none within [`SEARCH_DAYS`]: somebody always works.
    pub fn next_close(&self, at: Timestamp, zone: Zone) -> Option<Timestamp> {
        let mut close = at;
        for (start, end) in self.openings(at, zone) {
            if start > close {
                break;
            }
            close = end;
        }
        (close < self.horizon(at, zone)).then_some(close)
    }

    /// The moment when `seconds` of open time have passed since `at`. It is always an open moment: a
    /// time that runs out with the working day runs out when the next one begins. `None` where that
    /// is not within [`SEARCH_DAYS`].
    pub fn plus_open(&self, at: Timestamp, seconds: u64, zone: Zone) -> Option<Timestamp> {
        let mut left = TimeDelta::try_seconds(i64::try_from(seconds).ok()?)?;
        for (start, end) in self.openings(at, zone) {
            if left < end - start {
                return Some(start + left);
            }
            left -= end - start;
        }
        None
    }

    /// How many whole seconds of open time are between `from` and `to`; 0 where `to` is not after
    /// `from`. `None` where they are more than [`SEARCH_DAYS`] apart.
    pub fn open_seconds_between(&self, from: Timestamp, to: Timestamp, zone: Zone) -> Option<u64> {
        if to > self.horizon(from, zone) {
            return None;
        }
        let open = self
            .openings(from, zone)
            .take_while(|(start, _)| *start < to)
            .fold(TimeDelta::zero(), |sum, (start, end)| sum + (end.min(to) - start));
        Some(u64::try_from(open.num_seconds()).unwrap_or(0))
    }

    /// The first year between two moments that the calendar does not know, so that its holidays are
    /// taken as ordinary days. Whoever answers from these hours says so.
    pub fn unknown_year(&self, from: Timestamp, to: Timestamp, zone: Zone) -> Option<i32> {
        self.holidays.unknown_year(zone.day(from), zone.day(to))
    }

    /// Whether these hours can work, seen from `now`.
    ///
    /// # Errors
    /// Every fault, not just the first: a shift without days, without length or over another one; a
    /// calendar that does not know the present year; hours that never open.
    pub fn check(&self, now: Timestamp, zone: Zone) -> Result<(), Vec<ScheduleFault>> {
        let mut faults = Vec::new();
        let mut fault = |path: String, message: String| faults.push(ScheduleFault { path, message });
        if self.weekly.is_empty() {
            fault("weekly".into(), "expected at least one shift, or nobody ever works".into());
        }
        if self.weekly.len() > MAX_SHIFTS {
            fault("weekly".into(), format!("has {} shifts; at most {MAX_SHIFTS}", self.weekly.len()));
        }
        if self.holidays.days.len() > MAX_DAYS {
            let message = format!("has {} days; at most {MAX_DAYS}", self.holidays.days.len());
            fault("holidays.days".into(), message);
        }
        for (index, shift) in self.weekly.iter().enumerate() {
            if shift.days.is_empty() {
                fault(format!("weekly[{index}].days"), "expected at least one day, such as `mon-fri`".into());
            }
            if shift.from == shift.to {
                let message = format!("is `{}` like `from`; write 00:00 to 24:00 for a whole day", shift.to);
                fault(format!("weekly[{index}].to"), message);
            }
        }
        if faults.is_empty() {
            self.overlaps(&mut faults);
        }
        let today = zone.day(now);
        if let Some(year) = self.holidays.unknown_year(today, today) {
            faults.push(ScheduleFault {
                path: "holidays".into(),
                message: format!(
                    "the calendar does not know the year {year}; list its days in `days` and the year in `years`"
                ),
            });
        }
        if faults.is_empty() && self.next_open(now, zone).is_none() {
            faults.push(ScheduleFault {
                path: String::new(),
                message: format!("nobody works within {SEARCH_DAYS} days"),
            });
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Shifts that run at the same time on some day of the week.
    fn overlaps(&self, faults: &mut Vec<ScheduleFault>) {
        const DAY: u32 = 24 * 60;
        let mut runs: Vec<(u32, u32, usize)> = Vec::new();
        for (index, shift) in self.weekly.iter().enumerate() {
            for day in Weekday::ALL.into_iter().filter(|day| shift.days.contains(*day)) {
                let midnight = day as u32 * DAY;
                let over_night = if shift.to <= shift.from { DAY } else { 0 };
                let start = midnight + u32::from(shift.from.minutes());
                let end = midnight + u32::from(shift.to.minutes()) + over_night;
                runs.push((start, end, index));
            }
        }
        runs.sort_unstable();
        // The week after, for a shift that runs from Sunday into Monday.
        let again: Vec<_> = runs
            .first()
            .map(|(start, end, index)| (start + 7 * DAY, end + 7 * DAY, *index))
            .into_iter()
            .collect();
        runs.extend(again);
        let mut seen = std::collections::BTreeSet::new();
        for pair in runs.windows(2) {
            let [(_, end, one), (start, _, other)] = pair else { continue };
            if start < end && seen.insert((*one.min(other), *one.max(other))) {
                faults.push(ScheduleFault {
                    path: format!("weekly[{}]", one.max(other)),
                    message: format!("runs at the same time as weekly[{}]", one.min(other)),
                });
            }
        }
    }

    /// Where searches from `at` end: everything before it has been looked at.
    fn horizon(&self, at: Timestamp, zone: Zone) -> Timestamp {
        zone.day_start(plus_days(zone.day(at), SEARCH_DAYS))
    }

    /// The stretches of open time after `at`, in order. They do not overlap; where one touches the
    /// next there is no break.
    fn openings(&self, at: Timestamp, zone: Zone) -> impl Iterator<Item = Opening> {
        self.openings_of(SEARCH_DAYS + 1, at, zone)
    }

    /// The same of so many days, counted from the day before for its night shift.
    fn openings_of(&self, days: u64, at: Timestamp, zone: Zone) -> impl Iterator<Item = Opening> {
        let first = zone.day(at).checked_sub_days(Days::new(1)).unwrap_or(NaiveDate::MIN);
        let shifts = (0..days).flat_map(move |day| self.shifts(plus_days(first, day), zone));
        Disjoint { shifts, covered: at }
    }

    /// The shifts that begin on a local day, in order.
    fn shifts(&self, date: NaiveDate, zone: Zone) -> Vec<Opening> {
        let usual = Weekday::from(date.weekday());
        let (day, shorter) = match self.holidays.rule(date) {
            Some(DayRule::Off) => return Vec::new(),
            Some(DayRule::Shorter { minutes }) => (usual, minutes),
            Some(DayRule::Like { day, shorter_minutes }) => (day, shorter_minutes),
            Some(DayRule::Usual) | None => (usual, 0),
        };
        let mut shifts: Vec<Opening> = self
            .weekly
            .iter()
            .filter(|shift| shift.days.contains(day))
            .map(|shift| {
                let (from, to) = shift.on(date);
                (zone.first_moment(from), zone.first_moment(to))
            })
            .collect();
        shifts.sort_unstable();
        let mut cut = TimeDelta::minutes(i64::from(shorter));
        while cut > TimeDelta::zero() {
            let Some((start, end)) = shifts.pop() else { break };
            if end - start > cut {
                shifts.push((start, end - cut));
                break;
            }
            cut -= end - start;
        }
        shifts
    }
}

fn plus_days(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX)
}

/// Cuts from each stretch what an earlier one has covered.
struct Disjoint<I> {
    shifts: I,
    covered: Timestamp,
}

impl<I: Iterator<Item = Opening>> Iterator for Disjoint<I> {
    type Item = Opening;

    fn next(&mut self) -> Option<Opening> {
        for (start, end) in self.shifts.by_ref() {
            let start = start.max(self.covered);
            if start < end {
                self.covered = end;
                return Some((start, end));
            }
        }
        None
    }
}
