//! The Bot API over HTTP: `/bot<TOKEN>/<method>`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;

use super::answer::{Answer, gateway_page};
use super::params::Params;
use super::state::Shared;
use super::{messages, updates};
use crate::sim::Fault;
use crate::sim::played::{after_accept, before_accept};

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/{bot}/{method}", any(handle))
        .fallback(|| async { Answer::refused(404, "Not Found") })
        .with_state(Arc::clone(shared))
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    Path((bot, method)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let method = method.to_ascii_lowercase();
    let fault = if method == "getupdates" { shared.update_faults.take() } else { shared.faults.take() };
    match &fault {
        None => {}
        Some(Fault::Delay { millis }) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        Some(Fault::ServerError { status }) => return gateway_page(*status),
        Some(fault) => {
            if let Some(played) = before_accept(fault).await {
                return played;
            }
            if let Some(answer) = scripted(fault.clone()) {
                return answer.into_response();
            }
        }
    }
    let answer = match authorize(&shared, &bot) {
        Ok(()) => match Params::read(&headers, query.as_deref(), &body) {
            Ok(params) => call(&shared, &method, params).await,
            Err(refusal) => Err(refusal),
        },
        Err(refusal) => Err(refusal),
    };
    after_accept(fault, answer.unwrap_or_else(|refusal| refusal).into_response()).await
}

/// Telegram's own words for a fault. `None` for an empty account: sending through Telegram costs
/// nothing, so there is nothing to answer.
fn scripted(fault: Fault) -> Option<Answer> {
    Some(match fault {
        Fault::RateLimited { after_secs } => Answer::slow_down(after_secs),
        Fault::BadRecipient => Answer::refused(403, "Forbidden: bot was blocked by the user"),
        Fault::BadCredentials => Answer::refused(401, "Unauthorized"),
        Fault::BadContent => Answer::refused(
            400,
            "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 0",
        ),
        Fault::ProviderCode { code, text } => {
            Answer::refused(u16::try_from(code).ok().filter(|code| (100..=999).contains(code))?, text)
        }
        _ => return None,
    })
}

/// A token of the wrong form is an unknown path; one of the right form is wrong.
fn authorize(shared: &Shared, bot: &str) -> Result<(), Answer> {
    let token = bot.strip_prefix("bot").ok_or_else(|| Answer::refused(404, "Not Found"))?;
    if token == shared.token {
        return Ok(());
    }
    let well_formed = token.split_once(':').is_some_and(|(id, secret)| {
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) && !secret.is_empty()
    });
    Err(if well_formed { Answer::refused(401, "Unauthorized") } else { Answer::refused(404, "Not Found") })
}

async fn call(shared: &Arc<Shared>, method: &str, params: Params) -> Result<Answer, Answer> {
    match method {
        "getme" => {
            let mut bot = shared.bot();
            bot["can_join_groups"] = true.into();
            bot["can_read_all_group_messages"] = false.into();
            bot["supports_inline_queries"] = false.into();
            Ok(Answer::done(bot))
        }
        "sendmessage" => messages::send(shared, params),
        "editmessagetext" => messages::edit_text(shared, &params),
        "editmessagereplymarkup" => messages::edit_markup(shared, &params),
        "answercallbackquery" => messages::answer_callback(shared, &params),
        "getupdates" => updates::get(shared, &params).await,
        "setwebhook" => updates::set_webhook(shared, &params),
        "deletewebhook" => Ok(updates::delete_webhook(shared, &params)),
        "getwebhookinfo" => Ok(updates::webhook_info(shared)),
        _ => Err(Answer::refused(404, "Not Found: method not found")),
    }
}
