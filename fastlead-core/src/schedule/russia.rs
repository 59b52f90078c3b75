//! The Russian production calendar of a five-day week, as data.
//!
//! Non-working holidays: Labour Code of the Russian Federation, art. 112. Moved days off: Government
//! decrees of 4 October 2024 No. 1335 (for 2025) and of 24 September 2025 No. 1466 (for 2026). A day
//! before a holiday is one hour shorter (art. 95). A working Saturday has the hours of the day that
//! its day off moved to.
//!
//! A year is added when its decree is published. Until then the calendar knows the holidays of that year, which the law
//! names by their dates, and not which days off are moved and which days are shorter.

use chrono::{Datelike, NaiveDate};

use super::{DayRule, Weekday};

/// The years that are known.
pub(super) const YEARS: [i32; 2] = [2025, 2026];

/// Month and day of the non-working holidays of every year.
const HOLIDAYS: [(u32, u32); 14] = [
    (1, 1),
    (1, 2),
    (1, 3),
    (1, 4),
    (1, 5),
    (1, 6),
    (1, 7),
    (1, 8),
    (2, 23),
    (3, 8),
    (5, 1),
    (5, 9),
    (6, 12),
    (11, 4),
];

const HOUR: DayRule = DayRule::Shorter { minutes: 60 };

/// What else differs from its weekday, by year, month and day.
const MOVED: [(i32, u32, u32, DayRule); 17] = [
    (2025, 3, 7, HOUR),
    (2025, 4, 30, HOUR),
    (2025, 5, 2, DayRule::Off),
    (2025, 5, 8, DayRule::Off),
    (2025, 6, 11, HOUR),
    (2025, 6, 13, DayRule::Off),
    (2025, 11, 1, DayRule::Like { day: Weekday::Mon, shorter_minutes: 60 }),
    (2025, 11, 3, DayRule::Off),
    (2025, 12, 31, DayRule::Off),
    (2026, 1, 9, DayRule::Off),
    (2026, 3, 9, DayRule::Off),
    (2026, 4, 30, HOUR),
    (2026, 5, 8, HOUR),
    (2026, 5, 11, DayRule::Off),
    (2026, 6, 11, HOUR),
    (2026, 11, 3, HOUR),
    (2026, 12, 31, DayRule::Off),
];

pub(super) fn rule(date: NaiveDate) -> Option<DayRule> {
    if HOLIDAYS.contains(&(date.month(), date.day())) {
        return Some(DayRule::Off);
    }
    MOVED
        .iter()
        .find(|(year, month, day, _)| (*year, *month, *day) == (date.year(), date.month(), date.day()))
        .map(|(.., rule)| *rule)
}
