//! What comes in from outside, and how it becomes a [`Capture`] or a list of what to mend.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Attribution, Capture, Consent, ConsentAnswer, ConsentDocument, ConsentPurpose, Received};
use crate::contact::{Contact, Email, Handle, Phone};
use crate::message::Locale;
use crate::secret::Pii;

/// How much of what is taken.
pub mod limits {
    /// Characters of a name.
    pub const NAME_CHARS: usize = 200;
    /// Characters of a comment.
    pub const COMMENT_CHARS: usize = 4_000;
    /// Number of the source's own fields.
    pub const FIELDS: usize = 50;
    /// Characters of a field's name.
    pub const FIELD_NAME_CHARS: usize = 64;
    /// Characters of a field's value.
    pub const FIELD_CHARS: usize = 2_000;
    /// Number of messenger accounts.
    pub const HANDLES: usize = 8;
    /// Characters of an idempotency key.
    pub const IDEMPOTENCY_KEY_CHARS: usize = 200;
}

/// A lead as somebody sends it. Every field is optional here; [`CaptureInput::validate`] decides.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureInput {
    /// What the person is called. Up to 200 characters.
    pub name: Option<Pii<String>>,
    /// A phone number as people write it; without a country code it is read as Russian.
    pub phone: Option<Pii<String>>,
    /// An e-mail address.
    pub email: Option<Pii<String>>,
    /// Messenger accounts.
    pub handles: Vec<Handle>,
    /// What the person wrote. Up to 4,000 characters.
    pub comment: Option<Pii<String>>,
    /// The source's own fields: text, numbers or booleans, or lists of them. Up to 50.
    pub fields: BTreeMap<String, Pii<serde_json::Value>>,
    /// Where the person came from.
    pub attribution: Attribution,
    /// Which boxes were ticked, by purpose.
    pub consents: BTreeMap<ConsentPurpose, ConsentAnswer>,
    /// The language to answer in, as a BCP 47 tag; the source's language where absent.
    pub locale: Option<String>,
    /// What helps to tell people from programs. Not part of the lead.
    pub bot_check: BotCheck,
}

/// What helps to tell people from programs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BotCheck {
    /// The value of a field that people do not see; programs fill it in.
    pub honeypot: Option<Pii<String>>,
    /// How many milliseconds passed between showing the form and sending it.
    pub elapsed_millis: Option<u64>,
}

/// One thing to mend in an input. It never repeats what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FieldError {
    /// The path of the field, such as `phone` or `fields.city`.
    pub field: String,
    /// Stable machine-readable code.
    pub code: &'static str,
    /// What is wrong and how to mend it, in English.
    pub message: String,
}

