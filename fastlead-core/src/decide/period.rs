//! Calendar periods of one decision, each computed once.

use crate::policy::Cap;
use crate::schedule::{Per, Period, Weekday, Zone};
use crate::time::Timestamp;

/// The periods that one moment belongs to.
#[derive(Debug)]
pub(super) struct Periods {
    at: Timestamp,
    known: Vec<(Per, Zone, Period)>,
    days: Vec<(Zone, Weekday)>,
}

impl Periods {
    pub(super) const fn at(at: Timestamp) -> Self {
        Self { at, known: Vec::new(), days: Vec::new() }
    }

    /// The period with a key that names its zone too: what is counted in one zone says nothing of the period that has
    /// the same name in another.
    pub(super) fn of(&mut self, per: Per, zone: Zone) -> &Period {
        let found = self.known.iter().position(|(p, z, _)| *p == per && *z == zone);
        let index = found.unwrap_or_else(|| {
            let mut period = Period::of(per, self.at, zone);
            if per != Per::Total {
                period.key = format!("{}@{}", period.key, zone.name());
            }
            self.known.push((per, zone, period));
            self.known.len() - 1
        });
        &self.known[index].2
    }

    /// Whether a cap holds on this day of the week.
    pub(super) fn hold(&mut self, cap: &Cap, zone: Zone) -> bool {
        cap.days.is_none() || cap.holds_on(self.weekday(zone))
    }

    fn weekday(&mut self, zone: Zone) -> Weekday {
        if let Some((_, day)) = self.days.iter().find(|(known, _)| *known == zone) {
            return *day;
        }
        let day = Weekday::of(self.at, zone);
        self.days.push((zone, day));
        day
    }
}
