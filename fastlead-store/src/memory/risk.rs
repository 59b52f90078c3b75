//! Leads at risk.

use std::collections::BTreeMap;

use fastlead_core::id::LeadId;
use fastlead_core::port::{
    Cursor, LeadAtRisk, LeadRecord, LeadSummary, Page, PageRequest, RiskFilter, is_deadline, place_at_risk,
};
use fastlead_core::time::Timestamp;

use super::Data;
use super::journal::page;
use super::work::LEFT_ALONE;

impl Data {
    /// The first deadline until `until` of each lead that nobody has.
    fn first_deadlines(&self, until: Timestamp) -> BTreeMap<Cursor, (&LeadRecord, &super::Timer)> {
        let mut first: BTreeMap<LeadId, (Cursor, &super::Timer)> = BTreeMap::new();
        for (id, timer) in self.timers.iter().filter(|(_, timer)| is_deadline(timer.name)) {
            let place = place_at_risk(timer.due_at, *id);
            let entry = first.entry(timer.lead_id).or_insert((place, timer));
            if place < entry.0 {
                *entry = (place, timer);
            }
        }
        let held = |timer: &super::Timer| {
            timer.lease.is_some_and(|lease| lease.until > until && lease.until < LEFT_ALONE)
        };
        let due = first.into_iter().filter(|(_, (_, timer))| timer.due_at <= until && !held(timer));
        due.filter_map(|(lead, (place, timer))| {
            let lead = self.leads.get(&lead).filter(|lead| lead.state.assigned_to.is_none())?;
            Some((place, (lead, timer)))
        })
        .collect()
    }

    pub(super) fn at_risk(
        &self,
        filter: RiskFilter,
        request: &PageRequest,
        mine: impl Fn(&LeadRecord) -> bool,
    ) -> Page<LeadAtRisk> {
        let found = self.first_deadlines(filter.until);
        let wanted = found.into_iter().filter(|(place, (lead, _))| {
            mine(lead)
                && filter.project_id.is_none_or(|project| lead.scope.project_id == project)
                && request.after.is_none_or(|after| *place > after)
        });
        let entries = wanted.map(|(place, (lead, timer))| {
            let summary = LeadSummary {
                id: lead.id,
                project_id: lead.scope.project_id,
                source_id: lead.source_id,
                created_at: lead.created_at,
                status: lead.state.status.as_str().to_owned(),
                assigned_to: None,
                capture: lead.capture.clone(),
            };
            let waiting = lead.state.offers.iter().filter(|offer| offer.waits());
            let waits_for = waiting.map(|offer| offer.target.clone()).collect();
            (place, LeadAtRisk { lead: summary, timer: timer.name, due_at: timer.due_at, waits_for })
        });
        let Page { items, next, unreadable } = page(entries, request, |(place, _)| place.0);
        Page { items: items.into_iter().map(|(_, found)| found).collect(), next, unreadable }
    }

    pub(super) fn count_at_risk(&self, until: Timestamp) -> u64 {
        u64::try_from(self.first_deadlines(until).len()).unwrap_or(u64::MAX)
    }
}
