//! The folders of the channel adapters: the same files everywhere, and no way from one to another.

use std::collections::BTreeSet;

use crate::repository::{File, assert_none, files};

const ADAPTERS: &str = "fastlead-channels/src/";

/// What every adapter's folder has. The others (`client.rs`, `wire.rs`, `webhook.rs`, `poller.rs`)
/// are there where the provider needs them.
const ALWAYS: &[&str] = &["mod.rs", "config.rs", "adapter.rs", "error.rs", "docs.md"];

/// The folders, by what lies in them.
fn folders(files: &[File]) -> BTreeSet<&str> {
    files
        .iter()
        .filter_map(|file| file.path.strip_prefix(ADAPTERS)?.split_once('/'))
        .map(|(folder, _)| folder)
        .collect()
}

/// The modules that the crate exports.
fn exported(files: &[File]) -> BTreeSet<&str> {
    let lib = files.iter().find(|file| file.path.strip_prefix(ADAPTERS) == Some("lib.rs"));
    lib.iter()
        .flat_map(|file| file.text.lines())
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect()
}

fn incomplete(files: &[File]) -> Vec<String> {
    let folders = folders(files);
    let mut faults = Vec::new();
    for folder in exported(files).intersection(&folders) {
        for name in ALWAYS {
            let path = format!("{ADAPTERS}{folder}/{name}");
            if !files.iter().any(|file| file.path == path) {
                faults.push(format!("{path} is missing"));
            }
        }
    }
    faults
}

/// A module path in a text: where it is, how many `super` lead it (`None` for `crate::`), and the
/// names that come next (several behind an opening brace).
struct Mention<'a> {
    position: usize,
    supers: Option<usize>,
    names: Vec<&'a str>,
}

fn leading_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The first name of every branch of `{a::b, c::{d, e}, f}`, or the one name where there is no brace.
fn next_names(text: &str) -> Vec<&str> {
    let Some(group) = text.strip_prefix('{') else { return vec![leading_name(text)] };
    let mut names = vec![leading_name(group.trim_start())];
    let mut depth = 1_usize;
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(leading_name(group[position + 1..].trim_start())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn mentions(text: &str) -> Vec<Mention<'_>> {
    let mut found = Vec::new();
    for root in ["crate::", "fastlead_channels::"] {
        for (position, _) in text.match_indices(root) {
            found.push(Mention { position, supers: None, names: next_names(&text[position + root.len()..]) });
        }
    }
    let mut from = 0;
    while let Some(position) = text[from..].find("super::").map(|offset| from + offset) {
        let mut rest = &text[position..];
        let mut supers = 0;
        while let Some(shorter) = rest.strip_prefix("super::") {
            rest = shorter;
            supers += 1;
        }
        found.push(Mention { position, supers: Some(supers), names: next_names(rest) });
        from = text.len() - rest.len();
    }
    found
}

/// How many inline modules (`mod tests {`) are open at a position, by the indentation that rustfmt gives.
fn inline_depth(text: &str, position: usize) -> usize {
    let mut open: Vec<usize> = Vec::new();
    for line in text[..position].lines() {
        let inner = line.trim_start();
        let indent = line.len() - inner.len();
        if inner.ends_with('{')
            && (inner.starts_with("mod ") || inner.contains(" mod "))
            && !inner.starts_with("//")
        {
            open.push(indent);
        } else if inner == "}" && open.last() == Some(&indent) {
            open.pop();
        }
    }
    open.len()
}

fn strangers(files: &[File]) -> Vec<String> {
    let folders = folders(files);
    let mut faults = Vec::new();
    for file in files {
        let Some((folder, inside)) = file.path.strip_prefix(ADAPTERS).and_then(|path| path.split_once('/'))
        else {
            continue;
        };
        if !["rs", "md"].contains(&file.extension()) {
            continue;
        }
        // `telegram/mod.rs` is one step below the crate's root, `telegram/client.rs` two.
        let below_root = inside.split('/').filter(|part| *part != "mod.rs").count() + 1;
        for mention in mentions(&file.text) {
            let from_root = mention
                .supers
                .is_none_or(|supers| supers == below_root + inline_depth(&file.text, mention.position));
            if from_root {
                for name in mention.names.iter().filter(|name| **name != folder && folders.contains(**name)) {
                    faults.push(format!("{}: {folder} knows {name}", file.at(mention.position)));
                }
            }
        }
    }
    faults
}

#[test]
fn every_adapter_has_the_same_files() {
    assert_none("an adapter's folder has the same files as every other", &incomplete(&files()));
}

#[test]
fn a_missing_file_is_noticed() {
    let sample = |name: &str, text: &str| File::sample(&format!("{ADAPTERS}{name}"), text);
    let mut samples: Vec<File> = ALWAYS.iter().map(|name| sample(&format!("acme/{name}"), "")).collect();
    samples.push(sample("lib.rs", "#[cfg(feature = \"acme\")]\npub mod acme;\nmod inner;\npub mod tls;"));
    samples.push(sample("inner/mod.rs", ""));
    assert_eq!(incomplete(&samples), [""; 0]);
    samples.remove(3);
    assert_eq!(incomplete(&samples), ["fastlead-channels/src/acme/error.rs is missing"]);
}

#[test]
fn no_adapter_knows_another() {
    assert_none("what two adapters share belongs beside them or into core", &strangers(&files()));
}

#[test]
fn an_adapter_that_knows_another_is_noticed() {
    let sample = |name: &str, text: &str| File::sample(&format!("{ADAPTERS}{name}"), text);
    let samples = [
        sample("acme/mod.rs", "pub use super::webhook::Signer;"),
        sample(
            "acme/adapter.rs",
            "use super::webhook::Own;\nuse crate::tls;\nuse super::super::telegram::wire;\n\
            #[cfg(test)]\nmod tests {\n    use super::super::webhook::Own;\n    use super::super::super::webhook::Theirs;\n}\n\
            use super::super::webhook::Theirs;",
        ),
        sample(
            "acme/client.rs",
            "use crate::{\n    acme::A,\n    tls::{install_crypto, webhook},\n    telegram::B,\n};",
        ),
        sample("acme/docs.md", "[`crate::webhook::Webhook`] and fastlead_channels::acme::Acme"),
        sample("acme/webhook.rs", "use crate::acme::wire;"),
        sample("telegram/mod.rs", "pub mod client;"),
        sample("webhook/mod.rs", "mod adapter;"),
        sample("tls.rs", "use crate::webhook;"),
    ];
    assert_eq!(
        strangers(&samples),
        [
            "fastlead-channels/src/acme/mod.rs:1: acme knows webhook",
            "fastlead-channels/src/acme/adapter.rs:3: acme knows telegram",
            "fastlead-channels/src/acme/adapter.rs:7: acme knows webhook",
            "fastlead-channels/src/acme/adapter.rs:9: acme knows webhook",
            "fastlead-channels/src/acme/client.rs:1: acme knows telegram",
            "fastlead-channels/src/acme/docs.md:1: acme knows webhook",
        ]
    );
}
