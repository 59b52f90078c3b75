//! From a condition to its text form.

use std::borrow::Cow;
use std::fmt::{self, Write};

use crate::policy::condition::{Condition, Field};

/// Words that CEL keeps for itself, so that a field of that name is written in quotes.
const RESERVED: [&str; 20] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "while",
];

impl fmt::Display for Condition {
    /// The text form. Reading it gives the same condition, written in its simplest way: a list of
    /// one condition is that condition, what is not present is missing, and `phone_country` is a
    /// comparison of `contact.phone_country`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(members) => chain(f, members, " && ", "true"),
            Self::Any(members) => chain(f, members, " || ", "false"),
            Self::Not(inner) if inner.is_closed() => write!(f, "!{inner}"),
            Self::Not(inner) => write!(f, "!({inner})"),
            Self::Present(field) => write!(f, "has({})", field.in_text()),
            Self::Missing(field) => write!(f, "!has({})", field.in_text()),
            Self::Equals { field, value } => write!(f, "{} == {}", field.in_text(), Quoted(value)),
            Self::Differs { field, value } => write!(f, "{} != {}", field.in_text(), Quoted(value)),
            Self::OneOf { field, values } => one_of(f, field, values),
            Self::PhoneCountry(values) => one_of(f, &Field::PhoneCountry, values),
            Self::Contains { field, value } => write!(f, "{}.contains({})", field.in_text(), Quoted(value)),
            Self::StartsWith { field, value } => {
                write!(f, "{}.startsWith({})", field.in_text(), Quoted(value))
            }
            Self::EndsWith { field, value } => write!(f, "{}.endsWith({})", field.in_text(), Quoted(value)),
            Self::Compare { field, is, value } => write!(f, "{} {} {value}", field.in_text(), is.as_str()),
            Self::Consented(purpose) => write!(f, "consent.{}", purpose.as_str()),
            Self::IsOpen(true) => f.write_str("time.is_open"),
            Self::IsOpen(false) => f.write_str("time.is_open == false"),
        }
    }
}

impl Condition {
    /// Whether its text holds together behind `!`.
    fn is_closed(&self) -> bool {
        match self {
            Self::All(members) | Self::Any(members) => match members.as_slice() {
                [] => true,
                [only] => only.is_closed(),
                _ => false,
            },
            Self::Equals { .. }
            | Self::Differs { .. }
            | Self::OneOf { .. }
            | Self::PhoneCountry(_)
            | Self::Compare { .. }
            | Self::IsOpen(false) => false,
            _ => true,
        }
    }

    /// Whether its text is a chain of several.
    fn is_chain(&self) -> bool {
        match self {
            Self::All(members) | Self::Any(members) => match members.as_slice() {
                [only] => only.is_chain(),
                members => !members.is_empty(),
            },
            _ => false,
        }
    }
}

fn chain(f: &mut fmt::Formatter<'_>, members: &[Condition], join: &str, empty: &str) -> fmt::Result {
    let [first, rest @ ..] = members else { return f.write_str(empty) };
    if rest.is_empty() {
        return write!(f, "{first}");
    }
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            f.write_str(join)?;
        }
        if member.is_chain() {
            write!(f, "({member})")?;
        } else {
            write!(f, "{member}")?;
        }
    }
    Ok(())
}

fn one_of(f: &mut fmt::Formatter<'_>, field: &Field, values: &[String]) -> fmt::Result {
    write!(f, "{} in [", field.in_text())?;
    for (index, value) in values.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{}", Quoted(value))?;
    }
    f.write_char(']')
}

impl Field {
    /// As it is written in the text form.
    pub(in crate::policy) fn in_text(&self) -> Cow<'static, str> {
        match self {
            Self::Custom(name) => Cow::Owned(own_field(name)),
            Self::NumberOf(name) => Cow::Owned(format!("number({})", own_field(name))),
            _ => Cow::Owned(self.to_string()),
        }
    }
}

fn own_field(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name);
    if plain { format!("fields.{name}") } else { format!("fields[{}]", Quoted(name)) }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                control if control.is_control() => write!(f, "\\u{:04x}", u32::from(control))?,
                plain => f.write_char(plain)?,
            }
        }
        f.write_char('"')
    }
}
