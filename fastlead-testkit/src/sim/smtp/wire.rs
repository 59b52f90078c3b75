//! Lines in, replies out.

use std::fmt::Debug;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::sim::SimTls;

/// The longest text line, without CR LF (RFC 5321 section 4.5.3.1.6 counts 1000 with them).
const MAX_TEXT_LINE: usize = 998;
/// The longest command line; generous, for long addresses and base64 logins.
const MAX_COMMAND_LINE: usize = 4_096;

/// One line of the dialogue.
#[derive(Debug)]
pub(super) enum Line {
    /// Without its CR LF.
    Text(Vec<u8>),
    /// Over the limit; its rest was read and thrown away.
    TooLong,
    /// It contains a bare CR.
    BareCr,
    /// It ends with a bare LF, which in SMTP is no end of a line.
    BareLf,
    /// The client is gone.
    End,
}

/// What came between `DATA` and the dot.
#[derive(Debug)]
pub(super) enum Message {
    /// The message, dots unstuffed, every line ended by CR LF.
    Whole(Vec<u8>),
    /// Over the size limit.
    TooBig,
    /// A line over 998 octets.
    LongLine,
    /// A bare CR or LF.
    Bare,
    /// The client went away in the middle: nothing counts.
    Cut,
}

/// A connection, encrypted or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> Socket for S {}

/// A connection, buffered.
#[derive(Debug)]
pub(super) struct Wire {
    stream: BufReader<Box<dyn Socket>>,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Socket>) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Goes on encrypted. What was sent ahead in the clear is refused: it could be anybody's (RFC 3207
    /// section 4.2).
    pub(super) async fn encrypt(self, tls: &SimTls) -> io::Result<Self> {
        if !self.stream.buffer().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "commands after STARTTLS in the clear"));
        }
        Ok(Self::new(Box::new(tls.accept(self.stream.into_inner()).await?)))
    }

    pub(super) async fn command(&mut self) -> io::Result<Line> {
        self.line(MAX_COMMAND_LINE).await
    }

    async fn line(&mut self, limit: usize) -> io::Result<Line> {
        let mut line = Vec::new();
        let most = limit as u64 + 2;
        let read = (&mut self.stream).take(most).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(Line::End);
        }
        if line.last() != Some(&b'\n') {
            if line.len() <= limit + 1 {
                return Ok(Line::End);
            }
            return self.skip_rest_of_line().await;
        }
        line.pop();
        if line.pop() != Some(b'\r') {
            return Ok(Line::BareLf);
        }
        if line.contains(&b'\r') {
            return Ok(Line::BareCr);
        }
        Ok(Line::Text(line))
    }

    async fn skip_rest_of_line(&mut self) -> io::Result<Line> {
        loop {
            let mut rest = Vec::new();
            let read = (&mut self.stream).take(8_192).read_until(b'\n', &mut rest).await?;
            if read == 0 {
                return Ok(Line::End);
            }
            if rest.last() == Some(&b'\n') {
                return Ok(Line::TooLong);
            }
        }
    }

    /// Reads to the dot. Faulty messages are read to their end as well, so that the dialogue goes on.
    pub(super) async fn message(&mut self, size_limit: usize) -> io::Result<Message> {
        let mut whole = Vec::new();
        let mut fault = None;
        // A dot after a bare LF does not end the message: to believe otherwise is how mail is smuggled.
        let mut at_line_start = true;
        loop {
            // One octet more: the doubled dot does not count.
            let line = self.line(MAX_TEXT_LINE + 1).await?;
            let may_end = std::mem::replace(&mut at_line_start, !matches!(line, Line::BareLf));
            match line {
                Line::End => return Ok(Message::Cut),
                Line::TooLong => fault = fault.or(Some(Message::LongLine)),
                Line::BareCr | Line::BareLf => fault = fault.or(Some(Message::Bare)),
                Line::Text(line) if line == b"." && may_end => {
                    return Ok(fault.unwrap_or(Message::Whole(whole)));
                }
                Line::Text(line) => {
                    let line = line.strip_prefix(b".").unwrap_or(&line);
                    if line.len() > MAX_TEXT_LINE {
                        fault = fault.or(Some(Message::LongLine));
                    }
                    if whole.len() + line.len() + 2 > size_limit {
                        fault = fault.or(Some(Message::TooBig));
                    }
                    if fault.is_none() {
                        whole.extend_from_slice(line);
                        whole.extend_from_slice(b"\r\n");
                    }
                }
            }
        }
    }

    /// One reply; each line of `text` becomes one line of it, the enhanced code repeated on each.
    pub(super) async fn reply(&mut self, code: u16, text: &str) -> io::Result<()> {
        let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
        let mut out = String::new();
        for (index, line) in lines.iter().enumerate() {
            let between = if index + 1 == lines.len() { ' ' } else { '-' };
            out.push_str(&format!("{code}{between}{line}\r\n"));
        }
        self.raw(&out).await
    }

    pub(super) async fn raw(&mut self, bytes: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_bytes()).await?;
        self.stream.get_mut().flush().await
    }

    /// Reads and throws away until the client goes away.
    pub(super) async fn drain(&mut self) -> io::Result<()> {
        let mut sink = [0_u8; 1_024];
        while self.stream.read(&mut sink).await? > 0 {}
        Ok(())
    }
}
