//! Consents with the evidence that 152-FZ art. 9 and 38-FZ art. 18 put on the operator.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::message::Locale;
use crate::secret::Pii;
use crate::time::Timestamp;

/// What a person agrees to. Each purpose has a document and a box of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConsentPurpose {
    /// Processing of personal data (152-FZ).
    PersonalData,
    /// Advertising over telecom networks (38-FZ).
    Advertising,
    /// Acceptance of an offer.
    Offer,
}

impl ConsentPurpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::PersonalData, Self::Advertising, Self::Offer];

    /// `personal_data`, `advertising` or `offer`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PersonalData => "personal_data",
            Self::Advertising => "advertising",
            Self::Offer => "offer",
        }
    }
}

impl<'de> Deserialize<'de> for ConsentPurpose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = &["personal_data", "advertising", "offer"];
        crate::named::deserialize(deserializer, names, &[Self::PersonalData, Self::Advertising, Self::Offer])
    }
}

/// A person's answer to a document: granted or not, and the words where it came as words.
///
/// Only `true`, `1`, `on`, `yes` and `да`, trimmed and in any case, grant. Whatever else was sent does not, and is kept
/// as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsentAnswer {
    granted: bool,
    /// Whether it was refused in so many words, by `false`: a blank says nothing.
    refused: bool,
    /// Whether it is what a form sends for a box that is not ticked, beside the box or in its place: `0` or `false`.
    unticked: bool,
    written: Option<Pii<String>>,
    shown: Option<ShownText>,
}

/// Text of a document as it stood beside a box, named by whoever has shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShownText {
    /// Version of the document.
    pub version: String,
    /// SHA-256 of the exact text, as 64 hexadecimal digits in lower case.
    pub text_sha256: String,
}

/// Characters that are kept of an answer that does not grant.
const WRITTEN_CHARS: usize = 200;

impl ConsentAnswer {
    /// Reads the value of a box in a form.
    pub fn read(text: &str) -> Self {
        let word = text.trim().to_lowercase();
        let granted = matches!(word.as_str(), "1" | "on" | "true" | "yes" | "да");
        let unticked = matches!(word.as_str(), "0" | "false");
        let written = (!granted && !text.is_empty())
            .then(|| Pii::new(text.chars().filter(|c| !c.is_control()).take(WRITTEN_CHARS).collect()));
        Self { granted, refused: false, unticked, written, shown: None }
    }

    /// Names the text that was shown beside the box. Without it the text counts that the source shows in the person's
    /// language.
    #[must_use]
    pub fn beside(mut self, shown: ShownText) -> Self {
        self.shown = Some(shown);
        self
    }

    /// Adds another answer to the same document, which stood in the same request. Both must grant, where neither is
    /// blank: an answer that contradicts itself grants nothing. The text `0` or `false` beside a tick says nothing: that
    /// is how Rails and ASP.NET send a ticked box, with a hidden field for the case that it is not.
    #[must_use]
    pub fn and(mut self, mut other: Self) -> Self {
        let shown = self.shown.take().or_else(|| other.shown.take());
        other.shown = None;
        let both = if self == Self::default() || (self.unticked && other.granted) {
            other
        } else if other == Self::default() || (other.unticked && self.granted) {
            self
        } else {
            self.merged(other)
        };
        Self { shown, ..both }
    }

    fn merged(self, other: Self) -> Self {
        let written = match (self.written, other.written) {
            (Some(one), Some(two)) => Some(Pii::new(format!("{}, {}", one.expose(), two.expose()))),
            (one, two) => one.or(two),
        };
        Self {
            granted: self.granted && other.granted,
            refused: self.refused || other.refused,
            unticked: self.unticked && other.unticked,
            written,
            shown: None,
        }
    }

    /// Whether the answer grants the consent.
    pub const fn granted(&self) -> bool {
        self.granted
    }

    /// What was written, where it does not grant.
    pub const fn written(&self) -> Option<&Pii<String>> {
        self.written.as_ref()
    }

    /// Text that was shown beside the box, where whoever has shown it said so.
    pub const fn shown(&self) -> Option<&ShownText> {
        self.shown.as_ref()
    }
}

impl From<bool> for ConsentAnswer {
    fn from(granted: bool) -> Self {
        Self { granted, refused: !granted, unticked: false, written: None, shown: None }
    }
}

