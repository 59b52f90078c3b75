//! The hosted form page of a source: plain HTML that works without JavaScript.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastlead_core::engine::IdempotencyKey;
use fastlead_core::lead::{
    CaptureInput, ConsentDocument, ConsentPurpose, FieldMapping, NoteCode, ShownText, TRAP_FIELD, Touch,
};
use fastlead_core::message::Locale;
use fastlead_core::port::{FormTexts, Source};
use fastlead_core::secret::Pii;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::body;
use crate::capture::{admit, is_program, store, too_large, validated};
use crate::client::Visitor;
use crate::limits::Sender;
use crate::problem::Problem;
use crate::touch;
use crate::words::{Words, explain, words};

const PAGE: &str = include_str!("web/form.html");
const NOTICE: &str = include_str!("web/confirm.html");
const STYLE: &str = include_str!("web/form.css");

/// What the page's address may carry.
#[derive(Debug, Deserialize)]
pub(crate) struct PageQuery {
    lang: Option<String>,
    version: Option<String>,
}

#[derive(Debug, Serialize, Default)]
struct Values {
    name: String,
    phone: String,
    email: String,
    comment: String,
}

#[derive(Debug, Serialize)]
struct ConsentBox {
    purpose: &'static str,
    label: String,
    document: String,
    shown: String,
    required: bool,
    ticked: bool,
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    lang: &'static str,
    words: &'static Words,
    source_key: &'a str,
    title: String,
    intro: Option<String>,
    operator: Option<String>,
    thanks: String,
    other: Option<(&'static str, &'static str)>,
    ask_email: bool,
    ask_comment: bool,
    values: Values,
    boxes: Vec<ConsentBox>,
    errors: Vec<String>,
    trap: &'static str,
    shown_at: i64,
    submission: String,
    carried: Vec<(String, String)>,
    done: bool,
    document: Option<(String, String)>,
}

/// The language that was asked for, the browser's, or else `default`; of those that are `offered`.
pub(crate) fn locale(query: &PageQuery, headers: &HeaderMap, default: Locale, offered: &[Locale]) -> Locale {
    let known = |tag: &str| Locale::from_tag(tag).filter(|locale| offered.contains(locale));
    let accepted = || {
        let header = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
        header.split(',').find_map(|tag| known(tag.split(';').next().unwrap_or_default().trim()))
    };
    query.lang.as_deref().and_then(known).or_else(accepted).unwrap_or(default)
}

/// The same for the form of a source, which is offered in the languages in which it has all its texts.
pub(crate) fn locale_of_form(query: &PageQuery, headers: &HeaderMap, source: &Source) -> Locale {
    locale(query, headers, source.locale, &source.form.offered(source.locale, &source.consents))
}

fn source(app: &App, key: &str) -> Result<Arc<Source>, Problem> {
    app.engine.directory().source(key).map(Arc::clone).ok_or_else(|| Problem::not_found("this form"))
}

fn page(source: &Source, locale: Locale, now_millis: i64) -> Page<'_> {
    let words = words(locale);
    let documents = ConsentDocument::in_locale(&source.consents, locale, source.locale);
    let boxes = documents.into_iter().map(|document| ConsentBox {
        purpose: document.purpose.as_str(),
        label: document.label.clone(),
        document: format!("/f/{}/documents/{}", source.key, document.purpose.as_str()),
        shown: format!("{}:{}", document.text_sha256(), document.version),
        required: document.required,
        ticked: false,
    });
    let FormTexts { title, intro, operator, thanks } = source.form.texts(locale, source.locale);
    let offered = source.form.offered(source.locale, &source.consents);
    let other = offered.into_iter().find(|other| *other != locale);
    Page {
        lang: locale.as_str(),
        words,
        source_key: &source.key,
        title: title.unwrap_or_else(|| words.title.to_owned()),
        intro,
        operator,
        thanks: thanks.unwrap_or_else(|| words.thanks_more.to_owned()),
        other: other.map(|other| (other.as_str(), self::words(other).language)),
        ask_email: source.form.ask_email,
        ask_comment: source.form.ask_comment,
        values: Values::default(),
        boxes: boxes.collect(),
        errors: Vec::new(),
        trap: TRAP_FIELD,
        shown_at: now_millis,
        submission: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 12]>()),
        carried: Vec::new(),
        done: false,
        document: None,
    }
}

fn render(page: &Page<'_>, status: StatusCode) -> Response {
    html(PAGE, page, status)
}

