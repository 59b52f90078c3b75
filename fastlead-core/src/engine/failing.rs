//! How long an endpoint has failed without one success. Pure.

use crate::error::ErrorKind;
use crate::time::{Timestamp, plus_seconds};

/// An endpoint that has failed for so long is given up. Standard Webhooks recommends to disable it and to tell its owner
/// another way ("Deliverability and reliability"); five days is what senders of webhooks commonly wait.
const PATIENCE_SECS: u64 = 5 * 24 * 60 * 60;

/// Since when every attempt has failed. It is kept in memory: a restart begins to count anew.
#[derive(Debug, Default)]
pub(super) struct Failing {
    since: Option<Timestamp>,
}

impl Failing {
    /// Notes what an attempt that ended at `now` came to. Returns whether the endpoint is to be given up.
    pub(super) fn note(&mut self, failure: Option<ErrorKind>, now: Timestamp) -> bool {
        let Some(kind) = failure else {
            self.since = None;
            return false;
        };
        let is_of_endpoint = matches!(
            kind,
            ErrorKind::Unavailable
                | ErrorKind::Timeout
                | ErrorKind::Protocol
                | ErrorKind::Invalid
                | ErrorKind::RateLimited
        );
        // Nothing was asked, or it was about the one message.
        if !is_of_endpoint {
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now >= plus_seconds(since, PATIENCE_SECS)
    }

    /// Begins anew: somebody has looked after the endpoint.
    pub(super) fn forget(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::epoch;

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn five_days_without_a_success_are_enough() {
        let mut failing = Failing::default();
        let mut note = |failure, day| failing.note(failure, plus_seconds(epoch(), day * DAY));
        assert!(!note(Some(ErrorKind::Unavailable), 0));
        assert!(!note(Some(ErrorKind::Invalid), 4));
        // A single success says that somebody is there.
        assert!(!note(None, 4));
        assert!(!note(Some(ErrorKind::Timeout), 5));
        assert!(!note(Some(ErrorKind::Timeout), 9));
        assert!(note(Some(ErrorKind::RateLimited), 10));
    }

    #[test]
    fn what_is_about_one_message_does_not_count() {
        let mut failing = Failing::default();
        for day in 0..20 {
            for kind in [ErrorKind::Content, ErrorKind::Unsupported, ErrorKind::Paused, ErrorKind::Overloaded]
            {
                assert!(!failing.note(Some(kind), plus_seconds(epoch(), day * DAY)));
            }
        }
    }

    #[test]
    fn a_resumed_endpoint_gets_its_time() {
        let mut failing = Failing::default();
        failing.note(Some(ErrorKind::Unavailable), epoch());
        failing.forget();
        assert!(!failing.note(Some(ErrorKind::Unavailable), plus_seconds(epoch(), 6 * DAY)));
    }
}
