//! A channel with one flaw.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference,
};
use fastlead_core::message::{
    ButtonAction, Content, OutboundMessage, Recipient, RecipientKind, Response, Text,
};
use fastlead_core::secret::Pii;
use fastlead_core::webhook::{Verified, WebhookBatch, WebhookReceiver, WebhookRegistration, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result, RetryHint, async_trait};
use fastlead_testkit::sim::{Fault, Faults};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Flaw;

struct Broken {
    inner: Arc<dyn Channel>,
    flaw: Flaw,
    /// The provider's next trouble, which an adapter that follows redirects learns from the answer.
    faults: Faults,
    one: tokio::sync::Mutex<()>,
    sends: AtomicU32,
    lock: tokio::sync::Semaphore,
    webhook: BrokenWebhook,
}

struct BrokenWebhook {
    inner: Arc<dyn Channel>,
    flaw: Flaw,
    parsed: AtomicU32,
}

impl Broken {
    fn text(&self, text: &mut Text) {
        match self.flaw {
            Flaw::CutsTexts => {
                text.plain = text.plain.expose().chars().take(20).collect::<String>().as_str().into()
            }
            Flaw::EscapesTexts => text.plain = text.plain.expose().replace('<', "&lt;").as_str().into(),
            Flaw::DropsHtml => text.html = None,
            Flaw::LosesLinks => {
                let kept: Vec<_> =
                    text.plain.expose().lines().filter(|line| !line.contains("https://")).collect();
                text.plain = kept.join("\n").as_str().into();
            }
            Flaw::PutsSecretInTitle => text.subject = Some(Pii::new(self.secret())),
            Flaw::DropsLinkButtons => {
                text.buttons.retain(|button| matches!(button.action, ButtonAction::Respond(_)));
            }
            Flaw::SwapsAnswers => {
                for button in &mut text.buttons {
                    if let ButtonAction::Respond(response) = &mut button.action {
                        *response = match response {
                            Response::Accept => Response::Decline,
                            Response::Decline => Response::Accept,
                        };
                    }
                }
            }
            _ => {}
        }
    }

    fn secret(&self) -> String {
        format!("token-of-{}", self.inner.info().id.hex())
    }

    /// What is done before the provider is asked.
    async fn begin(&self, sent: &mut OutboundMessage) {
        match self.flaw {
            Flaw::LogsSecret => tracing::debug!(token = self.secret(), "sending"),
            Flaw::BlocksTheThread => {
                let begun = std::time::Instant::now();
                while begun.elapsed() < std::time::Duration::from_millis(150) {
                    std::hint::spin_loop();
                }
            }
            Flaw::DropsLifetimes => sent.expires_at = None,
            Flaw::FollowsRedirects => {
                if let Some(Fault::Redirect { location, .. }) = self.faults.waiting().first() {
                    visit(location).await;
                }
            }
            _ => {}
        }
    }

    /// What is made of the provider's answer.
    async fn end(&self, outcome: Result<SendReceipt>) -> Result<SendReceipt> {
        let failed = outcome.as_ref().err().map(Error::kind);
        match (self.flaw, outcome) {
            (Flaw::NeverTimesOut, _) if failed == Some(ErrorKind::Timeout) => std::future::pending().await,
            (Flaw::PanicsOnUnreadable, _) if failed == Some(ErrorKind::Protocol) => panic!("cannot read it"),
            (Flaw::SaysSentOnUnreadable, _) if failed == Some(ErrorKind::Protocol) => {
                Ok(SendReceipt::accepted(self.sends.load(Ordering::Relaxed).to_string()))
            }
            (Flaw::EmptyIds, Ok(receipt)) => {
                Ok(SendReceipt { provider_message_id: Some(" ".to_owned()), ..receipt })
            }
            (Flaw::RepeatedIds, Ok(receipt)) => {
                Ok(SendReceipt { provider_message_id: Some("ok".to_owned()), ..receipt })
            }
            (Flaw::SaysDelivered, Ok(receipt)) => Ok(SendReceipt { delivered: true, ..receipt }),
            (Flaw::DropsAnswers, Ok(receipt)) => Ok(SendReceipt { answer: None, ..receipt }),
            (Flaw::BringsUndeclaredAnswers, Ok(receipt)) => {
                Ok(SendReceipt { answer: Some(Pii::new(serde_json::json!({ "ok": true }))), ..receipt })
            }
            (_, outcome) => outcome,
        }
    }

    fn error(&self, error: Error, message: &OutboundMessage) -> Error {
        let kind = error.kind();
        match self.flaw {
            Flaw::SaysSafeWhenUnknown if error.retry() == RetryHint::UNKNOWN => {
                error.with_retry(RetryHint::SAFE)
            }
            Flaw::SaysSafeOnTimeout if kind == ErrorKind::Timeout => error.with_retry(RetryHint::SAFE),
            Flaw::SaysSafeOnGatewayErrors if matches!(error.provider_code(), Some("502" | "504")) => {
                error.with_retry(RetryHint::SAFE)
            }
            Flaw::SaysSafeOnUnreadable if kind == ErrorKind::Protocol => error.with_retry(RetryHint::SAFE),
            Flaw::LeaksSecretForOneStatus if error.provider_code() == Some("418") => {
                error.with_context("token", self.secret())
            }
            Flaw::SaysNeverForServerErrors if error.provider_code().is_some() => {
                error.with_retry(RetryHint::Never)
            }
            Flaw::CallsBalanceUnavailable if kind == ErrorKind::Balance => {
                Error::new(ErrorKind::Unavailable, "?")
            }
            Flaw::ForgetsTheNamedDelay if kind == ErrorKind::RateLimited => error.with_retry(RetryHint::SAFE),
            Flaw::LeaksAddressInErrors => error.with_context("to", message.recipient.address()),
            _ => error,
        }
    }
}

