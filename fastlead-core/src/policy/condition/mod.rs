//! Conditions over a lead: a small typed tree. Its text form is read and checked when a policy is
//! read; decisions only ever see the tree.

mod check;
mod field;
mod fold;
mod input;
mod never;
mod number;
#[cfg(test)]
mod tests;
mod text;
mod value;

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use field::{Fact, Field, FieldKind};
pub use input::{ConditionInput, History, SourceFacts};
pub use number::Number;
pub use text::ConditionError;
pub use value::{Comparison, Value};

use crate::lead::ConsentPurpose;

/// A question to a lead. It has one answer and no side effects.
///
/// In a document it is either this tree or its text form:
/// `contact.phone_country in ["RU", "KZ"] && history.leads < 3`. Reading gives the tree, `Display`
/// the text. A comparison with an absent field does not hold, whichever way it compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(remote = "Self", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(transform = or_text)]
#[non_exhaustive]
pub enum Condition {
    /// All of these hold. Holds where there are none.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// The field has a value.
    Present(Field),
    /// The field has no value.
    Missing(Field),
    /// The field equals the text, without regard to case.
    Equals {
        /// The field.
        field: Field,
        /// The text.
        value: String,
    },
    /// The field has a value, and it is another than the text, without regard to case.
    Differs {
        /// The field.
        field: Field,
        /// The text.
        value: String,
    },
    /// The field equals one of the texts, without regard to case.
    OneOf {
        /// The field.
        field: Field,
        /// The texts.
        values: Vec<String>,
    },
    /// The field contains the text, without regard to case.
    Contains {
        /// The field.
        field: Field,
        /// The text.
        value: String,
    },
    /// The field starts with the text, without regard to case.
    StartsWith {
        /// The field.
        field: Field,
        /// The text.
        value: String,
    },
    /// The field ends with the text, without regard to case.
    EndsWith {
        /// The field.
        field: Field,
        /// The text.
        value: String,
    },
    /// The number, date or time of day stands so to the value.
    Compare {
        /// The field.
        field: Field,
        /// How.
        is: Comparison,
        /// The value, of the field's kind.
        value: Value,
    },
    /// The phone's country is one of these ISO 3166-1 alpha-2 codes.
    PhoneCountry(Vec<String>),
    /// The person agreed to this purpose.
    Consented(ConsentPurpose),
    /// The project's hours are open (`true`) or closed (`false`). Neither holds where they are unknown.
    IsOpen(bool),
}

/// How deep conditions may be nested.
pub(super) const MAX_DEPTH: usize = 16;
/// Of how many conditions one may consist.
pub(super) const MAX_NODES: usize = 200;
/// How many values a list may have.
pub(super) const MAX_VALUES: usize = 1_000;
/// Characters of the text form.
pub(super) const MAX_CHARS: usize = 2_000;

impl Condition {
    /// The answer for `input`. An absent field equals, differs from and contains nothing.
    pub fn holds(&self, input: &ConditionInput<'_>) -> bool {
        let text =
            |field: &Field, test: &dyn Fn(&str) -> bool| field.text(input).is_some_and(|have| test(&have));
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(input)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(input)),
            Self::Not(condition) => !condition.holds(input),
            Self::Present(field) => field.is_present(input),
            Self::Missing(field) => !field.is_present(input),
            Self::Equals { field, value } => text(field, &|have| fold::same(have, value)),
            Self::Differs { field, value } => text(field, &|have| !fold::same(have, value)),
            Self::OneOf { field, values } => {
                text(field, &|have| values.iter().any(|value| fold::same(have, value)))
            }
            Self::Contains { field: Field::Comment, value } => {
                input.capture.comment.is_some() && input.lower_comment().contains(&fold::lower(value))
            }
            Self::Contains { field, value } => text(field, &|have| fold::contains(have, value)),
            Self::StartsWith { field, value } => text(field, &|have| fold::starts_with(have, value)),
            Self::EndsWith { field, value } => text(field, &|have| fold::ends_with(have, value)),
            Self::Compare { field, is, value } => match value {
                Value::Number(want) => field.number(input).is_some_and(|have| is.holds(&have, want)),
                Value::Date(want) => field.date(input).is_some_and(|have| is.holds(&have, want)),
                Value::TimeOfDay(want) => field.time_of_day(input).is_some_and(|have| is.holds(&have, want)),
            },
            Self::PhoneCountry(countries) => {
                text(&Field::PhoneCountry, &|have| countries.iter().any(|country| fold::same(have, country)))
            }
            Self::Consented(purpose) => input.capture.consented(*purpose),
            Self::IsOpen(open) => input.is_open == Some(*open),
        }
    }

    /// Whether the answer depends on `fact`, so that whoever asks must know it.
    pub fn reads(&self, fact: Fact) -> bool {
        let mut reads = false;
        self.visit(&mut |condition| {
            reads |= match condition {
                Self::IsOpen(_) => fact == Fact::Hours,
                _ => condition.field().and_then(Field::fact) == Some(fact),
            };
        });
        reads
    }

    /// The field that this one condition asks for, where it asks for one.
    pub fn field(&self) -> Option<&Field> {
        match self {
            Self::Present(field)
            | Self::Missing(field)
            | Self::Equals { field, .. }
            | Self::Differs { field, .. }
            | Self::OneOf { field, .. }
            | Self::Contains { field, .. }
            | Self::StartsWith { field, .. }
            | Self::EndsWith { field, .. }
            | Self::Compare { field, .. } => Some(field),
            Self::PhoneCountry(_) => Some(&Field::PhoneCountry),
            Self::All(_) | Self::Any(_) | Self::Not(_) | Self::Consented(_) | Self::IsOpen(_) => None,
        }
    }

    /// Calls `f` with this condition and all inside it.
    fn visit(&self, f: &mut dyn FnMut(&Self)) {
        f(self);
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().for_each(|condition| condition.visit(f)),
            Self::Not(inner) => inner.visit(f),
            _ => {}
        }
    }
}

// `remote = "Self"` above makes `Condition::serialize` and `Condition::deserialize` the plain ones of the
// tree; through the traits a text is taken as well.
impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Condition;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a condition, as a text such as \"has(contact.phone)\" or as a tree")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Condition, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Condition, A::Error> {
                Condition::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Adds the text form to the schema of the tree.
fn or_text(schema: &mut schemars::Schema) {
    let mut tree = std::mem::take(schema);
    if let Some(description) = tree.remove("description") {
        schema.insert("description".to_owned(), description);
    }
    let text = serde_json::json!({
        "description": "The text form.",
        "type": "string",
        "maxLength": MAX_CHARS,
        "examples": ["contact.phone_country in [\"RU\", \"KZ\"] && !has(contact.email)"],
    });
    schema.insert("anyOf".to_owned(), serde_json::Value::Array(vec![text, tree.to_value()]));
}