impl<'de> Deserialize<'de> for ConsentAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Answer)
    }
}

struct Answer;

/// An answer together with the text that it was given to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    granted: ConsentAnswer,
    version: String,
    text_sha256: String,
}

impl<'de> Visitor<'de> for Answer {
    type Value = ConsentAnswer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "true, false, the text of a box, or an object with `granted`, `version` and `text_sha256`",
        )
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<ConsentAnswer, M::Error> {
        let Shown { granted, version, text_sha256 } = Shown::deserialize(MapAccessDeserializer::new(map))?;
        Ok(granted.beside(ShownText { version, text_sha256 }))
    }

    fn visit_bool<E: Error>(self, granted: bool) -> Result<ConsentAnswer, E> {
        Ok(granted.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ConsentAnswer, E> {
        Ok(ConsentAnswer::read(text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ConsentAnswer, E> {
        Ok(ConsentAnswer::read(&number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ConsentAnswer, E> {
        Ok(ConsentAnswer::read(&number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<ConsentAnswer, E> {
        Ok(ConsentAnswer::read(&number.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<ConsentAnswer, E> {
        Ok(ConsentAnswer::default())
    }
}

impl JsonSchema for ConsentAnswer {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ConsentAnswer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["boolean", "string", "number", "null", "object"],
            "description": "Whether the box was ticked. As text, only `1`, `on`, `true`, `yes` and `да` grant. An object names \
                the text that was shown beside the box as well; without it that text counts which the source shows in the \
                lead's language.",
            "properties": {
                "granted": {
                    "type": ["boolean", "string", "number", "null"],
                    "description": "Whether the box was ticked.",
                },
                "version": { "type": "string", "description": "Version of the document." },
                "text_sha256": {
                    "type": "string",
                    "description": "SHA-256 of the exact text, as 64 hexadecimal digits in lower case.",
                },
            },
            "required": ["granted", "version", "text_sha256"],
            "additionalProperties": false,
        })
    }
}

/// A document that a source shows beside a box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentDocument {
    /// What it asks for.
    pub purpose: ConsentPurpose,
    /// Language of the label and the text; left out: that of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The document's name in the operator's own books.
    pub document_id: String,
    /// The version; the text of a version never changes.
    pub version: String,
    /// What stands beside the box.
    pub label: String,
    /// The exact text of the document.
    pub text: String,
    /// Whether a lead is refused without it.
    #[serde(default)]
    pub required: bool,
}

impl ConsentDocument {
    /// SHA-256 of the exact text, as 64 hexadecimal digits.
    pub fn text_sha256(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }

    /// Chooses the documents that stand on a page in `locale`, one for each purpose: in that language, or else in
    /// `default`, the source's own.
    pub fn in_locale(documents: &[Self], locale: Locale, default: Locale) -> Vec<&Self> {
        let chosen = |purpose| {
            let own = documents.iter().filter(move |document| document.purpose == purpose);
            let speaks = |wanted| move |document: &&Self| document.locale.unwrap_or(default) == wanted;
            let found = own.clone().find(speaks(locale)).or_else(|| own.clone().find(speaks(default)));
            found.or_else(|| own.clone().next())
        };
        Self::purposes(documents).filter_map(chosen).collect()
    }

    /// Purposes in the order in which they stand first.
    pub(super) fn purposes(documents: &[Self]) -> impl Iterator<Item = ConsentPurpose> {
        let is_first = |(index, document): &(usize, &Self)| {
            !documents.iter().take(*index).any(|earlier| earlier.purpose == document.purpose)
        };
        documents.iter().enumerate().filter(is_first).map(|(_, document)| document.purpose)
    }
}

/// One answer of a person to one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// What was asked.
    pub purpose: ConsentPurpose,
    /// Whether the box was ticked. Unticked boxes are kept too: they prove what was offered.
    pub granted: bool,
    /// What was sent in place of a tick, as it was written; it grants nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Pii<String>>,
    /// The document.
    pub document_id: String,
    /// Its version.
    pub document_version: String,
    /// SHA-256 of the exact text that was shown.
    pub text_sha256: String,
    /// When.
    pub at: Timestamp,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Pii<IpAddr>>,
    /// With which client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Pii<String>>,
    /// On which page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Pii<String>>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_words_grant_and_nothing_else_does() {
        for word in ["1", "on", "true", "yes", "да", " On ", "TRUE", "ДА", "\tYes\n"] {
            assert_eq!(ConsentAnswer::read(word), true.into(), "{word}");
        }
        for word in [
            "Нет",
            "нет",
            "No",
            "Off",
            "False",
            "n",
            "0",
            "null",
            "undefined",
            "-",
            "да нет",
            "y",
            "ok",
            "2",
            "11",
            "true,false",
            "d",
            "да.",
            "agree",
        ] {
            let answer = ConsentAnswer::read(word);
            assert!(!answer.granted(), "{word}");
            assert_eq!(answer.written().map(|text| text.expose().as_str()), Some(word));
        }
        assert_eq!(ConsentAnswer::read(""), ConsentAnswer::default());
        assert!(!ConsentAnswer::read("   ").granted());
    }

    #[test]
    fn an_answer_that_contradicts_itself_grants_nothing() {
        let both = |one: &str, two: &str| ConsentAnswer::read(one).and(ConsentAnswer::read(two)).granted();
        assert!(both("1", "да") && both("", "1") && both("1", "") && both("0", "1") && both("true", "false"));
        assert!(
            !both("нет", "1") && !both("1", "off") && !both("Нет", "Нет") && !both("", "") && !both("0", "0")
        );
        let refused = ConsentAnswer::from(false).and(ConsentAnswer::read("1"));
        assert!(!refused.granted());
    }

    fn document(purpose: ConsentPurpose, locale: Option<Locale>, text: &str) -> ConsentDocument {
        ConsentDocument {
            purpose,
            locale,
            document_id: "d".to_owned(),
            version: "1".to_owned(),
            label: text.to_owned(),
            text: text.to_owned(),
            required: false,
        }
    }

    #[test]
    fn a_page_shows_each_purpose_once_in_its_language() {
        use ConsentPurpose::{Advertising, Offer, PersonalData};

        let documents = [
            document(PersonalData, None, "согласие"),
            document(Advertising, Some(Locale::En), "adverts"),
            document(PersonalData, Some(Locale::En), "consent"),
            document(Advertising, Some(Locale::Ru), "реклама"),
            document(Offer, None, "оферта"),
        ];
        let texts = |locale, default| {
            let found = ConsentDocument::in_locale(&documents, locale, default);
            found.iter().map(|document| document.text.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(texts(Locale::Ru, Locale::Ru), ["согласие", "реклама", "оферта"]);
        assert_eq!(texts(Locale::En, Locale::Ru), ["consent", "adverts", "оферта"]);
    }

    #[test]
    fn an_answer_may_name_the_text_that_was_shown() {
        let read = |json: &str| serde_json::from_str::<ConsentAnswer>(json);
        let shown = ShownText { version: "2".to_owned(), text_sha256: "ab".to_owned() };
        let answer = read(r#"{"granted": "да", "version": "2", "text_sha256": "ab"}"#).unwrap();
        assert_eq!(answer, ConsentAnswer::read("да").beside(shown.clone()));
        let twice = answer.clone().and(ConsentAnswer::read("нет"));
        assert!(!twice.granted() && twice.shown() == Some(&shown));
        assert!(ConsentAnswer::default().beside(shown.clone()).and(true.into()).granted());
        for wrong in
            [r#"{"granted": true}"#, r#"{"granted": true, "version": "2", "text_sha256": "", "x": 1}"#]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_other_text_grants(text in any::<String>()) {
            let known = ["1", "on", "true", "yes", "да"];
            let trimmed = text.trim().to_lowercase();
            prop_assert_eq!(ConsentAnswer::read(&text).granted(), known.contains(&trimmed.as_str()));
        }

        #[test]
        fn no_word_with_something_around_it_grants(
            word in prop::sample::select(vec!["1", "on", "true", "yes", "да"]),
            before in "[^\\s]{0,2}", after in "[^\\s]{1,2}",
        ) {
            let text = format!("{before}{word}{after}");
            let known = ["1", "on", "true", "yes", "да"].contains(&text.to_lowercase().as_str());
            prop_assert_eq!(ConsentAnswer::read(&text).granted(), known);
        }
    }
}
