//! Writers: each takes what is waiting, makes it one transaction, and answers when that is on disk.

use std::sync::Arc;

use fastlead_core::delivery::NewDelivery;
use fastlead_core::error::{Error, Result};
use fastlead_core::id::{ChannelId, WorkspaceId};
use fastlead_core::port::{
    BeginOutcome, Beginning, CommitOutcome, Posting, Refusal, SettleOutcome, Settlement, Transition,
    UnreadableRows, check_postings,
};
use fastlead_core::time::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fault::{closed, concerns_all, failed, may_pass_now, unanswered, unknown};
use super::forget::Forgetting;
use super::group::Questions;
use super::postings::{self, LedgerQuestions};
use super::write::Changes;
use super::{Clock, PostgresOptions, TRIES};
use crate::known_ledger::KnownLedger;
use crate::resolve::Resolver;

/// How many members may wait.
const QUEUE: usize = 4_096;

/// Caller that waits for an answer.
type Reply<T> = oneshot::Sender<Result<T>>;

/// Something that is written together with others.
enum Member {
    Commit(Box<Transition>, Box<Written>, Reply<CommitOutcome>),
    Settle(Box<Settlement>, Box<Written>, Reply<SettleOutcome>),
    Begin(Beginning, Box<Changes>, Reply<BeginOutcome>),
    Enqueue(Box<Changes>, Reply<()>),
    Post(WorkspaceId, Vec<Posting>, Reply<CommitOutcome>),
}

/// What a member changes, written down before it waits for a writer.
struct Written {
    changes: Changes,
    /// What is changed besides where the member is the first to pause a channel.
    pause: Option<(ChannelId, Changes)>,
}

impl Written {
    fn new(changes: Changes, settlement: Option<&Settlement>) -> Result<Self> {
        let pause = settlement.and_then(|settlement| Some((settlement.pause.as_ref()?, settlement.at)));
        let pause = match pause {
            Some((pause, at)) => Some((pause.channel_id, Changes::of_pause(pause, at)?)),
            None => None,
        };
        Ok(Self { changes, pause })
    }

    fn append_to(&self, group: &mut Changes, resolver: &mut Resolver) {
        group.append(&self.changes);
        if let Some((channel, changes)) = &self.pause
            && resolver.pause(*channel)
        {
            group.append(changes);
        }
    }
}

/// Why a member was not applied.
enum No {
    Refused(Refusal),
    MayNotBegin(BeginOutcome),
}

/// Whether a member was applied.
type Verdict = std::result::Result<(), No>;

impl Member {
    fn ask(&self, questions: &mut Questions, of_ledger: &mut LedgerQuestions) {
        match self {
            Self::Commit(transition, ..) => {
                of_ledger.ask(transition.scope.workspace_id, &transition.postings);
                questions.transition(transition);
            }
            Self::Post(workspace, postings, _) => {
                questions.workspaces.insert(*workspace);
                of_ledger.ask(*workspace, postings);
            }
            Self::Settle(settlement, ..) => questions.settlement(settlement),
            Self::Begin(beginning, ..) => questions.beginning(beginning),
            Self::Enqueue(..) => {}
        }
    }

    /// What it asks for was written down when it was asked for; here it is only added or left out.
    ///
    /// # Errors
    /// Where something that it names is there and cannot be read.
    fn decide(&self, resolver: &mut Resolver, group: &mut Changes) -> Result<Verdict> {
        let unread = match self {
            Self::Commit(transition, ..) => resolver.unread(transition),
            Self::Post(workspace, postings, _) => resolver.ledger().unread(*workspace, postings),
            _ => None,
        };
        if let Some(row) = unread {
            return Err(row.clone().into());
        }
        Ok(self.verdict(resolver, group))
    }

    fn verdict(&self, resolver: &mut Resolver, group: &mut Changes) -> Verdict {
        match self {
            Self::Commit(transition, written, _) => {
                resolver.commit(transition).map_err(No::Refused)?;
                written.append_to(group, resolver);
            }
            Self::Settle(settlement, written, _) => {
                resolver.settle(settlement).map_err(No::Refused)?;
                written.append_to(group, resolver);
            }
            Self::Begin(beginning, changes, _) => match resolver.begin(beginning) {
                BeginOutcome::Begun => group.append(changes),
                refused => return Err(No::MayNotBegin(refused)),
            },
            Self::Enqueue(changes, _) => group.append(changes),
            Self::Post(workspace, postings, _) => {
                resolver.post(*workspace, postings).map_err(No::Refused)?;
            }
        }
        Ok(())
    }

