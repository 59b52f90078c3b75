//! What a delivery says, put together when it is sent.

use serde::Serialize;

use super::directory::{ActivePolicy, Directory};
use crate::channel::{Capabilities, TextLimit};
use crate::delivery::{Body, Delivery, Purpose};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{LeadId, ProjectId, SourceId};
use crate::lead::Capture;
use crate::message::url_text::HttpUrl;
use crate::message::{Button, ButtonAction, Content, EventPayload, Locale, Response, Text};
use crate::port::ConfirmLinks;
use crate::secret::Pii;
use crate::text::{Overflow, fit};
use crate::time::Timestamp;
use crate::words;

/// How many parts a long text may be split into.
const MAX_PARTS: u32 = 10;

/// The lead that a delivery is about, as far as its content needs it.
#[derive(Debug, Clone)]
pub(super) struct LeadFacts {
    pub id: LeadId,
    pub project_id: ProjectId,
    pub source_id: SourceId,
    pub created_at: Timestamp,
    pub capture: std::sync::Arc<Capture>,
}

/// What templates see. Every name is in `policy::known_variables`.
#[derive(Serialize)]
struct Context<'a> {
    lead: LeadContext<'a>,
    project: Named<'a>,
    source: Named<'a>,
    offer: OfferContext<'a>,
    confirm: ConfirmContext,
}

#[derive(Serialize)]
struct ConfirmContext {
    url: Option<HttpUrl>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct OfferContext<'a> {
    step: u32,
    target: &'a str,
}

#[derive(Serialize)]
struct LeadContext<'a> {
    id: LeadId,
    name: Option<&'a str>,
    phone: Option<std::borrow::Cow<'a, str>>,
    phone_number: Option<&'a str>,
    phone_extension: Option<&'a str>,
    phone_note: Option<&'a str>,
    email: Option<&'a str>,
    comment: Option<&'a str>,
    fields: std::collections::BTreeMap<&'a str, &'a str>,
    created_at: Timestamp,
    locale: Locale,
    page: Option<&'a str>,
    referrer: Option<&'a str>,
    utm_source: Option<&'a str>,
    utm_medium: Option<&'a str>,
    utm_campaign: Option<&'a str>,
    utm_content: Option<&'a str>,
    utm_term: Option<&'a str>,
}

impl<'a> LeadContext<'a> {
    fn new(facts: &'a LeadFacts, reader: Locale) -> Self {
        let capture = &*facts.capture;
        let last = capture.attribution.last.as_ref();
        let text = |value: &'a Option<Pii<String>>| value.as_ref().map(|value| value.expose().as_str());
        Self {
            id: facts.id,
            name: text(&capture.contact.name),
            phone: capture.contact.phone_in_words(reader),
            phone_number: capture.contact.phone.as_ref().map(crate::contact::Phone::expose),
            phone_extension: text(&capture.contact.phone_extension),
            phone_note: text(&capture.contact.phone_note),
            email: capture.contact.email.as_ref().map(crate::contact::Email::expose),
            comment: text(&capture.comment),
            fields: capture
                .fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.expose().as_str()))
                .collect(),
            created_at: facts.created_at,
            locale: capture.locale,
            page: last.and_then(|touch| text(&touch.page)),
            referrer: last.and_then(|touch| text(&touch.referrer)),
            utm_source: last.and_then(|touch| touch.utm_source.as_deref()),
            utm_medium: last.and_then(|touch| touch.utm_medium.as_deref()),
            utm_campaign: last.and_then(|touch| touch.utm_campaign.as_deref()),
            utm_content: last.and_then(|touch| touch.utm_content.as_deref()),
            utm_term: last.and_then(|touch| touch.utm_term.as_deref()),
        }
    }
}

