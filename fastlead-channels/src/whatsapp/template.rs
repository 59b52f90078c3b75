//! The approved template that takes the place of a free text.

use fastlead_core::Result;
use fastlead_core::channel::{TextLimit, TextUnit};
use fastlead_core::text::truncate;
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::fault;
use super::wire::{Component, Language, Parameter, Template};

/// Meta: 512 characters of small Latin letters, digits and underscores. From memory.
const LONGEST_NAME: usize = 512;
/// Quick replies of one template. From memory.
const MOST_QUICK_REPLIES: u8 = 10;
/// Longest value of a parameter; the whole body of a template has 1024 characters.
const LONGEST_PARAMETER: u32 = 1_024;
/// What stands between the lines of a text in a parameter, which may hold no line break.
const BETWEEN_LINES: &str = "; ";

/// An approved template and what goes into it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TemplateConfig {
    /// Name of the template in WhatsApp Manager, such as `new_lead`.
    pub name: String,
    /// Code of its language, such as `ru` or `en_US`.
    pub language: String,
    /// When the template takes the place of the text. Default: `closed`.
    #[serde(default, rename = "when")]
    pub used: TemplateUse,
    /// What goes into the placeholders of its body. All have a `name`, or none has: then they are `{{1}}`, `{{2}}` and so
    /// on, in this order.
    #[serde(default)]
    pub parameters: Vec<TemplateParameter>,
    /// How many quick reply buttons the template has, from 0 to 10; they must come before its other buttons. Default: 0. The
    /// first is taken for "accept" and the second for "decline" where the message is an offer.
    #[serde(default)]
    pub quick_replies: u8,
    /// Longest text inside a parameter, in UTF-16 units from 1 to 1024; a longer one is cut. Default: 700, which leaves
    /// room for the template's own words within the 1024 of a body.
    #[serde(default = "default_parameter_max")]
    pub parameter_max: u32,
}

const fn default_parameter_max() -> u32 {
    700
}

/// When a template takes the place of a free text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TemplateUse {
    /// For everybody who has not written within the last 24 hours, as far as this process has seen; others get the text.
    /// After a restart that is everybody until they write.
    #[default]
    Closed,
    /// Where WhatsApp refuses the text at once (131047). It mostly refuses later, in a receipt.
    Refused,
    /// Always.
    Always,
}

/// One placeholder of a template's body.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TemplateParameter {
    /// Name of the placeholder, where the template has names. Default: none, it has a number.
    #[serde(default)]
    pub name: Option<String>,
    /// Words that always stand there. Default: none, the text of the message stands there, its lines separated by `; `.
    #[serde(default)]
    pub value: Option<String>,
}

impl TemplateParameter {
    /// The placeholder of this name, with the text of the message.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), value: None }
    }
}

impl TemplateConfig {
    /// A template without parameters.
    pub fn new(name: impl Into<String>, language: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            language: language.into(),
            used: TemplateUse::default(),
            parameters: Vec::new(),
            quick_replies: 0,
            parameter_max: default_parameter_max(),
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`fastlead_core::ErrorKind::Config`] that names the field and the fix.
    pub(super) fn validate(&self) -> Result<()> {
        if !is_name(&self.name, LONGEST_NAME) {
            return Err(fault(
                "template.name: use the name in WhatsApp Manager, small Latin letters, digits and _",
            ));
        }
        let code = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        if !(2..=10).contains(&self.language.len()) || !self.language.bytes().all(code) {
            return Err(fault("template.language: use a code such as ru or en_US"));
        }
        let named = self.parameters.iter().filter(|parameter| parameter.name.is_some()).count();
        if named != 0 && named != self.parameters.len() {
            return Err(fault("template.parameters: name all of them, or none"));
        }
        for parameter in &self.parameters {
            if parameter.name.as_ref().is_some_and(|name| !is_name(name, 100)) {
                return Err(fault("template.parameters: a name has small Latin letters, digits and _"));
            }
            if parameter
                .value
                .as_ref()
                .is_some_and(|value| value.trim().is_empty() || one_line(value) != *value)
            {
                return Err(fault("template.parameters: a value is one line that is not empty"));
            }
        }
        if self.quick_replies > MOST_QUICK_REPLIES {
            return Err(fault("template.quick_replies: use 0 to 10"));
        }
        if !(1..=LONGEST_PARAMETER).contains(&self.parameter_max) {
            return Err(fault("template.parameter_max: use 1 to 1024"));
        }
        Ok(())
    }

    /// Fills the template with a text whose links are written out, and gives its quick replies to the answers of an offer, each
    /// by the text that its press brings back.
    ///
    /// # Errors
    /// [`fastlead_core::ErrorKind::Content`] where a parameter has no room for a single character.
    pub(super) fn filled(&self, text: &str, answers: impl Iterator<Item = String>) -> Result<Template<'_>> {
        let limit = TextLimit { max: self.parameter_max, unit: TextUnit::Utf16 };
        let said = truncate(&one_line(text), limit)?;
        let parameters: Vec<_> = self
            .parameters
            .iter()
            .map(|parameter| Parameter::Text {
                parameter_name: parameter.name.as_deref(),
                text: parameter.value.clone().unwrap_or_else(|| said.clone()),
            })
            .collect();
        let body = (!parameters.is_empty()).then_some(Component::Body { parameters });
        let buttons = answers.enumerate().map(|(index, payload)| Component::Button {
            sub_type: "quick_reply",
            index: index.to_string(),
            parameters: [Parameter::Payload { payload }],
        });
        let components = body.into_iter().chain(buttons).collect();
        Ok(Template { name: &self.name, language: Language { code: &self.language }, components })
    }
}

fn is_name(text: &str, longest: usize) -> bool {
    let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.len() <= longest && text.bytes().all(small)
}

/// A text without line breaks, tabs and runs of blanks, none of which a parameter may hold.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(BETWEEN_LINES)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(change: serde_json::Value) -> TemplateConfig {
        let mut json = json!({"name": "new_lead", "language": "ru"});
        json.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_whatsapp_would_refuse_is_refused_before() {
        template(json!({})).validate().unwrap();
        template(
            json!({"when": "always", "parameters": [{"name": "lead"}, {"name": "shop", "value": "Ёлка"}]}),
        )
        .validate()
        .unwrap();
        for (change, field) in [
            (json!({"name": "New lead"}), "template.name"),
            (json!({"name": ""}), "template.name"),
            (json!({"language": "r"}), "template.language"),
            (json!({"language": "ru-RU"}), "template.language"),
            (json!({"parameters": [{"name": "a"}, {}]}), "template.parameters"),
            (json!({"parameters": [{"name": "A b"}]}), "template.parameters"),
            (json!({"parameters": [{"value": " "}]}), "template.parameters"),
            (json!({"parameters": [{"value": "a\nb"}]}), "template.parameters"),
            (json!({"quick_replies": 11}), "template.quick_replies"),
            (json!({"parameter_max": 0}), "template.parameter_max"),
            (json!({"parameter_max": 1025}), "template.parameter_max"),
        ] {
            let error = template(change.clone()).validate().unwrap_err();
            assert!(error.message().starts_with(field), "{change}: {error}");
        }
    }

    #[test]
    fn a_text_becomes_one_line() {
        for (text, line) in [
            ("Анна\n+7 900 000-00-00\n\nЁлка,\tдве    штуки\r\n", "Анна; +7 900 000-00-00; Ёлка, две штуки"),
            ("one", "one"),
            (" \n\t", ""),
        ] {
            assert_eq!(one_line(text), line);
        }
    }
}
