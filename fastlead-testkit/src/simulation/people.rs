//! Everybody outside: visitors, managers, buyers, reviewers, and the owner of the channels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;

use fastlead_core::decide::{Event, LeadStatus};
use fastlead_core::engine::{CaptureRequest, Engine, IdempotencyKey, ResponseOutcome, stable_uuid};
use fastlead_core::id::{ChannelId, LeadId, ProjectId, WorkspaceId};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, Response};
use fastlead_core::port::{
    CaptureAnswer, CaptureVerdict, Catalog, Enricher, InboundRef, Recovery, Transition,
};
use fastlead_core::secret::Pii;
use fastlead_core::time::Clock;
use fastlead_core::{Error, ErrorKind, Result, async_trait};

use super::chance::Chance;
use super::provider::Account;
use super::questions::Phone;
use super::setting::Visit;
use super::watch::Watch;
use super::world::{Action, World};

/// What the one project of a simulation is called.
pub(super) const PROJECT: &str = "simulated";

/// How often anything may go wrong in a row. Stores fail in a few of a hundred calls.
const MOST_FAILURES: u32 = 20;

pub(super) fn project() -> ProjectId {
    ProjectId::from_uuid(stable_uuid("project", PROJECT))
}

pub(super) fn workspace() -> WorkspaceId {
    WorkspaceId::from_uuid(stable_uuid("workspace", "embedded"))
}

/// Draws that depend on what they are about and on nothing that happened elsewhere.
fn draws(world: &World, about: &str) -> Chance {
    Chance::new(world.setting.seed, about)
}

/// What people do about a decision.
pub(super) fn heard(world: &World, transition: &Transition) {
    let habits = world.setting.people;
    let lead = transition.lead_id;
    let mut chance = draws(world, &format!("{lead} {}", transition.state.version));
    match &transition.event {
        Event::Responded { target, response: Response::Accept, .. }
            if transition.state.owners().any(|owner| owner == target) =>
        {
            if chance.percent(habits.close) {
                let after = chance.between(60_000, 100_000_000);
                world.plan_in(after, Action::Close { lead });
            }
            if chance.percent(habits.give_back) {
                let after = chance.between(60_000, 200_000_000);
                let reason = if chance.percent(85) { "wrong_number" } else { "changed_my_mind" };
                world.plan_in(after, Action::GiveBack { lead, target: target.clone(), reason });
                if chance.percent(40) {
                    let again = after + chance.pick([0, 1, 60_000]);
                    world.plan_in(again, Action::GiveBack { lead, target: target.clone(), reason });
                }
            }
        }
        _ => {}
    }
    if transition.state.status == LeadStatus::Review && chance.percent(60) {
        let after = chance.between(1_000, 30_000_000);
        world.plan_in(after, Action::Review { lead, approved: chance.percent(70) });
    }
    // Somebody answers over the API instead of pressing a button, perhaps without having been asked.
    let offered = !transition.timers.is_empty() && chance.percent(10);
    if offered && let Some(offer) = transition.state.offers.last() {
        let response = chance.pick([Response::Accept, Response::Accept, Response::Decline]);
        let after = chance.between(0, 6_000_000);
        world.plan_in(after, Action::Respond { lead, target: offer.target.clone(), response });
    }
}

/// The owner hears that an account is at fault, and mends it.
pub(super) fn account_at_fault(world: &World, channel: ChannelId) {
    let place = world.setting.lines.iter().position(|line| {
        fastlead_core::channel::ChannelInfo::embedded("simulated", &line.name).id == channel
    });
    let Some(line) = place else { return };
    let mut chance = draws(world, &format!("{channel} {}", world.now()));
    world.plan_in(chance.between(60_000, 20_000_000), Action::Resume { line });
}

/// Knows the city, sometimes too late.
#[derive(Debug)]
pub(super) struct Cities(pub Arc<World>);

#[async_trait]
impl Enricher for Cities {
    fn name(&self) -> &str {
        "city"
    }

