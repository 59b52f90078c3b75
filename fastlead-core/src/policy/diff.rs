//! What two policies differ in: path, old value, new value.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Policy;
use crate::error::{Error, ErrorKind, Result};

/// One place in which two policies differ.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PolicyChange {
    /// Where, such as `targets.anna.weight` or `route[1].targets[0]`. Entries of a list are counted in the
    /// old policy where it has them, else in the new one.
    pub path: String,
    /// What it was; absent where it was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What it is; absent where it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

impl fmt::Display for PolicyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, old, new } = self;
        match (old, new) {
            (Some(old), Some(new)) => write!(f, "~ {path}: {old} -> {new}"),
            (None, Some(new)) => write!(f, "+ {path}: {new}"),
            (Some(old), None) => write!(f, "- {path}: {old}"),
            (None, None) => f.write_str(path),
        }
    }
}

impl Policy {
    /// What changes from this policy to `new`, in the order of paths. Nothing where both say the same,
    /// however they are written.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where a policy cannot be written as JSON.
    pub fn changes_to(&self, new: &Self) -> Result<Vec<PolicyChange>> {
        let json = |policy: &Self| -> Result<Value> {
            let mut document = serde_json::to_value(policy)
                .map_err(|_| Error::new(ErrorKind::Internal, "a policy cannot be written as JSON"))?;
            // The order must not depend on a feature that another crate may turn on.
            document.sort_all_objects();
            Ok(document)
        };
        let (old, new) = (json(self)?, json(new)?);
        let mut changes = Vec::new();
        compare(String::new(), &old, &new, &mut changes);
        Ok(changes)
    }
}

fn compare(path: String, old: &Value, new: &Value, changes: &mut Vec<PolicyChange>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let path = field(&path, key);
                match (old.get(key), new.get(key)) {
                    (Some(was), Some(is)) => compare(path, was, is, changes),
                    (was, is) => changes.push(PolicyChange { path, old: was.cloned(), new: is.cloned() }),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => lists(&path, old, new, changes),
        _ if old == new => {}
        _ => changes.push(PolicyChange { path, old: Some(old.clone()), new: Some(new.clone()) }),
    }
}

/// What is the same at both ends stays out, so that an entry in the middle is one change and not many.
fn lists(path: &str, old: &[Value], new: &[Value], changes: &mut Vec<PolicyChange>) {
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    let old_middle = &old_rest[..old_rest.len() - end];
    let new_middle = &new_rest[..new_rest.len() - end];
    for index in 0..old_middle.len().max(new_middle.len()) {
        let path = format!("{path}[{}]", start + index);
        match (old_middle.get(index), new_middle.get(index)) {
            (Some(old), Some(new)) => compare(path, old, new, changes),
            (old, new) => changes.push(PolicyChange { path, old: old.cloned(), new: new.cloned() }),
        }
    }
}

fn field(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(change: impl FnOnce(&mut Value)) -> Policy {
        let mut document = json!({
            "accept": [
                {"reject_if": {"missing": "contact.phone"}, "code": "no_phone"},
                {"reject_if": "comment.contains('x')", "code": "spam"},
            ],
            "targets": {"anna": {"display_name": "Anna", "destinations": [], "weight": 1,
                "caps": [{"per": "day", "limit": 5, "days": "mon-fri"}]}},
            "route": {"strategy": "weighted", "targets": ["anna"], "template": "t"},
            "templates": {"t": {"ru": {"plain": "x"}}},
        });
        change(&mut document);
        serde_json::from_value(document).unwrap()
    }

    fn shown(old: &Policy, new: &Policy) -> Vec<String> {
        old.changes_to(new).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn changes_have_their_path_and_both_values() {
        let old = policy(|_| {});
        let new = policy(|document| {
            document["targets"]["anna"]["weight"] = json!(3);
            document["targets"]["anna"]["caps"][0]["days"] = json!("mon-thu,fri,sat");
            let closed = json!({"per": "day", "limit": 0, "days": "sun"});
            document["targets"]["anna"]["caps"].as_array_mut().unwrap().push(closed);
            document["targets"]["oleg"] = json!({"display_name": "Oleg", "destinations": []});
            document["route"]["targets"] = json!(["anna", "oleg"]);
            document["accept"].as_array_mut().unwrap().remove(0);
        });
        assert_eq!(
            shown(&old, &new),
            [
                r#"- accept[0]: {"code":"no_phone","reject_if":{"missing":"contact.phone"}}"#,
                r#"+ route.targets[1]: "oleg""#,
                r#"~ targets.anna.caps[0].days: "mon-fri" -> "mon-sat""#,
                r#"+ targets.anna.caps[1]: {"days":"sun","limit":0,"per":"day"}"#,
                "~ targets.anna.weight: 1 -> 3",
                r#"+ targets.oleg: {"destinations":[],"display_name":"Oleg","locale":"ru"}"#,
            ]
        );
        assert_eq!(shown(&new, &new), Vec::<String>::new());
    }

    #[test]
    fn the_same_written_otherwise_is_no_change() {
        let text = policy(|document| {
            document["accept"][1]["reject_if"] = json!({"contains": {"field": "comment", "value": "x"}});
            document["route"] = json!([document["route"]]);
            document["timezone"] = json!("Europe/Moscow");
        });
        assert_eq!(shown(&policy(|_| {}), &text), Vec::<String>::new());
    }
}
