//! What one engine changes, every other can follow.

use fastlead_core::id::PolicyId;
use fastlead_core::port::{
    AccountPause, AddressMove, Changes, ChannelStatus, InstallationChange, Resealed, Revision, SealedConfig,
    Settlement, SuppressionScope,
};

use super::StoreHarness;
use super::addresses::{chat, suppression};
use super::harness::FullStore;
use super::identities::{link, undone};
use super::sample::{at, begin, policy, retry, settled, settlement, start};
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};

/// A change in one word, so that a failure can be read.
fn name(change: &InstallationChange) -> String {
    match change {
        InstallationChange::Project(project) => format!("project {} {}", project.id, project.name),
        InstallationChange::Source(source) => format!("source {} {}", source.id, source.key),
        InstallationChange::Channel(channel) => {
            format!("channel {} {:?} paused {}", channel.id, channel.config.0, channel.status.is_paused())
        }
        InstallationChange::Policy(record) => {
            format!("policy {} {}", record.project_id, record.reference.version)
        }
        InstallationChange::Suppressed(held) => format!("suppressed {}", held.id),
        InstallationChange::Lifted(address) => format!("lifted {address:?}"),
        InstallationChange::Moved(moved) => format!("moved {:?}", moved.to.kind()),
        InstallationChange::Linked(link) => format!("linked {}", link.id),
        InstallationChange::Unlinked(link) => format!("unlinked {}", link.id),
        other => format!("{other:?}"),
    }
}

fn names(changes: &Changes) -> Vec<String> {
    changes.changes.iter().map(name).collect()
}

async fn since(store: &dyn FullStore, revision: Revision) -> Result<Vec<String>, Violation> {
    let changes = store.changes_since(revision, 1_000).await?;
    ensure!(!changes.more, "{} changes are said to be more than 1,000", changes.changes.len());
    let last = store.revision().await?;
    ensure!(
        changes.revision == last,
        "after all changes the revision is {:?}, not {last:?}",
        changes.revision
    );
    Ok(names(&changes))
}

/// Makes one change, and sees that it alone is found from the revision before it.
macro_rules! finds {
    ($store:expr, $change:expr, $expected:expr) => {{
        let before = $store.revision().await?;
        $change;
        let after = $store.revision().await?;
        ensure!(after > before, "{} has no revision of its own: {before:?} stays", stringify!($change));
        let (found, expected) = (since(&*$store, before).await?, $expected);
        ensure!(found == expected, "after {}: expected {expected:?}, found {found:?}", stringify!($change));
    }};
}

/// Whatever engines keep in memory is found after each change of it, as it is then, from the revision before.
pub async fn every_change_is_found_from_any_revision<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (workspace, project) = (tenant.scope.workspace_id, tenant.scope.project_id);
    let first = Revision::NONE;
    ensure!(!since(&*store, first).await?.is_empty(), "what was there first is not found from no revision");

    let mut named = tenant.project(project);
    named.name = "Renamed".to_owned();
    let expected = vec![name(&InstallationChange::Project(Box::new(named.clone())))];
    finds!(store, store.put_project(named).await?, expected);
    let mut source = tenant.source_record(tenant.source);
    source.key = "another-key".to_owned();
    let expected = vec![format!("source {} another-key", source.id)];
    finds!(store, store.put_source(source).await?, expected);
    let mut channel = tenant.channel_record(tenant.channel, "sms");
    channel.config = SealedConfig(vec![1, 2]);
    let channel_is =
        |config: &[u8], paused: bool| vec![format!("channel {} {config:?} paused {paused}", tenant.channel)];
    let before = channel.config.clone();
    finds!(store, store.put_channel(channel.clone()).await?, channel_is(&[1, 2], false));
    let after = Resealed { config: SealedConfig(vec![3]), webhook_token: channel.webhook_token.clone() };
    finds!(
        store,
        store.reseal_channel(workspace, tenant.channel, &before, after).await?,
        channel_is(&[3], false)
    );
    let paused = ChannelStatus::Paused { reason: "operator".to_owned(), since: at(1) };
    finds!(store, store.set_channel_status(workspace, tenant.channel, paused).await?, channel_is(&[3], true));
    let active = ChannelStatus::Active;
    finds!(
        store,
        store.set_channel_status(workspace, tenant.channel, active).await?,
        channel_is(&[3], false)
    );
    // An account is also paused by what becomes of a delivery.
    let (_, id, lease) = tenant.leased(&*store, start()).await?;
    let pause = AccountPause { channel_id: tenant.channel, reason: "auth".to_owned(), notices: Vec::new() };
    let refused =
        Settlement { pause: Some(pause), ..settlement(id, lease.token, at(1), retry(at(60), true)) };
    finds!(store, settled(&*store, refused).await?, channel_is(&[3], true));
    for version in [1_u64, 2] {
        let id = PolicyId::from_uuid(project.as_uuid());
        finds!(
            store,
            store.publish_policy(workspace, project, id, policy(60 * version), start()).await?,
            vec![format!("policy {project} {version}")]
        );
    }
    let held = suppression(&tenant, chat(1), SuppressionScope::All);
    finds!(store, store.suppress(held.clone()).await?, vec![format!("suppressed {}", held.id)]);
    let moved =
        AddressMove { workspace_id: workspace, channel_id: tenant.channel, from: chat(2), to: chat(3) };
    finds!(store, store.move_address(moved).await?, vec![format!("moved {:?}", chat(3).kind())]);
    let linked = link(&tenant, "anna", 1, "event-1")?;
    finds!(store, store.link(linked.clone()).await?, vec![format!("linked {}", linked.id)]);
    Ok(Verdict::Held)
}

