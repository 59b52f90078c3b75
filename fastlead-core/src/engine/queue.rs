//! Leads that wait: the oldest gets the place that is free again.

use std::sync::atomic::Ordering;

use super::Engine;
use super::apply::Applied;
use super::transition::Extras;
use crate::decide::{Decision, Effect, Event};
use crate::delivery::Scope;
use crate::error::Result;
use crate::id::LeadId;

/// How many waiting leads are read at a time.
const PAGE: u32 = 64;
/// How many leads in a row may find no place before the rest is left to wait.
const FRUITLESS: u32 = 256;

impl Engine {
    /// Something has become free that leads of this project may wait for. Comes back at once.
    pub(super) fn look_after_queue(&self, scope: Scope) {
        let board = self.inner.boards.of(scope.project_id);
        if board.drain_wanted.swap(true, Ordering::AcqRel) {
            return;
        }
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            let _one_at_a_time = board.drain.lock().await;
            // Whoever finds something free from now on must look again.
            board.drain_wanted.store(false, Ordering::Release);
            if let Err(error) = engine.drain(scope).await {
                tracing::error!(project = %scope.project_id, %error, "waiting leads could not be looked after; their timers will");
            }
        });
    }

    /// Offers waiting leads, oldest first.
    async fn drain(&self, scope: Scope) -> Result<()> {
        let board = self.inner.boards.of(scope.project_id);
        let mut freed = board.freed();
        let mut after: Option<LeadId> = None;
        let mut fruitless = 0;
        loop {
            let waiting = self.inner.store.waiting(scope, after, PAGE).await?;
            let Some(last) = waiting.last().copied() else { return Ok(()) };
            after = Some(last);
            for lead in waiting {
                // What has become free meanwhile belongs to the oldest, who was passed over while nothing was.
                let wanted = |decision: &Decision| leaves_the_queue(decision) && board.freed() == freed;
                let applied =
                    self.apply_if(scope.workspace_id, lead, Event::SlotFree, Extras::default, wanted).await?;
                fruitless = if matches!(applied, Some(Applied::Done(_))) { 0 } else { fruitless + 1 };
                if board.freed() != freed {
                    (freed, after, fruitless) = (board.freed(), None, 0);
                    break;
                }
                if fruitless >= FRUITLESS {
                    return Ok(());
                }
            }
        }
    }
}

/// A lead that would only go on waiting has nothing to be written down.
fn leaves_the_queue(decision: &Decision) -> bool {
    decision.effects.iter().any(|effect| matches!(effect, Effect::Offer { .. } | Effect::GiveUp))
}
