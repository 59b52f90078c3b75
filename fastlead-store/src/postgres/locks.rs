//! Locks that end with their transaction, and the order in which they are taken: see the module above.

use std::collections::BTreeSet;

use fastlead_core::id::WorkspaceId;
use sqlx::PgConnection;

/// The number by which a workspace is locked. Two that share one wait for each other and no more.
fn number(workspace: WorkspaceId) -> i64 {
    let bits = workspace.as_uuid().as_u128();
    ((bits >> 64) ^ bits) as i64
}

/// Waits until nobody else commits for these workspaces, and keeps them until the end of the transaction. Whatever is looked at
/// in later statements is what the last one has left.
pub(super) async fn workspaces(
    connection: &mut PgConnection,
    workspaces: impl IntoIterator<Item = WorkspaceId>,
) -> sqlx::Result<()> {
    let numbers: BTreeSet<i64> = workspaces.into_iter().map(number).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = numbers.into_iter().collect();
    sqlx::query("SELECT pg_advisory_xact_lock(number) FROM unnest($1::bigint[]) WITH ORDINALITY AS n(number, place) ORDER BY place")
        .bind(numbers)
        .execute(connection)
        .await
        .map(drop)
}

/// Waits until nobody else makes a change that is noted in the log of changes, and keeps others from it.
pub(super) async fn changes(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT revision FROM last_change FOR UPDATE").execute(connection).await.map(drop)
}
