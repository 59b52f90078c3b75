//! What a group of commits knows of the ledger. Pure: a store reads it, members post to it, and the store writes what has come
//! of it.

use std::collections::{BTreeSet, HashMap};

use fastlead_core::id::{AccountId, WorkspaceId};
use fastlead_core::port::{Posting, Refusal, UnreadableRow};
use uuid::Uuid;

use crate::book::{Book, NewEntry, Plan};

/// What members name of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    Account,
    Posting,
    /// A posting that is to be taken back.
    Reversed,
}

/// What is named, in which workspace, by which id.
pub(crate) type Name = (Named, Uuid, Uuid);

/// Everything that these postings name.
pub(crate) fn names(workspace: WorkspaceId, postings: &[Posting]) -> impl Iterator<Item = Name> {
    let workspace = workspace.as_uuid();
    postings.iter().flat_map(move |posting| {
        let accounts = posting.entries.iter().map(|entry| (Named::Account, entry.account.as_uuid()));
        let reversed = posting.reverses.map(|reversed| reversed.as_uuid());
        let own = (Named::Posting, posting.id.as_uuid());
        let before = reversed.map(|reversed| (Named::Posting, reversed));
        let again = reversed.map(|reversed| (Named::Reversed, reversed));
        let all = accounts.chain([own]).chain(before).chain(again);
        all.map(move |(named, id)| (named, workspace, id))
    })
}

/// What is known of the ledger, and what members have posted.
#[derive(Debug, Default)]
pub(crate) struct KnownLedger {
    pub(crate) book: Book,
    /// What is there and cannot be read: who names it gets no verdict.
    pub(crate) unread: HashMap<Name, UnreadableRow>,
    /// What members have posted, in their order.
    pub(crate) postings: Vec<(WorkspaceId, Posting)>,
    pub(crate) entries: Vec<(WorkspaceId, NewEntry)>,
    /// Accounts that they have changed.
    pub(crate) accounts: BTreeSet<(WorkspaceId, AccountId)>,
}

impl KnownLedger {
    /// Something that these postings name and that cannot be read.
    pub(crate) fn unread(&self, workspace: WorkspaceId, postings: &[Posting]) -> Option<&UnreadableRow> {
        if self.unread.is_empty() {
            return None;
        }
        names(workspace, postings).find_map(|name| self.unread.get(&name))
    }

    /// Says what postings change, after those of the members before.
    pub(crate) fn plan<'a>(
        &self,
        workspace: WorkspaceId,
        postings: &'a [Posting],
    ) -> std::result::Result<Plan<'a>, Refusal> {
        self.book.plan(workspace, postings)
    }

    /// Makes the postings of a plan.
    pub(crate) fn apply(&mut self, workspace: WorkspaceId, plan: &Plan<'_>) {
        self.book.apply(workspace, plan);
        self.postings.extend(plan.postings.iter().map(|posting| (workspace, Posting::clone(posting))));
        self.accounts.extend(plan.entries.iter().map(|entry| (workspace, entry.account)));
        self.entries.extend(plan.entries.iter().map(|entry| (workspace, *entry)));
    }
}