    fn decided_at(&self) -> Option<Timestamp> {
        match self {
            Self::Commit(transition, ..) => Some(transition.at),
            _ => None,
        }
    }

    /// A failed send means that the caller has gone away.
    fn answer(self, outcome: Result<Verdict>) {
        let _gone = match self {
            Self::Commit(_, _, reply) | Self::Post(_, _, reply) => {
                let verdict = |verdict: Verdict| match verdict {
                    Ok(()) => CommitOutcome::Applied,
                    Err(No::Refused(refusal)) => CommitOutcome::Refused(refusal),
                    Err(No::MayNotBegin(_)) => CommitOutcome::Refused(Refusal::LeaseLost),
                };
                reply.send(outcome.map(verdict)).is_err()
            }
            Self::Settle(_, _, reply) => {
                let verdict = |verdict: Verdict| match verdict {
                    Ok(()) => SettleOutcome::Settled,
                    Err(_) => SettleOutcome::LeaseLost,
                };
                reply.send(outcome.map(verdict)).is_err()
            }
            Self::Begin(_, _, reply) => {
                let verdict = |verdict: Verdict| match verdict {
                    Ok(()) => BeginOutcome::Begun,
                    Err(No::MayNotBegin(refused)) => refused,
                    Err(No::Refused(_)) => BeginOutcome::LeaseLost,
                };
                reply.send(outcome.map(verdict)).is_err()
            }
            Self::Enqueue(_, reply) => reply.send(outcome.map(drop)).is_err(),
        };
    }
}

/// The handle of the writers. They end when the last handle is gone and their queue is done.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    members: mpsc::Sender<Member>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// What each writer works with.
#[derive(Debug)]
struct Shared {
    pool: PgPool,
    met: UnreadableRows,
    clock: Clock,
    group: usize,
    queue: Mutex<mpsc::Receiver<Member>>,
    forgetting: Forgetting,
    closing: CancellationToken,
}

impl Writer {
    pub(super) fn start(pool: PgPool, met: UnreadableRows, options: &PostgresOptions) -> Self {
        let (members, queue) = mpsc::channel(QUEUE);
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        let shared = Arc::new(Shared {
            pool,
            met,
            clock: options.clock,
            group: options.group.max(1),
            queue: Mutex::new(queue),
            forgetting: Forgetting::new(),
            closing: closing.clone(),
        });
        for _ in 0..options.writers.max(1) {
            tasks.spawn(work(Arc::clone(&shared)));
        }
        tasks.close();
        Self { members, closing, tasks }
    }

    /// Writes what is waiting and takes no more.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.tasks.wait().await;
    }

    async fn send<T>(&self, member: impl FnOnce(Reply<T>) -> Member) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.members.send(member(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| unanswered())?
    }

    pub(super) async fn commit(&self, transition: Transition) -> Result<CommitOutcome> {
        check_postings(&transition.postings)?;
        let changes = Changes::of_transition(&transition)?;
        let written = Box::new(Written::new(changes, transition.settlement.as_ref())?);
        self.send(|reply| Member::Commit(Box::new(transition), written, reply)).await
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Result<SettleOutcome> {
        let changes = Changes::of_settlement(&settlement)?;
        let written = Box::new(Written::new(changes, Some(&settlement))?);
        self.send(|reply| Member::Settle(Box::new(settlement), written, reply)).await
    }

    pub(super) async fn begin(&self, beginning: Beginning) -> Result<BeginOutcome> {
        let mut changes = Box::<Changes>::default();
        changes.beginning(&beginning);
        self.send(|reply| Member::Begin(beginning, changes, reply)).await
    }

    pub(super) async fn enqueue(&self, deliveries: &[NewDelivery]) -> Result<()> {
        let mut changes = Box::<Changes>::default();
        deliveries.iter().try_for_each(|delivery| changes.delivery(delivery))?;
        self.send(|reply| Member::Enqueue(changes, reply)).await
    }

    pub(super) async fn post(&self, workspace: WorkspaceId, postings: Vec<Posting>) -> Result<CommitOutcome> {
        check_postings(&postings)?;
        self.send(|reply| Member::Post(workspace, postings, reply)).await
    }
}

