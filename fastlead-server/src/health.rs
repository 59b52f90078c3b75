//! Whether the server lives, is ready, and how it does.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::TimeDelta;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::problem::Problem;

/// A lead that nobody has is at risk where its deadline comes within this time.
pub(crate) const AT_RISK: TimeDelta = TimeDelta::minutes(5);
/// The metric counts no further, so that a scrape does not take long where everything is late.
const MOST_AT_RISK: u32 = 10_000;

/// How long measured durations are kept one by one.
const UPKEEP: Duration = Duration::from_secs(1);

/// What a monitor asks, without the metrics.
pub(crate) fn signs_of_life() -> Router<App> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// What a monitor asks.
pub(crate) fn routes() -> Router<App> {
    signs_of_life().route("/metrics", get(metrics))
}

/// The process lives.
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// The value of the store that a probe writes.
const PROBE: &str = "ready_probe";
/// How long an answer of the store is believed: asking often must not cost much.
const BELIEVED: Duration = Duration::from_secs(1);
/// How long the store may take for a small write.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the store takes writes: a full disk, a read-only one or another program that holds the file keeps leads out, although
/// everything can be read.
#[derive(Debug, Default)]
pub(crate) struct Probe(Mutex<Option<(Instant, bool)>>);

impl Probe {
    async fn takes_writes(&self, app: &App) -> bool {
        let mut last = self.0.lock().await;
        if let Some((at, takes)) = *last
            && at.elapsed() < BELIEVED
        {
            return takes;
        }
        let takes = match tokio::time::timeout(PATIENCE, write(app)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "not ready: the store takes no writes");
                false
            }
            Err(_) => {
                tracing::error!(
                    seconds = PATIENCE.as_secs(),
                    "not ready: the store took no write within the time"
                );
                false
            }
        };
        *last = Some((Instant::now(), takes));
        takes
    }
}

async fn write(app: &App) -> fastlead_core::Result<()> {
    let now = app.engine.clock().now().timestamp_millis().to_be_bytes().to_vec();
    match app.store.setting(PROBE).await? {
        Some(before) => app.store.replace_setting(PROBE, &before, now).await.map(drop),
        None => app.store.init_setting(PROBE, now).await.map(drop),
    }
}

/// The store takes writes, and the server is not about to stop.
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    if app.stopping.is_cancelled() {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "the server is stopping")
            .into_response();
    }
    if app.probe.takes_writes(&app).await {
        return "ready".into_response();
    }
    let detail = "the store takes no writes; the log says why: is the disk full or read-only?";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail).retry_after(1).into_response()
}

/// Prometheus text.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    match app.store.queue_depth(app.engine.clock().now()).await {
        Ok(depth) => {
            for (state, count) in [
                ("pending", depth.pending),
                ("sending", depth.sending),
                ("awaiting_receipt", depth.awaiting_receipt),
                ("ambiguous", depth.ambiguous),
            ] {
                metrics::gauge!("fastlead_deliveries", "state" => state).set(whole(count));
            }
            metrics::gauge!("fastlead_oldest_due_seconds").set(whole(depth.oldest_due_millis) / 1_000.0);
            metrics::gauge!("fastlead_timers").set(whole(depth.timers));
        }
        Err(error) => return Problem::from(error).into_response(),
    }
    match app.store.count_at_risk(app.engine.clock().now() + AT_RISK, MOST_AT_RISK).await {
        Ok(count) => metrics::gauge!("fastlead_leads_at_risk").set(whole(count)),
        Err(error) => return Problem::from(error).into_response(),
    }
    match app.store.unreadable(None).await {
        Ok(rows) => metrics::gauge!("fastlead_unreadable_rows")
            .set(whole(u64::try_from(rows.len()).unwrap_or(u64::MAX))),
        Err(error) => return Problem::from(error).into_response(),
    }
    let broken = app.engine.directory().policy_troubles().count();
    metrics::gauge!("fastlead_policies_broken").set(whole(u64::try_from(broken).unwrap_or(u64::MAX)));
    app.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render()).into_response()
}

/// Folds measured durations into their summaries, until `stop`: without it they would be kept one by one for as long as
/// nobody asks for `/metrics`.
pub(crate) async fn keep_up(metrics: PrometheusHandle, stop: CancellationToken) {
    let mut every = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = every.tick() => metrics.run_upkeep(),
            () = stop.cancelled() => return,
        }
    }
}

/// Gauges are floating point; counts of rows stay far below 2^53.
fn whole(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    const SECONDS: u32 = 100;
    const PER_SECOND: u32 = 1_000;
    /// What one duration takes where it is kept: itself and its moment.
    const KEPT_BYTES: u32 = 16;

    /// How many bytes more are held after durations were measured and nobody has asked for them.
    fn held(is_kept_up: bool) -> i64 {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let recorder = PrometheusBuilder::new().build_recorder();
        let durations = metrics::with_local_recorder(&recorder, || metrics::histogram!("some_seconds"));
        let stop = CancellationToken::new();
        let allocated = allocation_counter::measure(|| {
            runtime.block_on(async {
                let keeping = is_kept_up.then(|| tokio::spawn(keep_up(recorder.handle(), stop.clone())));
                for _ in 0..SECONDS {
                    (0..PER_SECOND).for_each(|_| durations.record(0.05));
                    tokio::time::advance(UPKEEP).await;
                }
                stop.cancel();
                if let Some(keeping) = keeping {
                    keeping.await.unwrap();
                }
            });
        });
        let counted = format!("some_seconds_count {}", SECONDS * PER_SECOND);
        assert!(recorder.handle().render().contains(&counted), "none is lost");
        allocated.bytes_current
    }

    #[test]
    fn measured_durations_are_not_kept_where_nobody_asks_for_them() {
        let all_of_them = i64::from(SECONDS * PER_SECOND * KEPT_BYTES);
        let (kept, folded) = (held(false), held(true));
        assert!(kept >= all_of_them, "without the upkeep all are kept: {kept} bytes");
        assert!(folded < all_of_them / 4, "{folded} bytes are held, {kept} without the upkeep");
    }
}
