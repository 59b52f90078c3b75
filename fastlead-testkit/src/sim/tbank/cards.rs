//! The bank's test cards (<https://developer.tbank.ru/eacq/intro/errors/test>).

/// Succeeds at once.
pub const CARD_GOOD: &str = "2201382000000013";
/// Succeeds after the page of 3-D Secure.
pub const CARD_3DS: &str = "2201382000000047";
/// May not be used.
pub const CARD_RESTRICTED: &str = "2201382000000005";
/// Fails in 3-D Secure.
pub const CARD_3DS_FAILS: &str = "2201382000000021";
/// Has too little money.
pub const CARD_NO_FUNDS: &str = "2201382000000831";
/// What the payer enters on the page of 3-D Secure.
pub const PASSWORD_3DS: &str = "1qwezxc";

/// What becomes of a payment with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Good after the password.
    Asks,
    /// The code of the decline.
    Declined(&'static str),
}

pub(super) fn verdict(card: &str) -> Verdict {
    match card {
        CARD_GOOD | "2200770239097761" | "2201382000000039" => Verdict::Good,
        CARD_3DS => Verdict::Asks,
        CARD_3DS_FAILS => Verdict::Declined("101"),
        CARD_NO_FUNDS => Verdict::Declined("1051"),
        CARD_RESTRICTED => Verdict::Declined("1062"),
        _ => Verdict::Declined("1014"),
    }
}

/// The number as the bank shows it: `220138******0013`.
pub(super) fn masked(card: &str) -> String {
    let (first, last) = (card.get(..6).unwrap_or_default(), card.get(card.len().saturating_sub(4)..));
    format!("{first}******{}", last.unwrap_or_default())
}
