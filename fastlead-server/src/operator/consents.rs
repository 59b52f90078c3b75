//! What a person has agreed to, with the exact texts: the evidence that 152-FZ art. 9 and 38-FZ art. 18 ask of the operator.

use axum::Json;
use axum::extract::State;
use fastlead_core::decide::Event;
use fastlead_core::id::{EventId, LeadId, SourceId, WorkspaceId};
use fastlead_core::lead::{Consent, ConsentDocument};
use fastlead_core::port::{PageRequest, StoredEvent};
use fastlead_core::secret::Pii;
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;

use super::input::Id;
use super::leads::stored;
use super::views::{CaptureView, ConfirmationView, ConsentView};
use crate::app::App;
use crate::auth::Operator;
use crate::problem::Problem;

/// Events that are read at a time.
const PAGE: u32 = 200;

/// Everything that proves what the person behind a lead has agreed to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConsentEvidence")]
pub(crate) struct EvidenceView {
    /// The lead.
    lead_id: LeadId,
    /// Its source.
    source_id: SourceId,
    /// When it was captured first.
    captured_at: Timestamp,
    /// Who it was, as they have said.
    person: CaptureView,
    /// Every answer to every document, oldest first, those of repeated captures included.
    consents: Vec<ProvenConsentView>,
    /// Where the visitor was asked to confirm: until when, and when they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmation: Option<ConfirmationView>,
    /// From where the visitor has confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_from: Option<ConfirmedFromView>,
}

/// An answer of a person to a document, and what the document said.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProvenConsent")]
pub(crate) struct ProvenConsentView {
    /// The event of the lead's history by which it came.
    event_id: EventId,
    /// The answer.
    #[serde(flatten)]
    consent: ConsentView,
    /// What stood beside the box.
    label: Option<String>,
    /// The exact text; its SHA-256 is `text_sha256`. `null` where no text of that hash was ever stored here.
    text: Option<String>,
}

/// The circumstances of a confirmation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConfirmedFrom")]
pub(crate) struct ConfirmedFromView {
    /// The address.
    ip: Option<Pii<std::net::IpAddr>>,
    /// The client.
    user_agent: Option<Pii<String>>,
}

/// Everything that proves what the person behind a lead has agreed to: each document with its exact text, the moment, address,
/// client and page.
#[utoipa::path(
    get, path = "/v1/leads/{id}/consents", tag = "leads",
    params(("id" = String, Path, description = "The lead's id")),
    responses((status = 200, description = "The evidence", body = ref("#/components/schemas/ConsentEvidence"))),
)]
pub(crate) async fn consent_evidence(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<LeadId>,
) -> std::result::Result<Json<EvidenceView>, Problem> {
    let lead = stored(&app, &operator, id).await?;
    let (mut consents, mut confirmed_from) = (Vec::new(), None);
    for StoredEvent { id, event, .. } in history(&app, operator.workspace_id, id).await? {
        match event {
            Event::Captured(capture) => {
                for consent in capture.consents {
                    consents.push(proven(&app, operator.workspace_id, id, consent).await?);
                }
            }
            Event::Confirmed { ip, user_agent } if confirmed_from.is_none() => {
                confirmed_from = Some(ConfirmedFromView { ip, user_agent });
            }
            _ => {}
        }
    }
    let confirmation = lead.state.confirmation.map(ConfirmationView::from);
    let confirmed_from =
        confirmed_from.filter(|_| lead.state.confirmation.is_some_and(|asked| asked.at.is_some()));
    Ok(Json(EvidenceView {
        lead_id: lead.id,
        source_id: lead.source_id,
        captured_at: lead.created_at,
        person: lead.capture.into(),
        consents,
        confirmation,
        confirmed_from,
    }))
}

/// The whole history: evidence is not cut.
async fn history(app: &App, workspace: WorkspaceId, lead: LeadId) -> Result<Vec<StoredEvent>> {
    let (mut events, mut page) = (Vec::new(), PageRequest { after: None, limit: PAGE });
    loop {
        let found = app.store.events(workspace, lead, page.clone()).await?;
        events.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            return Ok(events);
        }
    }
}

async fn proven(
    app: &App,
    workspace: WorkspaceId,
    event_id: EventId,
    consent: Consent,
) -> std::result::Result<ProvenConsentView, Error> {
    let named =
        app.store.consent_documents(workspace, &consent.document_id, &consent.document_version).await?;
    let document = named.into_iter().find(|document| document.text_sha256() == consent.text_sha256);
    let (label, text) = document.map(|ConsentDocument { label, text, .. }| (label, text)).unzip();
    Ok(ProvenConsentView { event_id, consent: consent.into(), label, text })
}
