//! What an engine has decided, decided again by a replay from the same captures and answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastlead_core::channel::ChannelInfo;
use fastlead_core::decide::{Decision, Effect, Event, TimerName, Via};
use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{ChannelId, LeadId, SourceId};
use fastlead_core::lead::Capture;
use fastlead_core::replay::{Observer, Origin, Replay, Step};
use fastlead_core::time::{Timestamp, plus_seconds};
use uuid::Uuid;

use super::people::{self, PROJECT};
use super::setting::Setting;
use super::world::World;

/// How long after the last event of the engine a replay is followed: what it alone decides is seen.
const AFTERWARDS_SECS: u64 = 60 * 86_400;

/// A decision that an engine has made, in the order in which they were made.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub lead: LeadId,
    pub source: SourceId,
    pub at: Timestamp,
    pub event: Event,
    pub decision: Decision,
}

/// Everything that is decided about each lead, in words that do not depend on the ids of channels.
type Told = BTreeMap<LeadId, Vec<(Timestamp, String)>>;

struct Names(Vec<(String, String)>);

impl Names {
    /// The ids of channels in an engine and in a replay.
    fn new(setting: &Setting) -> Self {
        let ids = setting.lines.iter().flat_map(|line| {
            [engine_id(&line.name), replay_id(&line.name)].map(|id| (id.to_string(), line.name.clone()))
        });
        Self(ids.collect())
    }

    /// `None` for a queue's moment at which nothing is decided.
    fn tell(&self, at: Timestamp, event: &Event, decision: &Decision) -> Option<(Timestamp, String)> {
        // When the moment of a waiting lead has come, the engine first looks after the queue, which may place the
        // lead before its timer does; the timer finds nothing to do then. In a replay the timer places it. What is
        // decided is the same.
        let of_queue = is_of_queue(event);
        let kind = if of_queue { "queue" } else { event.kind() };
        let fired = |effect: &Effect| matches!(effect, Effect::Fired { timer: TimerName::Queue });
        let mut decision = decision.clone();
        decision.effects.retain(|effect| !(of_queue && fired(effect)));
        if of_queue && decision.effects.is_empty() {
            return None;
        }
        let mut text = serde_json::to_string(&decision).unwrap_or_default();
        for (id, name) in &self.0 {
            text = text.replace(id, name);
        }
        Some((at, format!("{at} {kind}: {text}")))
    }
}

fn engine_id(name: &str) -> ChannelId {
    ChannelInfo::embedded("simulated", name).id
}

fn replay_id(name: &str) -> ChannelId {
    ChannelId::from_uuid(stable_uuid("replayed channel", name))
}

fn is_of_queue(event: &Event) -> bool {
    matches!(event, Event::SlotFree | Event::TimerFired { timer: TimerName::Queue })
}

/// The moment from which on a replay may go another way: two things happen at once. For an engine that has no order,
/// and what becomes free is offered to those who wait when all of it is done; a replay takes one after the other, and
/// offers what becomes free at once.
fn parting(all: &[Decided]) -> Option<Timestamp> {
    let mut last: Option<Timestamp> = None;
    for Decided { at, .. } in all.iter().filter(|decided| decided.event != Event::SlotFree) {
        if last == Some(*at) {
            return last;
        }
        last = Some(*at);
    }
    None
}

struct Log {
    names: Names,
    told: Told,
}

impl Observer for Log {
    fn decided(&mut self, step: &Step<'_>) -> Vec<(Timestamp, Event)> {
        let told = self.names.tell(step.at, step.event, step.decision);
        self.told.entry(step.lead_id).or_default().extend(told);
        Vec::new()
    }

    fn forgotten(&mut self, _: LeadId) {}
}

