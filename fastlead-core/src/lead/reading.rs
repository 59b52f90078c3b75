//! How the fields of a form or of another program's document become a [`CaptureInput`].

use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::mapping::{FieldMapping, Place, compared, dotted, find_place};
use super::note::{CaptureNote, NoteCode};
use super::{CaptureInput, ConsentAnswer, ConsentPurpose, Touch};
use crate::contact::{Email, Handle, Phone};
use crate::secret::Pii;

/// The name of the hidden field in FastLead's own form that people leave empty and programs fill in.
pub const TRAP_FIELD: &str = "fl_leave_empty";

/// What stands beside a question and its answer and says nothing about the person.
const BESIDE: [&str; 9] = ["id", "key", "type", "t", "required", "raw_value", "question_id", "order", "slug"];

/// Bytes of a text after which no more is joined to it; less is kept in the end.
const JOINED_BYTES: usize = 16_384;
/// Numbers or addresses of one request that are tried.
const TRIED: usize = 16;

/// Nested objects that are looked into.
const DEPTH: usize = 8;

/// Reads names and values into a [`CaptureInput`], by the mapping of a source.
///
/// Nothing here is refused: what cannot be read is set aside with a [`CaptureNote`]. An empty value never replaces
/// another, and repeated values of a source's own field are kept together.
#[derive(Debug)]
pub struct InputReader<'m> {
    mapping: &'m FieldMapping,
    names: Vec<(String, &'m Place)>,
    input: CaptureInput,
    touch: Touch,
    phones: Vec<(String, String)>,
    emails: Vec<(String, String)>,
}

impl<'m> InputReader<'m> {
    /// Reads by `mapping`.
    pub fn new(mapping: &'m FieldMapping) -> Self {
        let (input, touch) = (CaptureInput::default(), Touch::default());
        Self { mapping, names: mapping.compared(), input, touch, phones: Vec::new(), emails: Vec::new() }
    }

    /// Adds a note on how the body was read.
    pub fn note(&mut self, note: CaptureNote) {
        self.input.notes.push(note);
    }

    /// Reads a field of a form.
    pub fn field(&mut self, name: &str, value: String) {
        let name = dotted(name);
        let key = compared(&name);
        if let Some(preset) = self.mapping.preset
            && preset.document() == Some(key.as_str())
            && let Ok(document) = serde_json::from_str::<Map<String, Value>>(&value)
        {
            return self.nested("", document, 0);
        }
        match key.as_str() {
            TRAP_FIELD => self.input.bot_check.honeypot = Some(Pii::new(value)),
            "elapsed_millis" => self.input.bot_check.elapsed_millis = value.trim().parse().ok(),
            _ => self.put(&name, &key, Value::String(value)),
        }
    }

    /// Reads a JSON document: FastLead's own names as documented, all others by the mapping.
    pub fn document(&mut self, document: Map<String, Value>) {
        for (name, value) in document {
            match (name.as_str(), value) {
                ("fields", Value::Object(fields)) => self.own_fields(fields),
                ("consents", Value::Object(answers)) => self.consents(answers),
                ("attribution", Value::Object(visits)) => self.attribution(visits),
                ("handles", Value::Array(handles)) => self.handles(handles),
                ("bot_check", Value::Object(mut check)) => {
                    let honeypot = check.remove("honeypot").and_then(|value| text(&value));
                    self.input.bot_check.honeypot = honeypot.map(Pii::new);
                    self.input.bot_check.elapsed_millis =
                        check.remove("elapsed_millis").and_then(|value| value.as_u64());
                }
                ("consents" | "attribution" | "handles" | "bot_check", Value::Null) => {}
                ("consents" | "attribution" | "handles" | "bot_check", value) => {
                    self.note(CaptureNote::new(&name, NoteCode::InvalidType).keeping(&value.to_string()));
                }
                (_, value) => self.value(&name, value, 0),
            }
        }
    }

