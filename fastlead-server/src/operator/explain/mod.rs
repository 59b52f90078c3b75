//! Decisions in plain words, in Russian and English.

mod claim;
mod effect;
mod why;

use fastlead_core::decide::{Event, Reason, TimerName, Trace, TraceStep, Via};
use fastlead_core::message::{Locale, Response};

pub(super) use effect::effects;

use claim::{Part, claim_en, claim_ru};
use why::{which_cap, why};

/// What happened, and each thing that was looked at, one sentence each. They name rules, targets, channels and
/// codes, and no personal data.
pub(super) fn sentences(event: &Event, trace: &Trace, locale: Locale) -> Vec<String> {
    let mut sentences = vec![happened(event, locale)];
    sentences.extend(trace.steps.iter().map(|step| sentence(step, locale)));
    sentences
}

fn happened(event: &Event, locale: Locale) -> String {
    let say = |ru: String, en: String| match locale {
        Locale::Ru => ru,
        Locale::En => en,
    };
    match event {
        Event::Captured(_) => say("Пришла заявка.".to_owned(), "The lead came in.".to_owned()),
        Event::DeliveryEnded { delivery_id, state, reason, .. } => {
            let reason = reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            say(
                format!("Сообщение {delivery_id} завершилось состоянием `{}`{reason}.", state.as_str()),
                format!("Message {delivery_id} ended as `{}`{reason}.", state.as_str()),
            )
        }
        Event::Revived { delivery_id, .. } => say(
            format!("Сообщение {delivery_id} просят отправить ещё раз."),
            format!("Message {delivery_id} is asked to be sent again."),
        ),
        Event::TimerFired { timer: TimerName::Escalate(rung) } => say(
            format!("Наступил срок ступени {}: лид ещё никто не принял.", rung + 1),
            format!("The moment of step {} came: nobody had accepted the lead yet.", rung + 1),
        ),
        Event::TimerFired { timer: TimerName::Offer(_) | TimerName::Group } => {
            say("Истекло время на ответ.".to_owned(), "The time for an answer ran out.".to_owned())
        }
        Event::TimerFired { timer: TimerName::Queue } | Event::SlotFree => say(
            "Возможно, ждущий лид теперь есть кому передать.".to_owned(),
            "Somebody may have room for the waiting lead now.".to_owned(),
        ),
        Event::PolicyChanged => say(
            "Опубликована другая версия политики: ждущий лид идёт дальше по ней.".to_owned(),
            "Another version of the policy was published: the waiting lead goes on by it.".to_owned(),
        ),
        Event::TimerFired { timer: TimerName::Review } => {
            say("Истекло время на проверку.".to_owned(), "The time for review ran out.".to_owned())
        }
        Event::TimerFired { timer: TimerName::AuctionEnds } => {
            say("Приём цен окончен.".to_owned(), "The time for bids is over.".to_owned())
        }
        Event::Answered { target, bid: Some(bid) } => say(
            format!("`{target}` предлагает {} {} (в минимальных единицах).", bid.minor, bid.currency),
            format!("`{target}` bids {} {} (minor units).", bid.minor, bid.currency),
        ),
        Event::Answered { target, bid: None } => {
            say(format!("`{target}` цены не предлагает."), format!("`{target}` makes no bid."))
        }
        Event::TimerFired { timer: TimerName::Confirm } => {
            say("Истекло время на подтверждение.".to_owned(), "The time to confirm ran out.".to_owned())
        }
        Event::Confirmed { .. } => {
            say("Посетитель подтверждает заявку.".to_owned(), "The visitor confirms.".to_owned())
        }
        Event::Reviewed { approved: true } => {
            say("Проверка пройдена.".to_owned(), "The lead was approved in review.".to_owned())
        }
        Event::Reviewed { approved: false } => {
            say("Проверка не пройдена.".to_owned(), "The lead was refused in review.".to_owned())
        }
        Event::Returned { target, reason } => say(
            format!("`{target}` возвращает лид, причина `{reason}`."),
            format!("`{target}` returns the lead, reason `{reason}`."),
        ),
        Event::Closed => say("Лид закрывают.".to_owned(), "The lead is being closed.".to_owned()),
        Event::Erased => say(
            "Персональные данные заявки уничтожены.".to_owned(),
            "The personal data of the lead were erased.".to_owned(),
        ),
        Event::TimerFired { .. } => {
            say("Истёк срок последней ступени.".to_owned(), "The time of the last step ran out.".to_owned())
        }
        Event::Responded { target, response, via } => {
            let (ru, en) = match response {
                Response::Accept => ("принимает лид", "accepts the lead"),
                Response::Decline => ("отказывается от лида", "declines the lead"),
            };
            let (via_ru, via_en) = match via {
                Via::Button { .. } => ("кнопкой в сообщении", "with the button in a message"),
                Via::Api => ("через API оператора", "through the operator API"),
                Via::Answer => ("сразу в ответе", "at once in its answer"),
            };
            say(format!("`{target}` {ru} {via_ru}."), format!("`{target}` {en} {via_en}."))
        }
        _ => say(format!("Событие `{}`.", event.kind()), format!("Event `{}`.", event.kind())),
    }
}

