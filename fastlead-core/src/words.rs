//! The few sentences that FastLead says by itself, in Russian and English.

use crate::delivery::DeliveryState;
use crate::error::ErrorKind;
use crate::id::LeadId;
use crate::message::{Locale, Text};
use crate::secret::Pii;

/// What somebody who pressed a button is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The lead is theirs.
    Taken,
    /// Somebody else has it, or it is closed.
    TakenBefore,
    /// They have it already and cannot decline it by a button.
    TakenByYou,
    /// They do not want it.
    Declined,
    /// They have as many leads as they can have.
    Full,
    /// The button belongs to nothing that is known here (any more).
    NothingToAnswer,
}

/// The answer to a pressed button.
pub const fn reply(locale: Locale, reply: Reply) -> &'static str {
    match (locale, reply) {
        (Locale::Ru, Reply::Taken) => "Заявка за вами.",
        (Locale::Ru, Reply::TakenBefore) => "Заявку уже взяли.",
        (Locale::Ru, Reply::TakenByYou) => "Заявка уже за вами.",
        (Locale::Ru, Reply::Declined) => "Вы отказались от заявки.",
        (Locale::Ru, Reply::Full) => "Ваш лимит заявок исчерпан, эта осталась свободной.",
        (Locale::Ru, Reply::NothingToAnswer) => "Эта кнопка больше не действует.",
        (Locale::En, Reply::NothingToAnswer) => "This button does not work any more.",
        (Locale::En, Reply::Taken) => "The lead is yours.",
        (Locale::En, Reply::TakenBefore) => "The lead has been taken already.",
        (Locale::En, Reply::TakenByYou) => "The lead is yours already.",
        (Locale::En, Reply::Declined) => "You have declined the lead.",
        (Locale::En, Reply::Full) => "Your limit of leads is reached; this one stays free.",
    }
}

/// What stands before the extension of a phone number.
pub const fn extension_label(locale: Locale) -> &'static str {
    match locale {
        Locale::Ru => "доб.",
        Locale::En => "ext.",
    }
}

/// The last line under a message that has offered a lead, once the offer is over. `local` is the moment in the
/// reader's time zone.
pub fn offer_ended(locale: Locale, fate: Fate<'_>, local: chrono::NaiveDateTime) -> String {
    let what = match (locale, fate) {
        (Locale::Ru, Fate::Taken(who)) => match who.in_words() {
            (name, true) => format!("Взял(а) в работу: {name}"),
            (name, false) => format!("Взято в работу: {name}"),
        },
        (Locale::Ru, Fate::Declined(who)) => format!("Отказ: {}", who.in_words().0),
        (Locale::Ru, Fate::Over) => "Предложение больше не действует".to_owned(),
        (Locale::Ru, Fate::Erased) => "Данные человека удалены".to_owned(),
        (Locale::En, Fate::Erased) => "The person's data were erased".to_owned(),
        (Locale::En, Fate::Taken(who)) => format!("Accepted by {}", who.in_words().0),
        (Locale::En, Fate::Declined(who)) => format!("Declined by {}", who.in_words().0),
        (Locale::En, Fate::Over) => "This offer is no longer open".to_owned(),
    };
    format!("{what}, {}", local.format("%H:%M"))
}

/// What has become of an offer, for those who see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'a> {
    /// This reader has taken the lead.
    Taken(Who<'a>),
    /// This reader does not want it.
    Declined(Who<'a>),
    /// Nobody can take it any more: somebody else has it, or it is closed.
    Over,
    /// The person's data were erased, and this reader must not see them any more.
    Erased,
}

/// Who has answered an offer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Who<'a> {
    /// The target's name, as people call it.
    pub target: &'a str,
    /// What the person who pressed the button is called in the messenger, where that is known.
    pub person: Option<&'a str>,
}

/// A person's name does not print.
impl std::fmt::Debug for Who<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Who").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Who<'_> {
    /// The person and the target, or the target alone where that says it all; and whether the person is named.
    fn in_words(self) -> (String, bool) {
        match self.person.map(one_line) {
            Some(person) if !person.is_empty() && person != self.target => {
                (format!("{person} ({})", self.target), true)
            }
            _ => (self.target.to_owned(), false),
        }
    }
}

/// Longest name of a person, in characters.
const MAX_NAME: usize = 64;

/// A name that somebody has given themselves, fit to stand in a line: without line breaks and marks that turn the
/// direction of what follows, and not too long.
fn one_line(name: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown: String = name.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect();
    let mut words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(MAX_NAME) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// The words on the button that takes a lead.
pub const fn accept_label(locale: Locale) -> &'static str {
    match locale {
        Locale::Ru => "Взять в работу",
        Locale::En => "Accept",
    }
}

/// The words on the button that leaves a lead to others.
pub const fn decline_label(locale: Locale) -> &'static str {
    match locale {
        Locale::Ru => "Отказаться",
        Locale::En => "Decline",
    }
}

/// The words on the button that opens the lead.
pub const fn open_label(locale: Locale) -> &'static str {
    match locale {
        Locale::Ru => "Открыть",
        Locale::En => "Open",
    }
}

