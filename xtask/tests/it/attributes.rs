//! Attributes that switch a check off.

use crate::repository::{File, assert_none, files};

/// The text between the parenthesis at `open` and its partner.
fn in_parentheses(text: &str, open: usize) -> &str {
    let mut depth = 0_usize;
    for (position, character) in text[open..].char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[open..open + position];
        }
    }
    &text[open..]
}

/// `#[allow(…)]`, `#![expect(…)]` and both inside `cfg_attr`, without `reason = "…"`.
fn unexplained(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "rs") {
        for opening in ["allow(", "expect("] {
            for (position, _) in file.text.match_indices(opening) {
                let line = file.text[..position].rfind('\n').map_or(0, |newline| newline + 1);
                let before = file.text[line..position].trim_start();
                let attribute = (before.starts_with("#[") || before.starts_with("#!["))
                    && (before.ends_with('[') || before.contains("cfg_attr("));
                let inside = in_parentheses(&file.text, position + opening.len() - 1);
                if attribute && !inside.contains("reason") {
                    faults.push(file.at(position));
                }
            }
        }
    }
    faults
}

fn ignored_tests(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "rs") {
        for opening in [concat!("#[ign", "ore]"), concat!("#[ign", "ore =")] {
            faults.extend(file.text.match_indices(opening).map(|(position, _)| file.at(position)));
        }
    }
    faults
}

#[test]
fn what_is_allowed_has_a_reason() {
    assert_none("say why, with `reason = \"…\"`", &unexplained(&files()));
}

#[test]
fn an_unexplained_attribute_is_noticed() {
    // `@` stands for `#`, so that this file passes its own test.
    let text = "@[allow(dead_code)]\n\
        @![allow(\n    clippy::panic,\n    clippy::unwrap_used\n)]\n\
        @[expect(dead_code, reason = \"used by nobody yet\")]\n\
        @[cfg_attr(test, allow(dead_code))]\n\
        let value = option.expect(\"there\");\n\
        @![allow(\n    clippy::panic,\n    reason = \"tests (all of them)\"\n)]\n";
    let text = text.replace('@', "#");
    let faults = unexplained(&[File::sample("a.rs", &text), File::sample("a.md", &text)]);
    assert_eq!(faults, ["a.rs:1", "a.rs:2", "a.rs:7"]);
}

#[test]
fn every_test_runs() {
    assert_none("a test that is never run proves nothing", &ignored_tests(&files()));
}

#[test]
fn an_ignored_test_is_noticed() {
    let text = concat!("#[test]\n#[ign", "ore]\nfn a() {}\n#[ign", "ore = \"slow\"]\nfn b() {}");
    assert_eq!(ignored_tests(&[File::sample("a.rs", text)]), ["a.rs:2", "a.rs:4"]);
}
