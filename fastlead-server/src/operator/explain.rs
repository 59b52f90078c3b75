//! Decisions in plain words, in Russian and English.

use fastlead_core::decide::{Event, Reason, TimerName, Trace, TraceStep, Verdict, Via};
use fastlead_core::message::{Locale, Response};

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
        Event::TimerFired { timer: TimerName::Escalate(rung) } => say(
            format!("Наступил срок ступени {}: лид ещё никто не принял.", rung + 1),
            format!("The moment of step {} came: nobody had accepted the lead yet.", rung + 1),
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

/// What part of a policy a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Accept,
    Dedupe,
    Target,
    Destination,
    AutoReply,
    Webhook,
    Alert,
    Ladder,
    Accepting,
    Declining,
    ButtonReply,
    Other,
}

impl Part {
    fn of(rule: &str) -> Self {
        let head = rule.split(['[', '.']).next().unwrap_or_default();
        match head {
            _ if rule.contains(".destinations[") => Self::Destination,
            _ if rule.contains(".targets[") => Self::Target,
            "accept" => Self::Accept,
            "dedupe" => Self::Dedupe,
            "auto_reply" => Self::AutoReply,
            "webhooks" => Self::Webhook,
            "alerts" => Self::Alert,
            "escalation" => Self::Ladder,
            "respond" => match rule {
                "respond.accept" => Self::Accepting,
                "respond.decline" => Self::Declining,
                _ => Self::ButtonReply,
            },
            _ => Self::Other,
        }
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
        Some(reason) => format!("{claim}: {}.", why(reason, locale)),
        None => format!("{claim}."),
    }
}

/// The number of a rung in the way people count, where the rule names one.
fn rung(rule: &str) -> Option<u32> {
    let (index, _) = rule.strip_prefix("escalation[")?.split_once(']')?;
    index.parse::<u32>().ok()?.checked_add(1)
}

fn claim_en(step: &TraceStep) -> String {
    let rule = &step.rule;
    let subject = step.subject.as_deref().unwrap_or("?");
    match (Part::of(rule), step.verdict) {
        (Part::Accept, Verdict::Refused) => {
            format!("Rule `{rule}` refuses the lead with the code `{subject}`")
        }
        (Part::Accept, _) => format!("Rule `{rule}` (`{subject}`) does not object"),
        (Part::Dedupe, Verdict::Refused) => format!("This is a repetition of {subject}, no new lead"),
        (Part::Dedupe, _) if step.reason.is_some() => "No search for repetitions".to_owned(),
        (Part::Dedupe, _) => "It repeats no earlier lead".to_owned(),
        (Part::Target, Verdict::Chosen) => match rung(rule) {
            Some(rung) => format!("Step {rung}: the lead is offered to `{subject}`"),
            None => format!("The lead is offered to `{subject}`"),
        },
        (Part::Target, _) => format!("The lead is not offered to `{subject}`"),
        (Part::Destination, Verdict::Chosen) if step.reason.is_some() => {
            format!("A message over the channel `{subject}` is stored and waits")
        }
        (Part::Destination, Verdict::Chosen) => format!("A message goes out over the channel `{subject}`"),
        (Part::Destination, _) => format!("No message over the channel `{subject}`"),
        (Part::AutoReply, Verdict::Chosen) => format!("The visitor is answered over the channel `{subject}`"),
        (Part::AutoReply, _) => format!("The visitor is not answered over the channel `{subject}`"),
        (Part::Webhook, Verdict::Chosen) => format!("A program is told over the channel `{subject}`"),
        (Part::Webhook, _) => format!("No program is told over the channel `{subject}`"),
        (Part::Alert, Verdict::Chosen) => format!("An alert goes out over the channel `{subject}`"),
        (Part::Alert, _) => format!("No alert to `{subject}`"),
        (Part::Ladder, Verdict::Scheduled) => match rung(rule) {
            Some(rung) => format!("If nobody accepts, step {rung} follows, or the end of the ladder"),
            None => "The next step is scheduled".to_owned(),
        },
        (Part::Ladder, Verdict::Chosen) => match rung(rule) {
            Some(rung) => format!("Step {rung} is taken at once"),
            None => "The lead stays unanswered".to_owned(),
        },
        (Part::Ladder, Verdict::Passed) => "Nothing follows if nobody accepts".to_owned(),
        (Part::Ladder, _) => "No further step is taken".to_owned(),
        (Part::Accepting, Verdict::Chosen) => format!("`{subject}` has the lead now"),
        (Part::Accepting, Verdict::Refused) => format!("`{subject}` is too late"),
        (Part::Accepting, _) => format!("`{subject}` had the lead already"),
        (Part::Declining, Verdict::Chosen) => format!("`{subject}` does not want the lead"),
        (Part::Declining, _) => format!("The refusal of `{subject}` changes nothing"),
        (Part::ButtonReply, Verdict::Chosen) => "The pressed button is answered".to_owned(),
        (Part::ButtonReply, _) => "The pressed button is not answered".to_owned(),
        (Part::Other, verdict) => format!("`{rule}` {}", verdict_name(verdict)),
    }
}

