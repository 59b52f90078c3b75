//! What comes in from outside, and how it becomes a [`Capture`] or a list of what to mend.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::note::{CaptureNote, NoteCode, Notes};
use super::{
    Attribution, Automated, Capture, Consent, ConsentAnswer, ConsentDocument, ConsentPurpose, Received, found,
};
use crate::contact::{Contact, Email, Handle, Phone};
use crate::error::{Error, ErrorKind};
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
    /// Which boxes were ticked, by purpose; and, where the sender says so, beside which text.
    pub consents: BTreeMap<ConsentPurpose, ConsentAnswer>,
    /// The language to answer in, as a BCP 47 tag; the source's language where absent.
    pub locale: Option<String>,
    /// What helps to tell people from programs. Not part of the lead.
    pub bot_check: BotCheck,
    /// What was set aside when the body was read; see [`super::InputReader`].
    #[serde(skip)]
    pub notes: Vec<CaptureNote>,
    /// Why a program seems to have filled in the form, where the source keeps such leads for a person to look at.
    #[serde(skip)]
    pub automated: Option<Automated>,
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

impl BotCheck {
    /// Why a program seems to have filled in the form: the field that people do not see is filled in, or it was sent
    /// faster than `min_fill_millis` milliseconds.
    pub fn automated(&self, min_fill_millis: u32) -> Option<Automated> {
        if self.honeypot.as_ref().is_some_and(|value| !value.expose().is_empty()) {
            return Some(Automated::Trap);
        }
        self.elapsed_millis
            .filter(|elapsed| *elapsed < u64::from(min_fill_millis))
            .map(|_| Automated::TooFast)
    }
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

/// Everything to mend in an input, as the cause of an [`Error`]. It never repeats what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFaults(pub Vec<FieldError>);

impl InputFaults {
    /// What is to be mended, where that is why something failed.
    ///
    /// ```
    /// use fastlead_core::lead::{FieldError, InputFaults};
    ///
    /// let fault = FieldError { field: "phone".into(), code: "invalid_phone", message: "too short".into() };
    /// let error = fastlead_core::Error::from(InputFaults(vec![fault.clone()]));
    /// assert_eq!(error.message(), "phone: too short");
    /// assert_eq!(InputFaults::of(&error), [fault]);
    /// ```
    pub fn of(error: &Error) -> &[FieldError] {
        let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Self>());
        cause.map_or(&[], |faults| &faults.0)
    }
}

impl fmt::Display for InputFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", fault.field, fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for InputFaults {}

impl From<InputFaults> for Error {
    fn from(faults: InputFaults) -> Self {
        Self::new(ErrorKind::Invalid, faults.to_string()).with_operation("capture").with_source(faults)
    }
}

