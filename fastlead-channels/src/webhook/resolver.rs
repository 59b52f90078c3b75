//! DNS that only gives addresses that may be connected to. The client connects to exactly these, so
//! a name cannot show one address to a check and another one to the connection (DNS rebinding).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::ssrf::AllowList;

type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Where addresses come from before they are judged.
pub(super) type Lookup = Arc<dyn Fn(String) -> Looking + Send + Sync>;

pub(super) struct GuardedResolver {
    allowed: Arc<AllowList>,
    lookup: Lookup,
}

impl GuardedResolver {
    pub(super) fn new(allowed: AllowList, lookup: Lookup) -> Self {
        Self { allowed: Arc::new(allowed), lookup }
    }

    /// The operating system's resolver.
    pub(super) fn system(allowed: AllowList) -> Self {
        let lookup = |name: String| -> Looking {
            // Port 0 means that the client fills in the URL's.
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        };
        Self::new(allowed, Arc::new(lookup))
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.allowed);
        let looking = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let mut addresses = looking.await?;
            addresses.retain(|address| allowed.admits(Some(name.as_str()), address.ip()));
            if addresses.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The host has no address that may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ForbiddenAddress;

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has no public address")
    }
}

impl std::error::Error for ForbiddenAddress {}
