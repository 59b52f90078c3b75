//! The guard for adapters of your own: an HTTP client that connects only where the program lets channels connect to, and
//! the trait of adapters that are built with it.
//!
//! A tenant fills in an endpoint, and must not reach the networks around the machine through it. An adapter that makes a
//! client by itself stands outside that guard; one that implements [`GuardedAdapter`] gets the program's [`Egress`], and the
//! client from [`Egress::http_client`]:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use fastlead_channels::egress::Egress;
//! use fastlead_channels::guarded::{GuardedAdapter, GuardedClient, GuardedRegistry};
//! use fastlead_core::Result;
//! use fastlead_core::channel::{Channel, ChannelInfo};
//! use fastlead_core::registry::Registry;
//!
//! #[derive(Debug)]
//! struct Acme;
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct AcmeConfig {
//!     endpoint: String,
//! }
//!
//! impl GuardedAdapter for Acme {
//!     const KIND: &'static str = "acme";
//!     const TITLE: &'static str = "Acme";
//!     type Config = AcmeConfig;
//!
//!     fn build(info: ChannelInfo, config: AcmeConfig, egress: &Egress) -> Result<Arc<dyn Channel>> {
//!         let client = egress.http_client("endpoint", &config.endpoint, Duration::from_secs(10))?;
//!         Ok(channel(info, client))
//!     }
//! }
//! # fn channel(_: ChannelInfo, _: GuardedClient) -> Arc<dyn Channel> { unimplemented!() }
//!
//! let egress = Egress::public();
//! let registry = Registry::builder().guarded::<Acme>(&egress).build()?;
//! let id = ChannelInfo::embedded("acme", "inside").id;
//! let inside = serde_json::json!({ "endpoint": "http://127.0.0.1:8080" });
//! assert!(registry.build("acme", id, "inside", inside).unwrap_err().to_string().contains("endpoint"));
//! # Ok::<(), fastlead_core::Error>(())
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::{Channel, ChannelInfo};
use fastlead_core::registry::{ChannelAdapter, RegistryBuilder};
use fastlead_core::{Error, ErrorKind, Result};
use reqwest::{Method, RequestBuilder, Response};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use url::Url;

use crate::egress::Egress;
use crate::http::{self, Class};

pub use reqwest;

/// What is said of a certificate that does not fit.
const BAD_CERTIFICATE: &str = "the server's certificate has expired, is not trusted or is of another name";

/// An adapter from outside FastLead that connects only where the program lets channels connect to.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use fastlead_channels::egress::Egress;
/// use fastlead_channels::guarded::{GuardedAdapter, GuardedClient};
/// use fastlead_core::Result;
/// use fastlead_core::channel::{Channel, ChannelInfo};
///
/// #[derive(Debug)]
/// struct Acme;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct AcmeConfig {
///     /// Where the gateway listens, such as `https://sms.example.com`.
///     endpoint: String,
/// }
///
/// impl GuardedAdapter for Acme {
///     const KIND: &'static str = "acme";
///     const TITLE: &'static str = "Acme";
///     type Config = AcmeConfig;
///
///     fn build(info: ChannelInfo, config: AcmeConfig, egress: &Egress) -> Result<Arc<dyn Channel>> {
///         let client = egress.http_client("endpoint", &config.endpoint, Duration::from_secs(10))?;
///         Ok(channel(info, client))
///     }
/// }
/// # fn channel(_: ChannelInfo, _: GuardedClient) -> Arc<dyn Channel> { unimplemented!() }
/// ```
pub trait GuardedAdapter: fmt::Debug + Send + Sync + 'static {
    /// Registry name, such as `acme_sms`: lower-case letters, digits and `_`.
    const KIND: &'static str;
    /// What a person reads in a list of channels.
    const TITLE: &'static str;
    /// What its owner fills in. The doc comment of a field is its label in a form.
    type Config: DeserializeOwned + JsonSchema;

    /// Builds an instance whose connections are made within `egress`.
    ///
    /// # Behavior
    /// * Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    fn build(info: ChannelInfo, config: Self::Config, egress: &Egress) -> Result<Arc<dyn Channel>>;
}

/// A [`GuardedAdapter`] in the form that a registry takes.
struct Guarded<A>(std::marker::PhantomData<fn() -> A>);

impl<A> fmt::Debug for Guarded<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarded")
    }
}

impl<A: GuardedAdapter> ChannelAdapter for Guarded<A> {
    const KIND: &'static str = A::KIND;
    const TITLE: &'static str = A::TITLE;
    type Config = A::Config;

    fn build(info: ChannelInfo, config: A::Config) -> Result<Arc<dyn Channel>> {
        A::build(info, config, &Egress::public())
    }
}

/// Registers guarded adapters.
///
/// ```
/// use fastlead_channels::egress::Egress;
/// use fastlead_channels::guarded::{GuardedAdapter, GuardedRegistry};
/// use fastlead_core::Result;
/// use fastlead_core::registry::Registry;
///
/// /// The adapters that come with FastLead and one from outside, all within the same egress.
/// fn registry<A: GuardedAdapter>(egress: &Egress) -> Result<Registry> {
///     Registry::builder().apply(fastlead_channels::register_with(egress.clone())).guarded::<A>(egress).build()
/// }
/// ```
pub trait GuardedRegistry {
    /// Adds an adapter whose instances connect where `egress` lets them.
    #[must_use]
    fn guarded<A: GuardedAdapter>(self, egress: &Egress) -> Self;
}

impl GuardedRegistry for RegistryBuilder {
    fn guarded<A: GuardedAdapter>(self, egress: &Egress) -> Self {
        let egress = egress.clone();
        self.channel_with::<Guarded<A>>(move |info, config| A::build(info, config, &egress))
    }
}