impl CaptureInput {
    /// Normalises the input against the documents that the source shows.
    ///
    /// What is too long, wrong or too much is cut or set aside, with a note in [`Capture::notes`]. Where no contact
    /// field has a contact, the first phone number or e-mail address among the other fields is taken.
    ///
    /// # Errors
    /// Everything that must be mended, not just the first thing: no contact is left, or a required consent is missing.
    pub fn validate(
        self,
        documents: &[ConsentDocument],
        default_locale: Locale,
        received: Received,
    ) -> Result<Capture, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut notes = Notes::from(self.notes);
        let mut faults = Vec::new();
        let (phone, phone_extension, phone_note) =
            match address(self.phone, "phone", "invalid_phone", Phone::read, &mut faults) {
                Some(read) => (Some(read.phone), read.extension.map(Pii::new), read.rest.map(Pii::new)),
                None => (None, None, None),
            };
        let mut contact = Contact {
            name: line(self.name, "name", limits::NAME_CHARS, &mut notes),
            phone,
            phone_extension,
            phone_note,
            email: typed_email(self.email, &mut faults, &mut notes),
            handles: handles(self.handles, &mut faults, &mut notes),
        };
        let mut fields = custom_fields(self.fields, &mut notes);
        let is_reachable = |contact: &Contact| {
            contact.phone.is_some() || contact.email.is_some() || !contact.handles.is_empty()
        };
        if !is_reachable(&contact) {
            find_contact(&mut contact, &fields, &faults, &mut notes);
        }
        if !is_reachable(&contact) {
            let texts = [("comment", self.comment.as_ref()), ("name", contact.name.as_ref())];
            let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?.expose().as_str())));
            let texts =
                texts.chain(fields.iter().map(|(name, text)| (name.as_str(), text.expose().as_str())));
            let found =
                texts.filter_map(|(name, text)| Some((name.to_owned(), found::in_text(text)?))).next();
            if let Some((name, (phone, email))) = found {
                notes.add(CaptureNote::new(&name, NoteCode::FoundByValue));
                (contact.phone, contact.email) = (phone, email);
            }
        }
        if is_reachable(&contact) {
            for fault in faults {
                notes.add(fault.note());
            }
        } else if faults.is_empty() {
            let unread = notes.iter().filter(|note| note.code == NoteCode::InvalidHandle);
            errors
                .extend(unread.map(|note| FieldError::new(&*note.field, "invalid_handle", Handle::EXPECTED)));
            errors.push(FieldError::new(
                "phone",
                "contact_required",
                "give a phone number, an e-mail address or a messenger account",
            ));
        } else {
            errors.extend(faults.into_iter().map(|fault| fault.error));
        }
        set_aside_surplus(&mut fields, &mut notes);
        let comment = block(self.comment, "comment", limits::COMMENT_CHARS, &mut notes);
        let attribution = Attribution {
            first: self.attribution.first.map(super::Touch::tidy).filter(|touch| !touch.is_empty()),
            last: self.attribution.last.map(super::Touch::tidy).filter(|touch| !touch.is_empty()),
        };
        let page = attribution.last.as_ref().and_then(|touch| touch.page.clone());
        let locale = self.locale.as_deref().and_then(Locale::from_tag).unwrap_or(default_locale);
        let shown = shown(&self.consents, documents, (locale, default_locale), &mut errors);
        note_unknown(&self.consents, documents, &mut notes);
        let consents = consents(&self.consents, &shown, &received, page.as_ref(), &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let (enrichment, person) = (Vec::new(), None);
        let (notes, automated) = (notes.into_inner(), self.automated);
        Ok(Capture {
            contact,
            comment,
            fields,
            attribution,
            consents,
            notes,
            automated,
            locale,
            received,
            enrichment,
            person,
            erased_at: None,
        })
    }
}

/// A contact that cannot be read: the reason to refuse where no other is left, or else a note.
struct Fault {
    error: FieldError,
    sent: String,
}

impl Fault {
    fn note(&self) -> CaptureNote {
        let code = match self.error.code {
            "invalid_phone" => NoteCode::InvalidPhone,
            "invalid_email" => NoteCode::InvalidEmail,
            _ => NoteCode::InvalidHandle,
        };
        CaptureNote::new(&self.error.field, code).keeping(&self.sent)
    }
}

