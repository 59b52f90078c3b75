//! Words of the form, on the hosted page and in the widget, in both languages.

use fastlead_core::message::Locale;
use serde::Serialize;

use crate::problem::Problem;

/// Words that stand on the form whatever its source says.
#[derive(Debug, Serialize)]
pub(crate) struct Words {
    pub(crate) title: &'static str,
    pub(crate) name: &'static str,
    pub(crate) phone: &'static str,
    pub(crate) email: &'static str,
    pub(crate) comment: &'static str,
    pub(crate) trap: &'static str,
    pub(crate) send: &'static str,
    pub(crate) required: &'static str,
    pub(crate) read: &'static str,
    pub(crate) thanks: &'static str,
    pub(crate) thanks_more: &'static str,
    pub(crate) mend: &'static str,
    pub(crate) back: &'static str,
    pub(crate) go_back: &'static str,
    pub(crate) operator: &'static str,
    /// The page's own name in the language that it leads to.
    pub(crate) language: &'static str,
    pub(crate) close: &'static str,
    pub(crate) call: &'static str,
    pub(crate) sending: &'static str,
    pub(crate) waits: &'static str,
    pub(crate) waiting: &'static str,
    pub(crate) waiting_here: &'static str,
    pub(crate) waited: &'static str,
    pub(crate) again: &'static str,
}

static RU: Words = Words {
    title: "Оставьте номер, и мы перезвоним",
    name: "Как вас зовут",
    phone: "Телефон",
    email: "Электронная почта",
    comment: "Комментарий",
    trap: "Оставьте это поле пустым",
    send: "Отправить",
    required: "обязательно",
    read: "прочитать",
    thanks: "Спасибо, заявка принята",
    thanks_more: "Мы скоро с вами свяжемся.",
    mend: "Проверьте форму",
    back: "Назад к форме",
    go_back: "Вернитесь на предыдущую страницу и отправьте форму ещё раз.",
    operator: "Оператор персональных данных",
    language: "Русский",
    close: "Закрыть",
    call: "Перезвоните мне",
    sending: "Отправляем…",
    waits: "Заявка пока не принята",
    waiting: "Сервер не ответил или занят. Заявка сохранена в этом браузере не дольше чем на сутки и уйдёт сама, когда он ответит: \
              для этого должна быть открыта эта или другая страница сайта.",
    waiting_here: "Сервер не ответил или занят. Не закрывайте страницу: заявка уйдёт сама, когда он ответит.",
    waited: "Заявка, которая ждала ответа сервера, не принята.",
    again: "Отправить ещё одну",
};

static EN: Words = Words {
    title: "Leave your number and we will call you back",
    name: "Your name",
    phone: "Phone",
    email: "E-mail",
    comment: "Comment",
    trap: "Leave this field empty",
    send: "Send",
    required: "required",
    read: "read",
    thanks: "Thank you, we have got it",
    thanks_more: "We will contact you soon.",
    mend: "Please check the form",
    back: "Back to the form",
    go_back: "Please go back to the page before and send the form again.",
    operator: "Personal data operator",
    language: "English",
    close: "Close",
    call: "Call me back",
    sending: "Sending…",
    waits: "We have not got it yet",
    waiting: "The server did not answer or is busy. Your request is kept in this browser for a day at most and is sent by itself \
              once the server answers; this page or another one of the site must be open for that.",
    waiting_here: "The server did not answer or is busy. Please keep this page open: your request is sent by itself once the \
                   server answers.",
    waited: "The request that waited for the server's answer was not taken.",
    again: "Send another one",
};

/// Returns the words of a language.
pub(crate) fn words(locale: Locale) -> &'static Words {
    match locale {
        Locale::Ru => &RU,
        Locale::En => &EN,
    }
}

/// Codes of problems that a visitor can do something about, or at least understand.
pub(crate) const CODES: [&str; 12] = [
    "invalid_phone",
    "invalid_email",
    "contact_required",
    "consent_required",
    "consent_changed",
    "too_long",
    "looks_automated",
    "rate_limited",
    "idempotency_key_reused",
    "not_configured",
    "origin_not_allowed",
    "source_closed",
];

