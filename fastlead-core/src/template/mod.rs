//! Texts with holes: strict about unknown variables, bounded in time and size, escaped for HTML.
//!
//! The language is that of [`minijinja`] (Jinja2) with these rules:
//!
//! * Values are data. A visitor called `{{ 7*7 }}` or `<b>` is printed as such; in HTML every value
//!   is escaped, and no filter or block turns that off.
//! * A variable that does not exist is an error, found by [`check`] before anything is sent. One
//!   that exists and has no value prints nothing, is false in an `if`, is not `defined`, and gives
//!   way to `default`. So does a missing entry of the open map `lead.fields`.
//! * Filters beside the engine's own: `phone` (`+7 900 000-00-00`), `datetime` (`23.11.2026 12:30`,
//!   `23 Nov 2026 12:30` in English; the offset of the value, or `datetime("+03:00")`) and
//!   `plural` (`{{ n }} {{ n|plural("лид", "лида", "лидов") }}`, `n|plural("lead", "leads")`).
//! * HTML may use only the tags that [`html`](crate::message::Text::html) allows.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::message::Locale;

mod check;
mod compiled;
mod context;
mod environment;
mod filter;
mod scan;
mod source;

pub use check::check;
pub use compiled::CompiledTemplates;

/// A text in each language that it has.
pub type Template = BTreeMap<Locale, TemplateSource>;

/// A text with holes, such as `Новая заявка: {{ lead.phone }}`. Written as a text alone, it is the plain one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TemplateSource {
    /// Subject line, for channels that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text without markup.
    pub plain: String,
    /// The same text as HTML, for channels that show it. Values are escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

impl TemplateSource {
    /// A text without subject and markup.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { plain: text.into(), ..Self::default() }
    }

    /// The texts that it has, each with the name of its field.
    fn parts(&self) -> impl Iterator<Item = (Part, &str)> {
        let parts = [
            (Part::Subject, self.subject.as_deref()),
            (Part::Plain, Some(self.plain.as_str())),
            (Part::Html, self.html.as_deref()),
        ];
        parts.into_iter().filter_map(|(part, text)| Some((part, text?)))
    }
}

/// One of the three texts of a [`TemplateSource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Subject,
    Plain,
    Html,
}

impl Part {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Plain => "plain",
            Self::Html => "html",
        }
    }

    /// Where a text is in the policy. The engine knows it by the same name, and `Part::is_html` and
    /// `locale_of` read it back.
    fn path(self, name: &str, locale: Locale) -> String {
        format!("templates.{name}.{}.{}", locale.as_str(), self.as_str())
    }

    /// Whether the text at `path` is HTML.
    fn is_html(path: &str) -> bool {
        path.rsplit('.').next() == Some(Self::Html.as_str())
    }
}

/// The language of the text at `path`.
fn locale_of(path: &str) -> Locale {
    path.rsplit('.').nth(1).and_then(Locale::from_tag).unwrap_or_default()
}

/// One fault of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFault {
    /// Where, such as `templates.new_lead.ru.plain`.
    pub path: String,
    /// The line in that text, counted from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong, with the line.
    pub message: String,
}

impl TemplateFault {
    fn new(path: impl Into<String>, line: Option<usize>, message: impl fmt::Display) -> Self {
        let message = match line {
            Some(line) => format!("line {line}: {message}"),
            None => message.to_string(),
        };
        Self { path: path.into(), line, message }
    }
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The tags that [`html`](crate::message::Text::html) allows.
const TAGS: [&str; 11] = ["b", "strong", "i", "em", "u", "s", "a", "code", "pre", "br", "p"];