fn sentence(step: &TraceStep, locale: Locale) -> String {
    let claim = match locale {
        Locale::Ru => claim_ru(step),
        Locale::En => claim_en(step),
    };
    // A step that says all by its claim needs no reason.
    let said = matches!(
        (Part::of(&step.rule), step.reason),
        (_, None) | (Part::Accept, Some(Reason::ConditionHeld)) | (_, Some(Reason::Answered))
    );
    match step.reason.filter(|_| !said) {
        Some(reason) => {
            let which = step.cap.as_ref().map(|cap| which_cap(cap, locale)).unwrap_or_default();
            format!("{claim}: {}{which}.", why(reason, locale))
        }
        None => format!("{claim}."),
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::decide::{FullCap, Verdict};
    use fastlead_core::schedule::Per;

    use super::*;

    fn step(rule: &str, subject: Option<&str>, verdict: Verdict, reason: Option<Reason>) -> TraceStep {
        TraceStep {
            rule: rule.to_owned(),
            subject: subject.map(str::to_owned),
            verdict,
            reason,
            candidates: Vec::new(),
            cap: None,
        }
    }

    #[test]
    fn steps_read_as_sentences_in_both_languages() {
        for (step, ru, en) in [
            (
                step("accept[0]", Some("no_phone"), Verdict::Refused, Some(Reason::ConditionHeld)),
                "Правило `accept[0]` отклоняет заявку с кодом `no_phone`.",
                "Rule `accept[0]` refuses the lead with the code `no_phone`.",
            ),
            (
                step(
                    "route.targets[0].destinations[0]",
                    Some("bot"),
                    Verdict::Chosen,
                    Some(Reason::ChannelPaused),
                ),
                "Сообщение по каналу `bot` сохранено и ждёт: канал на паузе.",
                "A message over the channel `bot` is stored and waits: the channel is paused.",
            ),
            (
                step("escalation[1].targets[0]", Some("chief"), Verdict::Chosen, None),
                "Ступень 2: лид предложен `chief`.",
                "Step 2: the lead is offered to `chief`.",
            ),
            (
                step("escalation", None, Verdict::Chosen, Some(Reason::LadderEnded)),
                "Лид остался без ответа: ступеней больше нет.",
                "The lead stays unanswered: the policy has no further step.",
            ),
            (
                step("respond.accept", Some("anna"), Verdict::Chosen, Some(Reason::Answered)),
                "Лид теперь у `anna`.",
                "`anna` has the lead now.",
            ),
            (
                TraceStep {
                    candidates: vec!["anna".to_owned(), "oleg".to_owned()],
                    ..step("route[1].targets", None, Verdict::Skipped, Some(Reason::CapFull))
                },
                "Не выбраны: `anna`, `oleg`: лимит лидов исчерпан.",
                "Not chosen: `anna`, `oleg`: the limit of leads is reached.",
            ),
            (
                TraceStep {
                    cap: Some(FullCap {
                        per: Per::Day,
                        days: Some("sat,sun".parse().unwrap()),
                        source: Some("site".to_owned()),
                    }),
                    ..step("route.overflow", Some("anna"), Verdict::Skipped, Some(Reason::CapFull))
                },
                "`anna` его тоже не возьмёт: лимит лидов исчерпан (за день, по дням `sat,sun`, источник `site`).",
                "`anna` cannot take it instead: the limit of leads is reached (per day, on `sat,sun`, source `site`).",
            ),
            (
                TraceStep {
                    cap: Some(FullCap { per: Per::Total, days: None, source: None }),
                    ..step("caps", None, Verdict::Skipped, Some(Reason::CapFull))
                },
                "Проект больше не раздаёт лидов: лимит лидов исчерпан (за всё время).",
                "The project hands out no more leads: the limit of leads is reached (in total).",
            ),
            (
                step("route", None, Verdict::Scheduled, Some(Reason::OthersWait)),
                "Лид ждёт в очереди: другие ждут дольше.",
                "The lead waits in the queue: others have waited longer.",
            ),
            (
                step("returns", Some("anna"), Verdict::Refused, Some(Reason::ReturnTooLate)),
                "`anna` не может вернуть лид: срок возврата прошёл.",
                "`anna` cannot give the lead back: the time for returns is over.",
            ),
        ] {
            assert_eq!(sentence(&step, Locale::Ru), ru);
            assert_eq!(sentence(&step, Locale::En), en);
        }
    }

    #[test]
    fn no_rule_is_without_words() {
        for rule in [
            "accept[0]",
            "dedupe",
            "route.targets[0]",
            "route.targets[0].destinations[1]",
            "auto_reply[0]",
            "webhooks[0]",
            "alerts[0]",
            "escalation",
            "escalation[0]",
            "respond.accept",
            "respond.decline",
            "respond.reply",
            "route",
            "route[1]",
            "route.targets",
            "route[3].sticky",
            "route.overflow",
            "route.off_hours",
            "route.instead",
            "route.offer",
            "route.offer_timeout_secs",
            "caps",
            "score",
            "score.rules[0]",
            "score.bands[0]",
            "spam.checks[0]",
            "spam.most_per_day",
            "review",
            "review.when",
            "review.then",
            "review.tell[0]",
            "enrich[0]",
            "escalation[0].remind[0]",
            "auction",
            "auction.bid",
            "returns",
            "close",
        ] {
            assert_ne!(Part::of(rule), Part::Other, "{rule}");
        }
    }

    /// Every reason has words of its own in both languages.
    #[test]
    fn no_reason_is_without_words() {
        let schema = serde_json::to_value(schemars::schema_for!(Reason)).unwrap();
        let names = schema["oneOf"].as_array().unwrap().iter().map(|one| one["const"].clone());
        for name in names {
            let reason: Reason = serde_json::from_value(name.clone()).unwrap();
            assert_ne!(why(reason, Locale::En), "another reason", "{name}");
        }
    }
}
