//! The three addresses over HTTP, by GET or POST.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use bytes::Bytes;

use super::charset::Charset;
use super::params::Params;
use super::reply::{Refusal, Success, gateway_page};
use super::state::Shared;
use super::{query, send};
use crate::sim::played::{after_accept, before_accept};
use crate::sim::{Fault, Faults};

type Action = fn(&Shared, &Params) -> Result<Success, Refusal>;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/sys/send.php", endpoint(send::send, |shared| &shared.faults))
        .route("/sys/status.php", endpoint(query::status, |shared| &shared.query_faults))
        .route("/sys/balance.php", endpoint(query::balance, |shared| &shared.query_faults))
        .fallback(|| async { gateway_page(StatusCode::NOT_FOUND.as_u16()) })
        .with_state(Arc::clone(shared))
}

fn endpoint(action: Action, faults: fn(&Shared) -> &Faults) -> MethodRouter<Arc<Shared>> {
    let handler = move |State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, body: Bytes| async move {
        let fault = faults(&shared).take();
        handle(&shared, action, fault, &Params::read(query.as_deref(), &body)).await
    };
    get(handler).post(handler)
}

async fn handle(shared: &Shared, action: Action, fault: Option<Fault>, params: &Params) -> Response {
    let format = params.number("fmt", 0).unwrap_or(0);
    let charset = params.charset().unwrap_or(Charset::Windows1251);
    if let Some(refusal) = fault.as_ref().and_then(Refusal::scripted) {
        return named(refusal, params).render(format, charset);
    }
    match &fault {
        Some(Fault::ServerError { status }) => return gateway_page(*status),
        Some(Fault::Delay { millis }) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        Some(fault) => {
            if let Some(played) = before_accept(fault).await {
                return played;
            }
        }
        None => {}
    }
    let outcome = authorize(shared, params)
        .and_then(|()| if matches!(format, 0 | 1 | 3) { Ok(()) } else { Err(Refusal::of(1)) })
        .and_then(|()| action(shared, params));
    let answer = match outcome {
        Ok(success) => success.render(format, charset),
        Err(refusal) => refusal.render(format, charset),
    };
    after_accept(fault, answer).await
}

/// 3, 6, 7 and 8 name the message that they are about.
fn named(refusal: Refusal, params: &Params) -> Refusal {
    let id = params.ascii("id").parse().ok();
    match (refusal.code, id) {
        (3 | 6 | 7 | 8, Some(id)) => refusal.about(id),
        _ => refusal,
    }
}

fn authorize(shared: &Shared, params: &Params) -> Result<(), Refusal> {
    if shared.lock().blocked {
        return Err(Refusal::of(4));
    }
    let by_key = params.ascii("apikey") == shared.api_key;
    let by_password = params.ascii("login") == shared.login && params.ascii("psw") == shared.password;
    if by_key || (by_password && !params.has("apikey")) { Ok(()) } else { Err(Refusal::of(2)) }
}
