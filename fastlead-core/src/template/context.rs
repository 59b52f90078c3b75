//! What a template sees, with maps in which a missing entry is no mistake.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Serde, Value, ValueKind};
use serde::Serialize;

/// Maps whose keys come from outside: an entry that is not there has no value, as opposed to a
/// variable that does not exist.
pub(super) const OPEN: [&str; 1] = ["lead.fields"];

/// The context of one rendering.
pub(super) fn context(values: &impl Serialize) -> Value {
    wrap(Value::from(Serde(values)), String::new())
}

/// The value at a dotted path; `None` where there is no such variable.
pub(super) fn lookup(context: &Value, path: &str) -> Option<Value> {
    path.split('.').try_fold(context.clone(), |value, key| {
        value.get_attr(key).ok().filter(|value| !value.is_undefined())
    })
}

/// Wraps the maps on the way to an open one.
fn wrap(value: Value, path: String) -> Value {
    let leads_to = |open: &str| {
        open.strip_prefix(path.as_str())
            .is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with('.'))
    };
    if value.kind() == ValueKind::Map && OPEN.iter().any(|open| leads_to(open)) {
        Value::from_object(Branch { map: value, path })
    } else {
        value
    }
}

#[derive(Debug)]
struct Branch {
    map: Value,
    path: String,
}

impl Object for Branch {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let value = self.map.get_item(key).ok().filter(|value| !value.is_undefined());
        match value {
            None => OPEN.contains(&self.path.as_str()).then(|| Value::from(())),
            Some(value) => {
                let dot = if self.path.is_empty() { "" } else { "." };
                Some(wrap(value, format!("{}{dot}{key}", self.path)))
            }
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.map.try_iter().map_or(Enumerator::NonEnumerable, |keys| Enumerator::Values(keys.collect()))
    }
}
