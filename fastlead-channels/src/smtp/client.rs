//! One connection, spoken to step by step, so that it is known how far a failed one had come.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Noop, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};

use super::config::{Encryption, Server};
use super::error::{Failure, Phase, Trouble};
use super::message::Mail;
use crate::egress::Blocked;

/// Bytes that every socket takes at once.
const ONE_PIECE_MAX: usize = 16 * 1024;

/// How far a dialogue has come, seen from outside while it runs.
pub(super) struct Progress(Mutex<Phase>);

impl Progress {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Phase::Wait))
    }

    pub(super) fn phase(&self) -> Phase {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn trouble(&self, failure: Failure) -> Trouble {
        Trouble::new(self.phase(), failure)
    }
}

/// Limits a dialogue: `timeout` until the message is handed over, then `accept_timeout` for the
/// server's last word. lettre itself puts a limit to connecting only.
pub(super) async fn within<T>(
    server: &Server,
    progress: &Progress,
    work: impl Future<Output = Result<T, Trouble>> + Send,
) -> Result<T, Trouble> {
    let mut work = pin!(work);
    if let Ok(outcome) = tokio::time::timeout(server.timeout, work.as_mut()).await {
        return outcome;
    }
    if progress.phase() == Phase::End
        && let Ok(outcome) = tokio::time::timeout(server.accept_timeout, work).await
    {
        return outcome;
    }
    Err(progress.trouble(Failure::Timeout))
}

/// A signed-in connection.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
}

impl Connection {
    /// Connects, encrypts, greets and signs in.
    pub(super) async fn open(server: &Server, progress: &Progress) -> Result<Self, Trouble> {
        progress.enter(Phase::Connect);
        // Exactly the addresses that were judged are connected to; TLS still asks for the host's name.
        let encrypted = !matches!(server.tls, Encryption::None);
        let addresses = server.egress.addresses(&server.host, server.port, encrypted).await;
        let addresses = addresses.map_err(|blocked| {
            progress.trouble(match blocked {
                Blocked::Lookup(error) => Failure::Network(error.kind()),
                Blocked::Refused(refusal) => Failure::Refused(refusal),
            })
        })?;
        let wrapper = match &server.tls {
            Encryption::Wrapper(parameters) => Some(parameters.clone()),
            Encryption::Required(_) | Encryption::None => None,
        };
        // For each address of the host: one that swallows packets must leave time for the next.
        let patience = Some(server.timeout / 3);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(&addresses[..], patience, &server.hello, wrapper, None);
        let mut connection = Self { smtp: step(progress, connecting).await? };
        if let Encryption::Required(parameters) = &server.tls {
            connection.start_tls(server, parameters.clone(), progress).await?;
        }
        connection.sign_in(server, progress).await?;
        Ok(connection)
    }

    async fn start_tls(
        &mut self,
        server: &Server,
        parameters: TlsParameters,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        if !self.smtp.can_starttls() {
            return Err(progress.trouble(Failure::NoStartTls));
        }
        step(progress, self.smtp.starttls(parameters, &server.hello)).await
    }

    async fn sign_in(&mut self, server: &Server, progress: &Progress) -> Result<(), Trouble> {
        let Some(credentials) = &server.credentials else { return Ok(()) };
        progress.enter(Phase::Auth);
        if self.smtp.server_info().get_auth_mechanism(&server.mechanisms).is_none() {
            return Err(progress.trouble(Failure::NoMechanism));
        }
        let response = step(progress, self.smtp.auth(&server.mechanisms, credentials)).await?;
        completed(progress, &response)
    }

