//! Where a lead came from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::note::{CaptureNote, NoteCode};
use crate::secret::Pii;
use crate::time::{Timestamp, is_plausible};

/// Parameters of a page's address that are looked at.
const PAGE_PARAMETERS: usize = 100;

/// Parameters by which advertising systems, counters and call trackers know a visit again.
pub(crate) const CLICK_IDS: [&str; 25] = [
    // Yandex: Direct, Metrica, search. https://yandex.ru/support/direct/ru/statistics/url-tags
    "yclid",
    "ymclid",
    "ysclid",
    "_ym_uid",
    "ym_uid",
    "ym_client_id",
    // Google: https://support.google.com/google-ads/answer/9744275
    "gclid",
    "gbraid",
    "wbraid",
    "dclid",
    "ga_client_id",
    // Other advertising systems.
    "fbclid",
    "msclkid",
    "ttclid",
    "rb_clickid",
    "vk_click_id",
    "vkclid",
    // Call trackers and analytics of the Russian market.
    "roistat",
    "roistat_visit",
    "calltouch_session_id",
    "calltouch_client_id",
    "ct_session_id",
    "_ct_session_id",
    "_ct_client_global_id",
    "_openstat",
];

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

    /// Takes a parameter of a landing URL or form, in any case: `utm_*` and click ids. The first that is not blank
    /// stays. Returns whether it was one.
    pub fn take_parameter(&mut self, name: &str, value: &str) -> bool {
        let name = name.trim().to_ascii_lowercase();
        let slot = match name.as_str() {
            "utm_source" => &mut self.utm_source,
            "utm_medium" => &mut self.utm_medium,
            "utm_campaign" => &mut self.utm_campaign,
            "utm_content" => &mut self.utm_content,
            "utm_term" => &mut self.utm_term,
            _ if CLICK_IDS.contains(&name.as_str()) => {
                if !value.trim().is_empty() {
                    self.click_ids.entry(name).or_insert_with(|| value.to_owned());
                }
                return true;
            }
            _ => return false,
        };
        if slot.is_none() && !value.trim().is_empty() {
            *slot = Some(value.to_owned());
        }
        true
    }

    /// Takes what is not known here from another account of the same visit.
    pub(super) fn fill(&mut self, other: Self) {
        let Self {
            utm_source,
            utm_medium,
            utm_campaign,
            utm_content,
            utm_term,
            click_ids,
            referrer,
            page,
            at,
        } = other;
        for (mine, given) in [
            (&mut self.utm_source, utm_source),
            (&mut self.utm_medium, utm_medium),
            (&mut self.utm_campaign, utm_campaign),
            (&mut self.utm_content, utm_content),
            (&mut self.utm_term, utm_term),
        ] {
            if mine.is_none() {
                *mine = given;
            }
        }
        for (name, value) in click_ids {
            self.click_ids.entry(name).or_insert(value);
        }
        self.referrer = self.referrer.take().or(referrer);
        self.page = self.page.take().or(page);
        self.at = self.at.or(at);
    }

    /// Reads a visit at `path` of a JSON document. What cannot be read is set aside.
    pub(super) fn read(visit: Map<String, Value>, path: &str) -> (Self, Vec<CaptureNote>) {
        let (mut touch, mut notes) = (Self::default(), Vec::new());
        for (name, value) in visit {
            let text = match &value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            match (name.as_str(), &value) {
                ("click_ids", Value::Object(ids)) => {
                    let ids = ids.iter().filter_map(|(name, id)| match id {
                        Value::String(id) => Some((name.clone(), id.clone())),
                        Value::Number(id) => Some((name.clone(), id.to_string())),
                        _ => None,
                    });
                    touch.click_ids.extend(ids);
                }
                (_, Value::Object(_) | Value::Array(_)) => {
                    notes.push(
                        CaptureNote::new(&format!("{path}.{name}"), NoteCode::InvalidType).keeping(&text),
                    );
                }
                ("page", _) => touch.page = Some(Pii::new(text)),
                ("referrer", _) => touch.referrer = Some(Pii::new(text)),
                ("at", _) => match serde_json::from_value(value) {
                    Ok(at) if is_plausible(at) => touch.at = Some(at),
                    _ => {
                        notes.push(
                            CaptureNote::new(&format!("{path}.at"), NoteCode::InvalidType).keeping(&text),
                        );
                    }
                },
                _ if touch.take_parameter(&name, &text) => {}
                _ => notes
                    .push(CaptureNote::new(&format!("{path}.{name}"), NoteCode::InvalidName).keeping(&text)),
            }
        }
        (touch, notes)
    }

    /// Takes `utm_*` and click ids that stand only in the address of the page.
    fn read_page(&mut self) {
        let Some(page) = &self.page else { return };
        let Some((_, query)) = page.expose().split_once('?') else { return };
        let query = query.split('#').next().unwrap_or_default().to_owned();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).take(PAGE_PARAMETERS) {
            self.take_parameter(&name, &value);
        }
    }

    /// Cuts every value to what is stored and drops control characters. What a visitor did not type
    /// must not cost the lead, so nothing here is refused.
    pub(super) fn tidy(mut self) -> Self {
        self.read_page();
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
        let ids = self.click_ids.iter().map(|(name, value)| (cut(name, 64), cut(value, 256)));
        self.click_ids = ids.filter(|(name, value)| !name.is_empty() && !value.is_empty()).take(24).collect();
        self
    }
}

fn cut(text: &str, max_chars: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max_chars).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_page_says_what_the_form_does_not() {
        let page = "https://example.com/?UTM_Source=yandex&utm_source=second&utm_medium=&utm_medium=cpc\
                    &ymclid=1&gbraid=2&wbraid=3&x=y&utm_term=%D0%BA%D1%83%D1%85%D0%BD%D1%8F#utm_content=no";
        let touch =
            Touch { page: Some(page.into()), utm_campaign: Some("own".into()), ..Touch::default() }.tidy();
        assert_eq!(touch.utm_source.as_deref(), Some("yandex"), "the first stays");
        assert_eq!(touch.utm_medium.as_deref(), Some("cpc"), "a blank one is none");
        assert_eq!(touch.utm_campaign.as_deref(), Some("own"));
        assert_eq!((touch.utm_term.as_deref(), touch.utm_content), (Some("кухня"), None));
        assert_eq!(touch.click_ids.keys().collect::<Vec<_>>(), ["gbraid", "wbraid", "ymclid"]);
        let explicit =
            Touch { utm_source: Some("mail".into()), page: Some(page.into()), ..Touch::default() }.tidy();
        assert_eq!(
            explicit.utm_source.as_deref(),
            Some("mail"),
            "what was said goes before what the page says"
        );
    }
}
