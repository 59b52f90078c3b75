//! What a decision would bring about, in plain words.

use fastlead_core::decide::{Effect, TimerName};
use fastlead_core::id::ChannelId;
use fastlead_core::message::Locale;

/// One sentence for each effect. They name targets, channels, timers and counters, and no addresses.
pub(in crate::operator) fn effects(
    effects: &[Effect],
    channel: &dyn Fn(ChannelId) -> String,
    locale: Locale,
) -> Vec<String> {
    let say = |effect| {
        let (ru, en) = sentence(effect, channel);
        match locale {
            Locale::Ru => ru,
            Locale::En => en,
        }
    };
    effects.iter().map(say).collect()
}

fn sentence(effect: &Effect, channel: &dyn Fn(ChannelId) -> String) -> (String, String) {
    let both = |ru: &str, en: &str| (ru.to_owned(), en.to_owned());
    match effect {
        Effect::Accept => both("Заявка принята.", "The lead is taken in."),
        Effect::Reject { code } => (
            format!("Заявка отклонена с кодом `{code}`."),
            format!("The lead is refused with the code `{code}`."),
        ),
        Effect::Duplicate { of } => (format!("Это повтор {of}."), format!("It repeats {of}.")),
        Effect::ReserveUnique { until, .. } => (
            format!("До {until} такая же заявка будет повтором."),
            format!("Until {until} the same again is a repetition."),
        ),
        Effect::Offer { target, deliveries, .. } => (
            format!("Лид предложен `{target}`, сообщений: {deliveries}."),
            format!("The lead is offered to `{target}`, messages: {deliveries}."),
        ),
        Effect::Remind { target, deliveries, .. } => (
            format!("`{target}` получает напоминание, сообщений: {deliveries}."),
            format!("`{target}` is told again, messages: {deliveries}."),
        ),
        Effect::Lapse { offer } => {
            (format!("Предложение {} истекло.", offer + 1), format!("Offer {} has lapsed.", offer + 1))
        }
        Effect::Hold { .. } => {
            both("Лид учтён в пределах проекта.", "The lead counts for the project's caps.")
        }
        Effect::Reserve { key, amount, limit: Some(limit), .. } => (
            format!("Счётчик `{key}`: +{amount}, предел {limit}."),
            format!("Counter `{key}`: +{amount}, at most {limit}."),
        ),
        Effect::Reserve { key, amount, .. } => {
            (format!("Счётчик `{key}`: +{amount}."), format!("Counter `{key}`: +{amount}."))
        }
        Effect::Release { key, amount } => {
            (format!("Счётчик `{key}`: -{amount}."), format!("Counter `{key}`: -{amount}."))
        }
        Effect::Note { key, name, .. } => {
            (format!("В `{key}` записано `{name}`."), format!("`{key}` notes `{name}`."))
        }
        Effect::Queue { .. } => both("Лид ждёт в очереди.", "The lead waits in the queue."),
        Effect::Review => both("Заявку проверит человек.", "A person looks at the lead."),
        Effect::AskToConfirm { until, .. } => (
            format!("Посетителя просим подтвердить заявку до {until}."),
            format!("The visitor is asked to confirm before {until}."),
        ),
        Effect::Confirm { .. } => both("Посетитель подтвердил заявку.", "The visitor has confirmed."),
        Effect::Score { points, .. } => (format!("Баллы: {points}."), format!("Points: {points}.")),
        Effect::Tag { tag } => (format!("Метка `{tag}`."), format!("Tag `{tag}`.")),
        Effect::Climb { rung } => (format!("Ступень {}.", rung + 1), format!("Step {}.", rung + 1)),
        Effect::Deliver(deliver) => {
            let (name, purpose) = (channel(deliver.channel_id), deliver.spec.purpose.as_str());
            (
                format!("Сообщение (`{purpose}`) по каналу `{name}`."),
                format!("A message (`{purpose}`) over the channel `{name}`."),
            )
        }
        Effect::Auction { asked, ends_at, .. } => (
            format!("Цены спрашиваем до {ends_at}, получателей: {}.", asked.len()),
            format!("Bids are asked for until {ends_at}, targets: {}.", asked.len()),
        ),
        Effect::Bid { bid } => match bid.bid {
            Some(price) => (
                format!("`{}` предлагает {} {}.", bid.target, price.minor, price.currency),
                format!("`{}` bids {} {}.", bid.target, price.minor, price.currency),
            ),
            None => {
                (format!("`{}` цены не предлагает.", bid.target), format!("`{}` makes no bid.", bid.target))
            }
        },
        Effect::CloseAuction => both("Приём цен окончен.", "The time for bids is over."),
        Effect::CancelOffers => both("Прочие предложения отменены.", "Other offers are cancelled."),
        Effect::SetTimer { timer, due_at } => {
            let timer = timer_name(*timer);
            (format!("Таймер `{timer}` на {due_at}."), format!("Timer `{timer}` at {due_at}."))
        }
        Effect::ClearTimers => both("Таймеры сняты.", "Timers are cleared."),
        Effect::Assign { target, .. } => (format!("Лид у `{target}`."), format!("`{target}` has the lead.")),
        Effect::Return { target, .. } => {
            (format!("`{target}` вернул лид."), format!("`{target}` has given the lead back."))
        }
        Effect::Close => both("Лид закрыт.", "The lead is closed."),
        Effect::Decline { target } => (format!("`{target}` отказался."), format!("`{target}` has declined.")),
        Effect::OfferLost { target, .. } => (
            format!("Сообщение для `{target}` не доставлено."),
            format!("A message to `{target}` was not delivered."),
        ),
        Effect::Revive { delivery, expires_at } => (
            format!("Сообщение {delivery} отправляется ещё раз, не позже {expires_at}."),
            format!("Message {delivery} is tried again, not after {expires_at}."),
        ),
        Effect::GiveUp => both("Лид остался без ответа.", "The lead stays unanswered."),
        Effect::Announce { event } => (
            format!("Событие `{}` для программ.", event.as_str()),
            format!("Event `{}` for programs.", event.as_str()),
        ),
        _ => both("Иное.", "Something else."),
    }
}

/// The name of a timer for people, rungs and offers counted from 1.
pub(in crate::operator) fn timer_name(timer: TimerName) -> String {
    match timer {
        TimerName::Escalate(rung) => format!("escalate {}", rung + 1),
        TimerName::Unanswered => "unanswered".to_owned(),
        TimerName::Offer(offer) => format!("offer {}", offer + 1),
        TimerName::Group => "group".to_owned(),
        TimerName::Queue => "queue".to_owned(),
        TimerName::Review => "review".to_owned(),
        TimerName::Confirm => "confirm".to_owned(),
        TimerName::AuctionEnds => "bids".to_owned(),
        _ => "other".to_owned(),
    }
}
