//! A person's data are taken out.

use fastlead_core::decide::Event;
use fastlead_core::delivery::{AttemptError, DeliveryState};
use fastlead_core::erasure::PersonAddresses;
use fastlead_core::id::{ChannelId, LeadId, WorkspaceId};
use fastlead_core::port::{Erased, Erasure};

use super::Data;
use super::changes::Logged;
use crate::senders::wrote;

impl Data {
    pub(super) fn leads_of(&self, workspace: WorkspaceId, person: &PersonAddresses) -> Vec<LeadId> {
        let mut leads = Vec::new();
        for (owner, stored) in &self.events {
            if let Event::Captured(capture) = &stored.event
                && *owner == workspace
                && person.name(&capture.contact)
                && !leads.contains(&stored.lead_id)
            {
                leads.push(stored.lead_id);
            }
        }
        leads
    }

    pub(super) fn erase(&mut self, erasure: &Erasure) -> Erased {
        let Erasure { workspace_id, leads, person, at } = erasure;
        let mut erased = Erased { log_emptied: true, ..Erased::default() };
        for lead in leads {
            let Some(record) =
                self.leads.get_mut(lead).filter(|lead| lead.scope.workspace_id == *workspace_id)
            else {
                continue;
            };
            record.capture.erase(*at);
            erased.leads += 1;
            for place in self.events_of.get(lead).into_iter().flatten() {
                if let Some((_, stored)) = self.events.get_mut(*place) {
                    stored.event.erase(*at);
                }
            }
            self.unique.retain(|_, (holder, _)| holder != lead);
        }
        let channels = &self.channels;
        let kind = |id: ChannelId| channels.get(&id).map_or("", |channel| channel.kind.as_str());
        for row in self.deliveries.values_mut() {
            let delivery = &mut row.delivery;
            if delivery.scope.workspace_id != *workspace_id {
                continue;
            }
            let theirs = person.receive(kind(delivery.channel_id), &delivery.spec.recipient);
            let concerned = delivery.lead_id.map_or(theirs, |lead| leads.contains(&lead));
            if !concerned {
                continue;
            }
            row.attempts
                .iter_mut()
                .filter_map(|attempt| attempt.error.as_mut())
                .for_each(AttemptError::erase);
            if !delivery.spec.erase(theirs) {
                continue;
            }
            erased.deliveries += 1;
            if delivery.state == DeliveryState::Pending {
                delivery.state = DeliveryState::Cancelled;
                delivery.reason = Some("erased".to_owned());
                delivery.updated_at = *at;
                delivery.uncertain = false;
                row.lease = None;
            } else if !delivery.state.is_terminal() {
                delivery.unwanted = true;
            }
        }
        let of_workspace = |id: ChannelId| channels.get(&id).is_some_and(|c| c.workspace_id == *workspace_id);
        let before = self.inbound.len();
        self.inbound.retain(|_, inbound| {
            let channel = inbound.channel_id;
            !(of_workspace(channel) && wrote(person, kind(channel), &inbound.event.kind))
        });
        erased.inbound = count(before - self.inbound.len());
        self.inbound_keys.retain(|_, number| self.inbound.contains_key(number));
        let mut changed = Vec::new();
        self.links.retain(|id, link| {
            let theirs = person.phones.contains(&link.phone) || person.handles.contains(&link.handle);
            let goes = theirs && link.workspace_id == *workspace_id;
            changed.extend(goes.then_some(Logged::Link(*id)));
            !goes
        });
        erased.links = count(changed.len());
        for (address, held) in
            self.suppressions.iter_mut().filter(|(_, held)| held.workspace_id == *workspace_id)
        {
            if person.receive(kind(held.channel_id), &held.recipient) {
                held.erase();
                erased.addresses += 1;
                changed.push(Logged::Suppression(*address));
            }
        }
        let before = self.moved.len();
        self.moved.retain(|address, moved| {
            let kind = kind(moved.channel_id);
            let theirs = person.receive(kind, &moved.from) || person.receive(kind, &moved.to);
            let goes = theirs && moved.workspace_id == *workspace_id;
            changed.extend(goes.then_some(Logged::Moved(*address)));
            !goes
        });
        erased.addresses += count(before - self.moved.len());
        changed.into_iter().for_each(|thing| self.log.note(thing));
        erased
    }
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
