//! What a step of a trace claims, in words.

use fastlead_core::decide::{TraceStep, Verdict};

/// What part of a policy a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Accept,
    Dedupe,
    Target,
    Destination,
    AutoReply,
    Webhook,
    Alert,
    LeftOut,
    Route,
    Sticky,
    Instead,
    Lapse,
    Caps,
    ScoreRule,
    Score,
    Band,
    Spam,
    Review,
    Asking,
    Confirm,
    Enrich,
    Remind,
    Auction,
    Returns,
    Close,
    Ladder,
    Accepting,
    Declining,
    ButtonReply,
    Other,
}

impl Part {
    pub(super) fn of(rule: &str) -> Self {
        let head = rule.split(['[', '.']).next().unwrap_or_default();
        match head {
            _ if rule.contains(".destinations[") => Self::Destination,
            _ if rule.contains(".remind[") => Self::Remind,
            _ if rule.contains(".targets[") || rule.ends_with(".instead") => Self::Target,
            _ if rule.ends_with(".targets") => Self::LeftOut,
            "route" if rule.ends_with(".sticky") => Self::Sticky,
            "route" if rule.ends_with(".overflow") || rule.ends_with(".off_hours") => Self::Instead,
            "route" if rule.contains(".offer") => Self::Lapse,
            "route" => Self::Route,
            "caps" => Self::Caps,
            "score" if rule.contains("rules[") => Self::ScoreRule,
            "score" if rule.contains("bands[") => Self::Band,
            "score" => Self::Score,
            "spam" => Self::Spam,
            _ if rule.starts_with("review.tell") => Self::Alert,
            "review" => Self::Review,
            "confirm" if rule.contains(".ask[") => Self::Asking,
            "confirm" => Self::Confirm,
            "enrich" => Self::Enrich,
            "auction" => Self::Auction,
            "returns" => Self::Returns,
            "close" => Self::Close,
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

/// Everybody whom a step is about.
fn names(step: &TraceStep) -> String {
    let quoted = |name: &String| format!("`{name}`");
    step.subject.iter().chain(&step.candidates).map(quoted).collect::<Vec<_>>().join(", ")
}

/// The number of a rung in the way people count, where the rule names one.
fn rung(rule: &str) -> Option<u32> {
    let (index, _) = rule.strip_prefix("escalation[")?.split_once(']')?;
    index.parse::<u32>().ok()?.checked_add(1)
}

pub(super) fn claim_en(step: &TraceStep) -> String {
    let rule = &step.rule;
    let subject = step.subject.as_deref().unwrap_or("?");
    let all = || names(step);
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
        (Part::Target, Verdict::Scheduled) => format!("`{subject}` is asked for a bid"),
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
        (Part::LeftOut, _) => format!("Not chosen: {}", all()),
        (Part::Route, Verdict::Scheduled) => "The lead waits in the queue".to_owned(),
        (Part::Route, _) => format!("Rule `{rule}` is passed over"),
        (Part::Sticky, Verdict::Chosen) => format!("The lead goes to `{subject}` again"),
        (Part::Sticky, _) => format!("The lead does not go to `{subject}` again"),
        (Part::Instead, Verdict::Passed) => format!("What the rule cannot place goes to `{subject}`"),
        (Part::Instead, Verdict::Refused) => format!("The lead is refused with the code `{subject}`"),
        (Part::Instead, _) => format!("`{subject}` cannot take it instead"),
        (Part::Lapse, _) if step.subject.is_some() => format!("The offer to `{subject}` has lapsed"),
        (Part::Lapse, _) => "No offer lapses".to_owned(),
        (Part::Caps, _) => "The project hands out no more leads".to_owned(),
        (Part::ScoreRule, _) => format!("Rule `{rule}` gives {subject} points"),
        (Part::Score, _) => format!("The score is {subject}"),
        (Part::Band, Verdict::Refused) => format!("By `{rule}` the lead is not handed out"),
        (Part::Band, _) => format!("By `{rule}` the lead is handed out"),
        (Part::Spam, _) => format!("Rule `{rule}` objects"),
        (Part::Review, Verdict::Scheduled) => "A person looks at the lead first".to_owned(),
        (Part::Review, Verdict::Chosen) => "The lead is kept for review".to_owned(),
        (Part::Review, Verdict::Passed) => "The lead is let through".to_owned(),
        (Part::Review, Verdict::Refused) => "The lead is refused after review".to_owned(),
        (Part::Review, _) => "There is nothing to review".to_owned(),
        (Part::Asking, Verdict::Chosen) => {
            format!("The visitor is asked to confirm over the channel `{subject}`")
        }
        (Part::Asking, _) => format!("The visitor is not asked over the channel `{subject}`"),
        (Part::Confirm, Verdict::Scheduled) => "The lead waits for the visitor to confirm".to_owned(),
        (Part::Confirm, Verdict::Chosen) => "The lead is kept for review".to_owned(),
        (Part::Confirm, Verdict::Passed) => "The lead goes on".to_owned(),
        (Part::Confirm, Verdict::Refused) => "The lead was not confirmed".to_owned(),
        (Part::Confirm, _) => "There is nothing to confirm".to_owned(),
        (Part::Enrich, Verdict::Passed) => format!("`{subject}` was asked and has answered"),
        (Part::Enrich, _) => format!("Nothing from `{subject}`"),
        (Part::Remind, Verdict::Chosen) => format!("`{subject}` is reminded"),
        (Part::Remind, _) => format!("`{subject}` is not reminded"),
        (Part::Auction, Verdict::Passed) => format!("`{subject}` has answered in time"),
        (Part::Auction, Verdict::Refused) => format!("The bid of `{subject}` does not count"),
        (Part::Auction, _) if step.subject.is_some() => format!("The answer of `{subject}` changes nothing"),
        (Part::Auction, _) => "No bids are waited for".to_owned(),
        (Part::Returns, Verdict::Chosen) => {
            format!("`{subject}` has given the lead back; limits and price are given back too")
        }
        (Part::Returns, _) => format!("`{subject}` cannot give the lead back"),
        (Part::Close, Verdict::Chosen) => "The work on the lead is done".to_owned(),
        (Part::Close, _) => "There is nothing to close".to_owned(),
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

pub(super) fn claim_ru(step: &TraceStep) -> String {
    let rule = &step.rule;
    let subject = step.subject.as_deref().unwrap_or("?");
    let all = || names(step);
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
        (Part::Target, Verdict::Scheduled) => format!("У `{subject}` запрошена цена"),
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
        (Part::LeftOut, _) => format!("Не выбраны: {}", all()),
        (Part::Route, Verdict::Scheduled) => "Лид ждёт в очереди".to_owned(),
        (Part::Route, _) => format!("Правило `{rule}` пропущено"),
        (Part::Sticky, Verdict::Chosen) => format!("Лид снова идёт к `{subject}`"),
        (Part::Sticky, _) => format!("Снова к `{subject}` лид не идёт"),
        (Part::Instead, Verdict::Passed) => format!("Что правило не смогло передать, идёт к `{subject}`"),
        (Part::Instead, Verdict::Refused) => format!("Лид отклонён с кодом `{subject}`"),
        (Part::Instead, _) => format!("`{subject}` его тоже не возьмёт"),
        (Part::Lapse, _) if step.subject.is_some() => {
            format!("Предложение для `{subject}` больше не действует")
        }
        (Part::Lapse, _) => "Истекать нечему".to_owned(),
        (Part::Caps, _) => "Проект больше не раздаёт лидов".to_owned(),
        (Part::ScoreRule, _) => format!("Правило `{rule}` даёт баллов: {subject}"),
        (Part::Score, _) => format!("Балл лида: {subject}"),
        (Part::Band, Verdict::Refused) => format!("По `{rule}` лид не передаётся"),
        (Part::Band, _) => format!("По `{rule}` лид передаётся"),
        (Part::Spam, _) => format!("Правило `{rule}` возражает"),
        (Part::Review, Verdict::Scheduled) => "Сначала лид посмотрит человек".to_owned(),
        (Part::Review, Verdict::Chosen) => "Лид отложен на проверку".to_owned(),
        (Part::Review, Verdict::Passed) => "Лид пропущен дальше".to_owned(),
        (Part::Review, Verdict::Refused) => "После проверки лид отклонён".to_owned(),
        (Part::Review, _) => "Проверять нечего".to_owned(),
        (Part::Asking, Verdict::Chosen) => {
            format!("Посетителя просим подтвердить заявку по каналу `{subject}`")
        }
        (Part::Asking, _) => format!("По каналу `{subject}` подтверждения не просим"),
        (Part::Confirm, Verdict::Scheduled) => "Лид ждёт подтверждения посетителя".to_owned(),
        (Part::Confirm, Verdict::Chosen) => "Лид отложен на проверку".to_owned(),
        (Part::Confirm, Verdict::Passed) => "Лид идёт дальше".to_owned(),
        (Part::Confirm, Verdict::Refused) => "Заявка не подтверждена".to_owned(),
        (Part::Confirm, _) => "Подтверждать нечего".to_owned(),
        (Part::Enrich, Verdict::Passed) => format!("`{subject}` спрошен и ответил"),
        (Part::Enrich, _) => format!("От `{subject}` ничего нет"),
        (Part::Remind, Verdict::Chosen) => format!("`{subject}` получает напоминание"),
        (Part::Remind, _) => format!("`{subject}` напоминания не получает"),
        (Part::Auction, Verdict::Passed) => format!("`{subject}` ответил вовремя"),
        (Part::Auction, Verdict::Refused) => format!("Цена от `{subject}` не считается"),
        (Part::Auction, _) if step.subject.is_some() => format!("Ответ `{subject}` ничего не меняет"),
        (Part::Auction, _) => "Цен уже не ждут".to_owned(),
        (Part::Returns, Verdict::Chosen) => format!("`{subject}` вернул лид; лимиты и цена возвращены"),
        (Part::Returns, _) => format!("`{subject}` не может вернуть лид"),
        (Part::Close, Verdict::Chosen) => "Работа с лидом закончена".to_owned(),
        (Part::Close, _) => "Закрывать нечего".to_owned(),
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
