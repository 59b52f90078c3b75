//! The installation's settings: round trips, conflicts, versions of policies.

use std::sync::Arc;

use fastlead_core::ErrorKind;
use fastlead_core::id::{ChannelId, PolicyId, SourceId};
use fastlead_core::lead::{ConsentDocument, ConsentPurpose};
use fastlead_core::message::Locale;
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{
    CatalogSnapshot, ChannelRecord, ChannelStatus, PolicyRecord, Resealed, SealedConfig, Source,
};

use super::StoreHarness;
use super::sample::{Tenant, at, begin, policy, start};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

fn channel(snapshot: &CatalogSnapshot, id: ChannelId) -> Result<&ChannelRecord, Violation> {
    let found = snapshot.channels.iter().find(|channel| channel.id == id);
    found.ok_or_else(|| Violation::new(format!("channel {id} is gone")))
}

/// Whether a change of something that is not there was answered so: nothing changed, or nothing found.
pub(super) fn found_nothing(answer: &fastlead_core::Result<bool>) -> bool {
    match answer {
        Ok(changed) => !changed,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Everything that was put is loaded as it was, and what is put again replaces it.
pub async fn the_catalog_reads_back<H: StoreHarness>() -> Outcome {
    let harness = H::start().await;
    let store = harness.store();
    let empty = store.load().await?;
    let sizes = [
        empty.workspaces.len(),
        empty.projects.len(),
        empty.sources.len(),
        empty.channels.len(),
        empty.policies.len(),
    ];
    ensure!(sizes == [0; 5], "a new store is not empty: {empty:?}");

    let tenant = Tenant::new(&*store, Arc::new(fastlead_core::id::SeededIds::new(1))).await?;
    let mut source = tenant.source_record(tenant.source);
    source.consents = vec![ConsentDocument {
        purpose: ConsentPurpose::PersonalData,
        locale: None,
        document_id: "pd".to_owned(),
        version: "3".to_owned(),
        label: "Согласие".to_owned(),
        text: "Текст\nвторая строка".to_owned(),
        required: true,
    }];
    source.locale = Locale::En;
    source.active = false;
    store.put_source(source.clone()).await?;
    let mut project = tenant.project(tenant.scope.project_id);
    project.name = "Стоматология".to_owned();
    store.put_project(project.clone()).await?;
    let mut record = tenant.channel_record(tenant.channel, "renamed");
    record.config = SealedConfig((0..=255).collect());
    record.webhook_token = "another".to_owned();
    store.put_channel(record.clone()).await?;

    let loaded = store.load().await?;
    ensure!(
        loaded.workspaces.len() == 1 && loaded.workspaces[0].id == tenant.scope.workspace_id,
        "{:?}",
        loaded.workspaces
    );
    ensure!(loaded.projects == [project], "the project reads back as {:?}", loaded.projects);
    ensure!(loaded.sources == [source], "the source reads back as {:?}", loaded.sources);
    ensure!(loaded.channels.len() == 2, "{} channels instead of 2", loaded.channels.len());
    ensure!(
        *channel(&loaded, tenant.channel)? == record,
        "the channel reads back as {:?}",
        channel(&loaded, tenant.channel)
    );
    ensure!(loaded.policies.is_empty(), "a project without a policy has one: {:?}", loaded.policies);
    Ok(Verdict::Held)
}

/// What people have agreed to is kept when the source asks with another text, or not any more.
pub async fn consent_documents_are_kept<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let document = |version: &str, text: &str| ConsentDocument {
        purpose: ConsentPurpose::PersonalData,
        locale: None,
        document_id: "pd".to_owned(),
        version: version.to_owned(),
        label: "Согласие".to_owned(),
        text: text.to_owned(),
        required: true,
    };
    let (first, second, third) =
        (document("1", "Текст"), document("1", "Другой текст"), document("2", "Новый"));
    for consents in
        [vec![first.clone()], vec![first.clone()], vec![second.clone(), third.clone()], Vec::new()]
    {
        let source = Source { consents, ..tenant.source_record(tenant.source) };
        store.put_source(source).await?;
    }
    let workspace = tenant.scope.workspace_id;
    let kept = store.consent_documents(workspace, "pd", "1").await?;
    ensure!(kept == [first, second], "documents of version 1: {kept:?}");
    let kept = store.consent_documents(workspace, "pd", "2").await?;
    ensure!(kept == [third], "documents of version 2: {kept:?}");
    for (workspace, name, version) in
        [(other.scope.workspace_id, "pd", "1"), (workspace, "ads", "1"), (workspace, "pd", "3")]
    {
        let kept = store.consent_documents(workspace, name, version).await?;
        ensure!(kept.is_empty(), "{workspace} has `{name}` {version}: {kept:?}");
    }
    Ok(Verdict::Held)
}

/// Source keys are unique, and channel names are unique within their workspace.
pub async fn names_and_keys_are_unique<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let key = tenant.source_record(tenant.source).key;
    for owner in [&tenant, &other] {
        let mut source = owner.source_record(SourceId::generate(&*tenant.ids, start()));
        source.key.clone_from(&key);
        let error = store.put_source(source).await.err().map(|error| error.kind());
        ensure!(
            error == Some(ErrorKind::Conflict),
            "two sources with one key: expected Conflict, got {error:?}"
        );
    }
    let channel = tenant.channel_record(ChannelId::generate(&*tenant.ids, start()), "first");
    let error = store.put_channel(channel).await.err().map(|error| error.kind());
    ensure!(
        error == Some(ErrorKind::Conflict),
        "two channels with one name: expected Conflict, got {error:?}"
    );
    let renamed = tenant.channel_record(tenant.other_channel, "first");
    let error = store.put_channel(renamed).await.err().map(|error| error.kind());
    ensure!(error == Some(ErrorKind::Conflict), "renaming to a taken name: expected Conflict, got {error:?}");
    let loaded = store.load().await?;
    ensure!(
        loaded.sources.len() == 2 && loaded.channels.len() == 4,
        "a refused source or channel was stored"
    );
    let second = loaded.channels.iter().find(|channel| channel.id == tenant.other_channel);
    ensure!(second.is_some_and(|channel| channel.name == "second"), "a refused name was stored");
    Ok(Verdict::Held)
}