    async fn enrich(&self, capture: &fastlead_core::lead::Capture) -> Result<BTreeMap<String, Pii<String>>> {
        let now = self.0.now();
        let mut chance = draws(&self.0, &format!("enrich {now} {:?}", capture.received.at));
        let wait = std::time::Duration::from_millis(chance.pick([0, 5, 900, 5_000]));
        self.0.clock.sleep_until(fastlead_core::time::plus(now, wait)).await;
        match chance.below(4) {
            0 => Err(Error::new(ErrorKind::Unavailable, "as the simulation has it")),
            _ => Ok(BTreeMap::from([("name".to_owned(), "Казань".into())])),
        }
    }
}

/// Everything that can be acted upon.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub engine: Engine,
    pub watch: Watch,
    pub accounts: Arc<Vec<Account>>,
}

impl Stage {
    /// Does what an action says. What is not answered well is tried again later, as callers do.
    pub(super) async fn perform(&self, number: u64, action: Action) {
        let world = &self.watch.world;
        let outcome = match patience(world, number) {
            None => self.act(&action).await,
            Some(polls) => match hang_up(self.act(&action), polls).await {
                Some(outcome) => outcome,
                None => {
                    world.agenda().end(number);
                    world.note(format_args!("{action}: hangs up"));
                    // Nobody knows whether it was heard, so it is said again.
                    again(world, action);
                    return;
                }
            },
        };
        world.agenda().end(number);
        let Err(error) = outcome else { return };
        world.note(format_args!("{action}: {error}"));
        match error.kind() {
            ErrorKind::Storage | ErrorKind::Overloaded => {
                if world.agenda().failed(&action) > MOST_FAILURES {
                    world.broken(format!("{action} never goes well: {error}"));
                }
                again(world, action);
            }
            _ => world.broken(format!("{action}: {error}")),
        }
    }

    async fn act(&self, action: &Action) -> Result<()> {
        let (engine, world) = (&self.engine, &self.watch.world);
        match action {
            Action::Visit(visit) => self.visit(visit).await,
            Action::Inbound { line, event } => {
                let account = fastlead_core::channel::ChannelInfo::embedded(
                    "simulated",
                    &world.setting.lines[*line].name,
                );
                let directory = engine.directory();
                let channel = directory.channel(account.id).map(Arc::clone);
                let channel = channel.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such channel"))?;
                engine.ingest(&channel, vec![(**event).clone()], None).await.map(drop)
            }
            Action::News { line, event } => {
                let account = &self.accounts[*line];
                let channel_id = fastlead_core::channel::Channel::info(account).id;
                let provider_event_id = event.provider_event_id.clone();
                world.model().happened(InboundRef { channel_id, provider_event_id });
                account.arrives((**event).clone());
                Ok(())
            }
            Action::Respond { lead, target, response } => {
                self.found(*lead, engine.respond(workspace(), *lead, target, *response).await?)
            }
            Action::Close { lead } => self.found(*lead, engine.close(workspace(), *lead).await?),
            Action::GiveBack { lead, target, reason } => {
                self.found(*lead, engine.give_back(workspace(), *lead, target, reason).await?)
            }
            Action::Review { lead, approved } => {
                self.found(*lead, engine.review(workspace(), *lead, *approved).await?)
            }
            Action::Resume { line } => {
                self.accounts[*line].mend();
                let id = fastlead_core::channel::Channel::info(&self.accounts[*line]).id;
                engine.resume(workspace(), id).await?;
                let recovery = Recovery { channel_id: id, since: world.setting.start, ambiguous: false };
                // What is left after a failure is recovered by whoever asks the next time.
                match engine.recover(workspace(), recovery, 1_000).await {
                    Ok(recovered) => world.note(format_args!("recovered: {recovered:?}")),
                    Err(error) => world.note(format_args!("recovered in part: {error}")),
                }
                Ok(())
            }
            Action::Publish { policy } => {
                let id = fastlead_core::id::PolicyId::from_uuid(stable_uuid("policy", PROJECT));
                let policy = world.setting.policies[*policy].clone();
                let record =
                    self.watch.publish_policy(workspace(), project(), id, policy, self.watch.now()).await?;
                engine.activate_policy(&record)
            }
            Action::Stop { .. } | Action::GoOn { .. } | Action::Crash { .. } => Ok(()),
        }
    }