    /// What was read.
    pub fn finish(mut self) -> CaptureInput {
        let phones = std::mem::take(&mut self.phones);
        let (phone, others) = first_good(phones, |text| Phone::parse(text).is_ok());
        self.input.phone = phone.map(Pii::new);
        let emails = std::mem::take(&mut self.emails);
        let (email, more) = first_good(emails, |text| Email::parse(text).is_ok());
        self.input.email = email.map(Pii::new);
        for (name, value) in others.into_iter().chain(more) {
            self.own(&name, Value::String(value));
        }
        if !self.touch.is_empty() {
            let mut last = self.input.attribution.last.take().unwrap_or_default();
            last.fill(self.touch);
            self.input.attribution.last = Some(last);
        }
        self.input
    }

    fn mapped(&self, key: &str) -> Option<Place> {
        find_place(&self.names, self.mapping.preset, key)
    }

    fn value(&mut self, name: &str, value: Value, depth: usize) {
        match value {
            Value::Object(entries) if depth < DEPTH => self.nested(name, entries, depth + 1),
            Value::Array(items) if depth < DEPTH && items.iter().any(|item| !is_scalar(item)) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.value(&format!("{name}.{index}"), item, depth + 1);
                }
            }
            value => {
                let name = dotted(name);
                let key = compared(&name);
                self.put(&name, &key, value);
            }
        }
    }

    fn nested(&mut self, name: &str, mut entries: Map<String, Value>, depth: usize) {
        if let Some((label, (answer, value))) = labelled(&mut entries) {
            let path = format!("{name}.{answer}");
            let mapped = self.mapped(&compared(&path)).is_some();
            self.value(if mapped { &path } else { &label }, value, depth);
            entries.retain(|entry, _| !BESIDE.contains(&entry.as_str()));
        }
        for (entry, value) in entries {
            let path = if name.is_empty() { entry } else { format!("{name}.{entry}") };
            self.value(&path, value, depth);
        }
    }

    /// The object `fields` of FastLead's own documents: names stay as they are, unless they are mapped.
    fn own_fields(&mut self, fields: Map<String, Value>) {
        for (name, value) in fields {
            match value {
                Value::Object(entries) if !self.mapping.is_empty() => {
                    self.nested(&format!("fields.{name}"), entries, 1);
                }
                value => {
                    let path = compared(&format!("fields.{name}"));
                    let mapped = self.mapped(&path).or_else(|| self.mapped(&compared(&name)));
                    match mapped {
                        Some(place) => self.at(place, &name, value),
                        None => self.own(&name, value),
                    }
                }
            }
        }
    }

    fn consents(&mut self, answers: Map<String, Value>) {
        for (name, value) in answers {
            let purpose = match name.as_str() {
                "personal_data" => ConsentPurpose::PersonalData,
                "advertising" => ConsentPurpose::Advertising,
                "offer" => ConsentPurpose::Offer,
                _ => {
                    let note = CaptureNote::new(&format!("consents.{name}"), NoteCode::UnknownConsent);
                    self.note(note.keeping(&value.to_string()));
                    continue;
                }
            };
            self.answer(purpose, &value);
        }
    }

    fn answer(&mut self, purpose: ConsentPurpose, value: &Value) {
        let answer = match value {
            Value::Bool(granted) => (*granted).into(),
            Value::Null => ConsentAnswer::default(),
            Value::String(text) => ConsentAnswer::read(text),
            Value::Object(_) => ConsentAnswer::deserialize(value)
                .unwrap_or_else(|_unknown| ConsentAnswer::read(&value.to_string())),
            other => ConsentAnswer::read(&other.to_string()),
        };
        // A box that stands twice must be ticked twice.
        let given = self.input.consents.remove(&purpose).unwrap_or_default();
        self.input.consents.insert(purpose, given.and(answer));
    }

    fn attribution(&mut self, visits: Map<String, Value>) {
        for (name, visit) in visits {
            let path = format!("attribution.{name}");
            let visit = match (name.as_str(), visit) {
                (_, Value::Null) => continue,
                ("first" | "last", Value::Object(visit)) => visit,
                (_, other) => {
                    self.note(CaptureNote::new(&path, NoteCode::InvalidType).keeping(&other.to_string()));
                    continue;
                }
            };
            let (touch, notes) = Touch::read(visit, &path);
            self.input.notes.extend(notes);
            match name.as_str() {
                "first" => self.input.attribution.first = Some(touch),
                _ => self.input.attribution.last = Some(touch),
            }
        }
    }

    fn handles(&mut self, handles: Vec<Value>) {
        for (index, handle) in handles.into_iter().enumerate() {
            let kept = handle.to_string();
            match serde_json::from_value::<Handle>(handle) {
                Ok(handle) => self.input.handles.push(handle),
                Err(_) => {
                    let note = CaptureNote::new(&format!("handles.{index}"), NoteCode::InvalidHandle);
                    self.note(note.keeping(&kept));
                }
            }
        }
    }

    fn put(&mut self, name: &str, key: &str, value: Value) {
        let place = self.mapped(key).or_else(|| native(key));
        match place {
            Some(place) => self.at(place, name, value),
            None => self.own(name.strip_prefix("fields.").unwrap_or(name), value),
        }
    }

    fn at(&mut self, place: Place, name: &str, value: Value) {
        let place = match place {
            Place::Field(own) => return self.own(&own, value),
            Place::Consent(purpose) => return self.answer(purpose, &value),
            place => place,
        };
        let Some(text) = text(&value) else { return self.own(name, value) };
        if text.trim().is_empty() {
            return;
        }
        let input = &mut self.input;
        match place {
            Place::Name => join(&mut input.name, &text, " "),
            Place::Comment => join(&mut input.comment, &text, "\n"),
            Place::Phone => self.phones.push((name.to_owned(), text)),
            Place::Email => self.emails.push((name.to_owned(), text)),
            Place::Locale => input.locale = Some(text),
            Place::Page => drop(self.touch.page.get_or_insert(Pii::new(text))),
            Place::Referrer => drop(self.touch.referrer.get_or_insert(Pii::new(text))),
            Place::Parameter(name) => drop(self.touch.take_parameter(&name, &text)),
            Place::Ignore | Place::Field(_) | Place::Consent(_) => {}
        }
    }

    /// A field of the source's own. Repeated values are kept together.
    fn own(&mut self, name: &str, value: Value) {
        let fields = &mut self.input.fields;
        let Some(before) = fields.remove(name) else {
            fields.insert(name.to_owned(), Pii::new(value));
            return;
        };
        let before = before.into_inner();
        let together = match (before, value) {
            (before, value) if is_blank(&value) => before,
            (before, value) if is_blank(&before) => value,
            (Value::Array(mut items), Value::Array(more)) => {
                items.extend(more);
                Value::Array(items)
            }
            (Value::Array(mut items), value) => {
                items.push(value);
                Value::Array(items)
            }
            (before, value) => Value::Array(vec![before, value]),
        };
        fields.insert(name.to_owned(), Pii::new(together));
    }
}

