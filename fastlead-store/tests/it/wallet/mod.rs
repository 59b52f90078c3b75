//! A wallet on every store: whatever breaks off, and wherever, money moves once and the books follow.

mod provider;

use std::sync::Arc;
use std::time::Duration;

use fastlead_billing::{
    Books, DeclineClass, Intent, IntentId, IntentState, Intents, MemoryIntents, Moved, PaymentEvent,
    ProviderPaymentId, Purpose, SavedMethodId, Wallet,
};
use fastlead_core::ErrorKind;
use fastlead_core::id::{AccountId, RandomIds, WorkspaceId};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::Ledger;
use fastlead_core::time::{Clock as _, ManualClock};
use fastlead_store::{MemoryStore, SqliteOptions, SqliteStore};
use futures_util::future::join_all;
use tempfile::TempDir;

use crate::sqlite::start;
use provider::{Bank, Plug, Plugged, Refuses};

/// Longer than a lease.
const LATER: Duration = Duration::from_secs(6 * 60);
const PAGE: &str = "https://example.com/back";

fn rub(minor: i64) -> Money {
    Money::new(minor, Currency::RUB)
}

fn id(text: &str) -> IntentId {
    IntentId::new(text).unwrap()
}

fn page() -> Purpose {
    let (description, return_url) = ("Top-up".to_owned(), PAGE.to_owned());
    Purpose::TopUp { description, return_url, save_method_of: None }
}

fn charge(method: &str) -> Purpose {
    Purpose::Charge { method: SavedMethodId(method.to_owned()), description: "Top-up".to_owned() }
}

/// A wallet with 0 on it, whose every call to a store or the provider can be the last.
struct Site {
    _folder: Option<TempDir>,
    ledger: Arc<dyn Ledger>,
    intents: Arc<dyn Intents>,
    bank: Arc<Bank>,
    clock: Arc<ManualClock>,
    books: Books,
    buyer: AccountId,
}

impl Site {
    async fn new(sqlite: bool, honours_keys: bool) -> Self {
        let (folder, ledger, intents): (_, Arc<dyn Ledger>, Arc<dyn Intents>) = if sqlite {
            let folder = tempfile::tempdir().unwrap();
            let options = SqliteOptions::new(folder.path().join("leads.db"));
            let store = Arc::new(SqliteStore::open(options).await.unwrap());
            (Some(folder), Arc::clone(&store) as _, store)
        } else {
            (None, Arc::new(MemoryStore::new()), Arc::new(MemoryIntents::default()))
        };
        let account = || AccountId::generate(&RandomIds, start());
        let books = Books {
            workspace: WorkspaceId::generate(&RandomIds, start()),
            currency: Currency::RUB,
            provider: account(),
            held: account(),
            refunding: account(),
            revenue: account(),
        };
        let (bank, clock) = (Arc::new(Bank::new(honours_keys)), Arc::new(ManualClock::new(start())));
        let site = Self { _folder: folder, ledger, intents, bank, clock, books, buyer: account() };
        let wallet = site.wallet(&Plug::never());
        wallet.open_books().await.unwrap();
        wallet.open(site.buyer, "Buyer", 0).await.unwrap();
        site
    }

    fn wallet(&self, plug: &Plug) -> Wallet {
        let plugged = Plugged::new(plug, &self.ledger, &self.intents, &self.bank);
        let plugged = Arc::new(plugged);
        let clock = Arc::clone(&self.clock);
        Wallet::new(self.books, Arc::clone(&plugged) as _, Arc::clone(&plugged) as _, plugged, clock)
    }

    async fn balance(&self, account: AccountId) -> i64 {
        let found = self.ledger.balances(self.books.workspace, vec![account]).await.unwrap();
        found[0].as_ref().unwrap().balance.minor
    }

    /// What the books say, and that they add up.
    async fn books_balance(&self) -> (i64, i64, i64) {
        let Books { provider, held, refunding, revenue, .. } = self.books;
        let (buyer, at_provider) = (self.balance(self.buyer).await, self.balance(provider).await);
        let others = self.balance(held).await + self.balance(revenue).await;
        let refunding = self.balance(refunding).await;
        assert_eq!(buyer + at_provider + refunding + others, 0);
        (buyer, -at_provider, refunding)
    }

    async fn intent(&self, name: &str) -> Option<Intent> {
        self.intents.intent(self.books.workspace, &id(name)).await.unwrap()
    }

