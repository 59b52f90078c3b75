//! What a source says on its form, in each language in which the form is offered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lead::ConsentDocument;
use crate::message::Locale;

/// The form of a source: the hosted page, and the widget on a site.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FormSettings {
    /// Heading; the default asks to leave a phone number.
    pub title: Option<String>,
    /// Text under the heading.
    pub intro: Option<String>,
    /// Whether the form asks for an e-mail address too.
    pub ask_email: bool,
    /// Whether the form has a field for a comment.
    pub ask_comment: bool,
    /// Whom the visitor gives the data to: name and address of the operator (152-FZ art. 9 p. 4).
    pub operator: Option<String>,
    /// Text that stands under the thanks, once a form is taken; the default says that somebody will be in touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thanks: Option<String>,
    /// Languages in which the form is offered, the source's own among them. Left out: each language in which every text of
    /// the source exists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<Locale>,
    /// The texts above in other languages than the source's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<Locale, FormTexts>,
    /// Sites whose pages may show the form in a frame, such as `https://example.com` or `https://*.example.com`; `none` alone for
    /// no page at all. Left out: any page may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frame_ancestors: Vec<String>,
}

/// Texts of a form in one language.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FormTexts {
    /// Heading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Text under the heading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intro: Option<String>,
    /// Whom the visitor gives the data to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Text that stands under the thanks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thanks: Option<String>,
}

impl FormTexts {
    /// Names and values, in the order of the fields.
    pub fn named(&self) -> [(&'static str, Option<&str>); 4] {
        let Self { title, intro, operator, thanks } = self;
        [("title", title), ("intro", intro), ("operator", operator), ("thanks", thanks)]
            .map(|(name, text)| (name, text.as_deref()))
    }
}

impl FormSettings {
    /// Returns the texts of the form in `locale`, `own` being the language of the source.
    pub fn texts(&self, locale: Locale, own: Locale) -> FormTexts {
        if locale != own {
            return self.translations.get(&locale).cloned().unwrap_or_default();
        }
        FormTexts {
            title: self.title.clone(),
            intro: self.intro.clone(),
            operator: self.operator.clone(),
            thanks: self.thanks.clone(),
        }
    }

    /// Returns the languages in which the form is offered, `own`, that of the source, first.
    ///
    /// ```
    /// use fastlead_core::message::Locale;
    /// use fastlead_core::port::FormSettings;
    ///
    /// let form = FormSettings { title: Some("Запись на приём".into()), ..FormSettings::default() };
    /// assert_eq!(form.offered(Locale::Ru, &[]), [Locale::Ru], "the heading has no English words");
    /// assert_eq!(FormSettings::default().offered(Locale::Ru, &[]), [Locale::Ru, Locale::En]);
    /// ```
    pub fn offered(&self, own: Locale, consents: &[ConsentDocument]) -> Vec<Locale> {
        let others = Locale::ALL.into_iter().filter(|locale| *locale != own);
        let offered = others.filter(|locale| match self.languages.is_empty() {
            true => self.missing(*locale, own, consents).is_empty(),
            false => self.languages.contains(locale),
        });
        std::iter::once(own).chain(offered).collect()
    }

    /// Names the texts that are missing in `locale`: paths such as `consents[0].locale` or
    /// `form.translations.en.title`.
    pub fn missing(&self, locale: Locale, own: Locale, consents: &[ConsentDocument]) -> Vec<String> {
        let mut missing = Vec::new();
        for (index, document) in consents.iter().enumerate() {
            let is_first = !consents.iter().take(index).any(|other| other.purpose == document.purpose);
            let speaks = |other: &ConsentDocument| {
                other.purpose == document.purpose && other.locale.unwrap_or(own) == locale
            };
            if is_first && !consents.iter().any(speaks) {
                missing.push(format!("consents[{index}].locale"));
            }
        }
        let (here, there) = (self.texts(own, own), self.texts(locale, own));
        for ((name, text), (_, translated)) in here.named().into_iter().zip(there.named()) {
            if text.is_some() && translated.is_none() {
                missing.push(format!("form.translations.{}.{name}", locale.as_str()));
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::ConsentPurpose;

    fn document(locale: Option<Locale>) -> ConsentDocument {
        ConsentDocument {
            purpose: ConsentPurpose::PersonalData,
            locale,
            document_id: "pd".to_owned(),
            version: "1".to_owned(),
            label: "label".to_owned(),
            text: "text".to_owned(),
            required: true,
        }
    }

    #[test]
    fn a_language_is_offered_where_every_text_exists() {
        let both = [document(None), document(Some(Locale::En))];
        let mut form = FormSettings::default();
        assert_eq!(form.offered(Locale::Ru, &both[..1]), [Locale::Ru]);
        assert_eq!(form.missing(Locale::En, Locale::Ru, &both[..1]), ["consents[0].locale"]);
        assert_eq!(form.missing(Locale::Ru, Locale::Ru, &both[1..]), ["consents[0].locale"]);
        assert_eq!(form.offered(Locale::Ru, &both), [Locale::Ru, Locale::En]);
        form.thanks = Some("Ждите".to_owned());
        assert_eq!(form.missing(Locale::En, Locale::Ru, &both), ["form.translations.en.thanks"]);
        let thanks = FormTexts { thanks: Some("Wait".to_owned()), ..FormTexts::default() };
        form.translations.insert(Locale::En, thanks.clone());
        assert_eq!(form.offered(Locale::Ru, &both), [Locale::Ru, Locale::En]);
        assert_eq!(form.texts(Locale::En, Locale::Ru), thanks);
        form.languages = vec![Locale::Ru];
        assert_eq!(form.offered(Locale::Ru, &both), [Locale::Ru], "the owner has said so");
    }
}
