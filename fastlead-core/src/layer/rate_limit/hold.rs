//! Delays that the provider has named. It is told when to look at the clock and never waits.

use std::collections::HashMap;
use std::time::Duration;

use crate::layer::operation::RecipientKey;
use crate::time::{Timestamp, plus};

/// No provider is believed to mean more than a day; what seems longer is a clock that was set back.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Whom the provider does not want to hear from before which moment.
///
/// A refusal holds the recipient that it was about. Where another recipient is refused while the first one is held, it
/// is not about recipients, and holds the whole account: providers do not say which of their limits was reached.
#[derive(Debug, Default)]
pub(super) struct Holds {
    account: Option<Timestamp>,
    recipients: HashMap<RecipientKey, Timestamp>,
}

impl Holds {
    /// Notes that the provider has refused an operation to `recipient` for `delay`.
    pub(super) fn note(&mut self, recipient: Option<RecipientKey>, delay: Duration, now: Timestamp) {
        let until = plus(now, delay.min(LONGEST));
        self.recipients.retain(|_, until| left(*until, now).is_some());
        self.account = self.account.filter(|until| left(*until, now).is_some());
        let others = self.recipients.iter().filter(|(held, _)| Some(**held) != recipient);
        let longest_of_others = others.map(|(_, until)| *until).max();
        match (recipient, longest_of_others) {
            (Some(recipient), None) => {
                let held = self.recipients.entry(recipient).or_insert(until);
                *held = until.max(*held);
            }
            (_, others) => self.account = self.account.max(others).max(Some(until)),
        }
    }

    /// How long an operation to `recipient` has still to wait; `None` where nobody holds it.
    pub(super) fn left(&self, recipient: Option<RecipientKey>, now: Timestamp) -> Option<Duration> {
        let own = recipient.and_then(|recipient| self.recipients.get(&recipient)).copied();
        [self.account, own].into_iter().flatten().filter_map(|until| left(until, now)).max()
    }
}

/// What is left of a hold; `None` where it is over, or where the clock was set back since.
fn left(until: Timestamp, now: Timestamp) -> Option<Duration> {
    let left = (until - now).to_std().ok()?;
    (!left.is_zero() && left <= LONGEST).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{epoch, plus_seconds};

    fn to(name: &str) -> Option<RecipientKey> {
        Some(RecipientKey::of(&name))
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_refusal_holds_its_recipient_and_nobody_else() {
        let (mut holds, now) = (Holds::default(), epoch());
        assert_eq!(holds.left(to("a"), now), None);
        holds.note(to("a"), secs(40), now);
        assert_eq!(holds.left(to("a"), plus_seconds(now, 10)), Some(secs(30)));
        assert_eq!((holds.left(to("b"), now), holds.left(None, now)), (None, None));
        // A shorter delay takes nothing back.
        holds.note(to("a"), secs(5), now);
        assert_eq!(holds.left(to("a"), now), Some(secs(40)));
        assert_eq!(holds.left(to("a"), plus_seconds(now, 40)), None);
    }

    #[test]
    fn a_second_recipient_means_the_account() {
        let (mut holds, now) = (Holds::default(), epoch());
        holds.note(to("a"), secs(40), now);
        holds.note(to("b"), secs(10), now);
        for recipient in [to("a"), to("b"), to("c"), None] {
            assert_eq!(holds.left(recipient, now), Some(secs(40)));
        }
        // Once the first is over, the next refusal is about one recipient again.
        let later = plus_seconds(now, 60);
        holds.note(to("b"), secs(10), later);
        assert_eq!((holds.left(to("b"), later), holds.left(to("c"), later)), (Some(secs(10)), None));
    }

    #[test]
    fn what_goes_to_nobody_by_name_holds_the_account() {
        let (mut holds, now) = (Holds::default(), epoch());
        holds.note(None, secs(86_400), now);
        assert_eq!(holds.left(to("a"), now), Some(secs(86_400)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_block() {
        let mut holds = Holds::default();
        holds.note(to("a"), secs(10), plus_seconds(epoch(), 200_000));
        assert_eq!(holds.left(to("a"), epoch()), None);
        holds.note(to("a"), secs(10_000_000), epoch());
        assert_eq!(holds.left(to("a"), epoch()), Some(LONGEST));
    }
}
