//! Documents that name files, modules and tests: all of these exist.

use crate::repository::{File, assert_none, files};

/// Relative links of the form `[text](path)` that lead to no file and no folder.
fn dead_links(files: &[File]) -> Vec<String> {
    let exists = |path: &str| {
        let folder = format!("{path}/");
        files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    };
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "md") {
        for (position, _) in file.text.match_indices("](") {
            let link = &file.text[position + 2..];
            let link = link[..link.find(')').unwrap_or(0)].split('#').next().unwrap_or_default();
            let elsewhere = link.is_empty() || link.contains(':') || link.contains(char::is_whitespace);
            // A README or docs.md of a crate may link to items, which rustdoc checks.
            if elsewhere || !(link.contains('/') || link.contains('.')) {
                continue;
            }
            if !exists(&resolve(&file.path, link)) {
                faults.push(format!("{}: {link}", file.at(position)));
            }
        }
    }
    faults
}

/// A link relative to the file that has it, as a path from the root.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The names in the first column of the table under a heading.
fn first_column<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let section = page.split_once(heading).map(|(_, rest)| rest).unwrap_or_default();
    let section = section.split("\n#").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect()
}

/// Tests named as `module::test`.
fn named_tests(page: &str) -> Vec<(&str, &str)> {
    page.split('`')
        .filter_map(|word| word.split_once("::"))
        .filter(|(module, test)| {
            let name = |text: &str| {
                !text.is_empty()
                    && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            };
            name(module) && name(test)
        })
        .collect()
}

fn map_faults(files: &[File]) -> Vec<String> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let page = text("ARCHITECTURE.md");
    let mapped = first_column(page, "### fastlead-core");
    let mut faults = Vec::new();
    for module in &mapped {
        let file = format!("fastlead-core/src/{module}.rs");
        let folder = format!("fastlead-core/src/{module}/mod.rs");
        if text(&file).is_empty() && text(&folder).is_empty() {
            faults.push(format!("the map has the module `{module}`, core has not"));
        }
    }
    let modules = text("fastlead-core/src/lib.rs").lines();
    for module in modules.filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        if !mapped.contains(&module) {
            faults.push(format!("core has the module `{module}`, the map has not"));
        }
    }
    for (module, test) in named_tests(page) {
        if !text(&format!("xtask/tests/it/{module}.rs")).contains(&format!("\n#[test]\nfn {test}() {{")) {
            faults.push(format!("there is no test `{module}::{test}`"));
        }
    }
    faults
}

/// Tests that the page of compatibility names, and that neither the server nor the channels have.
fn unproved_claims(files: &[File]) -> Vec<String> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let named = named_tests(text("docs/compatibility.md"));
    let is_there = |module: &str, test: &str| {
        let places = [
            format!("fastlead-server/tests/it/{module}.rs"),
            format!("fastlead-channels/tests/it/{module}.rs"),
            format!("fastlead-channels/tests/it/{module}/"),
            format!("fastlead-channels/src/{module}/"),
            format!("fastlead-channels/src/{module}_tests.rs"),
        ];
        let head = format!("fn {test}() {{");
        let here = |file: &&File| places.iter().any(|place| file.path.starts_with(place.as_str()));
        files.iter().filter(here).any(|file| file.text.contains(&head))
    };
    let missing = named.iter().filter(|(module, test)| !is_there(module, test));
    let mut faults: Vec<String> =
        missing.map(|(module, test)| format!("there is no test `{module}::{test}`")).collect();
    if named.is_empty() {
        faults.push("the page names no test".to_owned());
    }
    faults
}

#[test]
fn what_is_said_to_be_compatible_is_tested() {
    assert_none("docs/compatibility.md names tests that do not exist", &unproved_claims(&files()));
}

#[test]
fn an_unproved_claim_is_noticed() {
    let page = File::sample("docs/compatibility.md", "| a | `forms::there` |\n| b | `forms::gone` |");
    let tests = File::sample("fastlead-server/tests/it/forms.rs", "async fn there() {\n}");
    assert_eq!(unproved_claims(&[page, tests]), ["there is no test `forms::gone`"]);
    assert_eq!(unproved_claims(&[]), ["the page names no test"]);
}

#[test]
fn links_lead_somewhere() {
    assert_none("these links lead nowhere", &dead_links(&files()));
}

#[test]
fn a_dead_link_is_noticed() {
    let page = "[a](b.md) [b](../c/d.rs#L3) [c](https://example.com/x.md) [d](#part) [e](gone.md)\n\
        [f](../c) [g](crate::Item) [h](Item) [i](../c/gone)";
    let samples =
        [File::sample("docs/a.md", page), File::sample("docs/b.md", ""), File::sample("c/d.rs", "")];
    assert_eq!(dead_links(&samples), ["docs/a.md:1: gone.md", "docs/a.md:2: ../c/gone"]);
}

#[test]
fn the_map_matches_the_land() {
    assert_none("ARCHITECTURE.md and the code differ", &map_faults(&files()));
}

#[test]
fn a_wrong_map_is_noticed() {
    let page = "### fastlead-core\n\n| module | what |\n|---|---|\n| `id` | ids |\n| `gone` | nothing |\n\n\
        ## Next\n| `other` | |\n`files::is_there` and `files::is_not`, but not `Registry::builder`";
    let samples = [
        File::sample("ARCHITECTURE.md", page),
        File::sample("fastlead-core/src/lib.rs", "pub mod id;\npub mod hidden;\nmod private;\n"),
        File::sample("fastlead-core/src/id.rs", "//! Ids."),
        File::sample("xtask/tests/it/files.rs", "\n#[test]\nfn is_there() {\n"),
    ];
    assert_eq!(
        map_faults(&samples),
        [
            "the map has the module `gone`, core has not",
            "core has the module `hidden`, the map has not",
            "there is no test `files::is_not`",
        ]
    );
}

/// Public traits and builders of the published crates whose documentation has no example.
fn without_example(files: &[File]) -> Vec<String> {
    let is_theme = |line: &str| {
        let name =
            |rest: &str| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
        line.starts_with("pub trait ")
            || line.strip_prefix("pub struct ").is_some_and(|rest| name(rest).ends_with("Builder"))
    };
    let mut faults = Vec::new();
    let source = |file: &&File| {
        file.path.starts_with("fastlead-") && file.path.contains("/src/") && file.extension() == "rs"
    };
    for file in files.iter().filter(source) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| is_theme(line)) {
            let above = lines[..number].iter().rev();
            let mut doc = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
            if !doc.any(|line| line.starts_with("/// ```")) {
                faults.push(format!("{}:{}: {line}", file.path, number + 1));
            }
        }
    }
    faults
}

#[test]
fn every_public_trait_and_builder_has_an_example() {
    assert_none("show how these are used", &without_example(&files()));
}

#[test]
fn a_missing_example_is_noticed() {
    let text = "/// Has one.\n///\n/// ```\n/// ```\n#[async_trait]\npub trait Shown {}\n\n/// None.\npub trait Bare {}\n\
        pub(crate) trait Own {}\n/// No.\npub struct EngineBuilder<S> {\npub struct Built;\n";
    let faults =
        without_example(&[File::sample("fastlead-a/src/a.rs", text), File::sample("xtask/src/a.rs", text)]);
    assert_eq!(
        faults,
        ["fastlead-a/src/a.rs:9: pub trait Bare {}", "fastlead-a/src/a.rs:12: pub struct EngineBuilder<S> {"]
    );
}
