//! The bank's formats. Ids and codes come as text or number, truth as a word or a text: all are read.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// Text that may come as a number or a truth value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Loose(pub(super) String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Loose;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number or a truth value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Loose, E> {
                Ok(Loose(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Loose, E> {
                Ok(Loose(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Loose, E> {
                Ok(Loose(number.to_string()))
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Loose, E> {
                Ok(Loose(truth.to_string()))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Loose, E> {
                Ok(Loose::default())
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Loose {
    pub(super) fn is_true(&self) -> bool {
        self.0.eq_ignore_ascii_case("true")
    }

    pub(super) fn number(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    pub(super) fn text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.clone())
    }
}

/// What every method answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Reply {
    pub(super) success: Option<Loose>,
    pub(super) error_code: Option<Loose>,
    pub(super) status: Option<String>,
    pub(super) payment_id: Loose,
    pub(super) order_id: Loose,
    pub(super) amount: Loose,
    pub(super) new_amount: Loose,
    pub(super) original_amount: Loose,
    #[serde(rename = "PaymentURL")]
    pub(super) payment_url: Option<String>,
    pub(super) rebill_id: Loose,
    pub(super) payments: Vec<OrderPayment>,
    pub(super) params: Option<Vec<Param>>,
}

/// A payment in the answer of `CheckOrder`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct OrderPayment {
    pub(super) payment_id: Loose,
    pub(super) amount: Loose,
    pub(super) status: Option<String>,
    pub(super) error_code: Option<Loose>,
}

/// A parameter in the answer of `GetState`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Param {
    pub(super) key: Loose,
    pub(super) value: Loose,
}

impl Reply {
    pub(super) fn is_success(&self) -> bool {
        self.success.as_ref().is_some_and(Loose::is_true)
    }

    /// The error code; `None` where there is none or it says that all is well.
    pub(super) fn code(&self) -> Option<&str> {
        self.error_code.as_ref().map(|code| code.0.as_str()).filter(|code| !code.is_empty() && *code != "0")
    }

    /// Whether the payment was made by card, as far as the bank says.
    pub(super) fn is_by_card(&self) -> bool {
        let params = self.params.iter().flatten();
        params
            .filter(|param| param.key.0 == "Source")
            .any(|param| param.value.0.eq_ignore_ascii_case("cards"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of the bank's specification 1.80, shortened.
    #[test]
    fn the_examples_of_the_specification_are_read() {
        let read = |text: &str| serde_json::from_str::<Reply>(text).unwrap();
        let init = read(
            r#"{"Success":true,"ErrorCode":"0","TerminalKey":"TinkoffBankTest","Status":"NEW","PaymentId":"3093639567","OrderId":"21090","Amount":140000,"PaymentURL":"https://securepay.tinkoff.ru/new/fU1ppgqa"}"#,
        );
        assert!(init.is_success() && init.code().is_none());
        assert_eq!((init.payment_id.0.as_str(), init.amount.number()), ("3093639567", Some(140_000)));
        assert_eq!(init.payment_url.as_deref(), Some("https://securepay.tinkoff.ru/new/fU1ppgqa"));
        let state = read(
            r#"{"Success":true,"ErrorCode":"0","Message":"OK","TerminalKey":"TinkoffBankTest","Status":"AUTHORIZED","PaymentId":"13660","OrderId":"21050","Params":[{"Key":"Route","Value":"ACQ"},{"Key":"Source","Value":"cards"},{"Key":"CreditAmount","Value":"100000"}],"Amount":1230}"#,
        );
        assert!(state.is_by_card() && state.status.as_deref() == Some("AUTHORIZED"));
        let order = read(
            r#"{"TerminalKey":"TinkoffBankTest","OrderId":"21057","Success":true,"ErrorCode":"0","Message":"OK","Details":"None","Payments":[{"PaymentId":"124671934","Amount":13660,"Status":"NEW","RRN":"12345678","Success":"true","ErrorCode":0,"Message":"None"}]}"#,
        );
        assert_eq!(order.payments.len(), 1);
        assert_eq!(order.payments[0].error_code.as_ref().unwrap().0, "0");
        let cancel = read(
            r#"{"TerminalKey":"TinkoffBankTest","OrderId":"21057","Success":true,"Status":"REVERSED","OriginalAmount":13000,"NewAmount":5000,"PaymentId":2304882,"ErrorCode":"0","Message":"OK","Details":"None","ExternalRequestId":"756478567845678436"}"#,
        );
        assert_eq!((cancel.payment_id.0.as_str(), cancel.new_amount.number()), ("2304882", Some(5_000)));
        assert_eq!(cancel.original_amount.number(), Some(13_000));
        let refused = read(r#"{"Success":false,"ErrorCode":8,"Message":"no","Details":null}"#);
        assert!(!refused.is_success() && refused.code() == Some("8"));
    }
}