/// A configuration is sealed anew only where nobody has changed it meanwhile, and nothing else of the channel
/// changes.
pub async fn resealing_overwrites_no_other_configuration<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (workspace, id) = (tenant.scope.workspace_id, tenant.channel);
    let sealed = |byte: u8| SealedConfig(vec![byte; 40]);
    let anew = |byte: u8| Resealed { config: sealed(byte), webhook_token: format!("token {byte}") };
    let mut record = tenant.channel_record(id, "first");
    record.config = sealed(1);
    store.put_channel(record.clone()).await?;
    ensure!(store.reseal_channel(workspace, id, &sealed(1), anew(2)).await?, "it is as it was, and stays so");
    // Somebody saves another one; whoever has read the first comes too late.
    let outdated = store.reseal_channel(workspace, id, &sealed(1), anew(3)).await?;
    ensure!(!outdated, "a configuration that was changed meanwhile is overwritten");
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let foreign = store.reseal_channel(other.scope.workspace_id, id, &sealed(2), anew(4)).await?;
    ensure!(!foreign, "another workspace seals a channel anew");
    let missing = ChannelId::generate(&*tenant.ids, start());
    let made = store.reseal_channel(workspace, missing, &sealed(2), anew(5)).await?;
    ensure!(!made, "a channel that does not exist is sealed anew");
    let loaded = store.load().await?;
    let wanted = ChannelRecord { config: sealed(2), webhook_token: "token 2".to_owned(), ..record };
    ensure!(*channel(&loaded, id)? == wanted, "it reads back as {:?}", channel(&loaded, id));
    Ok(Verdict::Held)
}

/// The status of a channel changes only by its own call, which says whether it changed anything.
pub async fn putting_a_channel_keeps_its_status<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let paused = ChannelStatus::Paused { reason: "balance".to_owned(), since: at(5) };
    let changed = store.set_channel_status(workspace, tenant.channel, paused.clone()).await?;
    ensure!(changed, "pausing an active channel changed nothing");
    let changed = store.set_channel_status(workspace, tenant.channel, paused.clone()).await?;
    ensure!(!changed, "pausing a paused channel the same way changed something");
    store.put_channel(tenant.channel_record(tenant.channel, "renamed")).await?;
    let loaded = store.load().await?;
    let found = channel(&loaded, tenant.channel)?;
    ensure!(
        found.status == paused && found.name == "renamed",
        "putting a paused channel made it {:?} with the name {}",
        found.status,
        found.name
    );
    let changed = store.set_channel_status(workspace, tenant.channel, ChannelStatus::Active).await?;
    ensure!(changed, "resuming a paused channel changed nothing");
    let loaded = store.load().await?;
    let status = &channel(&loaded, tenant.channel)?.status;
    ensure!(*status == ChannelStatus::Active, "a resumed channel is {status:?}");
    ensure!(
        channel(&loaded, tenant.other_channel)?.status == ChannelStatus::Active,
        "another channel was paused too"
    );
    let missing = ChannelId::generate(&*tenant.ids, start());
    let answer = store.set_channel_status(workspace, missing, paused).await;
    ensure!(found_nothing(&answer), "pausing a channel that does not exist was answered {answer:?}");
    Ok(Verdict::Held)
}

