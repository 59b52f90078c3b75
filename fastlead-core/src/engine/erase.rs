//! A person's data are taken out of all that was stored.

use super::Engine;
use super::transition::Extras;
use crate::decide::Event;
use crate::erasure::PersonAddresses;
use crate::error::{ErrorKind, Result};
use crate::id::{LeadId, WorkspaceId};
use crate::port::{Cursor, Erased, Erasure, IdentityFilter, PageRequest};

impl Engine {
    /// Erases the person whose lead this is: all leads of the workspace with the phone number, e-mail address or messenger
    /// account of this one or linked to it, what was sent to the person and what they have written. `None` where there is no
    /// such lead.
    ///
    /// What was decided and counted stays, as do which consents were asked for and given and who had the data erased
    /// when ([`Event::Erased`]). The leads are closed, nobody is told of them any more, and programs that subscribe to
    /// `lead.erased` hear of it. An address to which nothing may be sent stays so.
    ///
    /// # Behavior
    /// * Goes on to its end once it was polled, also where the caller is dropped: see [`Engine`].
    /// * Idempotent: where it has failed half way, the same call does the rest.
    /// * Of a lead that cannot be read, everything is taken out but that it was there. Who it was cannot be said then, so
    ///   that other leads of the person stay.
    ///
    /// # Errors
    /// Where the store has failed.
    pub async fn erase(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Option<Erased>> {
        self.detached(move |engine| async move { engine.erase_person(workspace, lead).await }).await
    }

    async fn erase_person(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Option<Erased>> {
        let person = match self.inner.store.lead(workspace, lead).await {
            Ok(Some(record)) => self.linked(workspace, PersonAddresses::of(&record.capture.contact)).await?,
            Ok(None) => return Ok(None),
            // Whose it is cannot be said. What stands there is taken out all the same, of this lead alone.
            Err(error) if error.kind() == ErrorKind::Unreadable => PersonAddresses::default(),
            Err(error) => return Err(error),
        };
        let mut leads = self.inner.store.leads_of(workspace, &person).await?;
        if !leads.contains(&lead) {
            leads.push(lead);
        }
        // Before anything is taken out: what is still to be sent would be sent without it.
        for lead in &leads {
            match self.end_for_erasure(workspace, *lead).await {
                // Whatever cannot be read of it keeps nobody's data from being taken out.
                Err(error) if error.kind() == ErrorKind::Unreadable => {
                    tracing::warn!(%lead, %error, "a lead is erased that cannot be read: its history does not say so");
                }
                ended => ended?,
            }
        }
        let erasure = Erasure { workspace_id: workspace, leads, person, at: self.now() };
        let erased = self.inner.store.erase(erasure).await?;
        self.catch_up_later().await;
        self.wake();
        Ok(Some(erased))
    }

    /// Decides that the lead is erased, unless its data are gone already.
    async fn end_for_erasure(&self, workspace: WorkspaceId, lead: LeadId) -> Result<()> {
        let record = self.inner.store.lead(workspace, lead).await?;
        if record.is_some_and(|record| record.capture.erased_at.is_none()) {
            self.apply(workspace, lead, Event::Erased, Extras::default).await?;
        }
        Ok(())
    }

    /// Adds the accounts and phone numbers that were ever linked to these.
    async fn linked(&self, workspace: WorkspaceId, mut person: PersonAddresses) -> Result<PersonAddresses> {
        let of_phones = person.phones.clone();
        for phone in of_phones {
            let filter = IdentityFilter { phone: Some(phone), ..IdentityFilter::default() };
            self.add_links(workspace, filter, &mut person).await?;
        }
        let of_handles = person.handles.clone();
        for handle in of_handles {
            let filter = IdentityFilter { handle: Some(handle), ..IdentityFilter::default() };
            self.add_links(workspace, filter, &mut person).await?;
        }
        Ok(person)
    }

    async fn add_links(
        &self,
        workspace: WorkspaceId,
        filter: IdentityFilter,
        person: &mut PersonAddresses,
    ) -> Result<()> {
        let mut after: Option<Cursor> = None;
        loop {
            let request = PageRequest { after, limit: 500 };
            let page = self.inner.identities.identity_links(workspace, filter.clone(), request).await?;
            for link in page.items {
                if !person.phones.contains(&link.phone) {
                    person.phones.push(link.phone);
                }
                if !person.handles.contains(&link.handle) {
                    person.handles.push(link.handle);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
