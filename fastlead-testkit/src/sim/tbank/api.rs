//! The API over HTTP: `/v2/<Method>` and `/cashbox/SendClosingReceipt`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State as Shelf};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use serde_json::{Value, json};

use super::state::{Payment, Shared, State};
use crate::sim::Fault;

/// A refusal: the bank's code.
struct Refused(&'static str);

type Answer = Result<Value, Refused>;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let closing = |shelf: Shelf<Arc<Shared>>, body: Bytes| async move {
        handle(shelf, Path("SendClosingReceipt".to_owned()), body).await
    };
    Router::new()
        .route("/v2/{method}", post(handle))
        .route("/cashbox/SendClosingReceipt", post(closing))
        .with_state(Arc::clone(shared))
}

async fn handle(Shelf(shared): Shelf<Arc<Shared>>, Path(method): Path<String>, body: Bytes) -> Response {
    let own = |fault: &Fault| match fault {
        Fault::ProviderCode { code, .. } => Some(refusal(&code.to_string()).to_string().into_response()),
        Fault::BadCredentials => Some(refusal("204").to_string().into_response()),
        _ => None,
    };
    let faults = shared.faults(&method);
    let accept = || {
        let answer = read(&body).and_then(|body| call(&shared, &method, body));
        answer.unwrap_or_else(|Refused(code)| refusal(code)).to_string().into_response()
    };
    faults.http(own, accept).await
}

fn refusal(code: &str) -> Value {
    json!({ "Success": false, "ErrorCode": code, "Message": "Неверные параметры.", "Details": "" })
}

fn read(body: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice::<Value>(body).ok().filter(Value::is_object).ok_or(Refused("200"))
}

fn call(shared: &Shared, method: &str, mut body: Value) -> Answer {
    let given = body["Token"].as_str().unwrap_or_default().to_owned();
    if body["TerminalKey"] != shared.terminal_key.as_str() {
        return Err(Refused("205"));
    }
    if given != shared.token(&body) {
        return Err(Refused("204"));
    }
    if let Some(fields) = body.as_object_mut() {
        fields.remove("Token");
    }
    let mut state = shared.lock();
    state.requests.push((method.to_owned(), body.clone()));
    match method {
        "Init" => init(&mut state, shared, &body),
        "GetState" => {
            let payment = find(&state, &body)?;
            let source = if payment.by_sbp { "qrsbp" } else { "cards" };
            let mut answer = about(payment, shared);
            answer["Params"] =
                json!([{ "Key": "Route", "Value": "ACQ" }, { "Key": "Source", "Value": source }]);
            Ok(answer)
        }
        "CheckOrder" => check_order(&state, shared, &body),
        "Confirm" => confirm(&mut state, shared, &body),
        "Cancel" => cancel(&mut state, shared, &body),
        "Charge" => charge(&mut state, shared, &body),
        "SendClosingReceipt" => closing(&mut state, shared, &body),
        _ => Err(Refused("201")),
    }
}

/// `PaymentId` is taken as text or number.
fn id(body: &Value) -> u64 {
    let id = &body["PaymentId"];
    id.as_u64().or_else(|| id.as_str()?.parse().ok()).unwrap_or_default()
}

fn find<'a>(state: &'a State, body: &Value) -> Result<&'a Payment, Refused> {
    state.payments.get(&id(body)).ok_or(Refused("255"))
}

/// What every method says of a payment.
fn about(payment: &Payment, shared: &Shared) -> Value {
    json!({
        "Success": true, "ErrorCode": "0", "Message": "OK", "TerminalKey": shared.terminal_key,
        "Status": payment.status, "PaymentId": payment.id.to_string(), "OrderId": payment.order,
        "Amount": payment.amount.max(payment.captured),
    })
}

