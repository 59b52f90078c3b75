//! Deliveries that have not arrived are tried again while what they say is still true.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Engine;
use super::apply::Applied;
use super::transition::Extras;
use crate::decide::{Decision, Effect, Event, Reason};
use crate::delivery::{Delivery, DeliveryState};
use crate::error::Result;
use crate::id::{DeliveryId, WorkspaceId};
use crate::port::Recovery;
use crate::time::{Timestamp, plus_seconds};

/// For how long a message that belongs to no lead may go out when it is tried again, in seconds: a day.
const RETRY_TTL_SECS: u64 = 86_400;
/// How many lost deliveries are read at a time.
const PAGE: u32 = 100;

/// What became of the wish to try a delivery again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RetryOutcome {
    /// It is due again.
    Due(Box<Delivery>),
    /// What it says is not true any more; nothing was changed.
    Refused(Option<Reason>),
    /// It has not ended as failed, expired or ambiguous; nothing was changed.
    NotLost(DeliveryState),
    /// There is no such delivery in this workspace.
    NotFound,
}

/// How much of what a channel has missed was tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Recovered {
    /// Deliveries that are due again.
    pub deliveries: u64,
    /// Deliveries that stay as they are, because what they say is not true any more.
    pub refused: u64,
    /// Whether there may be more; call again.
    pub more: bool,
}

impl Engine {
    /// Tries a delivery again that has failed, has expired or is ambiguous. For one that belongs to a lead the lead's
    /// policy decides whether what it says is still true.
    ///
    /// # Behavior
    /// * Goes on to its end once it was polled, also where the caller is dropped: see [`Engine`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn retry(&self, workspace: WorkspaceId, id: DeliveryId) -> Result<RetryOutcome> {
        self.detached(move |engine| async move {
            match engine.inner.store.delivery(workspace, id).await? {
                Some(delivery) => engine.try_again(delivery).await,
                None => Ok(RetryOutcome::NotFound),
            }
        })
        .await
    }

    /// Tries again what a channel has failed to deliver, oldest first, until `most` deliveries were looked at. What is
    /// not true any more stays as it is.
    ///
    /// # Behavior
    /// * Idempotent: what is due again is lost no more. Call it again while [`Recovered::more`] says so.
    /// * Goes on to its end once it was polled, also where the caller is dropped: see [`Engine`].
    ///
    /// # Errors
    /// Those of the store; what was made due before stays so.
    pub async fn recover(&self, workspace: WorkspaceId, recovery: Recovery, most: u32) -> Result<Recovered> {
        self.detached(move |engine| async move {
            let mut total = Recovered::default();
            let mut after: Option<(Timestamp, DeliveryId)> = None;
            let mut left = most;
            loop {
                let page = engine.inner.store.lost(workspace, recovery, after, PAGE.min(left)).await?;
                let Some(last) = page.last() else { return Ok(total) };
                after = Some((last.created_at, last.id));
                left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
                for delivery in page {
                    match engine.try_again(delivery).await? {
                        RetryOutcome::Due(_) => total.deliveries += 1,
                        RetryOutcome::Refused(_) => total.refused += 1,
                        RetryOutcome::NotLost(_) | RetryOutcome::NotFound => {}
                    }
                }
                if left == 0 {
                    total.more = !engine.inner.store.lost(workspace, recovery, after, 1).await?.is_empty();
                    return Ok(total);
                }
            }
        })
        .await
    }

    async fn try_again(&self, delivery: Delivery) -> Result<RetryOutcome> {
        let (workspace, id) = (delivery.scope.workspace_id, delivery.id);
        if !delivery.state.is_revivable() {
            return Ok(RetryOutcome::NotLost(delivery.state));
        }
        if let Some(lead) = delivery.lead_id {
            let event = Event::Revived { delivery_id: id, purpose: delivery.spec.purpose.clone() };
            let refused = Mutex::new(None);
            let wanted = |decision: &Decision, _: Option<u64>| {
                let revives = decision.effects.iter().any(|effect| matches!(effect, Effect::Revive { .. }));
                if !revives {
                    let reason = decision.trace.steps.iter().rev().find_map(|step| step.reason);
                    *refused.lock().unwrap_or_else(PoisonError::into_inner) = reason;
                }
                revives
            };
            match self.apply_if(workspace, lead, event, Extras::default, wanted).await? {
                Some(Applied::NoLead) => {}
                None => {
                    let reason = *refused.lock().unwrap_or_else(PoisonError::into_inner);
                    return Ok(RetryOutcome::Refused(reason));
                }
                Some(_) => return self.tried_again(workspace, id).await,
            }
        }
        let now = self.now();
        let due = self.inner.store.retry(workspace, id, now, plus_seconds(now, RETRY_TTL_SECS)).await?;
        self.wake_channel(due.channel_id);
        Ok(RetryOutcome::Due(Box::new(due)))
    }

    /// Where a delivery stands after the decision.
    async fn tried_again(&self, workspace: WorkspaceId, id: DeliveryId) -> Result<RetryOutcome> {
        self.wake_workspace(workspace);
        Ok(match self.inner.store.delivery(workspace, id).await? {
            Some(delivery) if delivery.state.is_revivable() => RetryOutcome::NotLost(delivery.state),
            Some(delivery) => RetryOutcome::Due(Box::new(delivery)),
            None => RetryOutcome::NotFound,
        })
    }
}