fn claim_ru(step: &TraceStep) -> String {
    let rule = &step.rule;
    let subject = step.subject.as_deref().unwrap_or("?");
    match (Part::of(rule), step.verdict) {
        (Part::Accept, Verdict::Refused) => format!("Правило `{rule}` отклоняет заявку с кодом `{subject}`"),
        (Part::Accept, _) => format!("Правило `{rule}` (`{subject}`) не возражает"),
        (Part::Dedupe, Verdict::Refused) => format!("Это повтор {subject}, нового лида нет"),
        (Part::Dedupe, _) if step.reason.is_some() => "Повторы не ищутся".to_owned(),
        (Part::Dedupe, _) => "Повторов среди прежних лидов нет".to_owned(),
        (Part::Target, Verdict::Chosen) => match rung(rule) {
            Some(rung) => format!("Ступень {rung}: лид предложен `{subject}`"),
            None => format!("Лид предложен `{subject}`"),
        },
        (Part::Target, _) => format!("Лид не предложен `{subject}`"),
        (Part::Destination, Verdict::Chosen) if step.reason.is_some() => {
            format!("Сообщение по каналу `{subject}` сохранено и ждёт")
        }
        (Part::Destination, Verdict::Chosen) => format!("Сообщение отправляется по каналу `{subject}`"),
        (Part::Destination, _) => format!("По каналу `{subject}` сообщения нет"),
        (Part::AutoReply, Verdict::Chosen) => format!("Посетителю отвечаем по каналу `{subject}`"),
        (Part::AutoReply, _) => format!("Посетителю не отвечаем по каналу `{subject}`"),
        (Part::Webhook, Verdict::Chosen) => format!("Программа извещается по каналу `{subject}`"),
        (Part::Webhook, _) => format!("Программа не извещается по каналу `{subject}`"),
        (Part::Alert, Verdict::Chosen) => format!("Предупреждение отправляется по каналу `{subject}`"),
        (Part::Alert, _) => format!("Предупреждения для `{subject}` нет"),
        (Part::Ladder, Verdict::Scheduled) => match rung(rule) {
            Some(rung) => format!("Если никто не примет, дальше ступень {rung} или конец лестницы"),
            None => "Следующая ступень запланирована".to_owned(),
        },
        (Part::Ladder, Verdict::Chosen) => match rung(rule) {
            Some(rung) => format!("Ступень {rung} наступает сразу"),
            None => "Лид остался без ответа".to_owned(),
        },
        (Part::Ladder, Verdict::Passed) => "Если никто не примет, больше ничего не будет".to_owned(),
        (Part::Ladder, _) => "Следующей ступени нет".to_owned(),
        (Part::Accepting, Verdict::Chosen) => format!("Лид теперь у `{subject}`"),
        (Part::Accepting, Verdict::Refused) => format!("Согласие `{subject}` опоздало"),
        (Part::Accepting, _) => format!("Лид уже был у `{subject}`"),
        (Part::Declining, Verdict::Chosen) => format!("Лид не нужен `{subject}`"),
        (Part::Declining, _) => format!("Отказ `{subject}` ничего не меняет"),
        (Part::ButtonReply, Verdict::Chosen) => "На нажатие кнопки отвечаем".to_owned(),
        (Part::ButtonReply, _) => "На нажатие кнопки не отвечаем".to_owned(),
        (Part::Other, verdict) => format!("`{rule}`: {}", verdict_name(verdict)),
    }
}

const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Refused => "refused",
        Verdict::Chosen => "chosen",
        Verdict::Skipped => "skipped",
        Verdict::Scheduled => "scheduled",
        _ => "decided",
    }
}

const fn why(reason: Reason, locale: Locale) -> &'static str {
    let (ru, en) = match reason {
        Reason::ConditionHeld => ("условие правила выполнено", "the rule's condition holds"),
        Reason::DuplicateKey => {
            ("контакт совпадает в окне дедупликации", "the contact is the same within the dedupe window")
        }
        Reason::NothingToCompare => {
            ("в заявке нет полей для сравнения", "the lead has no field that could be compared")
        }
        Reason::NoPhone => ("в заявке нет телефона", "the lead has no phone number"),
        Reason::NoEmail => ("в заявке нет почты", "the lead has no e-mail address"),
        Reason::NoAdvertisingConsent => {
            ("нет согласия на рекламу", "the person has not agreed to advertising")
        }
        Reason::ChannelMissing => ("такого канала нет", "there is no such channel"),
        Reason::ChannelPaused => ("канал на паузе", "the channel is paused"),
        Reason::SameChannel => {
            ("предупреждение как раз об этом канале", "the alert is about this very channel")
        }
        Reason::TargetMissing => ("такого получателя нет в политике", "the policy has no such target"),
        Reason::NotWaiting => ("лид уже никого не ждёт", "the lead waits for nobody any more"),
        Reason::TakenBefore => ("лид уже принял другой", "somebody else has accepted before"),
        Reason::DeclinedBefore => ("получатель уже отказался", "the target has declined before"),
        Reason::LadderEnded => ("ступеней больше нет", "the policy has no further step"),
        Reason::NobodyLeft => ("ответить больше некому", "nobody who was told can answer any more"),
        Reason::OthersMayAnswer => ("ещё могут ответить другие", "others who were told can still answer"),
        Reason::Answered => ("получен ответ", "the answer came"),
        _ => ("иная причина", "another reason"),
    };
    match locale {
        Locale::Ru => ru,
        Locale::En => en,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(rule: &str, subject: Option<&str>, verdict: Verdict, reason: Option<Reason>) -> TraceStep {
        TraceStep {
            rule: rule.to_owned(),
            subject: subject.map(str::to_owned),
            verdict,
            reason,
            candidates: Vec::new(),
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
        ] {
            assert_ne!(Part::of(rule), Part::Other, "{rule}");
        }
    }
}