fn init(state: &mut State, shared: &Shared, body: &Value) -> Answer {
    let amount = body["Amount"].as_i64().filter(|amount| *amount > 0).ok_or(Refused("251"))?;
    let order = body["OrderId"].as_str().filter(|order| (1..=36).contains(&order.len()));
    let order = order.ok_or(Refused("212"))?.to_owned();
    let recurrent = body["Recurrent"] == "Y";
    if recurrent && body["CustomerKey"].as_str().is_none_or(str::is_empty) {
        return Err(Refused("250"));
    }
    if body["Description"].as_str().is_some_and(|text| text.chars().count() > 140) {
        return Err(Refused("213"));
    }
    if state.unique_orders && state.payments.values().any(|payment| payment.order == order) {
        return Err(Refused("20"));
    }
    take_receipt(state, "Init", body, amount)?;
    let id = state.next_id();
    let prepaid = ["full_prepayment", "prepayment", "advance"];
    let has_prepayment = body["Receipt"]["Items"].as_array().is_some_and(|items| {
        items.iter().any(|item| prepaid.contains(&item["PaymentMethod"].as_str().unwrap_or_default()))
    });
    let payment = Payment {
        id,
        order,
        amount,
        captured: 0,
        refunded: 0,
        status: "NEW",
        code: "0",
        two_stage: body["PayType"] == "T",
        recurrent,
        by_sbp: false,
        has_prepayment,
        card: None,
        rebill: None,
        notification_url: body["NotificationURL"].as_str().map(str::to_owned),
        external: std::collections::BTreeMap::new(),
    };
    let mut answer = about(&payment, shared);
    answer["PaymentURL"] = format!("{}/pay/{id}", state.base_url).into();
    state.payments.insert(id, payment);
    Ok(answer)
}

/// Checks the sums of a receipt and keeps it.
fn take_receipt(state: &mut State, method: &str, body: &Value, amount: i64) -> Result<(), Refused> {
    let Some(receipt) = body.get("Receipt") else { return Ok(()) };
    let items = receipt["Items"].as_array().filter(|items| !items.is_empty()).ok_or(Refused("309"))?;
    if receipt["Email"].as_str().or(receipt["Phone"].as_str()).is_none_or(str::is_empty) {
        return Err(Refused("329"));
    }
    let is_12 = receipt["FfdVersion"] == "1.2";
    let mut sum = 0;
    for item in items {
        let (price, total) = (item["Price"].as_i64(), item["Amount"].as_i64());
        let (Some(price), Some(total)) = (price, total) else { return Err(Refused("308")) };
        let thousandths = thousandths(&item["Quantity"].to_string()).ok_or(Refused("310"))?;
        if price * thousandths != total * 1_000 {
            return Err(Refused("308"));
        }
        if is_12 && item["MeasurementUnit"].as_str().is_none_or(str::is_empty) {
            return Err(Refused("309"));
        }
        if item.get("AgentData").is_some() && item["SupplierInfo"]["Inn"].as_str().is_none_or(str::is_empty) {
            return Err(Refused("320"));
        }
        if !TAXES.contains(&item["Tax"].as_str().unwrap_or_default()) {
            return Err(Refused("308"));
        }
        sum += total;
    }
    if sum != amount {
        return Err(Refused("334"));
    }
    state.receipts.push((method.to_owned(), receipt.clone()));
    Ok(())
}

/// The rates of 2026; those of 20 % are kept for refunds.
const TAXES: [&str; 12] = [
    "none", "vat0", "vat5", "vat7", "vat10", "vat20", "vat22", "vat105", "vat107", "vat110", "vat120",
    "vat122",
];

/// A quantity with at most three decimals, in thousandths.
fn thousandths(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    (part.len() <= 3).then(|| format!("{whole}{part:0<3}").parse().ok())?
}

fn check_order(state: &State, shared: &Shared, body: &Value) -> Answer {
    let order = body["OrderId"].as_str().unwrap_or_default();
    let payments: Vec<Value> = state
        .payments
        .values()
        .filter(|payment| payment.order == order)
        .map(|payment| {
            // Here the code is a number and the truth a text.
            json!({
                "PaymentId": payment.id.to_string(), "Amount": payment.amount.max(payment.captured), "Status": payment.status,
                "RRN": "12345678", "Success": (payment.code == "0").to_string(),
                "ErrorCode": payment.code.parse::<u32>().unwrap_or_default(),
            })
        })
        .collect();
    if payments.is_empty() {
        return Err(Refused("255"));
    }
    Ok(json!({
        "TerminalKey": shared.terminal_key, "OrderId": order, "Success": true, "ErrorCode": "0", "Message": "OK",
        "Payments": payments,
    }))
}

