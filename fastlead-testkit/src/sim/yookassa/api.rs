//! The API over HTTP, below `/v3/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State as Shelf};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::state::{Payment, Shared, State, now, roubles};
use super::{SECRET_KEY, SHOP_ID};
use crate::sim::Fault;

/// Status, code and the field at fault.
struct Refused(u16, &'static str, &'static str);

type Answer = Result<Value, Refused>;

const BAD: fn(&'static str) -> Refused = |field| Refused(400, "invalid_request", field);

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new().route("/v3/{*path}", any(handle)).with_state(Arc::clone(shared))
}

async fn handle(
    Shelf(shared): Shelf<Arc<Shared>>,
    Path(path): Path<String>,
    method: Method,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let faults = if method == Method::POST { &shared.faults } else { &shared.question_faults };
    let own = |fault: &Fault| match fault {
        Fault::BadCredentials => Some(refusal(401, "invalid_credentials", "")),
        Fault::RateLimited { .. } => Some(refusal(429, "too_many_requests", "")),
        Fault::ServerError { status: 500 } => Some(refusal(500, "internal_server_error", "")),
        // "processing", with the pause in milliseconds.
        Fault::ProviderCode { code: 202, text } => Some((StatusCode::ACCEPTED, text.clone()).into_response()),
        _ => None,
    };
    let accept = || {
        let expected = format!("Basic {}", STANDARD.encode(format!("{SHOP_ID}:{SECRET_KEY}")));
        if headers.get(header::AUTHORIZATION).is_none_or(|given| given.as_bytes() != expected.as_bytes()) {
            return refusal(401, "invalid_credentials", "");
        }
        if method == Method::POST {
            return post(&shared, &path, &headers, &body);
        }
        answer(get(&shared.lock(), &path, &query))
    };
    faults.http(own, accept).await
}

fn refusal(status: u16, code: &str, field: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({
        "type": "error", "id": "e65a8f85-f8b7-4f4f-9fd3-bfef99aacbbb", "code": code, "description": "Simulated refusal",
        "parameter": field,
    });
    (status, axum::Json(body)).into_response()
}

fn answer(answer: Answer) -> Response {
    match answer {
        Ok(object) => axum::Json(object).into_response(),
        Err(Refused(status, code, field)) => refusal(status, code, field),
    }
}

fn post(shared: &Shared, path: &str, headers: &HeaderMap, body: &[u8]) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let key = headers.get("Idempotence-Key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    if !(1..=64).contains(&key.len()) {
        return refusal(400, "invalid_request", "Idempotence-Key");
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return refusal(400, "invalid_request", "");
    };
    let mut state = shared.lock();
    state.requests.push((format!("POST {path}"), body.clone()));
    let asked = json!([path, body]);
    if let Some((first, _, object)) = state.keys.get(&key).cloned() {
        if first != asked {
            state.reused_keys.push(key);
        }
        return axum::Json(object).into_response();
    }
    let made = make(&mut state, path, &body);
    if let Ok(object) = &made {
        state.keys.insert(key, (asked, 200, object.clone()));
    }
    answer(made)
}

fn make(state: &mut State, path: &str, body: &Value) -> Answer {
    match path.split('/').collect::<Vec<_>>()[..] {
        ["payments"] => create(state, body),
        ["payments", id, "capture"] => capture(state, id, body),
        ["payments", id, "cancel"] => cancel(state, id),
        ["refunds"] => refund(state, body),
        ["receipts"] => receipt(state, body),
        _ => Err(Refused(404, "not_found", "")),
    }
}

/// Kopecks of an amount: a decimal text with two digits.
fn minor(amount: &Value) -> Option<i64> {
    let (whole, part) = amount["value"].as_str()?.split_once('.')?;
    (part.len() == 2 && amount["currency"] == "RUB").then(|| format!("{whole}{part}").parse().ok())?
}