#[async_trait]
impl Channel for Broken {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        if self.flaw == Flaw::ChangesCapabilities {
            capabilities.max_in_flight += self.sends.load(Ordering::Relaxed);
        }
        match self.flaw {
            Flaw::DeclaresAnotherRecipient => capabilities.recipients.push(RecipientKind::Phone),
            Flaw::DeclaresNoLimit => capabilities.text_max = None,
            Flaw::HidesSubjects => capabilities.subject = false,
            Flaw::LosesLinks => capabilities.buttons = false,
            Flaw::HidesHtml => capabilities.html = false,
            Flaw::HidesLifetimes => capabilities.message_ttl = false,
            Flaw::BringsUndeclaredAnswers | Flaw::SaysSentOnUnreadable => capabilities.answers = false,
            _ => {}
        }
        capabilities.interaction_replies &= self.flaw != Flaw::TriesUnsupportedContent;
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        let mut sent = message.clone();
        self.sends.fetch_add(1, Ordering::Relaxed);
        match &mut sent.content {
            Content::Text(text) => self.text(text),
            Content::Edit(edit) if self.flaw == Flaw::SendsEditsAnew => {
                let text = edit.text.clone();
                sent.content = Content::Text(text);
            }
            Content::Event(event) if self.flaw == Flaw::SendsPlainTextForEvents => {
                let name = event.event_type.clone();
                sent.content = Content::Text(Text::plain(name));
            }
            _ => {}
        }
        if self.flaw == Flaw::IgnoresTheKey {
            sent.delivery_id = fastlead_testkit::conformance::channel::outbound(
                Recipient::Endpoint,
                Content::Text(Text::default()),
            )
            .delivery_id;
        }
        if self.flaw == Flaw::SharesTheKeyAmongParts {
            sent.part = fastlead_core::message::Part::WHOLE;
        }
        if self.flaw == Flaw::BreaksWhenDropped {
            // Taken away for good unless the send comes to its end.
            self.lock.acquire().await.unwrap().forget();
        }
        let _one = match self.flaw {
            Flaw::OneLock => Some(self.one.lock().await),
            _ => None,
        };
        self.begin(&mut sent).await;
        let mut outcome = self.end(self.inner.send(&sent).await).await;
        if self.flaw == Flaw::BreaksWhenDropped {
            self.lock.add_permits(1);
        }
        if self.flaw == Flaw::RetriesByItself
            && matches!(&outcome, Err(error) if error.retry() != RetryHint::Never)
        {
            outcome = self.inner.send(&sent).await;
        }
        outcome.map_err(|error| self.error(error, message))
    }

    async fn check(&self) -> Result<()> {
        if self.flaw == Flaw::ChecksWithAMessage {
            let recipient = Recipient::Chat("790000000".into());
            let test = fastlead_testkit::conformance::channel::outbound(
                recipient,
                Content::Text(Text::plain("test")),
            );
            self.inner.send(&test).await?;
        }
        self.inner.check().await
    }

    async fn lookup(&self, sent: &SentReference) -> Result<Lookup> {
        match self.flaw {
            Flaw::LooksUpWrongly => Ok(Lookup::NotAccepted),
            _ => self.inner.lookup(sent).await,
        }
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        Some(&self.webhook)
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        self.inner.registration()
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

impl WebhookReceiver for BrokenWebhook {
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        match self.flaw {
            Flaw::BelievesEveryWebhook => Verified::by_equal(request, b"1", b"1"),
            _ => self.inner.webhook().unwrap().verify(request),
        }
    }

    fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch> {
        let mut batch = self.inner.webhook().unwrap().parse(request)?;
        if self.flaw == Flaw::InventsEventIds {
            for event in &mut batch.events {
                event.provider_event_id = self.parsed.fetch_add(1, Ordering::Relaxed).to_string();
            }
        }
        Ok(batch)
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flaw {
            Flaw::LeaksSecretInDebug => f.write_str(&self.secret()),
            _ => f.write_str("Broken"),
        }
    }
}

impl fmt::Debug for BrokenWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrokenWebhook")
    }
}

/// Asks for a page, as a client does that follows a redirect.
async fn visit(location: &str) {
    let address = location.trim_start_matches("http://").split('/').next().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}

/// A channel on `inner` that has the flaw.
pub(super) fn broken(inner: Arc<dyn Channel>, flaw: Flaw, faults: Faults) -> Arc<dyn Channel> {
    let webhook = BrokenWebhook { inner: Arc::clone(&inner), flaw, parsed: AtomicU32::new(0) };
    let lock = tokio::sync::Semaphore::new(2);
    Arc::new(Broken {
        inner,
        flaw,
        faults,
        one: tokio::sync::Mutex::default(),
        sends: AtomicU32::new(0),
        lock,
        webhook,
    })
}