/// Takes the contact from where it stands instead: another field, or the wrong one of two.
fn find_contact(
    contact: &mut Contact,
    fields: &BTreeMap<String, Pii<String>>,
    faults: &[Fault],
    notes: &mut Notes,
) {
    let sent = faults.iter().map(|fault| (fault.error.field.clone(), Pii::new(fault.sent.clone()))).collect();
    for places in [&sent, fields] {
        if contact.phone.is_none()
            && let Some((name, phone)) = found::phone(places)
        {
            notes.add(CaptureNote::new(&name, NoteCode::FoundByValue));
            contact.phone = Some(phone);
        }
        if contact.email.is_none()
            && let Some((name, email)) = found::email(places)
        {
            notes.add(CaptureNote::new(&name, NoteCode::FoundByValue));
            contact.email = Some(email);
        }
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
    notes: &mut Notes,
) -> Option<Pii<String>> {
    let mut text = clean(value?.expose(), keep_lines);
    if let Some((end, _)) = text.char_indices().nth(max) {
        text.truncate(end);
        notes.add(CaptureNote::new(field, NoteCode::TooLong));
    }
    (!text.is_empty()).then(|| Pii::new(text))
}

fn line(value: Option<Pii<String>>, field: &str, max: usize, notes: &mut Notes) -> Option<Pii<String>> {
    bounded(value, field, max, false, notes)
}

fn block(value: Option<Pii<String>>, field: &str, max: usize, notes: &mut Notes) -> Option<Pii<String>> {
    bounded(value, field, max, true, notes)
}

fn address<T, E: std::fmt::Display>(
    value: Option<Pii<String>>,
    field: &str,
    code: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let value = value?;
    if value.expose().trim().is_empty() {
        return None;
    }
    let fault = |error: E| {
        faults.push(Fault {
            error: FieldError::new(field, code, error.to_string()),
            sent: value.expose().clone(),
        });
    };
    parse(value.expose()).map_err(fault).ok()
}

/// The address in the field for one. What stands around it is noted.
fn typed_email(value: Option<Pii<String>>, faults: &mut Vec<Fault>, notes: &mut Notes) -> Option<Email> {
    let read = |text: &str| match Email::parse(text) {
        Ok(email) => Ok((email, false)),
        Err(error) => Email::find(text).map(|email| (email, true)).ok_or(error),
    };
    let sent = value.clone();
    let (email, found) = address(value, "email", "invalid_email", read, faults)?;
    if found {
        let sent = sent.map_or_else(String::new, |sent| sent.expose().clone());
        notes.add(CaptureNote::new("email", NoteCode::FoundByValue).keeping(&sent));
    }
    Some(email)
}

fn handles(handles: Vec<Handle>, faults: &mut Vec<Fault>, notes: &mut Notes) -> Vec<Handle> {
    let mut kept = Vec::with_capacity(handles.len().min(limits::HANDLES));
    for (index, handle) in handles.into_iter().enumerate() {
        let field = format!("handles.{index}");
        let sent = serde_json::to_string(&handle).unwrap_or_default();
        match handle.read() {
            Some(handle) if kept.len() < limits::HANDLES => kept.push(handle),
            Some(_) => notes.add(CaptureNote::new(&field, NoteCode::TooMany).keeping(&sent)),
            None => {
                faults
                    .push(Fault { error: FieldError::new(field, "invalid_handle", Handle::EXPECTED), sent });
            }
        }
    }
    kept
}

fn custom_fields(
    fields: BTreeMap<String, Pii<serde_json::Value>>,
    notes: &mut Notes,
) -> BTreeMap<String, Pii<String>> {
    let mut kept: BTreeMap<String, Pii<String>> = BTreeMap::new();
    for (name, value) in fields {
        let text = scalar(value.expose(), true).unwrap_or_else(|| {
            notes.add(CaptureNote::new(&format!("fields.{name}"), NoteCode::InvalidType));
            value.expose().to_string()
        });
        let whole = clean(&name, false);
        let name: String = whole.chars().take(limits::FIELD_NAME_CHARS).collect();
        let path = format!("fields.{name}");
        if name.is_empty() || kept.contains_key(&name) {
            notes.add(CaptureNote::new(&path, NoteCode::InvalidName).keeping(&text));
            continue;
        }
        if name.len() < whole.len() {
            notes.add(CaptureNote::new(&path, NoteCode::InvalidName));
        }
        if let Some(text) = block(Some(Pii::new(text)), &path, limits::FIELD_CHARS, notes) {
            kept.insert(name, text);
        }
    }
    kept
}

/// Sets aside the fields that are too many.
fn set_aside_surplus(fields: &mut BTreeMap<String, Pii<String>>, notes: &mut Notes) {
    let Some(first) = fields.keys().nth(limits::FIELDS).cloned() else { return };
    let surplus = fields.split_off(&first);
    let text: Vec<String> =
        surplus.iter().map(|(name, value)| format!("{name}: {}", value.expose())).collect();
    notes.add(CaptureNote::new("fields", NoteCode::TooMany).keeping(&text.join("\n")));
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

/// Documents beside whose boxes the person has answered, one for each purpose: those that the answers name, or else
/// those that the source shows in the person's language.
fn shown<'d>(
    given: &BTreeMap<ConsentPurpose, ConsentAnswer>,
    documents: &'d [ConsentDocument],
    (locale, default): (Locale, Locale),
    errors: &mut Vec<FieldError>,
) -> Vec<&'d ConsentDocument> {
    let mut chosen = ConsentDocument::in_locale(documents, locale, default);
    for document in &mut chosen {
        let Some(named) = given.get(&document.purpose).and_then(ConsentAnswer::shown) else { continue };
        let same = |other: &&ConsentDocument| {
            other.purpose == document.purpose
                && other.version == named.version
                && other.text_sha256() == named.text_sha256
        };
        match documents.iter().find(same) {
            Some(found) => *document = found,
            None => errors.push(FieldError::new(
                format!("consents.{}", document.purpose.as_str()),
                "consent_changed",
                "the source has no such text: show the document that it has now, and ask again",
            )),
        }
    }
    chosen
}

