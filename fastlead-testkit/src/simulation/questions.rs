//! What a policy asks about, so that visitors say what leads to its rules.

use std::collections::{BTreeMap, BTreeSet};

use fastlead_core::policy::Policy;
use serde_json::Value;

use super::chance::Chance;
use super::policy::{CITIES, SOURCES};

/// Values that the conditions of a policy compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Questions {
    pub sources: Vec<String>,
    /// By the field's name.
    fields: BTreeMap<String, Vec<String>>,
    locales: Vec<String>,
    phones: bool,
}

/// What one visitor says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Answers {
    pub source: String,
    pub fields: BTreeMap<String, String>,
    pub locale: Option<String>,
    pub phone: Phone,
}

/// Which phone number somebody leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phone {
    #[default]
    Russian,
    Foreign,
    /// None, and an e-mail address instead.
    None,
}

impl Questions {
    /// What these policies ask about.
    pub(super) fn of(policies: &[Policy]) -> Self {
        let mut sources = BTreeSet::new();
        let mut fields: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut locales = BTreeSet::new();
        let mut phones = false;
        for (asked, values) in policies.iter().flat_map(comparisons) {
            phones |= asked.contains("contact.phone");
            match asked.as_str() {
                "source.key" => sources.extend(values),
                "locale" => locales.extend(values),
                other => {
                    let name = other.split_once("fields.").map(|(_, name)| name.trim_end_matches(')'));
                    if let Some(name) = name {
                        fields.entry(name.to_owned()).or_default().extend(values);
                    }
                }
            }
        }
        let caps = policies.iter().flat_map(|policy| policy.targets.values().flat_map(|target| &target.caps));
        sources.extend(caps.filter_map(|cap| cap.source.clone()));
        let mut all: Vec<String> = SOURCES.map(str::to_owned).to_vec();
        all.extend(sources.into_iter().filter(|source| !SOURCES.contains(&source.as_str())));
        let fields = fields.into_iter().map(|(name, values)| (name, values.into_iter().collect()));
        Self { sources: all, fields: fields.collect(), locales: locales.into_iter().collect(), phones }
    }

    /// What somebody says: what the policy knows, something else, or nothing.
    pub(super) fn answers(&self, chance: &mut Chance) -> Answers {
        let one = |chance: &mut Chance, values: &[String]| {
            let place = usize::try_from(chance.below(values.len() as u64)).unwrap_or(0);
            values.get(place).cloned()
        };
        let source = one(chance, &self.sources).unwrap_or_default();
        let mut fields = BTreeMap::new();
        for (name, values) in &self.fields {
            let value = match chance.below(10) {
                0 => None,
                1 => Some("something else".to_owned()),
                _ => one(chance, values),
            };
            fields.extend(value.map(|value| (name.clone(), value)));
        }
        // A ping may tell of it.
        fields.entry("city".to_owned()).or_insert_with(|| chance.pick(CITIES).to_owned());
        let locale = if chance.percent(50) { one(chance, &self.locales) } else { None };
        let phone = match chance.below(10) {
            0 if self.phones => Phone::Foreign,
            1 if self.phones => Phone::None,
            _ => Phone::Russian,
        };
        Answers { source, fields, locale, phone }
    }
}

/// The fields that the conditions of a policy look at, each with what it is compared with.
fn comparisons(policy: &Policy) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    if let Ok(value) = serde_json::to_value(policy) {
        walk(&value, &mut found);
    }
    found
}

/// Conditions are stored as trees, whose leaves name a field.
fn walk(value: &Value, found: &mut Vec<(String, Vec<String>)>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(field)) = fields.get("field") {
                let values = fields.get("value").into_iter();
                let values =
                    values.chain(fields.get("values").and_then(Value::as_array).into_iter().flatten());
                found.push((field.clone(), values.flat_map(in_text).collect()));
            }
            for (name, value) in fields {
                match value {
                    Value::String(field) if name == "present" || name == "missing" => {
                        found.push((field.clone(), Vec::new()));
                    }
                    other => walk(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}

/// What visitors say: a text as it is, and numbers about a number.
fn in_text(value: &Value) -> Vec<String> {
    match (value, value.as_i64()) {
        (Value::String(text), _) => vec![text.clone()],
        (_, Some(number)) => {
            [number - 1, number, number.saturating_mul(2)].map(|number| number.to_string()).to_vec()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_what_it_asks_about() {
        let policy = serde_json::from_value(serde_json::json!({
            "targets": {"a": {"display_name": "A", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}]}},
            "accept": [{"reject_if": "!has(contact.phone)", "code": "no_phone"}],
            "route": [
                {"when": "number(fields.budget) >= 100 && locale == \"en\"", "strategy": "waterfall", "targets": ["a"], "template": "t"},
                {"when": "fields.city in [\"Казань\", \"Омск\"] || source.key == \"fair\"", "strategy": "waterfall", "targets": ["a"], "template": "t"},
                {"strategy": "waterfall", "targets": ["a"], "template": "t"},
            ],
            "templates": {"t": {"ru": {"plain": "x"}}},
        }));
        let policy: Policy = policy.unwrap();
        let asked = Questions::of(&[policy]);
        assert_eq!(asked.sources, ["site", "partner", "fair"]);
        assert_eq!(asked.fields["budget"], ["100", "200", "99"]);
        assert_eq!(asked.fields["city"], ["Казань", "Омск"]);
        assert_eq!((asked.locales.as_slice(), asked.phones), (&["en".to_owned()][..], true));
    }
}
