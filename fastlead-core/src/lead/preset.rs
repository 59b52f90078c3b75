//! The names that form tools give their fields.

use serde::{Deserialize, Serialize};

/// A form tool whose names are known.
///
/// The names were read on the tools' public pages; `docs/compatibility.md` lists them with the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Preset {
    /// Webhooks of Tilda.
    Tilda,
    /// CRM forms and outgoing webhooks of Bitrix24.
    #[serde(rename = "bitrix24")]
    Bitrix24,
    /// Webhooks of Marquiz quizzes.
    Marquiz,
    /// Contact Form 7, WPForms and Elementor.
    #[serde(rename = "wordpress")]
    WordPress,
    /// Webhooks of amoCRM (Kommo).
    Amocrm,
    /// Scenarios of Albato and similar connectors.
    Albato,
    /// Webhooks of Jotform.
    Jotform,
}

type Names = &'static [(&'static str, &'static str)];

impl Preset {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Tilda,
        Self::Bitrix24,
        Self::Marquiz,
        Self::WordPress,
        Self::Amocrm,
        Self::Albato,
        Self::Jotform,
    ];

    /// Patterns in lower case, and the place of each; the first that matches holds.
    pub(super) const fn names(self) -> Names {
        match self {
            Self::Tilda => TILDA,
            Self::Bitrix24 => BITRIX24,
            Self::Marquiz => MARQUIZ,
            Self::WordPress => WORDPRESS,
            Self::Amocrm => AMOCRM,
            Self::Albato => ALBATO,
            Self::Jotform => JOTFORM,
        }
    }

    /// Fields whose text is itself a JSON object with fields.
    pub(super) const fn document(self) -> Option<&'static str> {
        match self {
            Self::Jotform => Some("rawrequest"),
            _ => None,
        }
    }
}

const TILDA: Names = &[
    ("имя", "name"),
    ("телефон", "phone"),
    ("почта", "email"),
    ("comments", "comment"),
    ("textarea", "comment"),
    ("textarea_*", "comment"),
    ("комментарий", "comment"),
    ("referer", "page"),
];

const BITRIX24: Names = &[
    ("*phone.*.value", "phone"),
    ("*email.*.value", "email"),
    ("*phone.*.value_type", "ignore"),
    ("*email.*.value_type", "ignore"),
    ("lead_name", "name"),
    ("lead_last_name", "name"),
    ("lead_phone", "phone"),
    ("lead_email", "email"),
    ("lead_comments", "comment"),
    ("contact_name", "name"),
    ("contact_last_name", "name"),
    ("contact_phone", "phone"),
    ("contact_email", "email"),
    ("deal_comments", "comment"),
    ("last_name", "name"),
    ("comments", "comment"),
    ("fields.name", "name"),
    ("fields.last_name", "name"),
    ("fields.comments", "comment"),
    ("fields.utm_source", "utm_source"),
    ("fields.utm_medium", "utm_medium"),
    ("fields.utm_campaign", "utm_campaign"),
    ("fields.utm_content", "utm_content"),
    ("fields.utm_term", "utm_term"),
    ("data.fields.name", "name"),
    ("data.fields.last_name", "name"),
    ("data.fields.comments", "comment"),
    ("auth.*", "ignore"),
];

const MARQUIZ: Names = &[
    ("contacts.name", "name"),
    ("contacts.phone", "phone"),
    ("contacts.email", "email"),
    ("contacts.text", "comment"),
    ("extra.href", "page"),
    ("extra.referrer", "referrer"),
    ("extra.utm.source", "utm_source"),
    ("extra.utm.medium", "utm_medium"),
    ("extra.utm.name", "utm_campaign"),
    ("extra.utm.campaign", "utm_campaign"),
    ("extra.utm.content", "utm_content"),
    ("extra.utm.term", "utm_term"),
    ("extra.cookies.*", "fields.*"),
];

