//! Work that outlives its caller.

use super::Engine;
use crate::error::{Error, ErrorKind, Result};

impl Engine {
    /// Runs `work` on a task of the engine and returns its result.
    ///
    /// # Behavior
    /// * Dropping the returned future after its first poll does not stop `work`: it goes on to its end.
    /// * [`Engine::run`] waits for it before it returns.
    ///
    /// # Errors
    /// Those of `work`; [`ErrorKind::Internal`] where it has panicked.
    pub(super) async fn detached<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let task = self.inner.tasks.spawn(work(self.clone()));
        match task.await {
            Ok(outcome) => outcome,
            Err(failed) => Err(Error::new(ErrorKind::Internal, "the work has ended before its time")
                .with_operation("detached")
                .with_source(failed)),
        }
    }
}
