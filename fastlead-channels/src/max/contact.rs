//! Shared contact cards: whether the number is attested, and where it is.

use fastlead_core::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::wire::Contact;

/// Fewer digits are no phone number.
const SHORTEST_PHONE: usize = 5;

/// Returns the number of a card that MAX attests as the sender's own: the card names their account, and its hash is the
/// HMAC-SHA256 of the card under the bot's token. `None` for every other card, which anybody can forward.
pub(super) fn attested_phone<'a>(
    contact: &'a Contact,
    sender: i64,
    bot_token: &Secret<String>,
) -> Option<&'a str> {
    let card = contact.vcf_info.as_deref()?;
    let is_own = contact.max_info.as_ref().is_some_and(|owner| owner.user_id == sender);
    (is_own && is_signed(card, contact.hash.as_deref()?, bot_token)).then(|| phone(card)).flatten()
}

fn is_signed(card: &str, hash: &str, bot_token: &Secret<String>) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(bot_token.expose().as_bytes()) else { return false };
    mac.update(card.as_bytes());
    hex::decode(hash.trim()).is_ok_and(|hash| mac.verify_slice(&hash).is_ok())
}

/// The first `TEL` of a vCard ([RFC 6350](https://www.rfc-editor.org/rfc/rfc6350#section-6.4.1)), also in a group
/// (`item1.TEL`), with parameters, or as a `tel:` address.
fn phone(card: &str) -> Option<&str> {
    card.lines().find_map(|line| {
        let (name, value) = line.trim().split_once(':')?;
        let property = name.split(';').next()?.rsplit('.').next()?;
        let value = value.trim();
        let number = value
            .get(..4)
            .filter(|scheme| scheme.eq_ignore_ascii_case("tel:"))
            .map_or(value, |_| &value[4..]);
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        (property.eq_ignore_ascii_case("TEL") && digits >= SHORTEST_PHONE).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::max::wire::ContactOwner;

    const TOKEN: &str = "f9LHodD0cOI";
    const ANNA: i64 = 123_456_789;
    const CARD: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nTEL;TYPE=cell:79000000000\r\nFN:Anna\r\nEND:VCARD\r\n";
    /// `printf '%s' "$CARD" | openssl dgst -sha256 -hmac f9LHodD0cOI`.
    const HASH: &str = "090ae376290d115f8ff032129c57115f501ad0aa324298e27d5a21d5801284a2";

    fn card(hash: Option<&str>, owner: Option<i64>) -> Contact {
        Contact {
            vcf_info: Some(CARD.to_owned()),
            hash: hash.map(str::to_owned),
            max_info: owner.map(|user_id| ContactOwner { user_id }),
        }
    }

    #[test]
    fn only_the_senders_own_signed_number_is_attested() {
        let token = Secret::new(TOKEN.to_owned());
        let attested = |contact: &Contact, token: &Secret<String>| {
            attested_phone(contact, ANNA, token).map(str::to_owned)
        };
        let upper = HASH.to_ascii_uppercase();
        for hash in [HASH, &upper] {
            assert_eq!(attested(&card(Some(hash), Some(ANNA)), &token).as_deref(), Some("79000000000"));
        }
        let other_token = Secret::new("another-token".to_owned());
        assert_eq!(attested(&card(Some(HASH), Some(ANNA)), &other_token), None);
        for contact in [
            card(None, Some(ANNA)),
            card(Some(""), Some(ANNA)),
            card(Some("not hex"), Some(ANNA)),
            card(Some(&HASH[2..]), Some(ANNA)),
            card(Some(&HASH.replace('a', "b")), Some(ANNA)),
            card(Some(HASH), Some(ANNA + 1)),
            card(Some(HASH), None),
            Contact { vcf_info: Some(CARD.replace("00000", "00001")), ..card(Some(HASH), Some(ANNA)) },
            Contact { vcf_info: None, ..card(Some(HASH), Some(ANNA)) },
        ] {
            assert_eq!(attested(&contact, &token), None);
        }
    }

    #[test]
    fn the_number_is_found_in_every_form_of_a_card() {
        for (card, expected) in [
            (CARD, Some("79000000000")),
            ("TEL:+7 900 000-00-00", Some("+7 900 000-00-00")),
            ("BEGIN:VCARD\nitem1.TEL;type=CELL;type=pref:+79000000000\nEND:VCARD", Some("+79000000000")),
            ("tel;VALUE=uri:tel:+79000000000", Some("+79000000000")),
            ("FN:TEL\nTEL:\nTEL:79000000001", Some("79000000001")),
            ("X-TEL:79000000000", None),
            ("NOTE:79000000000", None),
            ("TEL", None),
            ("TEL:я:1", None),
            ("TEL:тел:1", None),
            (";.:;.:\n:\n;:tel", None),
            ("TEL:tel", None),
            ("", None),
        ] {
            assert_eq!(phone(card), expected, "{card}");
        }
    }
}
