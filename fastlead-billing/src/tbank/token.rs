//! The token that signs requests and notifications
//! (<https://developer.tbank.ru/eacq/intro/developer/token>).

use std::collections::BTreeMap;

use fastlead_core::secret::Secret;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Computes the token of a message: SHA-256 in small hexadecimal digits over the values of its scalar root fields and the
/// password, in the order of their names. Numbers count as they are written.
///
/// `None` where the message is no JSON object.
pub(super) fn token(message: &str, password: &Secret<String>) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(message).ok()?;
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &fields {
        let raw = value.get();
        let text = match raw.as_bytes().first()? {
            b'{' | b'[' | b'n' => continue,
            b'"' => serde_json::from_str(raw).ok()?,
            _ => raw.to_owned(),
        };
        values.insert(name, text);
    }
    values.remove("Token");
    values.insert("Password", password.expose().clone());
    let mut hash = Sha256::new();
    for value in values.values() {
        hash.update(value.as_bytes());
    }
    Some(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str, password: &str) -> String {
        token(message, &password.into()).unwrap()
    }

    /// Of the bank's specification 1.80 and of its page about tokens.
    #[test]
    fn the_worked_examples_of_the_bank() {
        let init = |order: &str| {
            format!(
                r#"{{"TerminalKey":"MerchantTerminalKey","Amount":19200,"OrderId":"{order}","Description":"Подарочная карта на 1000 рублей","DATA":{{"Phone":"+71234567890","Email":"a@test.com"}},"Receipt":{{"Email":"a@test.ru","Items":[]}}}}"#
            )
        };
        assert_eq!(
            of(&init("21090"), "usaf8fw8fsw21g"),
            "0024a00af7c350a3a67ca168ce06502aa72772456662e38696d48b56ee9c97d9"
        );
        assert_eq!(
            of(&init("00000"), "11111111111111"),
            "72dd466f8ace0a37a1f740ce5fb78101712bc0665d91a8108c7c8a0ccd426db2"
        );
        let notification = r#"{"TerminalKey":"1321054611234DEMO","OrderId":"201709","Success":true,"Status":"AUTHORIZED","PaymentId":8742591,"ErrorCode":"0","Amount":9855,"CardId":322264,"Pan":"430000******0777","ExpDate":"1122","RebillId":101709,"Token":"b906d28e76c6428e37b25fcf86c0adc52c63d503013fdd632e300593d165766b","Data":{"Route":"TCB"}}"#;
        assert_eq!(
            of(notification, "Dfsfh56dgKl"),
            "b906d28e76c6428e37b25fcf86c0adc52c63d503013fdd632e300593d165766b"
        );
        let notification = r#"{"TerminalKey":"1234567890DEMO","OrderId":"000000","Success":true,"Status":"AUTHORIZED","PaymentId":"0000000","ErrorCode":"0","Amount":"1111","CardId":"000000","Pan":"200000******0000","ExpDate":"1111","RebillId":"000000","Data":null}"#;
        assert_eq!(
            of(notification, "11111111111"),
            "1c0964277d0213349243065a0d5b838b8e90d2d25f740d0f2767836e710e80c8"
        );
    }

    #[test]
    fn numbers_count_as_they_are_written_and_words_without_their_escapes() {
        for (message, same) in [
            (r#"{"Amount":1.50}"#, r#"{"Amount":"1.50"}"#),
            (r#"{"Amount":1e3}"#, r#"{"Amount":"1e3"}"#),
            (r#"{"PaymentId":12345678901234567890123}"#, r#"{"PaymentId":"12345678901234567890123"}"#),
            (r#"{"a":"\u0444","Token":"x","b":null,"c":[1],"d":{"e":2}}"#, r#"{"a":"ф"}"#),
            (r#"{"Success":true}"#, r#"{"Success":"true"}"#),
        ] {
            assert_eq!(of(message, "p"), of(same, "p"), "{message}");
        }
        assert_ne!(of(r#"{"Amount":1.50}"#, "p"), of(r#"{"Amount":1.5}"#, "p"));
        assert_ne!(of(r#"{"Amount":1}"#, "p"), of(r#"{"Amount":1}"#, "q"));
        // A field of that name in the message does not take the place of the password.
        assert_eq!(of(r#"{"Password":"q"}"#, "p"), of("{}", "p"));
        assert!(token("[]", &"p".into()).is_none() && token("", &"p".into()).is_none());
    }
}