impl FieldError {
    fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

impl CaptureInput {
    /// Normalises the input against the documents that the source shows.
    ///
    /// # Errors
    /// Everything that must be mended, not just the first thing.
    pub fn validate(
        self,
        documents: &[ConsentDocument],
        default_locale: Locale,
        received: Received,
    ) -> Result<Capture, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = line(self.name, "name", limits::NAME_CHARS, &mut errors);
        let (phone, phone_extension, phone_note) =
            match address(self.phone, "phone", "invalid_phone", Phone::read, &mut errors) {
                Some(read) => (Some(read.phone), read.extension.map(Pii::new), read.rest.map(Pii::new)),
                None => (None, None, None),
            };
        let contact = Contact {
            name,
            phone,
            phone_extension,
            phone_note,
            email: address(self.email, "email", "invalid_email", Email::parse, &mut errors),
            handles: handles(self.handles, &mut errors),
        };
        let reachable = contact.phone.is_some() || contact.email.is_some() || !contact.handles.is_empty();
        if !reachable && !errors.iter().any(|error| matches!(error.field.as_str(), "phone" | "email")) {
            errors.push(FieldError::new(
                "phone",
                "contact_required",
                "give a phone number, an e-mail address or a messenger account",
            ));
        }
        let comment = block(self.comment, "comment", limits::COMMENT_CHARS, &mut errors);
        let fields = custom_fields(self.fields, &mut errors);
        let attribution = Attribution {
            first: self.attribution.first.map(super::Touch::tidy).filter(|touch| !touch.is_empty()),
            last: self.attribution.last.map(super::Touch::tidy).filter(|touch| !touch.is_empty()),
        };
        let page = attribution.last.as_ref().and_then(|touch| touch.page.clone());
        let consents = consents(&self.consents, documents, &received, page.as_ref(), &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let locale = self.locale.as_deref().and_then(Locale::from_tag).unwrap_or(default_locale);
        let (enrichment, person) = (Vec::new(), None);
        Ok(Capture { contact, comment, fields, attribution, consents, locale, received, enrichment, person })
    }
}

fn clean(text: &str, keep_lines: bool) -> String {
    let kept = |c: &char| !c.is_control() || (keep_lines && matches!(c, '\n' | '\t'));
    text.replace("\r\n", "\n").chars().filter(kept).collect::<String>().trim().to_owned()
}

fn bounded(
    value: Option<Pii<String>>,
    field: &str,
    max: usize,
    keep_lines: bool,
    errors: &mut Vec<FieldError>,
) -> Option<Pii<String>> {
    let text = clean(value?.expose(), keep_lines);
    let count = text.chars().count();
    if count > max {
        errors.push(FieldError::new(
            field,
            "too_long",
            format!("has {count} characters; at most {max} are taken"),
        ));
        return None;
    }
    (!text.is_empty()).then(|| Pii::new(text))
}

fn line(
    value: Option<Pii<String>>,
    field: &str,
    max: usize,
    errors: &mut Vec<FieldError>,
) -> Option<Pii<String>> {
    bounded(value, field, max, false, errors)
}

fn block(
    value: Option<Pii<String>>,
    field: &str,
    max: usize,
    errors: &mut Vec<FieldError>,
) -> Option<Pii<String>> {
    bounded(value, field, max, true, errors)
}

fn address<T, E: std::fmt::Display>(
    value: Option<Pii<String>>,
    field: &str,
    code: &'static str,
    parse: fn(&str) -> Result<T, E>,
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    let value = value?;
    if value.expose().trim().is_empty() {
        return None;
    }
    parse(value.expose()).map_err(|error| errors.push(FieldError::new(field, code, error.to_string()))).ok()
}

fn handles(handles: Vec<Handle>, errors: &mut Vec<FieldError>) -> Vec<Handle> {
    if handles.len() > limits::HANDLES {
        errors.push(FieldError::new(
            "handles",
            "too_many",
            format!("at most {} accounts are taken", limits::HANDLES),
        ));
        return Vec::new();
    }
    let mut kept = Vec::with_capacity(handles.len());
    for (index, handle) in handles.into_iter().enumerate() {
        match handle.read() {
            Some(handle) => kept.push(handle),
            None => {
                errors.push(FieldError::new(format!("handles.{index}"), "invalid_handle", Handle::EXPECTED))
            }
        }
    }
    kept
}

fn custom_fields(
    fields: BTreeMap<String, Pii<serde_json::Value>>,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<String, Pii<String>> {
    if fields.len() > limits::FIELDS {
        let message = format!("has {} fields; at most {} are taken", fields.len(), limits::FIELDS);
        errors.push(FieldError::new("fields", "too_many", message));
        return BTreeMap::new();
    }
    let mut kept = BTreeMap::new();
    for (name, value) in fields {
        let name = clean(&name, false);
        let count = name.chars().count();
        if count == 0 || count > limits::FIELD_NAME_CHARS {
            let message = format!("field names have 1 to {} characters", limits::FIELD_NAME_CHARS);
            errors.push(FieldError::new("fields", "invalid_name", message));
            continue;
        }
        let path = format!("fields.{name}");
        match scalar(value.expose(), true) {
            Some(text) => {
                if let Some(text) = block(Some(Pii::new(text)), &path, limits::FIELD_CHARS, errors) {
                    kept.insert(name, text);
                }
            }
            None => errors.push(FieldError::new(
                path,
                "invalid_type",
                "expected text, a number, true or false, or a list of them",
            )),
        }
    }
    kept
}

fn scalar(value: &serde_json::Value, lists: bool) -> Option<String> {
    match value {
        serde_json::Value::Null => Some(String::new()),
        serde_json::Value::Bool(flag) => Some(flag.to_string()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(items) if lists => items
            .iter()
            .map(|item| scalar(item, false))
            .collect::<Option<Vec<_>>>()
            .map(|items| items.join(", ")),
        _ => None,
    }
}

fn consents(
    given: &BTreeMap<ConsentPurpose, ConsentAnswer>,
    documents: &[ConsentDocument],
    received: &Received,
    page: Option<&Pii<String>>,
    errors: &mut Vec<FieldError>,
) -> Vec<Consent> {
    for purpose in given.keys() {
        if !documents.iter().any(|document| document.purpose == *purpose) {
            errors.push(FieldError::new(
                format!("consents.{}", purpose.as_str()),
                "unknown_consent",
                "this source shows no document for this purpose, so the consent would have no evidence; leave it out",
            ));
        }
    }
    let mut kept = Vec::with_capacity(documents.len());
    for document in documents {
        let answer = given.get(&document.purpose);
        let granted = answer.is_some_and(ConsentAnswer::granted);
        if document.required && !granted {
            errors.push(FieldError::new(
                format!("consents.{}", document.purpose.as_str()),
                "consent_required",
                "this consent is needed to take the lead; send `true` when the box is ticked (in a form `1`, `on`, `true`, `yes` or `да`)",
            ));
        }
        kept.push(Consent {
            purpose: document.purpose,
            granted,
            written: answer.and_then(|answer| answer.written().cloned()),
            document_id: document.document_id.clone(),
            document_version: document.version.clone(),
            text_sha256: document.text_sha256(),
            at: received.at,
            ip: received.ip.clone(),
            user_agent: received.user_agent.clone(),
            page: page.cloned(),
        });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(json: serde_json::Value) -> Result<Capture, Vec<FieldError>> {
        let input: CaptureInput = serde_json::from_value(json).unwrap();
        input.validate(&[], Locale::Ru, Received::at(crate::time::epoch()))
    }

    #[test]
    fn everything_to_mend_is_named_at_once() {
        let errors = validate(serde_json::json!({
            "phone": "12",
            "email": "anna",
            "name": "я".repeat(201),
            "fields": {"city": {"nested": 1}},
        }))
        .unwrap_err();
        let codes: Vec<_> = errors.iter().map(|error| (error.field.as_str(), error.code)).collect();
        assert_eq!(
            codes,
            [
                ("name", "too_long"),
                ("phone", "invalid_phone"),
                ("email", "invalid_email"),
                ("fields.city", "invalid_type"),
            ]
        );
    }

    #[test]
    fn values_are_normalised_and_control_characters_dropped() {
        let capture = validate(serde_json::json!({
            "phone": "8 (900) 000-00-00",
            "name": " Анна\u{0}\r\nBcc: x ",
            "comment": "one\r\ntwo\u{7}",
            "fields": {"rooms": 3, "days": ["mon", "tue"], "empty": null},
        }))
        .unwrap();
        assert_eq!(capture.contact.phone.unwrap().expose(), "+79000000000");
        assert_eq!(capture.contact.name.unwrap().expose(), "АннаBcc: x");
        assert_eq!(capture.comment.unwrap().expose(), "one\ntwo");
        assert_eq!(capture.fields["rooms"].expose(), "3");
        assert_eq!(capture.fields["days"].expose(), "mon, tue");
        assert!(!capture.fields.contains_key("empty"));
    }

    #[test]
    fn somebody_must_be_reachable() {
        let errors = validate(serde_json::json!({"name": "Анна"})).unwrap_err();
        assert_eq!(errors[0].code, "contact_required");
    }

    #[test]
    fn a_required_consent_must_be_given_and_unticked_boxes_are_kept() {
        let documents = [
            ConsentDocument {
                purpose: ConsentPurpose::PersonalData,
                document_id: "pd".into(),
                version: "1".into(),
                label: "Согласие".into(),
                text: "Текст".into(),
                required: true,
            },
            ConsentDocument {
                purpose: ConsentPurpose::Advertising,
                document_id: "ad".into(),
                version: "1".into(),
                label: "Реклама".into(),
                text: "Текст".into(),
                required: false,
            },
        ];
        let input = |granted| CaptureInput {
            phone: Some("+79000000000".into()),
            consents: BTreeMap::from([(ConsentPurpose::PersonalData, ConsentAnswer::from(granted))]),
            ..CaptureInput::default()
        };
        let received = || Received::at(crate::time::epoch());
        let errors = input(false).validate(&documents, Locale::Ru, received()).unwrap_err();
        assert_eq!(errors[0].code, "consent_required");
        let capture = input(true).validate(&documents, Locale::Ru, received()).unwrap();
        assert!(capture.consented(ConsentPurpose::PersonalData));
        assert!(!capture.consented(ConsentPurpose::Advertising));
        assert_eq!(capture.consents.len(), 2);
        assert_eq!(capture.consents[0].text_sha256.len(), 64);
    }
}