    /// Reconciles until nothing changes any more, as a program does every few minutes.
    async fn settle_down(&self) {
        for _ in 0..4 {
            self.clock.advance(LATER);
            let found = self.wallet(&Plug::never()).reconcile().await.unwrap();
            assert!(found.errors.is_empty(), "{found:?}");
        }
    }
}

/// Runs `flow` on new sites, cut off at its first call, before and after it, then at its second, and so on until it goes
/// through; `check` sees each site once it was reconciled. Returns how many cuts there were.
async fn cut_everywhere<F, C>(sqlite: bool, honours_keys: bool, flow: F, check: C) -> usize
where
    F: AsyncFn(&Site, &Wallet),
    C: AsyncFn(&Site, &str),
{
    for cut in 0.. {
        let site = Site::new(sqlite, honours_keys).await;
        let plug = Plug::at(cut);
        let wallet = site.wallet(&plug);
        let was_cut = tokio::select! {
            () = plug.pulled() => true,
            () = flow(&site, &wallet) => false,
        };
        site.books_balance().await;
        site.settle_down().await;
        check(&site, &format!("sqlite {sqlite}, keys {honours_keys}, cut {cut}")).await;
        if !was_cut {
            return cut;
        }
    }
    0
}

/// Whether the store is SQLite, and whether the bank honours keys. A file for each cut takes its time, so SQLite has the harder
/// bank alone.
const EVERYWHERE: [(bool, bool); 3] = [(false, false), (false, true), (true, false)];

/// A saved method is charged: one charge and one credit, or none of both.
#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_is_cut_anywhere_happens_once() {
    for (sqlite, keys) in EVERYWHERE {
        let flow = async |site: &Site, wallet: &Wallet| {
            let made = wallet.top_up(id("c1"), site.buyer, rub(500), charge("good"), None).await.unwrap();
            assert_eq!(made.state, IntentState::Settled);
        };
        let check = async |site: &Site, place: &str| {
            let begun = site.intent("c1").await;
            let charged = site.bank.charged();
            let expected = if begun.is_some() { (500, 500, 0) } else { (0, 0, 0) };
            assert_eq!(site.books_balance().await, expected, "{place}: {begun:?}");
            assert_eq!(charged, usize::from(begun.is_some()), "{place}");
            // The caller tries again with the same id.
            let again = site
                .wallet(&Plug::never())
                .top_up(id("c1"), site.buyer, rub(500), charge("good"), None)
                .await;
            assert_eq!(again.unwrap().state, IntentState::Settled, "{place}");
            assert_eq!((site.bank.charged(), site.balance(site.buyer).await), (1, 500), "{place}");
        };
        let cuts = cut_everywhere(sqlite, keys, flow, check).await;
        assert!(cuts >= 10, "{cuts}");
    }
}

/// A page is made and paid, and notified twice. Where the answer with the page was lost the payment is withdrawn, or its
/// page told again.
#[tokio::test(flavor = "multi_thread")]
async fn a_top_up_that_is_cut_anywhere_happens_once() {
    for (sqlite, keys) in EVERYWHERE {
        let flow = async |site: &Site, wallet: &Wallet| {
            let made = wallet.top_up(id("t1"), site.buyer, rub(500), page(), None).await.unwrap();
            assert_eq!(made.state, IntentState::AtProvider { page: Some(provider::page("t1")) });
            let payment = made.payment.unwrap();
            site.bank.pay(&payment);
            for _ in 0..2 {
                let seen = wallet.notified(&PaymentEvent::Payment(payment.clone())).await.unwrap();
                assert_eq!(seen.unwrap().state, IntentState::Settled);
            }
        };
        let check = async |site: &Site, place: &str| {
            let paid = i64::try_from(site.bank.charged()).unwrap() * 500;
            assert_eq!(site.books_balance().await, (paid, paid, 0), "{place}");
            if let Some(begun) = site.intent("t1").await {
                let waits = begun.state == IntentState::AtProvider { page: Some(provider::page("t1")) };
                assert_eq!(begun.state.is_final(), !waits, "{place}: {begun:?}");
                assert!(begun.receipt.is_none());
                // The payer pays late, if he can, and nobody is notified.
                if waits {
                    site.bank.pay(&begun.payment.unwrap());
                    site.settle_down().await;
                    assert_eq!(site.books_balance().await, (500, 500, 0), "{place}");
                }
            }
            assert!(site.bank.charged() <= 1 && site.bank.open() <= 1, "{place}");
        };
        assert!(cut_everywhere(sqlite, keys, flow, check).await >= 10);
    }
}

