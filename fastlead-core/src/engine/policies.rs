//! The policies that decide: the current ones, and those that older leads are pinned to.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Engine;
use super::directory::{ActivePolicy, PolicyTrouble};
use crate::delivery::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::PolicyRef;
use crate::port::PolicyRecord;

/// How many versions back a policy is looked for that compiles.
const VERSIONS: u32 = 64;

/// A policy that is ready to decide on the new leads of a project.
pub(super) struct ReadiedPolicy {
    pub(super) scope: Scope,
    pub(super) policy: Arc<ActivePolicy>,
    /// Why it is not the newest version that decides.
    pub(super) trouble: Option<PolicyTrouble>,
}

impl Engine {
    /// Readies a policy that was published by this program or another one. Where it does not compile, the newest version
    /// that does decides on new leads, so that none is lost; where none does, this one decides and the messages of its
    /// broken templates fail.
    ///
    /// # Errors
    /// Where the catalog cannot be read.
    pub(super) async fn readied(&self, record: &PolicyRecord) -> Result<ReadiedPolicy> {
        let (workspace, project) = (record.workspace_id, record.project_id);
        let scope = Scope { workspace_id: workspace, project_id: project };
        let error = match ActivePolicy::new(record) {
            Ok(policy) => return Ok(ReadiedPolicy { scope, policy: Arc::new(policy), trouble: None }),
            Err(error) => error,
        };
        let versions = self.inner.catalog.policies(workspace, project, VERSIONS).await?;
        let older = versions.iter().filter(|version| version.reference.version < record.reference.version);
        let active = older.into_iter().find_map(|version| ActivePolicy::new(version).ok());
        let policy = Arc::new(active.unwrap_or_else(|| ActivePolicy::without_broken_templates(record)));
        let trouble = PolicyTrouble {
            workspace_id: workspace,
            broken: record.reference,
            reason: error.message().to_owned(),
            deciding: policy.reference,
        };
        tracing::error!(
            %project, version = trouble.broken.version, deciding = trouble.deciding.version, %error,
            "a policy does not compile any more; publish one that does"
        );
        Ok(ReadiedPolicy { scope, policy, trouble: Some(trouble) })
    }

    /// A policy was published: those who wait in the queue of its project go on by it. An engine that does not run leaves
    /// that to one that does.
    pub(super) fn pin_those_who_wait(&self, scope: Scope) {
        if self.inner.running.load(Ordering::Acquire) {
            self.look_after_queue(scope);
        }
    }

    /// The policy version that decides on an older lead. Its broken templates are missing, should it have any.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`] where it is not stored in a form that can be read; those of the catalog.
    pub(super) async fn policy(&self, reference: PolicyRef) -> Result<Arc<ActivePolicy>> {
        if let Some(policy) = self.directory().current_by_reference(reference) {
            return Ok(Arc::clone(policy));
        }
        let policies = &self.inner.policies;
        let known = policies.lock().unwrap_or_else(PoisonError::into_inner).get(&reference).map(Arc::clone);
        if let Some(policy) = known {
            return Ok(policy);
        }
        let record = self.inner.catalog.policy(reference).await?.ok_or_else(|| {
            let message = format!("policy {} version {} is gone", reference.id, reference.version);
            Error::new(ErrorKind::Unreadable, message)
        })?;
        let policy = Arc::new(ActivePolicy::without_broken_templates(&record));
        self.remember(Arc::clone(&policy));
        Ok(policy)
    }
}
