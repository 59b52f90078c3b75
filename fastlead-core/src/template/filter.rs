//! Filters beside the engine's own.

use minijinja::Environment;

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("phone", phone);
    environment.add_filter("plural", plural);
}

/// `+79000000000` as `+7 900 000-00-00`; anything else as it is.
fn phone(value: &str) -> String {
    let digits = value.strip_prefix("+7").filter(|rest| rest.len() == 10 && rest.bytes().all(|b| b.is_ascii_digit()));
    match digits {
        Some(d) => format!("+7 {} {}-{}-{}", &d[..3], &d[3..6], &d[6..8], &d[8..]),
        None => value.to_owned(),
    }
}

/// The Russian form for a number: `1 лид`, `2 лида`, `5 лидов`.
fn plural(number: i64, one: String, few: String, many: String) -> String {
    let number = number.unsigned_abs();
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

    #[test]
    fn forms() {
        assert_eq!(phone("+79000000000"), "+7 900 000-00-00");
        assert_eq!(phone("+4915123456789"), "+4915123456789");
        let form = |n| plural(n, "лид".into(), "лида".into(), "лидов".into());
        assert_eq!([1, 2, 5, 11, 21, 112].map(form), ["лид", "лида", "лидов", "лидов", "лид", "лидов"]);
    }
}
