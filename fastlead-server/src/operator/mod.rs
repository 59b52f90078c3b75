//! The operator API under `/v1`, and the addresses that providers call.

mod api_keys;
mod at_risk;
mod channel_config;
mod channel_work;
mod channels;
mod consents;
mod deliveries;
mod explain;
mod history;
mod identities;
mod input;
mod lead_work;
mod leads;
pub(crate) mod names;
mod policies;
mod projects;
mod providers;
mod session;
mod sources;
mod spoken;
mod suppressions;
mod unreadable;
mod users;
mod views;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::any;
use axum::{Extension, Router};
use schemars::SchemaGenerator;
use tokio::sync::Mutex;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use at_risk::MAX_SECS as MAX_AT_RISK_SECS;
pub(crate) use input::MAX_LIMIT;
pub(crate) use leads::{ExplanationView, SORTS as LEAD_SORTS, explanation};
pub(crate) use policies::backtest::Running;
pub(crate) use session::set_cookie;
pub(crate) use views::LeadView;

use crate::app::App;
use crate::problem::Problem;

/// One change of the installation at a time, so that what the engine keeps in memory ends as what the store keeps.
pub(crate) static CATALOG: Mutex<()> = Mutex::const_new(());

/// All routes of the operator API and the providers' addresses.
pub(crate) fn routes() -> Router<App> {
    let webhooks = Router::new()
        .route("/webhooks/{token}", any(providers::receive))
        .layer(DefaultBodyLimit::max(providers::PROVIDER_BYTES))
        .layer(Extension(Arc::new(providers::WebhookTokens::default())));
    let operator = Router::from(documented()).method_not_allowed_fallback(|| async {
        let detail = "this address does not know this method; see GET /openapi.json";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    });
    operator.merge(webhooks)
}

/// The operator API with its description.
pub(crate) fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(session::login))
        .routes(routes!(session::open_session, session::close_session))
        .routes(routes!(session::logout))
        .routes(routes!(session::renew_session))
        .routes(routes!(session::me))
        .routes(routes!(session::change_password))
        .routes(routes!(session::list_sessions, session::end_other_sessions))
        .routes(routes!(session::end_session))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::disable_user))
        .routes(routes!(users::enable_user))
        .routes(routes!(users::reset_password))
        .routes(routes!(api_keys::list_api_keys, api_keys::create_api_key))
        .routes(routes!(api_keys::revoke_api_key))
        .routes(routes!(projects::list_projects, projects::create_project))
        .routes(routes!(policies::get_policy, policies::publish_policy))
        .routes(routes!(policies::validate_policy))
        .routes(routes!(policies::list_policies))
        .routes(routes!(policies::versions::get_policy_version))
        .routes(routes!(policies::versions::compare_policies))
        .routes(routes!(policies::versions::roll_back_policy))
        .routes(routes!(
            policies::drafts::get_draft,
            policies::drafts::save_draft,
            policies::drafts::discard_draft
        ))
        .routes(routes!(policies::drafts::publish_draft))
        .routes(routes!(policies::dry_run::dry_run_policy))
        .routes(routes!(policies::backtest::backtest_policy))
        .routes(routes!(sources::list_sources, sources::create_source))
        .routes(routes!(sources::update_source))
        .routes(routes!(channels::list_channel_kinds))
        .routes(routes!(channels::list_channels, channels::create_channel))
        .routes(routes!(channels::get_channel, channels::update_channel))
        .routes(routes!(channel_config::get_channel_config))
        .routes(routes!(spoken::list_inbound))
        .routes(routes!(channel_work::check_channel))
        .routes(routes!(channel_work::test_channel))
        .routes(routes!(channel_work::pause_channel))
        .routes(routes!(channel_work::resume_channel))
        .routes(routes!(channel_work::recover_channel))
        .routes(routes!(history::list_history))
        .routes(routes!(leads::list_leads))
        .routes(routes!(leads::count_leads))
        .routes(routes!(at_risk::list_leads_at_risk))
        .routes(routes!(leads::get_lead))
        .routes(routes!(leads::explain_lead))
        .routes(routes!(consents::consent_evidence))
        .routes(routes!(leads::respond_to_lead))
        .routes(routes!(lead_work::review_lead))
        .routes(routes!(lead_work::confirm_lead))
        .routes(routes!(lead_work::close_lead))
        .routes(routes!(lead_work::erase_person))
        .routes(routes!(lead_work::return_lead))
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(deliveries::get_delivery))
        .routes(routes!(deliveries::retry_delivery))
        .routes(routes!(suppressions::list_suppressions, suppressions::create_suppression))
        .routes(routes!(suppressions::lift_suppression))
        .routes(routes!(identities::list_identities, identities::create_identity))
        .routes(routes!(identities::undo_identity))
        .routes(routes!(unreadable::list_unreadable))
}

/// Adds the types that the descriptions name.
pub(crate) fn schemas(generator: &mut SchemaGenerator) {
    use input::List;

    macro_rules! add {
        ($($type:ty),* $(,)?) => { $(generator.subschema_for::<$type>();)* };
    }
    add!(
        session::LoginInput,
        session::TokenView,
        session::CallerView,
        session::PasswordInput,
        List<session::SessionView>,
        users::NewUserInput,
        users::ResetInput,
        users::UserWithPassword,
        List<users::UserView>,
        api_keys::ApiKeyInput,
        api_keys::CreatedApiKey,
        List<api_keys::ApiKeyView>,
        projects::ProjectInput,
        List<projects::ProjectView>,
        policies::ValidationView,
        List<policies::PolicyView>,
        policies::drafts::DraftView,
        policies::versions::ComparisonView,
        policies::versions::RollbackInput,
        policies::dry_run::DryRunInput,
        policies::dry_run::DryRunView,
        policies::backtest::BacktestInput,
        policies::backtest::BacktestView,
        sources::NewSourceInput,
        sources::SourceSettings,
        List<sources::SourceView>,
        List<channels::ChannelKindView>,
        channels::NewChannelInput,
        channels::ChannelUpdateInput,
        List<channels::ChannelView>,
        channel_config::ConfigView,
        channel_work::CheckView,
        channel_work::RecoverInput,
        channel_work::TestInput,
        channel_work::EnqueuedView,
        fastlead_core::engine::Recovered,
        List<views::LeadSummaryView>,
        List<views::LeadAtRiskView>,
        leads::LeadCountsView,
        views::LeadView,
        history::EventBatchView,
        leads::ExplanationView,
        consents::EvidenceView,
        leads::RespondInput,
        lead_work::ReviewInput,
        lead_work::ReturnInput,
        fastlead_core::port::Erased,
        List<views::DeliveryView>,
        views::DeliveryDetailsView,
        suppressions::SuppressionInput,
        List<suppressions::SuppressionView>,
        identities::IdentityInput,
        List<identities::IdentityView>,
        List<spoken::InboundView>,
        List<fastlead_core::port::UnreadableRow>,
    );
}