/// Says what a problem means for a visitor, by its code; of any other code, that it did not work.
pub(crate) fn by_code(locale: Locale, code: &str) -> &'static str {
    match (locale, code) {
        (Locale::Ru, "invalid_phone") => "Проверьте номер телефона: например, +7 900 000-00-00.",
        (Locale::En, "invalid_phone") => "Please check the phone number, such as +7 900 000-00-00.",
        (Locale::Ru, "invalid_email") => "Проверьте адрес почты: например, name@example.com.",
        (Locale::En, "invalid_email") => "Please check the e-mail address, such as name@example.com.",
        (Locale::Ru, "contact_required") => "Укажите номер телефона.",
        (Locale::En, "contact_required") => "Please give a phone number.",
        (Locale::Ru, "consent_required") => {
            "Без согласия на обработку персональных данных заявку принять нельзя."
        }
        (Locale::En, "consent_required") => "We cannot take the request without the required consent.",
        (Locale::Ru, "consent_changed") => {
            "Текст согласия изменился. Откройте страницу заново, прочитайте его и отправьте форму ещё раз."
        }
        (Locale::En, "consent_changed") => {
            "The text of the consent has changed. Please open the page anew, read it and send the form again."
        }
        (Locale::Ru, "too_long") => "Текст слишком длинный.",
        (Locale::En, "too_long") => "The text is too long.",
        (Locale::Ru, "looks_automated") => {
            "Форма отправлена слишком быстро. Подождите несколько секунд и нажмите «Отправить» ещё раз."
        }
        (Locale::En, "looks_automated") => {
            "The form was sent too fast. Please wait a few seconds and press Send again."
        }
        (Locale::Ru, "rate_limited") => "Слишком много заявок подряд. Повторите через минуту.",
        (Locale::En, "rate_limited") => "Too many requests. Please try again in a minute.",
        (Locale::Ru, "idempotency_key_reused") => {
            "Эта форма уже отправлена. Откройте страницу заново, чтобы отправить ещё одну."
        }
        (Locale::En, "idempotency_key_reused") => {
            "This form was sent already. Open the page anew to send another one."
        }
        (Locale::Ru, "not_configured") => "Форма пока не принимает заявки. Попробуйте позже.",
        (Locale::En, "not_configured") => "This form takes no requests yet. Please try again later.",
        (Locale::Ru, "origin_not_allowed") => {
            "С этого сайта заявки сюда не принимаются: его владелец должен разрешить адрес сайта."
        }
        (Locale::En, "origin_not_allowed") => {
            "Requests from this site are not taken here: its owner must allow the site's address."
        }
        (Locale::Ru, "source_closed") => "Заявки здесь больше не принимаются.",
        (Locale::En, "source_closed") => "This form takes no requests any more.",
        (Locale::Ru, "not_found") => "Адрес, по которому отправлена форма, не существует.",
        (Locale::En, "not_found") => "The address to which the form was sent does not exist.",
        (Locale::Ru, _) => "Не получилось принять заявку. Попробуйте ещё раз.",
        (Locale::En, _) => "We could not take the request. Please try again.",
    }
}

/// Says what is to be mended, a line for each thing.
pub(crate) fn explain(problem: &Problem, locale: Locale) -> Vec<String> {
    if problem.errors.is_empty() {
        return vec![by_code(locale, &problem.code).to_owned()];
    }
    problem.errors.iter().map(|error| by_code(locale, &error.code).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_words_of_its_own_in_both_languages() {
        for locale in Locale::ALL {
            let other = by_code(locale, "something else");
            for code in CODES {
                assert_ne!(by_code(locale, code), other, "{code}");
            }
        }
        assert!(CODES.iter().all(|code| by_code(Locale::Ru, code) != by_code(Locale::En, code)));
    }
}
