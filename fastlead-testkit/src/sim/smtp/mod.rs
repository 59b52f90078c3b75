//! A mail server on a free port: it talks SMTP over TCP, keeps what it accepts in an [`Inbox`], and
//! misbehaves on request.
//!
//! It follows RFC 5321 with the extensions `SIZE` (RFC 1870), `8BITMIME` (RFC 6152), `SMTPUTF8`
//! (RFC 6531), `AUTH PLAIN LOGIN` (RFC 4954), `ENHANCEDSTATUSCODES` (RFC 2034) and `PIPELINING`
//! (RFC 2920), and it is strict: lines over 998 octets, bare CR or LF, eight-bit data that was not
//! announced and mail without `From` or `Date` are refused, so that a sloppy client fails here and
//! not at somebody's relay. With [`SmtpSim::start_tls`] it speaks TLS from the first byte or after
//! `STARTTLS` (RFC 3207), and takes neither login nor mail before that.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use fastlead_testkit::sim::smtp::{SmtpFault, SmtpPhase, SmtpSim};
//!
//! let sim = SmtpSim::start().await?;
//! sim.add_unknown("nobody@example.com");
//! sim.script(SmtpFault::reply(SmtpPhase::EndOfData, 451, "4.3.0 queue file write error"));
//! assert!(sim.inbox().all().is_empty());
//! # Ok(()) }
//! ```

mod fault;
pub mod mime;
mod page;
mod record;
mod server;
mod session;
mod wire;

#[cfg(test)]
mod dialogue_tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

pub use fault::{SmtpAction, SmtpFault, SmtpPhase};

use crate::sim::door::Gate;
use crate::sim::{Door, Faults, Inbox, SimServer, SimTls};
use server::Shared;

/// When a mail server encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// From the first byte, as on port 465.
    Wrapper,
    /// After `STARTTLS`, as on port 587.
    StartTls,
}

/// A running mail server. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct SmtpSim {
    address: SocketAddr,
    page: SimServer,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

impl SmtpSim {
    /// Serves on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Serves on `address`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_on(address: SocketAddr) -> std::io::Result<Self> {
        Self::serve(address, Shared::default()).await
    }

    /// Serves on a free port of 127.0.0.1, encrypted.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_tls(tls: SimTls, security: SmtpSecurity) -> std::io::Result<Self> {
        let shared = Shared::encrypted(security, tls);
        Self::serve(SocketAddr::from(([127, 0, 0, 1], 0)), shared).await
    }

    async fn serve(address: SocketAddr, shared: Shared) -> std::io::Result<Self> {
        let gate = Gate::bind(address, shared.door.clone()).await?;
        let address = gate.address();
        let shared = Arc::new(shared);
        let stage = page::MailPage { shared: Arc::clone(&shared), address };
        let page = SimServer::start(crate::sim::page::routes(stage)).await?;
        let task = tokio::spawn(server::accept(gate, Arc::clone(&shared)));
        Ok(Self { address, page, shared, _task: AbortOnDropHandle::new(task) })
    }

    /// The address of the page that shows what arrived and plays the recipients, without a slash at
    /// the end.
    pub fn page_url(&self) -> String {
        self.page.base_url()
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The trouble that all simulators know. One is taken when a connection opens, or else when a
    /// mail transaction begins, and acts at the phase where a real server would show it: a bad
    /// recipient at `RCPT`, refused content after the message, and so on.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Shuts the port of the mail server for a while: connections are refused. The page stays.
    pub fn door(&self) -> &Door {
        &self.shared.door
    }

    /// Trouble at an exact phase, met by the next session that gets there. Comes before [`Self::faults`].
    pub fn script(&self, fault: SmtpFault) {
        self.shared.lock().script.push_back(fault);
    }

    /// What was accepted, one arrival per recipient.
    pub fn inbox(&self) -> &Inbox {
        &self.shared.inbox
    }

    /// From now on mail needs this login. Until this is called any login, or none, will do.
    pub fn require_auth(&self, user: &str, password: &str) {
        self.shared.lock().account = Some((user.to_owned(), password.to_owned()));
    }

    /// The mailbox does not exist: `550 5.1.1`.
    pub fn add_unknown(&self, address: &str) {
        self.shared.lock().unknown.insert(address.to_lowercase());
    }

    /// The mailbox is full: `452 4.2.2`.
    pub fn add_full(&self, address: &str) {
        self.shared.lock().full.insert(address.to_lowercase());
    }

    /// Whether the first attempt of each pair of sender and recipient is put off: `451 4.7.1`.
    pub fn greylist(&self, on: bool) {
        self.shared.lock().greylist = on;
    }

    /// Whether replies of one line are a code and nothing beside it, which RFC 5321 section 4.2 allows.
    pub fn answer_with_codes_only(&self, on: bool) {
        self.shared.lock().terse = on;
    }

    /// The largest message in bytes, 10 MiB at first; larger ones get `552 5.3.4`.
    pub fn limit_size(&self, bytes: usize) {
        self.shared.lock().size_limit = bytes;
    }

    /// Stops announcing and accepting an extension, such as `SMTPUTF8` or `AUTH`.
    pub fn withhold(&self, extension: &str) {
        self.shared.lock().withheld.insert(extension.to_uppercase());
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections
    }

    /// Every command line that came in, in order, without the bytes of messages and without the
    /// arguments of `AUTH`. The oldest are forgotten after a few thousand.
    pub fn commands(&self) -> Vec<String> {
        self.shared.lock().commands.iter().cloned().collect()
    }
}
