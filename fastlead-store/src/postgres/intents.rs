//! What wallets have begun with payment providers.

use async_trait::async_trait;
use fastlead_billing::{Intent, IntentId, Intents, ProviderPaymentId, Purpose, taken};
use fastlead_core::error::Result;
use fastlead_core::id::WorkspaceId;
use futures_util::TryStreamExt as _;
use futures_util::future::ready;
use futures_util::stream::StreamExt as _;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{clean, get, json, to_json, unread};

const INTENTS: Origin = Origin::new("payment_intents", 0);

const ONE: &str = "SELECT id, doc FROM payment_intents WHERE workspace_id = $1 AND id = $2";
const OF_PAYMENT: &str = "SELECT id, doc FROM payment_intents WHERE workspace_id = $1 AND payment = $2";
const OPEN: &str =
    "SELECT id, doc FROM payment_intents WHERE workspace_id = $1 AND open ORDER BY made_at, id";
const IS_TAKEN: &str =
    "SELECT EXISTS (SELECT 1 FROM payment_intents WHERE workspace_id = $1 AND payment = $2 AND id <> $3)";

/// The intent of a row of `workspace`. A document that tells of another intent than its row cannot be read: whoever followed
/// it would change that one.
fn intent(row: &PgRow, workspace: WorkspaceId) -> Result<Intent> {
    let (id, found): (_, Intent) = (get::<String>(row, 0)?, json(row, 1)?);
    let is_its_own = found.workspace_id == workspace && found.id.as_str() == id;
    if is_its_own { Ok(found) } else { Err(unread(row, 1)) }
}

/// The payment that the intent has made; a refund has made none.
fn payment(intent: &Intent) -> Option<String> {
    let made = intent.payment.as_ref().filter(|_| !matches!(intent.purpose, Purpose::Refund { .. }));
    made.map(|payment| clean(&payment.0).into_owned())
}

/// Whether a payment belongs to another intent.
async fn is_taken(
    connection: &mut PgConnection,
    intent: &Intent,
    payment: &str,
) -> std::result::Result<bool, sqlx::Error> {
    sqlx::query_scalar(IS_TAKEN)
        .bind(intent.workspace_id.as_uuid())
        .bind(payment)
        .bind(intent.id.as_str())
        .fetch_one(connection)
        .await
}

impl PostgresStore {
    async fn one_intent(
        &self,
        sql: &'static str,
        workspace: WorkspaceId,
        key: &str,
    ) -> Result<Option<Intent>> {
        let row = sqlx::query(sql)
            .bind(workspace.as_uuid())
            .bind(key)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| failed("read intent", &error))?;
        let from = INTENTS.of(workspace);
        row.map(|row| reading::one(&self.unreadable, from, &row, |row| intent(row, workspace))).transpose()
    }
}

#[async_trait]
impl Intents for PostgresStore {
    async fn begin(&self, intent: Intent) -> Result<(Intent, bool)> {
        let doc = to_json(&intent, "an intent")?;
        let (workspace, id) = (intent.workspace_id, intent.id.clone());
        let new = intent.clone();
        let is_new = self
            .run("begin intent", move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO payment_intents (workspace_id, id, version, made_at, payment, open, doc)
                         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workspace_id, id) DO NOTHING",
                    )
                    .bind(new.workspace_id.as_uuid())
                    .bind(new.id.as_str())
                    .bind(i64::from(new.version))
                    .bind(new.made_at.timestamp_millis())
                    .bind(payment(&new))
                    .bind(!new.state.is_final())
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
        self.run("advance intent", move |connection| {
            Box::pin(async move {
                let fault = |error: sqlx::Error| failed("advance intent", &error);
                let payment = payment(&intent);
                if let Some(payment) = &payment
                    && is_taken(&mut *connection, &intent, payment).await.map_err(fault)?
                {
                    return Err(taken());
                }
                sqlx::query(
                    "UPDATE payment_intents SET version = $3, payment = $4, open = $5, doc = $6
                         WHERE workspace_id = $1 AND id = $2 AND version = $3 - 1",
                )
                .bind(intent.workspace_id.as_uuid())
                .bind(intent.id.as_str())
                .bind(i64::from(intent.version))
                .bind(payment)
                .bind(!intent.state.is_final())
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
        let (from, read) = (INTENTS.of(workspace), |row: &PgRow| intent(row, workspace));
        // Without a limit in the statement: rows that cannot be read do not count.
        sqlx::query(OPEN)
            .bind(workspace.as_uuid())
            .fetch(&self.pool)
            .map_err(|error| failed("read intents", &error))
            .try_filter_map(|row| ready(Ok(reading::one(&self.unreadable, from, &row, read).ok())))
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .try_collect()
            .await
    }
}
