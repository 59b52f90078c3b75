//! From an untyped tree to a condition: names and types.

use super::ConditionError;
use super::syntax::{Node, NodeKind};
use crate::lead::ConsentPurpose;
use crate::policy::condition::check::impossible;
use crate::policy::condition::field::{click_id, unknown_field};
use crate::policy::condition::value::date;
use crate::policy::condition::{Comparison, Condition, Field, FieldKind, MAX_DEPTH, MAX_NODES, Value};
use crate::policy::nearest;

const CONSENTS: [ConsentPurpose; 3] =
    [ConsentPurpose::PersonalData, ConsentPurpose::Advertising, ConsentPurpose::Offer];
/// Names that are true or false by themselves.
const FLAGS: [&str; 4] = ["consent.personal_data", "consent.advertising", "consent.offer", "time.is_open"];
const METHODS: [&str; 3] = ["contains", "startsWith", "endsWith"];
const FUNCTIONS: [&str; 2] = ["has", "number"];

pub(super) fn condition(text: &str, node: &Node) -> Result<Condition, ConditionError> {
    let condition = Types { text }.condition(node)?;
    let too_big = if condition.depth() > MAX_DEPTH {
        format!("conditions are nested more than {MAX_DEPTH} deep")
    } else if condition.nodes() > MAX_NODES {
        format!("consists of {} conditions; at most {MAX_NODES}", condition.nodes())
    } else {
        return Ok(condition);
    };
    Err(ConditionError::new(text, node.at.clone(), too_big))
}

/// What stands on a side of a comparison.
enum Side<'n> {
    Field(Field),
    /// True or false by itself.
    Flag(Condition),
    Literal(&'n Node),
}

struct Types<'a> {
    text: &'a str,
}

