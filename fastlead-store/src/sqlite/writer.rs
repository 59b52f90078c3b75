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

type Verdicts = (
    Vec<(CommitOutcome, oneshot::Sender<Result<CommitOutcome>>)>,
    Vec<(SettleOutcome, oneshot::Sender<Result<SettleOutcome>>)>,
);

struct Split {
    commits: Vec<(Box<Transition>, oneshot::Sender<Result<CommitOutcome>>)>,
    settles: Vec<(Box<Settlement>, oneshot::Sender<Result<SettleOutcome>>)>,
    others: Vec<Box<dyn Operation>>,
}

async fn group(connection: &mut SqliteConnection, jobs: Vec<Job>) {
    let mut split = Split { commits: Vec::new(), settles: Vec::new(), others: Vec::new() };
    for job in jobs {
        match job {
            Job::Commit(transition, sender) => split.commits.push((transition, sender)),
            Job::Settle(settlement, sender) => split.settles.push((settlement, sender)),
            Job::Other(operation) => split.others.push(operation),
        }
    }
    let single = split.commits.len() + split.settles.len() <= 1;
    // Kept for a second try, member by member, where the group fails as a whole.
    let spare: Option<(Vec<Transition>, Vec<Settlement>)> = (!single).then(|| {
        (
            split.commits.iter().map(|(transition, _)| (**transition).clone()).collect(),
            split.settles.iter().map(|(settlement, _)| (**settlement).clone()).collect(),
        )
    });
    let mut others = split.others;
    match transact(connection, split.commits, split.settles, &mut others).await {
        Ok((commits, settles)) => {
            for (outcome, sender) in commits {
                let _gone = sender.send(Ok(outcome));
            }
            for (outcome, sender) in settles {
                let _gone = sender.send(Ok(outcome));
            }
            for operation in others {
                operation.answer(Ok(()));
            }
        }
        Err((error, commits, settles)) => {
            for operation in others {
                operation.answer(Err(copy(&error)));
            }
            let unknown = error.retry() == RetryHint::UNKNOWN;
            let Some((transitions, settlements)) = spare.filter(|_| !unknown) else {
                for sender in commits {
                    let _gone = sender.send(Err(copy(&error)));
                }
                for sender in settles {
                    let _gone = sender.send(Err(copy(&error)));
                }
                return;
            };
            tracing::warn!(%error, members = transitions.len() + settlements.len(), "a group failed; its members are tried one by one");
            for (transition, sender) in transitions.into_iter().zip(commits) {
                Box::pin(group(connection, vec![Job::Commit(Box::new(transition), sender)])).await;
            }
            for (settlement, sender) in settlements.into_iter().zip(settles) {
                Box::pin(group(connection, vec![Job::Settle(Box::new(settlement), sender)])).await;
            }
        }
    }
}

fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.message()).with_retry(error.retry()).with_operation(error.operation())
}

type Commits = Vec<(Box<Transition>, oneshot::Sender<Result<CommitOutcome>>)>;
type Settles = Vec<(Box<Settlement>, oneshot::Sender<Result<SettleOutcome>>)>;
type Failed =
    (Error, Vec<oneshot::Sender<Result<CommitOutcome>>>, Vec<oneshot::Sender<Result<SettleOutcome>>>);

async fn transact(
    connection: &mut SqliteConnection,
    commits: Commits,
    settles: Settles,
    others: &mut [Box<dyn Operation>],
) -> std::result::Result<Verdicts, Failed> {
    let (transitions, commit_senders): (Vec<_>, Vec<_>) = commits.into_iter().unzip();
    let (settlements, settle_senders): (Vec<_>, Vec<_>) = settles.into_iter().unzip();
    match inside(connection, transitions, settlements, others).await {
        Ok((committed, settled)) => Ok((
            committed.into_iter().zip(commit_senders).collect(),
            settled.into_iter().zip(settle_senders).collect(),
        )),
        Err(error) => {
            if let Err(rollback) = sqlx::query("ROLLBACK").execute(connection).await {
                tracing::debug!(%rollback, "nothing to roll back");
            }
            Err((error, commit_senders, settle_senders))
        }
    }
}

async fn inside(
    connection: &mut SqliteConnection,
    transitions: Vec<Box<Transition>>,
    settlements: Vec<Box<Settlement>>,
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
        for transition in &transitions {
            questions.transition(transition);
        }
        for settlement in &settlements {
            questions.settlement(settlement);
        }
        let mut resolver = Resolver::new(questions.look(connection).await?);
        let mut changes = Changes::default();
        for settlement in settlements {
            settled.push(if resolver.settle(&settlement) {
                changes.settlement(*settlement)?;
                SettleOutcome::Settled
            } else {
                SettleOutcome::LeaseLost
            });
        }
        for transition in transitions {
            committed.push(match resolver.commit(&transition) {
                Ok(()) => {
                    changes.transition(*transition)?;
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
        Error::new(ErrorKind::Storage, failed("commit", &error).message())
            .with_operation("commit")
            .with_retry(RetryHint::UNKNOWN)
    })?;
    Ok((committed, settled))
}
