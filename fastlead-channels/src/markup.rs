//! From the HTML that texts carry to the HTML that a messenger reads.
//!
//! A messenger refuses a whole message for one tag that it does not know, or that is not closed in order, so nothing but
//! its own tags, balanced, may leave here.

/// The HTML of one messenger.
pub(crate) struct Dialect {
    /// Tags that it knows and that need no attributes. `a` is treated apart.
    pub(crate) tags: &'static [&'static str],
    /// What the address of a link may begin with.
    pub(crate) schemes: &'static [&'static str],
    /// Whether it reads `&quot;` in a text. In an attribute it always has to.
    pub(crate) escapes_quotes_in_text: bool,
}

/// Tags that are nested deeper are dropped.
const DEEPEST_NESTING: usize = 32;

/// Rewrites `html`:
///
/// * tags of the dialect stay, without attributes; `a` keeps an `href` with one of its schemes;
/// * `br` becomes a line break and `p` a blank line between paragraphs; white space around both is
///   dropped, so that the line breaks of a template file beside them do not add up;
/// * any other tag is dropped and its content stays; what is no tag at all is shown as it is written;
/// * whatever is left open is closed, and an end without a beginning is dropped.
pub(crate) fn rewrite(html: &str, dialect: &Dialect) -> String {
    let mut writer = Writer::new(dialect);
    let mut rest = html;
    // Known beforehand, so that a comment without an end is not searched for again and again.
    let comments_end = html.rfind("-->").unwrap_or(0);
    while let Some(at) = rest.find('<') {
        let (text, from_tag) = rest.split_at(at);
        writer.text(text);
        let may_be_comment = html.len() - from_tag.len() < comments_end;
        let comment = from_tag.strip_prefix("<!--").filter(|_| may_be_comment);
        if let Some((_, after)) = comment.and_then(|comment| comment.split_once("-->")) {
            rest = after;
        } else if let Some((tag, after)) = Tag::read(from_tag) {
            writer.tag(&tag);
            rest = after;
        } else {
            writer.text("<");
            rest = &from_tag[1..];
        }
    }
    writer.text(rest);
    writer.finish()
}

struct Tag<'a> {
    name: String,
    closes: bool,
    attributes: &'a str,
}

impl<'a> Tag<'a> {
    /// The tag at the start of `text`, and what follows it. `None` where this is no tag, as in `1 < 2`.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let inside = text.strip_prefix('<')?;
        let (closes, inside) = match inside.strip_prefix('/') {
            Some(inside) => (true, inside),
            None => (false, inside),
        };
        if !inside.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = inside.find(['<', '>']).filter(|end| inside[*end..].starts_with('>'))?;
        let (content, after) = (&inside[..end], &inside[end + 1..]);
        let name_end =
            content.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(content.len());
        let (name, attributes) = content.split_at(name_end);
        if !attributes.is_empty() && !attributes.starts_with(['/', ' ', '\t', '\r', '\n']) {
            return None;
        }
        Some((Self { name: name.to_ascii_lowercase(), closes, attributes }, after))
    }

    /// The address of a link, where the messenger opens such addresses.
    fn href(&self, schemes: &[&str]) -> Option<String> {
        let mut rest = self.attributes;
        while let Some((name, after)) = rest.split_once('=') {
            let after = after.trim_start();
            let (value, after) = match after.chars().next()? {
                quote @ ('"' | '\'') => after[1..].split_once(quote)?,
                _ => after.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((after, "")),
            };
            if name.trim().eq_ignore_ascii_case("href") {
                let address: String = characters(value).collect();
                let opens = schemes.iter().any(|scheme| address.starts_with(scheme));
                return opens.then_some(address);
            }
            rest = after;
        }
        None
    }
}

struct Writer<'a> {
    dialect: &'a Dialect,
    out: String,
    open: Vec<Open>,
    /// Line breaks that are written once more text comes.
    breaks: usize,
    has_text: bool,
    /// How many `pre` are open: white space counts inside.
    pre: usize,
}

struct Open {
    name: String,
    written: bool,
}

impl<'a> Writer<'a> {
    const fn new(dialect: &'a Dialect) -> Self {
        Self { dialect, out: String::new(), open: Vec::new(), breaks: 0, has_text: false, pre: 0 }
    }

    fn text(&mut self, text: &str) {
        let starts_line = self.breaks > 0 || !self.has_text;
        let text = if starts_line && !self.in_pre() { text.trim_ascii_start() } else { text };
        if text.is_empty() {
            return;
        }
        self.write_breaks();
        self.has_text = true;
        for character in characters(text) {
            if character == '"' && !self.dialect.escapes_quotes_in_text {
                self.out.push(character);
            } else {
                escape(character, &mut self.out);
            }
        }
    }

    fn tag(&mut self, tag: &Tag<'_>) {
        match tag.name.as_str() {
            "br" => self.line_break(self.breaks + 1),
            "p" => self.line_break(self.breaks.max(2)),
            _ if tag.closes => self.close(&tag.name),
            "a" => match tag.href(self.dialect.schemes) {
                Some(address) => {
                    let mut opening = "<a href=\"".to_owned();
                    address.chars().for_each(|character| escape(character, &mut opening));
                    opening.push_str("\">");
                    self.open(&tag.name, Some(&opening));
                }
                None => self.open(&tag.name, None),
            },
            name if self.dialect.tags.contains(&name) => self.open(name, Some(&format!("<{name}>"))),
            _ => {}
        }
    }

    fn line_break(&mut self, breaks: usize) {
        if !self.in_pre() {
            // A tag ends in `>`, so only text is shortened.
            let end = self.out.trim_ascii_end().len();
            self.out.truncate(end);
        }
        if self.has_text {
            self.breaks = breaks;
        }
    }

    fn open(&mut self, name: &str, opening: Option<&str>) {
        if self.open.len() >= DEEPEST_NESTING {
            return;
        }
        self.pre += usize::from(name == "pre");
        self.write_breaks();
        self.out.push_str(opening.unwrap_or_default());
        self.open.push(Open { name: name.to_owned(), written: opening.is_some() });
    }

    fn close(&mut self, name: &str) {
        if let Some(at) = self.open.iter().rposition(|open| open.name == name) {
            self.close_down_to(at);
        }
    }

    fn close_down_to(&mut self, at: usize) {
        while self.open.len() > at {
            let Some(Open { name, written }) = self.open.pop() else { return };
            self.pre -= usize::from(name == "pre");
            if written {
                self.out.push_str("</");
                self.out.push_str(&name);
                self.out.push('>');
            }
        }
    }

    fn write_breaks(&mut self) {
        self.out.extend(std::iter::repeat_n('\n', self.breaks));
        self.breaks = 0;
    }

    const fn in_pre(&self) -> bool {
        self.pre > 0
    }

    fn finish(mut self) -> String {
        self.close_down_to(0);
        self.out
    }
}

fn escape(character: char, out: &mut String) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        other => out.push(other),
    }
}

/// The characters of `text` with references resolved; unknown ones stay as they are written.
fn characters(text: &str) -> impl Iterator<Item = char> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (character, length) = reference(rest).unwrap_or((first, first.len_utf8()));
        rest = &rest[length..];
        Some(character)
    })
}

/// Longer than every reference that is resolved, so that the search for `;` ends soon.
const LONGEST_REFERENCE: usize = 12;

fn reference(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    let end = body.bytes().take(LONGEST_REFERENCE).position(|byte| byte == b';')?;
    let name = &body[..end];
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            code.ok().and_then(char::from_u32).filter(|character| *character != '\0')?
        }
    };
    Some((character, end + 2))
}
