//! What a random history consists of.

use fastlead_core::delivery::DeliveryState;
use proptest::prelude::*;

/// One step of a history. Numbers that pick something are taken modulo how many there are.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    /// A new lead.
    Capture {
        /// The unique key that it reserves for [`super::model::WINDOW_SECS`].
        key: Option<u8>,
        /// Its deliveries.
        deliveries: Vec<Wanted>,
    },
    /// A decision about a lead.
    Decide {
        /// Picks the lead.
        lead: usize,
        /// Whether it was made for a version that has passed.
        stale: bool,
        /// Whether pending offers are cancelled.
        cancel_offers: bool,
        /// More deliveries.
        deliveries: Vec<Wanted>,
    },
    /// Somebody asks for work on both channels.
    Claim {
        /// The limit of each channel.
        limits: [u32; 2],
    },
    /// Somebody who has held a lease at any time begins an attempt.
    Begin {
        /// Picks the lease among all there ever were.
        lease: usize,
    },
    /// Somebody who has held a lease at any time settles.
    Settle {
        /// Picks the lease among all there ever were.
        lease: usize,
        /// What became of the delivery.
        result: Worked,
    },
    /// The provider tells what became of a message.
    Receipt {
        /// Picks the delivery.
        delivery: usize,
        /// Whether it arrived.
        arrived: bool,
    },
    /// Time passes.
    Advance {
        /// How many seconds.
        seconds: u64,
    },
}

/// A delivery to be made.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Over which of the two channels.
    pub(super) channel: usize,
    /// The key of order, if any.
    pub(super) order: Option<u8>,
    /// Whether it is leased with the insert; not where it has a key of order.
    pub(super) leased: bool,
    /// How many seconds from now it is due.
    pub(super) delay: u64,
}

/// What became of a delivery.
#[derive(Debug, Clone)]
pub(super) enum Worked {
    Ended(DeliveryState),
    Retry { delay: u64, counted: bool },
    Await { delay: u64, uncertain: bool },
}

fn wanted() -> impl Strategy<Value = Vec<Wanted>> {
    let one =
        (0..2_usize, prop::option::of(0..2_u8), any::<bool>(), prop_oneof![3 => Just(0), 1 => 1..90_u64])
            .prop_map(|(channel, order, leased, delay)| Wanted {
                channel,
                order,
                leased: leased && order.is_none(),
                delay,
            });
    prop::collection::vec(one, 0..4)
}

fn worked() -> impl Strategy<Value = Worked> {
    prop_oneof![
        prop::sample::select(vec![
            DeliveryState::Delivered,
            DeliveryState::Sent,
            DeliveryState::Failed,
            DeliveryState::Expired,
            DeliveryState::Ambiguous,
        ])
        .prop_map(Worked::Ended),
        (0..90_u64, any::<bool>()).prop_map(|(delay, counted)| Worked::Retry { delay, counted }),
        (0..90_u64, any::<bool>()).prop_map(|(delay, uncertain)| Worked::Await { delay, uncertain }),
    ]
}

/// Histories of up to 24 steps, with about as much work asked for as there is.
pub(super) fn history() -> impl Strategy<Value = Vec<Operation>> {
    let step = prop_oneof![
        3 => (prop::option::of(0..2_u8), wanted()).prop_map(|(key, deliveries)| Operation::Capture { key, deliveries }),
        2 => (any::<usize>(), prop::bool::weighted(0.2), prop::bool::weighted(0.3), wanted()).prop_map(
            |(lead, stale, cancel_offers, deliveries)| Operation::Decide { lead, stale, cancel_offers, deliveries }
        ),
        4 => [0..4_u32, 0..4_u32].prop_map(|limits| Operation::Claim { limits }),
        3 => any::<usize>().prop_map(|lease| Operation::Begin { lease }),
        5 => (any::<usize>(), worked()).prop_map(|(lease, result)| Operation::Settle { lease, result }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(delivery, arrived)| Operation::Receipt { delivery, arrived }),
        3 => (1..100_u64).prop_map(|seconds| Operation::Advance { seconds }),
    ];
    prop::collection::vec(step, 1..24)
}
