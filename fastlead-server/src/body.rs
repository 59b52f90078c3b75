//! The bodies in which forms come: JSON, URL-encoded and multipart, in UTF-8 or another encoding.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1251};
use fastlead_core::lead::{CaptureInput, CaptureNote, FieldMapping, InputReader, NoteCode};
use multer::{Constraints, Field, Multipart, SizeLimit};
use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use crate::capture::too_large;
use crate::problem::Problem;

/// Bytes of a multipart body with its files, which are read and thrown away.
const MULTIPART_BYTES: u64 = 32 * 1_024 * 1_024;
/// Bytes that a part of a multipart body counts beside its text.
const PART_BYTES: usize = 64;

/// The name under which browsers say in which encoding a form is (HTML, `form` submission: `_charset_`).
const CHARSET_FIELD: &[u8] = b"_charset_";

/// A form as names and values.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) pairs: Vec<(String, String)>,
    notes: Vec<CaptureNote>,
}

/// What a body says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    UrlEncoded,
    /// With its boundary.
    Multipart(String),
    /// Nothing, or plain text: scripts send JSON so.
    Unsaid,
    Other,
}

/// The type of a body and the encoding that it is said to be in.
pub(crate) fn media(headers: &HeaderMap) -> (Media, Option<&'static Encoding>) {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let media = match media.as_str() {
        "" | "text/plain" => Media::Unsaid,
        "application/x-www-form-urlencoded" => Media::UrlEncoded,
        "multipart/form-data" => match multer::parse_boundary(content_type) {
            Ok(boundary) => Media::Multipart(boundary),
            Err(_) => Media::Other,
        },
        "application/json" | "text/json" => Media::Json,
        json if json.starts_with("application/") && json.ends_with("+json") => Media::Json,
        _ => Media::Other,
    };
    (media, charset(content_type))
}

fn charset(content_type: &str) -> Option<&'static Encoding> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, label) = parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Encoding::for_label(label.trim().trim_matches('"').as_bytes())
}

/// Reads bytes in the encoding that they are said to be in. Bytes that are not UTF-8 and are not said to be anything
/// else are windows-1251: it is what old Russian pages send. Returns whether that was guessed.
fn decoded(bytes: &[u8], said: Option<&'static Encoding>) -> (String, bool) {
    match said {
        Some(encoding) if encoding != UTF_8 => {
            (encoding.decode_without_bom_handling(bytes).0.into_owned(), false)
        }
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), false),
            Err(_) if is_cut(bytes) => (String::from_utf8_lossy(bytes).into_owned(), false),
            Err(_) => (WINDOWS_1251.decode_without_bom_handling(bytes).0.into_owned(), true),
        },
    }
}

/// Whether bytes are UTF-8 but for characters that somebody has cut in the middle: most of what is not ASCII can be read.
fn is_cut(bytes: &[u8]) -> bool {
    let (mut read, mut cut) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        read += chunk.valid().chars().filter(|char| !char.is_ascii()).count();
        cut += usize::from(!chunk.invalid().is_empty());
    }
    read > 0 && read >= cut
}

/// Reads a URL-encoded form.
pub(crate) fn url_encoded(body: &[u8], said: Option<&'static Encoding>) -> Form {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let mut half = || {
            let plus = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
            let spaced: Vec<u8> = halves.next().unwrap_or_default().iter().map(plus).collect();
            percent_decode(&spaced).collect::<Vec<u8>>()
        };
        (half(), half(), None)
    });
    form(pairs.collect(), said)
}

/// Reads a multipart form. Files are read to their end and not kept.
pub(crate) async fn multipart(body: Body, boundary: String, limit: usize) -> Result<Form, Problem> {
    let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(MULTIPART_BYTES));
    let mut parts = Multipart::with_constraints(body.into_data_stream(), boundary, constraints);
    let (mut pairs, mut notes, mut taken) = (Vec::new(), Vec::new(), 0_usize);
    while let Some(mut part) = parts.next_field().await.map_err(|error| unreadable(&error))? {
        let name = part.name().unwrap_or_default().to_owned();
        let file = part.file_name().map(str::to_owned);
        let said =
            part.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(charset);
        taken = taken.saturating_add(name.len()).saturating_add(PART_BYTES);
        if let Some(file) = file {
            let any = skipped(&mut part).await?;
            // A browser sends a part without a name and content where no file was chosen.
            if any || !file.is_empty() {
                notes.push(CaptureNote::new(&name, NoteCode::FileNotTaken).keeping(&file));
            }
        } else {
            let mut bytes = Vec::new();
            while let Some(chunk) = part.chunk().await.map_err(|error| unreadable(&error))? {
                taken = taken.saturating_add(chunk.len());
                if taken > limit {
                    break;
                }
                bytes.extend_from_slice(&chunk);
            }
            pairs.push((name.into_bytes(), bytes, said));
        }
        if taken > limit {
            return Err(too_large(StatusCode::PAYLOAD_TOO_LARGE, limit));
        }
    }
    let mut form = form(pairs, None);
    form.notes.extend(notes);
    Ok(form)
}

