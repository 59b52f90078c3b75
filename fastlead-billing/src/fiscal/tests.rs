use std::time::Duration;

use fastlead_core::time::{Timestamp, from_millis, plus};
use proptest::prelude::*;

use super::*;
use crate::{Currency, Money, MoneyError};

fn rub(minor: i64) -> Money {
    Money::new(minor, Currency::RUB)
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    moment("2026-11-29T12:00:00Z")
}

fn item(total: i64, vat: Vat) -> ReceiptItem {
    ReceiptItem {
        subject: Subject::new("Accepted leads", PaymentSubject::Service),
        price: rub(total),
        quantity: Quantity::ONE,
        total: rub(total),
        vat,
        method: PaymentMethod::FullPayment,
    }
}

fn receipt(items: Vec<ReceiptItem>) -> FiscalReceipt {
    FiscalReceipt {
        recipient: ReceiptRecipient::Email("anna@example.com".parse().unwrap()),
        tax_system: None,
        ffd: FfdVersion::V12,
        settlement: Settlement::Cashless,
        items,
    }
}

fn sum(items: &[ReceiptItem]) -> i64 {
    items.iter().map(|item| item.total.minor).sum()
}

#[test]
fn every_fault_of_a_receipt_has_a_name() {
    let whole = item(100, Vat::Vat22);
    let check = |items: Vec<ReceiptItem>| receipt(items).check(rub(100), now());
    assert_eq!(check(vec![whole.clone()]), Ok(()));
    assert_eq!(check(vec![item(34, Vat::Vat22), item(33, Vat::None), item(33, Vat::Vat0)]), Ok(()));
    let with = |change: fn(&mut ReceiptItem)| {
        let mut item = whole.clone();
        change(&mut item);
        vec![item]
    };
    let agent = |inn: &str, name: &str| {
        let phone = "+79000000000".parse().unwrap();
        let supplier = Supplier { name: name.into(), phone, inn: inn.into() };
        let subject =
            Subject { agent: Some(Agent { kind: AgentKind::Agent, supplier }), ..whole.subject.clone() };
        vec![ReceiptItem { subject, ..whole.clone() }]
    };
    assert_eq!(check(agent("7700000000", "Example LLC")), Ok(()));
    for (items, fault) in [
        (vec![], ReceiptFault::NoItems),
        (vec![item(1, Vat::None); 101], ReceiptFault::TooManyItems),
        (vec![item(99, Vat::Vat22)], ReceiptFault::Sum),
        (vec![item(101, Vat::Vat22)], ReceiptFault::Sum),
        (vec![item(-1, Vat::Vat22), item(101, Vat::Vat22)], ReceiptFault::Sum),
        (vec![item(i64::MAX / 1_000 * 1_000, Vat::None); 2], ReceiptFault::Money(MoneyError::Overflow)),
        (with(|item| item.price = rub(99)), ReceiptFault::Price { item: 0 }),
        (with(|item| item.quantity = Quantity(0)), ReceiptFault::Price { item: 0 }),
        (with(|item| item.subject.description.clear()), ReceiptFault::Description { item: 0 }),
        (with(|item| item.subject.description = "ы".repeat(129)), ReceiptFault::Description { item: 0 }),
        (with(|item| item.vat = Vat::Vat20), ReceiptFault::Vat { item: 0 }),
        (with(|item| item.vat = Vat::Vat122), ReceiptFault::VatOfMethod { item: 0 }),
        (with(|item| item.method = PaymentMethod::Advance), ReceiptFault::VatOfMethod { item: 0 }),
        (with(|item| item.subject.subject = PaymentSubject::MarkedGoods), ReceiptFault::Marking { item: 0 }),
        (
            with(|item| {
                item.subject.marking = Some("0104".into());
                item.quantity = Quantity(2_000);
                item.price = rub(50);
            }),
            ReceiptFault::Marking { item: 0 },
        ),
        (agent("77", "Example LLC"), ReceiptFault::Supplier { item: 0 }),
        (agent("7700000000", " "), ReceiptFault::Supplier { item: 0 }),
    ] {
        assert_eq!(check(items.clone()), Err(fault), "{items:?}");
    }
    assert_eq!(check(with(|item| item.subject.description = "ы".repeat(128))), Ok(()));
    let marked = with(|item| {
        item.subject.subject = PaymentSubject::MarkedGoods;
        item.subject.marking = Some("0104650000000001215abc\u{1d}91EE".into());
    });
    assert_eq!(check(marked.clone()), Ok(()));
    let old_format = FiscalReceipt { ffd: FfdVersion::V105, ..receipt(marked) };
    assert_eq!(old_format.check(rub(100), now()), Err(ReceiptFault::Marking { item: 0 }));
}