/// A thing that has changed several times is named once, where it has changed last; others keep their order.
pub async fn a_thing_is_named_once_at_its_last_change<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let before = store.revision().await?;
    let put = |key: &'static str| {
        let mut source = tenant.source_record(tenant.source);
        source.key = key.to_owned();
        source
    };
    store.put_source(put("one")).await?;
    let held = suppression(&tenant, chat(1), SuppressionScope::All);
    store.suppress(held.clone()).await?;
    store.put_source(put("two")).await?;
    store.put_source(put("three")).await?;
    let expected = vec![format!("suppressed {}", held.id), format!("source {} three", tenant.source)];
    let found = since(&*store, before).await?;
    ensure!(found == expected, "expected {expected:?}, found {found:?}");
    Ok(Verdict::Held)
}

/// What was lifted or undone is named as that, also where it was made after the same revision.
pub async fn what_was_removed_is_named_as_removed<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let before = store.revision().await?;
    let held = suppression(&tenant, chat(1), SuppressionScope::All);
    store.suppress(held.clone()).await?;
    let first = link(&tenant, "anna", 1, "event-1")?;
    store.link(first.clone()).await?;
    let between = store.revision().await?;
    ensure!(store.lift(workspace, held.key()).await?, "the suppression cannot be lifted");
    // The account has another number now, which undoes the first link.
    let second = link(&tenant, "anna", 2, "event-2")?;
    store.link(second.clone()).await?;
    let expected = vec![
        format!("lifted {:?}", held.key()),
        format!("unlinked {}", first.id),
        format!("linked {}", second.id),
    ];
    for revision in [before, between] {
        let found = since(&*store, revision).await?;
        ensure!(found == expected, "since {revision:?}: expected {expected:?}, found {found:?}");
    }
    let between = store.revision().await?;
    store.undo_link(workspace, second.id, undone(9)).await?;
    let narrowed = suppression(&tenant, chat(4), SuppressionScope::All);
    store.suppress(narrowed.clone()).await?;
    store.narrow(workspace, narrowed.key()).await?;
    let expected = vec![format!("unlinked {}", second.id), format!("lifted {:?}", narrowed.key())];
    let found = since(&*store, between).await?;
    ensure!(found == expected, "expected {expected:?}, found {found:?}");
    Ok(Verdict::Held)
}

/// Small batches bring the same as a large one, each thing once, and the last says that there is no more.
pub async fn changes_come_in_batches_without_gaps<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let before = store.revision().await?;
    for number in 0..7 {
        store.suppress(suppression(&tenant, chat(number), SuppressionScope::All)).await?;
    }
    let all = since(&*store, before).await?;
    ensure!(all.len() == 7, "7 suppressions are {} changes", all.len());
    let (mut found, mut revision) = (Vec::new(), before);
    for _ in 0..8 {
        let batch = store.changes_since(revision, 2).await?;
        ensure!(batch.changes.len() <= 2, "a batch of 2 has {} changes", batch.changes.len());
        found.extend(names(&batch));
        revision = batch.revision;
        if !batch.more {
            break;
        }
    }
    ensure!(found == all, "in batches: {found:?}, at once: {all:?}");
    let nothing = store.changes_since(revision, 2).await?;
    let empty = nothing.changes.is_empty() && !nothing.more && nothing.revision == revision;
    ensure!(empty, "after the last revision there is {nothing:?}");
    Ok(Verdict::Held)
}

/// Revisions go on after a restart, and what has changed before it is still found.
pub async fn changes_survive_a_restart<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let before = store.revision().await?;
    let held = suppression(&tenant, chat(1), SuppressionScope::All);
    store.suppress(held.clone()).await?;
    let last = store.revision().await?;
    drop(store);
    applies_if!(harness.reopen().await, "the store does not survive a restart");
    let store = harness.store();
    let found = since(&*store, before).await?;
    ensure!(found == [format!("suppressed {}", held.id)], "after a restart: {found:?}");
    store.put_project(tenant.project(tenant.scope.project_id)).await?;
    let next = store.revision().await?;
    ensure!(next > last, "revisions begin anew after a restart: {last:?}, then {next:?}");
    Ok(Verdict::Held)
}
