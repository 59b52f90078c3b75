//! Bodies in JSON, and what is wrong with them.

use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::problem::{FieldProblem, Problem};

/// Why a body could not be read. It never repeats a value.
#[derive(Debug)]
pub(crate) struct Unreadable {
    problem: Problem,
    unknown_field: bool,
}

impl Unreadable {
    /// The problem, with what to do about a field that nobody knows.
    pub(crate) fn with_advice(self, advice: &str) -> Problem {
        let Self { mut problem, unknown_field } = self;
        if unknown_field {
            problem.detail = problem.detail.map(|detail| format!("{detail}; {advice}"));
        }
        problem
    }
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        unreadable.problem
    }
}

/// Reads a body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
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

fn unreadable(error: &serde_json::Error, path: &str) -> Unreadable {
    let place = format!("line {}, column {}", error.line(), error.column());
    if !error.is_data() {
        let detail = format!("the body is not valid JSON at {place}; check that it is complete and UTF-8");
        let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail);
        return Unreadable { problem, unknown_field: false };
    }
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let unknown_field = text.starts_with("unknown field");
    let what = if unknown_field || text.starts_with("missing field") || text.starts_with("unknown variant") {
        text.to_owned()
    } else {
        // `invalid type: integer `123`, expected a string`: the value is left out.
        let expected = text.rsplit_once(", expected ").map_or("another type", |(_, expected)| expected);
        let given = text.split(['`', '"', ',']).next().unwrap_or("invalid value").trim();
        format!("{given}, expected {expected}")
    };
    let code = "invalid_json_type";
    let new = |detail| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    let problem = if path == "." {
        new(format!("{what}, at {place}"))
    } else {
        let mut problem = new(format!("{path}: {what}, at {place}"));
        problem.errors.push(FieldProblem { field: path.to_owned(), code: code.to_owned(), message: what });
        problem
    };
    Unreadable { problem, unknown_field }
}

#[cfg(test)]
mod tests {
    use fastlead_core::lead::CaptureInput;

    use super::*;

    fn told(body: &str) -> (String, Vec<String>) {
        let problem = Problem::from(read::<CaptureInput>(body.as_bytes()).unwrap_err());
        (problem.detail.unwrap(), problem.errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn a_fault_has_its_field_and_not_its_value() {
        for (body, detail, field) in [
            (
                r#"{"consents": ["personal_data"]}"#,
                "consents: invalid type: sequence, expected a map, at line 1, column 13",
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
        let unknown = read::<CaptureInput>(br#"{"phon": "+79000000000"}"#).unwrap_err().with_advice("look");
        let detail = unknown.detail.unwrap();
        assert!(detail.starts_with("phon: unknown field `phon`, expected one of"), "{detail}");
        assert!(detail.ends_with("; look") && !detail.contains("900"), "{detail}");
    }
}