impl Types<'_> {
    fn fault<T>(&self, node: &Node, message: impl Into<String>) -> Result<T, ConditionError> {
        Err(ConditionError::new(self.text, node.at.clone(), message))
    }

    fn condition(&self, node: &Node) -> Result<Condition, ConditionError> {
        match &node.kind {
            NodeKind::All(members) => self.members(members).map(Condition::All),
            NodeKind::Any(members) => self.members(members).map(Condition::Any),
            NodeKind::Bool(true) => Ok(Condition::All(Vec::new())),
            NodeKind::Bool(false) => Ok(Condition::Any(Vec::new())),
            NodeKind::Not(inner) => Ok(match self.condition(inner)? {
                Condition::Present(field) => Condition::Missing(field),
                inner => Condition::Not(Box::new(inner)),
            }),
            NodeKind::Compare { is, left, right } => self.compare(node, *is, left, right),
            NodeKind::In { left, right } => self.one_of(left, right),
            NodeKind::Call { name, receiver: None, argument, .. } if name == "has" => self.has(argument),
            NodeKind::Call { name, receiver: Some(receiver), argument, name_at } => {
                self.method(name, &Node { at: name_at.clone(), ..node.clone() }, receiver, argument)
            }
            NodeKind::Path(_) | NodeKind::Call { .. } => match self.side(node)? {
                Side::Flag(condition) => Ok(condition),
                Side::Field(field) => self.fault(
                    node,
                    format!(
                        "`{}` is {}; compare it with a value, or ask has({})",
                        field.in_text(),
                        field.kind().name(),
                        field.in_text()
                    ),
                ),
                Side::Literal(_) => self.fault(node, "expected a condition"),
            },
            NodeKind::Text(_) | NodeKind::Number(_) | NodeKind::List(_) => {
                self.fault(node, "this is a value; expected a condition, such as has(contact.phone)")
            }
        }
    }

    fn members(&self, members: &[Node]) -> Result<Vec<Condition>, ConditionError> {
        members.iter().map(|member| self.condition(member)).collect()
    }

    fn side<'n>(&self, node: &'n Node) -> Result<Side<'n>, ConditionError> {
        match &node.kind {
            NodeKind::Path(names) => self.path(node, names),
            NodeKind::Call { name, receiver: None, argument, .. } if name == "number" => {
                match self.side(argument)? {
                    Side::Field(Field::Custom(name)) => Ok(Side::Field(Field::NumberOf(name))),
                    Side::Field(field) if field.kind() == FieldKind::Number => {
                        self.fault(argument, format!("`{}` is a number already", field.in_text()))
                    }
                    _ => self.fault(
                        argument,
                        "number() reads one of the source's own fields, such as number(fields.budget)",
                    ),
                }
            }
            NodeKind::Call { name, receiver: None, name_at, .. } if name != "has" => {
                let message = match nearest(name, &FUNCTIONS) {
                    Some(near) => format!("unknown function `{name}`; did you mean `{near}`?"),
                    None => format!("unknown function `{name}`, expected has or number"),
                };
                Err(ConditionError::new(self.text, name_at.clone(), message))
            }
            NodeKind::Text(_) | NodeKind::Number(_) | NodeKind::Bool(_) | NodeKind::List(_) => {
                Ok(Side::Literal(node))
            }
            NodeKind::Not(_) => self.fault(node, "`!` binds to this alone; write !(a == b), or a != b"),
            _ => self.fault(node, "this is true or false by itself and is not compared"),
        }
    }

    fn path<'n>(&self, node: &Node, names: &[String]) -> Result<Side<'n>, ConditionError> {
        if let [first, rest @ ..] = names
            && first == "fields"
        {
            return match rest {
                [name] if !name.is_empty() => Ok(Side::Field(Field::Custom(name.clone()))),
                [_, _, ..] => {
                    let name = rest.join(".");
                    self.fault(node, format!("a name with a point in it is written fields[\"{name}\"]"))
                }
                _ => self.fault(node, "expected the name of a field, such as fields.city"),
            };
        }
        let path = names.join(".");
        if let Some(field) = click_id(&path) {
            return field.map(Side::Field).or_else(|message| self.fault(node, message));
        }
        if path == "time.is_open" {
            return Ok(Side::Flag(Condition::IsOpen(true)));
        }
        if let Some(name) = path.strip_prefix("consent.") {
            return match CONSENTS.into_iter().find(|purpose| purpose.as_str() == name) {
                Some(purpose) => Ok(Side::Flag(Condition::Consented(purpose))),
                None => self.fault(node, unknown_field(&path, &FLAGS)),
            };
        }
        match path.parse::<Field>() {
            Ok(field) => Ok(Side::Field(field)),
            Err(_) => self.fault(node, unknown_field(&path, &FLAGS)),
        }
    }

    fn has(&self, argument: &Node) -> Result<Condition, ConditionError> {
        match self.side(argument)? {
            Side::Field(field) => Ok(Condition::Present(field)),
            Side::Flag(_) => self.fault(argument, "this is true or false by itself; leave has() out"),
            Side::Literal(_) => self.fault(argument, "has() asks for a field, such as has(contact.phone)"),
        }
    }

    fn method(
        &self,
        name: &str,
        name_node: &Node,
        receiver: &Node,
        argument: &Node,
    ) -> Result<Condition, ConditionError> {
        if !METHODS.contains(&name) {
            let message = match nearest(name, &METHODS) {
                Some(near) => format!("unknown method `{name}`; did you mean `{near}`?"),
                None if name == "matches" => {
                    "there are no regular expressions; use contains, startsWith or endsWith".to_owned()
                }
                None => format!("unknown method `{name}`, expected contains, startsWith or endsWith"),
            };
            return self.fault(name_node, message);
        }
        let field = match self.side(receiver)? {
            Side::Field(field) if field.kind() == FieldKind::Text => field,
            Side::Field(field) => {
                let message =
                    format!("`{}` is {}; only texts have {name}", field.in_text(), field.kind().name());
                return self.fault(receiver, message);
            }
            _ => return self.fault(receiver, format!("expected a field before .{name}")),
        };
        let NodeKind::Text(value) = &argument.kind else {
            return self.fault(argument, "expected a text in quotes");
        };
        let value = value.clone();
        Ok(match name {
            "contains" => Condition::Contains { field, value },
            "startsWith" => Condition::StartsWith { field, value },
            _ => Condition::EndsWith { field, value },
        })
    }

    fn compare(
        &self,
        node: &Node,
        is: Comparison,
        left: &Node,
        right: &Node,
    ) -> Result<Condition, ConditionError> {
        match (self.side(left)?, self.side(right)?) {
            (Side::Field(field), Side::Literal(value)) => self.with_value(node, field, is, value),
            (Side::Literal(value), Side::Field(field)) => self.with_value(node, field, is.mirrored(), value),
            (Side::Flag(flag), Side::Literal(value)) | (Side::Literal(value), Side::Flag(flag)) => {
                self.with_bool(node, flag, is, value)
            }
            (Side::Literal(_), Side::Literal(_)) => {
                self.fault(node, "compares two values; one side must be a field")
            }
            _ => self.fault(node, "compares two fields; one side must be a value"),
        }
    }

    fn with_bool(
        &self,
        node: &Node,
        flag: Condition,
        is: Comparison,
        value: &Node,
    ) -> Result<Condition, ConditionError> {
        let wanted = match (&value.kind, is) {
            (NodeKind::Bool(value), Comparison::Equal) => *value,
            (NodeKind::Bool(value), Comparison::Different) => !*value,
            (NodeKind::Bool(_), _) => return self.fault(node, "true and false are compared with == and !="),
            _ => return self.fault(value, "expected true or false"),
        };
        Ok(match (flag, wanted) {
            (Condition::IsOpen(_), wanted) => Condition::IsOpen(wanted),
            (flag, true) => flag,
            (flag, false) => Condition::Not(Box::new(flag)),
        })
    }

    fn with_value(
        &self,
        node: &Node,
        field: Field,
        is: Comparison,
        value: &Node,
    ) -> Result<Condition, ConditionError> {
        if field.kind() != FieldKind::Text {
            let value = self.value(&field, value)?;
            return Ok(Condition::Compare { field, is, value });
        }
        let value = self.text_value(&field, value)?;
        match is {
            Comparison::Equal => Ok(Condition::Equals { field, value }),
            Comparison::Different => Ok(Condition::Differs { field, value }),
            _ => {
                let hint = match &field {
                    Field::Custom(_) => {
                        format!("; write number({}) and a number to compare its size", field.in_text())
                    }
                    _ => String::new(),
                };
                self.fault(node, format!("texts have no order, and `{}` is a text{hint}", field.in_text()))
            }
        }
    }

    fn text_value(&self, field: &Field, node: &Node) -> Result<String, ConditionError> {
        match &node.kind {
            NodeKind::Text(value) => match impossible(field, value) {
                Some(message) => self.fault(node, message),
                None => Ok(value.clone()),
            },
            NodeKind::Number(_) if matches!(field, Field::Custom(_)) => {
                let name = field.in_text();
                self.fault(
                    node,
                    format!("`{name}` is a text; write number({name}) to compare it with a number, or put quotes around this"),
                )
            }
            _ => self.fault(node, format!("`{}` is a text; expected a text in quotes", field.in_text())),
        }
    }

    /// The literal as a value of the field's kind, which is not text.
    fn value(&self, field: &Field, node: &Node) -> Result<Value, ConditionError> {
        let value = match (field.kind(), &node.kind) {
            (FieldKind::Number, NodeKind::Number(number)) => Some(Value::Number(*number)),
            (FieldKind::Date, NodeKind::Text(text)) => date(text).map(Value::Date),
            (FieldKind::TimeOfDay, NodeKind::Text(text)) => text.parse().ok().map(Value::TimeOfDay),
            _ => None,
        };
        match value {
            Some(value) => Ok(value),
            None => {
                let expected = match field.kind() {
                    FieldKind::Date => "expected a date such as \"2026-12-31\"",
                    FieldKind::TimeOfDay => "expected a time such as \"18:30\"",
                    FieldKind::Number | FieldKind::Text => "expected a number without quotes",
                };
                let message = format!("`{}` is {}; {expected}", field.in_text(), field.kind().name());
                self.fault(node, message)
            }
        }
    }

    fn one_of(&self, left: &Node, right: &Node) -> Result<Condition, ConditionError> {
        let field = match self.side(left)? {
            Side::Field(field) => field,
            _ => return self.fault(left, "expected a field before `in`"),
        };
        let NodeKind::List(values) = &right.kind else {
            return self.fault(right, "expected a list after `in`, such as [\"RU\", \"KZ\"]");
        };
        if field.kind() == FieldKind::Text {
            let values =
                values.iter().map(|value| self.text_value(&field, value)).collect::<Result<_, _>>()?;
            return Ok(Condition::OneOf { field, values });
        }
        let equals = |value: &Node| {
            let value = self.value(&field, value)?;
            Ok(Condition::Compare { field: field.clone(), is: Comparison::Equal, value })
        };
        let mut members: Vec<Condition> = values.iter().map(equals).collect::<Result<_, _>>()?;
        match members.pop() {
            Some(only) if members.is_empty() => Ok(only),
            last => {
                members.extend(last);
                Ok(Condition::Any(members))
            }
        }
    }
}
