//! How long it takes from the bytes of a capture to a validated one.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement stops at the first surprise; the macros of criterion make undocumented items"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fastlead_core::contact::Phone;
use fastlead_core::lead::{Capture, CaptureInput, ConsentDocument, ConsentPurpose, Received};
use fastlead_core::message::Locale;
use fastlead_core::time::epoch;

/// Known without the library of numbering plans.
const FAST: &str = "+7 900 000-00-00";
/// Asks the library.
const SLOW: &str = "+1 202 555 0143";

fn documents() -> Vec<ConsentDocument> {
    vec![ConsentDocument {
        purpose: ConsentPurpose::PersonalData,
        locale: None,
        document_id: "personal-data".to_owned(),
        version: "1".to_owned(),
        label: "Я согласен на обработку персональных данных".to_owned(),
        text: "Образец текста согласия. ".repeat(20),
        required: true,
    }]
}

fn body(phone: &str) -> String {
    format!(
        r#"{{"name":"Вера","phone":"{phone}","email":"vera@example.com","comment":"Перезвоните после шести","consents":{{"personal_data":true}},"fields":{{"city":"Казань"}},"attribution":{{"last":{{"utm_source":"bench","utm_medium":"cpc","page":"https://example.com/"}}}}}}"#
    )
}

fn take(body: &[u8], documents: &[ConsentDocument]) -> Capture {
    let input: CaptureInput = serde_json::from_slice(body).unwrap();
    input.validate(documents, Locale::Ru, Received::at(epoch())).unwrap()
}

fn benches(criterion: &mut Criterion) {
    let documents = documents();
    let mut group = criterion.benchmark_group("capture");
    for (name, phone) in [("Russian mobile phone", FAST), ("other phone", SLOW)] {
        let body = body(phone);
        group.bench_function(format!("parse and validate, {name}"), |bencher| {
            bencher.iter(|| take(black_box(body.as_bytes()), &documents));
        });
        group.bench_function(format!("phone alone, {name}"), |bencher| {
            bencher.iter(|| Phone::parse(black_box(phone)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
