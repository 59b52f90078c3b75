//! The one writer: takes what is waiting, makes it one transaction, and answers when that is on disk.

use fastlead_core::delivery::NewDelivery;
use fastlead_core::error::{Error, Result};
use fastlead_core::id::{ChannelId, WorkspaceId};
use fastlead_core::port::{
    BeginOutcome, Beginning, CommitOutcome, Posting, Refusal, SettleOutcome, Settlement, Transition,
    UnreadableRows, check_postings,
};
use fastlead_core::time::Timestamp;
use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use tokio::sync::{mpsc, oneshot};

use super::close::{Closer, Ending, ends, try_empty_log};
use super::fault::{closed, failed, leaves_no_doubt, unanswered, unknown};
use super::forget::Forgetting;
use super::group::{Changes, Questions, WRITE, WRITE_AND_COMMIT, facts};
use super::lock::FileLock;
use super::postings::{LedgerChanges, LedgerQuestions};
use crate::known_ledger::KnownLedger;
use crate::resolve::Resolver;

/// How many jobs share a transaction at the most.
const GROUP: usize = 256;
/// How many jobs may wait.
const QUEUE: usize = 4_096;

/// Who waits for an answer.
type Reply<T> = oneshot::Sender<Result<T>>;

/// An operation that runs in the group's transaction and answers afterwards.
trait Operation: Send {
    /// Runs inside the transaction.
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, ()>;
    /// The transaction is on disk, or has failed.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// Something that is written together with others of its kind.
enum Member {
    Commit(Box<Transition>, Box<Written>, Reply<CommitOutcome>),
    Settle(Box<Settlement>, Box<Written>, Reply<SettleOutcome>),
    Begin(Beginning, Box<Changes>, Reply<BeginOutcome>),
    Enqueue(Box<Changes>, Reply<()>),
    Post(WorkspaceId, Vec<Posting>, Reply<CommitOutcome>),
}

/// What a member changes, written down before it waits for the writer.
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
    fn ask(&self, questions: &mut Questions, of_ledger: &mut LedgerQuestions) -> Result<()> {
        match self {
            Self::Commit(transition, ..) => {
                of_ledger.ask(transition.scope.workspace_id, &transition.postings)?;
                questions.transition(transition)
            }
            Self::Post(workspace, postings, _) => of_ledger.ask(*workspace, postings),
            Self::Settle(settlement, ..) => questions.settlement(settlement),
            Self::Begin(beginning, ..) => questions.beginning(beginning),
            Self::Enqueue(..) => Ok(()),
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

/// Something for the writer to do.
enum Job {
    Member(Member),
    Operation(Box<dyn Operation>),
    EmptyLog(Reply<bool>),
}

impl Job {
    fn decided_at(&self) -> Option<Timestamp> {
        match self {
            Self::Member(Member::Commit(transition, ..)) => Some(transition.at),
            _ => None,
        }
    }
}

/// The handle of the writer. The writer ends when the last handle is gone and its queue is done.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    closer: Closer,
}

impl Writer {
    /// Starts the writer, which holds the lock of the file until it ends.
    pub(super) fn start(connection: SqliteConnection, met: UnreadableRows, lock: Option<FileLock>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (closer, ending) = ends(lock);
        tokio::spawn(work(connection, met, queue, ending));
        Self { jobs, closer }
    }

    /// Writes what is waiting, takes no more, and closes the file.
    pub(super) async fn close(&self) -> Result<()> {
        self.closer.close().await
    }

    async fn send<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| unanswered())?
    }

    pub(super) async fn commit(&self, transition: Transition) -> Result<CommitOutcome> {
        check_postings(&transition.postings)?;
        let changes = Changes::of_transition(&transition)?;
        let written = Box::new(Written::new(changes, transition.settlement.as_ref())?);
        self.send(|reply| Job::Member(Member::Commit(Box::new(transition), written, reply))).await
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Result<SettleOutcome> {
        let changes = Changes::of_settlement(&settlement)?;
        let written = Box::new(Written::new(changes, Some(&settlement))?);
        self.send(|reply| Job::Member(Member::Settle(Box::new(settlement), written, reply))).await
    }

    pub(super) async fn begin(&self, beginning: Beginning) -> Result<BeginOutcome> {
        let mut changes = Box::<Changes>::default();
        changes.beginning(&beginning)?;
        self.send(|reply| Job::Member(Member::Begin(beginning, changes, reply))).await
    }

    pub(super) async fn enqueue(&self, deliveries: &[NewDelivery]) -> Result<()> {
        let mut changes = Box::<Changes>::default();
        deliveries.iter().try_for_each(|delivery| changes.delivery(delivery))?;
        self.send(|reply| Job::Member(Member::Enqueue(changes, reply))).await
    }

    pub(super) async fn post(&self, workspace: WorkspaceId, postings: Vec<Posting>) -> Result<CommitOutcome> {
        check_postings(&postings)?;
        self.send(|reply| Job::Member(Member::Post(workspace, postings, reply))).await
    }

    /// Moves everything from the log into the main file and makes the log empty. Answers `false` where a reader is in
    /// the way.
    pub(super) async fn empty_log(&self) -> Result<bool> {
        self.send(Job::EmptyLog).await
    }

    /// Runs `operation` in the next transaction, after its commits and settlements.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let once = |reply| Once { operation: Some(operation), outcome: None, reply };
        self.send(|reply| Job::Operation(Box::new(once(reply)))).await
    }
}

