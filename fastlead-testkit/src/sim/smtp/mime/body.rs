//! Transfer encodings and multiparts.

use base64::Engine as _;

use super::header::LENIENT;

/// Undoes a content transfer encoding. What cannot be decoded stays as it is.
pub(super) fn decode_transfer(encoding: &str, body: &[u8]) -> Vec<u8> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "base64" => {
            let dense: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            LENIENT.decode(&dense).unwrap_or_else(|_| body.to_vec())
        }
        "quoted-printable" => decode_quoted_printable(body),
        _ => body.to_vec(),
    }
}

fn decode_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut lines = body.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_ascii_end();
        match line.strip_suffix(b"=") {
            Some(soft) => out.extend(decode_hex(soft)),
            None => {
                out.extend(decode_hex(line));
                if lines.peek().is_some() {
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
    }
    out
}

/// Replaces every `=XX` by its byte.
pub(super) fn decode_hex(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let value = match (*first == b'=').then(|| (tail.first().and_then(hex), tail.get(1).and_then(hex))) {
            Some((Some(high), Some(low))) => Some(high * 16 + low),
            _ => None,
        };
        match value {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The parts between the delimiter lines, preamble and epilogue left out.
pub(super) fn split_multipart<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut part_start = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii_end();
        let is_last = text.strip_prefix(delimiter.as_bytes()) == Some(b"--");
        if text == delimiter.as_bytes() || is_last {
            if let Some(start) = part_start {
                // The line break before a delimiter belongs to the delimiter.
                let part = body.get(start..at).unwrap_or_default();
                parts.push(part.strip_suffix(b"\r\n").unwrap_or(part));
            }
            if is_last {
                return parts;
            }
            part_start = Some(at + line.len());
        }
        at += line.len();
    }
    if let Some(rest) = part_start.and_then(|start| body.get(start..)) {
        parts.push(rest);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_as_the_rfc_shows_it() {
        let encoded = b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country. =3D  \r\n";
        let wanted = b"Now's the time for all folk to come to the aid of their country. =\r\n";
        assert_eq!(decode_transfer("Quoted-Printable", encoded), wanted);
        assert_eq!(decode_hex(b"=41=4=zz="), b"A=4=zz=");
    }

    #[test]
    fn a_multipart_without_its_last_delimiter_keeps_its_last_part() {
        let body = b"x\r\n--b\r\none\r\n--b\r\ntwo\r\n";
        assert_eq!(split_multipart(body, "b"), [&b"one"[..], b"two\r\n"]);
        assert_eq!(split_multipart(b"--bb\r\nnot ours\r\n", "b"), Vec::<&[u8]>::new());
    }
}