    /// Whether the connection still lives. Also makes the server forget an earlier, refused mail.
    pub(super) async fn answers_reset(&mut self, patience: Duration, progress: &Progress) -> bool {
        progress.enter(Phase::Idle);
        match tokio::time::timeout(patience, self.smtp.command(Rset)).await {
            Ok(Ok(response)) => completed(progress, &response).is_ok(),
            // A dead connection is no trouble: nothing was sent, and the next one is new.
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Does nothing, and says good-bye.
    pub(super) async fn noop_and_quit(mut self, progress: &Progress) -> Result<(), Trouble> {
        progress.enter(Phase::Idle);
        let response = step(progress, self.smtp.command(Noop)).await?;
        completed(progress, &response)?;
        // The account has proved itself; how the server takes leave does not matter any more.
        let _bye = tokio::time::timeout(Duration::from_secs(1), self.smtp.command(Quit)).await;
        Ok(())
    }

    /// Hands one mail over. `Ok` means that the server has taken responsibility for it.
    pub(super) async fn deliver(&mut self, mail: &Mail, progress: &Progress) -> Result<(), Trouble> {
        progress.enter(Phase::Mail);
        let parameters = self.mail_parameters(mail, progress)?;
        let sender = MailFrom::new(Some(mail.from.clone()), parameters);
        completed(progress, &step(progress, self.smtp.command(sender)).await?)?;
        progress.enter(Phase::Recipient);
        let recipient = Rcpt::new(mail.to.clone(), Vec::new());
        completed(progress, &step(progress, self.smtp.command(recipient)).await?)?;
        progress.enter(Phase::Data);
        let response = step(progress, self.smtp.command(Data)).await?;
        if !response.has_code(354) {
            return Err(progress.trouble(Failure::Garbage));
        }
        let response = self.message(mail, progress).await?;
        completed(progress, &response)
    }

    /// A short message goes out in one piece with its final dot: in two, the second would wait for
    /// the network's acknowledgement of the first (Nagle), some 40 ms. A long one goes in two, so
    /// that it is known whether the dot was reached.
    async fn message(&mut self, mail: &Mail, progress: &Progress) -> Result<Response, Trouble> {
        match std::str::from_utf8(&mail.source) {
            Ok(source) if source.len() <= ONE_PIECE_MAX => {
                progress.enter(Phase::End);
                step(progress, self.smtp.command(OnePiece(source))).await
            }
            _ => {
                progress.enter(Phase::Body);
                let body = Body { source: Some(&mail.source), progress };
                step(progress, self.smtp.message_iter(body)).await
            }
        }
    }

    fn mail_parameters(&self, mail: &Mail, progress: &Progress) -> Result<Vec<MailParameter>, Trouble> {
        let server = self.smtp.server_info();
        let mut parameters = Vec::new();
        // Bodies and names are always encoded, so only an address can bring other letters in.
        let is_ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
        if !is_ascii(&mail.from) || !is_ascii(&mail.to) || !mail.source.is_ascii() {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(progress.trouble(Failure::NoSmtpUtf8));
            }
            parameters.push(MailParameter::SmtpUtfEight);
            if server.supports_feature(Extension::EightBitMime) {
                parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
            }
        }
        Ok(parameters)
    }
}

/// A message with its dots doubled (RFC 5321 section 4.5.2) and the line that ends it. No header
/// starts with a dot, so only those after a line break matter.
struct OnePiece<'a>(&'a str);

impl fmt::Display for OnePiece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace("\r\n.", "\r\n.."))?;
        f.write_str("\r\n.\r\n")
    }
}

/// The message as a piece that notes when it has been written out: lettre asks for the next piece
/// only then, and writes the final dot after the last. Without that dot the server must throw the
/// message away (RFC 5321 section 4.1.1.4).
struct Body<'a> {
    source: Option<&'a [u8]>,
    progress: &'a Progress,
}

impl<'a> Iterator for Body<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.source.take();
        if piece.is_none() {
            self.progress.enter(Phase::End);
        }
        piece
    }
}

async fn step<T>(
    progress: &Progress,
    work: impl Future<Output = Result<T, lettre::transport::smtp::Error>> + Send,
) -> Result<T, Trouble> {
    work.await.map_err(|error| progress.trouble(Failure::from(&error)))
}

/// A reply that says "go on" (3xx) where only "done" (2xx) makes sense is none.
fn completed(progress: &Progress, response: &Response) -> Result<(), Trouble> {
    match response.code().severity {
        Severity::PositiveCompletion => Ok(()),
        _ => Err(progress.trouble(Failure::Garbage)),
    }
}