/// A page for visitors, filled with `values`. Nobody may keep it or frame it.
pub(crate) fn html(template: &str, values: &impl Serialize, status: StatusCode) -> Response {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let html = environment.render_str(template, Serde(values));
    match html {
        Ok(html) => {
            let mut response = (status, Html(html)).into_response();
            let headers = response.headers_mut();
            let policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'";
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers
                .insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
        Err(error) => {
            tracing::error!(line = error.line(), kind = %error.kind(), "a page for visitors does not render");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the page could not be made")
                .into_response()
        }
    }
}

/// `GET /f/{key}`: the empty form. Parameters of the address (`utm_*`, click ids) are carried along, and the browser
/// keeps the first ones.
pub(crate) async fn show(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<PageQuery>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let source = match source(&app, &key) {
        Ok(source) => source,
        Err(problem) => return problem.into_response(),
    };
    let locale = locale_of_form(&query, &headers, &source);
    let now = app.engine.clock().now();
    let mut page = page(&source, locale, now.timestamp_millis());
    let (visit, carried) = visit(parameters);
    page.carried = carried;
    if let Some(referrer) = headers.get(header::REFERER).and_then(|value| value.to_str().ok()) {
        page.carried.push(("referrer".to_owned(), referrer.chars().take(2_048).collect()));
    }
    let mut response = render(&page, StatusCode::OK);
    if touch::first(&headers).is_none()
        && let Some(cookie) = touch::keep(visit, now, &source.key, app.public_url.starts_with("https://"))
    {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// What the parameters of the address say about the visit, and the same as fields of the form.
fn visit(parameters: Vec<(String, String)>) -> (Touch, Vec<(String, String)>) {
    let mut touch = Touch::default();
    let taken = parameters.into_iter().filter(|(name, value)| touch.take_parameter(name, value)).take(24);
    let carried = taken.collect();
    (touch, carried)
}

/// `POST /f/{key}`: the filled form. What must be mended comes back with everything that was typed.
pub(crate) async fn submit(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<PageQuery>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let source = match source(&app, &key) {
        Ok(source) => source,
        Err(problem) => return problem.into_response(),
    };
    let locale = locale_of_form(&query, &headers, &source);
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            return too_large(rejection.status(), app.settings.http.body_limit_bytes).into_response();
        }
    };
    let now = app.engine.clock().now().timestamp_millis();
    let (mut input, shown_at, submission) = read(&body);
    input.bot_check.elapsed_millis = Some(elapsed(shown_at, now));
    input.locale = Some(locale.as_str().to_owned());
    input.attribution.first = touch::first(&headers);
    let mut page = page(&source, locale, now);
    keep(&mut page, &input);
    let key = submission.map(|id| IdempotencyKey::new(format!("form:{id}"), &body));
    let problem = match take(&app, &source, &visitor, input, key).await {
        Ok(()) => {
            page.done = true;
            return render(&page, StatusCode::OK);
        }
        Err(problem) => problem,
    };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    page.errors = explain(&problem, locale);
    // The time of the first showing is kept, so that a person who mends the form is not too fast.
    page.shown_at = shown_at.filter(|at| (0..=now).contains(at)).unwrap_or(now);
    render(&page, status)
}

/// For how many milliseconds the visitor has seen the form. Every page of ours says when it was shown: where that is left
/// out, cannot be read, or is no moment of the past, whoever sends it has not come from the page, and gets no time.
fn elapsed(shown_at: Option<i64>, now: i64) -> u64 {
    let shown_at = shown_at.filter(|at| *at >= 0);
    shown_at.and_then(|at| u64::try_from(now.saturating_sub(at)).ok()).unwrap_or(0)
}

/// Takes the filled form. The visitor is there to mend the number that this page asks for; a mistake in anything else
/// is noted with the lead.
async fn take(
    app: &App,
    source: &Arc<Source>,
    visitor: &Visitor,
    mut input: CaptureInput,
    key: Option<IdempotencyKey>,
) -> Result<(), Problem> {
    admit(app, source, Sender::Visitor(visitor.ip)).await?;
    input.automated = is_program(&input, source)?;
    let capture = validated(app, source, visitor, input).await?;
    if capture.notes.iter().any(|note| note.code == NoteCode::InvalidPhone) {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_phone", "not a phone number"));
    }
    store(app, source, capture, key).await.map(|_| ())
}

/// A page that says a thing in a few words.
#[derive(Serialize)]
struct Notice {
    lang: &'static str,
    title: &'static str,
    text: String,
    button: Option<&'static str>,
}

/// The page for a visitor whose form, of another site, was taken.
pub(crate) fn thanks(locale: Locale) -> Response {
    let words = words(locale);
    let text = words.thanks_more.to_owned();
    let notice = Notice { lang: locale.as_str(), title: words.thanks, text, button: None };
    html(NOTICE, &notice, StatusCode::OK)
}

/// The same for one that was not: what to mend, on the page where it was filled in.
pub(crate) fn refused(problem: &Problem, locale: Locale) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let words = words(locale);
    let text = format!("{} {}", explain(problem, locale).join(" "), words.go_back);
    let notice = Notice { lang: locale.as_str(), title: words.mend, text, button: None };
    let mut response = html(NOTICE, &notice, status);
    if let Some(wait) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

/// `GET /f/{key}/documents/{purpose}`: the exact text behind a box.
pub(crate) async fn document(
    State(app): State<App>,
    Path((key, purpose)): Path<(String, String)>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Response {
    let source = match source(&app, &key) {
        Ok(source) => source,
        Err(problem) => return problem.into_response(),
    };
    let locale = locale_of_form(&query, &headers, &source);
    let shown = ConsentDocument::in_locale(&source.consents, locale, source.locale);
    let current = shown.into_iter().find(|document| document.purpose.as_str() == purpose);
    let Some(current) = current else { return Problem::not_found("this document").into_response() };
    let earlier = match query.version.as_deref() {
        Some(version) if version != current.version => match earlier(&app, &source, current, version).await {
            Ok(earlier) => Some(earlier),
            Err(problem) => return problem.into_response(),
        },
        _ => None,
    };
    let document = earlier.as_ref().unwrap_or(current);
    let mut page = page(&source, locale, 0);
    page.document = Some((document.label.clone(), document.text.clone()));
    render(&page, StatusCode::OK)
}

/// An earlier version of a document, which a page that was opened before may still show.
async fn earlier(
    app: &App,
    source: &Source,
    current: &ConsentDocument,
    version: &str,
) -> Result<ConsentDocument, Problem> {
    let kept = app.store.consent_documents(source.workspace_id, &current.document_id, version).await?;
    let same = |other: &ConsentDocument| {
        other.purpose == current.purpose
            && other.locale.unwrap_or(source.locale) == current.locale.unwrap_or(source.locale)
    };
    kept.into_iter().find(same).ok_or_else(|| Problem::not_found("this document"))
}

/// `GET /f/form.css`.
pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], STYLE)
        .into_response()
}

