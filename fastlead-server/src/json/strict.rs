//! What serde lets through: a key that stands twice, and an array where an object belongs.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{shape, unreadable};
use crate::problem::Problem;

/// Characters of a key that are repeated in an answer.
const SHOWN_CHARS: usize = 64;

/// What a document holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Whether it has arrays.
    pub(super) arrays: bool,
    path: String,
    repeated: bool,
}

/// Reads a document without keeping it.
///
/// # Errors
/// Where it is no JSON, or a key stands twice in one object.
pub(super) fn scan(body: &[u8]) -> Result<Scan, Problem> {
    let mut found = Scan::default();
    let mut document = serde_json::Deserializer::from_slice(body);
    let read = Looking(&mut found).deserialize(&mut document).and_then(|()| document.end());
    match read {
        Ok(()) => Ok(found),
        Err(_) if found.repeated => Err(shape(&found.path, "stands twice; send each key once")),
        Err(error) => Err(unreadable(&error, ".")),
    }
}

struct Looking<'a>(&'a mut Scan);

/// A key without a copy where it has no escapes.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Looking<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Looking<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.arrays = true;
        let length = self.0.path.len();
        let mut index = 0_usize;
        while {
            self.0.path.push_str(&format!("[{index}]"));
            items.next_element_seed(Looking(self.0))?.is_some()
        } {
            self.0.path.truncate(length);
            index += 1;
        }
        self.0.path.truncate(length);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let length = self.0.path.len();
        let mut seen: HashSet<Key<'de>> = HashSet::new();
        while let Some(key) = entries.next_key::<Key<'de>>()? {
            if length > 0 {
                self.0.path.push('.');
            }
            self.0.path.extend(key.0.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS));
            if !seen.insert(key) {
                self.0.repeated = true;
                return Err(A::Error::custom("a key stands twice"));
            }
            entries.next_value_seed(Looking(self.0))?;
            self.0.path.truncate(length);
        }
        Ok(())
    }
}

/// The schema of a type, made once.
pub(super) fn schema_of<T: JsonSchema>() -> Arc<Value> {
    static MADE: LazyLock<Mutex<HashMap<Cow<'static, str>, Arc<Value>>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let schema = made.entry(T::schema_id()).or_insert_with(|| Arc::new(schemars::schema_for!(T).into()));
    Arc::clone(schema)
}

/// Checks that a document has no array where its schema has objects only.
///
/// # Errors
/// The path of the first such array.
pub(crate) fn objects_are_objects(document: &Value, schema: &Value) -> Result<(), Problem> {
    let mut path = String::new();
    match misplaced(document, &[schema], schema, &mut path) {
        true => Err(shape(&path, "is an array; an object is expected")),
        false => Ok(()),
    }
}

/// Whether an array stands in the place of an object; `path` is where.
fn misplaced(value: &Value, schemas: &[&Value], root: &Value, path: &mut String) -> bool {
    let mut alternatives = Vec::new();
    for schema in schemas {
        expand(schema, root, &mut alternatives);
    }
    let length = path.len();
    match value {
        Value::Array(items) => {
            if !alternatives.is_empty() && !alternatives.iter().any(|schema| allows_array(schema)) {
                return true;
            }
            for (index, item) in items.iter().enumerate() {
                let inside: Vec<&Value> = alternatives
                    .iter()
                    .filter_map(|schema| {
                        let listed = schema.get("prefixItems").and_then(|items| items.get(index));
                        listed.or_else(|| schema.get("items"))
                    })
                    .collect();
                path.push_str(&format!("[{index}]"));
                if misplaced(item, &inside, root, path) {
                    return true;
                }
                path.truncate(length);
            }
            false
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                let inside: Vec<&Value> = alternatives
                    .iter()
                    .filter_map(|schema| {
                        let named = schema.get("properties").and_then(|properties| properties.get(key));
                        // `false` is no place for an object: the key is unknown, and said to be so by whoever reads it.
                        named.or_else(|| schema.get("additionalProperties").filter(|more| more.is_object()))
                    })
                    .collect();
                if length > 0 {
                    path.push('.');
                }
                path.extend(key.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS));
                if misplaced(item, &inside, root, path) {
                    return true;
                }
                path.truncate(length);
            }
            false
        }
        _ => false,
    }
}

/// A schema and those that it refers to.
fn expand<'a>(schema: &'a Value, root: &'a Value, into: &mut Vec<&'a Value>) {
    if into.iter().any(|known| std::ptr::eq(*known, schema)) {
        return;
    }
    into.push(schema);
    if let Some(target) = schema.get("$ref").and_then(Value::as_str)
        && let Some(target) = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer))
    {
        expand(target, root, into);
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        for alternative in schema.get(several).and_then(Value::as_array).into_iter().flatten() {
            expand(alternative, root, into);
        }
    }
}

fn allows_array(schema: &Value) -> bool {
    match schema {
        Value::Bool(all) => *all,
        Value::Object(entries) => match entries.get("type") {
            Some(Value::String(kind)) => kind == "array",
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "array"),
            _ => !["$ref", "anyOf", "oneOf", "allOf", "enum", "const", "properties"]
                .iter()
                .any(|limit| entries.contains_key(*limit)),
        },
        _ => true,
    }
}
