//! No statement of the hot path or of a list reads a whole table, however large it is.

use fastlead_core::delivery::DeliveryState;
use fastlead_core::id::{LeadId, ProjectId, RandomIds};
use fastlead_core::lead::Needle;
use fastlead_core::port::{DeliveryFilter, LeadFilter};
use fastlead_core::time::epoch;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use super::addresses::SUPPRESSIONS;
use super::captures::CAPTURES;
use super::catalog::load_statements;
use super::changes::{CHANGES, one_statements};
use super::counters::{COUNTERS, HOLDER, WAITING};
use super::documents::NAMED;
use super::forget::FORGET;
use super::group::{LOOK, WRITE};
use super::identities::{KNOWN, LINKS, LINKS_OF_ACCOUNT, LINKS_OF_PHONE, SPOKEN};
use super::journal::{
    EVENTS, EVENTS_SINCE, PURGE_ATTEMPTS, PURGE_DELIVERIES, PURGE_INBOUND, list_deliveries, lost,
};
use super::leads::{SHARE, Share, count_leads, list_leads};
use super::ledger::{ENTRIES, POSTING, all_accounts, one_account, some_accounts};
use super::parts::by_part;
use super::postings::{LOOK_AT_LEDGER, WRITE_LEDGER};
use super::risk::{AT_RISK, COUNT_AT_RISK};
use super::work::{BUSY, CLAIM_INBOUND, CLAIM_TIMERS, claim_deliveries, next_due};

async fn database() -> SqliteConnection {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    super::migrate(&mut connection).await.unwrap();
    connection
}

async fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {statement}");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.try_get::<String, _>("detail").unwrap()).collect()
}

/// Reads of the arguments' own lists, of an index from its first entry, and of what is not done are
/// as short as what they answer.
fn is_short(step: &str) -> bool {
    let scan = step.starts_with("SCAN ");
    !scan
        || step.contains("VIRTUAL TABLE")
        || step == "SCAN CONSTANT ROW"
        || step.contains("USING INDEX timers_due")
        || step.contains("USING COVERING INDEX timers_due")
        || step.contains("INDEX inbound_pending")
        || step.contains("(subquery")
        // What a claim has found already.
        || step == "SCAN others"
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let mut connection = database().await;
    let lead = LeadId::generate(&RandomIds, epoch());
    let filters = [
        DeliveryFilter::default(),
        DeliveryFilter { lead_id: Some(lead), ..DeliveryFilter::default() },
        DeliveryFilter { state: Some(DeliveryState::Delivered), ..DeliveryFilter::default() },
        DeliveryFilter { state: Some(DeliveryState::Ambiguous), ..DeliveryFilter::default() },
    ];
    let ends = ["\nBEGIN IMMEDIATE", "COMMIT"];
    let texts = [LOOK, WRITE, FORGET].into_iter().flat_map(|text| text.split(";\n"));
    let group = texts.filter(|statement| !ends.contains(statement));
    let mut statements: Vec<String> = group.map(str::to_owned).collect();
    assert_eq!(statements.len(), 24);
    statements.extend(
        [
            BUSY,
            COUNTERS,
            HOLDER,
            WAITING,
            CAPTURES,
            CLAIM_TIMERS,
            CLAIM_INBOUND,
            EVENTS,
            EVENTS_SINCE,
            SUPPRESSIONS,
            PURGE_DELIVERIES,
            PURGE_ATTEMPTS,
            PURGE_INBOUND,
            NAMED,
            KNOWN,
            LINKS,
            LINKS_OF_ACCOUNT,
            LINKS_OF_PHONE,
            SPOKEN,
            SHARE,
        ]
        .map(str::to_owned),
    );
    statements.extend([claim_deliveries(), next_due(), lost(), by_part()]);
    statements.extend(WRITE_LEDGER.split(";\n").map(str::to_owned));
    statements.extend([LOOK_AT_LEDGER, ENTRIES, POSTING].map(str::to_owned));
    statements.extend([one_account(), some_accounts(), all_accounts()]);
    statements.extend(load_statements(true));
    statements.extend(one_statements());
    statements.push(CHANGES.to_owned());
    statements.extend(filters.iter().map(list_deliveries));
    for filter in lead_filters() {
        statements.extend([Share::Few, Share::Many].map(|share| list_leads(&filter, share)));
        statements.push(count_leads(&filter));
    }
    for statement in statements {
        let steps = plan(&mut connection, &statement).await;
        assert!(!steps.is_empty(), "no plan: {statement}");
        let long: Vec<_> = steps.iter().filter(|step| !is_short(step)).collect();
        assert!(long.is_empty(), "{long:?} in {statement}");
        let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(!sorted, "sorts instead of reading in order: {steps:?} in {statement}");
    }
}

