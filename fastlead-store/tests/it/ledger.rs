//! The ledger in its file: what the database itself refuses, and what a group of commits makes of it.

use fastlead_core::ErrorKind;
use fastlead_core::id::{AccountId, PostingId, RandomIds, WorkspaceId};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::{
    CommitOutcome, Entry, Ledger as _, LedgerAccount, PageRequest, Posting, Store as _, Transition,
};
use fastlead_store::{SqliteOptions, SqliteStore};
use futures_util::future::join_all;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::sqlite::{Site, start};

struct Till {
    folder: TempDir,
    store: SqliteStore,
    workspace: WorkspaceId,
    buyer: AccountId,
    other: AccountId,
    revenue: AccountId,
}

impl Till {
    /// Two buyers with 100 each.
    async fn new(site: &Site) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(folder.path().join("leads.db"))).await.unwrap();
        let workspace = site.scope.workspace_id;
        let [buyer, other, revenue] = [(); 3].map(|()| AccountId::generate(&RandomIds, start()));
        for (id, credit) in [(buyer, Some(0)), (other, Some(0)), (revenue, None)] {
            let account = LedgerAccount::new(workspace, id, "Account", Currency::RUB).with_credit(credit);
            store.open_account(account).await.unwrap();
        }
        let till = Self { folder, store, workspace, buyer, other, revenue };
        let top_ups = [till.moved(revenue, buyer, 100, "top 1"), till.moved(revenue, other, 100, "top 2")];
        assert_eq!(till.store.post(workspace, top_ups.to_vec()).await.unwrap(), CommitOutcome::Applied);
        till
    }

    fn moved(&self, from: AccountId, to: AccountId, minor: i64, name: &str) -> Posting {
        let entry = |account, minor| Entry::new(account, Money::new(minor, Currency::RUB));
        Posting::new(PostingId::of(&[name]), start(), "charge", vec![entry(from, -minor), entry(to, minor)])
    }

    async fn raw(&self) -> SqliteConnection {
        let file = SqliteConnectOptions::new().filename(self.folder.path().join("leads.db"));
        SqliteConnection::connect_with(&file).await.unwrap()
    }

    async fn balance(&self, account: AccountId) -> i64 {
        let found = self.store.balances(self.workspace, vec![account]).await.unwrap();
        found[0].as_ref().unwrap().balance.minor
    }
}

/// Whatever statement tries to change what was posted, the database refuses it and stays as it is.
#[tokio::test]
async fn the_file_itself_is_append_only() {
    let till = Till::new(&Site::new()).await;
    let mut raw = till.raw().await;
    for (statement, refused) in [
        ("UPDATE ledger_postings SET kind = 'gift'", "a posting is never changed"),
        ("DELETE FROM ledger_postings", "a posting is never deleted"),
        (
            "INSERT OR REPLACE INTO ledger_postings SELECT workspace_id, id, at, 'gift', lead_id, reverses FROM ledger_postings",
            "a posting is never replaced",
        ),
        ("UPDATE ledger_entries SET amount = amount + 1", "an entry is never changed"),
        ("DELETE FROM ledger_entries", "an entry is never deleted"),
        (
            "INSERT OR REPLACE INTO ledger_entries SELECT workspace_id, account_id, number, posting_id, line, 1, currency, 1 FROM ledger_entries",
            "an entry is never replaced",
        ),
        ("UPDATE ledger_accounts SET currency = 'USD'", "an account keeps its currency"),
        ("DELETE FROM ledger_accounts", "an account is never deleted"),
        ("UPDATE ledger_accounts SET balance = -1", "CHECK constraint failed: balance >= -credit"),
        ("UPDATE ledger_accounts SET credit = -1", "CHECK constraint failed: credit >= 0"),
        ("UPDATE ledger_accounts SET balance = 'much'", "cannot store TEXT value in INTEGER column"),
    ] {
        let error = sqlx::query(AssertSqlSafe(statement)).execute(&mut raw).await.unwrap_err().to_string();
        assert!(error.contains(refused), "{statement}: {error}");
    }
    assert_eq!(till.balance(till.buyer).await, 100);
    let entries = till.store.entries(till.workspace, till.buyer, PageRequest::default()).await.unwrap();
    assert_eq!(entries.items.len(), 1);
}

