//! What must be true of the files that a loss of power leaves behind.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use fastlead_core::delivery::DeliveryState;
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, WorkspaceId};
use fastlead_core::port::{
    Catalog as _, CommitOutcome, DeliveryFilter, InboundBatch, Journal as _, LeadFilter, PageRequest,
    SettleOutcome, Store as _,
};
use fastlead_core::time::plus_seconds;
use fastlead_store::{SqliteOptions, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::day::{Fact, Mark, claim_all, inbound, lead_fact, lease, sent};
use super::disk::Files;
use super::trace::Record;
use crate::sqlite::{Site, start};

/// A fact, with the records between which it may or must be in the database.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    begun: usize,
    acknowledged: Option<usize>,
    fact: Fact,
}

/// Everything that a day has begun and acknowledged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Vec<Promise>);

impl Ledger {
    /// What the records say, after what was in the file before them.
    pub(crate) fn of(records: &[Record], before: Vec<Fact>) -> Self {
        let old = before.into_iter().map(|fact| Promise { begun: 0, acknowledged: Some(0), fact });
        let mut promises: Vec<Promise> = old.collect();
        let old = promises.len();
        for (index, record) in records.iter().enumerate() {
            let Record::Mark(line) = record else { continue };
            match serde_json::from_str(line).unwrap() {
                Mark::Begun { number, fact } => {
                    assert_eq!(usize::try_from(number).unwrap() + old, promises.len(), "marks come in order");
                    promises.push(Promise { begun: index, acknowledged: None, fact });
                }
                Mark::Acknowledged { number } => {
                    promises[usize::try_from(number).unwrap() + old].acknowledged = Some(index);
                }
            }
        }
        Self(promises)
    }

    /// Number of leads that were acknowledged before a record.
    pub(crate) fn leads_before(&self, record: usize) -> usize {
        let acknowledged = |promise: &&Promise| promise.acknowledged.is_some_and(|at| at < record);
        let lead = |promise: &&Promise| matches!(promise.fact, Fact::Lead { .. });
        self.0.iter().filter(acknowledged).filter(lead).count()
    }
}

/// What was found, for the report.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Found {
    /// Facts that were acknowledged, and are there.
    pub(crate) kept: usize,
    /// Facts that were begun and not acknowledged, and are there.
    pub(crate) early: usize,
    /// Facts that were begun and not acknowledged, and are not there.
    pub(crate) lost: usize,
}

fn write(files: &Files, folder: &Path, shared_memory: Option<&[u8]>) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, content) in files {
        std::fs::write(folder.join(name), content).unwrap();
    }
    if let Some(noise) = shared_memory {
        std::fs::write(folder.join("fastlead.db-shm"), noise).unwrap();
    }
}

/// SQLite alone: the database is whole. Answers its version, and its main file once the log was moved into it.
pub(crate) async fn recover(
    files: &Files,
    folder: &Path,
    noise: Option<&[u8]>,
) -> Result<(i64, Vec<u8>), String> {
    write(files, folder, noise);
    let path = folder.join("fastlead.db");
    let fault = |error: sqlx::Error| format!("SQLite cannot recover it: {error}");
    let connect =
        SqliteConnectOptions::new().filename(&path).create_if_missing(true).disable_statement_logging();
    let mut connection = connect.connect().await.map_err(fault)?;
    let verdict: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.map_err(fault)?;
    if verdict != "ok" {
        return Err(format!("the integrity check says: {verdict}"));
    }
    let version =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await.map_err(fault)?;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.map_err(fault)?;
    connection.close().await.map_err(fault)?;
    Ok((version, std::fs::read(&path).unwrap()))
}

/// What a store says is there.
struct Contents {
    leads: HashMap<LeadId, String>,
    deliveries: HashMap<DeliveryId, DeliveryState>,
}