/// Every way to look for leads.
fn lead_filters() -> Vec<LeadFilter> {
    let mut filters = Vec::new();
    for oldest_first in [false, true] {
        for (project, status, text) in (0..8).map(|bits| (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0)) {
            filters.push(LeadFilter {
                project_id: project.then(|| ProjectId::generate(&RandomIds, epoch())),
                status: status.then(|| "open".to_owned()),
                text: Needle::new("anna").filter(|_| text),
                oldest_first,
                ..LeadFilter::default()
            });
        }
    }
    filters
}

/// Leads are found in an index alone: only those that fit are read.
#[tokio::test]
async fn leads_are_found_without_reading_others() {
    let mut connection = database().await;
    for filter in lead_filters() {
        let steps = plan(&mut connection, &list_leads(&filter, Share::Few)).await;
        let both = filter.text.is_some() && filter.status.is_some();
        assert!(!both || steps[0].contains("leads_by_status (workspace_id=? AND status=?"), "{steps:#?}");
        let steps = plan(&mut connection, &list_leads(&filter, Share::Many)).await;
        let found = |step: &&String| {
            step.contains("f USING COVERING INDEX leads_by_") && step.contains("id>? AND id<?")
        };
        assert_eq!(steps.iter().filter(found).count(), 1, "{filter:?} {steps:#?}");
        let status = steps
            .iter()
            .any(|step| step.contains("leads_by_status (workspace_id=? AND status=? AND id>? AND id<?)"));
        assert_eq!(status, filter.status.is_some() && filter.text.is_none(), "{filter:?} {steps:#?}");
        let steps = plan(&mut connection, &count_leads(&filter)).await;
        assert!(steps[0].contains("COVERING INDEX leads_by_"), "{filter:?} {steps:#?}");
    }
}

/// A page of leads at risk is read in its order and no further than to its end; their number is counted in what is due.
#[tokio::test]
async fn leads_at_risk_are_found_by_what_is_due() {
    let mut connection = database().await;
    let page = "SEARCH t USING INDEX timers_at_risk (workspace_id=? AND <expr>>? AND <expr><?)";
    let count = "SEARCH t USING INDEX timers_due (<expr><?)";
    for (statement, first) in [(AT_RISK, page), (COUNT_AT_RISK, count)] {
        let steps = plan(&mut connection, statement).await;
        assert_eq!(steps.iter().filter(|step| *step == first).count(), 1, "{steps:#?}");
        let others = steps.iter().filter(|step| step.starts_with("SCAN ") && !is_short(step));
        assert_eq!(others.count(), 0, "{steps:#?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "sorts: {steps:#?}");
    }
}

/// Work that is not done is listed from its own index, whose size does not grow with what is done.
#[tokio::test]
async fn unfinished_work_is_listed_and_counted_without_what_is_done() {
    let mut connection = database().await;
    for state in [DeliveryState::Pending, DeliveryState::Sending, DeliveryState::AwaitingReceipt] {
        let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
        let steps = plan(&mut connection, &list_deliveries(&filter)).await;
        assert!(steps[0].contains("INDEX deliveries_open"), "{steps:?}");
    }
    let steps = plan(&mut connection, super::journal::DEPTH).await;
    assert!(steps[0].contains("COVERING INDEX deliveries_open"), "{steps:?}");
}

/// What people have said is found without the receipts and presses that came between.
#[tokio::test]
async fn what_people_have_said_is_found_by_its_own_index() {
    let mut connection = database().await;
    let steps = plan(&mut connection, SPOKEN).await;
    let own = |step: &String| step.contains("inbound_spoken (channel_id=? AND number<?)");
    assert!(steps.iter().any(own), "{steps:?}");
}

/// What is to be sent is found without reading what waits for its receipt, and the other way round.
#[tokio::test]
async fn a_claim_reads_two_ranges_of_what_is_open() {
    let mut connection = database().await;
    let range = "deliveries_open (channel_id=? AND <expr>=? AND <expr><?)";
    for (statement, ranges) in [(claim_deliveries(), 3), (BUSY.to_owned(), 2)] {
        let steps = plan(&mut connection, &statement).await;
        assert_eq!(steps.iter().filter(|step| step.contains(range)).count(), ranges, "{steps:#?}");
    }
    let steps = plan(&mut connection, &claim_deliveries()).await;
    assert!(steps.iter().any(|step| step.contains("deliveries_by_order (order_key=?")), "{steps:#?}");
    let steps = plan(&mut connection, &next_due()).await;
    let first = "deliveries_open (channel_id=? AND <expr>=?)";
    assert_eq!(steps.iter().filter(|step| step.contains(first)).count(), 2, "{steps:#?}");
}
