//! Bodies in JSON, and what is wrong with them.

mod bounds;
mod strict;

use std::borrow::Cow;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use bounds::within_bounds;
pub(crate) use strict::objects_are_objects;

use crate::problem::{FieldProblem, Problem};

/// The problem of a document whose shape is wrong at `path`; empty for the whole. It never repeats a value.
fn shape(path: &str, what: &str) -> Problem {
    let (code, status) = ("invalid_json_type", StatusCode::UNPROCESSABLE_ENTITY);
    if path.is_empty() {
        return Problem::new(status, code, format!("the body: {what}"));
    }
    let mut problem = Problem::new(status, code, format!("{path}: {what}"));
    let (field, message) = (path.to_owned(), what.to_owned());
    problem.errors.push(FieldProblem { field, code: code.to_owned(), message });
    problem
}

/// Checks that what stands at `path` of a document and everything in it is no list.
///
/// # Errors
/// The path of the first that is.
pub(crate) fn objects_are_objects_at(path: &str, value: &Value) -> Result<(), Problem> {
    match value {
        Value::Array(_) => Err(shape(path, "is an array; an object is expected")),
        Value::Object(entries) => entries
            .iter()
            .try_for_each(|(key, inner)| objects_are_objects_at(&format!("{path}.{key}"), inner)),
        _ => Ok(()),
    }
}

/// Half an emoji, which scripts write as an escape where they cut a text (`\\ud83d`), becomes the mark of what cannot be
/// read: RFC 8259 (8.2) lets it stand in a document, and no text of ours can hold it.
pub(crate) fn whole_escapes(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let (mut mended, mut copied, mut at) = (String::new(), 0, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let length = match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                mended.push_str(&text[copied..at]);
                mended.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            Some(_) => 6,
            None => 2,
        };
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[copied..]);
    Cow::Owned(mended)
}

/// Reads a body: each key of an object once, and objects as objects.
pub(crate) fn read<T: DeserializeOwned + JsonSchema>(body: &[u8]) -> Result<T, Problem> {
    check::<T>(body)?;
    serde_json::from_slice(body).map_err(|error| {
        // Where in the document it is, is kept in mind only when it is asked for.
        let mut again = serde_json::Deserializer::from_slice(body);
        let path = match serde_path_to_error::deserialize::<_, T>(&mut again) {
            Err(found) if error.is_data() => found.path().to_string(),
            _ => ".".to_owned(),
        };
        unreadable(&error, &path)
    })
}

/// Checks that no key stands twice, and that no array stands where `T` has an object: serde would read both.
pub(crate) fn check<T: JsonSchema>(body: &[u8]) -> Result<(), Problem> {
    if strict::scan(body)?.arrays {
        let value: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error, "."))?;
        strict::objects_are_objects(&value, &strict::schema_of::<T>())?;
    }
    Ok(())
}

fn unreadable(error: &serde_json::Error, path: &str) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    if !error.is_data() {
        let detail = format!("the body is not valid JSON at {place}; check that it is complete and UTF-8");
        return Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail);
    }
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let what = if text.starts_with("unknown field")
        || text.starts_with("missing field")
        || text.starts_with("unknown variant")
    {
        text.to_owned()
    } else {
        // `invalid type: integer `123`, expected a string`: the value is left out.
        let expected = text.rsplit_once(", expected ").map_or("another type", |(_, expected)| expected);
        let given = text.split(['`', '"', ',']).next().unwrap_or("invalid value").trim();
        format!("{given}, expected {expected}")
    };
    let code = "invalid_json_type";
    let new = |detail| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    if path == "." {
        return new(format!("{what}, at {place}"));
    }
    let mut problem = new(format!("{path}: {what}, at {place}"));
    problem.errors.push(FieldProblem { field: path.to_owned(), code: code.to_owned(), message: what });
    problem
}

#[cfg(test)]
mod tests {
    use fastlead_core::lead::CaptureInput;
    use fastlead_core::policy::Policy;

    use super::*;

    fn told(body: &str) -> (String, Vec<String>) {
        let problem = read::<CaptureInput>(body.as_bytes()).unwrap_err();
        (problem.detail.unwrap(), problem.errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn a_fault_has_its_field_and_not_its_value() {
        for (body, detail, field) in [
            (
                r#"{"consents": ["personal_data"]}"#,
                "consents: is an array; an object is expected",
                "consents",
            ),
            (
                r#"{"phone": 79000000000}"#,
                "phone: invalid type: integer, expected a string, at line 1, column 21",
                "phone",
            ),
            (
                "{\"handles\": [{\"messenger\": \"telegram\",\n \"id\": 5}]}",
                "handles[0].id: invalid type: integer, expected a string, at line 2, column 8",
                "handles[0].id",
            ),
        ] {
            assert_eq!(told(body), (detail.to_owned(), vec![field.to_owned()]), "{body}");
        }
        assert_eq!(told("null").1, Vec::<String>::new());
        assert!(told(r#"{"phone": "+79"#).0.starts_with("the body is not valid JSON at line 1"));
        for (body, detail) in [
            (
                r#"{"consents": {"personal_data": false, "personal_data": true}}"#,
                "consents.personal_data: stands twice; send each key once",
            ),
            (r#"{"fields": {"a": {"\u0061": 1, "a": 2}}}"#, "fields.a.a: stands twice; send each key once"),
            ("[]", "the body: is an array; an object is expected"),
            (r#"["Anna", "+79000000000"]"#, "the body: is an array; an object is expected"),
            (r#"{"attribution": [{"utm_source": "x"}]}"#, "attribution: is an array; an object is expected"),
            (r#"{"attribution": {"last": ["x"]}}"#, "attribution.last: is an array; an object is expected"),
            (r#"{"handles": [["telegram", "5"]]}"#, "handles[0]: is an array; an object is expected"),
        ] {
            assert_eq!(told(body).0, detail, "{body}");
        }
        let unknown = read::<CaptureInput>(br#"{"phon": "+79000000000"}"#).unwrap_err();
        let detail = unknown.detail.unwrap();
        assert!(detail.starts_with("phon: unknown field `phon`, expected one of"), "{detail}");
        assert!(!detail.contains("900"), "{detail}");
    }

    #[test]
    fn variants_of_a_policy_are_objects_too() {
        let route = r#"{"route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"}}"#;
        assert!(check::<Policy>(route.as_bytes()).is_ok());
        let problem = check::<Policy>(br#"{"route": ["broadcast", ["anna"], "lead"]}"#).unwrap_err();
        assert_eq!(
            problem.errors[0].field, "route[1]",
            "a list of rules may stand here, values of one may not"
        );
    }
}
