//! What is wrong with a tree that was written by hand: its size, and the kinds of its values.

use super::{Condition, Field, FieldKind, MAX_DEPTH, MAX_NODES, MAX_VALUES};
use crate::policy::PolicyFault;
use crate::schedule::Weekday;

impl Condition {
    /// How deep the tree is.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::All(inner) | Self::Any(inner) => 1 + inner.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(inner) => 1 + inner.depth(),
            _ => 1,
        }
    }

    /// Of how many conditions it consists.
    pub(super) fn nodes(&self) -> usize {
        let mut nodes = 0;
        self.visit(&mut |_| nodes += 1);
        nodes
    }

    /// Every fault of the condition that stands at `path` of a policy.
    pub fn faults(&self, path: &str) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        let mut fault = |message: String| faults.push(PolicyFault { path: path.to_owned(), message });
        if self.depth() > MAX_DEPTH {
            fault(format!("conditions are nested more than {MAX_DEPTH} deep"));
        }
        let nodes = self.nodes();
        if nodes > MAX_NODES {
            fault(format!("consists of {nodes} conditions; at most {MAX_NODES}"));
        }
        self.visit(&mut |condition| {
            if let Some(message) = condition.own_fault() {
                fault(message);
            }
        });
        faults
    }

    /// What is wrong with this one condition, apart from those inside it.
    pub(super) fn own_fault(&self) -> Option<String> {
        match self {
            Self::Equals { field, value } | Self::Differs { field, value } => {
                not_text(field).or_else(|| impossible(field, value))
            }
            Self::Contains { field, .. } | Self::StartsWith { field, .. } | Self::EndsWith { field, .. } => {
                not_text(field)
            }
            Self::OneOf { field, values } => not_text(field)
                .or_else(|| too_many(values))
                .or_else(|| values.iter().find_map(|value| impossible(field, value))),
            Self::PhoneCountry(values) => too_many(values)
                .or_else(|| values.iter().find_map(|value| impossible(&Field::PhoneCountry, value))),
            Self::Compare { field, value, .. } if field.kind() == FieldKind::Text => Some(format!(
                "`{field}` is a text and is compared with texts, not with {}",
                value.kind().name()
            )),
            Self::Compare { field, value, .. } if field.kind() != value.kind() => {
                Some(format!("`{field}` is {}, not {}", field.kind().name(), value.kind().name()))
            }
            _ => None,
        }
    }
}

fn not_text(field: &Field) -> Option<String> {
    (field.kind() != FieldKind::Text)
        .then(|| format!("`{field}` is {}; compare it with `compare`", field.kind().name()))
}

fn too_many(values: &[String]) -> Option<String> {
    (values.len() > MAX_VALUES).then(|| format!("lists {} values; at most {MAX_VALUES}", values.len()))
}

/// A value that the field can never have.
pub(super) fn impossible(field: &Field, value: &str) -> Option<String> {
    match field {
        Field::Weekday => value.parse::<Weekday>().err(),
        Field::PhoneCountry if value.len() != 2 || !value.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            let short: String = value.chars().take(32).collect();
            Some(format!("`{short}` is not the code of a country, expected two letters such as `RU`"))
        }
        _ => None,
    }
}