fn read(body: &[u8]) -> (CaptureInput, Option<i64>, Option<String>) {
    let mut input = body::url_encoded(body, None).into_input(&FieldMapping::default());
    let mut take =
        |name: &str| input.fields.remove(name).and_then(|value| value.expose().as_str().map(str::to_owned));
    let shown_at = take("shown_at").and_then(|text| text.parse().ok());
    let submission = take("submission").filter(|text| !text.is_empty() && text.len() <= 64);
    for purpose in ConsentPurpose::ALL {
        let shown = take(&format!("shown_{}", purpose.as_str()));
        let Some((text_sha256, version)) = shown.as_deref().and_then(|text| text.split_once(':')) else {
            continue;
        };
        let shown = ShownText { version: version.to_owned(), text_sha256: text_sha256.to_owned() };
        let answer = input.consents.remove(&purpose).unwrap_or_default();
        input.consents.insert(purpose, answer.beside(shown));
    }
    (input, shown_at, submission)
}

fn keep(page: &mut Page<'_>, input: &CaptureInput) {
    let text =
        |value: &Option<Pii<String>>| value.as_ref().map_or_else(String::new, |value| value.expose().clone());
    page.values = Values {
        name: text(&input.name),
        phone: text(&input.phone),
        email: text(&input.email),
        comment: text(&input.comment),
    };
    for shown in &mut page.boxes {
        shown.ticked = input
            .consents
            .iter()
            .any(|(purpose, given)| given.granted() && purpose.as_str() == shown.purpose);
    }
    if let Some(touch) = &input.attribution.last {
        let named = [
            ("utm_source", &touch.utm_source),
            ("utm_medium", &touch.utm_medium),
            ("utm_campaign", &touch.utm_campaign),
            ("utm_content", &touch.utm_content),
            ("utm_term", &touch.utm_term),
        ];
        let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        let referrer = touch.referrer.iter().map(|text| ("referrer".to_owned(), text.expose().clone()));
        page.carried = named.chain(touch.click_ids.clone()).chain(referrer).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_moment_of_the_past_gives_the_visitor_time() {
        let now = 1_790_000_000_000_i64;
        for (shown_at, seen) in [
            (Some(now - 5_000), 5_000),
            (Some(now), 0),
            (Some(0), now.unsigned_abs()),
            (None, 0),
            (Some(now + 1), 0),
            (Some(-1), 0),
            (Some(i64::MIN), 0),
            (Some(i64::MAX), 0),
        ] {
            assert_eq!(elapsed(shown_at, now), seen, "{shown_at:?}");
        }
    }
}
