//! Sources: where leads come from.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::id::{ProjectId, SourceId};
use fastlead_core::lead::{ConsentDocument, FieldMapping};
use fastlead_core::message::Locale;
use fastlead_core::port::{FormSettings, FormTexts, Source, SourceLimits};
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CATALOG;
use super::input::{Body, Faults, Id, List, Query};
use super::projects::own;
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::bootstrap::random_text;
use crate::problem::Problem;

/// Characters of a generated key.
const KEY_CHARS: usize = 12;

/// A source.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Source")]
pub(crate) struct SourceView {
    /// Its id.
    id: SourceId,
    /// Its project.
    project_id: ProjectId,
    /// The public key in its addresses. Not a secret.
    key: String,
    /// Where programs and pages send leads.
    capture_url: String,
    /// The hosted form.
    form_url: String,
    /// When it was created.
    created_at: Timestamp,
    /// What can be changed.
    #[serde(flatten)]
    settings: SourceSettings,
}

/// What can be changed in a source.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceSettings {
    /// What people call it. Up to 100 characters.
    name: String,
    /// Whether it takes leads.
    #[serde(default = "yes")]
    active: bool,
    /// The language of its pages and answers where the visitor has no other.
    #[serde(default)]
    locale: Locale,
    /// Origins whose pages may post here, such as `https://example.com`, or `*` for all.
    #[serde(default)]
    allowed_origins: Vec<String>,
    /// The documents that it shows, at most one for each purpose and language. The text of a published version never changes.
    #[serde(default)]
    consents: Vec<ConsentDocument>,
    /// Its form: the hosted page, and the widget on a site.
    #[serde(default)]
    form: FormSettings,
    /// How much is taken.
    #[serde(default)]
    limits: SourceLimits,
    /// Where the fields of its forms belong: the names of a form tool, and names of one's own.
    #[serde(default)]
    mapping: FieldMapping,
}

const fn yes() -> bool {
    true
}

/// A source to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewSource")]
pub(crate) struct NewSourceInput {
    /// The project that its leads belong to.
    project_id: ProjectId,
    /// The settings.
    settings: SourceSettings,
}

fn view(app: &App, source: Source) -> SourceView {
    let url = &app.public_url;
    SourceView {
        id: source.id,
        project_id: source.project_id,
        capture_url: format!("{url}/v1/capture/{}", source.key),
        form_url: format!("{url}/f/{}", source.key),
        key: source.key,
        created_at: source.created_at,
        settings: SourceSettings {
            name: source.name,
            active: source.active,
            locale: source.locale,
            allowed_origins: source.allowed_origins,
            consents: source.consents,
            form: source.form,
            limits: source.limits,
            mapping: source.mapping,
        },
    }
}

/// All sources.
#[utoipa::path(
    get, path = "/v1/sources", tag = "installation",
    params(("project_id" = Option<String>, Query, description = "Only of this project")),
    responses((status = 200, description = "The sources", body = ref("#/components/schemas/SourceList"))),
)]
pub(crate) async fn list_sources(
    State(app): State<App>,
    operator: Operator,
    mut query: Query,
) -> Result<Json<List<SourceView>>, Problem> {
    let project: Option<ProjectId> = query.take("project_id")?;
    query.finish()?;
    let sources = app.store.load_workspace(operator.workspace_id).await?.sources;
    let mine = sources.into_iter().filter(|source| {
        source.workspace_id == operator.workspace_id
            && project.is_none_or(|project| project == source.project_id)
    });
    Ok(Json(List::whole(mine.map(|source| view(&app, source)).collect())))
}

/// Make a source; its public key is generated.
#[utoipa::path(
    post, path = "/v1/sources", tag = "installation",
    request_body = ref("#/components/schemas/NewSource"),
    responses((status = 201, description = "The source", body = ref("#/components/schemas/Source"))),
)]
pub(crate) async fn create_source(
    State(app): State<App>,
    Admin(operator): Admin,
    Body(input): Body<NewSourceInput>,
) -> Result<(StatusCode, Json<SourceView>), Problem> {
    own(&app, &operator, input.project_id)?;
    check(&input.settings, "settings.", &[])?;
    let now = app.engine.clock().now();
    let settings = input.settings;
    let source = Source {
        id: SourceId::generate(&**app.engine.ids(), now),
        workspace_id: operator.workspace_id,
        project_id: input.project_id,
        key: random_text(KEY_CHARS),
        name: settings.name,
        active: settings.active,
        locale: settings.locale,
        allowed_origins: settings.allowed_origins,
        consents: settings.consents,
        form: settings.form,
        limits: settings.limits,
        mapping: settings.mapping,
        created_at: now,
    };
    let _order = CATALOG.lock().await;
    app.store.put_source(source.clone()).await?;
    app.engine.catch_up().await?;
    Ok((StatusCode::CREATED, Json(view(&app, source))))
}

