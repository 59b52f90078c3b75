//! One connection, spoken to step by step, so that it is known how far a failed one had come.

use std::future::Future;
use std::time::Duration;

use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Noop, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};

use super::config::{Encryption, Server};
use super::error::{Failure, Phase, Trouble};
use super::message::Mail;

/// A signed-in connection.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    timeout: Duration,
}

impl Connection {
    /// Connects, encrypts, greets and signs in.
    pub(super) async fn open(server: &Server) -> Result<Self, Trouble> {
        let address = (server.host.as_str(), server.port);
        let wrapper = match &server.tls {
            Encryption::Wrapper(parameters) => Some(parameters.clone()),
            Encryption::Required(_) | Encryption::None => None,
        };
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, Some(server.timeout), &server.hello, wrapper, None);
        let smtp = step(server.timeout, Phase::Connect, connecting).await?;
        let mut connection = Self { smtp, timeout: server.timeout };
        if let Encryption::Required(parameters) = &server.tls {
            connection.start_tls(server, parameters.clone()).await?;
        }
        connection.sign_in(server).await?;
        Ok(connection)
    }

    async fn start_tls(&mut self, server: &Server, parameters: TlsParameters) -> Result<(), Trouble> {
        if !self.smtp.can_starttls() {
            return Err(Trouble::new(Phase::Connect, Failure::NoStartTls));
        }
        step(self.timeout, Phase::Connect, self.smtp.starttls(parameters, &server.hello)).await
    }

    async fn sign_in(&mut self, server: &Server) -> Result<(), Trouble> {
        let Some(credentials) = &server.credentials else { return Ok(()) };
        if self.smtp.server_info().get_auth_mechanism(&server.mechanisms).is_none() {
            return Err(Trouble::new(Phase::Auth, Failure::NoMechanism));
        }
        let signing_in = self.smtp.auth(&server.mechanisms, credentials);
        let response = step(self.timeout, Phase::Auth, signing_in).await?;
        completed(Phase::Auth, &response)
    }

    /// Proves that the connection is alive, and forgets whatever an earlier mail left behind.
    pub(super) async fn reset(&mut self, patience: Duration) -> Result<(), Trouble> {
        let response = step(patience, Phase::Idle, self.smtp.command(Rset)).await?;
        completed(Phase::Idle, &response)
    }

    /// Does nothing, and says good-bye.
    pub(super) async fn noop_and_quit(mut self) -> Result<(), Trouble> {
        let response = step(self.timeout, Phase::Idle, self.smtp.command(Noop)).await?;
        completed(Phase::Idle, &response)?;
        // The account has proved itself; how the server takes leave does not matter any more.
        let _bye = step(self.timeout, Phase::Idle, self.smtp.command(Quit)).await;
        Ok(())
    }

    /// Hands one mail over. `Ok` means that the server has taken responsibility for it.
    pub(super) async fn deliver(&mut self, mail: &Mail) -> Result<(), Trouble> {
        let parameters = self.mail_parameters(mail)?;
        let response = step(
            self.timeout,
            Phase::Mail,
            self.smtp.command(MailFrom::new(Some(mail.from.clone()), parameters)),
        )
        .await?;
        completed(Phase::Mail, &response)?;
        let response =
            step(self.timeout, Phase::Recipient, self.smtp.command(Rcpt::new(mail.to.clone(), Vec::new())))
                .await?;
        completed(Phase::Recipient, &response)?;
        let response = step(self.timeout, Phase::Data, self.smtp.command(Data)).await?;
        if !response.has_code(354) {
            return Err(Trouble::new(Phase::Data, Failure::Garbage));
        }
        let mut body = Body::new(&mail.source);
        let written = step(self.timeout, Phase::Body, self.smtp.message_iter(&mut body)).await;
        let response = written.map_err(|trouble| Trouble::new(body.phase(), trouble.failure))?;
        completed(Phase::End, &response)
    }

    fn mail_parameters(&self, mail: &Mail) -> Result<Vec<MailParameter>, Trouble> {
        let server = self.smtp.server_info();
        let mut parameters = Vec::new();
        let is_ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
        // Bodies and names are always encoded, so only an address can bring other letters in.
        if !is_ascii(&mail.from) || !is_ascii(&mail.to) || !mail.source.is_ascii() {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(Trouble::new(Phase::Mail, Failure::NoSmtpUtf8));
            }
            parameters.push(MailParameter::SmtpUtfEight);
            if server.supports_feature(Extension::EightBitMime) {
                parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
            }
        }
        Ok(parameters)
    }
}

/// The message as one piece that knows whether it was written out. lettre asks for the next piece
/// only when the one before has been handed to the network, and writes the final dot after the last.
struct Body<'a> {
    source: Option<&'a [u8]>,
    written: bool,
}

impl<'a> Body<'a> {
    const fn new(source: &'a [u8]) -> Self {
        Self { source: Some(source), written: false }
    }

    /// Where a failure belongs: without the final dot the server must throw the message away
    /// (RFC 5321 section 4.1.1.4).
    const fn phase(&self) -> Phase {
        if self.written { Phase::End } else { Phase::Body }
    }
}

impl<'a> Iterator for Body<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.source.take();
        self.written = piece.is_none();
        piece
    }
}

/// Waits for one answer. lettre itself puts a limit to connecting only.
async fn step<T>(
    patience: Duration,
    phase: Phase,
    work: impl Future<Output = Result<T, lettre::transport::smtp::Error>> + Send,
) -> Result<T, Trouble> {
    match tokio::time::timeout(patience, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Trouble::new(phase, Failure::from(&error))),
        Err(_elapsed) => Err(Trouble::new(phase, Failure::Timeout)),
    }
}

/// A reply that says "go on" (3xx) where only "done" (2xx) makes sense is none.
fn completed(phase: Phase, response: &Response) -> Result<(), Trouble> {
    match response.code().severity {
        Severity::PositiveCompletion => Ok(()),
        _ => Err(Trouble::new(phase, Failure::Garbage)),
    }
}