/// Publishing makes versions 1, 2, 3 … under one id; what is current already makes none. Old
/// versions stay, because leads are pinned to them.
pub async fn policies_have_versions<H: StoreHarness>() -> Outcome {
    fn brief(record: &PolicyRecord) -> (PolicyRef, u64) {
        (record.reference, record.policy.delivery.ttl_secs)
    }

    let (_harness, store, tenant) = begin::<H>().await?;
    let (workspace, project) = (tenant.scope.workspace_id, tenant.scope.project_id);
    let id = PolicyId::generate(&*tenant.ids, start());
    for (ttl, version) in [(60, 1), (60, 1), (120, 2), (60, 3), (60, 3)] {
        let new_id = if version == 1 { id } else { PolicyId::generate(&*tenant.ids, start()) };
        let record =
            store.publish_policy(workspace, project, new_id, policy(ttl), at(u64::from(version))).await?;
        let wanted = (PolicyRef { id, version }, ttl);
        ensure!(brief(&record) == wanted, "expected {wanted:?}, got {:?}", brief(&record));
        ensure!(
            (record.workspace_id, record.project_id, record.published_at)
                == (workspace, project, at(u64::from(version))),
            "version {version} was published as {record:?}"
        );
        ensure!(*record.policy == policy(ttl), "version {version} is another policy: {:?}", record.policy);
    }
    let versions = store.policies(workspace, project, 10).await?;
    let read: Vec<_> = versions.iter().map(brief).map(|(reference, ttl)| (reference.version, ttl)).collect();
    ensure!(read == [(3, 60), (2, 120), (1, 60)], "expected versions 3, 2, 1, got {read:?}");
    let newest = store.policies(workspace, project, 1).await?;
    ensure!(
        newest.len() == 1 && newest[0].reference.version == 3,
        "expected the newest version, got {newest:?}"
    );
    let current: Vec<_> = store.load().await?.policies.iter().map(brief).collect();
    ensure!(current == [(PolicyRef { id, version: 3 }, 60)], "the catalog has {current:?} as current");
    let old = store.policy(PolicyRef { id, version: 2 }).await?;
    ensure!(
        old.as_ref().map(brief) == Some((PolicyRef { id, version: 2 }, 120)),
        "version 2 reads back as {old:?}"
    );
    let missing = store.policy(PolicyRef { id, version: 4 }).await?;
    ensure!(missing.is_none(), "a version that was never published was read: {missing:?}");
    Ok(Verdict::Held)
}

/// Policies published at once get versions of their own, without gaps.
pub async fn concurrent_policies_get_versions_of_their_own<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (workspace, project) = (tenant.scope.workspace_id, tenant.scope.project_id);
    let mut tasks = tokio::task::JoinSet::new();
    for ttl in 1..=16 {
        let (store, id) = (Arc::clone(&store), PolicyId::generate(&*tenant.ids, start()));
        tasks.spawn(async move { store.publish_policy(workspace, project, id, policy(ttl), at(ttl)).await });
    }
    let mut versions = Vec::new();
    let mut ids = Vec::new();
    for record in tasks.join_all().await {
        let reference = record?.reference;
        versions.push(reference.version);
        ids.push(reference.id);
    }
    versions.sort_unstable();
    ensure!(
        versions.iter().copied().eq(1..=16),
        "16 policies published at once got the versions {versions:?}"
    );
    ensure!(ids.iter().all(|id| *id == ids[0]), "the versions of one project's policy have several ids");
    Ok(Verdict::Held)
}

/// A workspace is loaded without what belongs to others.
pub async fn a_workspace_is_loaded_alone<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, Arc::new(fastlead_core::id::SeededIds::new(77))).await?;
    for tenant in [&tenant, &other] {
        let (workspace, project) = (tenant.scope.workspace_id, tenant.scope.project_id);
        let id = PolicyId::from_uuid(project.as_uuid());
        store.publish_policy(workspace, project, id, policy(60), start()).await?;
    }
    let everything = store.load().await?;
    for tenant in [&tenant, &other] {
        let mine = tenant.scope.workspace_id;
        let loaded = store.load_workspace(mine).await?;
        let projects = everything.projects.iter().filter(|held| held.workspace_id == mine);
        let sources = everything.sources.iter().filter(|held| held.workspace_id == mine);
        let channels = everything.channels.iter().filter(|held| held.workspace_id == mine);
        ensure!(
            loaded.workspaces.iter().map(|held| held.id).eq([mine]),
            "another workspace: {:?}",
            loaded.workspaces
        );
        ensure!(loaded.projects.iter().eq(projects), "the projects are {:?}", loaded.projects);
        ensure!(loaded.sources.iter().eq(sources), "the sources are {:?}", loaded.sources);
        ensure!(loaded.channels.iter().eq(channels), "the channels are {:?}", loaded.channels);
        let policies: Vec<_> = loaded.policies.iter().map(|held| held.project_id).collect();
        ensure!(policies == [tenant.scope.project_id], "the policies are those of {policies:?}");
    }
    Ok(Verdict::Held)
}
