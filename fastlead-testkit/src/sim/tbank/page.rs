//! The payer's pages: the form of a payment, and 3-D Secure. HTML without script.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, State as Shelf};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use super::cards::{PASSWORD_3DS, Verdict, verdict};
use super::state::Shared;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/pay/{id}", get(form).post(pay))
        .route("/3ds/{id}", get(ask).post(check))
        .with_state(Arc::clone(shared))
}

#[derive(Debug, Deserialize)]
struct Paid {
    card: String,
}

#[derive(Debug, Deserialize)]
struct Entered {
    password: String,
}

fn page(title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1>{body}</html>"
    );
    Html(page).into_response()
}

async fn form(Shelf(shared): Shelf<Arc<Shared>>, Path(id): Path<u64>) -> Response {
    let mut state = shared.lock();
    let Some(payment) = state.payments.get_mut(&id) else { return StatusCode::NOT_FOUND.into_response() };
    if payment.status == "NEW" {
        payment.status = "FORM_SHOWED";
    }
    let amount = format!("{}.{:02} RUB", payment.amount / 100, payment.amount % 100);
    let body = format!(
        "<p>{amount}</p><form method=\"post\"><label>Card <input name=\"card\" inputmode=\"numeric\"></label><button>Pay</button></form>"
    );
    page("Simulated payment", &body)
}

async fn pay(
    Shelf(shared): Shelf<Arc<Shared>>,
    Path(id): Path<u64>,
    Form(Paid { card }): Form<Paid>,
) -> Response {
    let mut state = shared.lock();
    if !state.payments.contains_key(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if verdict(&card) == Verdict::Asks {
        if let Some(payment) = state.payments.get_mut(&id) {
            payment.status = "3DS_CHECKING";
            payment.card = Some(card);
        }
        return Redirect::to(&format!("/3ds/{id}")).into_response();
    }
    state.pay(id, &card, &shared);
    outcome(state.payments.get(&id).map_or("", |payment| payment.status))
}

async fn ask(Path(id): Path<u64>) -> Response {
    let body = format!(
        "<form method=\"post\" action=\"/3ds/{id}\"><label>Password <input name=\"password\"></label><button>Confirm</button></form>"
    );
    page("3-D Secure", &body)
}

async fn check(
    Shelf(shared): Shelf<Arc<Shared>>,
    Path(id): Path<u64>,
    Form(Entered { password }): Form<Entered>,
) -> Response {
    let mut state = shared.lock();
    let waiting = state.payments.get(&id).filter(|payment| payment.status == "3DS_CHECKING");
    let Some(card) = waiting.and_then(|payment| payment.card.clone()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if password == PASSWORD_3DS {
        state.authorize(id, &card, &shared);
    } else {
        state.decline(id, "101", &shared);
    }
    outcome(state.payments.get(&id).map_or("", |payment| payment.status))
}

fn outcome(status: &str) -> Response {
    page("Simulated payment", &format!("<p>{status}</p>"))
}
