//! One connection, spoken to step by step, so that it is known how far a failed one had come.

use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fastlead_core::secret::Pii;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::commands::{
    Auth, Data, Ehlo, Mail as MailFrom, Noop, Quit, Rcpt, Rset, Starttls,
};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::config::{Encryption, Server};
use super::error::{Failure, Phase, Trouble};
use super::message::Mail;
use super::reply::{Extensions, Reply};
use crate::egress::Blocked;
use crate::tls::Tls;

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
/// server's last word. Nothing inside has a limit of its own but connecting.
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

/// A connection, encrypted or not.
trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for S {}

/// More challenges than any way to sign in has.
const MOST_CHALLENGES: u32 = 10;

/// A signed-in connection. Commands are lettre's; replies are read by [`Reply`].
pub(super) struct Connection {
    stream: BufReader<Box<dyn Socket>>,
    extensions: Extensions,
}

impl Connection {
    /// Connects, encrypts, greets and signs in.
    pub(super) async fn open(server: &Server, progress: &Progress) -> Result<Self, Trouble> {
        progress.enter(Phase::Connect);
        // Exactly the addresses that were judged are connected to; TLS still asks for the host's name.
        let encrypted = !matches!(server.tls, Encryption::None);
        // For each address of the host: one that swallows packets must leave time for the next.
        let patience = server.timeout / 3;
        let connected = server.egress.connect(&server.host, server.port, encrypted, patience).await;
        let plain = connected.map_err(|blocked| {
            progress.trouble(match blocked {
                Blocked::Lookup(error) => Failure::Network(error.kind()),
                Blocked::Refused(refusal) => Failure::Refused(refusal),
                Blocked::Connection(error) => Failure::of_network(error),
            })
        })?;
        let stream: Box<dyn Socket> = match &server.tls {
            Encryption::Wrapper(tls) => encrypt(tls, plain, progress).await?,
            Encryption::Required(tls) => {
                let mut connection = Self::new(Box::new(plain));
                connection.greet(server, progress).await?;
                connection.start_tls(progress).await?;
                encrypt(tls, connection.stream.into_inner(), progress).await?
            }
            Encryption::None => Box::new(plain),
        };
        let mut connection = Self::new(stream);
        if !matches!(server.tls, Encryption::Required(_)) {
            connection.expect(progress).await?;
        }
        connection.hello(server, progress).await?;
        connection.sign_in(server, progress).await?;
        Ok(connection)
    }

    fn new(stream: Box<dyn Socket>) -> Self {
        Self { stream: BufReader::new(stream), extensions: Extensions::default() }
    }

    async fn greet(&mut self, server: &Server, progress: &Progress) -> Result<(), Trouble> {
        self.expect(progress).await?;
        self.hello(server, progress).await
    }

    async fn hello(&mut self, server: &Server, progress: &Progress) -> Result<(), Trouble> {
        let reply = self.order(Ehlo::new(server.hello.clone()), progress).await?;
        self.extensions = Extensions::read(&reply);
        Ok(())
    }

    async fn start_tls(&mut self, progress: &Progress) -> Result<(), Trouble> {
        if !self.extensions.start_tls {
            return Err(progress.trouble(Failure::NoStartTls));
        }
        self.order(Starttls, progress).await?;
        // What was sent ahead in the clear could be anybody's (RFC 3207 section 4.2).
        if self.stream.buffer().is_empty() { Ok(()) } else { Err(progress.trouble(Failure::Garbage)) }
    }

    async fn sign_in(&mut self, server: &Server, progress: &Progress) -> Result<(), Trouble> {
        let Some(credentials) = &server.credentials else { return Ok(()) };
        progress.enter(Phase::Auth);
        let offers = |mechanism: &&Mechanism| self.extensions.mechanisms.contains(&mechanism.to_string());
        let Some(mechanism) = server.mechanisms.iter().copied().find(|mechanism| offers(&mechanism)) else {
            return Err(progress.trouble(Failure::NoMechanism));
        };
        let garbage = |_| progress.trouble(Failure::Garbage);
        let first = Auth::new(mechanism, credentials.clone(), None).map_err(garbage)?;
        let mut reply = self.command(first, progress).await?;
        for _ in 0..MOST_CHALLENGES {
            if reply.code != 334 {
                return completed(progress, reply).map(drop);
            }
            let challenge: Response = format!("334 {}\r\n", reply.text()).parse().map_err(garbage)?;
            let next = Auth::new_from_response(mechanism, credentials.clone(), &challenge);
            reply = self.command(next.map_err(garbage)?, progress).await?;
        }
        Err(progress.trouble(Failure::Garbage))
    }

    /// Whether the connection still lives. Also makes the server forget an earlier, refused mail.
    pub(super) async fn answers_reset(&mut self, patience: Duration, progress: &Progress) -> bool {
        progress.enter(Phase::Idle);
        // A dead connection is no trouble: nothing was sent, and the next one is new.
        matches!(tokio::time::timeout(patience, self.order(Rset, progress)).await, Ok(Ok(_)))
    }