async fn skipped(part: &mut Field<'_>) -> Result<bool, Problem> {
    let mut any = false;
    while let Some(chunk) = part.chunk().await.map_err(|error| unreadable(&error))? {
        any |= !chunk.is_empty();
    }
    Ok(any)
}

fn unreadable(error: &multer::Error) -> Problem {
    match error {
        multer::Error::StreamSizeExceeded { .. } => {
            let detail = format!(
                "the form with its files is larger than {MULTIPART_BYTES} bytes; send it without files"
            );
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        }
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_form",
            "the body is not a complete multipart form; send it again",
        ),
    }
}

type Pair = (Vec<u8>, Vec<u8>, Option<&'static Encoding>);

fn form(pairs: Vec<Pair>, said: Option<&'static Encoding>) -> Form {
    let inside = pairs.iter().find(|(name, ..)| name == CHARSET_FIELD);
    let said = said.or_else(|| Encoding::for_label(&inside?.1));
    let (mut form, mut guessed) = (Form::default(), false);
    for (name, value, own) in pairs {
        if name == CHARSET_FIELD {
            continue;
        }
        let ((name, one), (value, two)) = (decoded(&name, own.or(said)), decoded(&value, own.or(said)));
        if one || two {
            guessed = true;
        }
        form.pairs.push((name, value));
    }
    if guessed {
        form.notes.push(CaptureNote::new("", NoteCode::ReadAsWindows1251));
    }
    form
}

impl Form {
    /// Whether it is what Tilda sends when a webhook is connected; it must get 200.
    pub(crate) fn is_tilda_check(&self) -> bool {
        matches!(&self.pairs[..], [(name, value)] if name == "test" && value == "test")
    }

    /// The input by the mapping of a source.
    pub(crate) fn into_input(self, mapping: &FieldMapping) -> CaptureInput {
        let mut reader = InputReader::new(mapping);
        for note in self.notes {
            reader.note(note);
        }
        for (name, value) in self.pairs {
            reader.field(&name, value);
        }
        reader.finish()
    }

    /// The bytes that are the same whenever the same form is sent again: the boundary of a multipart body is not.
    pub(crate) fn identity(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in &self.pairs {
            for part in [name, value] {
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
                bytes.extend_from_slice(part.as_bytes());
            }
        }
        bytes
    }
}

/// Reads a JSON document. Where a source has no mapping, its shape is that of [`CaptureInput`].
pub(crate) fn document(
    body: &[u8],
    said: Option<&'static Encoding>,
    mapping: &FieldMapping,
) -> Result<CaptureInput, Problem> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let (text, guessed) = decoded(body, said);
    let text = crate::json::whole_escapes(&text);
    let document: Map<String, Value> = match crate::json::read(text.as_bytes()) {
        Ok(document) => document,
        Err(problem) => match crate::json::within_bounds(&text) {
            Some(mended) => crate::json::read(mended.as_bytes())?,
            None => return Err(problem),
        },
    };
    if mapping.is_empty()
        && let Some(consents) = document.get("consents")
    {
        // A list where an object is expected would be read as granting. Whatever else has another form is set aside.
        crate::json::objects_are_objects_at("consents", consents)?;
    }
    let mut reader = InputReader::new(mapping);
    if guessed {
        reader.note(CaptureNote::new("", NoteCode::ReadAsWindows1251));
    }
    reader.document(document);
    Ok(reader.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(form: &Form) -> Vec<(&str, &str)> {
        form.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[test]
    fn bytes_are_read_in_their_encoding() {
        let anna = [("name", "Анна"), ("a", "1 +")];
        for body in ["name=%C0%ED%ED%E0&a=1+%2B", "name=%D0%90%D0%BD%D0%BD%D0%B0&a=1+%2B"] {
            assert_eq!(pairs(&url_encoded(body.as_bytes(), None)), anna, "{body}");
        }
        assert_eq!(pairs(&url_encoded(b"name=%C0%ED%ED%E0&_charset_=windows-1251&a=1+%2B", None)), anna);
        let koi8 = Encoding::for_label(b"koi8-r");
        assert_eq!(pairs(&url_encoded(b"name=%E1%CE%CE%C1&a=1+%2B", koi8)), anna);
        let mixed = url_encoded(b"name=%D0%90%D0%BD%D0%BD%D0%B0&city=%CC%EE%F1%EA%E2%E0", None);
        assert_eq!(pairs(&mixed), [("name", "Анна"), ("city", "Москва")], "one value does not spoil another");
        assert_eq!(mixed.notes.len(), 1);
        assert_eq!(
            pairs(&url_encoded(b"&&a&b=%&=c&%zz=%", None)),
            [("a", ""), ("b", "%"), ("", "c"), ("%zz", "%")]
        );
    }

    /// PHP's `substr` and cut tags end in the middle of a character.
    #[test]
    fn a_character_that_was_cut_spoils_no_other() {
        for said in [None, Some(UTF_8)] {
            let form = url_encoded(b"name=%D0%90%D0%BD%D0%BD%D0", said);
            assert_eq!(pairs(&form), [("name", "Анн\u{fffd}")]);
            assert!(form.notes.is_empty());
        }
        let body =
            b"{\"phone\": \"+79000000000\", \"name\": \"\xd0\x90\xd0\", \"comment\": \"\xd0\x94\xd0\xb0\"}";
        let input = document(body, None, &FieldMapping::default()).unwrap();
        assert_eq!(input.comment.unwrap().expose(), "Да");
        // As windows-1251 it says «ЕКАТЕРИНБУРГ»: hardly a pair of bytes is a character of UTF-8 by chance.
        let form = url_encoded(b"city=%C5%CA%C0%D2%C5%D0%C8%CD%C1%D3%D0%C3", None);
        assert_eq!(pairs(&form), [("city", "ЕКАТЕРИНБУРГ")]);
    }

    #[test]
    fn half_an_emoji_costs_no_lead() {
        for (sent, read) in [
            (r#""ok \ud83d""#, "ok \u{fffd}"),
            (r#""\ude00 ok""#, "\u{fffd} ok"),
            (r#""\ud83d\ude00 \\ud83d""#, "😀 \\ud83d"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        ] {
            let body = format!(r#"{{"phone": "+79000000000", "comment": {sent}}}"#);
            let input = document(body.as_bytes(), None, &FieldMapping::default()).unwrap();
            assert_eq!(input.comment.unwrap().expose(), read, "{sent}");
        }
    }

    #[test]
    fn a_list_where_a_text_belongs_is_set_aside_but_for_consents() {
        for accessory in [
            r#""name": ["Iv", "an"]"#,
            r#""comment": ["a"]"#,
            r#""attribution": []"#,
            r#""fields": []"#,
            r#""attribution": {"last": {"utm_source": ["a"]}}"#,
        ] {
            let body = format!(r#"{{"phone": "+79000000000", {accessory}}}"#);
            let input = document(body.as_bytes(), None, &FieldMapping::default()).unwrap();
            assert_eq!(input.phone.unwrap().expose(), "+79000000000", "{accessory}");
        }
        for consents in [r#"["personal_data"]"#, r#"{"personal_data": [true]}"#] {
            let body = format!(r#"{{"phone": "+79000000000", "consents": {consents}}}"#);
            assert_eq!(document(body.as_bytes(), None, &FieldMapping::default()).unwrap_err().status, 422);
        }
    }

    /// Whatever else says yes beside it, and in whichever order.
    #[test]
    fn a_consent_that_is_refused_in_one_place_is_refused() {
        use fastlead_core::lead::ConsentPurpose;
        for answers in [
            r#""consents": {"personal_data": false}, "consent_personal_data": "1""#,
            r#""consent_personal_data": "1", "consents": {"personal_data": false}"#,
            r#""consent_personal_data": false, "Consent_personal_data": "1""#,
            r#""CONSENTS": {"personal_data": true}, "consents": {"personal_data": false}"#,
            r#""consents": {"personal_data": "нет"}, "consent_personal_data": true"#,
        ] {
            let body = format!(r#"{{"phone": "+79000000000", {answers}}}"#);
            let input = document(body.as_bytes(), None, &FieldMapping::default()).unwrap();
            let granted =
                input.consents.get(&ConsentPurpose::PersonalData).is_some_and(|answer| answer.granted());
            assert!(!granted, "{answers}");
        }
    }

    #[test]
    fn a_type_is_known_by_its_header() {
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, text.parse().unwrap())]);
            let (media, charset) = media(&headers);
            (media, charset.map(Encoding::name))
        };
        assert_eq!(read("application/json; charset=utf-8"), (Media::Json, Some("UTF-8")));
        assert_eq!(
            read("application/x-www-form-urlencoded;Charset=\"cp1251\""),
            (Media::UrlEncoded, Some("windows-1251"))
        );
        assert_eq!(read("Multipart/Form-Data; boundary=x"), (Media::Multipart("x".to_owned()), None));
        assert_eq!(read("multipart/form-data"), (Media::Other, None));
        assert_eq!(read("application/cloudevents+json").0, Media::Json);
        assert_eq!(read("text/plain;charset=UTF-8").0, Media::Unsaid);
        assert_eq!(read("application/xml").0, Media::Other);
    }
}
