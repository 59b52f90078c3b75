//! Names of other programs' fields, and where their values belong.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::preset::Preset;
use super::{ConsentPurpose, Touch};

/// Characters of a name that are looked at.
const NAME_CHARS: usize = 256;

/// Where the fields of a source's forms belong. A field that is named nowhere stays a field of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FieldMapping {
    /// The form tool whose names are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Places by name. Case does not matter, `a[b]` is written `a.b`, and `*` stands for any characters. These go
    /// before those of the preset. Up to 200.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Place>,
}

impl FieldMapping {
    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.preset.is_none() && self.names.is_empty()
    }

    /// The names of its own as they are compared.
    pub(super) fn compared(&self) -> Vec<(String, &Place)> {
        self.names.iter().map(|(pattern, place)| (pattern.to_lowercase(), place)).collect()
    }
}

/// Looks up where the value of a field belongs; `None` where neither `own` names nor the preset names it.
pub(super) fn find_place(own: &[(String, &Place)], preset: Option<Preset>, key: &str) -> Option<Place> {
    let mine = own.iter().find_map(|(pattern, place)| matched(pattern, key).map(|star| place.filled(star)));
    let known = || {
        let names = preset?.names();
        let (star, place) =
            names.iter().find_map(|(pattern, place)| Some((matched(pattern, key)?, place)))?;
        Some(place.parse::<Place>().ok()?.filled(star))
    };
    mine.or_else(known)
}

/// The name of a field as mappings write it: `a[b][]` becomes `a.b`.
pub(super) fn dotted(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    let name = name.strip_suffix("[]").unwrap_or(name);
    if name.ends_with(']') && name.contains('[') && !name.starts_with('[') {
        return name.replace("][", ".").replace('[', ".").trim_end_matches(']').to_owned().into();
    }
    name.into()
}

/// A name as it is compared.
pub(super) fn compared(name: &str) -> String {
    name.chars().take(NAME_CHARS).flat_map(char::to_lowercase).collect()
}

/// What the last `*` of a pattern stands for in a text; empty where the pattern has none.
fn matched<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
    let Some((head, tail)) = pattern.split_once('*') else { return (pattern == text).then_some("") };
    let rest = text.strip_prefix(head)?;
    if !tail.contains('*') {
        return rest.strip_suffix(tail);
    }
    let places = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    places.into_iter().find_map(|at| matched(tail, rest.get(at..)?))
}

/// Where a value belongs.
///
/// As text: `name`, `phone`, `email`, `comment`, `locale`, `page`, `referrer`, `consents.` with a purpose,
/// `fields.` with a name (in which `*` stands for what the last `*` of the pattern stood for), a parameter such as
/// `utm_source` or `yclid`, or `ignore`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// What the person is called. Several are joined by a space: first name, family name.
    Name,
    /// A phone number. The first that is one is taken, the others stay fields.
    Phone,
    /// An e-mail address. The first that is one is taken, the others stay fields.
    Email,
    /// What the person wrote. Several are joined, a line each.
    Comment,
    /// The language to answer in.
    Locale,
    /// The page on which the form was.
    Page,
    /// The page that linked there.
    Referrer,
    /// A box.
    Consent(ConsentPurpose),
    /// A parameter of an advertising system, such as `utm_source`.
    Parameter(String),
    /// A field of the source's own, by this name.
    Field(String),
    /// Not kept.
    Ignore,
}

impl Place {
    fn filled(&self, star: &str) -> Self {
        match self {
            Self::Field(name) => Self::Field(name.replace('*', star)),
            other => other.clone(),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "name" => Self::Name,
            "phone" => Self::Phone,
            "email" => Self::Email,
            "comment" => Self::Comment,
            "locale" => Self::Locale,
            "page" => Self::Page,
            "referrer" => Self::Referrer,
            "consents.personal_data" => Self::Consent(ConsentPurpose::PersonalData),
            "consents.advertising" => Self::Consent(ConsentPurpose::Advertising),
            "consents.offer" => Self::Consent(ConsentPurpose::Offer),
            "ignore" => Self::Ignore,
            other => match other.strip_prefix("fields.") {
                Some(name) if !name.trim().is_empty() => Self::Field(name.trim().to_owned()),
                _ if Touch::default().take_parameter(other, "x") => Self::Parameter(other.to_owned()),
                _ => {
                    return Err(
                        "expected `name`, `phone`, `email`, `comment`, `locale`, `page`, `referrer`, \
                         `consents.personal_data`, `consents.advertising`, `consents.offer`, `fields.` with a name, \
                         a parameter such as `utm_source`, or `ignore`"
                            .to_owned(),
                    );
                }
            },
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Phone => f.write_str("phone"),
            Self::Email => f.write_str("email"),
            Self::Comment => f.write_str("comment"),
            Self::Locale => f.write_str("locale"),
            Self::Page => f.write_str("page"),
            Self::Referrer => f.write_str("referrer"),
            Self::Consent(purpose) => write!(f, "consents.{}", purpose.as_str()),
            Self::Parameter(name) => f.write_str(name),
            Self::Field(name) => write!(f, "fields.{name}"),
            Self::Ignore => f.write_str("ignore"),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Place {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Place".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "`name`, `phone`, `email`, `comment`, `locale`, `page`, `referrer`, `consents.` with a purpose, \
                `fields.` with a name, a parameter such as `utm_source`, or `ignore`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_with_dots() {
        for (name, expected) in [
            ("services[]", "services"),
            ("contact[phone]", "contact.phone"),
            ("a[b][0][c]", "a.b.0.c"),
            ("fields[name][value][]", "fields.name.value"),
            ("[x]", "[x]"),
            ("x]", "x]"),
            ("Имя", "Имя"),
        ] {
            assert_eq!(dotted(name), expected, "{name}");
        }
    }

    #[test]
    fn a_pattern_stands_for_names() {
        assert_eq!(matched("q*_phone*", "q5_phonenumber"), Some("number"));
        assert_eq!(matched("fields.*.value", "fields.name.value"), Some("name"));
        assert_eq!(matched("*", ""), Some(""));
        assert_eq!(matched("a*b*c", "aXbYc"), Some("Y"));
        for (pattern, text) in [("phone", "phone2"), ("q*_phone", "phone"), ("a*b*c", "acb"), ("*x", "y")] {
            assert_eq!(matched(pattern, text), None, "{pattern} {text}");
        }
    }

    #[test]
    fn own_names_go_before_those_of_a_preset() {
        let mapping: FieldMapping = serde_json::from_value(serde_json::json!({
            "preset": "wordpress",
            "names": {"Your-Name": "fields.Кто", "tel-*": "ignore", "opt*": "fields.option *"},
        }))
        .unwrap();
        let own = mapping.compared();
        let place = |key: &str| find_place(&own, mapping.preset, key);
        assert_eq!(place("your-name"), Some(Place::Field("Кто".to_owned())));
        assert_eq!(place("tel-123"), Some(Place::Ignore));
        assert_eq!(place("opt7"), Some(Place::Field("option 7".to_owned())));
        assert_eq!(place("your-email"), Some(Place::Email));
        assert_eq!(place("other"), None);
        let text = serde_json::to_string(&mapping).unwrap();
        assert_eq!(serde_json::from_str::<FieldMapping>(&text).unwrap(), mapping);
        assert!(serde_json::from_str::<FieldMapping>(r#"{"names": {"a": "fields."}}"#).is_err());
        assert!(serde_json::from_str::<FieldMapping>(r#"{"names": {"a": "telephone"}}"#).is_err());
    }
}