async fn contents(store: &SqliteStore, workspaces: &HashSet<WorkspaceId>) -> fastlead_core::Result<Contents> {
    let (mut leads, mut deliveries) = (HashMap::new(), HashMap::new());
    for workspace in workspaces {
        let mut page = PageRequest { after: None, limit: 500 };
        loop {
            let found = store.leads(*workspace, LeadFilter::default(), page.clone()).await?;
            leads.extend(found.items.into_iter().map(|lead| (lead.id, lead.status)));
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
        loop {
            let found = store.deliveries(*workspace, DeliveryFilter::default(), page.clone()).await?;
            deliveries.extend(found.items.into_iter().map(|delivery| (delivery.id, delivery.state)));
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
    }
    Ok(Contents { leads, deliveries })
}

/// The store: what was acknowledged before record `cut` is there, nothing is there by half, and the work goes on.
pub(crate) async fn reopen(
    files: &Files,
    folder: &Path,
    ledger: &Ledger,
    cut: usize,
) -> Result<Found, String> {
    write(files, folder, None);
    let fault = |error: fastlead_core::Error| format!("the store fails: {error}");
    let options = SqliteOptions::new(folder.join("fastlead.db")).readers(1);
    let store = SqliteStore::open(options).await.map_err(fault)?;
    let promises: Vec<&Promise> =
        ledger.0.iter().filter(|promise| promise.begun < cut || promise.begun == 0).collect();
    let workspaces: HashSet<WorkspaceId> = promises
        .iter()
        .filter_map(|promise| match promise.fact {
            Fact::Lead { workspace, .. } => Some(workspace),
            _ => None,
        })
        .collect();
    let Contents { leads, deliveries } = contents(&store, &workspaces).await.map_err(fault)?;
    let projects: HashSet<_> =
        store.load().await.map_err(fault)?.projects.into_iter().map(|project| project.id).collect();

    let mut found = Found::default();
    let mut inbounds: Vec<(ChannelId, u64, bool)> = Vec::new();
    for promise in &promises {
        let acknowledged = promise.acknowledged.is_some_and(|at| at < cut);
        let there = match &promise.fact {
            Fact::Lead { lead, deliveries: wanted, .. } => {
                let there = leads.contains_key(lead);
                let with = wanted.iter().filter(|delivery| deliveries.contains_key(delivery)).count();
                if with != if there { wanted.len() } else { 0 } {
                    return Err(format!("lead {lead} is there by half: {there}, {with} deliveries"));
                }
                there
            }
            Fact::Accepted { lead } => leads.get(lead).is_some_and(|status| status == "accepted"),
            Fact::Delivery { delivery } => deliveries.contains_key(delivery),
            Fact::Begun { delivery } => deliveries
                .get(delivery)
                .is_some_and(|state| matches!(state, DeliveryState::Sending | DeliveryState::Sent)),
            Fact::Sent { delivery } => deliveries.get(delivery) == Some(&DeliveryState::Sent),
            Fact::Project { project } => projects.contains(project),
            Fact::Inbound { channel, number } => {
                inbounds.push((*channel, *number, acknowledged));
                continue;
            }
        };
        match (acknowledged, there) {
            (true, true) => found.kept += 1,
            (true, false) => return Err(format!("acknowledged and lost: {:?}", promise.fact)),
            (false, true) => found.early += 1,
            (false, false) => found.lost += 1,
        }
    }
    goes_on(&store, &promises, &leads, &inbounds).await?;
    Ok(found)
}

/// Timers fire, what a provider repeats is known, a lead has its history, and a new one is captured and settled.
async fn goes_on(
    store: &SqliteStore,
    promises: &[&Promise],
    leads: &HashMap<LeadId, String>,
    inbounds: &[(ChannelId, u64, bool)],
) -> Result<(), String> {
    let fault = |error: fastlead_core::Error| format!("the store does not go on: {error}");
    let site = Site::new();
    let later = plus_seconds(start(), 100_000);
    let timers: HashSet<LeadId> = claim_all(store, site.channel_id, later, 100_000)
        .await
        .timers
        .iter()
        .map(|timer| timer.lead_id)
        .collect();
    let waiting: HashSet<LeadId> =
        leads.iter().filter(|(_, status)| *status != "accepted").map(|(lead, _)| *lead).collect();
    if timers != waiting {
        return Err(format!("{} leads wait and {} timers are there", waiting.len(), timers.len()));
    }
    if let Some((channel, _, _)) = inbounds.first() {
        let known: Vec<_> = inbounds.iter().filter(|inbound| inbound.2).collect();
        let events = known.iter().map(|(_, number, _)| inbound(*number)).collect();
        let batch =
            InboundBatch { channel_id: *channel, events, cursor: None, at: later, lease: lease(later) };
        let new = store.record_inbound(batch).await.map_err(fault)?;
        if !new.is_empty() {
            return Err(format!("acknowledged and lost: {} events of a provider", new.len()));
        }
    }
    let some_lead = promises.iter().rev().find_map(|promise| match &promise.fact {
        Fact::Lead { workspace, lead, .. } => leads.get(lead).map(|status| (*workspace, *lead, status)),
        _ => None,
    });
    if let Some((workspace, lead, status)) = some_lead {
        let events = store.events(workspace, lead, PageRequest::default()).await.map_err(fault)?.items.len();
        let wanted = if status == "accepted" { 2 } else { 1 };
        if events != wanted {
            return Err(format!("lead {lead} is {status} and has {events} events"));
        }
    }
    let capture = site.capture(u128::MAX, u128::MAX);
    let Fact::Lead { workspace, lead, .. } = lead_fact(&capture) else { return Ok(()) };
    let delivery = capture.deliveries[0].clone();
    if store.commit(capture).await.map_err(fault)? != CommitOutcome::Applied
        || store.settle(sent(delivery.id, delivery.lease.unwrap().token)).await.map_err(fault)?
            != SettleOutcome::Settled
        || store.lead(workspace, lead).await.map_err(fault)?.is_none()
    {
        return Err("the store does not take a new lead".to_owned());
    }
    store.close().await.map_err(fault)
}
