//! `/sys/send.php`.

use serde_json::json;

use super::params::Params;
use super::parts::{parts, transliterate};
use super::reply::{Refusal, Success};
use super::state::{Endpoint, Message, Shared, State, money, stored_phone};
use crate::sim::{Arrival, Inbox};

const LARGEST_ID: i64 = 2_147_483_647;
const LONGEST_TEXT: usize = 1000;
const LONGEST_SENDER: usize = 11;

/// What a request asks for, once its parameters are known to be right.
struct Order {
    id: Option<u32>,
    phones: Vec<String>,
    text: String,
    sender: String,
    cost: i64,
    valid: String,
    translit: bool,
}

impl Order {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let wrong = || Refusal::of(1);
        let charset = params.charset().ok_or_else(wrong)?;
        let text = charset.decode(params.bytes("mes").unwrap_or_default());
        if text.trim().is_empty() || text.chars().count() > LONGEST_TEXT {
            return Err(wrong());
        }
        let phones: Vec<String> = params
            .ascii("phones")
            .split([',', ';'])
            .filter(|phone| !phone.trim().is_empty())
            .map(str::to_owned)
            .collect();
        let id = params.number("id", 0).filter(|id| (0..=LARGEST_ID).contains(id)).ok_or_else(wrong)?;
        let cost = params.number("cost", 0).filter(|cost| (0..=3).contains(cost)).ok_or_else(wrong)?;
        let translit =
            params.number("translit", 0).filter(|mode| (0..=2).contains(mode)).ok_or_else(wrong)?;
        if phones.is_empty() || !lifetime_is_good(params.ascii("valid")) {
            return Err(wrong());
        }
        if !matches!(params.ascii("time"), "" | "0") {
            return Err(Refusal::of(5));
        }
        Ok(Self {
            id: u32::try_from(id).ok().filter(|id| *id > 0),
            phones,
            text: if translit == 0 { text } else { transliterate(&text) },
            sender: params.ascii("sender").to_owned(),
            cost,
            valid: params.ascii("valid").to_owned(),
            translit: translit != 0,
        })
    }

    const fn endpoint(&self) -> Endpoint {
        if self.cost == 1 { Endpoint::Price } else { Endpoint::Send }
    }
}

/// 1 to 24 hours, or `hh:mm` from 00:01 to 24:00.
fn lifetime_is_good(valid: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() <= 2);
    match valid.split_once(':') {
        None => valid.is_empty() || number(valid).is_some_and(|hours| (1..=24).contains(&hours)),
        Some((hours, minutes)) => match (number(hours), number(minutes)) {
            (Some(hours), Some(minutes)) => minutes < 60 && (1..=24 * 60).contains(&(hours * 60 + minutes)),
            _ => false,
        },
    }
}

pub(super) fn send(shared: &Shared, params: &Params) -> Result<Success, Refusal> {
    let order = Order::read(params)?;
    let mut state = shared.lock();
    if state.repeats(order.endpoint(), params) {
        return Err(Refusal::of(9));
    }
    let count = parts(&order.text);
    let receivers = i64::try_from(order.phones.len()).unwrap_or(i64::MAX);
    let price = state.price.saturating_mul(i64::from(count));
    let total = price.saturating_mul(receivers);
    if order.cost == 1 {
        return Ok(priced(total, count));
    }
    let id = order.id.unwrap_or_else(|| {
        state.last_id += 1;
        state.last_id
    });
    let refuse = |code| Refusal::of(code).about(id);
    let phones: Vec<_> = order.phones.iter().map(|phone| stored_phone(phone)).collect();
    let phones: Vec<String> = phones.into_iter().collect::<Option<_>>().ok_or_else(|| refuse(7))?;
    if phones.iter().any(|phone| state.unreachable.contains(phone)) {
        return Err(refuse(8));
    }
    if !sender_is_good(&state, &order.sender) {
        return Err(refuse(6));
    }
    if state.balance < total {
        return Err(refuse(3));
    }
    state.balance -= total;
    for phone in phones {
        accept(&mut state, &shared.inbox, &order, id, phone, count, price);
    }
    Ok(sent(id, count, order.cost, total, state.balance))
}

fn sender_is_good(state: &State, sender: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let well_formed = sender.len() <= LONGEST_SENDER && sender.chars().all(allowed);
    let registered =
        state.senders.as_ref().is_none_or(|senders| sender.is_empty() || senders.contains(sender));
    well_formed && registered
}

fn accept(state: &mut State, inbox: &Inbox, order: &Order, id: u32, phone: String, count: u32, price: i64) {
    let now = state.now();
    let from = if order.sender.is_empty() { "SMSC.RU" } else { &order.sender };
    inbox.push(Arrival {
        number: 0,
        simulator: "smsc".to_owned(),
        at_millis: now.timestamp_millis(),
        to: format!("+{phone}"),
        from: from.to_owned(),
        subject: None,
        text: order.text.clone(),
        markup: None,
        buttons: Vec::new(),
        provider_message_id: id.to_string(),
        details: json!({
            "id": id,
            "segments": count,
            "cost": money(price),
            "valid": order.valid,
            "translit": order.translit,
        }),
    });
    let message = Message {
        text: order.text.clone(),
        sender: from.to_owned(),
        cost: price,
        parts: count,
        sent_at: now,
        changed_at: now,
        status: -1,
        err: 0,
    };
    state.messages.insert((id, phone), message);
}

fn priced(total: i64, count: u32) -> Success {
    let cost = money(total);
    Success {
        text: format!("{cost} ({count} SMS)"),
        numbers: format!("{cost},{count}"),
        json: json!({ "cost": cost, "cnt": count }),
    }
}

fn sent(id: u32, count: u32, cost_mode: i64, total: i64, balance: i64) -> Success {
    let (cost, balance) = (money(total), money(balance));
    let plain = format!("OK - {count} SMS, ID - {id}");
    match cost_mode {
        2 => Success {
            text: format!("{plain}, COST - {cost}"),
            numbers: format!("{id},{count},{cost}"),
            json: json!({ "id": id, "cnt": count, "cost": cost }),
        },
        3 => Success {
            text: format!("{plain}, COST - {cost}, BALANCE - {balance}"),
            numbers: format!("{id},{count},{cost},{balance}"),
            json: json!({ "id": id, "cnt": count, "cost": cost, "balance": balance }),
        },
        _ => {
            Success { text: plain, numbers: format!("{id},{count}"), json: json!({ "id": id, "cnt": count }) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        for good in ["", "1", "24", "00:01", "1:30", "24:00"] {
            assert!(lifetime_is_good(good), "{good}");
        }
        for bad in ["0", "25", "00:00", "24:01", "1:60", "1h", "-1", ":", "100:00"] {
            assert!(!lifetime_is_good(bad), "{bad}");
        }
    }
}
