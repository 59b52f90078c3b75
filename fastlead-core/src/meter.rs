//! What core counts, through the crate `metrics`. Without the cargo feature of that name nothing is counted.
#![cfg_attr(not(feature = "metrics"), allow(dead_code, unused_variables, reason = "nobody counts"))]

use std::time::Duration;

/// Counts a delivery that was settled.
pub(crate) fn delivery(verdict: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("fastlead_deliveries_total", "verdict" => verdict).increment(1);
}

/// Counts a row of the store that cannot be read.
pub(crate) fn unreadable_row(table: &str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("fastlead_unreadable_rows_total", "table" => table.to_owned()).increment(1);
}

/// What an operation on a channel is measured by.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The histogram of durations.
    pub(crate) seconds: &'static str,
    /// The counter.
    pub(crate) total: &'static str,
    /// The adapter.
    pub(crate) kind: &'static str,
    /// `ok`, or the code of the error.
    pub(crate) outcome: &'static str,
}

/// Counts an operation that has ended, and how long it took.
pub(crate) fn operation(finished: &Finished, took: Duration) {
    #[cfg(feature = "metrics")]
    {
        let Finished { seconds, total, kind, outcome } = *finished;
        metrics::histogram!(seconds, "kind" => kind).record(took.as_secs_f64());
        metrics::counter!(total, "kind" => kind, "outcome" => outcome).increment(1);
    }
}