/// FastLead's own names, in any case.
fn native(key: &str) -> Option<Place> {
    Some(match key {
        "name" => Place::Name,
        "phone" => Place::Phone,
        "email" => Place::Email,
        "comment" | "message" => Place::Comment,
        "locale" => Place::Locale,
        "page" => Place::Page,
        "referrer" => Place::Referrer,
        "consent_personal_data" | "consents.personal_data" => Place::Consent(ConsentPurpose::PersonalData),
        "consent_advertising" | "consents.advertising" => Place::Consent(ConsentPurpose::Advertising),
        "consent_offer" | "consents.offer" => Place::Consent(ConsentPurpose::Offer),
        _ if Touch::default().take_parameter(key, "x") => Place::Parameter(key.to_owned()),
        _ => return None,
    })
}

/// The text of a scalar, or of a list of scalars.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(items) => {
            items.iter().map(text).collect::<Option<Vec<_>>>().map(|items| items.join(", "))
        }
        Value::Object(_) => None,
    }
}

const fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A question with its answer, as form tools write them: the question, and the answer with the name it had.
fn labelled(entries: &mut Map<String, Value>) -> Option<(String, (&'static str, Value))> {
    let pairs =
        [("q", "a"), ("question", "answer"), ("title", "value"), ("label", "value"), ("name", "value")];
    let (question, answer) = pairs.into_iter().find(|(question, answer)| {
        let asked =
            entries.get(*question).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
        asked && entries.contains_key(*answer)
    })?;
    let Some(Value::String(label)) = entries.remove(question) else { return None };
    Some((label.trim().to_owned(), (answer, entries.remove(answer)?)))
}

fn join(slot: &mut Option<Pii<String>>, text: &str, between: &str) {
    let joined = match slot.take() {
        Some(before) if before.expose() == text || before.expose().len() > JOINED_BYTES => {
            before.into_inner()
        }
        Some(before) => format!("{}{between}{text}", before.expose()),
        None => text.to_owned(),
    };
    *slot = Some(Pii::new(joined));
}

/// The first value that is `good`, or else the first; and the others.
fn first_good(
    mut values: Vec<(String, String)>,
    good: impl Fn(&str) -> bool,
) -> (Option<String>, Vec<(String, String)>) {
    if values.is_empty() {
        return (None, values);
    }
    let place = values.iter().take(TRIED).position(|(_, text)| good(text)).unwrap_or(0);
    let (_, chosen) = values.remove(place);
    values.retain(|(_, text)| text.trim() != chosen.trim());
    (Some(chosen), values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(mapping: &FieldMapping, pairs: &[(&str, &str)]) -> CaptureInput {
        let mut reader = InputReader::new(mapping);
        for (name, value) in pairs {
            reader.field(name, (*value).to_owned());
        }
        reader.finish()
    }

    #[test]
    fn repeated_names_are_kept_together_and_blank_ones_erase_nothing() {
        let none = FieldMapping::default();
        let input = read(
            &none,
            &[
                ("phone", "+79000000000"),
                ("phone", ""),
                ("Phone", "+79000000001"),
                ("a[]", "1"),
                ("a[]", ""),
                ("a[]", "2"),
                ("name", "Anna"),
                ("NAME", "Anna"),
                ("comment", "one"),
                ("message", "two"),
                ("consent_offer", "1"),
                ("consent_offer", "нет"),
            ],
        );
        assert_eq!(input.phone.unwrap().expose(), "+79000000000");
        assert_eq!(input.fields["Phone"].expose(), "+79000000001", "a second number is kept");
        assert_eq!(input.fields["a"].expose(), &json!(["1", "2"]));
        assert_eq!(input.name.unwrap().expose(), "Anna");
        assert_eq!(input.comment.unwrap().expose(), "one\ntwo");
        assert!(!input.consents[&ConsentPurpose::Offer].granted());
        // A hidden field in the manner of Rails (before the box) and of ASP.NET (behind it) says nothing beside a tick.
        for (values, granted) in [
            (["0", "1"], true),
            (["true", "false"], true),
            (["", "on"], true),
            (["0", "0"], false),
            (["off", "1"], false),
            (["1", "no"], false),
            (["false", ""], false),
        ] {
            let input = read(&none, &values.map(|value| ("consent_offer", value)));
            assert_eq!(input.consents[&ConsentPurpose::Offer].granted(), granted, "{values:?}");
        }
        let second = read(&none, &[("phone", "нет"), ("phone", "+79000000000")]);
        assert_eq!(second.phone.unwrap().expose(), "+79000000000", "the one that is a number");
    }

    #[test]
    fn what_is_unreadable_in_a_document_is_noted() {
        let none = FieldMapping::default();
        let document = json!({
            "phone": 79000000000_u64, "handles": [{"messenger": 5}], "consents": "yes", "contact": {"city": "Казань"},
            "bot_check": {"elapsed_millis": "x"}, "attribution": {
                "first": {"at": "-262143-01-01T00:00:00Z"},
                "last": {"click_ids": {"yclid": 5, "x": []}, "at": "2026-11-29T00:00:00Z"},
            },
        });
        let Value::Object(document) = document else { panic!() };
        let mut reader = InputReader::new(&none);
        reader.document(document);
        let input = reader.finish();
        assert_eq!(input.phone.unwrap().expose(), "79000000000");
        assert!(input.consents.is_empty() && input.handles.is_empty());
        assert_eq!(input.fields["contact.city"].expose(), "Казань");
        let last = input.attribution.last.unwrap();
        assert_eq!((last.click_ids["yclid"].as_str(), last.at.is_some()), ("5", true));
        assert_eq!(input.attribution.first.unwrap().at, None);
        let mut noted: Vec<_> = input.notes.iter().map(|note| note.field.as_str()).collect();
        noted.sort_unstable();
        assert_eq!(noted, ["attribution.first.at", "consents", "handles.0"]);
    }
}
