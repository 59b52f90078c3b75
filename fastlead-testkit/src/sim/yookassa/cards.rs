//! YooKassa's test cards (<https://yookassa.ru/developers/payment-acceptance/testing-and-going-live/testing>).

/// Succeeds at once.
pub const CARD_GOOD: &str = "5555555555554444";
/// Succeeds after 3-D Secure; any code does.
pub const CARD_3DS: &str = "5555555555554477";
/// Has too little money.
pub const CARD_NO_FUNDS: &str = "5555555555554600";
/// Is refused without a reason that the payer could mend.
pub const CARD_REFUSED: &str = "5555555555554527";

/// What becomes of a payment with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Good after a code.
    Asks,
    /// The reason of the decline.
    Declined(&'static str),
}

pub(super) fn verdict(card: &str) -> Verdict {
    match card {
        CARD_GOOD | "4111111111111111" | "2202474301322987" => Verdict::Good,
        CARD_3DS | "4793128161644804" | "2200000000000004" => Verdict::Asks,
        CARD_NO_FUNDS | "4562265587712390" | "2200000000000053" => Verdict::Declined("insufficient_funds"),
        "5555555555554592" | "4839665499603842" | "2200000000000012" => Verdict::Declined("3d_secure_failed"),
        "5555555555554535" | "4926946416239025" | "2200000000000020" => Verdict::Declined("call_issuer"),
        "5555555555554543" | "4141435412630840" | "2200000000000038" => Verdict::Declined("card_expired"),
        "5555555555554568" | "4483274282299972" | "2200000000000046" => Verdict::Declined("fraud_suspected"),
        "5555555555554501" | "4654130848359150" | "2201382000000021" => {
            Verdict::Declined("issuer_unavailable")
        }
        "5555555555554576" | "4565231022577548" | "2201382000000039" => {
            Verdict::Declined("payment_method_limit_exceeded")
        }
        "5555555555554550" | "4233961169071671" | "2201382000000047" => {
            Verdict::Declined("payment_method_restricted")
        }
        "5555555555554618" | "4951017853630544" | "2201382000000013" => {
            Verdict::Declined("invalid_card_number")
        }
        "5555555555554626" | "4194180666146368" | "2200770212727079" => Verdict::Declined("invalid_csc"),
        _ => Verdict::Declined("general_decline"),
    }
}
