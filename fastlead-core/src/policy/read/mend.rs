//! Finding all faults of a document, where a reading stops at the first.

use serde_json::Value;
use serde_path_to_error::Segment;

use super::{Stopped, read};
use crate::policy::PolicyFault;

/// How many faults are collected.
pub(super) const MAX_FAULTS: usize = 20;
/// Most bytes that are read in search of further faults.
const MAX_BYTES: usize = 16 << 20;

/// Finds all faults of a document: what stopped the reading is put right, and the document read again.
pub(super) struct Mender {
    document: Value,
    faults: Vec<PolicyFault>,
    /// Where values were put in or taken out: what is wrong or missing there is nobody's fault.
    touched: Vec<String>,
    /// How often the document may still be read.
    readings: usize,
}

impl Mender {
    pub(super) fn new(document: Value, bytes: usize) -> Self {
        let readings = (MAX_BYTES / bytes.max(1)).clamp(30, 600);
        Self { document, faults: Vec::new(), touched: Vec::new(), readings }
    }

    pub(super) fn all_faults(mut self, first: Stopped) -> Vec<PolicyFault> {
        // A name that stands twice is seen in the text alone.
        if !first.syntax {
            self.note(first.fault.clone());
        }
        let mut stopped = self.read().or_else(|| Some(first.clone()));
        while let Some(found) = stopped.take().filter(|_| self.faults.len() < MAX_FAULTS) {
            self.note(found.fault.clone());
            if self.mend(&found) {
                stopped = self.read();
            }
        }
        self.faults
    }

    fn note(&mut self, fault: PolicyFault) {
        let missing = quoted(&fault.message, "missing field ").map(|name| field_of(&fault.path, &name));
        let place = missing.as_deref().unwrap_or(&fault.path);
        if !self.faults.contains(&fault) && !self.touched.iter().any(|path| is_inside(place, path)) {
            self.faults.push(fault);
        }
    }

    /// Reads the document; `None` where nothing is wrong any more, or it was read often enough.
    fn read(&mut self) -> Option<Stopped> {
        self.readings = self.readings.checked_sub(1)?;
        read(&self.document).err()
    }

    /// Puts one fault right. Returns whether that was possible.
    fn mend(&mut self, found: &Stopped) -> bool {
        let Stopped { path, fault, .. } = found;
        let segments: Vec<Segment> = path.iter().cloned().collect();
        // A condition's unknown field is not that of the map that it stands in.
        let unknown = quoted(&fault.message, "unknown field ");
        if unknown.is_some_and(|name| matches!(segments.last(), Some(Segment::Map { key }) if *key == name)) {
            return remove(&mut self.document, &segments).is_some();
        }
        if let Some(name) = quoted(&fault.message, "missing field ") {
            let shown = field_of(&fault.path, &name);
            let mut inside = segments;
            inside.push(Segment::Map { key: name });
            return self.put(found, &inside, shown);
        }
        if let Some((place, value)) = remove(&mut self.document, &segments) {
            match self.read() {
                None if self.readings > 0 => return true,
                // A reading that stops further out stops because the field is gone.
                Some(next) if !is_inside(&fault.path, &next.fault.path) => {
                    self.touched.push(fault.path.clone());
                    return true;
                }
                _ => {}
            }
            if let Some(Value::Object(map)) = at(&mut self.document, &segments[..segments.len() - 1]) {
                map.insert(place, value);
            }
        }
        self.put(found, &segments, fault.path.clone())
    }

    /// Puts a value at a path with which the reading gets further.
    fn put(&mut self, found: &Stopped, path: &[Segment], shown: String) -> bool {
        let mut left = candidates(&found.fault.message);
        left.reverse();
        while let Some(candidate) = left.pop() {
            let tried = candidate.clone();
            if !set(&mut self.document, path, candidate) {
                return false;
            }
            let further = match self.read() {
                None => self.readings > 0,
                Some(next) => {
                    // Names that would do are told once a name was tried.
                    if next.fault.path == shown
                        && next.fault.message.starts_with("unknown variant")
                        && next.fault != found.fault
                    {
                        let name = named(&next.fault.message).map(Value::from);
                        left.extend(name.filter(|name| *name != tried));
                    }
                    let missing = next.fault.message.starts_with("missing field");
                    next.fault != found.fault && (missing || next.fault.path != shown)
                }
            };
            if further {
                self.touched.push(shown);
                return true;
            }
        }
        false
    }
}

/// Values of which one is taken almost everywhere, the likeliest first.
fn candidates(message: &str) -> Vec<Value> {
    let expected = message.split_once("expected ").map_or("", |(_, expected)| expected);
    let mut values: Vec<Value> = Vec::new();
    values.extend(named(message).map(Value::from));
    for (word, value) in
        [("a map", Value::Object(serde_json::Map::new())), ("a list", Value::Array(Vec::new()))]
    {
        if expected.starts_with(word) {
            values.push(value);
        }
    }
    values.extend([Value::from("true"), Value::from(1), Value::from("a")]);
    values.extend([Value::Object(serde_json::Map::new()), Value::Array(Vec::new()), Value::Bool(true)]);
    let texts =
        ["mon", "09:00", "2026-01-01", "contact.phone", "Europe/Moscow", "https://example.com", "ru", "RUB"];
    values.extend(texts.map(Value::from));
    values.extend(["broadcast", "endpoint", "any", "day", "phone", "reject"].map(Value::from));
    values
}

/// The first name that a fault says was expected.
fn named(message: &str) -> Option<String> {
    let (_, expected) = message.split_once("expected ")?;
    quoted(expected, "one of ").or_else(|| quoted(expected, ""))
}

/// The first name between backticks, where `text` starts with `before` and it.
fn quoted(text: &str, before: &str) -> Option<String> {
    let (name, _) = text.strip_prefix(before)?.strip_prefix('`')?.split_once('`')?;
    Some(name.to_owned())
}

/// The path of a field of the map at `path`.
fn field_of(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether `path` is `outer` or inside it.
pub(super) fn is_inside(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The value at a path.
pub(super) fn at<'a>(document: &'a mut Value, path: &[Segment]) -> Option<&'a mut Value> {
    path.iter().try_fold(document, |value, segment| match segment {
        Segment::Seq { index } => value.get_mut(index),
        Segment::Map { key } => value.get_mut(key),
        Segment::Enum { variant } => value.get_mut(variant),
        Segment::Unknown => None,
    })
}

/// Puts a value at a path, whose last name may be new.
pub(super) fn set(document: &mut Value, path: &[Segment], value: Value) -> bool {
    let Some((last, outer)) = path.split_last() else { return false };
    match (last, at(document, outer)) {
        (Segment::Map { key } | Segment::Enum { variant: key }, Some(Value::Object(map))) => {
            map.insert(key.clone(), value);
            true
        }
        (Segment::Seq { index }, Some(Value::Array(list))) => list.get_mut(*index).is_some_and(|place| {
            *place = value;
            true
        }),
        _ => false,
    }
}

/// Takes the field at a path out of its map: its name and its value.
fn remove(document: &mut Value, path: &[Segment]) -> Option<(String, Value)> {
    let (last, outer) = path.split_last()?;
    match (last, at(document, outer)?) {
        (Segment::Map { key }, Value::Object(map)) => map.remove(key).map(|value| (key.clone(), value)),
        _ => None,
    }
}
