//! People, keys and settings of the whole installation.

use std::collections::HashSet;
use std::sync::Arc;

use fastlead_core::ErrorKind;
use fastlead_core::id::{ApiKeyId, UserId};
use fastlead_core::port::{ApiKeyRecord, Role, UserRecord};

use super::StoreHarness;
use super::sample::{Tenant, at, begin, start};
use crate::conformance::{Outcome, Verdict, ensure};

pub(super) fn user(tenant: &Tenant, login: &str) -> UserRecord {
    UserRecord {
        id: UserId::generate(&*tenant.ids, start()),
        workspace_id: tenant.scope.workspace_id,
        login: login.into(),
        password_hash: "$argon2id$v=19$invented".into(),
        role: Role::Operator,
        created_at: start(),
        tokens_valid_from: start(),
    }
}

pub(super) fn key(tenant: &Tenant, number: u8) -> ApiKeyRecord {
    ApiKeyRecord {
        id: ApiKeyId::generate(&*tenant.ids, start()),
        workspace_id: tenant.scope.workspace_id,
        name: format!("key {number}"),
        hash: [number; 32],
        hint: "fl_1234".to_owned(),
        role: Role::Admin,
        created_at: start(),
        revoked_at: None,
    }
}

/// Users read back by id and login, are replaced by id, and no two have one login.
pub async fn users_read_back_and_logins_are_unique<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    ensure!(store.count_users().await? == 0, "a new store has users");
    let (mut anna, oleg) = (user(&tenant, "anna@example.com"), user(&tenant, "oleg@example.com"));
    store.put_user(anna.clone()).await?;
    store.put_user(oleg.clone()).await?;
    ensure!(store.count_users().await? == 2, "two users were put");
    anna.login = "vera@example.com".into();
    anna.password_hash = "$argon2id$v=19$other".into();
    anna.role = Role::Admin;
    anna.tokens_valid_from = at(60);
    store.put_user(anna.clone()).await?;
    ensure!(store.count_users().await? == 2, "a user was replaced and counted twice");
    for found in [store.user(anna.id).await?, store.user_by_login("vera@example.com").await?] {
        ensure!(found.as_ref() == Some(&anna), "expected {anna:?}, read {found:?}");
    }
    let old = store.user_by_login("anna@example.com").await?;
    ensure!(old.is_none(), "a user is found by an old login");
    let missing = store.user(UserId::generate(&*tenant.ids, start())).await?;
    ensure!(missing.is_none(), "a user that does not exist was read");
    let mut taken = user(&tenant, "oleg@example.com");
    for (what, user) in [
        ("a second user with one login", taken.clone()),
        ("renaming to a taken login", UserRecord { login: oleg.login.clone(), ..anna.clone() }),
    ] {
        let error = store.put_user(user).await.err().map(|error| error.kind());
        ensure!(error == Some(ErrorKind::Conflict), "{what}: expected Conflict, got {error:?}");
    }
    ensure!(store.user_by_login("oleg@example.com").await? == Some(oleg), "a refused user replaced another");
    ensure!(store.user(anna.id).await? == Some(anna), "a refused change was stored");
    taken.login = "free@example.com".into();
    store.put_user(taken).await?;
    Ok(Verdict::Held)
}

/// A key opens its workspace until it is revoked, which is said once, and stays listed afterwards.
pub async fn keys_are_found_until_revoked<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let (first, second, foreign) = (key(&tenant, 1), key(&tenant, 2), key(&other, 3));
    for key in [&first, &second, &foreign] {
        store.put_api_key(key.clone()).await?;
        let found = store.api_key_by_hash(key.hash).await?;
        ensure!(found.as_ref() == Some(key), "expected {key:?}, read {found:?}");
    }
    ensure!(store.api_key_by_hash([9; 32]).await?.is_none(), "a key that does not exist was found");
    let workspace = tenant.scope.workspace_id;
    let stranger = store.revoke_api_key(other.scope.workspace_id, first.id, at(1)).await?;
    ensure!(!stranger, "another workspace revoked a key");
    ensure!(store.api_key_by_hash(first.hash).await?.is_some(), "another workspace revoked a key");
    ensure!(store.revoke_api_key(workspace, first.id, at(1)).await?, "revoking a key changed nothing");
    ensure!(!store.revoke_api_key(workspace, first.id, at(2)).await?, "a key was revoked twice");
    ensure!(store.api_key_by_hash(first.hash).await?.is_none(), "a revoked key opens the workspace");
    let listed = store.api_keys(workspace).await?;
    let wanted = [second, ApiKeyRecord { revoked_at: Some(at(1)), ..first }];
    ensure!(listed == wanted, "expected the newest first with what was revoked, {wanted:?}, got {listed:?}");
    let missing = store.revoke_api_key(workspace, ApiKeyId::generate(&*tenant.ids, start()), at(3)).await?;
    ensure!(!missing, "a key that does not exist was revoked");
    Ok(Verdict::Held)
}

/// The first value of a setting stays, and everybody who wants to set it is told that one.
pub async fn a_setting_is_set_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    ensure!(store.setting("key").await?.is_none(), "a new store has settings");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32_u8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.init_setting("key", vec![number, 0, 255]).await });
    }
    let mut told = HashSet::new();
    for value in tasks.join_all().await {
        told.insert(value?);
    }
    ensure!(told.len() == 1, "32 starts at once were told {} different values", told.len());
    let stored = store.setting("key").await?;
    ensure!(stored.as_ref() == told.iter().next(), "told {told:?}, stored {stored:?}");
    let other = store.init_setting("other", vec![7]).await?;
    ensure!(other == [7], "another setting has the value {other:?}");
    Ok(Verdict::Held)
}
