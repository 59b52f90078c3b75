//! One dialogue, from the greeting to the end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::SmtpSecurity;
use super::fault::{SmtpAction, SmtpPhase, action_at};
use super::mime;
use super::record::{Envelope, record};
use super::server::Shared;
use super::wire::{Line, Message, Wire};
use crate::sim::Fault;

const HOST: &str = "mail.example.test";
const MAX_RECIPIENTS: usize = 100;

/// What the dialogue does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    Close,
}

/// What scripted trouble has done to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// None: the command is carried out.
    None,
    /// It was answered in place of the command.
    Answered(Next),
    /// The message is to be accepted, and the connection closed without an answer.
    AcceptAndClose,
    /// The message is to be accepted, and nothing said any more.
    AcceptAndHang,
}

#[derive(Debug)]
pub(super) struct Session {
    wire: Wire,
    shared: Arc<Shared>,
    pending: Option<Fault>,
    greeted: bool,
    must_encrypt: bool,
    login: Option<String>,
    transaction: Option<Envelope>,
}

impl Session {
    pub(super) fn new(wire: Wire, shared: Arc<Shared>) -> Self {
        Self {
            must_encrypt: matches!(shared.tls, Some((SmtpSecurity::StartTls, _))),
            wire,
            shared,
            pending: None,
            greeted: false,
            login: None,
            transaction: None,
        }
    }

    pub(super) async fn run(mut self) -> io::Result<()> {
        if let Trouble::Answered(Next::Close) = self.trouble(SmtpPhase::Connect, "").await? {
            return Ok(());
        }
        self.say(220, &format!("{HOST} ESMTP FastLead simulator")).await?;
        loop {
            let next = match self.wire.command().await? {
                Line::End => return Ok(()),
                Line::TooLong => self.answer(500, "5.5.2 Line too long").await?,
                Line::BareCr | Line::BareLf => self.answer(500, "5.5.2 Lines end with <CR><LF>").await?,
                Line::Text(line) => match String::from_utf8(line) {
                    Ok(line) if line.eq_ignore_ascii_case("STARTTLS") && self.must_encrypt => {
                        self = self.start_tls().await?;
                        Next::Continue
                    }
                    Ok(line) => self.obey(&line).await?,
                    Err(_) => self.answer(500, "5.5.2 Not UTF-8").await?,
                },
            };
            if next == Next::Close {
                return Ok(());
            }
        }
    }

    /// Encrypts and forgets everything that was said before.
    async fn start_tls(mut self) -> io::Result<Self> {
        self.shared.lock().remember("STARTTLS".to_owned());
        self.say(220, "2.0.0 Ready to start TLS").await?;
        let wire = match &self.shared.tls {
            Some((_, tls)) => self.wire.encrypt(tls).await?,
            None => self.wire,
        };
        Ok(Self { must_encrypt: false, pending: self.pending, ..Self::new(wire, self.shared) })
    }