fn create(state: &mut State, body: &Value) -> Answer {
    let amount = minor(&body["amount"]).filter(|amount| *amount > 0).ok_or_else(|| BAD("amount"))?;
    if body["description"].as_str().is_some_and(|text| text.chars().count() > 128) {
        return Err(BAD("description"));
    }
    let saved = body["payment_method_id"].as_str();
    let card = match saved {
        None if body["confirmation"]["return_url"].as_str().is_none() => return Err(BAD("confirmation")),
        None => None,
        Some(method) => Some(state.methods.get(method).cloned().ok_or_else(|| BAD("payment_method_id"))?),
    };
    take_receipt(state, "payment", &body["receipt"], amount)?;
    let id = state.next_id();
    let payment = Payment {
        id: id.clone(),
        status: "pending",
        reason: None,
        amount,
        captured: 0,
        refunded: 0,
        // The default is two stages.
        capture: body["capture"] == true,
        save: body["save_payment_method"] == true,
        method: saved.map(str::to_owned),
        card: None,
        description: body["description"].clone(),
        metadata: body.get("metadata").cloned().unwrap_or_else(|| json!({})),
        return_url: body["confirmation"]["return_url"].clone(),
        has_receipt: body.get("receipt").is_some(),
        created_at: now(),
    };
    state.payments.insert(id.clone(), payment);
    if let Some(card) = card {
        state.pay(&id, &card);
    }
    object(state, &id)
}

fn object(state: &State, id: &str) -> Answer {
    let payment = state.payments.get(id).ok_or(Refused(404, "not_found", ""))?;
    Ok(payment.object(&state.base_url))
}

/// Checks that price times quantity over all lines is the amount, and keeps the receipt.
fn take_receipt(state: &mut State, of: &str, receipt: &Value, amount: i64) -> Result<(), Refused> {
    if receipt.is_null() {
        return Ok(());
    }
    let items = receipt["items"].as_array().filter(|items| (1..=100).contains(&items.len()));
    let items = items.ok_or_else(|| BAD("receipt.items"))?;
    let customer = &receipt["customer"];
    if customer["email"].as_str().or(customer["phone"].as_str()).is_none_or(str::is_empty) {
        return Err(BAD("receipt.customer"));
    }
    let mut thousandths = 0;
    for item in items {
        let price = minor(&item["amount"]).ok_or_else(|| BAD("receipt.items.amount"))?;
        let quantity = quantity(&item["quantity"]).ok_or_else(|| BAD("receipt.items.quantity"))?;
        if !(1..=12).contains(&item["vat_code"].as_u64().unwrap_or_default()) {
            return Err(BAD("receipt.items.vat_code"));
        }
        thousandths += price * quantity;
    }
    if thousandths != amount * 1_000 {
        return Err(BAD("receipt.items.amount"));
    }
    state.receipts.push((of.to_owned(), receipt.clone()));
    Ok(())
}

/// Number or text with at most three decimals, in thousandths.
fn quantity(value: &Value) -> Option<i64> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    (part.len() <= 3).then(|| format!("{whole}{part:0<3}").parse().ok())?
}

fn capture(state: &mut State, id: &str, body: &Value) -> Answer {
    let payment = state.payments.get(id).ok_or(Refused(404, "not_found", ""))?;
    let held = payment.amount;
    if payment.status != "waiting_for_capture" {
        return Err(BAD("status"));
    }
    let amount = match body.get("amount") {
        None => held,
        Some(amount) => {
            minor(amount).filter(|part| (1..=held).contains(part)).ok_or_else(|| BAD("amount"))?
        }
    };
    take_receipt(state, "capture", &body["receipt"], amount)?;
    if let Some(payment) = state.payments.get_mut(id) {
        (payment.status, payment.amount, payment.captured) = ("succeeded", amount, amount);
    }
    state.notify(id);
    object(state, id)
}

fn cancel(state: &mut State, id: &str) -> Answer {
    let payment = state.payments.get_mut(id).ok_or(Refused(404, "not_found", ""))?;
    if payment.status != "waiting_for_capture" {
        return Err(BAD("status"));
    }
    (payment.status, payment.reason) = ("canceled", Some("canceled_by_merchant"));
    state.notify(id);
    object(state, id)
}

