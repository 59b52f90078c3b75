//! Errors that show the place.

use std::fmt;
use std::ops::Range;

/// How much of a line is shown on each side of the fault.
const AROUND: usize = 60;

/// Why a text is not a condition, and where.
///
/// `Display` gives the message with line and column, then the line, then carets under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionError {
    message: String,
    line: usize,
    column: usize,
    excerpt: String,
    indent: usize,
    width: usize,
}

impl ConditionError {
    /// A fault at a byte range of `text`.
    pub(super) fn new(text: &str, at: Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..at.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count();
        let line: Vec<char> = text[line_start..].lines().next().unwrap_or_default().chars().collect();
        let marked = text.get(at).unwrap_or_default().lines().next().unwrap_or_default().chars().count();
        let from = column.saturating_sub(AROUND);
        let to = (column + marked.min(AROUND) + AROUND).min(line.len());
        let shown = |character: &char| if character.is_control() { ' ' } else { *character };
        Self {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            excerpt: line.get(from..to).unwrap_or_default().iter().map(shown).collect(),
            indent: column - from,
            width: marked.clamp(1, AROUND),
        }
    }

    /// What is wrong and what was expected, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line, counted from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The character in the line, counted from 1.
    pub const fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (line {}, column {})", self.message, self.line, self.column)?;
        writeln!(f, "  | {}", self.excerpt)?;
        write!(f, "  | {:indent$}{:^<width$}", "", "", indent = self.indent, width = self.width)
    }
}

impl std::error::Error for ConditionError {}