    fn found(&self, lead: LeadId, outcome: ResponseOutcome) -> Result<()> {
        if outcome == ResponseOutcome::NotFound {
            self.watch.world.broken(format!("{lead} was taken in and is not found"));
        }
        Ok(())
    }

    async fn visit(&self, visit: &Visit) -> Result<()> {
        let world = &self.watch.world;
        let directory = self.engine.directory();
        let source = directory.source(&visit.answers.source).map(Arc::clone);
        let source = source.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such source"))?;
        let Visit { person, answers, .. } = visit;
        let phone = match answers.phone {
            Phone::Russian => Some(format!("+7 900 000-{:02}-{:02}", person / 100, person % 100)),
            Phone::Foreign => Some(format!("+1 202 555-01{:02}", person % 100)),
            Phone::None => None,
        };
        let email = (visit.email || phone.is_none()).then(|| format!("anna{person}@example.com"));
        let said = |(name, value): (&String, &String)| (name.clone(), Pii::new(serde_json::json!(value)));
        let input = CaptureInput {
            name: Some("Анна".into()),
            phone: phone.map(|phone| phone.as_str().into()),
            email: email.map(|email| email.as_str().into()),
            fields: answers.fields.iter().map(said).collect(),
            locale: answers.locale.clone(),
            ..CaptureInput::default()
        };
        let capture = input
            .validate(&[], Locale::Ru, Received::at(world.now()))
            .map_err(|errors| Error::new(ErrorKind::Invalid, format!("{errors:?}")))?;
        let idempotency =
            visit.key.as_ref().map(|(key, request)| IdempotencyKey::new(key, request.as_bytes()));
        let outcome = self.engine.capture(CaptureRequest { source, capture, idempotency }).await;
        let outcome = match outcome {
            // A key that was used for something else.
            Err(error) if error.kind() == ErrorKind::Conflict && visit.key.is_some() => return Ok(()),
            outcome => outcome?,
        };
        self.answered(visit, &outcome.answer);
        Ok(())
    }

    /// What a caller is told is so.
    fn answered(&self, visit: &Visit, answer: &CaptureAnswer) {
        let world = &self.watch.world;
        world.note(format_args!("visit {}: {} {:?}", visit.number, answer.lead_id, answer.verdict));
        let model = world.model();
        let lead = model.leads.get(&answer.lead_id);
        let status = lead.map(|lead| lead.state.status.clone());
        drop(model);
        let right = match (&answer.verdict, status) {
            (_, None) => false,
            (CaptureVerdict::Rejected { code }, Some(LeadStatus::Rejected { code: stored })) => {
                *code == stored
            }
            (CaptureVerdict::Rejected { .. }, _) => false,
            _ => true,
        };
        if !right {
            world.broken(format!("visit {} was told {answer:?}, which is not so", visit.number));
        }
    }
}

/// How often a caller waits before hanging up; `None` for one who waits for the answer.
fn patience(world: &World, number: u64) -> Option<u64> {
    if world.setting.quiet {
        return None;
    }
    let mut chance = draws(world, &format!("patience {number}"));
    chance.percent(10).then(|| chance.below(12))
}

/// Polls a future so many times and drops it: the connection was closed.
async fn hang_up<F: Future>(future: F, polls: u64) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        let Some(next) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = next;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                // The next turn comes whether or not something has happened.
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

/// A caller who got no good answer tries again.
pub(super) fn again(world: &World, action: Action) {
    let mut chance = draws(world, &format!("again {action} {}", world.now()));
    let gives_up = match &action {
        Action::Visit(visit) => visit.key.is_none() && chance.percent(50),
        _ => false,
    };
    if !gives_up {
        world.plan_in(chance.between(500, 60_000), action);
    }
}
