//! Where a lead came from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::secret::Pii;
use crate::time::Timestamp;

/// First and last touch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Attribution {
    /// The visit that brought the person for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Touch>,
    /// The visit in which the lead was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Touch>,
}

impl Attribution {
    /// Whether nothing is known.
    pub const fn is_empty(&self) -> bool {
        self.first.is_none() && self.last.is_none()
    }
}

/// One visit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Touch {
    /// `utm_source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_source: Option<String>,
    /// `utm_medium`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_medium: Option<String>,
    /// `utm_campaign`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_campaign: Option<String>,
    /// `utm_content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_content: Option<String>,
    /// `utm_term`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_term: Option<String>,
    /// Click ids by parameter name, such as `yclid`, `gclid`, `rb_clickid`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub click_ids: BTreeMap<String, String>,
    /// The page that linked here. May carry personal data in its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<Pii<String>>,
    /// The page itself. May carry personal data in its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<Pii<String>>,
    /// When the visit was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Touch {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes a parameter of a landing URL or form: `utm_*` and click ids. Answers whether it was one.
    pub fn take_parameter(&mut self, name: &str, value: &str) -> bool {
        let slot = match name {
            "utm_source" => &mut self.utm_source,
            "utm_medium" => &mut self.utm_medium,
            "utm_campaign" => &mut self.utm_campaign,
            "utm_content" => &mut self.utm_content,
            "utm_term" => &mut self.utm_term,
            "yclid" | "gclid" | "fbclid" | "rb_clickid" | "vk_click_id" | "ym_client_id" | "roistat" => {
                self.click_ids.insert(name.to_owned(), value.to_owned());
                return true;
            }
            _ => return false,
        };
        *slot = Some(value.to_owned());
        true
    }

    /// Cuts every value to what is stored and drops control characters. What a visitor did not type
    /// must not cost the lead, so nothing here is refused.
    pub(super) fn tidy(mut self) -> Self {
        for value in [
            &mut self.utm_source,
            &mut self.utm_medium,
            &mut self.utm_campaign,
            &mut self.utm_content,
            &mut self.utm_term,
        ] {
            *value = value.take().map(|text| cut(&text, 256)).filter(|text| !text.is_empty());
        }
        for value in [&mut self.referrer, &mut self.page] {
            *value = value
                .take()
                .map(|text| Pii::new(cut(text.expose(), 2_048)))
                .filter(|text| !text.expose().is_empty());
        }
        self.click_ids =
            self.click_ids.iter().take(16).map(|(name, value)| (cut(name, 64), cut(value, 256))).collect();
        self
    }
}

fn cut(text: &str, max_chars: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max_chars).collect::<String>().trim().to_owned()
}