/// Tells an owner that a message about a lead could not be delivered.
pub fn delivery_ended(locale: Locale, lead: LeadId, state: DeliveryState) -> Text {
    let (subject, text) = match locale {
        Locale::Ru => {
            let how = match state {
                DeliveryState::Expired => "не доставлено вовремя",
                DeliveryState::Ambiguous => "могло быть отправлено, а могло и нет: проверьте вручную",
                DeliveryState::Suppressed => "не отправлено: получатель запретил сообщения",
                _ => "не доставлено",
            };
            ("FastLead: сообщение не доставлено", format!("Сообщение по заявке {lead} {how}."))
        }
        Locale::En => {
            let how = match state {
                DeliveryState::Expired => "was not delivered in time",
                DeliveryState::Ambiguous => "may or may not have been sent: please check by hand",
                DeliveryState::Suppressed => "was not sent: the recipient has forbidden messages",
                _ => "was not delivered",
            };
            ("FastLead: a message was not delivered", format!("A message about the lead {lead} {how}."))
        }
    };
    notice(subject, text)
}

/// Tells an owner that nobody has accepted a lead.
pub fn unanswered(locale: Locale, lead: LeadId) -> Text {
    match locale {
        Locale::Ru => {
            notice("FastLead: заявку никто не взял", format!("Заявку {lead} никто не взял в работу."))
        }
        Locale::En => notice("FastLead: nobody took a lead", format!("Nobody has accepted the lead {lead}.")),
    }
}

/// Tells somebody that a lead waits to be looked at.
pub fn to_review(locale: Locale, lead: LeadId) -> Text {
    match locale {
        Locale::Ru => notice("FastLead: заявка на проверке", format!("Заявку {lead} нужно проверить.")),
        Locale::En => notice("FastLead: a lead to review", format!("The lead {lead} waits to be looked at.")),
    }
}

/// Tells an owner that a channel is paused.
pub fn channel_paused(locale: Locale, name: &str, cause: ErrorKind) -> Text {
    match locale {
        Locale::Ru => {
            let why = match cause {
                ErrorKind::Auth => "провайдер не принимает учётные данные",
                ErrorKind::Balance => "на счёте провайдера кончились деньги",
                ErrorKind::Unavailable => "уже несколько дней ни одна отправка не удаётся",
                _ => "настройка канала неверна",
            };
            notice(
                "FastLead: канал остановлен",
                format!("Канал «{name}» остановлен: {why}. Сообщения ждут, пока не истечёт их срок."),
            )
        }
        Locale::En => {
            let why = match cause {
                ErrorKind::Auth => "the provider refuses the credentials",
                ErrorKind::Balance => "the provider account is out of money",
                ErrorKind::Unavailable => "for days nothing that was sent has got through",
                _ => "its configuration is wrong",
            };
            notice(
                "FastLead: a channel is paused",
                format!("The channel \"{name}\" is paused: {why}. Messages wait until their lifetime ends."),
            )
        }
    }
}

/// Tells an owner that presses and messages of a channel do not come back.
pub fn polling_failed(locale: Locale, name: &str, cause: ErrorKind) -> Text {
    match locale {
        Locale::Ru => {
            let why = match cause {
                ErrorKind::Auth => "провайдер не принимает учётные данные",
                ErrorKind::Conflict => "тот же аккаунт опрашивает ещё одна программа",
                ErrorKind::Config => "настройка аккаунта мешает опросу, например установлен вебхук",
                _ => "провайдер не отвечает",
            };
            notice(
                "FastLead: ответы из канала не приходят",
                format!("Нажатия кнопок и сообщения из канала «{name}» не приходят: {why}. Проверьте канал."),
            )
        }
        Locale::En => {
            let why = match cause {
                ErrorKind::Auth => "the provider refuses the credentials",
                ErrorKind::Conflict => "another program polls the same account",
                ErrorKind::Config => {
                    "a setting of the account forbids polling, such as a webhook that is set"
                }
                _ => "the provider does not answer",
            };
            notice(
                "FastLead: answers do not come back from a channel",
                format!(
                    "Pressed buttons and messages of the channel \"{name}\" do not come back: {why}. Check the channel."
                ),
            )
        }
    }
}

fn notice(subject: &str, text: String) -> Text {
    Text { subject: Some(Pii::from(subject)), ..Text::plain(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_pressed_is_named_where_that_says_more_than_the_target() {
        let noon = chrono::NaiveDate::from_ymd_opt(2026, 11, 25).unwrap().and_hms_opt(12, 5, 0).unwrap();
        let line = |locale, person| offer_ended(locale, Fate::Taken(Who { target: "Sales", person }), noon);
        assert_eq!(line(Locale::Ru, Some("Ирина Т.")), "Взял(а) в работу: Ирина Т. (Sales), 12:05");
        assert_eq!(line(Locale::En, Some("Irina T.")), "Accepted by Irina T. (Sales), 12:05");
        for unknown in [None, Some(" \n"), Some("Sales "), Some("\u{202e}")] {
            assert_eq!(line(Locale::Ru, unknown), "Взято в работу: Sales, 12:05", "{unknown:?}");
            assert_eq!(line(Locale::En, unknown), "Accepted by Sales, 12:05", "{unknown:?}");
        }
        let declined = Fate::Declined(Who { target: "Sales", person: Some("Irina\n\u{202e}T.") });
        assert_eq!(offer_ended(Locale::Ru, declined, noon), "Отказ: Irina T. (Sales), 12:05");
        assert_eq!(offer_ended(Locale::En, declined, noon), "Declined by Irina T. (Sales), 12:05");
        let long = "я".repeat(500);
        assert_eq!(line(Locale::En, Some(&long)), format!("Accepted by {}… (Sales), 12:05", "я".repeat(64)));
        assert!(!format!("{declined:?}").contains("Irina"));
    }
}
