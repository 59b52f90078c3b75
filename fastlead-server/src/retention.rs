//! Forgetting what has ended long ago.

use std::time::Duration;

use fastlead_core::Result;
use fastlead_core::port::{LeaseAnswer, Purged};
use fastlead_core::time::{Timestamp, plus};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Backend};

/// How long what has been kept too long may stay on top of it.
const EVERY: Duration = Duration::from_secs(3_600);
/// Rows of a kind that are forgotten in one transaction: few, so that captures hardly wait behind it.
const BATCH: u32 = 500;

/// The lease under which one of several servers forgets.
const LEASE: &str = "retention";

/// Forgets, at the start and then every hour, what the settings say, until `stop`. Of several servers on one store one does.
pub(crate) async fn run(app: App, stop: CancellationToken) {
    let days = app.settings.store.retention_days;
    if days == 0 {
        return;
    }
    while !stop.is_cancelled() {
        let now = app.engine.clock().now();
        match forget_alone(&app, days, now, &stop).await {
            Ok(Purged { deliveries: 0, inbound: 0, .. }) => {}
            Ok(purged) => {
                tracing::info!(
                    purged.deliveries,
                    purged.inbound,
                    days,
                    "what has ended long ago was forgotten"
                );
            }
            Err(error) => {
                tracing::error!(%error, "what has ended long ago could not be forgotten; trying again later")
            }
        }
        tokio::select! {
            () = app.engine.clock().sleep_until(plus(now, EVERY)) => {}
            () = stop.cancelled() => {}
        }
    }
    if let Err(error) = app.engine.end_lease(LEASE).await {
        tracing::warn!(%error, "another server forgets only when the lease has ended");
    }
}

/// The same as [`forget`], unless another server does it.
async fn forget_alone(app: &App, days: u32, now: Timestamp, stop: &CancellationToken) -> Result<Purged> {
    match app.engine.take_lease(LEASE, EVERY * 2).await? {
        LeaseAnswer::Taken => forget(&*app.store, days, now, stop).await,
        LeaseAnswer::Held { .. } => Ok(Purged::default()),
    }
}

/// Forgets deliveries that ended, and inbound events that were acted upon, more than `days` days before `now`, in small
/// transactions, until nothing is left or `stop`. Answers what was forgotten.
///
/// # Errors
/// Those of the store.
async fn forget(store: &dyn Backend, days: u32, now: Timestamp, stop: &CancellationToken) -> Result<Purged> {
    let before = now - chrono::TimeDelta::days(i64::from(days));
    let mut total = Purged::default();
    loop {
        let batch = store.purge(before, BATCH).await?;
        total.deliveries += batch.deliveries;
        total.inbound += batch.inbound;
        total.more = batch.more;
        if !batch.more || stop.is_cancelled() {
            return Ok(total);
        }
    }
}
