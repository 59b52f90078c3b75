//! Requests from providers: bytes in, events out, and no way around verification.

use std::fmt::Debug;
use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;
use subtle::ConstantTimeEq;

use crate::channel::InboundEvent;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::time::Timestamp;

/// Understands the requests of one provider. Pure: no network, no clock, no store.
///
/// # Example
///
/// ```
/// use fastlead_core::secret::Secret;
/// use fastlead_core::webhook::{Verified, WebhookBatch, WebhookReceiver, WebhookReply, WebhookRequest};
/// use fastlead_core::{Error, ErrorKind, Result};
///
/// /// A provider that sends a token in a header, and a list of events.
/// #[derive(Debug)]
/// struct Acme {
///     token: Secret<String>,
/// }
///
/// impl WebhookReceiver for Acme {
///     fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
///         let given = request.header("x-acme-token").unwrap_or_default();
///         Verified::by_equal(request, self.token.expose().as_bytes(), given.as_bytes())
///     }
///
///     fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch> {
///         let events = serde_json::from_slice(request.request().body)
///             .map_err(|_| Error::new(ErrorKind::Invalid, "the body is no list of events"))?;
///         Ok(WebhookBatch { events, reply: WebhookReply::ok("ok") })
///     }
/// }
///
/// let acme = Acme { token: Secret::new("an invented token".to_owned()) };
/// let mut request = WebhookRequest {
///     method: "POST",
///     query: "",
///     headers: &[("x-acme-token", b"an invented token")],
///     body: b"[]",
///     remote: None,
///     received_at: fastlead_core::time::epoch(),
/// };
/// assert!(acme.parse(&acme.verify(request)?)?.events.is_empty());
/// request.headers = &[];
/// assert_eq!(acme.verify(request).unwrap_err().kind(), ErrorKind::Unauthenticated);
/// # Ok::<(), Error>(())
/// ```
pub trait WebhookReceiver: Debug + Send + Sync {
    /// Proves that the request comes from the provider.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] where it does not; [`ErrorKind::Invalid`] where the part that
    /// is signed cannot be read.
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>>;

    /// Reads the events out of a verified request.
    ///
    /// # Behavior
    /// * Event kinds that the adapter does not know are left out, without an error: providers add
    ///   kinds and repeat what was refused.
    /// * Fills in the exact reply that the provider wants; it is sent after the events are on disk.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the body cannot be read.
    fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch>;
}

/// A request as it came.
#[derive(Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// `GET`, `POST` …
    pub method: &'a str,
    /// The raw query string without `?`.
    pub query: &'a str,
    /// Header names in lower case, and values.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The raw body.
    pub body: &'a [u8],
    /// Who called, where known.
    pub remote: Option<IpAddr>,
    /// When it came.
    pub received_at: Timestamp,
}

impl<'a> WebhookRequest<'a> {
    /// The value of the header `name` (lower case), where it is text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers
            .iter()
            .find(|(header, _)| *header == name)
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

impl Debug for WebhookRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRequest")
            .field("method", &self.method)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A request that is known to come from the provider. Only this module can make one.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    request: WebhookRequest<'a>,
    confirm: Option<ConfirmByFetch>,
}

/// The promise of a receiver whose provider does not sign: what the request says is only a hint,
/// and the object it names must be fetched from the provider before anything is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfirmByFetch;

impl<'a> Verified<'a> {
    /// Compares what the provider sent with what it must have sent, in constant time. Empty
    /// expectations never match: a missing secret is not an open door.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`].
    pub fn by_equal(request: WebhookRequest<'a>, expected: &[u8], given: &[u8]) -> Result<Self> {
        if !expected.is_empty() && bool::from(expected.ct_eq(given)) {
            Ok(Self { request, confirm: None })
        } else {
            Err(Error::new(ErrorKind::Unauthenticated, "webhook signature or token does not match")
                .with_operation("verify"))
        }
    }

