//! Conditions that can never hold, although their types are right.

use super::{Comparison, Condition, Field, Number, Value, fold};
use crate::contact::{Email, Phone};
use crate::policy::nearest;

impl Condition {
    /// Why parts of the condition can never hold, or the whole: values in a form in which they are never stored, and
    /// parts that contradict each other. `targets` are the names that `history.last_owner` can have.
    pub(in crate::policy) fn doubts(&self, targets: &[&str]) -> Vec<String> {
        let mut doubts = Vec::new();
        self.visit(&mut |condition| {
            doubts.extend(condition.own_doubt(targets));
            if let Self::All(inner) = condition {
                doubts.extend(contradiction(inner));
            }
        });
        doubts
    }

    /// Why this one condition has the same answer for all leads.
    fn own_doubt(&self, targets: &[&str]) -> Option<String> {
        match self {
            Self::Equals { field, value } => {
                never_equal(field, value, targets).map(|why| format!("{why}, so this never holds"))
            }
            Self::Differs { field, value } => {
                never_equal(field, value, targets).map(|why| format!("{why}, so it always differs"))
            }
            Self::OneOf { field, values } => {
                let why = values.iter().find_map(|value| never_equal(field, value, targets))?;
                Some(format!("{why}, so that value is never met"))
            }
            Self::StartsWith { field: Field::Phone, value } if !value.starts_with('+') => Some(format!(
                "`contact.phone` begins with `+` and the country, never with `{}`",
                short(value)
            )),
            Self::StartsWith { field: Field::Phone, value }
            | Self::Contains { field: Field::Phone, value }
            | Self::EndsWith { field: Field::Phone, value }
                if !value.strip_prefix('+').unwrap_or(value).bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                Some(format!("`contact.phone` is `+` and digits alone, and never has `{}`", short(value)))
            }
            Self::Compare { field, is, value: Value::Number(want) } => never_compares(field, *is, want),
            Self::Any(inner) if inner.is_empty() => Some("is `false`, and can never hold".to_owned()),
            _ => None,
        }
    }
}

fn short(value: &str) -> String {
    value.chars().take(40).collect()
}

/// Why a field never has this value.
fn never_equal(field: &Field, value: &str, targets: &[&str]) -> Option<String> {
    let shown = short(value);
    match field {
        Field::Phone => match Phone::parse(value) {
            Ok(phone) if phone.expose() == value => None,
            Ok(phone) => Some(format!("`{field}` is stored as `{}` and never as `{shown}`", phone.expose())),
            Err(_) => Some(format!("`{shown}` is no phone number such as `+79000000000`")),
        },
        Field::Email => match Email::parse(value) {
            Ok(email) if fold::same(&email.dedupe_key(), value) => None,
            Ok(email) => {
                Some(format!("`{field}` is compared as `{}` and never as `{shown}`", email.dedupe_key()))
            }
            Err(_) => Some(format!("`{shown}` is no e-mail address")),
        },
        Field::EmailDomain if value.contains('@') || value.trim() != value => {
            Some(format!("`{field}` is what stands after `@`, and never `{shown}`"))
        }
        Field::Locale if !["ru", "en"].iter().any(|known| fold::same(known, value)) => {
            Some(format!("`{field}` is `ru` or `en`, and never `{shown}`"))
        }
        Field::LastOwner if !targets.iter().any(|known| fold::same(known, value)) => {
            let near =
                nearest(value, targets).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            Some(format!("the policy has no target `{shown}`{near}"))
        }
        _ => None,
    }
}

/// Why a number never stands so to another.
fn never_compares(field: &Field, is: Comparison, want: &Number) -> Option<String> {
    let whole = |number: i64| is.holds(&Number::whole(number), want);
    let (least, possible) = match field {
        Field::Hour => ("0 to 23", (0..24).any(whole)),
        Field::HistoryLeads => {
            let negative = Comparison::Less.holds(want, &Number::whole(0));
            (
                "0 or more",
                if is == Comparison::Equal { !negative } else { whole(0) || whole(i64::from(i32::MAX)) },
            )
        }
        _ => return None,
    };
    (!possible).then(|| format!("`{field}` is {least}, so this never holds"))
}

/// Two conditions that must both hold and never do.
fn contradiction(all: &[Condition]) -> Option<String> {
    all.iter().enumerate().find_map(|(index, first)| {
        let others = all.iter().skip(index + 1);
        let other = others.into_iter().find(|second| excludes(first, second) || excludes(second, first))?;
        Some(format!("`{first}` and `{other}` never hold together"))
    })
}

/// Whether `second` does not hold where `first` does.
fn excludes(first: &Condition, second: &Condition) -> bool {
    use Condition::{Compare, Differs, Equals, IsOpen, Missing, Not, OneOf, PhoneCountry};
    let among = |values: &[String], value: &String| values.iter().any(|one| fold::same(one, value));
    match (first, second) {
        (Missing(field), other) => !matches!(other, Missing(_)) && other.field() == Some(field),
        (Equals { field: a, value: x }, Equals { field: b, value: y }) => a == b && !fold::same(x, y),
        (Equals { field: a, value: x }, Differs { field: b, value: y }) => a == b && fold::same(x, y),
        (Equals { field: a, value: x }, OneOf { field: b, values }) => a == b && !among(values, x),
        (OneOf { field: a, values: x }, OneOf { field: b, values: y }) => {
            a == b && !x.iter().any(|x| among(y, x))
        }
        (PhoneCountry(x), PhoneCountry(y)) => !x.iter().any(|x| among(y, x)),
        (IsOpen(x), IsOpen(y)) => x != y,
        (condition, Not(other)) => **other == *condition,
        (Compare { field: a, is, value: x }, Compare { field: b, is: other, value: y }) if a == b => {
            compared(*is, *x, *other, *y)
        }
        _ => false,
    }
}

/// Whether no value stands so to both.
fn compared(is: Comparison, value: Value, other: Comparison, limit: Value) -> bool {
    use Comparison::{AtLeast, AtMost, Equal, Less, More};
    let order = match (value, limit) {
        (Value::Number(x), Value::Number(y)) => x.cmp(&y),
        (Value::Date(x), Value::Date(y)) => x.cmp(&y),
        (Value::TimeOfDay(x), Value::TimeOfDay(y)) => x.cmp(&y),
        _ => return false,
    };
    match (is, other) {
        (Equal, Equal) => order.is_ne(),
        (Equal | AtLeast, AtMost) | (AtLeast, Equal) => order.is_gt(),
        (Equal, AtLeast) => order.is_lt(),
        (Equal, More) => order.is_le(),
        (More, Equal | AtMost | Less) | (Equal | AtLeast, Less) => order.is_ge(),
        _ => false,
    }
}