fn confirm(state: &mut State, shared: &Shared, body: &Value) -> Answer {
    let (id, held, status) = {
        let payment = find(state, body)?;
        (payment.id, payment.amount, payment.status)
    };
    if !matches!(status, "AUTHORIZED" | "PARTIAL_REVERSED") {
        return Err(Refused("8"));
    }
    let amount = body["Amount"].as_i64().unwrap_or(held);
    if amount <= 0 || amount > held {
        return Err(Refused("251"));
    }
    take_receipt(state, "Confirm", body, amount)?;
    let Some(payment) = state.payments.get_mut(&id) else { return Err(Refused("255")) };
    (payment.status, payment.captured, payment.amount) = ("CONFIRMED", amount, amount);
    state.notify(id, shared);
    if body.get("Receipt").is_some() {
        state.notify_receipt(id, "IncomeReceipt", shared);
    }
    find(state, body).map(|payment| about(payment, shared))
}

fn cancel(state: &mut State, shared: &Shared, body: &Value) -> Answer {
    let key = body["ExternalRequestId"].as_str().unwrap_or_default().to_owned();
    let payment = find(state, body)?.clone();
    // For SBP the key counts for nothing.
    if let Some(earlier) = payment.external.get(&key).filter(|_| !payment.by_sbp) {
        return Ok(earlier.clone());
    }
    let original = payment.amount;
    let part = body["Amount"].as_i64().unwrap_or(original);
    let is_known = matches!(payment.status, "NEW" | "FORM_SHOWED");
    if !is_known && (part <= 0 || part > original) {
        return Err(Refused("251"));
    }
    let is_whole = part == original;
    let (status, left, refunded) = match payment.status {
        "NEW" | "FORM_SHOWED" => ("CANCELED", 0, 0),
        "AUTHORIZED" | "PARTIAL_REVERSED" if is_whole => ("REVERSED", 0, 0),
        "AUTHORIZED" | "PARTIAL_REVERSED" => ("PARTIAL_REVERSED", original - part, 0),
        "CONFIRMED" | "PARTIAL_REFUNDED" if payment.by_sbp => ("ASYNC_REFUNDING", original - part, part),
        "CONFIRMED" | "PARTIAL_REFUNDED" if is_whole => ("REFUNDED", 0, part),
        "CONFIRMED" | "PARTIAL_REFUNDED" => ("PARTIAL_REFUNDED", original - part, part),
        _ => return Err(Refused("8")),
    };
    take_receipt(state, "Cancel", body, part)?;
    let Some(payment) = state.payments.get_mut(&payment.id) else { return Err(Refused("255")) };
    (payment.status, payment.amount) = (status, left);
    payment.refunded += refunded;
    // Here the id is a number.
    let mut answer = json!({
        "TerminalKey": shared.terminal_key, "OrderId": payment.order, "Success": true, "Status": status,
        "OriginalAmount": original, "NewAmount": left, "PaymentId": payment.id, "ErrorCode": "0", "Message": "OK",
    });
    if !key.is_empty() {
        answer["ExternalRequestId"] = key.as_str().into();
        payment.external.insert(key, answer.clone());
    }
    let id = payment.id;
    state.notify(id, shared);
    if body.get("Receipt").is_some() {
        state.notify_receipt(id, "IncomeReturnReceipt", shared);
    }
    Ok(answer)
}

fn charge(state: &mut State, shared: &Shared, body: &Value) -> Answer {
    let payment = find(state, body)?;
    let (id, status) = (payment.id, payment.status);
    let rebill = &body["RebillId"];
    let rebill = rebill.as_u64().or_else(|| rebill.as_str()?.parse().ok()).unwrap_or_default();
    let card = state.rebills.get(&rebill).cloned().ok_or(Refused("1126"))?;
    if status != "NEW" {
        return Err(Refused("8"));
    }
    state.charge(id, &card, shared);
    let payment = find(state, body)?;
    let mut answer = about(payment, shared);
    answer["Success"] = (payment.code == "0").into();
    answer["ErrorCode"] = payment.code.into();
    Ok(answer)
}

fn closing(state: &mut State, shared: &Shared, body: &Value) -> Answer {
    let payment = find(state, body)?;
    let (id, captured) = (payment.id, payment.captured);
    if payment.status != "CONFIRMED" || !payment.has_prepayment {
        return Err(Refused("8"));
    }
    if body.get("Receipt").is_none() {
        return Err(Refused("309"));
    }
    take_receipt(state, "SendClosingReceipt", body, captured)?;
    state.notify_receipt(id, "IncomeReceipt", shared);
    Ok(json!({ "Success": true, "ErrorCode": "0", "Message": "OK" }))
}
