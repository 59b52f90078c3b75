//! What cannot be done because something cannot be read is left alone, so that it is not tried for ever and stops
//! nothing else.

use super::Engine;
use super::apply::Applied;
use crate::error::{Error, ErrorKind, Result};
use crate::id::WorkspaceId;
use crate::port::{InboundRecord, LeasedTimer, SetAside};

impl Engine {
    /// Leaves work alone where `error` says that something cannot be read. Answers whether it did.
    pub(super) async fn leave_alone(
        &self,
        workspace: Option<WorkspaceId>,
        work: SetAside,
        error: &Error,
    ) -> bool {
        if error.kind() != ErrorKind::Unreadable {
            return false;
        }
        match self.inner.store.set_aside(workspace, work, error.message()).await {
            Ok(()) => true,
            Err(failed) => {
                tracing::error!(error = %failed, "work that cannot be done could not be set aside");
                false
            }
        }
    }

    /// A timer could not be decided upon.
    pub(super) async fn timer_failed(&self, timer: &LeasedTimer, error: &Error) {
        let work = SetAside::Timer(timer.id, timer.token);
        if !self.leave_alone(Some(timer.scope.workspace_id), work, error).await {
            tracing::error!(lead = %timer.lead_id, %error, "timer could not be decided upon; its lease will run out");
        }
    }

    /// A timer's lead is gone: it would fire for ever.
    pub(super) async fn timer_of_nobody(&self, timer: &LeasedTimer) {
        let work = SetAside::Timer(timer.id, timer.token);
        let workspace = Some(timer.scope.workspace_id);
        if let Err(error) = self.inner.store.set_aside(workspace, work, "leads: there is no such lead").await
        {
            tracing::error!(lead = %timer.lead_id, %error, "the timer of a lead that is gone could not be set aside");
        }
    }

    /// An inbound event could not be acted upon. Answers whether it was set aside.
    pub(super) async fn inbound_failed(&self, record: &InboundRecord, error: &Error) -> bool {
        let workspace = self.directory().channel(record.channel_id).map(|channel| channel.workspace_id);
        self.leave_alone(workspace, SetAside::Inbound(record.reference()), error).await
    }
}

/// What is known of a message is recorded although its lead cannot be read, as if there were no lead.
pub(super) fn without_unreadable_lead(applied: Result<Applied>) -> Result<Applied> {
    match applied {
        Err(error) if error.kind() == ErrorKind::Unreadable => {
            tracing::error!(%error, "a message has ended, and its lead cannot be read");
            Ok(Applied::NoLead)
        }
        applied => applied,
    }
}
