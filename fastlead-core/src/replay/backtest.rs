//! Two policies on the captures of the past.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::answers::{Answers, Assumptions};
use super::tally::{Ruler, Tally};
use super::{InMemory, Memory, Observer, Origin, Replay, Step};
use crate::decide::Event;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{LeadId, PolicyId, ProjectId, SourceId, WorkspaceId};
use crate::lead::Capture;
use crate::policy::{Policy, PolicyRef};
use crate::port::{CaptureFilter, Journal, PageRequest, Source, StoredCapture};
use crate::time::{Timestamp, plus_seconds};

/// Captures that are read at a time.
const PAGE: u32 = 500;
/// Pages that are read ahead of the replays.
const AHEAD: usize = 4;
/// For how long after the last capture what is still under way is followed.
const AFTERWARDS_SECS: u64 = 31 * 86_400;

/// A policy at work in a backtest.
#[derive(Debug)]
pub struct PolicyAtWork {
    replay: Replay<Books>,
}

/// Counts what happens, and says what targets answer.
#[derive(Debug)]
struct Books {
    tally: Tally,
    ruler: Ruler,
    answers: Answers,
}

impl Observer for Books {
    fn decided(&mut self, step: &Step<'_>) -> Vec<(Timestamp, Event)> {
        self.tally.count(step, &self.ruler);
        self.answers.to(step)
    }

    fn forgotten(&mut self, lead: LeadId) {
        self.answers.forget(lead);
    }
}

impl PolicyAtWork {
    /// A policy that begins without any history. The time until the first offer is measured in the hours of
    /// `measure`, which is the same policy for both sides of a comparison.
    pub fn new(side: Side, measure: &Policy, assumed: Assumptions) -> Self {
        let Side { policy, people } = side;
        let books = Books {
            tally: Tally::default(),
            ruler: Ruler { hours: measure.hours.clone(), zone: measure.timezone },
            answers: Answers::new(assumed, &policy),
        };
        let reference = PolicyRef { id: PolicyId::from_uuid(uuid::Uuid::nil()), version: 0 };
        Self { replay: Replay::with_memory(policy, reference, books, people) }
    }

    /// The next capture, not before the one before.
    ///
    /// # Errors
    /// Those of the memory.
    pub fn take(&mut self, stored: &StoredCapture, origin: &Arc<Origin>) -> Result<()> {
        self.replay.advance(stored.at)?;
        let lead = LeadId::from_uuid(stored.id.as_uuid());
        if lead == stored.lead_id {
            self.replay.observer().answers.remember(lead, &stored.state);
        }
        let captured = self.replay.capture(lead, origin, Capture::clone(&stored.capture))?;
        if captured.lead_id != lead {
            self.replay.observer().answers.forget(lead);
        }
        Ok(())
    }

    /// How many leads are in memory.
    pub fn in_memory(&self) -> usize {
        self.replay.in_memory()
    }

    /// Lets what is under way come to its end, and answers what came of it all.
    ///
    /// # Errors
    /// Those of the memory.
    pub fn finish(mut self, until: Timestamp) -> Result<Tally> {
        self.replay.settle(plus_seconds(until, AFTERWARDS_SECS))?;
        let mut tally = self.replay.into_observer().tally;
        tally.first_offer.finish();
        Ok(tally)
    }
}

/// One side of a comparison: a policy, and where it keeps what it remembers of people.
#[derive(Debug)]
pub struct Side {
    policy: Arc<Policy>,
    people: Box<dyn Memory>,
}

impl Side {
    /// A policy that keeps what it remembers of people somewhere of its own.
    pub fn new(policy: Arc<Policy>, people: Box<dyn Memory>) -> Self {
        Self { policy, people }
    }
}

/// Remembers in memory.
impl From<Arc<Policy>> for Side {
    fn from(policy: Arc<Policy>) -> Self {
        Self::new(policy, Box::new(InMemory::new()))
    }
}

/// What came of a backtest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// With the policy of before.
    pub before: Tally,
    /// With the new policy.
    pub after: Tally,
    /// Where there was no more room: the moment of the first capture that was left out.
    pub cut_at: Option<Timestamp>,
    /// How many captures were left out because they cannot be read.
    pub unreadable: u64,
}

/// What is replayed.
#[derive(Debug, Clone)]
pub struct Backtest {
    /// Whose captures.
    pub workspace_id: WorkspaceId,
    /// Of which project.
    pub project_id: ProjectId,
    /// From this moment on.
    pub since: Timestamp,
    /// Before this moment.
    pub until: Timestamp,
    /// What is assumed where the past does not say.
    pub assumed: Assumptions,
}