const WORDPRESS: Names = &[
    ("your-name", "name"),
    ("first-name", "name"),
    ("last-name", "name"),
    ("your-phone", "phone"),
    ("your-tel", "phone"),
    ("tel-*", "phone"),
    ("your-email", "email"),
    ("email-*", "email"),
    ("your-message", "comment"),
    ("textarea-*", "comment"),
    ("_wpcf7*", "ignore"),
    ("_wpnonce", "ignore"),
    ("form_fields.name", "name"),
    ("form_fields.phone", "phone"),
    ("form_fields.tel", "phone"),
    ("form_fields.email", "email"),
    ("form_fields.message", "comment"),
    ("form_fields.*", "fields.*"),
    ("fields.name.value", "name"),
    ("fields.phone.value", "phone"),
    ("fields.tel.value", "phone"),
    ("fields.email.value", "email"),
    ("fields.message.value", "comment"),
    ("fields.*.value", "fields.*"),
    ("fields.*.id", "ignore"),
    ("fields.*.type", "ignore"),
    ("fields.*.title", "ignore"),
    ("fields.*.raw_value", "ignore"),
    ("fields.*.required", "ignore"),
    ("meta.page_url.value", "page"),
    ("meta.*", "ignore"),
    ("page url", "page"),
    ("page_url", "page"),
    ("user agent", "ignore"),
    ("remote ip", "ignore"),
    ("powered by", "ignore"),
    ("имя", "name"),
    ("телефон", "phone"),
    ("e-mail", "email"),
    ("сообщение", "comment"),
];

const AMOCRM: Names = &[
    ("contacts.*.0.name", "name"),
    ("contact.name", "name"),
    ("account.*", "ignore"),
    ("*.custom_fields.*.id", "ignore"),
    ("*.custom_fields.*.code", "ignore"),
    ("*.custom_fields.*.name", "ignore"),
    ("*.custom_fields.*.values.*.enum", "ignore"),
    ("*_user_id", "ignore"),
    ("*.date_create", "ignore"),
    ("*.last_modified", "ignore"),
    ("*.created_at", "ignore"),
    ("*.updated_at", "ignore"),
    ("*.account_id", "ignore"),
];

const ALBATO: Names = &[
    ("first_name", "name"),
    ("last_name", "name"),
    ("full_name", "name"),
    ("fio", "name"),
    ("фио", "name"),
    ("имя", "name"),
    ("phone_number", "phone"),
    ("tel", "phone"),
    ("телефон", "phone"),
    ("email_address", "email"),
    ("e-mail", "email"),
    ("почта", "email"),
    ("comments", "comment"),
    ("text", "comment"),
    ("комментарий", "comment"),
    ("page_url", "page"),
    ("url", "page"),
    ("referer", "referrer"),
];

const JOTFORM: Names = &[
    ("q*_*name.first", "name"),
    ("q*_*name.last", "name"),
    ("q*_*name", "name"),
    ("q*_*phone*.full", "phone"),
    ("q*_*phone*", "phone"),
    ("q*_*email*", "email"),
    ("q*_*message*", "comment"),
    ("q*_*comment*", "comment"),
    ("q*_*", "fields.*"),
    ("pretty", "ignore"),
    ("slug", "ignore"),
    ("jsexecutiontracker", "ignore"),
    ("submitsource", "ignore"),
    ("submitdate", "ignore"),
    ("builddate", "ignore"),
    ("eventobserver", "ignore"),
    ("event_id", "ignore"),
    ("timetosubmit", "ignore"),
    ("validatednewrequiredfieldids", "ignore"),
    ("uploadserverurl", "ignore"),
    ("path", "ignore"),
    ("webhookurl", "ignore"),
    ("customparams", "ignore"),
    ("appid", "ignore"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::Place;

    #[test]
    fn every_name_of_a_preset_has_a_place_and_is_reached() {
        for preset in Preset::ALL {
            for (pattern, place) in preset.names() {
                assert!(place.parse::<Place>().is_ok(), "{preset:?} {pattern}: {place}");
                assert_eq!(*pattern, pattern.to_lowercase(), "{preset:?}");
            }
        }
    }
}
