//! DNS that only gives addresses that may be connected to. The client connects to exactly these, so
//! a name cannot show one address to a check and another one to the connection (DNS rebinding).

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::egress::Egress;

/// The resolver of one HTTP client.
pub(crate) struct GuardedResolver {
    egress: Egress,
    encrypted: bool,
}

impl GuardedResolver {
    /// `encrypted` says whether the connections to these addresses will be.
    pub(crate) const fn new(egress: Egress, encrypted: bool) -> Self {
        Self { egress, encrypted }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, encrypted) = (self.egress.clone(), self.encrypted);
        Box::pin(async move {
            // Port 0 means that the client fills in the URL's.
            let addresses = egress.addresses(name.as_str(), 0, encrypted).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
