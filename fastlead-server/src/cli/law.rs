//! `fastlead law`: what the law says of messages over channels on a day.

use std::io::Write;

use chrono::NaiveDate;
use fastlead_core::law::rules_at;
use fastlead_core::message::{Locale, MessageClass};

/// The day and the language.
#[derive(Debug, clap::Args)]
pub(super) struct Law {
    /// The day, such as 2026-04-01; today where it is left out.
    #[arg(long)]
    at: Option<NaiveDate>,
    /// `ru` or `en`.
    #[arg(long, default_value = "en")]
    lang: String,
}

const fn named(class: MessageClass) -> &'static str {
    match class {
        MessageClass::Service => "service",
        MessageClass::Advertising => "advertising",
    }
}

/// Writes the rules that hold on the day.
pub(super) fn print(law: &Law, today: NaiveDate, out: &mut impl Write) -> std::io::Result<()> {
    let day = law.at.unwrap_or(today);
    let locale = Locale::from_tag(&law.lang).unwrap_or(Locale::En);
    let (head, everybody, none, advice) = match locale {
        Locale::Ru => {
            ("На", "всех", "Правил нет.", "Таблица по открытым источникам; это не юридическая консультация.")
        }
        Locale::En => ("On", "everybody", "No rules.", "Drawn from public reports; no legal advice."),
    };
    writeln!(out, "{head} {day}")?;
    let mut any = false;
    for rule in rules_at(day) {
        any = true;
        let classes: Vec<&str> = rule.classes.iter().map(|class| named(*class)).collect();
        let whom = rule.only_for.as_ref().map_or(everybody, |whom| whom.text(locale));
        writeln!(
            out,
            "\n{} · {} · {} → {}",
            rule.rule,
            rule.since,
            classes.join(", "),
            rule.channels.join(", ")
        )?;
        writeln!(out, "  {}", rule.text.text(locale))?;
        writeln!(out, "  {}: {whom}", if locale == Locale::Ru { "для" } else { "for" })?;
        writeln!(out, "  {} ({})", rule.law, rule.source)?;
    }
    if !any {
        writeln!(out, "{none}")?;
    }
    writeln!(out, "\n{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_a_day_are_printed() {
        let print = |at: &str, lang: &str| {
            let mut out = Vec::new();
            let law = Law { at: Some(at.parse().unwrap()), lang: lang.to_owned() };
            super::print(&law, NaiveDate::MIN, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(print("2025-01-01", "en").contains("No rules."));
        let now = print("2026-04-01", "en");
        assert!(now.contains("R27 · 2026-03-05 · advertising → telegram, whatsapp"), "{now}");
        assert!(print("2026-04-01", "ru").contains("ФАС называет Telegram"));
    }
}