    /// Proves that the account may send, and says good-bye. A sender whose address needs SMTPUTF8 is found here, and
    /// not by the first mail.
    pub(super) async fn try_out(
        mut self,
        sender: &lettre::Address,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        progress.enter(Phase::Idle);
        if !is_ascii(sender) && !self.extensions.smtp_utf8 {
            return Err(progress.trouble(Failure::SenderNeedsSmtpUtf8));
        }
        self.order(Noop, progress).await?;
        // The account has proved itself; how the server takes leave does not matter any more.
        let _bye = tokio::time::timeout(Duration::from_secs(1), self.order(Quit, progress)).await;
        Ok(())
    }

    /// Hands one mail over. `Ok` means that the server has taken responsibility for it.
    pub(super) async fn deliver(&mut self, mail: &Mail, progress: &Progress) -> Result<(), Trouble> {
        progress.enter(Phase::Mail);
        let parameters = self.mail_parameters(mail, progress)?;
        self.order(MailFrom::new(Some(mail.from.clone()), parameters), progress).await?;
        progress.enter(Phase::Recipient);
        self.order(Rcpt::new(mail.to.clone(), Vec::new()), progress).await?;
        progress.enter(Phase::Data);
        let reply = self.command(Data, progress).await?;
        if reply.code != 354 {
            // Also a refusal; a "done" makes no sense here.
            completed(progress, reply)?;
            return Err(progress.trouble(Failure::Garbage));
        }
        self.message(&mail.source, progress).await?;
        self.expect(progress).await.map(drop)
    }

    /// A short message goes out in one piece with its final dot: in two, the second would wait for
    /// the network's acknowledgement of the first (Nagle), some 40 ms. A long one goes in two, so
    /// that it is known whether the dot was reached: without it the server must throw the message away
    /// (RFC 5321 section 4.1.1.4).
    async fn message(&mut self, source: &[u8], progress: &Progress) -> Result<(), Trouble> {
        let mut message = dots_doubled(source);
        if message.len() > ONE_PIECE_MAX {
            progress.enter(Phase::Body);
            self.write(&message, progress).await?;
            message.clear();
        }
        message.extend_from_slice(b"\r\n.\r\n");
        progress.enter(Phase::End);
        self.write(&message, progress).await
    }

    fn mail_parameters(&self, mail: &Mail, progress: &Progress) -> Result<Vec<MailParameter>, Trouble> {
        let mut parameters = Vec::new();
        // Bodies and names are always encoded, so only an address can bring other letters in.
        if !is_ascii(&mail.from) || !is_ascii(&mail.to) || !mail.source.is_ascii() {
            if !self.extensions.smtp_utf8 {
                let failure =
                    if is_ascii(&mail.from) { Failure::NoSmtpUtf8 } else { Failure::SenderNeedsSmtpUtf8 };
                return Err(progress.trouble(failure));
            }
            parameters.push(MailParameter::SmtpUtfEight);
            if self.extensions.eight_bit {
                parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
            }
        }
        Ok(parameters)
    }

    /// A command that is to be done: `Ok` for 2xx only.
    async fn order(&mut self, command: impl Display, progress: &Progress) -> Result<Reply, Trouble> {
        let reply = self.command(command, progress).await?;
        completed(progress, reply)
    }

    async fn expect(&mut self, progress: &Progress) -> Result<Reply, Trouble> {
        let reply = self.read(progress).await?;
        completed(progress, reply)
    }

    async fn command(&mut self, command: impl Display, progress: &Progress) -> Result<Reply, Trouble> {
        self.write(command.to_string().as_bytes(), progress).await?;
        self.read(progress).await
    }

    async fn read(&mut self, progress: &Progress) -> Result<Reply, Trouble> {
        Reply::read(&mut self.stream).await.map_err(|failure| progress.trouble(failure))
    }

    async fn write(&mut self, bytes: &[u8], progress: &Progress) -> Result<(), Trouble> {
        let stream = self.stream.get_mut();
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.await.map_err(|error| progress.trouble(Failure::of_network(error)))
    }
}

async fn encrypt<S>(tls: &Tls, stream: S, progress: &Progress) -> Result<Box<dyn Socket>, Trouble>
where
    S: Socket + 'static,
{
    match tls.connect(stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(progress.trouble(Failure::of_handshake(error))),
    }
}

fn is_ascii(address: &lettre::Address) -> bool {
    AsRef::<str>::as_ref(address).is_ascii()
}

/// A dot at the beginning of a line is doubled (RFC 5321 section 4.5.2). No header starts with a dot, so only those
/// after a line break matter.
fn dots_doubled(source: &[u8]) -> Vec<u8> {
    let mut doubled = Vec::with_capacity(source.len() + source.len() / 64);
    for line in source.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            doubled.push(b'.');
        }
        doubled.extend_from_slice(line);
    }
    doubled
}

/// 2xx is "done", 4xx and 5xx are refusals. A reply that says "go on" (3xx) where only "done" makes sense is none.
fn completed(progress: &Progress, reply: Reply) -> Result<Reply, Trouble> {
    match reply.code {
        200..=299 => Ok(reply),
        300..=399 => Err(progress.trouble(Failure::Garbage)),
        code => Err(progress.trouble(Failure::Reply { code, text: Pii::new(reply.text()) })),
    }
}
