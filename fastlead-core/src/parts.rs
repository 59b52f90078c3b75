//! Parts of a split text: each is a message of its own at the provider, with an id and a receipt of its own.

use std::collections::BTreeMap;

use crate::delivery::{Attempt, AttemptOperation, DeliveryState};

/// Part of a split text that the provider has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SentPart {
    /// Index, from 0.
    pub index: u32,
    /// The provider's ids of it, oldest first: more than one where it was sent again.
    pub ids: Vec<String>,
    /// What its last receipt said: [`DeliveryState::Delivered`] or [`DeliveryState::Failed`].
    pub told: Option<DeliveryState>,
}

impl SentPart {
    /// Reads the parts of a delivery from its attempts, oldest first; none where its text was not split. Ordered by
    /// index.
    pub fn of<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> Vec<Self> {
        let mut parts: BTreeMap<u32, Self> = BTreeMap::new();
        for attempt in attempts {
            let index = attempt.part;
            match attempt.operation {
                AttemptOperation::Send | AttemptOperation::Lookup if is_accepted_part(attempt) => {
                    let part = parts.entry(index).or_insert_with(|| Self { index, ..Self::default() });
                    let new = attempt.provider_message_id.iter().filter(|id| !part.ids.contains(id));
                    let new: Vec<String> = new.cloned().collect();
                    part.ids.extend(new);
                }
                AttemptOperation::Receipt => {
                    if let Some(part) = parts.get_mut(&index) {
                        let delivered = attempt.verdict == DeliveryState::Delivered.as_str();
                        part.told =
                            Some(if delivered { DeliveryState::Delivered } else { DeliveryState::Failed });
                    }
                }
                _ => {}
            }
        }
        parts.into_values().collect()
    }

    /// Whether receipts say of each of the first `count` parts that it has arrived.
    pub fn all_arrived(parts: &[Self], count: u32) -> bool {
        let arrived = |index| {
            let part = parts.iter().find(|part| part.index == index);
            part.is_some_and(|part| part.told == Some(DeliveryState::Delivered))
        };
        count > 0 && (0..count).all(arrived)
    }
}

/// Whether an attempt is one by which the provider has accepted a part of a split text.
fn is_accepted_part(attempt: &Attempt) -> bool {
    let accepted = matches!(attempt.verdict.as_str(), "next_part" | "accepted" | "sent" | "delivered");
    attempt.error.is_none() && accepted && (attempt.part > 0 || attempt.verdict == "next_part")
}
