//! An agency's day: a project of its own with a month of invented history, and the page that walks through it.

mod past;
mod routes;

use chrono::{NaiveTime, TimeDelta};
use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{PolicyId, ProjectId, SourceId, WorkspaceId};
use fastlead_core::message::Locale;
use fastlead_core::policy::Policy;
use fastlead_core::port::{FormSettings, Project, Source, SourceLimits};
use fastlead_core::schedule::Zone;
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, Result};
use fastlead_testkit::policy::Document;

pub(super) use routes::routes;

use crate::app::App;

/// The public key of the agency's source.
const KEY: &str = "agency";
/// The chats in the simulated Telegram, with their titles.
pub(super) const CHATS: [(i64, &str); 4] =
    [(1_101, "Анна"), (1_102, "Олег"), (1_103, "Нина, ночная смена"), (1_104, "Старший")];
/// The policy that the visitor publishes.
const POLICY: &str = include_str!("policy.yaml");
/// The policy of the past month.
const BEFORE: &str = include_str!("before.yaml");
/// How long the invented history is.
const HISTORY_DAYS: i64 = 30;

fn workspace() -> WorkspaceId {
    WorkspaceId::from_uuid(stable_uuid("workspace", "first"))
}

fn project() -> ProjectId {
    ProjectId::from_uuid(stable_uuid("project", "agency"))
}

/// A zone in which it is day now, so that the day's managers work whenever the demo is started: Moscow where
/// that will do. None of them changes its clocks.
fn zone(now: Timestamp) -> Result<Zone> {
    let names = ["Europe/Moscow", "Asia/Kamchatka", "America/Sao_Paulo"];
    let zones = names.map(|name| name.parse::<Zone>());
    let day = |hour: u32| NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default();
    let mut found = zones.into_iter().filter_map(|zone| zone.ok());
    found
        .find(|zone| (day(10)..day(20)).contains(&zone.local(now).time()))
        .ok_or_else(|| Error::new(ErrorKind::Internal, "there is no zone with day in the demo"))
}

/// 23:30 of the present day.
fn night(zone: Zone, now: Timestamp) -> Timestamp {
    let day = zone.local(now).date();
    zone.first_moment(day.and_time(NaiveTime::from_hms_opt(23, 30, 0).unwrap_or_default()))
}

/// The policy to publish, with comments in a language.
fn policy_text(zone: Zone, locale: Locale) -> String {
    let (head, route, ladder) = match locale {
        Locale::Ru => (
            "Часовой пояс такой, чтобы сейчас был день.",
            "Днём — Анна и Олег, ночью — Нина. Вес — доля за месяц: кто отстал, догоняет.",
            "Молчат: через 15 с напомнить, ещё через 15 с передать, ещё через 20 с — старшему.",
        ),
        Locale::En => (
            "The zone is one where it is day now.",
            "By day Anna and Oleg, at night Nina. A weight is a share of the month: who is behind catches up.",
            "Silence: after 15 s remind, 15 s later give it away, 20 s later tell the chief.",
        ),
    };
    let text = POLICY.replace("{head}", head).replace("{route}", route).replace("{ladder}", ladder);
    text.replace("{zone}", zone.name())
}

fn read(text: &str) -> Result<Policy> {
    let fault = |fault: String| Error::new(ErrorKind::Internal, format!("a policy of the demo: {fault}"));
    let document = Document::parse(text).map_err(|error| fault(error.to_string()))?;
    document.policy().map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        fault(faults.join("; "))
    })
}

/// Makes the agency with its history, unless the store has it already.
///
/// # Errors
/// Where the store cannot be written.
pub(super) async fn set_up(app: &App) -> Result<()> {
    if app.engine.directory().project(project()).is_some() {
        return Ok(());
    }
    let started = tokio::time::Instant::now();
    let now = app.engine.clock().now();
    let began = now - TimeDelta::days(HISTORY_DAYS);
    let zone = zone(now)?;
    let source = Source {
        id: SourceId::from_uuid(stable_uuid("source", "agency")),
        workspace_id: workspace(),
        project_id: project(),
        key: KEY.to_owned(),
        name: "Сайт агентства".to_owned(),
        active: true,
        locale: Locale::Ru,
        allowed_origins: Vec::new(),
        consents: Vec::new(),
        form: FormSettings::default(),
        limits: SourceLimits { per_ip_per_minute: 0, min_fill_millis: 0, ..SourceLimits::default() },
        mapping: Default::default(),
        created_at: began,
    };
    let id = PolicyId::from_uuid(stable_uuid("policy", "agency"));
    let policy = read(&BEFORE.replace("{zone}", zone.name()))?;
    let record = app.store.publish_policy(workspace(), project(), id, policy, began).await?;
    app.engine.activate_policy(&record)?;
    let leads = past::write(app, &source, &record, zone, (began, now)).await?;
    app.store.put_source(source.clone()).await?;
    app.engine.put_source(source);
    // The project comes last: a start that was interrupted before is made again.
    let project =
        Project {
            id: project(), workspace_id: workspace(), name: "Агентство".to_owned(), created_at: began
        };
    app.store.put_project(project.clone()).await?;
    app.engine.put_project(project);
    tracing::info!(leads, elapsed = ?started.elapsed(), "the demo's history is written");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_every_hour_there_is_a_zone_with_day_and_a_night_to_come() {
        let start: Timestamp = "2026-11-25T00:07:00Z".parse().unwrap();
        for hour in 0..48 {
            let now = start + TimeDelta::minutes(30 * hour);
            let zone = zone(now).unwrap();
            assert!(night(zone, now) > now, "{now}");
            for locale in [Locale::Ru, Locale::En] {
                let policy = read(&policy_text(zone, locale)).unwrap();
                let open = policy.hours.unwrap().is_open(now, zone);
                assert!(open, "{now} {}", zone.name());
            }
        }
        assert!(read(&BEFORE.replace("{zone}", "Europe/Moscow")).is_ok());
    }
}