/// Notes the answers to documents that the source does not show.
fn note_unknown(
    given: &BTreeMap<ConsentPurpose, ConsentAnswer>,
    documents: &[ConsentDocument],
    notes: &mut Notes,
) {
    for (purpose, answer) in given {
        if !documents.iter().any(|document| document.purpose == *purpose) {
            let note = CaptureNote::new(&format!("consents.{}", purpose.as_str()), NoteCode::UnknownConsent);
            let sent =
                answer.written().map_or_else(|| answer.granted().to_string(), |text| text.expose().clone());
            notes.add(note.keeping(&sent));
        }
    }
}

fn consents(
    given: &BTreeMap<ConsentPurpose, ConsentAnswer>,
    documents: &[&ConsentDocument],
    received: &Received,
    page: Option<&Pii<String>>,
    errors: &mut Vec<FieldError>,
) -> Vec<Consent> {
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

    fn noted(capture: &Capture) -> Vec<(&str, NoteCode, Option<&str>)> {
        capture
            .notes
            .iter()
            .map(|note| {
                (note.field.as_str(), note.code, note.kept.as_ref().map(|kept| kept.expose().as_str()))
            })
            .collect()
    }

    #[test]
    fn everything_to_mend_is_named_at_once() {
        let errors = validate(serde_json::json!({"phone": "12", "email": "anna", "name": "я".repeat(201)}))
            .unwrap_err();
        let codes: Vec<_> = errors.iter().map(|error| (error.field.as_str(), error.code)).collect();
        assert_eq!(codes, [("phone", "invalid_phone"), ("email", "invalid_email")]);
    }

    #[test]
    fn what_is_too_long_wrong_or_too_much_does_not_cost_the_lead() {
        let many: serde_json::Map<String, serde_json::Value> =
            (0..51).map(|index| (format!("f{index:02}"), "x".into())).collect();
        for (input, note) in [
            (serde_json::json!({"name": "я".repeat(201)}), ("name", NoteCode::TooLong, None)),
            (serde_json::json!({"comment": "я".repeat(4_001)}), ("comment", NoteCode::TooLong, None)),
            (serde_json::json!({"email": "нет"}), ("email", NoteCode::InvalidEmail, Some("нет"))),
            (
                serde_json::json!({"fields": {"cookies": "x".repeat(2_001)}}),
                ("fields.cookies", NoteCode::TooLong, None),
            ),
            (serde_json::json!({"fields": {"": "x"}}), ("fields.", NoteCode::InvalidName, Some("x"))),
            (serde_json::json!({"fields": many}), ("fields", NoteCode::TooMany, Some("f50: x"))),
            (
                serde_json::json!({"fields": {"city": {"nested": 1}}}),
                ("fields.city", NoteCode::InvalidType, None),
            ),
            (
                serde_json::json!({"consents": {"offer": true}}),
                ("consents.offer", NoteCode::UnknownConsent, Some("true")),
            ),
        ] {
            let mut input = input;
            input["phone"] = "+79000000000".into();
            let capture = validate(input.clone()).unwrap_or_else(|errors| panic!("{input}: {errors:?}"));
            assert_eq!(noted(&capture), [note]);
            assert!(capture.fields.len() <= limits::FIELDS);
            let text = serde_json::to_string(&capture).unwrap();
            assert_eq!(serde_json::from_str::<Capture>(&text).unwrap(), capture);
        }
        let nested =
            validate(serde_json::json!({"email": "a@example.com", "phone": "12", "fields": {"a": {"b": 1}}}));
        let nested = nested.unwrap();
        assert_eq!(nested.fields["a"].expose(), r#"{"b":1}"#);
        assert_eq!(noted(&nested)[1], ("phone", NoteCode::InvalidPhone, Some("12")));
    }

    #[test]
    fn a_contact_is_found_where_it_stands() {
        let capture =
            validate(serde_json::json!({"fields": {"ask": "8 900 000-00-00", "post": "a@example.com"}}));
        let capture = capture.unwrap();
        assert_eq!(capture.contact.phone.as_ref().unwrap().expose(), "+79000000000");
        assert_eq!(capture.contact.email.as_ref().unwrap().expose(), "a@example.com");
        let found = NoteCode::FoundByValue;
        assert_eq!(noted(&capture), [("ask", found, None), ("post", found, None)]);
        let swapped = validate(serde_json::json!({"phone": "a@example.com", "fields": {"x": "no"}})).unwrap();
        assert_eq!(swapped.contact.email.unwrap().expose(), "a@example.com");
        let enough =
            validate(serde_json::json!({"email": "b@example.com", "fields": {"ask": "8 900 000-00-00"}}));
        assert_eq!(enough.unwrap().contact.phone, None, "a contact field has one");
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
                locale: None,
                document_id: "pd".into(),
                version: "1".into(),
                label: "Согласие".into(),
                text: "Текст".into(),
                required: true,
            },
            ConsentDocument {
                purpose: ConsentPurpose::Advertising,
                locale: None,
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

    #[test]
    fn the_text_that_was_shown_is_proved_and_no_other() {
        let russian = ConsentDocument {
            purpose: ConsentPurpose::PersonalData,
            locale: None,
            document_id: "pd".into(),
            version: "1".into(),
            label: "Согласие".into(),
            text: "Текст".into(),
            required: true,
        };
        let english = ConsentDocument {
            locale: Some(Locale::En),
            label: "Consent".into(),
            text: "Text".into(),
            ..russian.clone()
        };
        let documents = [russian.clone(), english.clone()];
        let capture = |locale: Option<&str>, shown: Option<(&str, String)>| {
            let answer = ConsentAnswer::from(true);
            let answer = match shown {
                Some((version, text_sha256)) => {
                    answer.beside(super::super::ShownText { version: version.to_owned(), text_sha256 })
                }
                None => answer,
            };
            let input = CaptureInput {
                phone: Some("+79000000000".into()),
                locale: locale.map(str::to_owned),
                consents: BTreeMap::from([(ConsentPurpose::PersonalData, answer)]),
                ..CaptureInput::default()
            };
            let capture = input.validate(&documents, Locale::Ru, Received::at(crate::time::epoch()))?;
            assert_eq!(capture.consents.len(), 1);
            Ok::<_, Vec<FieldError>>(capture.consents[0].text_sha256.clone())
        };
        assert_eq!(capture(None, None).unwrap(), russian.text_sha256());
        assert_eq!(capture(Some("en"), None).unwrap(), english.text_sha256());
        assert_eq!(capture(Some("ru"), Some(("1", english.text_sha256()))).unwrap(), english.text_sha256());
        for wrong in [("1", "0".repeat(64)), ("2", english.text_sha256())] {
            assert_eq!(capture(None, Some(wrong)).unwrap_err()[0].code, "consent_changed");
        }
    }
}
