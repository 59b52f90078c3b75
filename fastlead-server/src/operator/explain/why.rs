//! Reasons in words.

use fastlead_core::decide::{FullCap, Reason};
use fastlead_core::message::Locale;
use fastlead_core::schedule::Per;

/// The reason, to stand after a colon.
pub(super) const fn why(reason: Reason, locale: Locale) -> &'static str {
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
        Reason::Unconfirmed => ("посетитель ещё не подтвердил заявку", "the visitor has not confirmed yet"),
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
        Reason::ConditionFailed => ("условие не выполнено", "its condition does not hold"),
        Reason::OfferedBefore => ("лид им уже предлагали", "they were offered this lead before"),
        Reason::SkillMissing => ("нет нужного навыка", "a skill is missing that the rule needs"),
        Reason::BoughtBefore => ("этот человек у них уже был", "they had a lead of this person not long ago"),
        Reason::Away => ("отсутствуют в этот день", "they are away on this day"),
        Reason::OffHours => ("сейчас не рабочее время", "they do not work at this time"),
        Reason::CapacityFull => {
            ("открытых лидов уже предельно много", "they have as many open leads as they can")
        }
        Reason::CapFull => ("лимит лидов исчерпан", "the limit of leads is reached"),
        Reason::BudgetFull => ("бюджет исчерпан", "the budget is spent"),
        Reason::NoWeight => ("вес равен нулю", "the weight is 0"),
        Reason::OthersFirst => ("очередь другого", "it is another one's turn"),
        Reason::PreviousOwner => {
            ("прошлый лид этого человека был у него", "this one had the person's last lead")
        }
        Reason::OwnerLater => (
            "прошлый лид этого человека был у него, ждём начала его работы",
            "this one had the person's last lead and does not work now: the lead waits",
        ),
        Reason::OwnerTooLong => (
            "отсутствует слишком долго или это было слишком давно",
            "away for too long, or that is too long ago",
        ),
        Reason::ByStrategy => ("его очередь по правилу", "by the rule's strategy it is its turn"),
        Reason::StartsLevel => {
            ("пропущенное не навёрстывается, счёт как у остальных", "what was missed is not made up for")
        }
        Reason::CatchesUpSlowly => (
            "навёрстывает постепенно, этот лид остальным",
            "they catch up slowly, and this one is the others'",
        ),
        Reason::NextRule => ("передать некому, смотрим следующее правило", "it has nobody for this lead"),
        Reason::OverflowTarget => ("так велит правило", "the rule says so"),
        Reason::OverflowReject => ("так велит правило", "the rule says so"),
        Reason::Waits => ("сейчас передать некому", "nobody can take it now"),
        Reason::OthersWait => ("другие ждут дольше", "others have waited longer"),
        Reason::WaitedEnough => ("срок ожидания истёк", "it has waited as long as it may"),
        Reason::WaitsForOpening => {
            ("ждём, пока кто-нибудь выйдет на работу", "it waits until somebody works")
        }
        Reason::TimedOut => ("время истекло", "the time ran out"),
        Reason::OfferClosed => ("это уже не ждут", "that is not waited for any more"),
        Reason::Exclusive => (
            "лид продаётся только одному, а он уже у другого",
            "it is sold to one alone, and somebody has it",
        ),
        Reason::AskedForBid => ("запрошена цена", "a price is asked for"),
        Reason::NoBid => ("цены не назвали", "no price was named"),
        Reason::BelowFloor => ("цена ниже минимальной", "the price is below the floor"),
        Reason::TooLate => ("слишком поздно", "it is too late"),
        Reason::CannotAnswer => ("канал не приносит ответов", "no channel brings back an answer"),
        Reason::LooksLikeSpam => ("похоже на спам", "it looks like spam"),
        Reason::TooManyOfPerson => {
            ("слишком много заявок от человека за день", "too many leads of one person on a day")
        }
        Reason::ScoreReached => ("балл в этой полосе", "the score is within this band"),
        Reason::EnricherMissing => ("в этой программе такого нет", "this program has none of that name"),
        Reason::EnricherFailed => ("ответа нет", "it has failed"),
        Reason::ReturnNotAllowed => ("такой возврат не предусмотрен", "the policy takes no such return"),
        Reason::ReturnTooLate => ("срок возврата прошёл", "the time for returns is over"),
        Reason::NotTheirs => ("лид не у них", "they do not have the lead"),
        _ => ("иная причина", "another reason"),
    };
    match locale {
        Locale::Ru => ru,
        Locale::En => en,
    }
}

/// Which cap has no room, to stand after its reason.
pub(super) fn which_cap(cap: &FullCap, locale: Locale) -> String {
    let (ru, en) = match cap.per {
        Per::Hour => ("за час", "per hour"),
        Per::Day => ("за день", "per day"),
        Per::Week => ("за неделю", "per week"),
        Per::Month => ("за месяц", "per month"),
        Per::Total => ("за всё время", "in total"),
        _ => ("за период", "per period"),
    };
    let (per, on, source) = match locale {
        Locale::Ru => (ru, "по дням", "источник"),
        Locale::En => (en, "on", "source"),
    };
    let days = cap.days.map(|days| format!(", {on} `{days}`")).unwrap_or_default();
    let source = cap.source.as_ref().map(|key| format!(", {source} `{key}`")).unwrap_or_default();
    format!(" ({per}{days}{source})")
}