/// Change a source: the settings are replaced as a whole.
#[utoipa::path(
    put, path = "/v1/sources/{id}", tag = "installation",
    params(("id" = String, Path, description = "The source's id")),
    request_body = ref("#/components/schemas/SourceSettings"),
    responses((status = 200, description = "The source", body = ref("#/components/schemas/Source"))),
)]
pub(crate) async fn update_source(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<SourceId>,
    Body(settings): Body<SourceSettings>,
) -> Result<Json<SourceView>, Problem> {
    let _order = CATALOG.lock().await;
    let sources = app.store.load_workspace(operator.workspace_id).await?.sources;
    let mut source = sources
        .into_iter()
        .find(|source| source.id == id && source.workspace_id == operator.workspace_id)
        .ok_or_else(|| Problem::not_found("this source"))?;
    check(&settings, "", &source.consents)?;
    source.name = settings.name;
    source.active = settings.active;
    source.locale = settings.locale;
    source.allowed_origins = settings.allowed_origins;
    source.consents = settings.consents;
    source.form = settings.form;
    source.limits = settings.limits;
    source.mapping = settings.mapping;
    app.store.put_source(source.clone()).await?;
    app.engine.catch_up().await?;
    Ok(Json(view(&app, source)))
}

/// Everything that is wrong. `before` are the documents that the source shows now.
fn check(settings: &SourceSettings, prefix: &str, before: &[ConsentDocument]) -> Result<(), Problem> {
    let mut faults = Faults::default();
    let path = |name: &str| format!("{prefix}{name}");
    faults.text(&path("name"), &settings.name, 100);
    if settings.form.frame_ancestors.len() > 100 {
        faults.add(path("form.frame_ancestors"), "too_many", "at most 100 sites are taken");
    }
    let none_alone = settings.form.frame_ancestors == ["none"];
    for (index, site) in settings.form.frame_ancestors.iter().enumerate() {
        if !none_alone && !crate::outer::is_ancestor(site) {
            let message = "expected an origin such as `https://example.com` or `https://*.example.com`, or `none` alone";
            faults.add(path(&format!("form.frame_ancestors[{index}]")), "invalid_origin", message);
        }
    }
    if settings.allowed_origins.len() > 100 {
        faults.add(path("allowed_origins"), "too_many", "at most 100 origins are taken");
    }
    for (index, origin) in settings.allowed_origins.iter().enumerate() {
        if !is_origin(origin) {
            let message =
                "expected an origin in lower case without a path, such as `https://example.com`, or `*`";
            faults.add(path(&format!("allowed_origins[{index}]")), "invalid_origin", message);
        }
    }
    let mut purposes = BTreeSet::new();
    for (index, document) in settings.consents.iter().enumerate() {
        let path = path(&format!("consents[{index}]"));
        faults.text(&format!("{path}.document_id"), &document.document_id, 64);
        faults.text(&format!("{path}.version"), &document.version, 64);
        faults.text(&format!("{path}.label"), &document.label, 500);
        faults.text(&format!("{path}.text"), &document.text, 100_000);
        let language = document.locale.unwrap_or(settings.locale);
        if !purposes.insert((document.purpose, language)) {
            let message = "each purpose has one document in each language";
            faults.add(format!("{path}.purpose"), "repeated", message);
        }
        let first = settings.consents.iter().find(|first| first.purpose == document.purpose);
        if first.is_some_and(|first| first.required != document.required) {
            let message = "a consent is required in every language or in none";
            faults.add(format!("{path}.required"), "languages_differ", message);
        }
        let same = |old: &&ConsentDocument| {
            old.document_id == document.document_id
                && old.version == document.version
                && old.locale.unwrap_or(settings.locale) == language
        };
        if before.iter().find(same).is_some_and(|old| old.text != document.text) {
            let message = "the text of a version never changes: people have agreed to it; give the new text a new version";
            faults.add(format!("{path}.version"), "version_exists", message);
        }
    }
    check_form(settings, prefix, &mut faults);
    if settings.mapping.names.len() > 200 {
        faults.add(path("mapping.names"), "too_many", "at most 200 names are mapped");
    }
    for name in settings.mapping.names.keys() {
        if name.trim().is_empty() || name.chars().count() > 128 || name.matches('*').count() > 3 {
            let message = "expected 1 to 128 characters with at most three `*`";
            faults.add(path("mapping.names"), "invalid_name", message);
        }
    }
    let limits = &settings.limits;
    let counts = [
        ("limits.per_ip_per_minute", limits.per_ip_per_minute, 1_000_000),
        ("limits.per_minute", limits.per_minute, 1_000_000),
        ("limits.authenticated_per_minute", limits.authenticated_per_minute, 1_000_000),
        ("limits.min_fill_millis", limits.min_fill_millis, 60_000),
    ];
    for (name, count, max) in counts {
        if count > max {
            faults.add(path(name), "too_large", format!("at most {max}"));
        }
    }
    faults.finish()
}

