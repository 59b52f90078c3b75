use axum::routing::get;
use fastlead_core::async_trait;
use fastlead_core::decide::LeadState;
use fastlead_core::id::{ChannelId, DeliveryId, EventId, LeadId, SourceId};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, Recipient};
use fastlead_core::policy::Policy;
use fastlead_core::port::{
    AttemptRecord, CaptureFilter, Cursor, DeliveryFilter, DeliveryRecord, DeliverySummary, EventBatch,
    InboundRecord, LeadAtRisk, LeadCounts, LeadFilter, LeadSummary, Page, PageRequest, Purged, QueueDepth,
    RiskFilter, StoredCapture, StoredEvent, UnreadableRow,
};
use fastlead_core::time::{from_millis, plus_seconds};
use fastlead_store::MemoryStore;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::{Server, Settings};

const NOON: i64 = 1_795_597_200_000;

fn workspace(number: u128) -> WorkspaceId {
    WorkspaceId::from_uuid(Uuid::from_u128(number))
}

#[test]
fn a_workspace_has_one_backtest_at_a_time() {
    let running = Running::default();
    let first = running.take(workspace(1));
    assert!(first.is_some());
    assert!(running.take(workspace(1)).is_none());
    assert!(running.take(workspace(2)).is_some(), "another workspace does not wait");
    drop(first);
    assert!(running.take(workspace(1)).is_some(), "it was given back");
}

/// A history that never ends: somebody else every second.
#[derive(Debug, Default)]
struct Endless {
    /// How many captures were read.
    read: watch::Sender<u64>,
}

#[async_trait]
impl Journal for Endless {
    async fn captures(
        &self,
        _: WorkspaceId,
        _: CaptureFilter,
        page: PageRequest,
    ) -> Result<Page<StoredCapture>> {
        let first = *self.read.borrow();
        let capture = |number: u64| {
            let (id, at) = (Uuid::from_u128(u128::from(number)), plus_seconds(from_millis(NOON), number));
            let phone = format!("+7900{:07}", number % 10_000_000);
            let input = CaptureInput { phone: Some(phone.as_str().into()), ..CaptureInput::default() };
            StoredCapture {
                id: EventId::from_uuid(id),
                lead_id: LeadId::from_uuid(id),
                source_id: SourceId::from_uuid(id),
                at,
                capture: input.validate(&[], Locale::Ru, Received::at(at)).unwrap(),
                state: LeadState::default(),
            }
        };
        let items: Vec<StoredCapture> = (first..first + u64::from(page.limit)).map(capture).collect();
        self.read.send_modify(|read| *read += u64::from(page.limit));
        Ok(Page { next: items.last().map(|last| Cursor(last.id.as_uuid())), items, unreadable: Vec::new() })
    }

    async fn count_leads(&self, _: WorkspaceId, _: LeadFilter, _: u32) -> Result<LeadCounts> {
        unreachable!()
    }

    async fn leads(&self, _: WorkspaceId, _: LeadFilter, _: PageRequest) -> Result<Page<LeadSummary>> {
        unreachable!()
    }

    async fn events(&self, _: WorkspaceId, _: LeadId, _: PageRequest) -> Result<Page<StoredEvent>> {
        unreachable!()
    }

    async fn events_since(&self, _: WorkspaceId, _: u64, _: u32) -> Result<EventBatch> {
        unreachable!()
    }

    async fn deliveries(
        &self,
        _: WorkspaceId,
        _: DeliveryFilter,
        _: PageRequest,
    ) -> Result<Page<DeliverySummary>> {
        unreachable!()
    }

    async fn delivery_record(&self, _: WorkspaceId, _: DeliveryId) -> Result<Option<DeliveryRecord>> {
        unreachable!()
    }

    async fn attempts(&self, _: WorkspaceId, _: DeliveryId) -> Result<Vec<AttemptRecord>> {
        unreachable!()
    }

    async fn purge(&self, _: Timestamp, _: u32) -> Result<Purged> {
        unreachable!()
    }

