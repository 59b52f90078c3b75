//! The fields that conditions and dedupe name, as dotted paths.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate, Timelike};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{ConditionInput, Number};
use crate::lead::{CLICK_IDS, Capture};
use crate::policy::nearest;
use crate::schedule::{TimeOfDay, Weekday};

/// A field of a lead, written as a dotted path such as `contact.phone` or `fields.city`.
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
    /// `first.utm_source`: `utm_source` of the first touch.
    FirstUtmSource,
    /// `first.utm_medium`: `utm_medium` of the first touch.
    FirstUtmMedium,
    /// `first.utm_campaign`: `utm_campaign` of the first touch.
    FirstUtmCampaign,
    /// `first.utm_content`: `utm_content` of the first touch.
    FirstUtmContent,
    /// `first.utm_term`: `utm_term` of the first touch.
    FirstUtmTerm,
    /// `first.page`: `page` of the first touch.
    FirstPage,
    /// `first.referrer`: `referrer` of the first touch.
    FirstReferrer,
    /// `click_ids.NAME`: a click id of the last touch, such as `yclid`.
    ClickId(String),
    /// `first.click_ids.NAME`: a click id of the first touch.
    FirstClickId(String),
    /// `fields.NAME`: one of the source's own fields.
    Custom(String),
    /// `number(fields.NAME)`: the same, read as a number; absent where it is none.
    NumberOf(String),
    /// `contact.phone_country`: ISO 3166-1 alpha-2 code, where the numbering plan tells.
    PhoneCountry,
    /// `contact.email_domain`: what stands after `@`, in lower case.
    EmailDomain,
    /// `source.key`: the public key of the source.
    SourceKey,
    /// `source.name`: what people call the source.
    SourceName,
    /// `score`: the lead's score, a number.
    Score,
    /// `history.leads`: how many earlier leads of the same person there are, a number.
    HistoryLeads,
    /// `history.last_owner`: the target that accepted the last of them.
    LastOwner,
    /// `time.hour`: the hour of the project's local time, 0 to 23, a number.
    Hour,
    /// `time.weekday`: `mon` to `sun`.
    Weekday,
    /// `time.date`: the local date, such as `2026-12-31`.
    Date,
    /// `time.of_day`: the local time of day in minutes, such as `18:30`.
    TimeOfDay,
}

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A date.
    Date,
    /// A time of day.
    TimeOfDay,
}

impl FieldKind {
    /// With its article, for messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Date => "a date",
            Self::TimeOfDay => "a time of day",
        }
    }
}

/// What must be known besides the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fact {
    /// The source's key and name.
    Source,
    /// The local time.
    Time,
    /// Whether the project's hours are open.
    Hours,
    /// The lead's score.
    Score,
    /// Earlier leads of the same person.
    History,
}

impl Fact {
    /// In a sentence.
    pub(in crate::policy) const fn name(self) -> &'static str {
        match self {
            Self::Source => "the source",
            Self::Time => "the local time",
            Self::Hours => "whether the project is open",
            Self::Score => "the score",
            Self::History => "the person's history",
        }
    }
}

/// The fixed names and their fields; `fields.NAME` and `number(fields.NAME)` stand beside them.
pub(super) const NAMES: [(&str, Field); 30] = [
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
    ("first.utm_source", Field::FirstUtmSource),
    ("first.utm_medium", Field::FirstUtmMedium),
    ("first.utm_campaign", Field::FirstUtmCampaign),
    ("first.utm_content", Field::FirstUtmContent),
    ("first.utm_term", Field::FirstUtmTerm),
    ("first.page", Field::FirstPage),
    ("first.referrer", Field::FirstReferrer),
    ("contact.phone_country", Field::PhoneCountry),
    ("contact.email_domain", Field::EmailDomain),
    ("source.key", Field::SourceKey),
    ("source.name", Field::SourceName),
    ("score", Field::Score),
    ("history.leads", Field::HistoryLeads),
    ("history.last_owner", Field::LastOwner),
    ("time.hour", Field::Hour),
    ("time.weekday", Field::Weekday),
    ("time.date", Field::Date),
    ("time.of_day", Field::TimeOfDay),
];

