//! The one writer: takes what is waiting, makes it one transaction, and answers when that is on disk.

use fastlead_core::delivery::NewDelivery;
use fastlead_core::error::{Error, Result};
use fastlead_core::id::{DeliveryId, LeaseToken};
use fastlead_core::port::{
    BeginOutcome, Beginning, CommitOutcome, Refusal, SettleOutcome, Settlement, Transition,
};
use fastlead_core::time::Timestamp;
use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::close::{Closer, Ending, ends};
use super::fault::{closed, failed, leaves_no_doubt, unanswered, unknown};
use super::forget::Forgetting;
use super::group::{Changes, Questions, WRITE, WRITE_AND_COMMIT, facts};
use super::lock::FileLock;
use super::resolve::Resolver;

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
    Commit(Box<Transition>, Box<Changes>, Reply<CommitOutcome>),
    Settle { delivery: DeliveryId, token: LeaseToken, changes: Box<Changes>, reply: Reply<SettleOutcome> },
    Begin(Beginning, Box<Changes>, Reply<BeginOutcome>),
    Enqueue(Box<Changes>, Reply<()>),
}

/// Whether a member was applied.
type Verdict = std::result::Result<(), Refusal>;

impl Member {
    fn ask(&self, questions: &mut Questions) -> Result<()> {
        match self {
            Self::Commit(transition, ..) => questions.transition(transition),
            Self::Settle { delivery, .. } => questions.delivery(*delivery),
            Self::Begin(beginning, ..) => questions.delivery(beginning.delivery_id),
            Self::Enqueue(..) => Ok(()),
        }
    }

    /// What it asks for was written down when it was asked for; here it is only added or left out.
    fn decide(&self, resolver: &mut Resolver, group: &mut Changes) -> Verdict {
        let (verdict, changes) = match self {
            Self::Commit(transition, changes, _) => (resolver.commit(transition), changes),
            Self::Settle { delivery, token, changes, .. } => (resolver.take(*delivery, *token), changes),
            Self::Begin(beginning, changes, _) => {
                (resolver.take(beginning.delivery_id, beginning.token), changes)
            }
            Self::Enqueue(changes, _) => (Ok(()), changes),
        };
        if verdict.is_ok() {
            group.append(changes);
        }
        verdict
    }

    /// A failed send means that the caller has gone away.
    fn answer(self, outcome: Result<Verdict>) {
        let _gone = match self {
            Self::Commit(_, _, reply) => {
                let verdict = |verdict: Verdict| match verdict {
                    Ok(()) => CommitOutcome::Applied,
                    Err(refusal) => CommitOutcome::Refused(refusal),
                };
                reply.send(outcome.map(verdict)).is_err()
            }
            Self::Settle { reply, .. } => {
                let verdict = |verdict: Verdict| match verdict {
                    Ok(()) => SettleOutcome::Settled,
                    Err(_) => SettleOutcome::LeaseLost,
                };
                reply.send(outcome.map(verdict)).is_err()
            }
            Self::Begin(_, _, reply) => {
                let verdict = |verdict: Verdict| match verdict {
                    Ok(()) => BeginOutcome::Begun,
                    Err(_) => BeginOutcome::LeaseLost,
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
    pub(super) fn start(connection: SqliteConnection, lock: Option<FileLock>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (closer, ending) = ends(lock);
        tokio::spawn(work(connection, queue, ending));
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
        let changes = Box::new(Changes::of_transition(&transition)?);
        self.send(|reply| Job::Member(Member::Commit(Box::new(transition), changes, reply))).await
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Result<SettleOutcome> {
        let changes = Box::new(Changes::of_settlement(&settlement)?);
        let Settlement { delivery_id: delivery, token, .. } = settlement;
        self.send(|reply| Job::Member(Member::Settle { delivery, token, changes, reply })).await
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

async fn work(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Job>, mut ending: Ending) {
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
        group(&mut connection, &mut jobs).await;
        if let Some(now) = now {
            forgetting.forget(&mut connection, now).await;
        }
    }
    ending.finish(connection).await;
}

async fn group(connection: &mut SqliteConnection, jobs: &mut Vec<Job>) {
    let mut members = Vec::with_capacity(jobs.len());
    let mut operations = Vec::new();
    for job in jobs.drain(..) {
        match job {
            Job::Member(member) => members.push(member),
            Job::Operation(operation) => operations.push(operation),
        }
    }
    match transact(connection, &members, &mut operations).await {
        Ok(verdicts) => {
            for (member, verdict) in members.into_iter().zip(verdicts) {
                member.answer(Ok(verdict));
            }
            for operation in operations {
                operation.answer(Ok(()));
            }
        }
        Err(Failure::Members(error)) if members.len() + operations.len() > 1 => {
            // Each is tried alone, so that a bad one fails nobody else.
            tracing::warn!(%error, members = members.len(), "a group failed; its members are tried one by one");
            for member in members {
                let alone = transact(connection, std::slice::from_ref(&member), &mut []).await;
                let verdict = alone.map_err(Failure::into_error).map(|mut verdicts| verdicts.pop());
                member.answer(verdict.and_then(|verdict| verdict.ok_or_else(closed)));
            }
            if !operations.is_empty() {
                let done = transact(connection, &[], &mut operations).await.map(drop);
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
    members: &[Member],
    operations: &mut [Box<dyn Operation>],
) -> std::result::Result<Vec<Verdict>, Failure> {
    let mut questions = Questions::default();
    members.iter().try_for_each(|member| member.ask(&mut questions)).map_err(Failure::Members)?;
    let rows = match questions.look(connection).await {
        Ok(rows) => rows,
        Err(error) => {
            roll_back(connection).await;
            return Err(Failure::Whole(failed("look", &error)));
        }
    };
    let (verdicts, changes) = match decide(members, &rows) {
        Ok(decided) => decided,
        Err(error) => {
            roll_back(connection).await;
            return Err(Failure::Members(error));
        }
    };
    drop(rows);
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

fn decide(members: &[Member], rows: &[sqlx::sqlite::SqliteRow]) -> Result<(Vec<Verdict>, Changes)> {
    let mut resolver = Resolver::new(facts(rows)?);
    let mut changes = Changes::default();
    let verdicts = members.iter().map(|member| member.decide(&mut resolver, &mut changes)).collect();
    resolver.counters().try_for_each(|(id, counter)| changes.counter(id, counter))?;
    Ok((verdicts, changes))
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