/// A refund leaves the wallet before it is asked for, and comes back only if it was refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_cut_anywhere_happens_once() {
    for (sqlite, keys) in EVERYWHERE {
        for refuses in [Refuses::Nothing, Refuses::Refunds] {
            let flow = async |site: &Site, wallet: &Wallet| {
                // Paid before, out of reach of the plug.
                let whole = site.wallet(&Plug::never());
                let paid = whole.top_up(id("c1"), site.buyer, rub(500), charge("good"), None).await.unwrap();
                site.bank.refuse(refuses);
                let refunded = wallet.refund(id("r1"), paid.payment.unwrap(), rub(200), None).await.unwrap();
                let hard = IntentState::Failed { class: Some(DeclineClass::Hard) };
                let expected = if refuses == Refuses::Refunds { hard } else { IntentState::Settled };
                assert_eq!(refunded.state, expected);
            };
            let check = async |site: &Site, place: &str| {
                let begun = site.intent("r1").await.is_some();
                let back = begun && refuses == Refuses::Nothing;
                let left = if back { 300 } else { 500 };
                assert_eq!(site.books_balance().await, (left, left, 0), "{place} {refuses:?}");
                assert_eq!(site.bank.refunded(), if back { 200 } else { 0 }, "{place}");
            };
            assert!(cut_everywhere(sqlite, keys, flow, check).await >= 8);
        }
    }
}

/// Holds live in the ledger alone: the same call again is the same hold, and a hold ends once.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_cut_anywhere_ends_once() {
    for (sqlite, keys) in [(false, true), (true, true)] {
        let flow = async |site: &Site, wallet: &Wallet| {
            let whole = site.wallet(&Plug::never());
            whole.top_up(id("c1"), site.buyer, rub(500), charge("good"), None).await.unwrap();
            assert_eq!(wallet.hold("h1", site.buyer, rub(300), None).await.unwrap(), Moved::Done);
            let short = wallet.hold("h2", site.buyer, rub(201), None).await.unwrap();
            assert_eq!(short, Moved::Short { available: rub(200) });
            assert_eq!(wallet.capture("h1", rub(120)).await.unwrap(), Moved::Done);
        };
        let check = async |site: &Site, place: &str| {
            let wallet = site.wallet(&Plug::never());
            for _ in 0..2 {
                assert_eq!(
                    wallet.hold("h1", site.buyer, rub(300), None).await.unwrap(),
                    Moved::Done,
                    "{place}"
                );
                assert_eq!(wallet.capture("h1", rub(120)).await.unwrap(), Moved::Done, "{place}");
            }
            for other in [wallet.capture("h1", rub(121)).await, wallet.release("h1").await] {
                assert_eq!(other.unwrap(), Moved::Ended, "{place}");
            }
            assert_eq!(wallet.release("nothing").await.unwrap(), Moved::Ended);
            assert_eq!(site.balance(site.buyer).await, 380, "{place}");
            assert_eq!(site.balance(site.books.revenue).await, 120);
            assert_eq!(site.balance(site.books.held).await, 0);
            let too_much = wallet.hold("h3", site.buyer, rub(10), None).await;
            assert_eq!(too_much.unwrap(), Moved::Done);
            assert_eq!(wallet.capture("h3", rub(11)).await.unwrap_err().kind(), ErrorKind::Invalid);
            assert_eq!(wallet.release("h3").await.unwrap(), Moved::Done);
            assert_eq!(site.balance(site.buyer).await, 380, "{place}");
        };
        assert!(cut_everywhere(sqlite, keys, flow, check).await >= 6);
    }
}

/// A balance that covers six of ten: exactly six are held, from several wallets at once.
#[tokio::test(flavor = "multi_thread")]
async fn holds_at_the_same_time_never_overdraw() {
    for sqlite in [false, true] {
        let site = Site::new(sqlite, true).await;
        let wallet = site.wallet(&Plug::never());
        wallet.top_up(id("c1"), site.buyer, rub(60), charge("good"), None).await.unwrap();
        let held = join_all((0..10).map(|number| {
            let wallet = site.wallet(&Plug::never());
            let buyer = site.buyer;
            async move { wallet.hold(&format!("h{number}"), buyer, rub(10), None).await.unwrap() }
        }))
        .await;
        assert_eq!(held.iter().filter(|moved| **moved == Moved::Done).count(), 6);
        assert_eq!(site.balance(site.buyer).await, 0);
    }
}