/// A commit without postings asks and writes nothing of the ledger: its tables need not even be there.
#[tokio::test]
async fn a_commit_without_postings_leaves_the_ledger_alone() {
    let site = Site::new();
    let till = Till::new(&site).await;
    let drop = "DROP TABLE ledger_entries; DROP TABLE ledger_postings; DROP TABLE ledger_accounts";
    sqlx::raw_sql(drop).execute(&mut till.raw().await).await.unwrap();
    let capture = site.capture(1, 1);
    let lead = capture.lead_id;
    assert_eq!(till.store.commit(capture).await.unwrap(), CommitOutcome::Applied);
    assert!(till.store.lead(till.workspace, lead).await.unwrap().is_some());
    let with =
        Transition { postings: vec![till.moved(till.buyer, till.revenue, 1, "one")], ..site.capture(2, 2) };
    assert!(till.store.commit(with).await.is_err());
}

/// An account whose row contradicts its entries fails those alone who name it, though they are written together with others.
#[tokio::test(flavor = "multi_thread")]
async fn a_contradiction_fails_nobody_else() {
    let site = Site::new();
    let till = Till::new(&site).await;
    sqlx::query("UPDATE ledger_accounts SET entries = 0 WHERE id = ?1")
        .bind(till.other.as_uuid().as_bytes().to_vec())
        .execute(&mut till.raw().await)
        .await
        .unwrap();
    let answers = join_all((0..40_u128).map(|number| {
        let from = if number % 4 == 3 { till.other } else { till.buyer };
        let posting = till.moved(from, till.revenue, 1, &number.to_string());
        let decision = Transition { postings: vec![posting.clone()], ..site.capture(number, number) };
        let till = &till;
        async move {
            let lead = decision.lead_id;
            let answer = match number % 2 {
                0 => till.store.post(till.workspace, vec![posting]).await,
                _ => till.store.commit(decision).await,
            };
            (from == till.buyer, lead, answer)
        }
    }))
    .await;
    for (whole, lead, answer) in answers {
        if whole {
            assert_eq!(answer.unwrap(), CommitOutcome::Applied);
        } else {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Storage);
            assert!(till.store.lead(till.workspace, lead).await.unwrap().is_none());
        }
    }
    assert_eq!((till.balance(till.buyer).await, till.balance(till.other).await), (70, 100));
    assert_eq!(till.balance(till.revenue).await, -170);
}

/// What a restart finds in the file adds up: entries to balances, and everything to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_adds_up() {
    let site = Site::new();
    let till = Till::new(&site).await;
    let moves = (0..300_i64).map(|number| {
        let between = [
            (till.buyer, till.revenue),
            (till.revenue, till.other),
            (till.other, till.buyer),
            (till.buyer, till.other),
        ];
        let (from, to) = between[usize::try_from(number % 4).unwrap()];
        till.store.post(till.workspace, vec![till.moved(from, to, 1 + number % 7, &number.to_string())])
    });
    let posted = join_all(moves).await.into_iter().map(Result::unwrap);
    let made = posted.filter(|outcome| *outcome == CommitOutcome::Applied).count();
    let mut raw = till.raw().await;
    let postings: i64 =
        sqlx::query_scalar("SELECT count(*) FROM ledger_postings").fetch_one(&mut raw).await.unwrap();
    assert_eq!(usize::try_from(postings).unwrap(), made + 2);
    for (what, sql) in [
        (
            "a balance that is not the sum of its entries",
            "SELECT count(*) FROM ledger_accounts a WHERE balance <> (SELECT coalesce(sum(amount), 0) FROM ledger_entries e
               WHERE e.workspace_id = a.workspace_id AND e.account_id = a.id)",
        ),
        (
            "a number of entries that is not theirs",
            "SELECT count(*) FROM ledger_accounts a WHERE entries <> (SELECT count(*) FROM ledger_entries e
               WHERE e.workspace_id = a.workspace_id AND e.account_id = a.id)",
        ),
        (
            "a posting whose sum is not 0",
            "SELECT count(*) FROM (SELECT 1 FROM ledger_entries GROUP BY workspace_id, posting_id, currency HAVING sum(amount) <> 0)",
        ),
        (
            "a running balance that does not follow",
            "SELECT count(*) FROM (SELECT balance - sum(amount) OVER (PARTITION BY workspace_id, account_id ORDER BY number) AS off
               FROM ledger_entries) WHERE off <> 0",
        ),
        ("money", "SELECT sum(balance) FROM ledger_accounts"),
    ] {
        let found: i64 = sqlx::query_scalar(sql).fetch_one(&mut raw).await.unwrap();
        assert_eq!(found, 0, "{what}");
    }
}
