//! The demo's page: the form on one side; the manager's chats, the visitor's phone, the mailbox, the
//! program that gets webhooks and the reasons on the other, live.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use fastlead_core::Result;
use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{ChannelId, ProjectId, WorkspaceId};
use fastlead_core::message::Locale;
use fastlead_core::port::{LeadFilter, PageRequest};
use fastlead_core::time::Timestamp;
use fastlead_testkit::sim::Arrival;
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{MANAGER_CHAT, Providers, SENIOR_CHAT};
use crate::app::App;
use crate::bootstrap;
use crate::operator::{ExplanationView, explanation, set_cookie};
use crate::problem::Problem;

/// What the demo's routes share.
#[derive(Debug, Clone)]
pub struct DemoState {
    providers: Arc<Providers>,
    started: Timestamp,
}

impl DemoState {
    /// Watches these simulators. What was captured before `started` is history.
    pub const fn new(providers: Arc<Providers>, started: Timestamp) -> Self {
        Self { providers, started }
    }

    /// When the demo was started.
    pub(super) const fn started(&self) -> Timestamp {
        self.started
    }

    /// What stands in chats of the simulated Telegram.
    pub(super) fn chats(&self, chats: &[(i64, &str)]) -> Vec<Value> {
        let telegram = self.providers.telegram.inbox().all();
        let chat = |(id, title): &(i64, &str)| {
            let messages: Vec<_> = telegram.iter().filter(|arrival| arrival.to == id.to_string()).collect();
            json!({"id": id, "title": title, "messages": messages})
        };
        chats.iter().map(chat).collect()
    }
}

/// How many of the newest leads the page shows.
const SHOWN: u32 = 10;

pub(super) fn routes(state: DemoState) -> Router<App> {
    let watch = state.clone();
    let press = state.clone();
    Router::new()
        .merge(super::day::routes(state))
        .route("/demo", get(|| async { asset("text/html; charset=utf-8", include_str!("../web/demo.html")) }))
        .route(
            "/demo/demo.css",
            get(|| async { asset("text/css; charset=utf-8", include_str!("../web/demo.css")) }),
        )
        .route(
            "/demo/demo.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("../web/demo.js")) }),
        )
        .route(
            "/demo/page.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("../web/page.js")) }),
        )
        .route(
            "/demo/widget",
            get(|| async { asset("text/html; charset=utf-8", include_str!("../web/widget.html")) }),
        )
        .route(
            "/demo/widget.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("../web/widget.js")) }),
        )
        .route(
            "/demo/stream",
            get(move |State(app): State<App>| {
                live(app, watch, |app, state| Box::pin(async move { collect(&app, &state).await }))
            }),
        )
        .route("/demo/console", get(open_console))
        .route("/demo/press/{chat}/{message}", post(move |path, body| press_button(press, path, body)))
}

pub(super) fn asset(content_type: &'static str, text: &'static str) -> Response {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'";
    let headers = [(header::CONTENT_TYPE, content_type), (header::CONTENT_SECURITY_POLICY, policy)];
    let mut response = (headers, text).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Signs the visitor in as the demo's own account and goes to the console.
async fn open_console(State(app): State<App>) -> Result<Response, Problem> {
    let now = app.engine.clock().now();
    let cookie = app.auth.open_for_demo(bootstrap::ADMIN, &**app.engine.ids(), now).await?;
    let mut response = Redirect::to("/console/").into_response();
    set_cookie(&mut response, cookie.line(app.has_public_address()));
    Ok(response)
}

#[derive(Debug, Serialize)]
struct Shown {
    chats: Vec<Value>,
    sms: Vec<Arrival>,
    mail: Vec<Arrival>,
    crm: Vec<Arrival>,
    /// The names of the channels.
    channels: BTreeMap<ChannelId, String>,
    leads: Vec<ExplanationView>,
}

async fn collect(app: &App, state: &DemoState) -> Result<Value> {
    let workspace = WorkspaceId::from_uuid(stable_uuid("workspace", "first"));
    let page = PageRequest { after: None, limit: SHOWN };
    let project = ProjectId::from_uuid(stable_uuid("project", "first"));
    let filter = LeadFilter { project_id: Some(project), ..LeadFilter::default() };
    let found = app.store.leads(workspace, filter, page).await?;
    let directory = app.engine.directory();
    let mut leads = Vec::with_capacity(found.items.len());
    for lead in found.items {
        if let Some(record) = app.store.lead(workspace, lead.id).await? {
            leads.push(explanation(app, workspace, record.id, Some(record), Locale::Ru).await?);
        }
    }
    let chats = state.chats(&[(MANAGER_CHAT, "Анна, менеджер"), (SENIOR_CHAT, "Олег, старший менеджер")]);
    let shown = Shown {
        chats,
        sms: state.providers.smsc.inbox().all(),
        mail: state.providers.smtp.inbox().all(),
        crm: state.providers.crm.inbox().all(),
        channels: directory.channels().map(|channel| (channel.id, channel.name.clone())).collect(),
        leads,
    };
    Ok(json!(shown))
}

/// What a page shows.
type Collecting = Pin<Box<dyn Future<Output = Result<Value>> + Send>>;

/// Sends the whole state whenever something has changed; it is small, and nothing can get out of step.
pub(super) async fn live(
    app: App,
    state: DemoState,
    collect: fn(App, DemoState) -> Collecting,
) -> Sse<impl Stream<Item = std::result::Result<SseEvent, Infallible>>> {
    let changes = app.engine.changes();
    let inboxes = [
        state.providers.telegram.inbox().subscribe(),
        state.providers.smsc.inbox().subscribe(),
        state.providers.smtp.inbox().subscribe(),
        state.providers.crm.inbox().subscribe(),
    ];
    let start = (app, state, changes, inboxes, true);
    let stream = stream::unfold(start, move |(app, state, mut changes, mut inboxes, first)| async move {
        if !first {
            let [telegram, sms, mail, crm] = &mut inboxes;
            tokio::select! {
                () = app.stopping.cancelled() => return None,
                changed = changes.recv() => {
                    if matches!(changed, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
                        return None;
                    }
                }
                changed = telegram.changed() => changed.ok()?,
                changed = sms.changed() => changed.ok()?,
                changed = mail.changed() => changed.ok()?,
                changed = crm.changed() => changed.ok()?,
            }
            // What has changed meanwhile is seen at once.
            while changes.try_recv().is_ok() {}
        }
        let event = match collect(app.clone(), state.clone()).await {
            Ok(shown) => SseEvent::default().event("state").json_data(shown).unwrap_or_default(),
            Err(error) => SseEvent::default().event("problem").data(error.code()),
        };
        Some((Ok(event), (app, state, changes, inboxes, false)))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

#[derive(Debug, Deserialize)]
struct Press {
    data: String,
}

/// The manager presses a button.
async fn press_button(
    state: DemoState,
    Path((chat, message)): Path<(i64, i64)>,
    Json(press): Json<Press>,
) -> Response {
    match state.providers.telegram.press_button(chat, message, &press.data) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => Problem::not_found("this button").into_response(),
    }
}
