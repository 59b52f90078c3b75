//! The one writer: takes what is waiting, makes it one transaction, and answers when that is on disk.

use fastlead_core::error::{Error, ErrorKind, Result, RetryHint};
use fastlead_core::port::{CommitOutcome, SettleOutcome, Settlement, Transition};
use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::fault::{closed, failed};
use super::group::{Changes, Questions};
use super::resolve::Resolver;

/// How many operations share a transaction at the most.
const GROUP: usize = 256;
/// How many operations may wait.
pub(super) const QUEUE: usize = 4_096;

/// An operation that runs in the group's transaction and answers afterwards.
pub(super) trait Operation: Send {
    /// Runs inside the transaction.
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, ()>;
    /// The transaction is on disk, or has failed.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// Something for the writer to do.
pub(super) enum Job {
    Commit(Box<Transition>, oneshot::Sender<Result<CommitOutcome>>),
    Settle(Box<Settlement>, oneshot::Sender<Result<SettleOutcome>>),
    Other(Box<dyn Operation>),
}

/// The handle of the writer. The writer ends when the last handle is gone and its queue is done.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(super) fn start(connection: SqliteConnection) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(work(connection, queue));
        Self { jobs }
    }

    async fn send<T>(&self, job: Job, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        self.jobs.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    pub(super) async fn commit(&self, transition: Transition) -> Result<CommitOutcome> {
        let (sender, receiver) = oneshot::channel();
        self.send(Job::Commit(Box::new(transition), sender), receiver).await
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Result<SettleOutcome> {
        let (sender, receiver) = oneshot::channel();
        self.send(Job::Settle(Box::new(settlement), sender), receiver).await
    }

    /// Runs `operation` in the next transaction.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job = Once { operation: Some(operation), outcome: None, sender };
        self.send(Job::Other(Box::new(job)), receiver).await
    }
}

struct Once<T, F> {
    operation: Option<F>,
    outcome: Option<Result<T>>,
    sender: oneshot::Sender<Result<T>>,
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
        let _gone = self.sender.send(committed.and(outcome));
    }
}

async fn work(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut jobs, GROUP).await > 0 {
        group(&mut connection, std::mem::take(&mut jobs)).await;
        jobs.reserve(GROUP);
    }
    if let Err(error) = sqlx::Connection::close(connection).await {
        tracing::warn!(%error, "the database was not closed cleanly");
    }
}

type Commits = Vec<(Box<Transition>, oneshot::Sender<Result<CommitOutcome>>)>;
type Settles = Vec<(Box<Settlement>, oneshot::Sender<Result<SettleOutcome>>)>;

async fn group(connection: &mut SqliteConnection, jobs: Vec<Job>) {
    let mut commits = Commits::new();
    let mut settles = Settles::new();
    let mut others = Vec::new();
    for job in jobs {
        match job {
            Job::Commit(transition, sender) => commits.push((transition, sender)),
            Job::Settle(settlement, sender) => settles.push((settlement, sender)),
            Job::Other(operation) => others.push(operation),
        }
    }
    let transitions: Vec<&Transition> = commits.iter().map(|(transition, _)| &**transition).collect();
    let settlements: Vec<&Settlement> = settles.iter().map(|(settlement, _)| &**settlement).collect();
    match transact(connection, &transitions, &settlements, &mut others).await {
        Ok((committed, settled)) => {
            for ((_, sender), outcome) in commits.into_iter().zip(committed) {
                let _gone = sender.send(Ok(outcome));
            }
            for ((_, sender), outcome) in settles.into_iter().zip(settled) {
                let _gone = sender.send(Ok(outcome));
            }
            for operation in others {
                operation.answer(Ok(()));
            }
        }
        Err(error) => {
            for operation in others {
                operation.answer(Err(copy(&error)));
            }
            one_by_one(connection, commits, settles, &error).await;
        }
    }
}

/// A group that failed as a whole: each member is tried alone, so that a bad one fails nobody else. What may
/// have been committed is not tried again.
async fn one_by_one(connection: &mut SqliteConnection, commits: Commits, settles: Settles, error: &Error) {
    let alone = commits.len() + settles.len() <= 1;
    if alone || error.retry() == RetryHint::UNKNOWN {
        for (_, sender) in commits {
            let _gone = sender.send(Err(copy(error)));
        }
        for (_, sender) in settles {
            let _gone = sender.send(Err(copy(error)));
        }
        return;
    }
    tracing::warn!(%error, members = commits.len() + settles.len(), "a group failed; its members are tried one by one");
    for (transition, sender) in commits {
        Box::pin(group(connection, vec![Job::Commit(transition, sender)])).await;
    }
    for (settlement, sender) in settles {
        Box::pin(group(connection, vec![Job::Settle(settlement, sender)])).await;
    }
}

fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.message()).with_retry(error.retry()).with_operation(error.operation())
}

async fn transact(
    connection: &mut SqliteConnection,
    transitions: &[&Transition],
    settlements: &[&Settlement],
    others: &mut [Box<dyn Operation>],
) -> Result<(Vec<CommitOutcome>, Vec<SettleOutcome>)> {
    let done = inside(connection, transitions, settlements, others).await;
    if done.is_err()
        && let Err(rollback) = sqlx::query("ROLLBACK").execute(connection).await
    {
        tracing::debug!(%rollback, "nothing to roll back");
    }
    done
}

async fn inside(
    connection: &mut SqliteConnection,
    transitions: &[&Transition],
    settlements: &[&Settlement],
    others: &mut [Box<dyn Operation>],
) -> Result<(Vec<CommitOutcome>, Vec<SettleOutcome>)> {
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await
        .map_err(|error| failed("begin", &error))?;
    let mut committed = Vec::with_capacity(transitions.len());
    let mut settled = Vec::with_capacity(settlements.len());
    if !transitions.is_empty() || !settlements.is_empty() {
        let mut questions = Questions::default();
        for transition in transitions {
            questions.transition(transition);
        }
        for settlement in settlements {
            questions.settlement(settlement);
        }
        let mut resolver = Resolver::new(questions.look(connection).await?);
        let mut changes = Changes::default();
        for settlement in settlements {
            settled.push(if resolver.settle(settlement) {
                changes.settlement(settlement)?;
                SettleOutcome::Settled
            } else {
                SettleOutcome::LeaseLost
            });
        }
        for transition in transitions {
            committed.push(match resolver.commit(transition) {
                Ok(()) => {
                    changes.transition(transition)?;
                    CommitOutcome::Applied
                }
                Err(refusal) => CommitOutcome::Refused(refusal),
            });
        }
        changes.write(connection).await?;
    }
    for operation in others {
        operation.run(connection).await;
    }
    sqlx::query("COMMIT").execute(connection).await.map_err(|error| {
        let message = failed("commit", &error).message().to_owned();
        Error::new(ErrorKind::Storage, message).with_operation("commit").with_retry(RetryHint::UNKNOWN)
    })?;
    Ok((committed, settled))
}