/// What is wrong with the texts of the form and their languages.
fn check_form(settings: &SourceSettings, prefix: &str, faults: &mut Faults) {
    let SourceSettings { form, locale, consents, .. } = settings;
    let mut check = |path: String, texts: &FormTexts| {
        let longest = [200, 2_000, 500, 500];
        for ((name, text), max) in texts.named().into_iter().zip(longest) {
            if let Some(text) = text {
                faults.text(&format!("{prefix}{path}.{name}"), text, max);
            }
        }
    };
    check("form".to_owned(), &form.texts(*locale, *locale));
    for (language, texts) in &form.translations {
        check(format!("form.translations.{}", language.as_str()), texts);
    }
    if form.translations.contains_key(locale) {
        let message = "the texts in the source's own language stand in the form itself";
        faults.add(format!("{prefix}form.translations.{}", locale.as_str()), "repeated", message);
    }
    if !form.languages.is_empty() && !form.languages.contains(locale) {
        let message = "the source's own language is always offered; name it as well";
        faults.add(format!("{prefix}form.languages"), "own_language_missing", message);
    }
    let named = form.languages.iter().copied().filter(|language| language != locale);
    for language in std::iter::once(*locale).chain(named) {
        for path in form.missing(language, *locale, consents) {
            let message = format!("the form is offered in `{}`, and this text is missing", language.as_str());
            faults.add(format!("{prefix}{path}"), "translation_missing", message);
        }
    }
}

fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Ok(url) = url::Url::parse(text) else { return false };
    matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
}

#[cfg(test)]
mod tests {
    use fastlead_core::lead::ConsentPurpose;

    use super::*;

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        for good in ["https://example.com", "http://localhost:3000", "*"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "https://example.com/",
            "https://Example.com",
            "https://example.com:443",
            "ftp://example.com",
            "null",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn every_fault_is_named_and_a_published_text_stays() {
        let document = ConsentDocument {
            purpose: ConsentPurpose::PersonalData,
            locale: None,
            document_id: "pd".to_owned(),
            version: "1".to_owned(),
            label: "I agree".to_owned(),
            text: "Text".to_owned(),
            required: true,
        };
        let changed = ConsentDocument { text: "Other text".to_owned(), ..document.clone() };
        let settings: SourceSettings = serde_json::from_value(serde_json::json!({
            "name": " ", "allowed_origins": ["example.com"], "consents": [changed],
        }))
        .unwrap();
        let problem = check(&settings, "", &[document]).unwrap_err();
        let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["name", "allowed_origins[0]", "consents[0].version"]);
    }

    #[test]
    fn a_form_in_two_languages_has_every_text_in_both() {
        let faults = |settings: serde_json::Value| -> Vec<String> {
            let settings: SourceSettings = serde_json::from_value(settings).unwrap();
            let problem = check(&settings, "", &[]).err();
            problem.into_iter().flat_map(|problem| problem.errors).map(|error| error.field).collect()
        };
        let document = |locale: Option<&str>, required: bool| {
            serde_json::json!({
                "purpose": "personal_data", "locale": locale, "document_id": "pd", "version": "1", "label": "x", "text": "x",
                "required": required,
            })
        };
        let settings = |consents: &[serde_json::Value], form: serde_json::Value| serde_json::json!({"name": "Site", "locale": "ru", "consents": consents, "form": form});
        let none = serde_json::json!({});
        let both = serde_json::json!({"languages": ["ru", "en"], "title": "Запись"});
        assert_eq!(faults(settings(&[document(None, true)], none.clone())), [""; 0], "Russian alone");
        assert_eq!(
            faults(settings(&[document(None, true)], both)),
            ["consents[0].locale", "form.translations.en.title"]
        );
        let whole = serde_json::json!({
            "languages": ["ru", "en"], "title": "Запись", "translations": {"en": {"title": "Appointment"}},
        });
        assert_eq!(faults(settings(&[document(None, true), document(Some("en"), true)], whole)), [""; 0]);
        let pair = [document(None, true), document(Some("en"), false), document(Some("ru"), true)];
        assert_eq!(faults(settings(&pair, none.clone())), ["consents[1].required", "consents[2].purpose"]);
        assert_eq!(faults(settings(&[document(Some("en"), true)], none)), ["consents[0].locale"]);
        let strange = serde_json::json!({"languages": ["en"], "translations": {"ru": {"title": "Запись"}}});
        assert_eq!(faults(settings(&[], strange)), ["form.translations.ru", "form.languages"]);
    }
}
