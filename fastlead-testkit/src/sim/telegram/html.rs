//! How Telegram reads `parse_mode=HTML`: which tags it knows, what becomes visible, and with which
//! words it refuses. Behaviour as in <https://core.telegram.org/bots/api#html-style> and TDLib's
//! `MessageEntity.cpp`.

use serde_json::{Value, json};

const TAGS: &[(&str, &str)] = &[
    ("a", "text_link"),
    ("b", "bold"),
    ("strong", "bold"),
    ("i", "italic"),
    ("em", "italic"),
    ("s", "strikethrough"),
    ("strike", "strikethrough"),
    ("del", "strikethrough"),
    ("u", "underline"),
    ("ins", "underline"),
    ("tg-spoiler", "spoiler"),
    ("span", "spoiler"),
    ("tg-emoji", "custom_emoji"),
    ("tg-time", "date_time"),
    ("pre", "pre"),
    ("code", "code"),
    ("blockquote", "blockquote"),
];

/// A text as a person sees it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Visible {
    pub(super) text: String,
    pub(super) entities: Vec<Entity>,
}

/// A stretch of the visible text, counted in UTF-16 code units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    kind: &'static str,
    offset: usize,
    length: usize,
    url: Option<String>,
}

impl Entity {
    pub(super) fn to_json(&self) -> Value {
        let mut value = json!({ "type": self.kind, "offset": self.offset, "length": self.length });
        if let (Some(url), Value::Object(fields)) = (&self.url, &mut value) {
            fields.insert("url".to_owned(), url.as_str().into());
        }
        value
    }
}

impl Visible {
    /// A text without markup.
    pub(super) fn literal(text: &str) -> Self {
        Self { text: text.to_owned(), entities: Vec::new() }.trimmed()
    }

    /// Telegram shows no white space around a text.
    fn trimmed(self) -> Self {
        let without_start = self.text.trim_start();
        let cut = utf16(&self.text) - utf16(without_start);
        let text = without_start.trim_end().to_owned();
        let end = utf16(&text);
        let entities = self
            .entities
            .into_iter()
            .filter_map(|entity| {
                let from = entity.offset.saturating_sub(cut);
                let to = (entity.offset + entity.length).saturating_sub(cut).min(end);
                (from < to).then(|| Entity { offset: from, length: to - from, ..entity })
            })
            .collect();
        Self { text, entities }
    }
}

fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

