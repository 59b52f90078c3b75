//! Closed sets of names that the API says as text. The schema has them as enumerations; a program that meets a name it does not
//! know shows it as it is, for sets grow.

/// Events of a lead's history.
pub(crate) const EVENTS: [&str; 13] = [
    "captured",
    "delivery_ended",
    "revived",
    "timer_fired",
    "responded",
    "answered",
    "reviewed",
    "confirmed",
    "slot_free",
    "policy_changed",
    "returned",
    "closed",
    "erased",
];

/// Timers of a lead; `other` for what an earlier view does not know.
pub(super) const TIMERS: [&str; 9] =
    ["escalate", "unanswered", "offer", "group", "queue", "review", "confirm", "auction_ends", "other"];

/// What deliveries are for.
pub(super) const PURPOSES: [&str; 9] = [
    "offer",
    "ping",
    "auto_reply",
    "confirmation",
    "webhook",
    "interaction_reply",
    "offer_ended",
    "notice",
    "manual",
];

/// Whether a failed attempt may be made again.
pub(super) const RETRIES: [&str; 3] = ["never", "safe", "if_idempotent"];

/// Whether a channel sends.
pub(super) const CHANNELS: [&str; 2] = ["active", "paused"];

/// How a circuit breaker stands; `null` where a channel has none.
pub(super) const BREAKERS: [Option<&str>; 4] = [Some("closed"), Some("open"), Some("half_open"), None];

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that a function of a source gives, in the order of its arms.
    fn arms<'a>(source: &'a str, function: &str) -> Vec<&'a str> {
        let body = source.split(function).nth(1).unwrap();
        let body = body.split("\n    }\n").next().unwrap();
        body.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }

    #[test]
    fn the_names_are_those_of_the_code() {
        let event = include_str!("../../../fastlead-core/src/decide/event.rs");
        assert_eq!(arms(event, "pub const fn kind(&self)"), EVENTS);
        let delivery = include_str!("../../../fastlead-core/src/delivery.rs");
        assert_eq!(arms(delivery, "pub const fn as_str(&self)"), PURPOSES);
        let views = include_str!("views.rs");
        let timer =
            views.split("impl From<(TimerName, Timestamp)>").nth(1).unwrap().split("};").next().unwrap();
        let names: Vec<&str> =
            timer.split("=> (\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(names, TIMERS);
        for name in RETRIES {
            assert!(views.contains(&format!("=> \"{name}\",")), "{name}");
        }
    }
}
