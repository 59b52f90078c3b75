//! Local time: zones, calendar periods, working hours and business-time arithmetic.
//!
//! Everything here is pure data and total functions over moments in UTC. The zone is an argument,
//! so one set of hours serves people in several cities. Searches look at most
//! [`SEARCH_DAYS`] days ahead and say so by answering `None`.

mod calendar;
mod hours;
mod open;
mod period;
mod russia;
#[cfg(test)]
mod tests;
mod weekday;
mod zone;

pub use calendar::{Calendar, CalendarBase, DayRule};
pub use hours::{OpenHours, ScheduleFault, TimeOfDay, WorkingHours};
pub use open::SEARCH_DAYS;
pub use period::{Per, Period};
pub use weekday::{Weekday, Weekdays};
pub use zone::{UnknownZone, Zone};
