//! What Russian law says of messages over channels, as a dated table in data (`law/table.json`).
//!
//! The table is drawn from public reports and is no legal advice: a lawyer confirms it.

use std::sync::LazyLock;

use chrono::NaiveDate;
use serde::Deserialize;

use crate::message::{Locale, MessageClass};

/// A rule of the table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LawRule {
    /// The rule's name in FastLead's documents, such as `R27`.
    pub rule: String,
    /// The first day on which it holds.
    pub since: NaiveDate,
    /// The classes of messages that it bars.
    pub classes: Vec<MessageClass>,
    /// The kinds of channels over which it bars them.
    pub channels: Vec<String>,
    /// Whom it concerns; `None`: everybody.
    #[serde(default)]
    pub only_for: Option<Wording>,
    /// The law.
    pub law: String,
    /// The public reports that it was drawn from.
    pub source: String,
    /// What it says.
    pub text: Wording,
}

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    ru: String,
    en: String,
}

impl Wording {
    /// Returns the text in a language.
    pub fn text(&self, locale: Locale) -> &str {
        match locale {
            Locale::Ru => &self.ru,
            Locale::En => &self.en,
        }
    }
}

static TABLE: LazyLock<Vec<LawRule>> =
    LazyLock::new(|| serde_json::from_str(include_str!("table.json")).unwrap_or_default());

/// Returns the rules that hold on a day, oldest first.
pub fn rules_at(day: NaiveDate) -> impl Iterator<Item = &'static LawRule> {
    TABLE.iter().filter(move |rule| rule.since <= day)
}

/// Returns the rule that bars everybody's messages of a class over a kind of channel on a day.
pub fn bars(channel_kind: &str, class: MessageClass, day: NaiveDate) -> Option<&'static LawRule> {
    rules_at(day).find(|rule| {
        rule.only_for.is_none()
            && rule.classes.contains(&class)
            && rule.channels.iter().any(|kind| kind == channel_kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_table_is_read_and_in_order() {
        let table: Vec<LawRule> = serde_json::from_str(include_str!("table.json")).unwrap();
        assert!(!table.is_empty() && table.is_sorted_by_key(|rule| rule.since));
        for rule in &table {
            assert!(!rule.channels.is_empty() && !rule.classes.is_empty() && !rule.source.is_empty());
        }
    }

    #[test]
    fn a_rule_holds_from_its_day_on() {
        assert_eq!(bars("telegram", MessageClass::Advertising, day("2026-03-04")), None);
        let rule = bars("telegram", MessageClass::Advertising, day("2026-03-05")).unwrap();
        assert_eq!(rule.rule, "R27");
        assert_eq!(bars("telegram", MessageClass::Service, day("2027-01-01")), None);
        assert_eq!(bars("smtp", MessageClass::Advertising, day("2027-01-01")), None);
        assert_eq!(rules_at(day("2025-05-31")).count(), 0);
        assert_eq!(rules_at(day("2025-07-01")).count(), 1);
    }
}
