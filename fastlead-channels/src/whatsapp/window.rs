//! Who may be written to freely, as far as this process has seen.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use fastlead_core::time::Timestamp;

/// How long a person may be written to freely after their last message (Meta's customer service window).
const OPEN_FOR: TimeDelta = TimeDelta::hours(24);
/// How many people are remembered. Those beyond get the template, which costs more and always arrives.
const MOST_PEOPLE: usize = 100_000;

/// When people have last written, by their address. Shared by the receiver, which hears them, and the sender. It is a hint:
/// another process may have heard what this one has not, and a restart forgets everything.
#[derive(Clone, Default)]
pub(super) struct Windows(Arc<Mutex<HashMap<String, Timestamp>>>);

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windows").field("people", &self.lock().len()).finish()
    }
}

impl Windows {
    /// Notes that a person has written.
    pub(super) fn heard(&self, address: &str, at: Timestamp) {
        let mut heard = self.lock();
        if let Some(known) = heard.get_mut(address) {
            *known = at.max(*known);
            return;
        }
        if heard.len() >= MOST_PEOPLE {
            heard.retain(|_, known| at - *known < OPEN_FOR);
        }
        if heard.len() < MOST_PEOPLE {
            heard.insert(address.to_owned(), at);
        }
    }

    /// Notes that WhatsApp takes no free text to a person any more.
    pub(super) fn closed(&self, address: &str) {
        self.lock().remove(address);
    }

    /// Whether a free text may go to a person now.
    pub(super) fn is_open(&self, address: &str, now: Timestamp) -> bool {
        self.lock().get(address).is_some_and(|heard| now - *heard < OPEN_FOR)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::time::{epoch, plus_seconds};

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn a_window_is_open_for_a_day_after_the_last_message() {
        let windows = Windows::default();
        assert!(!windows.is_open("79000000000", epoch()));
        windows.heard("79000000000", plus_seconds(epoch(), 60));
        // An older message that comes later takes nothing back.
        windows.heard("79000000000", epoch());
        assert!(windows.is_open("79000000000", plus_seconds(epoch(), DAY + 59)));
        assert!(!windows.is_open("79000000000", plus_seconds(epoch(), DAY + 60)));
        assert!(!windows.is_open("79000000001", epoch()));
        windows.closed("79000000000");
        assert!(!windows.is_open("79000000000", plus_seconds(epoch(), 61)));
        assert!(!format!("{windows:?}").contains('9'));
    }

    #[test]
    fn what_is_remembered_has_a_limit_and_old_ones_make_room() {
        let windows = Windows::default();
        for number in 0..MOST_PEOPLE {
            windows.heard(&number.to_string(), epoch());
        }
        windows.heard("new", plus_seconds(epoch(), 1));
        assert!(!windows.is_open("new", plus_seconds(epoch(), 1)), "no room while the others are open");
        windows.heard("new", plus_seconds(epoch(), DAY));
        assert!(windows.is_open("new", plus_seconds(epoch(), DAY)));
        assert_eq!(windows.lock().len(), 1);
    }
}
