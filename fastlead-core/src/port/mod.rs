//! What the engine and the server ask of a store. Whole domain operations, never tables.

mod accounts;
mod addresses;
mod beginning;
mod catalog;
mod changes;
mod enricher;
mod form;
mod identities;
mod inbound;
mod journal;
mod leases;
mod ledger;
mod links;
mod quota;
mod risk;
mod store;
mod unreadable;

pub use accounts::{Accounts, ApiKeyRecord, Role, SessionRecord, UserRecord};
pub use addresses::{
    AddressBook, AddressKey, AddressMove, Addresses, NoAdvertising, Suppression, SuppressionScope,
};
pub use beginning::{BeginOutcome, Beginning};
pub use catalog::{
    AutomatedAction, Catalog, CatalogSnapshot, ChannelRecord, ChannelStatus, PolicyDraft, PolicyRecord,
    Project, Resealed, SealedConfig, Source, SourceLimits, Workspace,
};
pub use changes::{ChangeLog, Changes, InstallationChange, Revision};
pub use enricher::Enricher;
pub use form::{FormSettings, FormTexts};
pub use identities::{Identities, IdentityBook, IdentityFilter, IdentityKey, IdentityLink, LinkedBy, Undone};
pub use inbound::{InboundBatch, InboundRecord, InboundRef, LeasedInbound};
pub use journal::{
    AttemptRecord, CaptureFilter, Cursor, DeliveryFilter, DeliveryRecord, DeliverySummary, EventBatch,
    Journal, LeadCounts, LeadFilter, LeadSummary, Page, PageRequest, Purged, QueueDepth, Recovery,
    StoredCapture, StoredEvent,
};
pub use leases::{LeaseAnswer, Leases, NamedLease};
pub use ledger::{
    AccountBalance, AccountEntry, Entry, Ledger, LedgerAccount, Posting, PostingFault, check_postings,
};
pub use links::ConfirmLinks;
pub use quota::{Quota, QuotaAnswer, QuotaHold, QuotaKey, QuotaLimit, QuotaRequest};
pub use risk::{LeadAtRisk, RiskFilter, is_deadline, place_at_risk};
pub use store::{
    AccountPause, CaptureAnswer, CaptureVerdict, ChannelRoom, ClaimRequest, Claimed, CommitOutcome, Erased,
    Erasure, Guard, IdempotencyRecord, LeadRecord, LeasedTimer, NewTimer, NextDue, Receipt, Refusal,
    Reservation, Revival, SettleOutcome, Settled, Settlement, Store, Transition,
};
pub use unreadable::{SetAside, UnreadableRow, UnreadableRows};