impl Egress {
    /// An HTTP client for one endpoint, such as `https://sms.example.com/v1`. It connects only where this lets it, follows
    /// no redirects, repeats nothing by itself, and ignores proxies of the environment. One request may take `timeout`,
    /// and half of it to connect.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that begins with `field`, the name of the setting that holds the endpoint: where it is no
    /// address over HTTP, holds credentials, is not on the public internet or not encrypted and this does not allow it.
    pub fn http_client(
        &self,
        field: &'static str,
        endpoint: &str,
        timeout: Duration,
    ) -> Result<GuardedClient> {
        let wrong = |text: &str| {
            Error::new(ErrorKind::Config, format!("{field}: {text}")).with_operation("configure")
        };
        let endpoint = Url::parse(endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| wrong("expected an address such as https://api.example.com"))?;
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(wrong("an address does not hold credentials; they have fields of their own"));
        }
        let encrypted = endpoint.scheme() == "https";
        let host = endpoint.host().ok_or_else(|| wrong("the address has no host"))?;
        self.check(host, encrypted).map_err(|refusal| wrong(refusal.message()))?;
        let http = http::client(self, encrypted, timeout)
            .build()
            .map_err(|error| wrong("the HTTP client cannot be made").with_source(error.without_url()))?;
        Ok(GuardedClient { endpoint, http })
    }
}

/// An HTTP client that connects to one endpoint, within the [`Egress`] that made it. Cheap to clone.
#[derive(Clone)]
pub struct GuardedClient {
    endpoint: Url,
    http: reqwest::Client,
}

impl GuardedClient {
    /// A request for a path below the endpoint, such as `messages`. The path cannot lead to another host.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.endpoint.clone();
        let below = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{below}/{}", path.trim_start_matches('/')));
        self.http.request(method, url)
    }

    /// A `GET` for a path below the endpoint.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A `POST` to a path below the endpoint.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }
}

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path or query may hold a token.
        f.debug_struct("GuardedClient").field("host", &self.endpoint.host_str()).finish_non_exhaustive()
    }
}

/// The error behind a request that brought no answer of the provider's own: what it was, and whether it is safe to ask again.
/// Its source holds no address. The caller adds adapter and operation.
///
/// * A host that may not be connected to, or a wrong certificate: `Config`, never again.
/// * No connection: `Unavailable` or `Timeout`, safe.
/// * No answer in time, a broken connection, an answer that cannot be read: unknown.
pub fn no_answer(error: reqwest::Error) -> Error {
    let class = if error.is_decode() && !error.is_timeout() {
        http::by_status(200, None)
    } else {
        http::no_answer(&error, BAD_CERTIFICATE)
    };
    to_error(class).with_source(error.without_url())
}

/// The error behind an answer whose body says nothing in the provider's own words, by its status and `Retry-After`. The
/// status is the provider code. The caller adds adapter and operation.
pub fn by_status(answer: &Response) -> Error {
    let status = answer.status().as_u16();
    to_error(http::by_status(status, retry_after(answer))).with_provider_code(status.to_string())
}

/// The delay that an answer names in `Retry-After`, in seconds or as a date; at most a day.
pub fn retry_after(answer: &Response) -> Option<Duration> {
    http::retry_after(answer.headers(), None)
}

fn to_error(class: Class) -> Error {
    Error::new(class.kind, class.message).with_retry(class.retry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastlead_core::RetryHint;

    const SECOND: Duration = Duration::from_secs(1);

    fn inside() -> Egress {
        Egress::public().with_private_hosts(&["127.0.0.1".to_owned()]).unwrap()
    }

    #[test]
    fn an_endpoint_that_is_not_allowed_is_refused_by_name() {
        for (endpoint, why) in [
            ("http://127.0.0.1:8080", "public internet"),
            ("https://[::1]/", "public internet"),
            ("http://sms.example.com", "not encrypted"),
            ("ftp://sms.example.com", "expected an address"),
            ("https://user:pass@sms.example.com", "credentials"),
            ("sms.example.com", "expected an address"),
        ] {
            let error = Egress::public().http_client("server", endpoint, SECOND).unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{endpoint}");
            assert!(error.message().starts_with("server: ") && error.message().contains(why), "{error}");
        }
        assert!(inside().http_client("server", "http://127.0.0.1:8080", SECOND).is_ok());
    }

    #[test]
    fn a_path_stays_below_the_endpoint() {
        let client = inside().http_client("endpoint", "http://127.0.0.1:8080/v1/", SECOND).unwrap();
        for (path, expected) in [
            ("messages", "http://127.0.0.1:8080/v1/messages"),
            ("/messages", "http://127.0.0.1:8080/v1/messages"),
            ("//example.com/x", "http://127.0.0.1:8080/v1/example.com/x"),
            ("http://example.com/?a", "http://127.0.0.1:8080/v1/http://example.com/%3Fa"),
        ] {
            assert_eq!(client.get(path).build().unwrap().url().as_str(), expected, "{path}");
        }
        assert!(!format!("{client:?}").contains("v1"));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_before_a_connection() {
        let client =
            Egress::public().with_plaintext().http_client("endpoint", "http://localhost:9", SECOND).unwrap();
        let error = no_answer(client.post("messages").send().await.unwrap_err());
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error:?}");
    }

    #[tokio::test]
    async fn nobody_there_is_safe_to_ask_again() {
        let client = inside().http_client("endpoint", "http://127.0.0.1:1", SECOND).unwrap();
        let error = no_answer(client.post("messages").send().await.unwrap_err());
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE), "{error:?}");
    }
}
