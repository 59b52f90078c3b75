//! `/webhooks/{token}`: where providers call us.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fastlead_core::id::ChannelId;
use fastlead_core::time::{Timestamp, epoch};
use fastlead_core::webhook::{WebhookReply, WebhookRequest};
use fastlead_core::{Error, ErrorKind};
use sha2::{Digest, Sha256};
use tokio::sync::RwLock;

use crate::app::App;
use crate::capture::too_large;
use crate::client::Visitor;
use crate::problem::Problem;

/// How long an unknown token does not make us read the catalog again, in milliseconds.
const REFRESH_MILLIS: i64 = 3_000;

/// Which token belongs to which channel. Kept by hash, so that looking one up tells nothing by its time.
#[derive(Debug, Default)]
pub(super) struct WebhookTokens(RwLock<Known>);

#[derive(Debug)]
struct Known {
    channels: HashMap<[u8; 32], ChannelId>,
    /// The channels that the engine had when this was read: another one is a reason to read again at once.
    at_work: HashSet<ChannelId>,
    read_at: Timestamp,
}

impl Default for Known {
    fn default() -> Self {
        Self { channels: HashMap::new(), at_work: HashSet::new(), read_at: epoch() }
    }
}

impl WebhookTokens {
    async fn channel(&self, app: &App, token: &str) -> Result<Option<ChannelId>, Error> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(id) = self.0.read().await.channels.get(&key) {
            return Ok(Some(*id));
        }
        let mut known = self.0.write().await;
        let now = app.engine.clock().now();
        let age = (now - known.read_at).num_milliseconds();
        let at_work: HashSet<ChannelId> =
            app.engine.directory().channels().map(|channel| channel.id).collect();
        let stale = !(0..REFRESH_MILLIS).contains(&age) || !at_work.is_subset(&known.at_work);
        if stale && !known.channels.contains_key(&key) {
            let channels = app.store.load().await?.channels;
            let tokens = channels.into_iter().filter(|record| !record.webhook_token.is_empty());
            let hashed = tokens.filter_map(|record| {
                match app.keyring.open_token(record.workspace_id, record.id, &record.webhook_token) {
                    Ok(token) => Some((Sha256::digest(token.as_bytes()).into(), record.id)),
                    Err(error) => {
                        tracing::error!(channel = %record.id, %error, "its provider's requests are refused");
                        None
                    }
                }
            });
            *known = Known { channels: hashed.collect(), at_work, read_at: now };
        }
        Ok(known.channels.get(&key).copied())
    }
}

/// Bytes of a provider's request that are taken in any case.
pub(super) const PROVIDER_BYTES: usize = 1_048_576;

/// Takes a provider's request and answers exactly as the provider wants.
pub(super) async fn receive(
    State(app): State<App>,
    Extension(tokens): Extension<Arc<WebhookTokens>>,
    token: Result<Path<String>, PathRejection>,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("this webhook address");
    let Path(token) = token.map_err(|_| unknown())?;
    let channel = tokens.channel(&app, &token).await?.ok_or_else(unknown)?;
    let (method, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
    // Providers send more than visitors: an update of Telegram has up to 512 KiB.
    let limit = app.settings.http.body_limit_bytes.max(PROVIDER_BYTES);
    let body =
        Bytes::from_request(request, &()).await.map_err(|rejection| too_large(rejection.status(), limit))?;
    // The http crate keeps header names in lower case.
    let headers: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = WebhookRequest {
        method: method.as_str(),
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
        remote: visitor.ip,
        received_at: app.engine.clock().now(),
    };
    match app.engine.webhook(channel, request).await {
        Ok(reply) => answer(reply),
        Err(error) => {
            metrics::counter!("fastlead_webhooks_refused_total", "code" => error.code()).increment(1);
            if error.kind() == ErrorKind::NotFound {
                return Err(unknown());
            }
            tracing::warn!(%channel, %error, "a provider's request was refused");
            Err(error.into())
        }
    }
}

fn answer(reply: WebhookReply) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(reply.status)
        .map_err(|_| Error::new(ErrorKind::Internal, "an adapter answered with an impossible status"))?;
    let content_type = HeaderValue::from_static(reply.content_type);
    Ok((status, [(header::CONTENT_TYPE, content_type)], reply.body).into_response())
}
