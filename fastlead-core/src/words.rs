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
}

/// The answer to a pressed button.
pub const fn reply(locale: Locale, reply: Reply) -> &'static str {
    match (locale, reply) {
        (Locale::Ru, Reply::Taken) => "Заявка за вами.",
        (Locale::Ru, Reply::TakenBefore) => "Заявку уже взяли.",
        (Locale::Ru, Reply::TakenByYou) => "Заявка уже за вами.",
        (Locale::Ru, Reply::Declined) => "Вы отказались от заявки.",
        (Locale::Ru, Reply::Full) => "Ваш лимит заявок исчерпан, эта осталась свободной.",
        (Locale::En, Reply::Taken) => "The lead is yours.",
        (Locale::En, Reply::TakenBefore) => "The lead has been taken already.",
        (Locale::En, Reply::TakenByYou) => "The lead is yours already.",
        (Locale::En, Reply::Declined) => "You have declined the lead.",
        (Locale::En, Reply::Full) => "Your limit of leads is reached; this one stays free.",
    }
}

/// The last line under a message that has offered a lead, once the offer is over. `local` is the moment in the
/// reader's time zone.
pub fn offer_ended(locale: Locale, fate: Fate<'_>, local: chrono::NaiveDateTime) -> String {
    let time = local.format("%H:%M");
    match (locale, fate) {
        (Locale::Ru, Fate::Taken(name)) => format!("Взято в работу: {name}, {time}"),
        (Locale::Ru, Fate::Declined(name)) => format!("Отказ: {name}, {time}"),
        (Locale::Ru, Fate::Over) => format!("Предложение больше не действует, {time}"),
        (Locale::En, Fate::Taken(name)) => format!("Accepted by {name}, {time}"),
        (Locale::En, Fate::Declined(name)) => format!("Declined by {name}, {time}"),
        (Locale::En, Fate::Over) => format!("This offer is no longer open, {time}"),
    }
}

/// What has become of an offer, for those who see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'a> {
    /// This reader has taken the lead.
    Taken(&'a str),
    /// This reader does not want it.
    Declined(&'a str),
    /// Nobody can take it any more: somebody else has it, or it is closed.
    Over,
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
                _ => "its configuration is wrong",
            };
            notice(
                "FastLead: a channel is paused",
                format!("The channel \"{name}\" is paused: {why}. Messages wait until their lifetime ends."),
            )
        }
    }
}

fn notice(subject: &str, text: String) -> Text {
    Text { subject: Some(Pii::from(subject)), ..Text::plain(text) }
}