struct Open {
    tag: String,
    kind: &'static str,
    offset: usize,
    text_start: usize,
    url: Option<String>,
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn take_while(&mut self, mut wanted: impl FnMut(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    /// One character of text, with character references resolved. Unknown references stay as they
    /// are written.
    fn character(&mut self) -> Option<char> {
        if let Some((character, length)) = reference(self.rest()) {
            self.at += length;
            return Some(character);
        }
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }
}

fn reference(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    let (character, digits_end) = if let Some(number) = body.strip_prefix('#') {
        let (radix, number, prefix) = match number.strip_prefix('x') {
            Some(hex) => (16, hex, 2),
            None => (10, number, 1),
        };
        let end = number.find(|c: char| !c.is_digit(radix)).unwrap_or(number.len());
        let code = u32::from_str_radix(&number[..end], radix).ok().filter(|code| *code != 0)?;
        (char::from_u32(code)?, prefix + end)
    } else {
        let end = body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len());
        let character = match &body[..end] {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            _ => return None,
        };
        (character, end)
    };
    let semicolon = usize::from(body[digits_end..].starts_with(';'));
    Some((character, 1 + digits_end + semicolon))
}

/// Reads markup.
///
/// # Errors
/// What Telegram appends to `can't parse entities: `.
pub(super) fn parse(markup: &str) -> Result<Visible, String> {
    let mut reader = Reader { source: markup, at: 0 };
    let mut visible = Visible::default();
    let mut open: Vec<Open> = Vec::new();
    while let Some(next) = reader.peek() {
        if next != '<' {
            visible.text.extend(reader.character());
            continue;
        }
        let begin = reader.at;
        reader.take('<');
        if reader.take('/') {
            close(&mut reader, &mut visible, &mut open, begin)?;
        } else {
            let tag = start(&mut reader, begin)?;
            open.push(Open { offset: utf16(&visible.text), text_start: visible.text.len(), ..tag });
        }
    }
    match open.last() {
        Some(tag) => Err(format!("Can't find end tag corresponding to start tag \"{}\"", tag.tag)),
        None => Ok(visible.trimmed()),
    }
}

fn start(reader: &mut Reader<'_>, begin: usize) -> Result<Open, String> {
    let tag = reader.take_while(|c| !c.is_whitespace() && c != '>').to_lowercase();
    if reader.peek().is_none() {
        return Err(format!("Unclosed start tag at byte offset {begin}"));
    }
    let Some((_, kind)) = TAGS.iter().find(|(name, _)| *name == tag) else {
        return Err(format!("Unsupported start tag \"{tag}\" at byte offset {begin}"));
    };
    let unclosed = || format!("Unclosed start tag \"{tag}\" at byte offset {begin}");
    let mut url = None;
    let mut class = None;
    loop {
        reader.skip_spaces();
        if reader.take('>') {
            break;
        }
        let name = reader.take_while(|c| !c.is_whitespace() && !['=', '>', '/', '"', '\''].contains(&c));
        if name.is_empty() {
            return Err(match reader.peek() {
                None => unclosed(),
                Some(_) => format!("Empty attribute name in the tag \"{tag}\" at byte offset {begin}"),
            });
        }
        reader.skip_spaces();
        if !reader.take('=') {
            if reader.peek().is_none() {
                return Err(unclosed());
            }
            continue;
        }
        reader.skip_spaces();
        let value = attribute_value(reader, begin, &unclosed)?;
        match (tag.as_str(), name) {
            ("a", "href") => url = Some(value),
            ("span", "class") => class = Some(value),
            _ => {}
        }
    }
    if tag == "span" && class.as_deref() != Some("tg-spoiler") {
        return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"));
    }
    Ok(Open { tag, kind, offset: 0, text_start: 0, url })
}

fn attribute_value(
    reader: &mut Reader<'_>,
    begin: usize,
    unclosed: &dyn Fn() -> String,
) -> Result<String, String> {
    let value = match reader.peek() {
        None => return Err(unclosed()),
        Some(quote @ ('"' | '\'')) => {
            reader.take(quote);
            let mut value = String::new();
            while reader.peek().is_some_and(|next| next != quote) {
                value.extend(reader.character());
            }
            reader.take(quote);
            value
        }
        Some(_) => {
            let token_begin = reader.at;
            let token = reader.take_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
            if reader.peek().is_some_and(|next| !next.is_whitespace() && next != '>') {
                return Err(format!("Unexpected end of name token at byte offset {token_begin}"));
            }
            token.to_lowercase()
        }
    };
    match reader.peek() {
        None => Err(format!("Unclosed start tag at byte offset {begin}")),
        Some(_) => Ok(value),
    }
}

fn close(
    reader: &mut Reader<'_>,
    visible: &mut Visible,
    open: &mut Vec<Open>,
    begin: usize,
) -> Result<(), String> {
    let Some(tag) = open.pop() else {
        return Err(format!("Unexpected end tag at byte offset {begin}"));
    };
    let name = reader.take_while(|c| !c.is_whitespace() && c != '>').to_lowercase();
    reader.skip_spaces();
    if !reader.take('>') {
        return Err(format!("Unclosed end tag at byte offset {begin}"));
    }
    if !name.is_empty() && name != tag.tag {
        return Err(format!(
            "Unmatched end tag at byte offset {begin}, expected \"</{}>\", found \"</{name}>\"",
            tag.tag
        ));
    }
    let length = utf16(&visible.text) - tag.offset;
    if length == 0 {
        return Ok(());
    }
    let url = match (tag.kind, tag.url) {
        ("text_link", Some(url)) if !url.is_empty() => Some(url),
        ("text_link", _) => Some(visible.text[tag.text_start..].to_owned()),
        _ => None,
    };
    // Telegram shows a link that it does not like as plain text.
    if url.as_deref().is_none_or(is_link) {
        visible.entities.push(Entity { kind: tag.kind, offset: tag.offset, length, url });
    }
    Ok(())
}

/// Whether Telegram takes the text for the address of a link or of a URL button: `http`, `https`,
/// `tg` or `ton`, with a host that has a dot (`localhost` is refused).
pub(super) fn is_link(url: &str) -> bool {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    match scheme {
        "tg" | "ton" => !host.is_empty(),
        "http" | "https" => {
            host.contains('.') && !host.starts_with('.') && !host.contains(char::is_whitespace)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text_and_entities_in_utf16() {
        let visible =
            parse(" 😀<b>Анна &amp; Co</b> <a href=\"https://example.com/?a=1&amp;b=2\">ссылка</a> ")
                .unwrap();
        assert_eq!(visible.text, "😀Анна & Co ссылка");
        assert_eq!(
            visible.entities.iter().map(Entity::to_json).collect::<Vec<_>>(),
            [
                json!({"type": "bold", "offset": 2, "length": 9}),
                json!({"type": "text_link", "offset": 12, "length": 6, "url": "https://example.com/?a=1&b=2"}),
            ]
        );
    }

    #[test]
    fn references_are_resolved_or_left_alone() {
        for (markup, text) in [
            ("&lt;b&gt;", "<b>"),
            ("&#1055;&#x440;", "Пр"),
            ("&#x27;&quot;", "'\""),
            ("&nbsp;|&amp|& &", "&nbsp;|&|& &"),
            ("&#0;|&#;|&#x110000;", "&#0;|&#;|&#x110000;"),
        ] {
            assert_eq!(parse(markup).unwrap().text, text, "{markup}");
        }
    }

    #[test]
    fn what_telegram_refuses_is_refused_in_its_words() {
        for (markup, words) in [
            ("a<p>b</p>", "Unsupported start tag \"p\" at byte offset 1"),
            ("да<br>", "Unsupported start tag \"br\" at byte offset 4"),
            ("<b>a", "Can't find end tag corresponding to start tag \"b\""),
            ("<b><i>a</b></i>", "Unmatched end tag at byte offset 7, expected \"</i>\", found \"</b>\""),
            ("a</b>", "Unexpected end tag at byte offset 1"),
            ("1 < 2", "Unsupported start tag \"\" at byte offset 2"),
            ("1 <2", "Unclosed start tag at byte offset 2"),
            ("<a href=\"x", "Unclosed start tag at byte offset 0"),
            ("<a href=x/y>a</a>", "Unexpected end of name token at byte offset 8"),
            ("<a \"x\">a</a>", "Empty attribute name in the tag \"a\" at byte offset 0"),
            ("<span>a</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
            ("<b>a</b", "Unclosed end tag at byte offset 4"),
        ] {
            assert_eq!(parse(markup).unwrap_err(), words, "{markup}");
        }
    }

    #[test]
    fn a_link_needs_a_scheme_that_telegram_opens_and_a_real_host() {
        for good in ["https://example.com", "http://example.com:8080/a?b#c", "example.com", "tg://user?id=1"]
        {
            assert!(is_link(good), "{good}");
        }
        for bad in ["javascript://alert(1)", "http://localhost/", "https://", "mailto://a"] {
            assert!(!is_link(bad), "{bad}");
        }
    }
}