    /// Lets a request pass whose signature was checked with the provider's public key; `holds` says whether it held. Nothing
    /// that must stay secret is compared then.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`].
    pub fn by_public_key(request: WebhookRequest<'a>, holds: bool) -> Result<Self> {
        if holds {
            return Ok(Self { request, confirm: None });
        }
        Err(Error::new(ErrorKind::Unauthenticated, "webhook signature does not match")
            .with_operation("verify"))
    }

    /// Lets a request of a provider that does not sign pass, as a hint only.
    pub const fn unsigned(request: WebhookRequest<'a>, confirm: ConfirmByFetch) -> Self {
        Self { request, confirm: Some(confirm) }
    }

    /// The request.
    pub const fn request(&self) -> &WebhookRequest<'a> {
        &self.request
    }

    /// Whether what the request says must be fetched before it is believed.
    pub const fn must_confirm(&self) -> bool {
        self.confirm.is_some()
    }
}

/// What a request brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookBatch {
    /// The events, in the provider's order.
    pub events: Vec<InboundEvent>,
    /// The exact reply that the provider wants.
    pub reply: WebhookReply,
}

/// The answer to a provider's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookReply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type` of the body.
    pub content_type: &'static str,
    /// Body.
    pub body: Bytes,
}

impl WebhookReply {
    /// 200 with a short text.
    pub const fn ok(text: &'static str) -> Self {
        Self {
            status: 200,
            content_type: "text/plain; charset=utf-8",
            body: Bytes::from_static(text.as_bytes()),
        }
    }
}

/// Tells a provider where to call us.
///
/// ```no_run
/// use fastlead_core::Result;
/// use fastlead_core::webhook::WebhookRegistration;
///
/// async fn keep_registered(provider: &dyn WebhookRegistration, url: &str) -> Result<()> {
///     let status = provider.status().await?;
///     if !status.complete || status.url.is_none_or(|registered| registered.expose() != url) {
///         provider.register(url).await?;
///     }
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait WebhookRegistration: Debug + Send + Sync {
    /// Makes the provider call `url` from now on, in place of any other address.
    ///
    /// # Behavior
    /// * The provider is told everything that the receiver verifies and reads: the secret and the
    ///   kinds of events.
    /// * Registering the same again changes nothing. Events that wait at the provider are kept.
    /// * An error that says [`crate::RetryHint::Never`] stays until the configuration is changed.
    async fn register(&self, url: &str) -> Result<()>;

    /// Makes the provider call nobody.
    ///
    /// # Behavior
    /// * Events that wait at the provider are kept. Where nothing is registered nothing happens.
    async fn unregister(&self) -> Result<()>;

    /// What is registered, by the provider's account.
    ///
    /// # Behavior
    /// * Changes nothing.
    async fn status(&self) -> Result<RegistrationStatus>;
}

/// What a provider says about its calls to us. Start from [`RegistrationStatus::default`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RegistrationStatus {
    /// The address that it calls; `None` where it calls nobody. Whoever knows it can call us, too.
    pub url: Option<Secret<String>>,
    /// Whether it brings every kind of event that the receiver reads.
    pub complete: bool,
    /// How many events wait at the provider.
    pub waiting: u64,
    /// Why its last call failed, in its own words without addresses, where it says so.
    pub last_failure: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>() -> WebhookRequest<'a> {
        WebhookRequest {
            method: "POST",
            query: "",
            headers: &[("x-token", b"abc")],
            body: b"{}",
            remote: None,
            received_at: crate::time::epoch(),
        }
    }

    #[test]
    fn only_a_signature_that_holds_verifies() {
        assert!(!Verified::by_public_key(request(), true).unwrap().must_confirm());
        let error = Verified::by_public_key(request(), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }

    #[test]
    fn only_an_equal_and_present_secret_verifies() {
        assert!(Verified::by_equal(request(), b"abc", b"abc").is_ok());
        for (expected, given) in [(&b"abc"[..], &b"abd"[..]), (b"abc", b""), (b"abc", b"abcd"), (b"", b"")] {
            let error = Verified::by_equal(request(), expected, given).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        }
    }
}
