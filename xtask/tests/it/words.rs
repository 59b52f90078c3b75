//! Words that must not occur in a part of the repository.

use crate::repository::{File, assert_none, files};

/// A rule: these words do not occur in these files.
struct Absence {
    /// Why, in one line.
    why: &'static str,
    /// Which files.
    within: fn(&File) -> bool,
    /// The words. They match only where they are not part of a longer name, and are no method. Some
    /// are written in two parts, so that this file passes its own test.
    words: &'static [&'static str],
}

const ABSENCES: &[Absence] = &[
    Absence {
        why: "a test waits for an event, or on paused time, and never for a while",
        within: |file| file.is_integration_test(),
        words: &[concat!("sle", "ep("), concat!("sleep", "_until("), concat!("page.waitFor", "Timeout(")],
    },
    Absence {
        why: "an adapter reads no files and no environment; what else it must not do stands in its clippy.toml",
        within: |file| is_of_adapters(file) && file.extension() == "rs",
        words: &["std::env", "std::fs", "tokio::fs"],
    },
    Absence {
        why: "an adapter connects through the guard of egress.rs, by http.rs or to the addresses that it gives, or by the client that it is given",
        within: |file| {
            is_of_adapters(file)
                && !["fastlead-channels/src/http.rs", "fastlead-channels/src/egress.rs"]
                    .contains(&file.path.as_str())
                && file.extension() == "rs"
        },
        words: &[
            "reqwest::Client::new",
            "reqwest::Client::builder",
            "ClientBuilder::new",
            "TcpStream::connect",
            "TcpSocket",
            "lookup_host",
            "reqwest::get",
        ],
    },
    Absence {
        why: "money is counted in minor units",
        within: |file| file.path.starts_with("fastlead-billing/src/") && file.extension() == "rs",
        words: &["f32", "f64"],
    },
    Absence {
        why: "a certificate that does not fit is refused",
        within: |file| is_of_adapters(file) && file.extension() == "rs",
        words: &["danger_accept_invalid_certs", "danger_accept_invalid_hostnames"],
    },
];

/// Whether a file belongs to a crate of adapters: channels or payment providers.
fn is_of_adapters(file: &File) -> bool {
    ["fastlead-channels/src/", "fastlead-billing/src/"].iter().any(|folder| file.path.starts_with(folder))
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn occurrences(absence: &Absence, files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| (absence.within)(file)) {
        for word in absence.words {
            for (position, _) in file.text.match_indices(word) {
                let longer = file.text[..position].ends_with(|c| is_name(c) || c == '.')
                    || (word.ends_with(is_name) && file.text[position + word.len()..].starts_with(is_name));
                if !longer {
                    faults.push(format!("{}: `{word}`", file.at(position)));
                }
            }
        }
    }
    faults
}

#[test]
fn what_must_not_be_is_not() {
    let files = files();
    let mut report = Vec::new();
    for absence in ABSENCES {
        let faults = occurrences(absence, &files);
        if !faults.is_empty() {
            report.push(format!("{}:\n    {}", absence.why, faults.join("\n    ")));
        }
    }
    assert_none("these words must not occur there", &report);
}

#[test]
fn a_word_that_must_not_be_is_noticed() {
    let sleep = concat!(
        "tokio::time::sle",
        "ep(a).await; thread::sle",
        "ep(b); clock.sle",
        "ep(c); fn oversle",
        "ep() {}"
    );
    let samples = [
        File::sample("a/tests/it/waits.rs", sleep),
        File::sample("a/src/backoff.rs", sleep),
        File::sample("fastlead-channels/src/acme/adapter.rs", "use std::fs; // not my_std::fs"),
        File::sample("fastlead-channels/src/acme/client.rs", "reqwest::Client::builder(); http::client()"),
        File::sample("fastlead-channels/src/http.rs", "reqwest::Client::builder()"),
        File::sample("fastlead-billing/src/money.rs", "let rubles: f64 = 0.1;"),
        File::sample("fastlead-billing/src/acme/client.rs", "reqwest::Client::new()"),
    ];
    let faults: Vec<_> = ABSENCES.iter().flat_map(|absence| occurrences(absence, &samples)).collect();
    assert_eq!(
        faults,
        [
            concat!("a/tests/it/waits.rs:1: `sle", "ep(`"),
            concat!("a/tests/it/waits.rs:1: `sle", "ep(`"),
            "fastlead-channels/src/acme/adapter.rs:1: `std::fs`",
            "fastlead-channels/src/acme/client.rs:1: `reqwest::Client::builder`",
            "fastlead-billing/src/acme/client.rs:1: `reqwest::Client::new`",
            "fastlead-billing/src/money.rs:1: `f64`",
        ]
    );
}
