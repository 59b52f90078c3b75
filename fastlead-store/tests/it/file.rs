//! The file itself: who may have it open, what is in it after a stop, copies of it.
#![cfg(unix)]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use fastlead_core::ErrorKind;
use fastlead_core::port::{CommitOutcome, Store as _, Transition};
use fastlead_store::sqlite::{back_up, restore};
use fastlead_store::{SqliteOptions, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::sqlite::Site;

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(path)).await.unwrap()
}

async fn shared(path: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(path).shared()).await.unwrap()
}

async fn refusal(options: SqliteOptions) -> (ErrorKind, String) {
    let error = SqliteStore::open(options).await.unwrap_err();
    (error.kind(), error.message().to_owned())
}

/// A folder, the database's name in it, and an open store.
async fn served() -> (TempDir, PathBuf, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fastlead.db");
    let store = open(&path).await;
    (folder, path, store)
}

/// Captures `leads` leads, each acknowledged before the next.
async fn capture(store: &SqliteStore, site: &Site, from: u128, leads: u128) -> Vec<Transition> {
    let mut captured = Vec::new();
    for number in from..from + leads {
        let capture = site.capture(number, number);
        assert_eq!(store.commit(capture.clone()).await.unwrap(), CommitOutcome::Applied);
        captured.push(capture);
    }
    captured
}