fn refund(state: &mut State, body: &Value) -> Answer {
    let amount = minor(&body["amount"]).filter(|amount| *amount > 0).ok_or_else(|| BAD("amount"))?;
    let of = body["payment_id"].as_str().unwrap_or_default().to_owned();
    let payment = state.payments.get(&of).ok_or_else(|| BAD("payment_id"))?;
    if payment.status != "succeeded" || amount > payment.captured - payment.refunded {
        return Err(BAD("amount"));
    }
    take_receipt(state, "refund", &body["receipt"], amount)?;
    let (status, reason) = state.next_refund.take().unwrap_or(("succeeded", None));
    let id = state.next_id();
    let mut object = json!({
        "id": id, "payment_id": of, "status": status, "created_at": now(), "amount": roubles(amount),
        "metadata": body.get("metadata").cloned().unwrap_or_else(|| json!({})),
    });
    if let Some(reason) = reason {
        object["cancellation_details"] = json!({ "party": "refund_network", "reason": reason });
    }
    if status == "succeeded" {
        if let Some(payment) = state.payments.get_mut(&of) {
            payment.refunded += amount;
        }
        // There is no notification of a refund that was refused.
        let event = json!({ "type": "notification", "event": "refund.succeeded", "object": object });
        state.notifications.push(event);
    }
    state.refunds.insert(id, object.clone());
    Ok(object)
}

fn receipt(state: &mut State, body: &Value) -> Answer {
    let of = body["payment_id"].as_str().unwrap_or_default();
    if !state.payments.contains_key(of) {
        return Err(BAD("payment_id"));
    }
    if body["send"] != true {
        return Err(BAD("send"));
    }
    let settled = body["settlements"].as_array().into_iter().flatten();
    let settled: i64 = settled.filter_map(|settlement| minor(&settlement["amount"])).sum();
    take_receipt(state, "separate", body, settled)?;
    let id = format!("rt_{}", state.next_id());
    let object = json!({
        "id": id, "type": body["type"], "payment_id": of, "status": "succeeded", "fiscal_document_number": "3986",
        "fiscal_storage_number": "9288000100115785", "fiscal_attribute": "2617603921",
        "registered_at": now(), "fiscal_provider_id": "fd9e9404-eaca-4000-8ec9-dc228ead2345",
    });
    state.receipt_objects.insert(id, object.clone());
    Ok(object)
}

fn get(state: &State, path: &str, query: &BTreeMap<String, String>) -> Answer {
    let lost = || Refused(404, "not_found", "");
    match path.split('/').collect::<Vec<_>>()[..] {
        ["me"] => Ok(
            json!({ "account_id": SHOP_ID, "status": "enabled", "test": true, "fiscalization_enabled": true }),
        ),
        ["payments", id] => object(state, id),
        ["refunds", id] => state.refunds.get(id).cloned().ok_or_else(lost),
        ["receipts", id] => state.receipt_objects.get(id).cloned().ok_or_else(lost),
        ["payments"] => {
            let payments = state.payments.values().map(|payment| payment.object(&state.base_url));
            page(payments.collect(), query)
        }
        ["refunds"] => page(state.refunds.values().cloned().collect(), query),
        _ => Err(lost()),
    }
}

/// A page of a list, newest first.
fn page(all: Vec<Value>, query: &BTreeMap<String, String>) -> Answer {
    let limit = query.get("limit").map_or(Some(10), |limit| limit.parse::<usize>().ok());
    let limit = limit.filter(|limit| (1..=100).contains(limit)).ok_or_else(|| BAD("limit"))?;
    let from = query.get("cursor").map_or(Some(0), |cursor| cursor.parse::<usize>().ok());
    let from = from.ok_or_else(|| BAD("cursor"))?;
    let text = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let mut wanted: Vec<Value> = all
        .into_iter()
        .filter(|object| query.get("created_at.gte").is_none_or(|since| text(object, "created_at") >= *since))
        .filter(|object| query.get("payment_id").is_none_or(|of| text(object, "payment_id") == *of))
        .collect();
    wanted.reverse();
    let items: Vec<Value> = wanted.iter().skip(from).take(limit).cloned().collect();
    let mut list = json!({ "type": "list", "items": items });
    if from + limit < wanted.len() {
        list["next_cursor"] = (from + limit).to_string().into();
    }
    Ok(list)
}
