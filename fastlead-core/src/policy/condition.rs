//! Conditions over a capture: a small typed tree, never evaluated text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::lead::{Capture, ConsentPurpose};

/// A question to a capture. It has one answer and no side effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Condition {
    /// All of these hold. Holds where there are none.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// The field has a value.
    Present(Field),
    /// The field has no value.
    Missing(Field),
    /// The field equals the text, without regard to case.
    Equals {
        /// The field.
        field: Field,
        /// The text.
        value: String,
    },
    /// The field equals one of the texts, without regard to case.
    OneOf {
        /// The field.
        field: Field,
        /// The texts.
        values: Vec<String>,
    },
    /// The field contains the text, without regard to case.
    Contains {
        /// The field.
        field: Field,
        /// The text.
        value: String,
    },
    /// The field starts with the text, without regard to case.
    StartsWith {
        /// The field.
        field: Field,
        /// The text.
        value: String,
    },
    /// The phone's country is one of these ISO 3166-1 alpha-2 codes.
    PhoneCountry(Vec<String>),
    /// The person agreed to this purpose.
    Consented(ConsentPurpose),
}

/// How deep conditions may be nested.
pub(super) const MAX_DEPTH: usize = 16;

impl Condition {
    /// The answer for `capture`. An absent field equals and contains nothing.
    pub fn holds(&self, capture: &Capture) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(capture)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(capture)),
            Self::Not(condition) => !condition.holds(capture),
            Self::Present(field) => field.value(capture).is_some(),
            Self::Missing(field) => field.value(capture).is_none(),
            Self::Equals { field, value } => field.value(capture).is_some_and(|have| same(&have, value)),
            Self::OneOf { field, values } => {
                field.value(capture).is_some_and(|have| values.iter().any(|value| same(&have, value)))
            }
            Self::Contains { field, value } => {
                field.value(capture).is_some_and(|have| have.to_lowercase().contains(&value.to_lowercase()))
            }
            Self::StartsWith { field, value } => field
                .value(capture)
                .is_some_and(|have| have.to_lowercase().starts_with(&value.to_lowercase())),
            Self::PhoneCountry(countries) => capture
                .contact
                .phone
                .as_ref()
                .and_then(crate::contact::Phone::country)
                .is_some_and(|have| countries.iter().any(|country| same(&have, country))),
            Self::Consented(purpose) => capture.consented(*purpose),
        }
    }

    /// How deep the tree is.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::All(inner) | Self::Any(inner) => 1 + inner.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(inner) => 1 + inner.depth(),
            _ => 1,
        }
    }
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// A field of a capture, written as a dotted path such as `contact.phone` or `fields.city`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Field {
    /// `contact.name`
    Name,
    /// `contact.phone`, in E.164 form.
    Phone,
    /// `contact.email`
    Email,
    /// `comment`
    Comment,
    /// `locale`
    Locale,
    /// `utm_source` of the last touch.
    UtmSource,
    /// `utm_medium` of the last touch.
    UtmMedium,
    /// `utm_campaign` of the last touch.
    UtmCampaign,
    /// `utm_content` of the last touch.
    UtmContent,
    /// `utm_term` of the last touch.
    UtmTerm,
    /// `page` of the last touch.
    Page,
    /// `referrer` of the last touch.
    Referrer,
    /// `fields.NAME`: one of the source's own fields.
    Custom(String),
}

/// The fixed names and their fields; `fields.NAME` stands beside them.
const NAMES: [(&str, Field); 12] = [
    ("contact.name", Field::Name),
    ("contact.phone", Field::Phone),
    ("contact.email", Field::Email),
    ("comment", Field::Comment),
    ("locale", Field::Locale),
    ("utm_source", Field::UtmSource),
    ("utm_medium", Field::UtmMedium),
    ("utm_campaign", Field::UtmCampaign),
    ("utm_content", Field::UtmContent),
    ("utm_term", Field::UtmTerm),
    ("page", Field::Page),
    ("referrer", Field::Referrer),
];