struct Once<T, F> {
    operation: Option<F>,
    outcome: Option<Result<T>>,
    reply: Reply<T>,
}

impl<T, F> Operation for Once<T, F>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T>> + Send + 'static,
{
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(operation) = self.operation.take() else { return };
            // A savepoint, so that an operation that fails half way leaves nothing behind.
            let begun = sqlx::query("SAVEPOINT operation").execute(&mut *connection).await;
            let outcome = match begun {
                Ok(_) => operation(&mut *connection).await,
                Err(error) => Err(failed("begin", &error)),
            };
            let end = if outcome.is_ok() {
                "RELEASE operation"
            } else {
                "ROLLBACK TO operation; RELEASE operation"
            };
            let ended = sqlx::query(end).execute(connection).await;
            self.outcome = Some(match ended {
                Ok(_) => outcome,
                Err(error) => outcome.and_then(|_| Err(failed("end", &error))),
            });
        })
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let outcome = self.outcome.unwrap_or_else(|| Err(closed()));
        // An error means that the caller has gone away.
        let _gone = self.reply.send(committed.and(outcome));
    }
}

async fn work(
    mut connection: SqliteConnection,
    met: UnreadableRows,
    mut queue: mpsc::Receiver<Job>,
    mut ending: Ending,
) {
    let mut jobs = Vec::with_capacity(GROUP);
    let mut forgetting = Forgetting::new();
    let mut closing = false;
    loop {
        let taken = tokio::select! {
            biased;
            taken = queue.recv_many(&mut jobs, GROUP) => taken,
            () = ending.asked(), if !closing => {
                closing = true;
                queue.close();
                continue;
            }
        };
        if taken == 0 {
            break;
        }
        let now = jobs.iter().filter_map(Job::decided_at).max();
        group(&mut connection, &met, &mut jobs).await;
        if let Some(now) = now {
            forgetting.forget(&mut connection, now).await;
        }
    }
    ending.finish(connection).await;
}

/// Writes what was taken together, and empties the log where somebody wants that.
async fn group(connection: &mut SqliteConnection, met: &UnreadableRows, jobs: &mut Vec<Job>) {
    let (mut members, mut operations, mut log) = (Vec::with_capacity(jobs.len()), Vec::new(), Vec::new());
    for job in jobs.drain(..) {
        match job {
            Job::Member(member) => members.push(member),
            Job::Operation(operation) => operations.push(operation),
            Job::EmptyLog(reply) => log.push(reply),
        }
    }
    if !members.is_empty() || !operations.is_empty() {
        write(connection, met, members, operations).await;
    }
    for reply in log {
        // An error means that the caller has gone away.
        let _gone = reply.send(try_empty_log(connection).await);
    }
}

async fn write(
    connection: &mut SqliteConnection,
    met: &UnreadableRows,
    members: Vec<Member>,
    mut operations: Vec<Box<dyn Operation>>,
) {
    match transact(connection, met, &members, &mut operations).await {
        Ok(verdicts) => {
            for (member, verdict) in members.into_iter().zip(verdicts) {
                member.answer(verdict);
            }
            for operation in operations {
                operation.answer(Ok(()));
            }
        }
        Err(Failure::Members(error)) if members.len() + operations.len() > 1 => {
            // Each is tried alone, so that a bad one fails nobody else.
            tracing::warn!(%error, members = members.len(), "a group failed; its members are tried one by one");
            for member in members {
                let alone = transact(connection, met, std::slice::from_ref(&member), &mut []).await;
                let verdict = alone.map_err(Failure::into_error).map(|mut verdicts| verdicts.pop());
                member.answer(verdict.and_then(|verdict| verdict.unwrap_or_else(|| Err(closed()))));
            }
            if !operations.is_empty() {
                let done = transact(connection, met, &[], &mut operations).await.map(drop);
                answer(operations, done.map_err(Failure::into_error));
            }
        }
        Err(failure) => {
            let error = failure.into_error();
            for member in members {
                member.answer(Err(copy(&error)));
            }
            answer(operations, Err(error));
        }
    }
}

