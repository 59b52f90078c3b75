//! People, keys and settings of the whole installation.

use std::collections::HashSet;
use std::sync::Arc;

use fastlead_core::ErrorKind;
use fastlead_core::id::{ApiKeyId, SessionId, UserId};
use fastlead_core::port::{ApiKeyRecord, Role, SessionRecord, UserRecord};

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
        disabled_at: None,
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
        scopes: vec!["leads:read".to_owned(), "leads:write".to_owned()],
        created_at: start(),
        expires_at: Some(at(3_600)),
        last_used_at: None,
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
    anna.disabled_at = Some(at(61));
    store.put_user(anna.clone()).await?;
    ensure!(store.count_users().await? == 2, "a user was replaced and counted twice");
    for found in [store.user(anna.id).await?, store.user_by_login("vera@example.com").await?] {
        ensure!(found.as_ref() == Some(&anna), "expected {anna:?}, read {found:?}");
    }
    let old = store.user_by_login("anna@example.com").await?;
    ensure!(old.is_none(), "a user is found by an old login");
    let listed = store.users(tenant.scope.workspace_id).await?;
    ensure!(listed == [anna.clone(), oleg.clone()], "expected both, oldest first, got {listed:?}");
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let strangers = store.users(other.scope.workspace_id).await?;
    ensure!(strangers.is_empty(), "another workspace lists {strangers:?}");
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
    store.touch_api_key(second.id, at(5)).await?;
    let second = ApiKeyRecord { last_used_at: Some(at(5)), ..second };
    ensure!(
        store.api_key_by_hash(second.hash).await?.as_ref() == Some(&second),
        "its last use was not noted"
    );
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

fn session(user: &UserRecord, tenant: &Tenant, opened: u64, expires: u64) -> SessionRecord {
    SessionRecord {
        id: SessionId::generate(&*tenant.ids, at(opened)),
        user_id: user.id,
        workspace_id: user.workspace_id,
        created_at: at(opened),
        expires_at: at(expires),
        last_used_at: at(opened),
        address: Some("192.0.2.1".into()),
        client: None,
        ended_at: None,
    }
}

/// A session reads back until it is forgotten, ends once and for its own workspace, and all of a user's but one end together.
pub async fn sessions_end<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let (anna, oleg) = (user(&tenant, "anna@example.com"), user(&tenant, "oleg@example.com"));
    let old = session(&anna, &tenant, 1, 10);
    let foreign = session(&oleg, &tenant, 2, 10);
    let (first, second) = (session(&anna, &tenant, 20, 90), session(&anna, &tenant, 21, 90));
    for session in [&old, &foreign, &first, &second] {
        store.open_session(session.clone()).await?;
        let read = store.session(session.id).await?;
        ensure!(read.as_ref() == Some(session), "expected {session:?}, read {read:?}");
    }
    ensure!(store.session(old.id).await?.is_none(), "a session that had expired at another sign-in is kept");
    ensure!(store.session(foreign.id).await?.is_some(), "somebody else's sign-in has forgotten a session");
    store.touch_session(first.id, at(30)).await?;
    let first = SessionRecord { last_used_at: at(30), ..first };
    let listed = store.sessions(anna.id).await?;
    ensure!(listed == [second.clone(), first.clone()], "expected the newest first, got {listed:?}");
    let (workspace, stranger) = (tenant.scope.workspace_id, other.scope.workspace_id);
    ensure!(!store.end_session(stranger, first.id, at(31)).await?, "another workspace ended a session");
    ensure!(store.end_session(workspace, first.id, at(31)).await?, "ending a session changed nothing");
    ensure!(!store.end_session(workspace, first.id, at(32)).await?, "a session ended twice");
    let ended = store.session(first.id).await?.and_then(|session| session.ended_at);
    ensure!(ended == Some(at(31)), "a session that was ended at {:?} reads as ended at {ended:?}", at(31));
    let third = session(&anna, &tenant, 40, 90);
    store.open_session(third.clone()).await?;
    let ended = store.end_sessions(anna.id, Some(third.id), at(41)).await?;
    ensure!(ended == 1, "one session besides the kept one was open, {ended} were ended");
    let listed = store.sessions(anna.id).await?;
    ensure!(listed == [third], "expected the kept one, got {listed:?}");
    let ended = store.end_sessions(anna.id, None, at(42)).await?;
    ensure!(ended == 1, "the last one was open, {ended} were ended");
    ensure!(store.sessions(oleg.id).await? == [foreign], "somebody else's sessions were ended");
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
    ensure!(!store.replace_setting("other", &[6], vec![8]).await?, "a setting that was another was replaced");
    ensure!(
        !store.replace_setting("third", &[7], vec![8]).await?,
        "a setting that is not there was replaced"
    );
    ensure!(store.replace_setting("other", &[7], vec![8]).await?, "a setting was not replaced");
    let replaced = store.setting("other").await?;
    ensure!(replaced.as_deref() == Some(&[8][..]), "a replaced setting reads {replaced:?}");
    Ok(Verdict::Held)
}
