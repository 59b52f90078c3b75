//! A template as it is written: a text, or its parts.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::TemplateSource;

/// A text with holes, such as `Новая заявка: {{ lead.phone }}`, for channels of several kinds.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TemplateParts {
    /// Subject line, for channels that have one.
    #[serde(default)]
    subject: Option<String>,
    /// The text without markup.
    plain: String,
    /// The same text as HTML, for channels that show it. Values are escaped.
    #[serde(default)]
    html: Option<String>,
}

impl<'de> Deserialize<'de> for TemplateSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrParts)
    }
}

/// Not an untagged enum: that would hide which part is wrong.
struct TextOrParts;

impl<'de> Visitor<'de> for TextOrParts {
    type Value = TemplateSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a map with `plain` and perhaps `html` and `subject`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TemplateSource, E> {
        Ok(TemplateSource::plain(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TemplateSource, A::Error> {
        let TemplateParts { subject, plain, html } =
            TemplateParts::deserialize(MapAccessDeserializer::new(map))?;
        Ok(TemplateSource { subject, plain, html })
    }
}

impl JsonSchema for TemplateSource {
    fn schema_name() -> Cow<'static, str> {
        "TemplateSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let parts = generator.subschema_for::<TemplateParts>();
        json_schema!({
            "description": "A text with holes, such as `Новая заявка: {{ lead.phone }}`. Written as a text alone, it is the plain one.",
            "anyOf": [{ "type": "string" }, parts],
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::template::Template;

    #[test]
    fn a_text_alone_is_the_plain_one() {
        let read = |text: &str| serde_json::from_str::<Template>(text);
        let short = read(r#"{"ru": "Заявка"}"#).unwrap();
        assert_eq!(short, read(r#"{"ru": {"plain": "Заявка"}}"#).unwrap());
        assert_eq!(serde_json::to_string(&short).unwrap(), r#"{"ru":{"plain":"Заявка"}}"#);
        let error = read(r#"{"ru": 5}"#).unwrap_err().to_string();
        assert!(error.contains("expected a text, or a map with `plain`"), "{error}");
        let error = read(r#"{"ru": {"plain": "x", "htm": "y"}}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `htm`, expected one of `subject`, `plain`, `html`"), "{error}");
        let error = read(r#"{"de": "x"}"#).unwrap_err().to_string();
        assert!(error.contains("unknown variant `de`, expected `ru` or `en`"), "{error}");
    }
}
