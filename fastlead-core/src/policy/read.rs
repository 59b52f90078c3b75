//! Reading a policy document so that what is wrong has its path.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::{Policy, PolicyFault};

/// How many faults are collected.
const MAX_FAULTS: usize = 20;

impl Policy {
    /// Reads a JSON document. Conditions in text form are parsed and type-checked here.
    ///
    /// # Errors
    /// What cannot be read, each with its path: every condition whose text is wrong, up to the first
    /// fault of another kind, and at most 20. The rest is up to [`Policy::validate`].
    pub fn from_json(json: &[u8]) -> Result<Self, Vec<PolicyFault>> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let (path, fault) = match read(&mut deserializer) {
            Ok(policy) => {
                let whole = deserializer.end();
                let rest = |error: serde_json::Error| {
                    vec![PolicyFault { path: String::new(), message: error.to_string() }]
                };
                return whole.map_err(rest).map(|()| policy);
            }
            Err(error) => error,
        };
        let mut faults = vec![fault];
        let mut next = Some(path);
        // Further conditions may be wrong too. The one that is known is taken for `true` to get at them;
        // where that does not help, it was no condition.
        if let Ok(mut document) = serde_json::from_slice::<Value>(json) {
            while let Some(path) = next.take().filter(|_| faults.len() < MAX_FAULTS) {
                let Some(text @ Value::String(_)) = at(&mut document, &path) else { break };
                *text = Value::from("true");
                if let Err((path, fault)) = read(&document)
                    && faults.last().is_some_and(|last| last.path != fault.path)
                {
                    faults.push(fault);
                    next = Some(path);
                }
            }
        }
        Err(faults)
    }
}

fn read<'de, D>(deserializer: D) -> Result<Policy, (Path, PolicyFault)>
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
        (path, PolicyFault { path: shown, message })
    })
}

/// A type of the program says nothing to whoever writes a policy: it is written as a map.
fn as_written(message: &str) -> String {
    match message.split_once(", expected struct ") {
        Some((given, kind)) if !kind.contains(' ') => format!("{given}, expected a map"),
        _ => message.to_owned(),
    }
}

/// The value at a path.
fn at<'a>(document: &'a mut Value, path: &Path) -> Option<&'a mut Value> {
    path.iter().try_fold(document, |value, segment| match segment {
        Segment::Seq { index } => value.get_mut(index),
        Segment::Map { key } => value.get_mut(key),
        Segment::Enum { variant } => value.get_mut(variant),
        Segment::Unknown => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Recipient;

    #[test]
    fn faults_have_their_path() {
        let read = |change: &dyn Fn(&mut serde_json::Value)| {
            let recipient: Recipient = serde_json::from_str(r#"{"chat": "790000001"}"#).unwrap();
            let mut json = serde_json::to_value(Policy::starter("bot", recipient)).unwrap();
            change(&mut json);
            Policy::from_json(json.to_string().as_bytes())
        };
        let text = |text: &'static str| {
            read(&move |json| json["accept"][0]["reject_if"] = serde_json::json!({"any": ["true", text]}))
        };
        let policy = text("history.leads >= 3").unwrap();
        assert_eq!(policy.accept[0].reject_if.to_string(), "true || history.leads >= 3");
        let faults = text("fields.city > 3").unwrap_err();
        let [fault] = &faults[..] else { panic!("{faults:?}") };
        assert_eq!(fault.path, "accept[0].reject_if.any[1]");
        assert_eq!(fault.message.lines().count(), 3, "{fault}");
        assert!(fault.message.ends_with("  | fields.city > 3\n  |               ^"), "{fault}");
        let faults = read(&|json| json["delivery"]["ttl"] = 1.into()).unwrap_err();
        assert!(faults[0].path == "delivery.ttl" && faults[0].message.contains("`ttl_secs`"), "{faults:?}");
        let faults = read(&|json| json["delivery"] = 1.into()).unwrap_err();
        assert_eq!(faults[0].to_string(), "delivery: invalid type: integer `1`, expected a map");
        let faults = read(&|json| json["templates"]["lead"] = serde_json::json!({"ru": 5})).unwrap_err();
        assert_eq!(faults[0].path, "templates.lead.ru");
        let caps = |days: serde_json::Value| serde_json::json!([{"per": "day", "limit": 0, "days": days}]);
        let faults = read(&|json| json["caps"] = caps("sat,sum".into())).unwrap_err();
        assert_eq!(faults[0].to_string(), "caps[0].days: unknown day `sum`; did you mean `sun`?");
        let faults = read(&|json| json["caps"] = caps(serde_json::json!(["sat"]))).unwrap_err();
        assert!(
            faults[0].to_string().starts_with("caps[0].days: invalid type: sequence, expected days as a")
        );
        let faults = Policy::from_json(b"{\"accept\": [").unwrap_err();
        assert!(faults[0].message.contains("at line 1 column 12"), "{faults:?}");
        assert!(Policy::from_json(b"{} {}").is_err());
    }

    #[test]
    fn every_wrong_text_is_a_fault() {
        let recipient: Recipient = serde_json::from_str(r#"{"chat": "790000001"}"#).unwrap();
        let mut json = serde_json::to_value(Policy::starter("bot", recipient)).unwrap();
        let rule = |condition: serde_json::Value| serde_json::json!({"reject_if": condition, "code": "x"});
        json["accept"] = serde_json::json!([
            rule("score = 1".into()),
            rule("has(comment)".into()),
            rule(serde_json::json!({"all": [{"not": "phone"}, "comment.matches('x')"]})),
        ]);
        let faults = Policy::from_json(json.to_string().as_bytes()).unwrap_err();
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(
            paths,
            ["accept[0].reject_if", "accept[2].reject_if.all[0].not", "accept[2].reject_if.all[1]"]
        );
        json["delivery"]["overflow"] = "splt".into();
        let faults = Policy::from_json(json.to_string().as_bytes()).unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults[3].path == "delivery.overflow" && faults[3].message.contains("splt"), "{faults:?}");
        json["accept"] = (0..30).map(|_| rule("score = 1".into())).collect();
        assert_eq!(Policy::from_json(json.to_string().as_bytes()).unwrap_err().len(), MAX_FAULTS);
    }
}