impl Field {
    /// The capture's own value; `None` where it has none, and for fields that are not in a capture.
    pub fn value<'a>(&self, capture: &'a Capture) -> Option<Cow<'a, str>> {
        let last = capture.attribution.last.as_ref();
        let first = capture.attribution.first.as_ref();
        let text = match self {
            Self::Name => capture.contact.name.as_ref()?.expose().as_str(),
            Self::Phone => capture.contact.phone.as_ref()?.expose(),
            Self::Email => return capture.contact.email.as_ref().map(|email| Cow::Owned(email.dedupe_key())),
            Self::EmailDomain => capture.contact.email.as_ref()?.expose().rsplit_once('@')?.1,
            Self::Comment => capture.comment.as_ref()?.expose().as_str(),
            Self::Locale => capture.locale.as_str(),
            Self::UtmSource => last?.utm_source.as_deref()?,
            Self::UtmMedium => last?.utm_medium.as_deref()?,
            Self::UtmCampaign => last?.utm_campaign.as_deref()?,
            Self::UtmContent => last?.utm_content.as_deref()?,
            Self::UtmTerm => last?.utm_term.as_deref()?,
            Self::Page => last?.page.as_ref()?.expose().as_str(),
            Self::Referrer => last?.referrer.as_ref()?.expose().as_str(),
            Self::FirstUtmSource => first?.utm_source.as_deref()?,
            Self::FirstUtmMedium => first?.utm_medium.as_deref()?,
            Self::FirstUtmCampaign => first?.utm_campaign.as_deref()?,
            Self::FirstUtmContent => first?.utm_content.as_deref()?,
            Self::FirstUtmTerm => first?.utm_term.as_deref()?,
            Self::FirstPage => first?.page.as_ref()?.expose().as_str(),
            Self::FirstReferrer => first?.referrer.as_ref()?.expose().as_str(),
            Self::ClickId(name) => last?.click_ids.get(name)?.as_str(),
            Self::FirstClickId(name) => first?.click_ids.get(name)?.as_str(),
            Self::Custom(name) => capture.fields.get(name)?.expose().as_str(),
            Self::NumberOf(_)
            | Self::PhoneCountry
            | Self::SourceKey
            | Self::SourceName
            | Self::Score
            | Self::HistoryLeads
            | Self::LastOwner
            | Self::Hour
            | Self::Weekday
            | Self::Date
            | Self::TimeOfDay => return None,
        };
        Some(Cow::Borrowed(text))
    }

    /// The text; `None` where it is absent, and for fields of another kind.
    pub(super) fn text<'a>(&self, input: &'a ConditionInput<'_>) -> Option<Cow<'a, str>> {
        match self {
            Self::PhoneCountry => input.phone_country().map(Cow::Borrowed),
            Self::SourceKey => input.source.map(|source| Cow::Borrowed(source.key)),
            Self::SourceName => input.source.map(|source| Cow::Borrowed(source.name)),
            Self::LastOwner => input.history?.last_owner.map(Cow::Borrowed),
            Self::Weekday => {
                input.local_time.map(|local| Cow::Borrowed(Weekday::from(local.weekday()).as_str()))
            }
            _ => self.value(input.capture),
        }
    }

    /// The number; `None` where it is absent, and for fields of another kind.
    pub(super) fn number(&self, input: &ConditionInput<'_>) -> Option<Number> {
        match self {
            Self::NumberOf(name) => Number::from_field(input.capture.fields.get(name)?.expose()),
            Self::Score => input.score.map(Number::whole),
            Self::HistoryLeads => {
                input.history.map(|history| Number::whole(i64::try_from(history.leads).unwrap_or(i64::MAX)))
            }
            Self::Hour => input.local_time.map(|local| Number::whole(i64::from(local.hour()))),
            _ => None,
        }
    }

    /// The date; `None` where it is absent, and for fields of another kind.
    pub(super) fn date(&self, input: &ConditionInput<'_>) -> Option<NaiveDate> {
        (*self == Self::Date).then(|| input.local_time.map(|local| local.date())).flatten()
    }

    /// The time of day; `None` where it is absent, and for fields of another kind.
    pub(super) fn time_of_day(&self, input: &ConditionInput<'_>) -> Option<TimeOfDay> {
        let local = input.local_time.filter(|_| *self == Self::TimeOfDay)?;
        TimeOfDay::new(u16::try_from(local.hour()).ok()?, u16::try_from(local.minute()).ok()?)
    }

    /// Whether there is a value.
    pub(super) fn is_present(&self, input: &ConditionInput<'_>) -> bool {
        match self.kind() {
            FieldKind::Text => self.text(input).is_some(),
            FieldKind::Number => self.number(input).is_some(),
            FieldKind::Date | FieldKind::TimeOfDay => input.local_time.is_some(),
        }
    }

    /// What its values are.
    pub const fn kind(&self) -> FieldKind {
        match self {
            Self::NumberOf(_) | Self::Score | Self::HistoryLeads | Self::Hour => FieldKind::Number,
            Self::Date => FieldKind::Date,
            Self::TimeOfDay => FieldKind::TimeOfDay,
            _ => FieldKind::Text,
        }
    }

    /// What must be known besides the capture to read it.
    pub const fn fact(&self) -> Option<Fact> {
        match self {
            Self::SourceKey | Self::SourceName => Some(Fact::Source),
            Self::Score => Some(Fact::Score),
            Self::HistoryLeads | Self::LastOwner => Some(Fact::History),
            Self::Hour | Self::Weekday | Self::Date | Self::TimeOfDay => Some(Fact::Time),
            _ => None,
        }
    }

    /// Whether equal values can mean the same lead, so that dedupe may compare them.
    pub const fn identifies(&self) -> bool {
        self.fact().is_none() && !matches!(self, Self::NumberOf(_) | Self::PhoneCountry | Self::EmailDomain)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custom(name) => write!(f, "fields.{name}"),
            Self::NumberOf(name) => write!(f, "number(fields.{name})"),
            Self::ClickId(name) => write!(f, "click_ids.{name}"),
            Self::FirstClickId(name) => write!(f, "first.click_ids.{name}"),
            _ => f.write_str(NAMES.iter().find(|(_, field)| field == self).map_or("", |(name, _)| name)),
        }
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let own =
            |text: &str| text.strip_prefix("fields.").filter(|name| !name.is_empty()).map(str::to_owned);
        let number = text.strip_prefix("number(").and_then(|rest| own(rest.strip_suffix(')')?));
        if let Some(name) = number {
            return Ok(Self::NumberOf(name));
        }
        if let Some(name) = own(text) {
            return Ok(Self::Custom(name));
        }
        if let Some(field) = click_id(text) {
            return field;
        }
        NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, field)| field.clone())
            .ok_or_else(|| unknown_field(text, &[]))
    }
}