#[test]
fn the_old_base_rate_is_tolerated_for_a_quarter_and_kept_by_refunds() {
    let old = receipt(vec![item(100, Vat::Vat20)]);
    for (sold_at, expected) in [
        ("2025-12-31T23:59:59+03:00", Ok(())),
        ("2026-03-31T23:59:59+03:00", Ok(())),
        ("2026-04-01T00:00:00+03:00", Err(ReceiptFault::Vat { item: 0 })),
    ] {
        assert_eq!(old.check(rub(100), moment(sold_at)), expected, "{sold_at}");
    }
}

#[test]
fn a_prepayment_is_closed_at_the_plain_rate() {
    let prepaid =
        |vat| receipt(vec![ReceiptItem { method: PaymentMethod::FullPrepayment, ..item(100, vat) }]);
    let closed = closing(&prepaid(Vat::Vat122), now()).unwrap();
    assert_eq!(closed.settlement, Settlement::Prepayment);
    assert_eq!((closed.items[0].vat, closed.items[0].method), (Vat::Vat22, PaymentMethod::FullPayment));
    assert_eq!(closed.check(rub(100), now()), Ok(()));
    // Prepaid in 2025, handed over in 2026: R24 leaves it to an accountant.
    let late = closing(&prepaid(Vat::Vat120), moment("2026-01-01T00:00:00+03:00"));
    assert_eq!(late, Err(ReceiptFault::Transitional { item: 0 }));
    assert!(closing(&prepaid(Vat::Vat120), moment("2025-12-31T00:00:00+03:00")).is_ok());
    assert_eq!(closing(&closed, now()), Err(ReceiptFault::NotAPrepayment { item: 0 }));
}

#[test]
fn discounts_that_cannot_be_are_refused() {
    let line = |discount| BasketLine {
        subject: Subject::new("Accepted leads", PaymentSubject::Service),
        price: rub(100),
        quantity: Quantity(2_000),
        discount: rub(discount),
        rate: TaxRate::Base,
    };
    let total = |line, discount| Basket { lines: vec![line], discount: rub(discount) }.total();
    assert_eq!(total(line(50), 100), Ok(rub(50)));
    assert_eq!(total(line(200), 0), Ok(rub(0)));
    for (own, whole) in [(201, 0), (-1, 0), (50, 151), (0, -1)] {
        assert_eq!(total(line(own), whole), Err(ReceiptFault::Discount), "{own} {whole}");
    }
    let free = Basket { lines: vec![line(200)], discount: rub(0) };
    assert_eq!(free.settle(PaymentMethod::FullPayment, now()), Err(ReceiptFault::NoItems));
    assert_eq!(Basket { lines: vec![], discount: rub(0) }.total(), Err(ReceiptFault::NoItems));
}

#[test]
fn a_receipt_goes_its_way_though_news_come_late_and_twice() {
    use ReceiptChange::{Changed, Contradiction, Unchanged};
    let marks = |document: &str| FiscalMarks {
        storage: "9999078900004792".into(),
        document: document.into(),
        attribute: "2013".into(),
    };
    let registered = |document: &str| ReceiptNews::Registered(Some(marks(document)));
    let patience = Duration::from_secs(3_600);
    let mut progress = ReceiptProgress::due(now());
    assert_eq!(progress.alarm(plus(now(), patience), patience), None);
    let late = plus(now(), patience + Duration::from_secs(1));
    assert_eq!(progress.alarm(late, patience), Some(ReceiptAlarm::Overdue));
    for (news, change, status) in [
        (ReceiptNews::Sent, Changed, ReceiptStatus::Pending),
        (ReceiptNews::Pending, Unchanged, ReceiptStatus::Pending),
        (ReceiptNews::Failed, Changed, ReceiptStatus::Failed),
        (ReceiptNews::Pending, Unchanged, ReceiptStatus::Failed),
        (ReceiptNews::Sent, Changed, ReceiptStatus::Pending),
        (ReceiptNews::Registered(None), Changed, ReceiptStatus::Registered),
        (registered("126"), Changed, ReceiptStatus::Registered),
        (registered("126"), Unchanged, ReceiptStatus::Registered),
        (ReceiptNews::Registered(None), Unchanged, ReceiptStatus::Registered),
        (registered("127"), Contradiction, ReceiptStatus::Registered),
        (ReceiptNews::Failed, Contradiction, ReceiptStatus::Registered),
        (ReceiptNews::Pending, Unchanged, ReceiptStatus::Registered),
        (ReceiptNews::Sent, Unchanged, ReceiptStatus::Registered),
    ] {
        assert_eq!(progress.apply(news.clone()), change, "{news:?}");
        assert_eq!(progress.status(), Some(status), "{news:?}");
    }
    assert_eq!(progress.marks(), Some(&marks("126")));
    assert_eq!(progress.alarm(late, patience), None);
    let mut failed = ReceiptProgress::due(now());
    failed.apply(ReceiptNews::Failed);
    assert_eq!(failed.alarm(now(), patience), Some(ReceiptAlarm::Failed));
    assert_eq!(failed.apply(ReceiptNews::Registered(None)), Changed);
}