async fn missing(store: &SqliteStore, captured: &[Transition]) -> usize {
    let mut missing = 0;
    for capture in captured {
        let workspace = capture.scope.workspace_id;
        let mut whole = store.lead(workspace, capture.lead_id).await.unwrap().is_some();
        for delivery in &capture.deliveries {
            whole &= store.delivery(workspace, delivery.id).await.unwrap().is_some();
        }
        missing += usize::from(!whole);
    }
    missing
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whatever name it is opened by, and to whatever end that needs it alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_served_is_refused_to_everybody_else() {
    let (folder, path, store) = served().await;
    let link = folder.path().join("link.db");
    symlink(&path, &link).unwrap();
    let copy = folder.path().join("copy.db");
    back_up(&path, &copy).await.unwrap();
    let (again, by_link, put_back) = tokio::join!(
        refusal(SqliteOptions::new(&path)),
        refusal(SqliteOptions::new(&link)),
        restore(&copy, &path),
    );
    for (kind, message) in
        [again, by_link, put_back.map_err(|error| (error.kind(), error.message().to_owned())).unwrap_err()]
    {
        assert_eq!(kind, ErrorKind::Conflict, "{message}");
        let process = format!("process {}", std::process::id());
        assert!(message.contains(path.canonicalize().unwrap().to_str().unwrap()), "{message}");
        assert!(message.contains(&process), "{message}");
    }
    // Tools that do not need it alone work beside it.
    let site = Site::new();
    let captured = capture(&store, &site, 0, 3).await;
    assert_eq!(missing(&shared(&path).await, &captured).await, 0);
    assert_eq!(missing(&shared(&link).await, &captured).await, 0);
    drop(store);
    // The line in the lock file is left behind; it keeps nobody out.
    assert_eq!(missing(&open(&path).await, &captured).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_served_is_not_migrated_by_a_tool() {
    let (_folder, path, _store) = served().await;
    let mut raw = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    sqlx::query("PRAGMA user_version = 1").execute(&mut raw).await.unwrap();
    let (kind, message) = refusal(SqliteOptions::new(&path).shared()).await;
    assert_eq!(kind, ErrorKind::Conflict, "{message}");
    sqlx::query("PRAGMA user_version = 99").execute(&mut raw).await.unwrap();
    let (kind, message) = refusal(SqliteOptions::new(&path).shared()).await;
    assert_eq!(kind, ErrorKind::Config, "{message}");
}

#[tokio::test]
async fn a_file_with_two_names_is_refused() {
    let (folder, path, store) = served().await;
    store.close().await.unwrap();
    let other = folder.path().join("other.db");
    std::fs::hard_link(&path, &other).unwrap();
    for name in [&path, &other] {
        let (kind, message) = refusal(SqliteOptions::new(name)).await;
        assert_eq!(kind, ErrorKind::Config);
        assert!(message.contains("has 2 names (hard links)"), "{message}");
    }
    std::fs::remove_file(&other).unwrap();
    open(&path).await;
}

#[tokio::test]
async fn what_is_no_file_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", ":memory:"] {
        let (kind, message) = refusal(SqliteOptions::new(name)).await;
        assert_eq!(kind, ErrorKind::Config);
        assert!(message.contains("MemoryStore"), "{message}");
    }
    let (kind, message) = refusal(SqliteOptions::new(folder.path())).await;
    assert_eq!(kind, ErrorKind::Config, "{message}");
    assert!(message.ends_with("is no file"), "{message}");
    // Where the lock cannot be written nothing can be served.
    let path = folder.path().join("fastlead.db");
    std::fs::create_dir(folder.path().join("fastlead.db.lock")).unwrap();
    let (kind, message) = refusal(SqliteOptions::new(&path)).await;
    assert_eq!(kind, ErrorKind::Storage);
    assert!(message.contains("fastlead.db.lock"), "{message}");
    // A folder in which nothing can be made, for root neither.
    #[cfg(target_os = "linux")]
    {
        let (kind, message) = refusal(SqliteOptions::new("/proc/fastlead.db")).await;
        assert_eq!(kind, ErrorKind::Storage);
        assert!(message.contains("/proc/fastlead.db"), "{message}");
    }
}

#[tokio::test]
async fn a_link_to_nothing_yet_makes_the_file_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("real.db"), folder.path().join("link.db"));
    symlink(&path, &link).unwrap();
    let store = open(&link).await;
    let captured = capture(&store, &Site::new(), 0, 1).await;
    store.close().await.unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(missing(&open(&path).await, &captured).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_the_main_file_alone_has_everything() {
    let (_folder, path, store) = served().await;
    let site = Site::new();
    let captured = capture(&store, &site, 0, 20).await;
    let (during, closed) = tokio::join!(capture(&store, &site, 100, 1), async {
        tokio::task::yield_now().await;
        store.close().await
    });
    closed.unwrap();
    let error = store.commit(site.capture(500, 500)).await.unwrap_err();
    assert_eq!(error.message(), "the store is closed");
    let error = store.lead(site.scope.workspace_id, captured[0].lead_id).await.unwrap_err();
    assert!(error.message().contains("the store is closed"), "{error}");
    store.close().await.unwrap();
    assert!(!path.with_extension("db-wal").exists());

    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("only.db");
    std::fs::copy(&path, &copy).unwrap();
    let copy = open(&copy).await;
    assert_eq!(missing(&copy, &captured).await + missing(&copy, &during).await, 0);
    assert!(copy.lead(site.scope.workspace_id, site.capture(9, 9).lead_id).await.unwrap().is_none());
}

/// A reader in another program keeps the log from being emptied: that is said, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_beside_a_reader_says_what_is_left_in_the_log() {
    let (_folder, path, store) = served().await;
    let site = Site::new();
    let captured = capture(&store, &site, 0, 5).await;
    let mut reader =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT count(*) FROM leads").fetch_one(&mut reader).await.unwrap();
    let more = capture(&store, &site, 5, 5).await;
    let error = store.close().await.unwrap_err();
    assert!(error.message().contains("-wal"), "{error}");
    drop(reader);
    let store = open(&path).await;
    assert_eq!(missing(&store, &captured).await + missing(&store, &more).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_made_under_load_and_put_back() {
    let (folder, path, store) = served().await;
    let site = Site::new();
    let before = capture(&store, &site, 0, 50).await;
    let copy = folder.path().join("copy.db");
    let (during, made) = tokio::join!(capture(&store, &site, 1_000, 50), back_up(&path, &copy));
    let made = made.unwrap();
    assert!((50..=100).contains(&made.leads), "{made:?}");
    assert_eq!((made.events, made.deliveries), (made.leads, 2 * made.leads));
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    // Nothing is overwritten, and nothing is left over.
    let error = back_up(&path, &copy).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.message().contains("copy.db exists"), "{error}");
    store.close().await.unwrap();
    let error = restore(&copy, &path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(names(&folder), ["copy.db", "fastlead.db", "fastlead.db.lock"]);
    let whole = open(&path).await;
    assert_eq!(missing(&whole, &before).await + missing(&whole, &during).await, 0);
    whole.close().await.unwrap();

    std::fs::remove_file(&path).unwrap();
    // Somebody looks for something of their own by an index.
    edit(&copy, &["CREATE INDEX own ON leads (status)"]).await;
    assert_eq!(restore(&copy, &path).await.unwrap().leads, made.leads);
    let again = open(&path).await;
    assert_eq!(missing(&again, &before).await, 0);
    capture(&again, &site, 2_000, 1).await;
}

async fn edit(path: &Path, edits: &[&'static str]) {
    let mut raw = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    for edit in edits {
        sqlx::query(*edit).execute(&mut raw).await.unwrap();
    }
    raw.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_copy_is_not_put_back() {
    let (folder, path, store) = served().await;
    capture(&store, &Site::new(), 0, 50).await;
    let copy = folder.path().join("copy.db");
    back_up(&path, &copy).await.unwrap();
    let target = folder.path().join("new.db");

    // A database in use.
    let error = restore(&path, &target).await.unwrap_err();
    assert!(error.message().contains("fastlead.db-wal stands beside"), "{error}");
    // A page that was overwritten, a file that ends too early, another file, another database, a newer one, none.
    let mut bytes = std::fs::read(&copy).unwrap();
    let bad = folder.path().join("bad.db");
    let middle = bytes.len() / 2 / 8_192 * 8_192;
    bytes[middle..middle + 64].fill(0xA5);
    std::fs::write(&bad, &bytes).unwrap();
    assert_eq!(restore(&bad, &target).await.unwrap_err().kind(), ErrorKind::Storage);
    std::fs::write(&bad, &std::fs::read(&copy).unwrap()[..middle]).unwrap();
    assert_eq!(restore(&bad, &target).await.unwrap_err().kind(), ErrorKind::Storage);
    std::fs::write(&bad, "not a database").unwrap();
    assert_eq!(restore(&bad, &target).await.unwrap_err().kind(), ErrorKind::Storage);
    let other = folder.path().join("other.db");
    let connect = SqliteConnectOptions::new().filename(&other).create_if_missing(true);
    let mut raw = SqliteConnection::connect_with(&connect).await.unwrap();
    sqlx::query("CREATE TABLE leads (id)").execute(&mut raw).await.unwrap();
    assert_eq!(restore(&other, &target).await.unwrap_err().kind(), ErrorKind::Config);
    sqlx::query("PRAGMA user_version = 99").execute(&mut raw).await.unwrap();
    assert_eq!(restore(&other, &target).await.unwrap_err().kind(), ErrorKind::Config);
    raw.close().await.unwrap();
    // One that somebody has edited: what keeps postings as they are is gone, or something else is done on the way.
    let named = "CREATE TRIGGER ledger_postings_stay BEFORE UPDATE ON ledger_postings BEGIN SELECT 1; END";
    for (edits, name) in [
        (vec!["DROP TRIGGER ledger_postings_stay"], "ledger_postings_stay"),
        (vec!["DROP TRIGGER ledger_postings_stay", named], "ledger_postings_stay"),
        (vec!["CREATE TRIGGER more AFTER INSERT ON leads BEGIN DELETE FROM timers; END"], "more"),
        (vec!["DROP TABLE timers"], "timers_at_risk"),
    ] {
        std::fs::copy(&copy, &bad).unwrap();
        edit(&bad, &edits).await;
        let error = restore(&bad, &target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains(&format!("`{name}`")), "{error}");
    }
    let none = folder.path().join("none.db");
    assert_eq!(restore(&none, &target).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(back_up(&none, &target).await.unwrap_err().kind(), ErrorKind::NotFound);
    // The log of a database that was there before.
    std::fs::write(folder.path().join("new.db-wal"), "old").unwrap();
    assert_eq!(restore(&copy, &target).await.unwrap_err().kind(), ErrorKind::Conflict);
    std::fs::remove_file(folder.path().join("new.db-wal")).unwrap();

    assert!(
        !names(&folder).iter().any(|name| name == "new.db" || name.contains("partial")),
        "{:?}",
        names(&folder)
    );
    restore(&copy, &target).await.unwrap();
}
