//! Reading a policy document so that everything that is wrong has its path.

mod mend;

use mend::Mender;
use serde_json::Value;
use serde_path_to_error::Path;

use super::{Policy, PolicyFault};

impl Policy {
    /// Reads a JSON document. Conditions in text form are parsed and type-checked here.
    ///
    /// # Errors
    /// Every value of a wrong type, every missing and every unknown field, each with its path, at most 20. The rest
    /// is up to [`Policy::validate`].
    pub fn from_json(json: &[u8]) -> Result<Self, Vec<PolicyFault>> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        match read(&mut deserializer) {
            Ok(policy) => {
                let whole = deserializer.end();
                let rest = |error: serde_json::Error| {
                    vec![PolicyFault { path: String::new(), message: error.to_string() }]
                };
                whole.map_err(rest).map(|()| policy)
            }
            Err(first) => {
                let document = serde_json::from_slice::<Value>(json);
                Err(document.map_or_else(
                    |_| vec![first.fault.clone()],
                    |document| Mender::new(document, json.len()).all_faults(first.clone()),
                ))
            }
        }
    }
}

/// What stopped a reading, and where.
#[derive(Debug, Clone)]
struct Stopped {
    path: Path,
    fault: PolicyFault,
    /// Whether the text was no JSON where it stopped, as far as the reader of this value could tell.
    syntax: bool,
}

fn read<'de, D>(deserializer: D) -> Result<Policy, Stopped>
where
    D: serde::Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().clone();
        let error = error.into_inner();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = error.to_string();
        // The path is place enough, where the document is JSON at all.
        let message = match message.strip_suffix(place.as_str()) {
            Some(plain) if error.is_data() => plain.to_owned(),
            _ => message,
        };
        let message = as_written(&message);
        let shown = Some(path.to_string()).filter(|path| path != ".").unwrap_or_default();
        Stopped { path, fault: PolicyFault { path: shown, message }, syntax: !error.is_data() }
    })
}

/// What the program expects, in the words of whoever writes a policy: its own types say nothing to them.
fn as_written(message: &str) -> String {
    let Some((given, expected)) = message.split_once(", expected ") else { return message.to_owned() };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "string" | "a borrowed string" | "variant identifier" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "map" | "map with a single key" => "a map with one name",
        "string or map" => "a name, or a map with one name",
        _ if expected.starts_with("struct ") => "a map",
        _ => expected,
    };
    format!("{given}, expected {expected}")
}

#[cfg(test)]
mod tests;