async fn work(shared: Arc<Shared>) {
    // Kept from group to group; given up where something has failed on it.
    let mut own: Own = None;
    loop {
        let mut members = Vec::new();
        {
            // Whoever waits for members waits alone; the others write meanwhile.
            let mut queue = shared.queue.lock().await;
            let taken = tokio::select! {
                biased;
                taken = queue.recv_many(&mut members, shared.group) => taken,
                () = shared.closing.cancelled() => {
                    queue.close();
                    queue.recv_many(&mut members, shared.group).await
                }
            };
            if taken == 0 {
                return;
            }
        }
        let now = members.iter().filter_map(Member::decided_at).max();
        shared.write(&mut own, members).await;
        if let Some(now) = now {
            shared.forgetting.forget(&shared.pool, now).await;
        }
    }
}

/// The connection of a writer.
type Own = Option<PoolConnection<Postgres>>;

/// How a transaction failed.
enum Failure {
    /// It never began, or its outcome is unknown: the same for everybody.
    Whole(Error),
    /// One of the members is to blame; nothing was changed.
    Members(Error),
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::Whole(error) | Self::Members(error) => error,
        }
    }
}

/// Nothing was committed yet.
fn before_commit(operation: &'static str, error: &sqlx::Error) -> Failure {
    let failure = if concerns_all(error) { Failure::Whole } else { Failure::Members };
    failure(failed(operation, error))
}

fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.message()).with_retry(error.retry()).with_operation(error.operation())
}

impl Shared {
    async fn write(&self, own: &mut Own, members: Vec<Member>) {
        match self.transact(own, &members).await {
            Ok(verdicts) => {
                for (member, verdict) in members.into_iter().zip(verdicts) {
                    member.answer(verdict);
                }
            }
            Err(Failure::Members(error)) if members.len() > 1 => {
                // Each is tried alone, so that a bad one fails nobody else.
                tracing::warn!(%error, members = members.len(), "a group failed; its members are tried one by one");
                for member in members {
                    let alone = self.transact(own, std::slice::from_ref(&member)).await;
                    let verdict = alone.map_err(Failure::into_error).map(|mut verdicts| verdicts.pop());
                    member.answer(verdict.and_then(|verdict| verdict.unwrap_or_else(|| Err(closed()))));
                }
            }
            Err(failure) => {
                let error = failure.into_error();
                for member in members {
                    member.answer(Err(copy(&error)));
                }
            }
        }
    }

    /// Writes members in one transaction, again where nothing was changed and the same may pass now: another transaction was in
    /// the way, or the connection was lost before the commit.
    async fn transact(
        &self,
        own: &mut Own,
        members: &[Member],
    ) -> std::result::Result<Vec<Result<Verdict>>, Failure> {
        let mut tries = 1;
        loop {
            let done = self.try_once(own, members).await;
            if done.is_err() {
                *own = None;
            }
            match done {
                Err(Failure::Whole(error) | Failure::Members(error))
                    if may_pass_now(&error) && tries < TRIES =>
                {
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_once(
        &self,
        own: &mut Own,
        members: &[Member],
    ) -> std::result::Result<Vec<Result<Verdict>>, Failure> {
        let (mut questions, mut of_ledger) = (Questions::default(), LedgerQuestions::default());
        members.iter().for_each(|member| member.ask(&mut questions, &mut of_ledger));
        let whole = |error: sqlx::Error| Failure::Whole(failed("begin", &error));
        let connection = match own {
            Some(connection) => connection,
            None => own.insert(self.pool.acquire().await.map_err(whole)?),
        };
        // Dropped before its end, it is rolled back.
        let mut transaction = connection.begin().await.map_err(whole)?;
        let facts = questions.look(&mut transaction, &self.met).await;
        let facts = facts.map_err(|error| before_commit("look", &error))?;
        let known = of_ledger.look(&mut transaction, &self.met).await;
        let mut resolver = Resolver::new(facts, known.map_err(|error| before_commit("look", &error))?);
        let mut changes = Changes::default();
        let verdicts = members.iter().map(|member| member.decide(&mut resolver, &mut changes)).collect();
        resolver.counters().for_each(|(id, counter)| changes.counter(id, counter));
        let written = self.make(changes, resolver.ledger(), &mut transaction).await;
        written.map_err(|error| before_commit("write", &error))?;
        transaction.commit().await.map_err(|error| Failure::Whole(unknown("commit", &error)))?;
        Ok(verdicts)
    }

    async fn make(
        &self,
        changes: Changes,
        ledger: &KnownLedger,
        connection: &mut PgConnection,
    ) -> sqlx::Result<()> {
        let now = match self.clock {
            Clock::Database if changes.leases_anything() => {
                Some(self.clock.now(&mut *connection, Timestamp::UNIX_EPOCH).await?)
            }
            _ => None,
        };
        postings::write(ledger, connection).await?;
        changes.write(connection, now).await
    }
}
