//! How a message is named: towards SMSC, and in what we remember of it.

use fastlead_core::id::DeliveryId;
use sha2::{Digest, Sha256};

/// The largest id that SMSC takes from a client.
const LARGEST_ID: u32 = 2_147_483_647;

/// The id that we choose for a part of a delivery, from 1 to 2147483647; the same on every attempt.
///
/// It depends on nothing but the delivery, so that a message can be asked for even where the
/// answer that would have brought its id was lost.
pub(super) fn client_id(delivery_id: DeliveryId, part: u32) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(delivery_id.as_uuid().as_bytes());
    hasher.update(part.to_be_bytes());
    let digest = hasher.finalize();
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    number % LARGEST_ID + 1
}

/// The name under which a message is remembered: SMSC's id, and four digits that depend on the phone.
///
/// SMSC tells messages apart by id *and* phone. Its ids have 31 bits, so by the birthday rule a
/// hundred thousand messages already share one twice; the sixteen bits more make that a matter of
/// many millions. They are too few to find the phone by.
pub(super) fn message_reference(id: &str, phone: &str) -> String {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    let digest = Sha256::digest(digits.as_bytes());
    format!("{id}-{}", hex::encode(&digest[..2]))
}

/// SMSC's id inside a [`message_reference`]; a text without the four digits is an id itself.
pub(super) fn id_of(reference: &str) -> &str {
    reference.rsplit_once('-').map_or(reference, |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use fastlead_core::id::{RandomIds, SeededIds};
    use fastlead_core::time::epoch;

    use super::*;

    #[test]
    fn an_id_is_in_range_and_depends_on_delivery_and_part() {
        let ids = SeededIds::new(1);
        for _ in 0..1000 {
            let delivery = DeliveryId::generate(&ids, epoch());
            let id = client_id(delivery, 0);
            assert!((1..=LARGEST_ID).contains(&id));
            assert_eq!(id, client_id(delivery, 0));
            assert_ne!(id, client_id(delivery, 1));
        }
        let (one, two) =
            (DeliveryId::generate(&RandomIds, epoch()), DeliveryId::generate(&RandomIds, epoch()));
        assert_ne!(client_id(one, 0), client_id(two, 0));
    }

    #[test]
    fn a_reference_tells_phones_apart_and_does_not_show_them() {
        let reference = message_reference("1001", "+79000000000");
        assert_eq!(reference, message_reference("1001", "79000000000"));
        assert_ne!(reference, message_reference("1001", "79000000001"));
        assert_eq!(id_of(&reference), "1001");
        assert_eq!(reference.len(), "1001-".len() + 4);
        assert_eq!(id_of("1001"), "1001");
    }
}