/// The field of a click id, or that there is none of this name; `None` for other fields.
pub(super) fn click_id(text: &str) -> Option<Result<Field, String>> {
    let (field, name): (fn(String) -> Field, &str) = match text.strip_prefix("first.click_ids.") {
        Some(name) => (Field::FirstClickId, name),
        None => (Field::ClickId, text.strip_prefix("click_ids.")?),
    };
    if CLICK_IDS.contains(&name) {
        return Some(Ok(field(name.to_owned())));
    }
    let short: String = name.chars().take(80).collect();
    Some(Err(match nearest(&short, &CLICK_IDS) {
        Some(near) => format!("unknown click id `{short}`; did you mean `{near}`?"),
        None => format!("unknown click id `{short}`, expected one of: {}", CLICK_IDS.join(", ")),
    }))
}

/// That a name is no field, with the nearest that is; `more` are further names that would do.
pub(super) fn unknown_field(text: &str, more: &[&'static str]) -> String {
    let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).chain(more.iter().copied()).collect();
    let short: String = text.chars().take(80).collect();
    // `phone` is far from `contact.phone`, but can mean nothing else.
    let tail =
        || known.iter().copied().find(|name| name.rsplit_once('.').is_some_and(|(_, tail)| tail == text));
    match tail().or_else(|| nearest(&short, &known)) {
        Some(near) => format!("unknown field `{short}`; did you mean `{near}`?"),
        None => format!("unknown field `{short}`, expected `fields.NAME` or one of: {}", known.join(", ")),
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
            "description": "A field of a lead; `fields.NAME` is one of the source's own fields.",
            "anyOf": [
                {"type": "string", "enum": known},
                {"type": "string", "pattern": "^fields\\..+$"},
                {"type": "string", "pattern": "^(first\\.)?click_ids\\.[a-z_]+$"},
                {"type": "string", "pattern": "^number\\(fields\\..+\\)$"},
            ],
        })
    }
}