prop_compose! {
    fn any_line()(
        price in prop_oneof![0_i64..50, 0_i64..1_000_000, 0_i64..10_000_000_000],
        quantity in prop_oneof![
            (1_u32..30).prop_map(|count| count * 1_000),
            1_u32..20_000,
        ],
        part in 0_i64..=100,
        rate in prop::sample::select(vec![
            TaxRate::Exempt, TaxRate::Zero, TaxRate::Five, TaxRate::Seven, TaxRate::Ten, TaxRate::Base,
        ]),
    ) -> BasketLine {
        let gross = (i128::from(price) * i128::from(quantity) + 500) / 1_000;
        let discount = i64::try_from(gross * i128::from(part) / 100).unwrap();
        BasketLine {
            subject: Subject::new("Accepted leads", PaymentSubject::Service),
            price: rub(price),
            quantity: Quantity(quantity),
            discount: rub(discount),
            rate,
        }
    }
}

prop_compose! {
    fn any_basket()(
        lines in prop::collection::vec(any_line(), 1..20),
        percent in 0_i128..=100,
    ) -> Basket {
        let before = Basket { lines, discount: rub(0) };
        let total = before.total().unwrap().minor;
        let discount = i64::try_from(i128::from(total) * percent / 100).unwrap();
        Basket { discount: rub(discount), ..before }
    }
}

/// From 2025 to 2026-12, both sides of every date that matters.
fn any_moment() -> impl Strategy<Value = Timestamp> {
    (1_735_678_800_000_i64..1_798_750_800_000).prop_map(from_millis)
}

proptest! {
    #[test]
    fn a_basket_settles_to_the_kopeck_at_the_rates_of_the_day(
        basket in any_basket(),
        at in any_moment(),
        method in prop::sample::select(PaymentMethod::ALL.to_vec()),
    ) {
        let total = basket.total().unwrap();
        let before: i128 = basket.lines.iter().map(|line| {
            let gross = (i128::from(line.price.minor) * i128::from(line.quantity.0) + 500) / 1_000;
            gross - i128::from(line.discount.minor)
        }).sum();
        prop_assert_eq!(i128::from(total.minor), before - i128::from(basket.discount.minor));
        match basket.settle(method, at) {
            Err(fault) => prop_assert_eq!((fault, total.minor), (ReceiptFault::NoItems, 0)),
            Ok(items) => {
                let receipt = receipt(items);
                prop_assert_eq!(receipt.check(total, at), Ok(()));
                for item in &receipt.items {
                    prop_assert_eq!(item.vat.standing_at(at), VatStanding::InForce);
                    prop_assert!(item.total.minor > 0);
                }
                if method.is_prepayment() {
                    let closed = closing(&receipt, at).unwrap();
                    prop_assert_eq!(closed.check(total, at), Ok(()));
                }
            }
        }
    }

    #[test]
    fn parts_of_a_sale_add_up_to_it_line_by_line(
        basket in any_basket(),
        at in any_moment(),
        parts in prop::collection::vec(1_i64..1_000, 1..12),
    ) {
        let Ok(items) = basket.settle(PaymentMethod::FullPayment, at) else { return Ok(()) };
        let rates = |items: &[ReceiptItem]| {
            let mut sums = std::collections::BTreeMap::new();
            for item in items {
                *sums.entry(item.vat).or_insert(0) += item.total.minor;
            }
            sums
        };
        let whole = sum(&items);
        let mut open = OpenSale::new(items.clone()).unwrap();
        prop_assert_eq!(open.open(), rub(whole));
        prop_assert_eq!(open.take(rub(whole + 1)), Err(ReceiptFault::Sum));
        prop_assert_eq!(open.take(rub(0)), Err(ReceiptFault::Sum));
        let mut taken = Vec::new();
        for part in parts {
            let left = open.open().minor;
            let amount = i64::try_from(i128::from(left) * i128::from(part) / 1_000).unwrap();
            if amount > 0 {
                let lines = open.take(rub(amount)).unwrap();
                // A refund keeps the rates of the sale, and is judged by its day.
                prop_assert_eq!(receipt(lines.clone()).check(rub(amount), at), Ok(()));
                taken.extend(lines);
                prop_assert_eq!(open.open().minor, left - amount);
            }
        }
        let left = open.open();
        if left.minor > 0 {
            taken.extend(open.take(left).unwrap());
        }
        prop_assert_eq!(rates(&taken), rates(&items));
        prop_assert_eq!(open.open(), rub(0));
    }
}
