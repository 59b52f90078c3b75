//! A capture comes in.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Engine;
use super::deciding::{Decided, Deciding, Learned};
use super::transition::{Extras, Owner};
use crate::decide::{Decision, Effect, Event, LeadState, Subject, Trace};
use crate::delivery::Scope;
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::id::{EventId, LeadId};
use crate::lead::Capture;
use crate::policy::SourceFacts;
use crate::port::{CaptureAnswer, CaptureVerdict, Guard, IdempotencyRecord, Refusal, Source};
use crate::time::{Timestamp, plus_seconds};

/// For how long an idempotency key is remembered: a day.
const IDEMPOTENCY_SECS: u64 = 86_400;
/// How often a decision is made again because the facts had moved.
const MAX_DECISIONS: usize = 16;

/// A capture for a source.
#[derive(Debug, Clone)]
pub struct CaptureRequest {
    /// Where it comes from.
    pub source: Arc<Source>,
    /// What was captured.
    pub capture: Capture,
    /// The caller's key, if it gave one.
    pub idempotency: Option<IdempotencyKey>,
}

/// A caller's idempotency key and a digest of what it was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: [u8; 16],
    request: [u8; 16],
}

impl IdempotencyKey {
    /// `key` as the caller gave it, of any length, `request` as the bytes that came with it.
    pub fn new(key: impl AsRef<[u8]>, request: &[u8]) -> Self {
        Self { key: digest(key.as_ref()), request: digest(request) }
    }
}

fn digest(bytes: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&Sha256::digest(bytes)[..16]);
    out
}

/// What became of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOutcome {
    /// What the caller is told.
    pub answer: CaptureAnswer,
    /// Whether the answer is repeated for a key that was used before.
    pub replayed: bool,
    /// Why it was decided so; `None` for a repeated answer, whose reasons are kept with the lead.
    pub trace: Option<Trace>,
}

impl Engine {
    /// Takes a capture in. When this returns `Ok`, the lead is on disk together with everything that
    /// must happen to it.
    ///
    /// # Behavior
    /// * Goes on to its end once it was polled, also where the caller is dropped: see [`Engine`].
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the source's project has no policy; [`ErrorKind::Conflict`] where the
    /// idempotency key was used for another request; [`ErrorKind::Overloaded`] and
    /// [`ErrorKind::Storage`] where nothing could be stored.
    pub async fn capture(&self, request: CaptureRequest) -> Result<CaptureOutcome> {
        self.detached(move |engine| async move { engine.take_in(request).await }).await
    }

    async fn take_in(&self, request: CaptureRequest) -> Result<CaptureOutcome> {
        let CaptureRequest { source, mut capture, idempotency } = request;
        let directory = self.directory();
        let policy = directory.current_policy(source.project_id).ok_or_else(|| {
            Error::new(ErrorKind::Config, "the source's project has no published policy; publish one first")
                .with_operation("capture")
        })?;
        let source_facts = SourceFacts { key: &source.key, name: &source.name };
        self.enrich(&policy.policy, source_facts, &mut capture).await;
        capture.received.source_id = Some(source.id);
        capture.person = self.person(source.workspace_id, source.project_id, &capture.contact);
        let scope = Scope { workspace_id: source.workspace_id, project_id: source.project_id };
        let now = self.now();
        let new_lead = LeadId::generate(&*self.inner.ids, now);
        let capture = Arc::new(capture);
        let event = Event::Captured(Box::new(Capture::clone(&capture)));
        let mut learned = Learned::default();
        for _ in 0..MAX_DECISIONS {
            let snapshot = learned.add_to(directory.snapshot(scope.workspace_id));
            let subject = Subject {
                lead_id: new_lead,
                workspace_id: scope.workspace_id,
                project_id: scope.project_id,
                source_id: source.id,
                source: source_facts,
                capture: &capture,
            };
            let deciding = Deciding {
                policy,
                directory: &directory,
                subject,
                capture: &capture,
                created_at: now,
                state: LeadState::default(),
                snapshot: &snapshot,
                event: &event,
                shown: &[],
                now,
            };
            let mut told = None;
            let commits = |decision: &Decision| {
                let (owner, verdict) = owner(scope, &source, new_lead, decision, self, now);
                let answer = CaptureAnswer { lead_id: owner.lead_id, verdict };
                told = Some((answer.clone(), decision.trace.clone()));
                let idempotency = idempotency.map(|key| IdempotencyRecord {
                    key: key.key,
                    request: key.request,
                    answer,
                    until: plus_seconds(now, IDEMPOTENCY_SECS),
                });
                (owner, Extras { idempotency, ..Extras::default() })
            };
            match self.decide_and_commit(deciding, |_, _| true, commits).await? {
                Decided::Committed(_) | Decided::Unwanted => {
                    let Some((answer, trace)) = told else { continue };
                    return Ok(CaptureOutcome { answer, replayed: false, trace: Some(trace) });
                }
                Decided::Refused(Refusal::Replayed(answer)) => {
                    return Ok(CaptureOutcome { answer, replayed: true, trace: None });
                }
                Decided::Refused(Refusal::KeyReused) => {
                    let message =
                        "this idempotency key was used for another request; use a new key for a new request";
                    return Err(Error::new(ErrorKind::Conflict, message)
                        .with_operation("capture")
                        .with_context("code", "idempotency_key_reused"));
                }
                Decided::Refused(refusal) => learned.from(&refusal),
            }
        }
        Err(Error::new(ErrorKind::Overloaded, "the facts kept moving; nothing was stored")
            .with_operation("capture")
            .with_retry(RetryHint::SAFE))
    }
}

/// Which lead the event belongs to, and what the caller is told.
fn owner(
    scope: Scope,
    source: &Source,
    new_lead: LeadId,
    decision: &Decision,
    engine: &Engine,
    now: Timestamp,
) -> (Owner, CaptureVerdict) {
    let new = Owner {
        scope,
        source_id: source.id,
        lead_id: new_lead,
        event_id: EventId::from_uuid(new_lead.as_uuid()),
        guard: Guard::New,
    };
    for effect in &decision.effects {
        match effect {
            Effect::Reject { code } => return (new, CaptureVerdict::Rejected { code: code.clone() }),
            Effect::Duplicate { of } => {
                let event_id = EventId::generate(&*engine.inner.ids, now);
                return (
                    Owner { lead_id: *of, event_id, guard: Guard::Append, ..new },
                    CaptureVerdict::Duplicate,
                );
            }
            _ => {}
        }
    }
    (new, CaptureVerdict::Accepted)
}
