//! Sources that are built in code.

use std::collections::BTreeSet;

use super::builder::stable_uuid;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ProjectId, SourceId, WorkspaceId};
use crate::lead::{ConsentDocument, FieldMapping};
use crate::message::Locale;
use crate::port::{Catalog, FormSettings, Source, SourceLimits};
use crate::time::Timestamp;

/// Source of the embedded project, for [`EngineBuilder::source`](super::EngineBuilder::source).
///
/// ```
/// use fastlead_core::engine::EmbeddedSource;
/// use fastlead_core::lead::{ConsentDocument, ConsentPurpose};
/// use fastlead_core::message::Locale;
///
/// let site = EmbeddedSource::new("site")
///     .name("Our website")
///     .locale(Locale::En)
///     .origin("https://example.com")
///     .consent(ConsentDocument {
///         purpose: ConsentPurpose::PersonalData,
///         locale: None,
///         document_id: "privacy".to_owned(),
///         version: "1".to_owned(),
///         label: "I agree to the processing of my data".to_owned(),
///         text: "The whole text of the document.".to_owned(),
///         required: true,
///     });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedSource {
    key: String,
    name: String,
    locale: Locale,
    origins: Vec<String>,
    consents: Vec<ConsentDocument>,
    form: FormSettings,
    limits: SourceLimits,
    mapping: FieldMapping,
}

impl EmbeddedSource {
    /// Source whose public key and name are `key`: in Russian, without consents, for no page of another origin.
    pub fn new(key: impl Into<String>) -> Self {
        let key = key.into();
        Self {
            name: key.clone(),
            key,
            locale: Locale::default(),
            origins: Vec::new(),
            consents: Vec::new(),
            form: FormSettings::default(),
            limits: SourceLimits::default(),
            mapping: FieldMapping::default(),
        }
    }

    /// Sets what people call it.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the language of its pages, and of answers to visitors who have no other. Default Russian.
    #[must_use]
    pub const fn locale(mut self, locale: Locale) -> Self {
        self.locale = locale;
        self
    }

    /// Adds an origin whose pages may post here, such as `https://example.com`; `*` for all. Whoever serves HTTP keeps
    /// to it; the engine does not see origins.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Adds a document that is shown with a box of its own.
    #[must_use]
    pub fn consent(mut self, document: ConsentDocument) -> Self {
        self.consents.push(document);
        self
    }

    /// Sets the hosted form page.
    #[must_use]
    pub fn form(mut self, form: FormSettings) -> Self {
        self.form = form;
        self
    }

    /// Sets how much is taken. Whoever serves HTTP counts; the engine reads only what is said of programs that fill in
    /// forms.
    #[must_use]
    pub const fn limits(mut self, limits: SourceLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where the fields of its forms belong.
    #[must_use]
    pub fn mapping(mut self, mapping: FieldMapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Whether it can work.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the path of the field.
    fn check(&self) -> Result<()> {
        let fault = |field: &str, message: &str| {
            let message = format!("source `{}`: {field}: {message}", self.key);
            Err(Error::new(ErrorKind::Config, message).with_operation("build"))
        };
        if self.key.trim().is_empty() || self.key.contains('/') {
            return fault("key", "expected at least one character, and no `/`");
        }
        for (index, origin) in self.origins.iter().enumerate() {
            if !is_origin(origin) {
                let message =
                    "expected an origin in lower case without a path, such as `https://example.com`, or `*`";
                return fault(&format!("origins[{index}]"), message);
            }
        }
        let mut purposes = BTreeSet::new();
        for (index, document) in self.consents.iter().enumerate() {
            if !purposes.insert((document.purpose, document.locale.unwrap_or(self.locale))) {
                let message = "each purpose has one document in each language";
                return fault(&format!("consents[{index}].purpose"), message);
            }
            if document.text.trim().is_empty() {
                return fault(&format!("consents[{index}].text"), "the text of the document is missing");
            }
        }
        Ok(())
    }

    /// Stores it in the embedded project, under an id that follows from the names of both.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it cannot work, or the text of a document's version is not the one that people have
    /// agreed to; those of the catalog.
    pub(super) async fn store(
        self,
        catalog: &dyn Catalog,
        workspace_id: WorkspaceId,
        (project_id, project): (ProjectId, &str),
        now: Timestamp,
    ) -> Result<Source> {
        self.check()?;
        for (index, document) in self.consents.iter().enumerate() {
            let known =
                catalog.consent_documents(workspace_id, &document.document_id, &document.version).await?;
            let same_language = |known: &&ConsentDocument| known.locale == document.locale;
            if known.iter().filter(same_language).any(|known| known.text != document.text) {
                let message = format!(
                    "source `{}`: consents[{index}].version: the text of a version never changes: people have \
                     agreed to it; give the new text a new version",
                    self.key
                );
                return Err(Error::new(ErrorKind::Config, message).with_operation("build"));
            }
        }
        let source = Source {
            id: SourceId::from_uuid(stable_uuid("source", &format!("{project}/{}", self.key))),
            workspace_id,
            project_id,
            key: self.key,
            name: self.name,
            active: true,
            locale: self.locale,
            allowed_origins: self.origins,
            consents: self.consents,
            form: self.form,
            limits: self.limits,
            mapping: self.mapping,
            created_at: now,
        };
        catalog.put_source(source.clone()).await?;
        Ok(source)
    }
}

impl<K: Into<String>> From<K> for EmbeddedSource {
    fn from(key: K) -> Self {
        Self::new(key)
    }
}

fn is_origin(text: &str) -> bool {
    let host = || text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
    text == "*" || host().is_some_and(|host| !host.is_empty() && host.chars().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::ConsentPurpose;

    fn document(text: &str) -> ConsentDocument {
        ConsentDocument {
            purpose: ConsentPurpose::PersonalData,
            locale: None,
            document_id: "privacy".to_owned(),
            version: "1".to_owned(),
            label: "I agree".to_owned(),
            text: text.to_owned(),
            required: true,
        }
    }

    #[test]
    fn what_cannot_work_is_named_by_its_field() {
        let site = || EmbeddedSource::new("site");
        site().origin("https://example.com").origin("http://localhost:3000").origin("*").check().unwrap();
        let cases = [
            (EmbeddedSource::new(" "), "key"),
            (EmbeddedSource::new("a/b"), "key"),
            (site().origin("example.com"), "origins[0]"),
            (site().origin("*").origin("https://example.com/"), "origins[1]"),
            (site().origin("https://Example.com"), "origins[0]"),
            (site().origin("https://"), "origins[0]"),
            (site().consent(document("a")).consent(document("b")), "consents[1].purpose"),
            (site().consent(document(" ")), "consents[0].text"),
        ];
        for (source, field) in cases {
            let error = source.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(&format!("`: {field}: ")), "{error}");
        }
    }
}