impl Field {
    /// The capture's value; `None` where it has none.
    pub fn value<'a>(&self, capture: &'a Capture) -> Option<Cow<'a, str>> {
        let last = capture.attribution.last.as_ref();
        let text = match self {
            Self::Name => capture.contact.name.as_ref()?.expose().as_str(),
            Self::Phone => capture.contact.phone.as_ref()?.expose(),
            Self::Email => return capture.contact.email.as_ref().map(|email| Cow::Owned(email.dedupe_key())),
            Self::Comment => capture.comment.as_ref()?.expose().as_str(),
            Self::Locale => capture.locale.as_str(),
            Self::UtmSource => last?.utm_source.as_deref()?,
            Self::UtmMedium => last?.utm_medium.as_deref()?,
            Self::UtmCampaign => last?.utm_campaign.as_deref()?,
            Self::UtmContent => last?.utm_content.as_deref()?,
            Self::UtmTerm => last?.utm_term.as_deref()?,
            Self::Page => last?.page.as_ref()?.expose().as_str(),
            Self::Referrer => last?.referrer.as_ref()?.expose().as_str(),
            Self::Custom(name) => capture.fields.get(name)?.expose().as_str(),
        };
        Some(Cow::Borrowed(text))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Custom(name) = self {
            return write!(f, "fields.{name}");
        }
        let name = NAMES.iter().find(|(_, field)| field == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(name) = text.strip_prefix("fields.").filter(|name| !name.is_empty()) {
            return Ok(Self::Custom(name.to_owned()));
        }
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, field)| field.clone()).ok_or_else(|| {
            let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("unknown field `{text}`, expected `fields.NAME` or one of: {}", known.join(", "))
        })
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for Field {
    fn schema_name() -> Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        schemars::json_schema!({
            "description": "A field of a capture; `fields.NAME` is one of the source's own fields.",
            "anyOf": [
                {"type": "string", "enum": known},
                {"type": "string", "pattern": "^fields\\..+$"},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::{CaptureInput, Received};
    use crate::message::Locale;

    fn capture() -> Capture {
        let input: CaptureInput = serde_json::from_value(serde_json::json!({
            "phone": "+79000000000",
            "fields": {"city": "Казань"},
            "attribution": {"last": {"utm_source": "yandex"}},
        }))
        .unwrap();
        input.validate(&[], Locale::Ru, Received::at(crate::time::epoch())).unwrap()
    }

    #[test]
    fn conditions_answer() {
        let cases = [
            (r#"{"present": "contact.phone"}"#, true),
            (r#"{"missing": "contact.email"}"#, true),
            (r#"{"equals": {"field": "fields.city", "value": "казань"}}"#, true),
            (r#"{"one_of": {"field": "utm_source", "values": ["google", "Yandex"]}}"#, true),
            (r#"{"contains": {"field": "fields.city", "value": "каз"}}"#, true),
            (r#"{"starts_with": {"field": "contact.phone", "value": "+7900"}}"#, true),
            (r#"{"phone_country": ["RU", "BY"]}"#, true),
            (r#"{"phone_country": ["KZ"]}"#, false),
            (r#"{"consented": "advertising"}"#, false),
            (r#"{"all": []}"#, true),
            (r#"{"any": []}"#, false),
            (
                r#"{"not": {"any": [{"present": "comment"}, {"equals": {"field": "locale", "value": "en"}}]}}"#,
                true,
            ),
        ];
        for (json, expected) in cases {
            let condition: Condition = serde_json::from_str(json).unwrap();
            assert_eq!(condition.holds(&capture()), expected, "{json}");
        }
    }

    #[test]
    fn fields_read_back_and_unknown_ones_are_named() {
        for (name, field) in &NAMES {
            assert_eq!(field.to_string(), *name);
            assert_eq!(name.parse::<Field>().as_ref(), Ok(field));
        }
        assert!("phone".parse::<Field>().unwrap_err().contains("contact.phone"));
    }
}
