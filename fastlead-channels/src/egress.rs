//! Where adapters may connect to.
//!
//! A tenant fills in a channel's endpoint, mail server or proxy, and our machine stands inside networks
//! that the tenant must not reach through it (server-side request forgery). So every adapter connects
//! through one [`Egress`], which belongs to whoever runs the program: to public addresses only, and
//! beside those to what is named here. A name is resolved, the addresses are judged, and exactly these are
//! connected to. Redirects are not followed, and proxies in the environment are ignored.
//!
//! ```
//! use fastlead_channels::egress::Egress;
//! use fastlead_core::registry::Registry;
//!
//! let egress = Egress::public().with_private_hosts(&["crm.internal".into(), "10.1.0.0/16".into()])?;
//! let registry = Registry::builder().apply(fastlead_channels::register_with(egress)).build()?;
//! # Ok::<(), fastlead_core::Error>(())
//! ```

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
#[cfg(feature = "smtp")]
use std::time::Duration;

use fastlead_core::{Error, ErrorKind, Result};
#[cfg(feature = "smtp")]
use tokio::net::TcpStream;
use url::Host;

use crate::address::{AllowList, is_forbidden};

type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Where addresses come from before they are judged. The ports are of no meaning.
pub(crate) type Lookup = Arc<dyn Fn(String) -> Looking + Send + Sync>;

/// Where channels may connect to. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    allowed: Arc<AllowList>,
    plaintext: bool,
    lookup: Lookup,
}

impl Egress {
    /// The public internet, encrypted, and nothing else.
    #[must_use]
    pub fn public() -> Self {
        let lookup = |name: String| -> Looking {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        };
        Self { allowed: Arc::default(), plaintext: false, lookup: Arc::new(lookup) }
    }

    /// Lets channels connect to these hosts, IP addresses and CIDR blocks although they are not on the
    /// public internet, such as `crm.internal` or `10.1.0.0/16`; also without encryption. A host is trusted
    /// with whatever it resolves to. Replaces what was named before.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that starts with `allowed_private_hosts` where an entry is none of the three.
    pub fn with_private_hosts(mut self, entries: &[String]) -> Result<Self> {
        let allowed = AllowList::parse(entries).ok_or_else(|| {
            let message =
                "allowed_private_hosts: expected hosts, IP addresses and CIDR blocks such as 10.1.0.0/16";
            Error::new(ErrorKind::Config, message).with_operation("configure")
        })?;
        self.allowed = Arc::new(allowed);
        Ok(self)
    }

    /// Lets channels send credentials and leads over the public internet without encryption.
    #[must_use]
    pub const fn with_plaintext(mut self) -> Self {
        self.plaintext = true;
        self
    }

    /// Judges what can be judged without asking a name server: an HTTP client does not ask its resolver
    /// about a literal address, in whatever notation.
    pub(crate) fn check(&self, host: Host<&str>, encrypted: bool) -> Result<(), Refusal> {
        match host {
            Host::Ipv4(address) => self.judge(None, address.into(), encrypted),
            Host::Ipv6(address) => self.judge(None, address.into(), encrypted),
            Host::Domain(name) => {
                let may_be_private = self.allowed.has_networks() || self.allowed.names_host(name);
                if encrypted || self.plaintext || may_be_private { Ok(()) } else { Err(Refusal::Plaintext) }
            }
        }
    }

    /// Whether this host is named as an exception.
    #[cfg(feature = "telegram")]
    pub(crate) fn names(&self, host: Host<&str>) -> bool {
        match host {
            Host::Ipv4(address) => self.allowed.names(None, address.into()),
            Host::Ipv6(address) => self.allowed.names(None, address.into()),
            Host::Domain(name) => self.allowed.names_host(name),
        }
    }

    /// The addresses of a host that may be connected to; never empty.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        port: u16,
        encrypted: bool,
    ) -> Result<Vec<SocketAddr>, Blocked> {
        let found = (self.lookup)(host.to_owned()).await.map_err(Blocked::Lookup)?;
        let mut refusal = Refusal::Private;
        let mut good = Vec::with_capacity(found.len());
        for mut address in found {
            match self.judge(Some(host), address.ip(), encrypted) {
                Ok(()) => {
                    address.set_port(port);
                    good.push(address);
                }
                Err(why) => refusal = why,
            }
        }
        if good.is_empty() { Err(Blocked::Refused(refusal)) } else { Ok(good) }
    }

    /// Connects to the first address of a host that may be connected to and answers within `patience`.
    #[cfg(feature = "smtp")]
    pub(crate) async fn connect(
        &self,
        host: &str,
        port: u16,
        encrypted: bool,
        patience: Duration,
    ) -> Result<TcpStream, Blocked> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in self.addresses(host, port, encrypted).await? {
            match tokio::time::timeout(patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(Blocked::Connection(last))
    }

    fn judge(&self, host: Option<&str>, address: IpAddr, encrypted: bool) -> Result<(), Refusal> {
        match is_forbidden(address) {
            true if self.allowed.names(host, address) => Ok(()),
            true => Err(Refusal::Private),
            false if encrypted || self.plaintext => Ok(()),
            false => Err(Refusal::Plaintext),
        }
    }

    /// The same with another name server.
    #[cfg(test)]
    pub(crate) fn with_lookup(mut self, lookup: Lookup) -> Self {
        self.lookup = lookup;
        self
    }
}

impl Default for Egress {
    fn default() -> Self {
        Self::public()
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("allowed", &self.allowed)
            .field("plaintext", &self.plaintext)
            .finish_non_exhaustive()
    }
}

/// Why a connection is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The host has no address that may be connected to.
    Private,
    /// The host is public and the connection would be readable on the way.
    Plaintext,
}

impl Refusal {
    /// What its owner reads.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Private => {
                "the host is not on the public internet; whoever runs the installation can name it in \
                 channels.allowed_private_hosts"
            }
            Self::Plaintext => {
                "the connection is not encrypted; use https:// or tls, or whoever runs the installation can set \
                 channels.allow_plaintext"
            }
        }
    }

    /// The same as a fault of a field.
    pub(crate) fn of_field(self, adapter: &'static str, field: &'static str) -> Error {
        Error::new(ErrorKind::Config, format!("{field}: {}", self.message()))
            .with_adapter(adapter)
            .with_operation("configure")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Refusal {}

/// Why a host cannot be connected to.
#[derive(Debug)]
pub(crate) enum Blocked {
    /// The name server does not know it, or does not answer.
    Lookup(io::Error),
    /// It has none that may be connected to.
    Refused(Refusal),
    /// None of those that it has answers.
    #[cfg(feature = "smtp")]
    Connection(io::Error),
}

impl From<Blocked> for Box<dyn std::error::Error + Send + Sync> {
    fn from(blocked: Blocked) -> Self {
        match blocked {
            Blocked::Lookup(error) => error.into(),
            #[cfg(feature = "smtp")]
            Blocked::Connection(error) => error.into(),
            Blocked::Refused(refusal) => refusal.into(),
        }
    }
}

#[cfg(test)]
#[path = "egress_tests.rs"]
mod tests;
