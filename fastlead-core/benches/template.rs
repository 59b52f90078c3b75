//! How long it takes to fill a text, and to compile the texts of a policy.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement stops at the first surprise; the macros of criterion make undocumented items"
)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fastlead_core::message::Locale;
use fastlead_core::template::{CompiledTemplates, Template, TemplateSource};
use serde_json::json;

fn templates() -> BTreeMap<String, Template> {
    let short =
        TemplateSource::plain("Новая заявка: {{ lead.name or 'без имени' }}, {{ lead.phone or lead.email }}");
    let long = TemplateSource {
        subject: Some("Заявка {{ lead.name }}".to_owned()),
        plain: "Заявка {{ lead.created_at|datetime('+03:00') }}\n{{ lead.name }}, {{ lead.phone|phone }}\n\
                {% for name in lead.fields %}{{ name }}: {{ lead.fields[name] }}\n{% endfor %}\
                {% if lead.utm_source %}Откуда: {{ lead.utm_source }}{% endif %}"
            .to_owned(),
        html: Some(
            "<b>Заявка</b> {{ lead.created_at|datetime('+03:00') }}<p>{{ lead.name }}, {{ lead.phone|phone }}</p>\
             {% for name in lead.fields %}<i>{{ name }}</i>: {{ lead.fields[name] }}{% endfor %}"
                .to_owned(),
        ),
    };
    BTreeMap::from([
        ("short".to_owned(), Template::from([(Locale::Ru, short)])),
        ("long".to_owned(), Template::from([(Locale::Ru, long)])),
    ])
}

fn benches(criterion: &mut Criterion) {
    let templates = templates();
    let compiled = CompiledTemplates::compile(&templates).unwrap();
    let values = json!({
        "lead": {
            "name": "Вера <b>", "phone": "+79000000000", "email": null, "created_at": "2026-11-23T09:30:00Z",
            "fields": {"city": "Казань", "service": "имплантация", "when": "утром"}, "utm_source": "bench",
        },
    });
    let mut group = criterion.benchmark_group("template");
    for (name, what) in [("short", "one line"), ("long", "subject, plain and HTML")] {
        group.bench_function(format!("render {what}"), |bencher| {
            bencher.iter(|| compiled.render(black_box(name), Locale::Ru, black_box(&values)).unwrap());
        });
    }
    group.bench_function("compile both", |bencher| {
        bencher.iter(|| CompiledTemplates::compile(black_box(&templates)).unwrap());
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
