//! Approved templates and what fills them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::Refused;
use crate::sim::ArrivedButton;

/// A template that was approved.
#[derive(Debug, Clone)]
pub(super) struct Approved {
    body: String,
    /// Names or numbers of its placeholders, in order.
    placeholders: Vec<String>,
    quick_replies: Vec<String>,
}

/// A template as a person sees it.
pub(super) struct Filled {
    pub(super) text: String,
    pub(super) buttons: Vec<ArrivedButton>,
}

impl Approved {
    pub(super) fn new(body: &str, quick_replies: &[&str]) -> Self {
        let mut placeholders: Vec<String> = Vec::new();
        for part in body.split("{{").skip(1) {
            if let Some((name, _)) = part.split_once("}}")
                && !placeholders.iter().any(|known| known == name)
            {
                placeholders.push(name.to_owned());
            }
        }
        let quick_replies = quick_replies.iter().map(|label| (*label).to_owned()).collect();
        Self { body: body.to_owned(), placeholders, quick_replies }
    }

    /// Fills it with the components of a request.
    ///
    /// # Errors
    /// Meta's refusal.
    pub(super) fn fill(&self, components: &[Value]) -> Result<Filled, Refused> {
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        let mut payloads: BTreeMap<usize, &str> = BTreeMap::new();
        for component in components {
            let kind = component["type"].as_str().unwrap_or_default().to_ascii_lowercase();
            let parameters = component["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
            match kind.as_str() {
                "body" => self.read_body(parameters, &mut values)?,
                "button" => {
                    let (index, payload) = self.read_button(component, parameters)?;
                    payloads.insert(index, payload);
                }
                _ => {
                    return Err(Refused::new(
                        132_018,
                        "There is a problem with the parameters of the template",
                    ));
                }
            }
        }
        if values.len() != self.placeholders.len() {
            return Err(Refused::new(
                132_000,
                "Number of parameters does not match the expected number of params",
            ));
        }
        let text = values
            .iter()
            .fold(self.body.clone(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
        if text.chars().count() > 1_024 {
            return Err(Refused::new(132_005, "Translated text too long"));
        }
        let button = |(index, label): (usize, &String)| ArrivedButton {
            label: label.clone(),
            data: payloads.get(&index).map_or_else(|| label.clone(), |payload| (*payload).to_owned()),
            opens_url: false,
        };
        Ok(Filled { text, buttons: self.quick_replies.iter().enumerate().map(button).collect() })
    }

    fn read_body<'a>(
        &'a self,
        parameters: &'a [Value],
        values: &mut BTreeMap<&'a str, &'a str>,
    ) -> Result<(), Refused> {
        for (index, parameter) in parameters.iter().enumerate() {
            let text = parameter["text"].as_str().filter(|_| parameter["type"] == "text");
            let text = text.filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| Refused::new(131_008, "Required parameter is missing"))?;
            if text.contains(['\n', '\r', '\t']) || text.contains("     ") {
                let words =
                    "Param text cannot have new-line/tab characters or more than 4 consecutive spaces";
                return Err(Refused::new(132_012, words));
            }
            let named = parameter["parameter_name"].as_str();
            let number = (index + 1).to_string();
            let known = self.placeholders.iter().find(|known| named.unwrap_or(&number) == known.as_str());
            let known = known.ok_or_else(|| Refused::new(132_000, "Number of parameters does not match"))?;
            values.insert(known, text);
        }
        Ok(())
    }

    fn read_button<'a>(
        &self,
        component: &'a Value,
        parameters: &'a [Value],
    ) -> Result<(usize, &'a str), Refused> {
        let refused = || Refused::new(132_018, "There is a problem with the buttons of the template");
        let sub_type = component["sub_type"].as_str().unwrap_or_default().to_ascii_lowercase();
        let index = match &component["index"] {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|index| usize::try_from(index).ok()),
            _ => None,
        };
        let index = index.filter(|index| *index < self.quick_replies.len()).ok_or_else(refused)?;
        let payload = match parameters {
            [one] if one["type"] == "payload" && sub_type == "quick_reply" => one["payload"].as_str(),
            _ => None,
        };
        payload.map(|payload| (index, payload)).ok_or_else(refused)
    }
}
