//! What wallets have begun with payment providers.

use async_trait::async_trait;
use fastlead_billing::{Intent, IntentId, Intents, ProviderPaymentId, Purpose, taken};
use fastlead_core::error::Result;
use fastlead_core::id::WorkspaceId;
use sqlx::SqliteConnection;

use super::SqliteStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{blob, json, to_json};

const ONE: &str = "SELECT id, doc FROM payment_intents WHERE workspace_id = ?1 AND id = ?2";
const OF_PAYMENT: &str = "SELECT id, doc FROM payment_intents WHERE workspace_id = ?1 AND payment = ?2";
const OPEN: &str =
    "SELECT id, doc FROM payment_intents WHERE workspace_id = ?1 AND open = 1 ORDER BY made_at, id LIMIT ?2";

/// The payment that the intent has made; a refund has made none.
fn payment(intent: &Intent) -> Option<String> {
    let made = intent.payment.as_ref().filter(|_| !matches!(intent.purpose, Purpose::Refund { .. }));
    made.map(|payment| payment.0.clone())
}

/// Whether a payment belongs to another intent.
async fn is_taken(
    connection: &mut SqliteConnection,
    intent: &Intent,
    payment: &str,
) -> std::result::Result<bool, sqlx::Error> {
    let owner: Option<String> =
        sqlx::query_scalar("SELECT id FROM payment_intents WHERE workspace_id = ?1 AND payment = ?2")
            .bind(blob(intent.workspace_id.as_uuid()))
            .bind(payment)
            .fetch_optional(connection)
            .await?;
    Ok(owner.is_some_and(|owner| owner != intent.id.as_str()))
}

impl SqliteStore {
    async fn one_intent(
        &self,
        sql: &'static str,
        workspace: WorkspaceId,
        key: &str,
    ) -> Result<Option<Intent>> {
        let row = sqlx::query(sql)
            .bind(blob(workspace.as_uuid()))
            .bind(key)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| failed("read intent", &error))?;
        let from = Origin::new("payment_intents", 0).of(workspace);
        row.map(|row| reading::one(&self.unreadable, from, &row, |row| json(row, 1))).transpose()
    }
}

#[async_trait]
impl Intents for SqliteStore {
    async fn begin(&self, intent: Intent) -> Result<(Intent, bool)> {
        let doc = to_json(&intent, "an intent")?;
        let (workspace, id) = (intent.workspace_id, intent.id.clone());
        let new = intent.clone();
        let is_new = self
            .writer
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO payment_intents (workspace_id, id, version, made_at, payment, open, doc)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (workspace_id, id) DO NOTHING",
                    )
                    .bind(blob(new.workspace_id.as_uuid()))
                    .bind(new.id.as_str())
                    .bind(i64::from(new.version))
                    .bind(new.made_at.timestamp_millis())
                    .bind(payment(&new))
                    .bind(i64::from(!new.state.is_final()))
                    .bind(doc)
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected() > 0)
                    .map_err(|error| failed("begin intent", &error))
                })
            })
            .await?;
        if is_new {
            return Ok((intent, true));
        }
        let stored = self.intent(workspace, &id).await?;
        // An intent is never deleted, so whoever was in the way is still there.
        Ok((stored.unwrap_or(intent), false))
    }

    async fn intent(&self, workspace: WorkspaceId, id: &IntentId) -> Result<Option<Intent>> {
        self.one_intent(ONE, workspace, id.as_str()).await
    }

    async fn of_payment(
        &self,
        workspace: WorkspaceId,
        payment: &ProviderPaymentId,
    ) -> Result<Option<Intent>> {
        self.one_intent(OF_PAYMENT, workspace, &payment.0).await
    }

    async fn advance(&self, intent: Intent) -> Result<bool> {
        let doc = to_json(&intent, "an intent")?;
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    let fault = |error: sqlx::Error| failed("advance intent", &error);
                    let payment = payment(&intent);
                    if let Some(payment) = &payment
                        && is_taken(&mut *connection, &intent, payment).await.map_err(fault)?
                    {
                        return Err(taken());
                    }
                    sqlx::query(
                        "UPDATE payment_intents SET version = ?3, payment = ?4, open = ?5, doc = ?6
                         WHERE workspace_id = ?1 AND id = ?2 AND version = ?3 - 1",
                    )
                    .bind(blob(intent.workspace_id.as_uuid()))
                    .bind(intent.id.as_str())
                    .bind(i64::from(intent.version))
                    .bind(payment)
                    .bind(i64::from(!intent.state.is_final()))
                    .bind(doc)
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected() > 0)
                    .map_err(fault)
                })
            })
            .await
    }

    async fn unfinished(&self, workspace: WorkspaceId, most: u32) -> Result<Vec<Intent>> {
        let rows = sqlx::query(OPEN)
            .bind(blob(workspace.as_uuid()))
            .bind(most)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("read intents", &error))?;
        let from = Origin::new("payment_intents", 0).of(workspace);
        rows.iter().map(|row| reading::one(&self.unreadable, from, row, |row| json(row, 1))).collect()
    }
}
