//! What only one of several engines does at a time.

use std::time::Duration;

use super::Engine;
use crate::error::Result;
use crate::port::{LeaseAnswer, NamedLease};
use crate::time::plus;

impl Engine {
    /// Takes the lease `name` for so long, or renews it: of all engines on this store one has it. For what a program does
    /// once and not once for each engine, such as forgetting what is old. Names with `poll:` are the engine's own.
    ///
    /// # Errors
    /// Where the store cannot be asked.
    pub async fn take_lease(&self, name: &str, length: Duration) -> Result<LeaseAnswer> {
        let (now, holder) = (self.now(), self.inner.holder);
        let lease = NamedLease { name: name.to_owned(), holder, now, until: plus(now, length) };
        self.inner.store.take_lease(lease).await
    }

    /// Gives the lease `name` back, where this engine has it.
    ///
    /// # Errors
    /// Where the store cannot be asked: others wait until the lease ends.
    pub async fn end_lease(&self, name: &str) -> Result<()> {
        self.inner.store.end_lease(name, self.inner.holder).await
    }
}
