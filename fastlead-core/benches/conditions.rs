//! Fifty conditions over one lead, as a policy with many rules asks them.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark; the macros of criterion make undocumented items"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::Locale;
use fastlead_core::policy::{Condition, ConditionInput, History, SourceFacts};
use fastlead_core::schedule::{WorkingHours, Zone};
use fastlead_core::time::Timestamp;

const TEXTS: [&str; 10] = [
    r#"fields.city == "Казань" && contact.phone_country in ["RU", "KZ"]"#,
    r#"!(utm_source.startsWith("spam")) && history.leads < 3"#,
    r#"fields.city in ["Москва", "Тула", "Самара", "Пермь", "Казань"]"#,
    "number(fields.budget) > 100000 || score >= 50",
    r#"has(contact.email) && contact.email_domain != "example.org""#,
    r#"comment.contains("срочно") || comment.contains("сегодня")"#,
    r#"time.weekday in ["sat", "sun"] || time.of_day >= "18:30""#,
    r#"source.key == "site-2" || source.name.endsWith("лендинг")"#,
    r#"time.date >= "2026-12-31" && !time.is_open"#,
    r#"consent.advertising && history.last_owner == "anna""#,
];

fn conditions(bench: &mut Criterion) {
    let input: CaptureInput = serde_json::from_value(serde_json::json!({
        "phone": "+77010000000",
        "email": "anna@example.com",
        "comment": "Хочу записаться на приём, лучше вечером. ".repeat(5),
        "fields": {"city": "Казань", "budget": "100 000"},
        "attribution": {"last": {"utm_source": "yandex"}},
    }))
    .unwrap();
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    let capture = input.validate(&[], Locale::Ru, Received::at(now)).unwrap();
    let fifty: Vec<Condition> = TEXTS.iter().cycle().take(50).map(|text| text.parse().unwrap()).collect();
    bench.bench_function("50 conditions", |bench| {
        bench.iter(|| {
            let mut input = ConditionInput::new(black_box(&capture));
            input.source = Some(SourceFacts { key: "site-1", name: "Сайт" });
            input.local_time = Some(Zone::UTC.local(now));
            input.is_open = Some(true);
            input.score = Some(10);
            input.history = Some(History { leads: 2, last_owner: Some("anna") });
            fifty.iter().filter(|condition| condition.holds(&input)).count()
        });
    });
    bench.bench_function("read 10 conditions", |bench| {
        bench.iter(|| TEXTS.iter().filter(|text| black_box(text).parse::<Condition>().is_ok()).count());
    });
    let hours: WorkingHours = serde_json::from_value(serde_json::json!({
        "weekly": [
            {"days": "mon-fri", "from": "09:00", "to": "13:00"},
            {"days": "mon-fri", "from": "14:00", "to": "18:00"},
        ],
        "holidays": {"base": "ru"},
    }))
    .unwrap();
    let zone: Zone = "Europe/Moscow".parse().unwrap();
    bench.bench_function("business time, 8 hours", |bench| {
        bench.iter(|| hours.plus_open(black_box(now), 8 * 3_600, zone));
    });
}

criterion_group!(benches, conditions);
criterion_main!(benches);