/// The contents of a delivery, one for each part that its channel needs.
pub(super) fn contents(
    delivery: &Delivery,
    lead: Option<&LeadFacts>,
    policy: Option<&ActivePolicy>,
    directory: &Directory,
    links: Option<&dyn ConfirmLinks>,
    capabilities: &Capabilities,
) -> Result<Vec<Content>> {
    let missing = |what: &str| {
        Error::new(ErrorKind::Internal, format!("delivery has no {what}")).with_operation("render")
    };
    let text = match &delivery.spec.body {
        Body::Fixed(Content::Text(text)) => text.clone(),
        Body::Fixed(content) => return supported(content.clone(), capabilities).map(|content| vec![content]),
        Body::LeadEvent { event_type, occurred_at } => {
            let lead = lead.ok_or_else(|| missing("lead"))?;
            let data = serde_json::json!({
                "lead_id": lead.id,
                "project_id": lead.project_id,
                "source_id": lead.source_id,
                "created_at": lead.created_at,
                "capture": &*lead.capture,
            });
            let payload = EventPayload {
                event_type: event_type.clone(),
                occurred_at: *occurred_at,
                data: Pii::new(data),
            };
            return supported(Content::Event(payload), capabilities).map(|content| vec![content]);
        }
        Body::Ping { fields, floor } => {
            let lead = lead.ok_or_else(|| missing("lead"))?;
            let capture = &*lead.capture;
            let told: std::collections::BTreeMap<String, String> = fields
                .iter()
                .filter_map(|field| Some((field.to_string(), field.value(capture)?.into_owned())))
                .collect();
            let data = serde_json::json!({
                "lead_id": lead.id,
                "source_id": lead.source_id,
                "country": capture.contact.phone.as_ref().and_then(crate::contact::Phone::country),
                "locale": capture.locale,
                "fields": told,
                "floor": floor,
                "answer_by": delivery.expires_at,
            });
            let payload = EventPayload {
                event_type: "lead.ping".to_owned(),
                occurred_at: delivery.created_at,
                data: Pii::new(data),
            };
            return supported(Content::Event(payload), capabilities).map(|content| vec![content]);
        }
        Body::OfferEnded { .. } => return Err(missing("content of its own")),
        Body::Template { name, locale, offer_buttons } => {
            let lead = lead.ok_or_else(|| missing("lead"))?;
            let policy = policy.ok_or_else(|| missing("policy"))?;
            let (step, target) = match &delivery.spec.purpose {
                Purpose::Offer { target, step } => (*step, target.as_str()),
                _ => (0, ""),
            };
            let project = directory.project(lead.project_id).map_or("", |project| project.name.as_str());
            let context = Context {
                lead: LeadContext::new(lead, *locale),
                project: Named { name: project },
                source: Named { name: directory.source_name(lead.source_id) },
                offer: OfferContext { step, target },
                confirm: ConfirmContext { url: confirm_url(delivery, lead.id, links)? },
            };
            let mut text = policy.templates.render(name, *locale, &context)?;
            text.buttons = buttons(*locale, *offer_buttons && capabilities.buttons, lead.id, policy);
            text
        }
    };
    let parts = fitted(&text, capabilities, delivery.spec.overflow)?;
    parts.into_iter().map(|part: Text| supported(Content::Text(part), capabilities)).collect()
}

/// The messages that carry a text. Where the channel shows no buttons their links are in the text, and a text that is cut
/// is cut before them.
fn fitted(text: &Text, capabilities: &Capabilities, overflow: Overflow) -> Result<Vec<Text>> {
    let limit = capabilities.text_max;
    if capabilities.buttons || text.buttons.is_empty() {
        return fit(text, limit, overflow, MAX_PARTS);
    }
    let written = text.clone().with_links_written_out();
    let Some(limit) = limit.filter(|_| overflow == Overflow::Truncate) else {
        return fit(&written, limit, overflow, MAX_PARTS);
    };
    let measure = |text: &Text| limit.unit.measure(text.plain.expose());
    let links = u32::try_from(measure(&written).saturating_sub(measure(text))).unwrap_or(u32::MAX);
    if links >= limit.max || u32::try_from(measure(&written)).is_ok_and(|whole| whole <= limit.max) {
        return fit(&written, Some(limit), overflow, MAX_PARTS);
    }
    let room = TextLimit { max: limit.max - links, ..limit };
    Ok(fit(text, Some(room), overflow, MAX_PARTS)?.into_iter().map(Text::with_links_written_out).collect())
}