/// Plays what happened from outside once more, in a replay, and compares every decision to the byte: what was
/// seen of counters, why it was decided so, and what follows.
///
/// Answers how many were compared: all, or those before a moment at which engine and replay may part.
///
/// # Errors
/// The first decision that is another one.
pub(super) fn compare(world: &World) -> Result<u64, String> {
    let setting = &world.setting;
    let all = world.model().decided.take().unwrap_or_default();
    let Some(first) = all.first() else { return Ok(0) };
    let Some(policy) = setting.policies.first() else { return Ok(0) };
    let parting = parting(&all);
    let log = Log { names: Names::new(setting), told: Told::new() };
    let mut replay = Replay::new(Arc::new(policy.clone()), first.decision.trace.policy, log).keeping_leads();
    let names = Names::new(setting);
    let mut told = Told::new();
    let mut repeated = 0;
    let fault = |error: fastlead_core::Error| error.to_string();
    for Decided { lead, source, at, event, decision } in all {
        let known = told.contains_key(&lead);
        told.entry(lead).or_default().extend(names.tell(at, &event, &decision));
        if matches!(event, Event::TimerFired { .. } | Event::SlotFree) {
            // A replay finds that out by itself.
            continue;
        }
        replay.advance(at).map_err(fault)?;
        match event {
            Event::Captured(capture) => {
                // A repeated capture has no id of its own in the history.
                repeated += u128::from(known);
                let id = if known { LeadId::from_uuid(Uuid::from_u128(repeated)) } else { lead };
                replay.capture(id, &origin(setting, source), Capture::clone(&capture)).map_err(fault)?;
            }
            event => {
                replay.event(lead, of_replay(setting, event)).map_err(fault)?;
            }
        }
    }
    replay.settle(plus_seconds(world.now(), AFTERWARDS_SECS)).map_err(fault)?;
    let replayed = replay.into_observer().told;
    let mut first: Option<(Timestamp, String)> = None;
    let mut compared = 0;
    for lead in told.keys().chain(replayed.keys().filter(|lead| !told.contains_key(lead))) {
        let together = |told: &Told| {
            let told = told.get(lead).map_or(&[][..], Vec::as_slice);
            told[..told.partition_point(|(at, _)| parting.is_none_or(|parting| *at < parting))].to_vec()
        };
        let (engine, replay) = (together(&told), together(&replayed));
        compared += engine.len() as u64;
        let same = engine.iter().zip(&replay).take_while(|(engine, replay)| engine == replay).count();
        let (engine, replay) = (engine.get(same), replay.get(same));
        let Some(at) = engine.into_iter().chain(replay).map(|(at, _)| *at).min() else { continue };
        if first.as_ref().is_none_or(|(known, _)| at < *known) {
            let said = |told: Option<&(Timestamp, String)>| told.map_or("none", |(_, told)| told).to_owned();
            let (engine, replay) = (said(engine), said(replay));
            let what = format!(
                "{lead}: decision {same} in the engine is\n    {engine}\n  and in a replay\n    {replay}"
            );
            first = Some((at, what));
        }
    }
    if let Some((_, what)) = first {
        return Err(what);
    }
    Ok(compared)
}

fn origin(setting: &Setting, source_id: SourceId) -> Arc<Origin> {
    let id =
        |key: &&String| SourceId::from_uuid(stable_uuid("source", &format!("{PROJECT}/{key}"))) == source_id;
    let key = setting.sources.iter().find(id).cloned().unwrap_or_default();
    let (workspace_id, project_id) = (people::workspace(), people::project());
    Arc::new(Origin { workspace_id, project_id, source_id, name: key.clone(), key })
}

/// The same event over the channels of a replay.
fn of_replay(setting: &Setting, event: Event) -> Event {
    let other = |id: ChannelId| {
        let line = setting.lines.iter().find(|line| engine_id(&line.name) == id);
        line.map_or(id, |line| replay_id(&line.name))
    };
    match event {
        Event::DeliveryEnded { delivery_id, target, channel_id, state, reason } => {
            Event::DeliveryEnded { delivery_id, target, channel_id: other(channel_id), state, reason }
        }
        Event::Responded {
            target,
            response,
            via: Via::Button { channel_id, interaction_id, chat, message, by },
        } => {
            let via = Via::Button { channel_id: other(channel_id), interaction_id, chat, message, by };
            Event::Responded { target, response, via }
        }
        other => other,
    }
}