/// Whoever comes while somebody has the provider asked waits, though the provider honours no keys.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_do_the_same_charge_once() {
    for (sqlite, keys) in EVERYWHERE {
        let site = Site::new(sqlite, keys).await;
        let tries = join_all((0..8).map(|_| {
            let wallet = site.wallet(&Plug::never());
            let buyer = site.buyer;
            async move { wallet.top_up(id("c1"), buyer, rub(500), charge("good"), None).await }
        }))
        .await;
        for other in tries.iter().filter_map(|tried| tried.as_ref().err()) {
            assert_eq!(other.kind(), ErrorKind::Conflict);
        }
        site.settle_down().await;
        assert_eq!((site.bank.charged(), site.books_balance().await), (1, (500, 500, 0)));
    }
}

#[tokio::test]
async fn what_a_wallet_refuses() {
    let site = Site::new(false, true).await;
    let wallet = site.wallet(&Plug::never());
    let kind = async |name: &str, account, amount, purpose| {
        wallet
            .top_up(id(name), account, amount, purpose, None)
            .await
            .map(|made| made.state)
            .map_err(|error| error.kind())
    };
    assert_eq!(kind("a", site.buyer, rub(0), page()).await, Err(ErrorKind::Invalid));
    let usd = Money::new(5, "USD".parse().unwrap());
    assert_eq!(kind("a", site.buyer, usd, page()).await, Err(ErrorKind::Invalid));
    let stranger = AccountId::generate(&RandomIds, start());
    assert_eq!(kind("a", stranger, rub(5), page()).await, Err(ErrorKind::NotFound));
    let back = Purpose::Refund { payment: ProviderPaymentId("1".into()) };
    assert_eq!(kind("a", site.buyer, rub(5), back).await, Err(ErrorKind::Invalid));
    // The payer's side says no: an intent that failed, and no error.
    let class = Some(DeclineClass::InsufficientFunds);
    assert_eq!(kind("poor", site.buyer, rub(5), charge("poor")).await, Ok(IntentState::Failed { class }));
    assert_eq!(kind("poor", site.buyer, rub(6), charge("poor")).await, Err(ErrorKind::Conflict));
    // The provider refuses for certain.
    site.bank.refuse(Refuses::Everything);
    assert_eq!(kind("b", site.buyer, rub(5), charge("good")).await, Err(ErrorKind::Auth));
    assert_eq!(site.intent("b").await.unwrap().state, IntentState::Failed { class: None });
    site.bank.refuse(Refuses::Nothing);
    let paid =
        wallet.top_up(id("c"), site.buyer, rub(500), charge("good"), None).await.unwrap().payment.unwrap();
    wallet.hold("h", site.buyer, rub(400), None).await.unwrap();
    let short = wallet.refund(id("r"), paid.clone(), rub(101), None).await.unwrap_err();
    assert_eq!((short.kind(), site.bank.refunded()), (ErrorKind::Balance, 0));
    let unknown = wallet.refund(id("r2"), ProviderPaymentId("none".into()), rub(1), None).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert_eq!(site.clock.now(), start());
}

/// A notification is a hint: a payment that the provider does not know, that is not paid, or that is paid with another
/// amount credits nobody.
#[tokio::test]
async fn a_notification_is_believed_only_after_a_look() {
    let site = Site::new(false, true).await;
    let wallet = site.wallet(&Plug::never());
    let made = wallet.top_up(id("t1"), site.buyer, rub(500), page(), None).await.unwrap();
    let event = PaymentEvent::Payment(made.payment.clone().unwrap());
    assert!(!wallet.notified(&event).await.unwrap().unwrap().state.is_final());
    let forged = PaymentEvent::Payment(ProviderPaymentId("forged".into()));
    assert_eq!(wallet.notified(&forged).await.unwrap_err().kind(), ErrorKind::NotFound);
    site.bank.decline(made.payment.as_ref().unwrap());
    assert!(matches!(wallet.notified(&event).await.unwrap().unwrap().state, IntentState::Failed { .. }));
    assert_eq!(site.balance(site.buyer).await, 0);
    // The payer tries again on the same page.
    site.bank.pay(made.payment.as_ref().unwrap());
    assert_eq!(wallet.notified(&event).await.unwrap().unwrap().state, IntentState::Settled);
    assert_eq!(site.balance(site.buyer).await, 500);
    let other = wallet.top_up(id("t2"), site.buyer, rub(500), page(), None).await.unwrap();
    site.bank.pay_other_amount(other.payment.as_ref().unwrap(), rub(400));
    let event = PaymentEvent::Payment(other.payment.unwrap());
    assert_eq!(wallet.notified(&event).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(site.balance(site.buyer).await, 500);
}