/// Where the visitor confirms, in the message that asks for it.
fn confirm_url(
    delivery: &Delivery,
    lead: LeadId,
    links: Option<&dyn ConfirmLinks>,
) -> Result<Option<HttpUrl>> {
    if delivery.spec.purpose != Purpose::Confirmation {
        return Ok(None);
    }
    let links = links.ok_or_else(|| {
        let message = "the policy asks visitors to confirm, and the engine was built without `confirm_links`";
        Error::new(ErrorKind::Config, message).with_operation("render")
    })?;
    Ok(Some(links.confirm(delivery.scope.workspace_id, lead)))
}

fn supported(content: Content, capabilities: &Capabilities) -> Result<Content> {
    let able = match &content {
        Content::Text(_) => capabilities.text,
        Content::Event(_) => capabilities.events,
        Content::InteractionReply(_) => capabilities.interaction_replies,
        Content::Edit(_) => capabilities.edits,
    };
    if able {
        Ok(content)
    } else {
        let message = format!("this channel does not carry content of the kind {}", content.kind());
        Err(Error::new(ErrorKind::Unsupported, message).with_operation("send"))
    }
}

fn buttons(locale: Locale, offer: bool, lead: LeadId, policy: &ActivePolicy) -> Vec<Button> {
    let mut buttons = Vec::new();
    if offer {
        for (label, response) in [
            (words::accept_label(locale), Response::Accept),
            (words::decline_label(locale), Response::Decline),
        ] {
            buttons.push(Button { label: label.to_owned(), action: ButtonAction::Respond(response) });
        }
    }
    if let Some(url) = &policy.policy.delivery.lead_url {
        let url = url.as_str().replace("{lead_id}", &lead.to_string());
        if let Ok(url) = HttpUrl::try_from(url) {
            buttons.push(Button {
                label: words::open_label(locale).to_owned(),
                action: ButtonAction::Open(url),
            });
        }
    }
    buttons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::TextUnit;

    fn open(label: &str) -> Button {
        let url = HttpUrl::try_from("https://example.com/l?a=1&b=2".to_owned()).unwrap();
        Button { label: label.to_owned(), action: ButtonAction::Open(url) }
    }

    fn offer(plain: &str) -> Text {
        let accept = Button { label: "Беру".to_owned(), action: ButtonAction::Respond(Response::Accept) };
        let html = Some("<b>Заявка</b>".into());
        Text { buttons: vec![accept, open("Открыть")], html, ..Text::plain(plain) }
    }

    fn sms(max: u32) -> Capabilities {
        Capabilities { text_max: Some(TextLimit { max, unit: TextUnit::Chars }), ..Capabilities::default() }
    }

    #[test]
    fn a_channel_without_buttons_gets_the_link_in_the_text() {
        let sent = fitted(&offer("Заявка"), &Capabilities::default(), Overflow::Split).unwrap();
        let html = "<b>Заявка</b><p><a href=\"https://example.com/l?a=1&amp;b=2\">Открыть</a></p>";
        let expected = Text {
            html: Some(html.into()),
            ..Text::plain("Заявка\n\nОткрыть: https://example.com/l?a=1&b=2")
        };
        assert_eq!(sent, [expected]);

        let with_buttons = Capabilities { buttons: true, ..Capabilities::default() };
        assert_eq!(fitted(&offer("Заявка"), &with_buttons, Overflow::Split).unwrap(), [offer("Заявка")]);
    }

    #[test]
    fn the_link_is_neither_cut_off_nor_split() {
        let long = "слово ".repeat(40);
        let link = "\n\nОткрыть: https://example.com/l?a=1&b=2";
        let cut = fitted(&offer(&long), &sms(100), Overflow::Truncate).unwrap();
        let [only] = cut.as_slice() else { panic!("{} messages", cut.len()) };
        assert!(only.plain.expose().ends_with(&format!("…{link}")), "{only:?}");
        assert!(only.plain.expose().chars().count() <= 100);

        let parts = fitted(&offer(&long), &sms(100), Overflow::Split).unwrap();
        let last = parts.last().unwrap();
        assert!(last.plain.expose().ends_with("https://example.com/l?a=1&b=2") && last.buttons.is_empty());

        assert!(fitted(&offer(&long), &sms(100), Overflow::Reject).is_err());
        let whole = fitted(&offer("Заявка"), &sms(100), Overflow::Truncate).unwrap();
        assert_eq!(whole[0].plain.expose(), &format!("Заявка{link}"));
    }
}
