//! Replies of a server (RFC 5321 section 4.2), read as they really come.
//!
//! lettre refuses a reply of a bare code (`250`), which is legal, and one whose text is not UTF-8, as old servers give
//! it; either would make the outcome of a mail that was taken unknown.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::error::Failure;

/// RFC 5321 section 4.5.3.1.5 allows 512 octets for a line; servers that explain themselves say more.
const LONGEST_LINE: u64 = 8 * 1024;
const MOST_LINES: usize = 200;

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// From 200 to 599.
    pub(super) code: u16,
    /// The text of each line, without its code; at least one, which may be empty.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// Reads one reply to its end.
    ///
    /// # Errors
    /// [`Failure::Closed`] where the connection ends within it, [`Failure::Garbage`] where it is no reply.
    pub(super) async fn read<S: AsyncBufRead + Unpin>(stream: &mut S) -> Result<Self, Failure> {
        let mut code = None;
        let mut lines = Vec::new();
        while lines.len() < MOST_LINES {
            let mut line = Vec::new();
            let limited = &mut *stream;
            limited.take(LONGEST_LINE).read_until(b'\n', &mut line).await.map_err(Failure::of_network)?;
            if line.pop() != Some(b'\n') {
                let is_too_long = line.len() + 1 >= usize::try_from(LONGEST_LINE).unwrap_or(usize::MAX);
                return Err(if is_too_long { Failure::Garbage } else { Failure::Closed });
            }
            let (read, goes_on, text) = split(&line).ok_or(Failure::Garbage)?;
            if *code.get_or_insert(read) != read {
                return Err(Failure::Garbage);
            }
            lines.push(text);
            if !goes_on {
                return Ok(Self { code: read, lines });
            }
        }
        Err(Failure::Garbage)
    }

    /// All lines, joined by spaces.
    pub(super) fn text(&self) -> String {
        self.lines.join(" ")
    }
}

/// Code, whether more lines follow, and text of one line without its line feed.
fn split(line: &[u8]) -> Option<(u16, bool, String)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (digits, rest) = line.split_at_checked(3)?;
    let code: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let goes_on = match rest.first() {
        None | Some(b' ' | b'\t') => false,
        Some(b'-') => true,
        Some(_) => return None,
    };
    let text = String::from_utf8_lossy(rest.get(1..).unwrap_or_default()).into_owned();
    (200..600).contains(&code).then_some((code, goes_on, text))
}

/// What a server says it can do, in answer to `EHLO` (RFC 5321 section 4.1.1.1). Keywords may be written in any case.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) start_tls: bool,
    pub(super) smtp_utf8: bool,
    pub(super) eight_bit: bool,
    /// In capitals.
    pub(super) mechanisms: Vec<String>,
}

impl Extensions {
    /// Reads the reply to `EHLO`. The first line is the server's greeting.
    pub(super) fn read(reply: &Reply) -> Self {
        let mut extensions = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            // `AUTH=LOGIN` is an old form, which some servers still use beside the right one.
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => extensions.start_tls = true,
                Some("SMTPUTF8") => extensions.smtp_utf8 = true,
                Some("8BITMIME") => extensions.eight_bit = true,
                Some("AUTH") => extensions.mechanisms.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        extensions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<Reply, String> {
        let mut stream = bytes;
        Reply::read(&mut stream).await.map_err(|failure| format!("{failure:?}"))
    }

    /// RFC 5321 section 4.2: the text is optional, also on the last line; `Reply-line = *( Reply-code "-" [ textstring ]
    /// CRLF ) Reply-code [ SP textstring ] CRLF`.
    #[tokio::test]
    async fn what_is_a_reply() {
        for (bytes, code, text) in [
            (&b"250 2.0.0 Ok: queued\r\n"[..], 250, "2.0.0 Ok: queued"),
            (b"250\r\n", 250, ""),
            (b"250 \r\n", 250, ""),
            (b"354\r\n", 354, ""),
            (b"250-\r\n250\r\n", 250, " "),
            (b"250-a\r\n250-b\r\n250 c\r\n", 250, "a b c"),
            (b"250 Ok\n", 250, "Ok"),
            // windows-1251, as an old Exim says it.
            (
                b"550 \xcd\xe5\xf2 \xf2\xe0\xea\xee\xe3\xee\r\n",
                550,
                "\u{fffd}\u{fffd}\u{fffd} \u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            ),
            (b"250 Ok\r\n550 the next\r\n", 250, "Ok"),
        ] {
            let reply = read(bytes).await.unwrap();
            assert_eq!(
                (reply.code, reply.text().as_str()),
                (code, text),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[tokio::test]
    async fn what_is_none() {
        let long = [b"250 ".to_vec(), vec![b'x'; 9_000], b"\r\n".to_vec()].concat();
        let endless = b"250-more\r\n".repeat(1_000);
        for (bytes, failure) in [
            (&b""[..], "Closed"),
            (b"25", "Closed"),
            (b"250 Ok", "Closed"),
            (b"250-a\r\n", "Closed"),
            (b"250-a\r\n251 b\r\n", "Garbage"),
            (b"hello\r\n", "Garbage"),
            (b"\r\n", "Garbage"),
            (b"2500\r\n", "Garbage"),
            (b"+50 Ok\r\n", "Garbage"),
            (b"199 Ok\r\n", "Garbage"),
            (b"600 Ok\r\n", "Garbage"),
            (&long, "Garbage"),
            (&endless, "Garbage"),
        ] {
            assert_eq!(read(bytes).await.unwrap_err(), failure, "{:.30}", String::from_utf8_lossy(bytes));
        }
    }

    #[tokio::test]
    async fn extensions_in_any_case_and_form() {
        let reply =
            read(b"250-mail.example.com\r\n250-starttls\r\n250-AUTH=LOGIN\r\n250 Auth plain xoauth2\r\n");
        let extensions = Extensions::read(&reply.await.unwrap());
        assert!(extensions.start_tls && !extensions.smtp_utf8 && !extensions.eight_bit);
        assert_eq!(extensions.mechanisms, ["LOGIN", "PLAIN", "XOAUTH2"]);
        let bare = Extensions::read(&read(b"250\r\n").await.unwrap());
        assert!(!bare.start_tls && bare.mechanisms.is_empty());
        // A server may be called so.
        assert!(!Extensions::read(&read(b"250 STARTTLS\r\n").await.unwrap()).start_tls);
    }
}
