//! The payer's pages: the form of a payment, and 3-D Secure. HTML without script.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, State as Shelf};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use super::cards::{Verdict, verdict};
use super::state::Shared;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/confirm/{id}", get(form).post(pay))
        .route("/3ds/{id}", get(ask).post(check))
        .with_state(Arc::clone(shared))
}

#[derive(Debug, Deserialize)]
struct Paid {
    card: String,
}

fn page(title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1>{body}</html>"
    );
    Html(page).into_response()
}

async fn form(Shelf(shared): Shelf<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let state = shared.lock();
    let Some(payment) = state.payments.get(&id) else { return StatusCode::NOT_FOUND.into_response() };
    let amount = format!("{}.{:02} RUB", payment.amount / 100, payment.amount % 100);
    let body = format!(
        "<p>{amount}</p><form method=\"post\"><label>Card <input name=\"card\" inputmode=\"numeric\"></label><button>Pay</button></form>"
    );
    page("Simulated payment", &body)
}

async fn pay(
    Shelf(shared): Shelf<Arc<Shared>>,
    Path(id): Path<String>,
    Form(Paid { card }): Form<Paid>,
) -> Response {
    let mut state = shared.lock();
    let Some(payment) = state.payments.get_mut(&id) else { return StatusCode::NOT_FOUND.into_response() };
    if verdict(&card) == Verdict::Asks {
        payment.card = Some(card);
        return Redirect::to(&format!("/3ds/{}", payment.id)).into_response();
    }
    state.pay(&id, &card);
    back(state.payments.get(&id).and_then(|payment| payment.return_url.as_str()))
}

async fn ask(Shelf(shared): Shelf<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let state = shared.lock();
    let Some(payment) = state.payments.get(&id) else { return StatusCode::NOT_FOUND.into_response() };
    let body = format!(
        "<form method=\"post\" action=\"/3ds/{}\"><label>Code <input name=\"code\"></label><button>Confirm</button></form>",
        payment.id
    );
    page("3-D Secure", &body)
}

/// Any code does.
async fn check(Shelf(shared): Shelf<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let mut state = shared.lock();
    let Some(card) = state.payments.get(&id).and_then(|payment| payment.card.clone()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    state.pay(&id, &card);
    back(state.payments.get(&id).and_then(|payment| payment.return_url.as_str()))
}

fn back(url: Option<&str>) -> Response {
    url.map_or_else(|| page("Simulated payment", ""), |url| Redirect::to(url).into_response())
}