impl Backtest {
    /// Replays the captures with both policies and answers what came of it, `before` first. Reads only, and
    /// keeps no more in memory than what is under way at one moment of the replay; what the policies remember of
    /// people for as long as their windows say is wherever each [`Side`] keeps it. The same captures and policies
    /// give the same answer.
    ///
    /// `progress` hears how many captures were read so far.
    ///
    /// # Errors
    /// Those of the journal and of the memories.
    pub async fn run(
        &self,
        journal: &dyn Journal,
        sources: &[Source],
        before: Side,
        after: Side,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<(Tally, Tally)> {
        let room = |read| {
            progress(read);
            u64::MAX
        };
        let replayed = self.run_within(journal, sources, before, after, room).await?;
        Ok((replayed.before, replayed.after))
    }

    /// As [`Self::run`], for as long as there is room: `room` hears how many captures were replayed so far and
    /// answers how many more may be. Both policies get the same captures, the oldest. Where the future is
    /// dropped, the replays end.
    ///
    /// # Errors
    /// Those of the journal and of the memories.
    pub async fn run_within(
        &self,
        journal: &dyn Journal,
        sources: &[Source],
        before: Side,
        after: Side,
        mut room: impl FnMut(u64) -> u64 + Send,
    ) -> Result<Replayed> {
        let origins = Arc::new(self.origins(sources));
        let measure = Arc::clone(&after.policy);
        let given_up = CancellationToken::new();
        let _given_up_on_drop = given_up.clone().drop_guard();
        let start = |side: Side| {
            let (sender, pages) = mpsc::channel::<Arc<Vec<StoredCapture>>>(AHEAD);
            let work = PolicyAtWork::new(side, &measure, self.assumed);
            let (this, origins, given_up) = (self.clone(), Arc::clone(&origins), given_up.clone());
            (sender, tokio::task::spawn_blocking(move || this.replay(work, pages, &origins, &given_up)))
        };
        let (to_before, before) = start(before);
        let (to_after, after) = start(after);
        let filter = CaptureFilter { project_id: self.project_id, since: self.since, until: self.until };
        let mut page = PageRequest { after: None, limit: PAGE };
        let (mut read, mut left) = (0, room(0));
        let mut cut_at = None;
        let mut unreadable = 0;
        loop {
            let mut found = journal.captures(self.workspace_id, filter, page.clone()).await?;
            unreadable += u64::try_from(found.unreadable.len()).unwrap_or(u64::MAX);
            let fits = usize::try_from(left).unwrap_or(usize::MAX);
            cut_at = found.items.get(fits).map(|capture| capture.at).or(cut_at);
            found.items.truncate(fits);
            read += u64::try_from(found.items.len()).unwrap_or(0);
            let captures = Arc::new(found.items);
            let sent = (to_before.send(Arc::clone(&captures)).await, to_after.send(captures).await);
            if sent.0.is_err() || sent.1.is_err() {
                // A replay has ended early; why is found out below.
                given_up.cancel();
                break;
            }
            left = room(read);
            page.after = found.next;
            if page.after.is_none() || cut_at.is_some() {
                break;
            }
        }
        drop((to_before, to_after));
        let ended = |_| Error::new(ErrorKind::Internal, "a replay has ended in a fault");
        let (before, after) = (before.await.map_err(ended)?, after.await.map_err(ended)?);
        let (before, after) = (before?, after?);
        Ok(Replayed { before, after, cut_at, unreadable })
    }

    fn replay(
        &self,
        mut work: PolicyAtWork,
        mut pages: mpsc::Receiver<Arc<Vec<StoredCapture>>>,
        origins: &HashMap<SourceId, Arc<Origin>>,
        given_up: &CancellationToken,
    ) -> Result<Tally> {
        let mut unknown: HashMap<SourceId, Arc<Origin>> = HashMap::new();
        while let Some(page) = pages.blocking_recv() {
            for stored in page.iter() {
                if given_up.is_cancelled() {
                    return Ok(Tally::default());
                }
                let origin = origins.get(&stored.source_id).cloned().unwrap_or_else(|| {
                    let gone = || Arc::new(self.origin(stored.source_id, "", ""));
                    Arc::clone(unknown.entry(stored.source_id).or_insert_with(gone))
                });
                work.take(stored, &origin)?;
            }
        }
        if given_up.is_cancelled() {
            return Ok(Tally::default());
        }
        work.finish(self.until)
    }

    fn origins(&self, sources: &[Source]) -> HashMap<SourceId, Arc<Origin>> {
        let mine = sources.iter().filter(|source| source.workspace_id == self.workspace_id);
        mine.map(|source| (source.id, Arc::new(self.origin(source.id, &source.key, &source.name)))).collect()
    }

    fn origin(&self, source_id: SourceId, key: &str, name: &str) -> Origin {
        Origin {
            workspace_id: self.workspace_id,
            project_id: self.project_id,
            source_id,
            key: key.to_owned(),
            name: name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::decide::LeadState;
    use crate::id::EventId;
    use crate::lead::{CaptureInput, Received};
    use crate::message::{Locale, Recipient};
    use crate::time::from_millis;

    /// Replays one page of one capture; answers how many were counted.
    fn replayed(given_up: &CancellationToken) -> u64 {
        let at = from_millis(1_795_597_200_000);
        let id = Uuid::from_u128(7);
        let input = CaptureInput { phone: Some("+7 900 000-00-00".into()), ..CaptureInput::default() };
        let stored = StoredCapture {
            id: EventId::from_uuid(id),
            lead_id: LeadId::from_uuid(id),
            source_id: SourceId::from_uuid(id),
            at,
            capture: input.validate(&[], Locale::Ru, Received::at(at)).unwrap(),
            state: LeadState::default(),
        };
        let test = Backtest {
            workspace_id: WorkspaceId::from_uuid(id),
            project_id: ProjectId::from_uuid(id),
            since: at,
            until: plus_seconds(at, 60),
            assumed: Assumptions::default(),
        };
        let policy = Arc::new(Policy::starter("bot", Recipient::Chat("1".into())));
        let work = PolicyAtWork::new(Arc::clone(&policy).into(), &policy, test.assumed);
        let (sender, pages) = mpsc::channel(AHEAD);
        sender.try_send(Arc::new(vec![stored])).unwrap();
        drop(sender);
        test.replay(work, pages, &HashMap::new(), given_up).unwrap().captures
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_replayed() {
        let given_up = CancellationToken::new();
        assert_eq!(replayed(&given_up), 1);
        given_up.cancel();
        assert_eq!(replayed(&given_up), 0);
    }
}
