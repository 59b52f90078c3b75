//! What the wallets of the tenants have begun, and what is asked about it.

use fastlead_billing::{Intent, IntentId, IntentState, Intents as _, ProviderPaymentId, Purpose};
use fastlead_core::id::{RandomIds, WorkspaceId};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::Journal as _;
use fastlead_core::time::plus_seconds;
use fastlead_core::{ErrorKind, Result};
use fastlead_store::{SqliteOptions, SqliteStore};
use sqlx::Connection as _;

use super::reads::Reader;
use super::world::{Tenant, start};
use super::{connect, strings};

/// Intents of a tenant, oldest first. The first and the last are damaged, the one between them never.
const OPEN: &str = "a-open";
const WHOLE: &str = "b-open";
const SETTLED: &str = "c-settled";

fn intent(tenant: &Tenant, name: &str) -> Intent {
    let is_settled = name == SETTLED;
    Intent {
        workspace_id: tenant.workspace,
        id: IntentId::new(name).unwrap(),
        version: 1,
        made_at: plus_seconds(start(), name.as_bytes()[0].into()),
        account: tenant.accounts[0],
        amount: Money::new(500, Currency::RUB),
        purpose: Purpose::TopUp {
            description: "Top-up".to_owned(),
            return_url: "https://example.com/back".to_owned(),
            save_method_of: None,
        },
        receipt: None,
        state: if is_settled { IntentState::Settled } else { IntentState::AtProvider { page: None } },
        payment: Some(payment(name)),
        refund: None,
        leased_until: start(),
        tries: 1,
    }
}

fn payment(name: &str) -> ProviderPaymentId {
    ProviderPaymentId(format!("payment of {name}"))
}

pub(super) async fn begin(store: &SqliteStore, tenant: &Tenant) -> Result<()> {
    for name in [OPEN, WHOLE, SETTLED] {
        assert!(store.begin(intent(tenant, name)).await?.1);
    }
    Ok(())
}

impl Reader<'_> {
    pub(super) async fn intents(&self, tenant: &Tenant) {
        let (store, workspace) = (self.store, tenant.workspace);
        for name in [OPEN, WHOLE, SETTLED] {
            let wanted = Some(intent(tenant, name));
            for found in [
                self.named("intent", store.intent(workspace, &IntentId::new(name).unwrap()).await),
                self.named("intent of a payment", store.of_payment(workspace, &payment(name)).await),
            ] {
                let is_lost = name != WHOLE && found.is_none();
                assert!(is_lost || found == Some(wanted.clone()), "{}: {found:?}", self.case);
            }
        }
        let open = self.answered("unfinished", store.unfinished(workspace, 10).await);
        assert_eq!(open.last(), Some(&intent(tenant, WHOLE)), "{}", self.case);
        let oldest = self.answered("unfinished", store.unfinished(workspace, 1).await);
        assert_eq!(oldest, open[..1], "{}", self.case);
    }

    /// What was begun is not begun once more, and what can be read goes on.
    pub(super) async fn begin_again(&self, tenant: &Tenant) {
        for name in [OPEN, WHOLE, SETTLED] {
            let begun = self.named("begin", self.store.begin(intent(tenant, name)).await);
            assert!(begun.is_none_or(|(_, is_new)| !is_new), "{}: {name} is begun twice", self.case);
        }
        let next = Intent { version: 2, state: IntentState::Settled, ..intent(tenant, WHOLE) };
        assert!(self.answered("advance", self.store.advance(next).await), "{}", self.case);
        let taken = Intent { version: 3, payment: Some(payment(OPEN)), ..intent(tenant, WHOLE) };
        let error = self.store.advance(taken).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}", self.case);
    }
}

/// A document that tells of another intent, or of another tenant's, is not followed, and is told.
#[tokio::test]
async fn a_document_of_another_intent_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leads.db");
    let tenants = super::populate(&path).await;
    let mine = &tenants[0];
    let stranger = WorkspaceId::generate(&RandomIds, start());
    for (id, workspace) in [(WHOLE, mine.workspace), (OPEN, stranger)] {
        let mut connection = connect(&path).await;
        let sql = format!(
            "UPDATE payment_intents SET doc = json_set(doc, '$.id', '{id}', '$.workspace_id', '{workspace}')
             WHERE workspace_id = x'{}' AND id = '{OPEN}' RETURNING doc",
            mine.workspace.hex()
        );
        let document = strings(&mut connection, sql).await.pop().unwrap();
        assert!(serde_json::from_str::<Intent>(&document).is_ok(), "{document}");
        connection.close().await.unwrap();
        let store = SqliteStore::open(SqliteOptions::new(&path)).await.unwrap();
        let found = store.intent(mine.workspace, &IntentId::new(OPEN).unwrap()).await;
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Unreadable, "{id}");
        for tenant in &tenants {
            let open = store.unfinished(tenant.workspace, 10).await.unwrap();
            let expected = if tenant.workspace == mine.workspace { 1 } else { 2 };
            assert_eq!(open.len(), expected, "{id}");
        }
        let told = store.unreadable(Some(mine.workspace)).await.unwrap();
        let told: Vec<_> = told.iter().map(|row| (row.id.as_str(), row.column.as_str())).collect();
        assert_eq!(told, [(OPEN, "payment_intents.doc")], "{id}");
        assert!(store.unreadable(Some(tenants[1].workspace)).await.unwrap().is_empty());
    }
}
