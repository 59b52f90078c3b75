//! `/sys/status.php` and `/sys/balance.php`.

use chrono::{FixedOffset, TimeZone};
use fastlead_core::time::Timestamp;
use serde_json::{Value, json};

use super::params::Params;
use super::reply::{Refusal, Success};
use super::state::{Endpoint, Message, Shared, money, stored_phone};

/// Dates are in Moscow's time: UTC+3 all year.
const MOSCOW_SECONDS: i32 = 3 * 60 * 60;

pub(super) fn status(shared: &Shared, params: &Params) -> Result<Success, Refusal> {
    let wrong = || Refusal::of(1);
    let (phone, id) = (params.ascii("phone"), params.ascii("id"));
    let all = params.number("all", 0).filter(|all| (0..=2).contains(all)).ok_or_else(wrong)?;
    params.charset().ok_or_else(wrong)?;
    let phones: Vec<&str> = phone.trim_end_matches(',').split(',').collect();
    let ids: Vec<&str> = id.trim_end_matches(',').split(',').collect();
    let pairs: Option<Vec<(u32, String)>> = ids
        .iter()
        .zip(&phones)
        .map(|(id, phone)| Some((id.trim().parse().ok()?, stored_phone(phone)?)))
        .collect();
    let pairs =
        pairs.filter(|pairs| pairs.len() == ids.len() && pairs.len() == phones.len()).ok_or_else(wrong)?;
    let mut state = shared.lock();
    if state.repeats(Endpoint::Status, params) {
        return Err(Refusal::of(9));
    }
    let batch = phone.contains(',');
    let found: Vec<_> = pairs.into_iter().map(|key| (state.messages.get(&key).cloned(), key)).collect();
    drop(state);
    let mut answers: Vec<Value> = found
        .iter()
        .map(|(message, (id, phone))| {
            let mut answer = message.as_ref().map_or_else(
                || json!({ "status": -3, "last_date": "", "last_timestamp": 0 }),
                |message| described(message, all, *id, phone),
            );
            if let (true, Value::Object(fields)) = (batch, &mut answer) {
                fields.insert("id".to_owned(), (*id).into());
                fields.insert("phone".to_owned(), phone.as_str().into());
            }
            answer
        })
        .collect();
    let numbers = found.first().and_then(|(message, _)| message.as_ref()).map_or_else(
        || "-3,0".to_owned(),
        |message| format!("{},{}", message.status, message.changed_at.timestamp()),
    );
    let json = if batch { Value::Array(answers) } else { answers.pop().unwrap_or(Value::Null) };
    Ok(Success { text: format!("Status = {numbers}"), numbers, json })
}

fn described(message: &Message, all: i64, id: u32, phone: &str) -> Value {
    let mut answer = json!({
        "status": message.status,
        "last_date": moscow(message.changed_at),
        "last_timestamp": message.changed_at.timestamp(),
    });
    let Value::Object(fields) = &mut answer else { return answer };
    if message.err != 0 || message.status >= 20 {
        fields.insert("err".to_owned(), message.err.into());
    }
    if all > 0 {
        fields.extend([
            ("send_date".to_owned(), moscow(message.sent_at).into()),
            ("send_timestamp".to_owned(), message.sent_at.timestamp().into()),
            ("id".to_owned(), id.into()),
            ("phone".to_owned(), phone.into()),
            ("cost".to_owned(), money(message.cost).into()),
            ("sender_id".to_owned(), message.sender.as_str().into()),
            ("status_name".to_owned(), status_name(message.status).into()),
            ("message".to_owned(), message.text.as_str().into()),
        ]);
    }
    answer
}

const fn status_name(status: i32) -> &'static str {
    match status {
        -1 => "Ожидает отправки",
        0 => "Передано оператору",
        1 => "Доставлено",
        2 => "Прочитано",
        3 => "Просрочено",
        20 => "Невозможно доставить",
        22 => "Неверный номер",
        23 => "Запрещено",
        24 => "Недостаточно средств",
        25 => "Недоступный номер",
        _ => "Неизвестно",
    }
}

fn moscow(moment: Timestamp) -> String {
    FixedOffset::east_opt(MOSCOW_SECONDS).map_or_else(String::new, |zone| {
        zone.from_utc_datetime(&moment.naive_utc()).format("%d.%m.%Y %H:%M:%S").to_string()
    })
}

pub(super) fn balance(shared: &Shared, params: &Params) -> Result<Success, Refusal> {
    let mut state = shared.lock();
    if state.repeats(Endpoint::Balance, params) {
        return Err(Refusal::of(9));
    }
    let balance = money(state.balance);
    let json = match params.number("cur", 0) {
        Some(1) => json!({ "balance": balance, "currency": "RUR" }),
        _ => json!({ "balance": balance }),
    };
    Ok(Success { text: balance.clone(), numbers: balance, json })
}

#[cfg(test)]
mod tests {
    use fastlead_core::time::from_millis;

    use super::*;

    #[test]
    fn dates_are_those_of_a_recorded_answer() {
        assert_eq!(moscow(from_millis(1_476_794_052_000)), "18.10.2016 15:34:12");
    }
}
