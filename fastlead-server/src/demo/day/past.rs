//! The agency's last month. The captures are invented; what was decided about them is decided by the engine's
//! own rules at those moments, and written through the store's port. Nothing was sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{NaiveTime, TimeDelta};
use fastlead_core::decide::Event;
use fastlead_core::delivery::Scope;
use fastlead_core::id::{EventId, LeadId, RandomIds};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, Response};
use fastlead_core::port::{CommitOutcome, Guard, PolicyRecord, Source, Transition};
use fastlead_core::replay::{Observer, Origin, Replay, Step};
use fastlead_core::schedule::Zone;
use fastlead_core::secret::Pii;
use fastlead_core::time::{Timestamp, plus_seconds};
use fastlead_core::{Error, ErrorKind, Result};
use futures_util::stream::{self, TryStreamExt as _};

use crate::app::App;

/// When leads come on a day, in minutes after midnight: most of them while the agency is open.
const MINUTES: [u32; 17] =
    [40, 190, 440, 555, 600, 645, 690, 740, 790, 840, 900, 970, 1_040, 1_110, 1_180, 1_290, 1_380];
/// Leads that are written at a time.
const AT_ONCE: usize = 64;

/// Writes down what a store would have been told, and answers as the two managers did: Anna within seconds, as
/// short as the steps of the demo's ladder, Oleg later, and in one case of five not at all.
#[derive(Debug, Default)]
struct Past {
    /// Each with its number, from which the answers follow.
    leads: BTreeMap<LeadId, (usize, Vec<Transition>)>,
}

impl Observer for Past {
    fn decided(&mut self, step: &Step<'_>) -> Vec<(Timestamp, Event)> {
        let next = self.leads.len();
        let (number, written) = self.leads.entry(step.lead_id).or_insert_with(|| (next, Vec::new()));
        let number = *number * 37 % 997;
        let first = written.is_empty();
        let new = Transition::new_lead(
            Scope { workspace_id: step.origin.workspace_id, project_id: step.origin.project_id },
            step.origin.source_id,
            step.lead_id,
            step.event.clone(),
            step.at,
            step.decision.trace.clone(),
            step.after.clone(),
        );
        written.push(if first {
            new
        } else {
            Transition {
                guard: Guard::Version(step.before.version),
                event_id: EventId::generate(&RandomIds, step.at),
                ..new
            }
        });
        let offered = step.after.offers.len() > step.before.offers.len();
        let answer = step.after.offers.last().filter(|_| offered).and_then(|offer| {
            let seconds = match offer.target.as_str() {
                "anna" => 4 + u64::try_from(number % 9).unwrap_or(0),
                _ if number.is_multiple_of(5) => return None,
                _ => 8 + u64::try_from(number % 30).unwrap_or(0),
            };
            let event = Event::Responded {
                target: offer.target.clone(),
                response: Response::Accept,
                via: fastlead_core::decide::Via::Api,
            };
            Some((plus_seconds(step.at, seconds), event))
        });
        let taken = step.after.assigned_to.is_some() && step.before.assigned_to.is_none();
        let closed = taken.then(|| (plus_seconds(step.at, 7_200), Event::Closed));
        answer.into_iter().chain(closed).collect()
    }

    fn forgotten(&mut self, _: LeadId) {}
}

/// Writes the history, and answers how many leads it has. The last hours before `until` have none.
///
/// # Errors
/// Those of the store.
pub(super) async fn write(
    app: &App,
    source: &Source,
    policy: &PolicyRecord,
    zone: Zone,
    (since, until): (Timestamp, Timestamp),
) -> Result<usize> {
    let origin = Arc::new(Origin {
        workspace_id: source.workspace_id,
        project_id: source.project_id,
        source_id: source.id,
        key: source.key.clone(),
        name: source.name.clone(),
    });
    let mut replay = Replay::new(Arc::clone(&policy.policy), policy.reference, Past::default());
    for (number, at) in (1..).zip(moments(zone, (since, until - TimeDelta::hours(3)))) {
        let input = CaptureInput {
            name: Some(Pii::new(format!("Гость {number}"))),
            phone: Some(Pii::new(format!("+7900000{number:04}"))),
            ..CaptureInput::default()
        };
        let capture = input.validate(&[], Locale::Ru, Received::at(at)).map_err(|_| {
            Error::new(ErrorKind::Internal, "an invented capture of the demo's history is refused")
        })?;
        replay.advance(at)?;
        replay.capture(LeadId::generate(&RandomIds, at), &origin, capture)?;
    }
    replay.advance(until)?;
    let leads = replay.into_observer().leads;
    let count = leads.len();
    stream::iter(leads.into_values().map(|(_, transitions)| Ok::<_, Error>(transitions)))
        .try_for_each_concurrent(AT_ONCE, |transitions| async move {
            for transition in transitions {
                let outcome = app.store.commit(transition).await?;
                if outcome != CommitOutcome::Applied {
                    return Err(Error::new(ErrorKind::Internal, "the demo's history is not taken"));
                }
            }
            Ok(())
        })
        .await?;
    Ok(count)
}

/// The moments at which leads came, in order.
fn moments(zone: Zone, (since, until): (Timestamp, Timestamp)) -> Vec<Timestamp> {
    let mut moments = Vec::new();
    let mut day = zone.local(since).date();
    while day <= zone.local(until).date() {
        for (slot, minute) in (0..).zip(MINUTES) {
            // Not at the same minute every day.
            let minute =
                minute + (chrono::Datelike::num_days_from_ce(&day).unsigned_abs() * 7 + slot * 13) % 20;
            let time = NaiveTime::from_num_seconds_from_midnight_opt(minute * 60, 0).unwrap_or_default();
            moments.push(zone.first_moment(day.and_time(time)));
        }
        let Some(next) = day.succ_opt() else { break };
        day = next;
    }
    moments.retain(|at| (since..until).contains(at));
    moments
}