    async fn obey(&mut self, line: &str) -> io::Result<Next> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        let shown = if verb == "AUTH" { "AUTH".to_owned() } else { line.to_owned() };
        self.shared.lock().remember(shown);
        if self.must_encrypt && matches!(verb.as_str(), "AUTH" | "MAIL" | "RCPT" | "DATA") {
            return self.answer(530, "5.7.0 Must issue a STARTTLS command first").await;
        }
        match verb.as_str() {
            "EHLO" | "HELO" => self.hello(&verb, rest).await,
            "AUTH" => self.auth(rest).await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.rcpt(rest).await,
            "DATA" => self.data().await,
            "RSET" => match self.trouble(SmtpPhase::Rset, "").await? {
                Trouble::Answered(next) => Ok(next),
                Trouble::None | Trouble::AcceptAndClose | Trouble::AcceptAndHang => {
                    self.transaction = None;
                    self.answer(250, "2.0.0 Ok").await
                }
            },
            "NOOP" => match self.trouble(SmtpPhase::Noop, "").await? {
                Trouble::Answered(next) => Ok(next),
                Trouble::None | Trouble::AcceptAndClose | Trouble::AcceptAndHang => {
                    self.answer(250, "2.0.0 Ok").await
                }
            },
            "VRFY" => self.answer(252, "2.5.2 Cannot verify, but will take the message").await,
            "QUIT" => {
                self.wire.reply(221, "2.0.0 Bye").await?;
                Ok(Next::Close)
            }
            _ => self.answer(500, "5.5.2 Command not recognized").await,
        }
    }

    async fn answer(&mut self, code: u16, text: &str) -> io::Result<Next> {
        self.say(code, text).await?;
        Ok(Next::Continue)
    }

    /// A reply of several lines, as that to `EHLO`, says what it must.
    async fn say(&mut self, code: u16, text: &str) -> io::Result<()> {
        let is_terse = self.shared.lock().terse && !text.contains('\n');
        if is_terse { self.wire.raw(&format!("{code}\r\n")).await } else { self.wire.reply(code, text).await }
    }

    /// Does whatever was scripted for `phase`. `address` fills `{address}` in a scripted reply.
    async fn trouble(&mut self, phase: SmtpPhase, address: &str) -> io::Result<Trouble> {
        if self.pending.is_none() && matches!(phase, SmtpPhase::Connect | SmtpPhase::Mail) {
            self.pending = self.shared.faults.take();
        }
        let scripted = self.shared.lock().take_scripted(phase);
        let action = scripted.or_else(|| {
            let action = action_at(self.pending.as_ref()?, phase)?;
            self.pending = None;
            Some(action)
        });
        match action {
            None => Ok(Trouble::None),
            Some(SmtpAction::Reply { code, text }) => {
                self.wire.reply(code, &text.replace("{address}", address)).await?;
                Ok(Trouble::Answered(if code == 421 { Next::Close } else { Next::Continue }))
            }
            Some(SmtpAction::Raw { bytes }) => {
                self.wire.raw(&bytes).await?;
                Ok(Trouble::Answered(Next::Close))
            }
            Some(SmtpAction::HangAfterAccept) if phase == SmtpPhase::EndOfData => Ok(Trouble::AcceptAndHang),
            Some(SmtpAction::Hang | SmtpAction::HangAfterAccept) => {
                self.wire.drain().await?;
                Ok(Trouble::Answered(Next::Close))
            }
            Some(SmtpAction::CloseAfterAccept) if phase == SmtpPhase::EndOfData => {
                Ok(Trouble::AcceptAndClose)
            }
            Some(SmtpAction::Close | SmtpAction::CloseAfterAccept) => Ok(Trouble::Answered(Next::Close)),
            Some(SmtpAction::Delay { millis }) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(Trouble::None)
            }
        }
    }

    async fn hello(&mut self, verb: &str, name: &str) -> io::Result<Next> {
        if let Trouble::Answered(next) = self.trouble(SmtpPhase::Ehlo, "").await? {
            return Ok(next);
        }
        if name.trim().is_empty() {
            return self.answer(501, "5.5.4 Hello needs a name").await;
        }
        self.greeted = true;
        self.transaction = None;
        if verb == "HELO" {
            return self.answer(250, HOST).await;
        }
        let lines = {
            let state = self.shared.lock();
            let size = format!("SIZE {}", state.size_limit);
            // A login is asked for only once nobody can listen.
            let security = if self.must_encrypt { "STARTTLS" } else { "AUTH PLAIN LOGIN" };
            let offered = ["PIPELINING", &size, "8BITMIME", "SMTPUTF8", security, "ENHANCEDSTATUSCODES"];
            let kept = offered.into_iter().filter(|line| {
                let keyword = line.split(' ').next().unwrap_or_default();
                !state.withheld.contains(keyword)
            });
            std::iter::once(HOST).chain(kept).collect::<Vec<_>>().join("\n")
        };
        self.answer(250, &lines).await
    }

    async fn auth(&mut self, rest: &str) -> io::Result<Next> {
        if let Trouble::Answered(next) = self.trouble(SmtpPhase::Auth, "").await? {
            return Ok(next);
        }
        if !self.greeted || self.login.is_some() || self.transaction.is_some() {
            return self.answer(503, "5.5.1 Bad sequence of commands").await;
        }
        if self.shared.lock().withheld.contains("AUTH") {
            return self.answer(502, "5.5.1 Command not implemented").await;
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => self.auth_plain(initial).await?,
            "LOGIN" => self.auth_login(initial).await?,
            _ => return self.answer(504, "5.5.4 Unrecognized authentication type").await,
        };
        let Some((user, password)) = given else {
            return self.answer(501, "5.5.2 Cannot decode the response").await;
        };
        let right = match &self.shared.lock().account {
            Some((wanted_user, wanted)) => *wanted_user == user && *wanted == password,
            None => true,
        };
        if right {
            self.login = Some(user);
            self.answer(235, "2.7.0 Authentication successful").await
        } else {
            self.answer(535, &format!("5.7.8 Error: authentication failed for {user}")).await
        }
    }

    async fn auth_plain(&mut self, initial: &str) -> io::Result<Option<(String, String)>> {
        let text = if initial.is_empty() { self.challenge("").await? } else { decode(initial) };
        let fields: Vec<String> = text.unwrap_or_default().split('\0').map(str::to_owned).collect();
        Ok(<[String; 3]>::try_from(fields).ok().map(|[_, user, password]| (user, password)))
    }

    async fn auth_login(&mut self, initial: &str) -> io::Result<Option<(String, String)>> {
        let user = if initial.is_empty() { self.challenge("Username:").await? } else { decode(initial) };
        let Some(user) = user else { return Ok(None) };
        let password = self.challenge("Password:").await?;
        Ok(password.map(|password| (user, password)))
    }

    async fn challenge(&mut self, prompt: &str) -> io::Result<Option<String>> {
        self.wire.reply(334, &STANDARD.encode(prompt)).await?;
        Ok(match self.wire.command().await? {
            Line::Text(line) => String::from_utf8(line).ok().and_then(|line| decode(&line)),
            _ => None,
        })
    }

    async fn mail(&mut self, rest: &str) -> io::Result<Next> {
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.answer(501, "5.5.4 Syntax: MAIL FROM:<address>").await;
        };
        if let Trouble::Answered(next) = self.trouble(SmtpPhase::Mail, from).await? {
            return Ok(next);
        }
        if !self.greeted || self.transaction.is_some() {
            return self.answer(503, "5.5.1 Bad sequence of commands").await;
        }
        let (size_limit, withheld, needs_login) = {
            let state = self.shared.lock();
            (state.size_limit, state.withheld.clone(), state.account.is_some() && self.login.is_none())
        };
        if needs_login {
            return self.answer(530, "5.7.0 Authentication required").await;
        }
        let mut envelope = Envelope { from: from.to_owned(), ..Envelope::default() };
        for parameter in parameters.split_whitespace() {
            let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (keyword.to_ascii_uppercase().as_str(), value.to_ascii_uppercase().as_str()) {
                ("SIZE", size) if !withheld.contains("SIZE") => match size.parse::<usize>() {
                    Ok(size) if size > size_limit => {
                        return self.answer(552, "5.3.4 Message size exceeds fixed limit").await;
                    }
                    Ok(_) => {}
                    Err(_) => return self.answer(501, "5.5.4 Bad SIZE").await,
                },
                ("BODY", "8BITMIME") if !withheld.contains("8BITMIME") => envelope.eight_bit = true,
                ("BODY", "7BIT") if !withheld.contains("8BITMIME") => {}
                ("SMTPUTF8", "") if !withheld.contains("SMTPUTF8") => envelope.smtp_utf8 = true,
                _ => return self.answer(555, "5.5.4 Unsupported option").await,
            }
        }
        if !from.is_ascii() && !envelope.smtp_utf8 {
            return self.answer(553, "5.6.7 Non-ASCII address without SMTPUTF8").await;
        }
        if !from.is_empty() && !is_address(from) {
            return self.answer(501, "5.1.7 Bad sender address syntax").await;
        }
        self.transaction = Some(envelope);
        self.answer(250, "2.1.0 Ok").await
    }

    async fn rcpt(&mut self, rest: &str) -> io::Result<Next> {
        let Some((to, parameters)) = path(rest, "TO:") else {
            return self.answer(501, "5.5.4 Syntax: RCPT TO:<address>").await;
        };
        if let Trouble::Answered(next) = self.trouble(SmtpPhase::Rcpt, to).await? {
            return Ok(next);
        }
        let Some(envelope) = &self.transaction else {
            return self.answer(503, "5.5.1 Error: need MAIL command").await;
        };
        let refusal = if !parameters.trim().is_empty() {
            Some((555, "5.5.4 Unsupported option".to_owned()))
        } else if envelope.to.len() >= MAX_RECIPIENTS {
            Some((452, "4.5.3 Error: too many recipients".to_owned()))
        } else if !to.is_ascii() && !envelope.smtp_utf8 {
            Some((553, "5.6.7 Non-ASCII address without SMTPUTF8".to_owned()))
        } else if !is_address(to) {
            Some((501, "5.1.3 Bad recipient address syntax".to_owned()))
        } else {
            mailbox_refusal(&self.shared, &envelope.from, to)
        };
        match (refusal, &mut self.transaction) {
            (Some((code, text)), _) => self.answer(code, &text).await,
            (None, Some(envelope)) => {
                envelope.to.push(to.to_owned());
                self.answer(250, "2.1.5 Ok").await
            }
            (None, None) => self.answer(503, "5.5.1 Error: need MAIL command").await,
        }
    }

    async fn data(&mut self) -> io::Result<Next> {
        if let Trouble::Answered(next) = self.trouble(SmtpPhase::Data, "").await? {
            return Ok(next);
        }
        let Some(envelope) = self.transaction.take_if(|envelope| !envelope.to.is_empty()) else {
            return self.answer(503, "5.5.1 Error: need RCPT command").await;
        };
        self.say(354, "End data with <CR><LF>.<CR><LF>").await?;
        let size_limit = self.shared.lock().size_limit;
        let message = self.wire.message(size_limit).await?;
        if matches!(message, Message::Cut) {
            return Ok(Next::Close);
        }
        let trouble =
            self.trouble(SmtpPhase::EndOfData, envelope.to.first().map_or("", String::as_str)).await?;
        self.pending = None;
        if let Trouble::Answered(next) = trouble {
            return Ok(next);
        }
        let source = match message {
            Message::Whole(source) => source,
            Message::TooBig => return self.answer(552, "5.3.4 Message size exceeds fixed limit").await,
            Message::LongLine => return self.answer(554, "5.6.0 Line longer than 998 octets").await,
            Message::Bare | Message::Cut => return self.answer(554, "5.6.0 Bare <CR> or <LF>").await,
        };
        if !source.is_ascii() && !envelope.eight_bit {
            return self.answer(554, "5.6.1 Eight-bit data without BODY=8BITMIME").await;
        }
        let mail = mime::decode(&source);
        if mail.header("From").is_none() || mail.header("Date").is_none() {
            return self.answer(554, "5.6.0 From and Date are required").await;
        }
        let queue_id = self.shared.lock().next_queue_id();
        record(&self.shared.inbox, &envelope, &queue_id, &source, self.login.as_deref());
        match trouble {
            Trouble::AcceptAndClose => return Ok(Next::Close),
            Trouble::AcceptAndHang => {
                self.wire.drain().await?;
                return Ok(Next::Close);
            }
            Trouble::None | Trouble::Answered(_) => {}
        }
        self.answer(250, &format!("2.0.0 Ok: queued as {queue_id}")).await
    }
}

/// Why this mailbox cannot be written to now, if so.
fn mailbox_refusal(shared: &Shared, from: &str, to: &str) -> Option<(u16, String)> {
    let mut state = shared.lock();
    let key = to.to_lowercase();
    if state.unknown.contains(&key) {
        return Some((
            550,
            format!("5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table"),
        ));
    }
    if state.full.contains(&key) {
        return Some((452, format!("4.2.2 <{to}>: Mailbox full")));
    }
    if state.greylist && state.first_seen(from, to) {
        return Some((451, format!("4.7.1 <{to}>: Recipient address rejected: Greylisted, try again later")));
    }
    None
}

/// Splits `FROM:<a@example.com> SIZE=1` into the address and the parameters.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let head = rest.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    rest[keyword.len()..].trim_start().strip_prefix('<')?.split_once('>')
}

fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<');
    clean && parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

fn decode(base64: &str) -> Option<String> {
    STANDARD.decode(base64.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}
