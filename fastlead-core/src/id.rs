//! Typed identifiers: UUID version 7 inside, a prefix such as `lead_` when shown.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::time::Timestamp;

/// A text that is not an identifier of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id such as {prefix}_0190b6f45d3c7000a000000000000001")]
pub struct ParseIdError {
    prefix: &'static str,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix that the id carries when it is shown, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a UUID that a store has read back.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Takes the next id from `ids`, stamped with `now`.
            pub fn generate(ids: &dyn IdSource, now: Timestamp) -> Self {
                Self(ids.next(now))
            }

            /// The UUID itself, for storage.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }

            /// The 32 hexadecimal digits without prefix, for storage and provider references.
            pub fn hex(&self) -> String {
                self.0.simple().to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let error = ParseIdError { prefix: $prefix };
                let Some(digits) = text.strip_prefix(concat!($prefix, "_")) else {
                    return Err(error);
                };
                if digits.len() != 32 {
                    return Err(error);
                }
                Uuid::try_parse(digits).map(Self).map_err(|_| error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "_[0-9a-f]{32}$"),
                })
            }
        }
    };
}

typed_id!(/// A tenant: an agency's client, or the whole of a single-tenant installation.
    WorkspaceId, "ws");
typed_id!(/// A project inside a workspace; it has one published policy at a time.
    ProjectId, "prj");
typed_id!(/// A place where leads come from: a form, a bot, a partner.
    SourceId, "src");
typed_id!(/// A captured lead.
    LeadId, "lead");
typed_id!(/// One entry of a lead's append-only history.
    EventId, "evt");
typed_id!(/// One message that must reach one recipient over one channel instance. Also the
    /// idempotency key given to the provider, the same on every attempt.
    DeliveryId, "dlv");
typed_id!(/// Something that must happen to a lead at a moment.
    TimerId, "tmr");
typed_id!(/// A configured channel account: one bot, one SMS login, one SMTP relay.
    ChannelId, "chn");
typed_id!(/// A policy document of a project; its versions share this id.
    PolicyId, "pol");
typed_id!(/// A person who signs in to the server.
    UserId, "usr");
typed_id!(/// An API key of the operator API.
    ApiKeyId, "key");
typed_id!(/// A session of a person who has signed in.
    SessionId, "ses");
typed_id!(/// An address to which nothing more may be sent.
    SuppressionId, "sup");
typed_id!(/// That a messenger account and a phone number are one person's.
    IdentityId, "idn");
typed_id!(/// An account of a workspace's ledger: a buyer's money, revenue, what a provider owes.
    AccountId, "acc");
typed_id!(/// A posting of a workspace's ledger. Whoever posts chooses it, the same on every attempt.
    PostingId, "pst");
typed_id!(/// Proof that a worker holds a piece of work; a settle that carries another token is refused.
    LeaseToken, "lse");

/// Where new ids come from. Passed in so that a simulation can repeat itself.
///
/// ```
/// use fastlead_core::id::{IdSource, LeadId, SeededIds};
/// use fastlead_core::time::epoch;
///
/// let (ids, again) = (SeededIds::new(7), SeededIds::new(7));
/// assert_eq!(LeadId::generate(&ids, epoch()), LeadId::generate(&again, epoch()));
/// ```
pub trait IdSource: fmt::Debug + Send + Sync {
    /// A new UUID, version 7 and stamped with `now` in production.
    fn next(&self, now: Timestamp) -> Uuid;
}

/// Random version 7 ids, ordered within the process.
#[derive(Debug, Default, Clone, Copy)]
pub struct RandomIds;

impl IdSource for RandomIds {
    #[allow(clippy::disallowed_methods, reason = "the one place that makes random ids")]
    fn next(&self, _now: Timestamp) -> Uuid {
        Uuid::now_v7()
    }
}

/// Repeatable ids for tests and simulations: the moment, the seed and a counter.
#[derive(Debug)]
pub struct SeededIds {
    seed: u32,
    counter: std::sync::atomic::AtomicU64,
}

impl SeededIds {
    /// Ids that depend only on `seed`, the moments asked for and how many were taken.
    pub const fn new(seed: u32) -> Self {
        Self { seed, counter: std::sync::atomic::AtomicU64::new(0) }
    }
}

impl IdSource for SeededIds {
    fn next(&self, now: Timestamp) -> Uuid {
        let count = self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let mut random = [0_u8; 10];
        random[..8].copy_from_slice(&count.to_be_bytes());
        random[6..].copy_from_slice(&self.seed.to_be_bytes());
        random[..6].copy_from_slice(&count.to_be_bytes()[2..]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_shows_and_refuses_another_type() {
        let lead = LeadId::generate(&RandomIds, crate::time::epoch());
        assert_eq!(lead.to_string().parse::<LeadId>(), Ok(lead));
        assert!(lead.to_string().parse::<SourceId>().is_err());
        assert!("lead_12".parse::<LeadId>().is_err());
        assert_eq!(serde_json::from_str::<LeadId>(&serde_json::to_string(&lead).unwrap()).unwrap(), lead);
    }

    #[test]
    fn seeded_ids_repeat_and_differ() {
        let take = |seed| {
            let ids = SeededIds::new(seed);
            [ids.next(crate::time::epoch()), ids.next(crate::time::epoch())]
        };
        assert_eq!(take(7), take(7));
        assert_ne!(take(7)[0], take(7)[1]);
        assert_ne!(take(7)[0], take(8)[0]);
        assert!(take(7)[0] < take(7)[1]);
    }
}
