//! Filters and tests beside the engine's own.

use chrono::{DateTime, FixedOffset};
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, State};

use super::locale_of;
use crate::message::Locale;

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("phone", phone);
    environment.add_filter("datetime", datetime);
    environment.add_filter("plural", plural);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_test("defined", |value: &Value| !is_absent(value));
    environment.add_test("undefined", |value: &Value| is_absent(value));
}

/// A value that nobody gave is none; only in tests and `default` an undefined one is the same.
fn is_absent(value: &Value) -> bool {
    value.is_undefined() || value.is_none()
}

/// `other` (or nothing) in place of a value that is absent; with `falsy` also of an empty one.
fn default(value: &Value, other: Option<Value>, falsy: Option<bool>) -> Value {
    let replace = is_absent(value) || (falsy == Some(true) && !value.is_true());
    if replace { other.unwrap_or_else(|| Value::from("")) } else { value.clone() }
}

/// The text in `value`, or `None` where it is none. The errors name no value: it may be personal.
fn text<'a>(value: &'a Value, filter: &str) -> Result<Option<&'a str>, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if value.is_none() {
        return Ok(None);
    }
    let wrong = || Error::new(ErrorKind::InvalidOperation, format!("`{filter}` wants a text"));
    value.as_str().map(Some).ok_or_else(wrong)
}

/// `+79000000000` as `+7 900 000-00-00`, with what stands behind it; anything else as it is.
fn phone(value: &Value) -> Result<String, Error> {
    let value = text(value, "phone")?.unwrap_or_default();
    let (number, beside) = value.split_at(value.find(' ').unwrap_or(value.len()));
    let digits =
        number.strip_prefix("+7").filter(|rest| rest.len() == 10 && rest.bytes().all(|b| b.is_ascii_digit()));
    Ok(match digits {
        Some(d) => format!("+7 {} {}-{}-{}{beside}", &d[..3], &d[3..6], &d[6..8], &d[8..]),
        None => value.to_owned(),
    })
}

/// An RFC 3339 moment as people write it, in its own offset or in `offset`, such as `+03:00`.
fn datetime(state: &State<'_, '_>, value: &Value, offset: Option<&str>) -> Result<String, Error> {
    let Some(value) = text(value, "datetime")? else { return Ok(String::new()) };
    let wrong = |what| Error::new(ErrorKind::InvalidOperation, what);
    let moment =
        DateTime::parse_from_rfc3339(value).map_err(|_| wrong("`datetime` wants an RFC 3339 moment"))?;
    let moment = match offset {
        None => moment,
        Some(offset) => {
            let offset: FixedOffset =
                offset.parse().map_err(|_| wrong("`datetime` wants an offset such as \"+03:00\""))?;
            moment.with_timezone(&offset)
        }
    };
    let format = match locale_of(state.name()) {
        Locale::Ru => "%d.%m.%Y %H:%M",
        Locale::En => "%-d %b %Y %H:%M",
    };
    Ok(moment.format(format).to_string())
}

/// The form of a word for a number. Three forms are Russian (`1 лид`, `2 лида`, `5 лидов`), two English.
fn plural(number: i64, one: String, few: String, many: Option<String>) -> String {
    let number = number.unsigned_abs();
    let Some(many) = many else { return if number == 1 { one } else { few } };
    match (number % 10, number % 100) {
        (_, 11..=14) => many,
        (1, _) => one,
        (2..=4, _) => few,
        _ => many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(path: &str, source: &str, value: impl Into<Value>) -> Result<String, ErrorKind> {
        let mut environment = super::super::environment::environment();
        environment.add_template(path, source).unwrap();
        let context = Value::from_pairs([("v", value.into())]);
        environment.get_template(path).unwrap().render(context).map_err(|error| error.kind())
    }

    const RU: &str = "templates.t.ru.plain";
    const EN: &str = "templates.t.en.plain";

    #[test]
    fn phones() {
        for (value, shown) in [
            ("+79000000000", "+7 900 000-00-00"),
            ("+74950000000 доб. 123 (Анна)", "+7 495 000-00-00 доб. 123 (Анна)"),
            ("+4915123456789", "+4915123456789"),
            ("+7900", "+7900"),
            ("+7девять", "+7девять"),
            ("call me", "call me"),
        ] {
            assert_eq!(render(RU, "{{ v|phone }}", value).as_deref(), Ok(shown));
        }
        assert_eq!(render(RU, "{{ v|phone }}", ()).as_deref(), Ok(""));
        assert_eq!(render(RU, "{{ v|phone }}", 7), Err(ErrorKind::InvalidOperation));
        assert_eq!(render(RU, "{{ w|phone }}", 7), Err(ErrorKind::UndefinedError));
    }

    #[test]
    fn moments() {
        let moment = "2026-11-03T09:30:00+00:00";
        for (path, source, shown) in [
            (RU, "{{ v|datetime }}", "03.11.2026 09:30"),
            (EN, "{{ v|datetime }}", "3 Nov 2026 09:30"),
            (RU, "{{ v|datetime('+03:00') }}", "03.11.2026 12:30"),
            (EN, "{{ v|datetime('-10:00') }}", "2 Nov 2026 23:30"),
        ] {
            assert_eq!(render(path, source, moment).as_deref(), Ok(shown));
        }
        assert_eq!(
            render(RU, "{{ v|datetime }}", "2026-11-03T12:30:00+03:00").as_deref(),
            Ok("03.11.2026 12:30")
        );
        assert_eq!(render(RU, "{{ v|datetime }}", ()).as_deref(), Ok(""));
        assert_eq!(render(RU, "{{ v|datetime }}", "yesterday"), Err(ErrorKind::InvalidOperation));
        assert_eq!(render(RU, "{{ v|datetime('Moscow') }}", moment), Err(ErrorKind::InvalidOperation));
    }

    #[test]
    fn numbers() {
        let russian = "{{ v|plural('лид', 'лида', 'лидов') }}";
        for (number, form) in [
            (0, "лидов"),
            (1, "лид"),
            (2, "лида"),
            (5, "лидов"),
            (11, "лидов"),
            (21, "лид"),
            (112, "лидов"),
            (-1, "лид"),
        ] {
            assert_eq!(render(RU, russian, number).as_deref(), Ok(form), "{number}");
        }
        let english = "{{ v }} {{ v|plural('lead', 'leads') }}";
        assert_eq!(render(EN, english, 1).as_deref(), Ok("1 lead"));
        assert_eq!(render(EN, english, 21).as_deref(), Ok("21 leads"));
    }

    #[test]
    fn what_nobody_gave_gives_way() {
        for (source, shown) in [
            ("{{ v|default('none') }}", "none"),
            ("{{ v|d('none') }}", "none"),
            ("{{ w|default('none') }}", "none"),
            ("{{ v|default }}", ""),
            ("{{ v or 'none' }}", "none"),
            ("{% if v is defined %}yes{% else %}no{% endif %}", "no"),
            ("{% if v is undefined %}yes{% else %}no{% endif %}", "yes"),
            ("{% if v %}yes{% endif %}", ""),
            ("[{{ v }}]", "[]"),
        ] {
            assert_eq!(render(RU, source, ()).as_deref(), Ok(shown), "{source}");
        }
        assert_eq!(render(RU, "{{ v|default('none') }}", "").as_deref(), Ok(""));
        assert_eq!(render(RU, "{{ v|default('none', true) }}", "").as_deref(), Ok("none"));
        assert_eq!(render(RU, "{{ v|default('none') }}", 0).as_deref(), Ok("0"));
    }
}
