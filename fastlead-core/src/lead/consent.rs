//! Consents with the evidence that 152-FZ art. 9 and 38-FZ art. 18 put on the operator.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::secret::Pii;
use crate::time::Timestamp;

/// What a person agrees to. Each purpose has a document and a box of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConsentPurpose {
    /// Processing of personal data (152-FZ).
    PersonalData,
    /// Advertising over telecom networks (38-FZ).
    Advertising,
    /// Acceptance of an offer.
    Offer,
}

impl ConsentPurpose {
    /// `personal_data`, `advertising` or `offer`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PersonalData => "personal_data",
            Self::Advertising => "advertising",
            Self::Offer => "offer",
        }
    }
}

impl<'de> Deserialize<'de> for ConsentPurpose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = &["personal_data", "advertising", "offer"];
        crate::named::deserialize(deserializer, names, &[Self::PersonalData, Self::Advertising, Self::Offer])
    }
}

/// A document that a source shows beside a box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentDocument {
    /// What it asks for.
    pub purpose: ConsentPurpose,
    /// The document's name in the operator's own books.
    pub document_id: String,
    /// The version; the text of a version never changes.
    pub version: String,
    /// What stands beside the box.
    pub label: String,
    /// The exact text of the document.
    pub text: String,
    /// Whether a lead is refused without it.
    #[serde(default)]
    pub required: bool,
}

impl ConsentDocument {
    /// SHA-256 of the exact text, as 64 hexadecimal digits.
    pub fn text_sha256(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }
}

/// One answer of a person to one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// What was asked.
    pub purpose: ConsentPurpose,
    /// Whether the box was ticked. Unticked boxes are kept too: they prove what was offered.
    pub granted: bool,
    /// The document.
    pub document_id: String,
    /// Its version.
    pub document_version: String,
    /// SHA-256 of the exact text that was shown.
    pub text_sha256: String,
    /// When.
    pub at: Timestamp,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Pii<IpAddr>>,
    /// With which client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Pii<String>>,
    /// On which page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Pii<String>>,
}