fn answer(operations: Vec<Box<dyn Operation>>, done: Result<()>) {
    for operation in operations {
        operation.answer(done.as_ref().map(drop).map_err(copy));
    }
}

fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.message()).with_retry(error.retry()).with_operation(error.operation())
}

/// How a transaction failed.
enum Failure {
    /// It never began, or its outcome is unknown: the same for everybody.
    Whole(Error),
    /// One of the members is to blame; nothing was changed, and no operation has run.
    Members(Error),
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::Whole(error) | Self::Members(error) => error,
        }
    }
}

/// One transaction: a look at the facts, the changes of those whom the facts allow, the operations.
async fn transact(
    connection: &mut SqliteConnection,
    met: &UnreadableRows,
    members: &[Member],
    operations: &mut [Box<dyn Operation>],
) -> std::result::Result<Vec<Result<Verdict>>, Failure> {
    let (mut questions, mut of_ledger) = (Questions::default(), LedgerQuestions::default());
    members
        .iter()
        .try_for_each(|member| member.ask(&mut questions, &mut of_ledger))
        .map_err(Failure::Members)?;
    let rows = match look(questions, of_ledger, connection).await {
        Ok(rows) => rows,
        Err(error) => {
            roll_back(connection).await;
            return Err(Failure::Whole(failed("look", &error)));
        }
    };
    let (verdicts, changes, posted) = match decide(members, &rows, met) {
        Ok(decided) => decided,
        Err(error) => {
            roll_back(connection).await;
            return Err(Failure::Members(error));
        }
    };
    drop(rows);
    if let Some(posted) = posted
        && let Err(error) = posted.write(connection).await
    {
        // Nothing was committed yet.
        roll_back(connection).await;
        let failure = if leaves_no_doubt(&error) { Failure::Members } else { Failure::Whole };
        return Err(failure(failed("post", &error)));
    }
    let text = if operations.is_empty() { WRITE_AND_COMMIT } else { WRITE };
    if let Err(error) = changes.write(text, connection).await {
        let rolled_back = roll_back(connection).await;
        return Err(if rolled_back && leaves_no_doubt(&error) {
            Failure::Members(failed("write", &error))
        } else {
            Failure::Whole(unknown("write", &error))
        });
    }
    if operations.is_empty() {
        return Ok(verdicts);
    }
    for operation in operations {
        operation.run(connection).await;
    }
    if let Err(error) = sqlx::query("COMMIT").execute(&mut *connection).await {
        roll_back(connection).await;
        return Err(Failure::Whole(unknown("commit", &error)));
    }
    Ok(verdicts)
}

/// What a group has seen of the store, and what of its ledgers.
type Seen = (Vec<SqliteRow>, Vec<SqliteRow>);

/// Begins the transaction and looks; at the ledger only where somebody posts.
async fn look(
    questions: Questions,
    of_ledger: LedgerQuestions,
    connection: &mut SqliteConnection,
) -> sqlx::Result<Seen> {
    let rows = questions.look(connection).await?;
    Ok((rows, of_ledger.look(connection).await?))
}

fn decide(
    members: &[Member],
    (rows, of_ledger): &Seen,
    met: &UnreadableRows,
) -> Result<(Vec<Result<Verdict>>, Changes, Option<LedgerChanges>)> {
    let mut resolver = Resolver::new(facts(rows, met), KnownLedger::read(of_ledger, met));
    let mut changes = Changes::default();
    let verdicts = members.iter().map(|member| member.decide(&mut resolver, &mut changes)).collect();
    resolver.counters().try_for_each(|(id, counter)| changes.counter(id, counter))?;
    let posted = resolver.ledger().changes()?;
    Ok((verdicts, changes, posted))
}

/// Answers whether there was a transaction, which is undone now.
pub(super) async fn roll_back(connection: &mut SqliteConnection) -> bool {
    match sqlx::query("ROLLBACK").execute(connection).await {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(%error, "nothing to roll back");
            false
        }
    }
}