    async fn at_risk(&self, _: WorkspaceId, _: RiskFilter, _: PageRequest) -> Result<Page<LeadAtRisk>> {
        unreachable!()
    }

    async fn count_at_risk(&self, _: Timestamp, _: u32) -> Result<u64> {
        unreachable!()
    }

    async fn spoken(&self, _: WorkspaceId, _: ChannelId, _: PageRequest) -> Result<Page<InboundRecord>> {
        unreachable!()
    }

    async fn unreadable(&self, _: Option<WorkspaceId>) -> Result<Vec<UnreadableRow>> {
        unreachable!()
    }

    async fn queue_depth(&self, _: Timestamp) -> Result<QueueDepth> {
        unreachable!()
    }
}

/// Replays the endless history as the request does, but with a limit that is not reached.
async fn replayed(
    app: &App,
    history: &Endless,
    people: impl Fn() -> SpillingMemory + Send + Sync,
) -> Result<BacktestView, Problem> {
    let turn = Arc::new(app.backtests.take(workspace(1)).unwrap());
    let side = || {
        let policy = Arc::new(Policy::starter("bot", Recipient::Chat("1".into())));
        Side::new(policy, Box::new(Held { people: people(), _turn: Arc::clone(&turn) }))
    };
    let test = Backtest {
        workspace_id: workspace(1),
        project_id: ProjectId::from_uuid(Uuid::from_u128(2)),
        since: from_millis(NOON),
        until: plus_seconds(from_millis(NOON), 86_400),
        assumed: Assumptions::default(),
    };
    let limits = Limits { captures: u32::MAX, time: Duration::from_secs(86_400) };
    run(history, &[], &test, (side(), side()), &limits, "1".to_owned()).await
}

/// The real server, with one more address.
async fn server(folder: &tempfile::TempDir, history: &Arc<Endless>) -> Server {
    let mut settings = Settings::defaults().unwrap();
    settings.http.listen.set_port(0);
    settings.store.path = folder.path().join("store.db");
    let history = Arc::clone(history);
    let endless = |State(app): State<App>| async move {
        let people = || SpillingMemory::new(app.settings.store.folder());
        replayed(&app, &history, people).await.map(Json)
    };
    let routes = axum::Router::new().route("/endless", get(endless));
    Server::builder(settings).store(Arc::new(MemoryStore::new())).routes(routes).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backtest_ends_when_its_caller_hangs_up() {
    let (folder, history) = (tempfile::tempdir().unwrap(), Arc::new(Endless::default()));
    let server = server(&folder, &history).await;
    let (address, app, stop) = (server.address().unwrap(), server.app().clone(), CancellationToken::new());
    let serving = tokio::spawn(server.serve(stop.clone()));
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller.write_all(b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    // More than fits between the journal and the replays, so they are in the middle of it.
    history.read.subscribe().wait_for(|read| *read > 10_000).await.unwrap();
    assert!(app.backtests.take(workspace(1)).is_none(), "it is running");
    drop(caller);
    let mut running = app.backtests.0.subscribe();
    let ended = running.wait_for(|running| running.is_empty());
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("the work goes on for nobody").unwrap();
    let read = *history.read.borrow();
    assert!(app.backtests.take(workspace(1)).is_some(), "the next one may begin");
    stop.cancel();
    serving.await.unwrap().unwrap();
    assert_eq!(*history.read.borrow(), read, "nothing is read any more");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_a_problem_that_names_no_folder() {
    let (folder, history) = (tempfile::tempdir().unwrap(), Arc::new(Endless::default()));
    let server = server(&folder, &history).await;
    let missing = folder.path().join("missing");
    let people = || SpillingMemory::new(&missing).with_room_for(100);
    let problem = replayed(server.app(), &history, people).await.unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (503, "storage"));
    let detail = problem.detail.unwrap();
    assert!(detail.starts_with("a temporary file cannot be written"), "{detail}");
    assert!(!detail.contains("missing"), "{detail}");
    assert!(server.app().backtests.take(workspace(1)).is_some(), "the turn was given back");
}
