//! `cargo xtask agents`: AGENTS.md and llms.txt, made from the documents for people, so that they cannot say anything else.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::steps::root;
use crate::{Failure, Outcome};

/// Where the guide for programs that write code stands.
const AGENTS: &str = "AGENTS.md";
/// Where the list of documents for language models stands (<https://llmstxt.org>).
const LLMS: &str = "llms.txt";

/// Writes both files.
pub(crate) fn run() -> Outcome {
    for (name, text) in [(AGENTS, agents(root())?), (LLMS, llms(root())?)] {
        let path = root().join(name);
        fs::write(&path, text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        println!("{name} is current");
    }
    Ok(())
}

fn read(root: &Path, path: &str) -> Outcome<String> {
    fs::read_to_string(root.join(path)).map_err(|error| Failure::new(format!("{path}: {error}")))
}

/// A section with its heading, up to the next heading of its level or a higher one.
fn section(page: &str, heading: &str) -> Option<String> {
    let level = heading.split(' ').next().map_or(0, str::len);
    let start = page.find(&format!("\n{heading}\n"))? + 1;
    let mut end = page.len();
    let mut fenced = false;
    let mut position = start;
    for line in page[start..].split_inclusive('\n') {
        let marks = line.bytes().take_while(|byte| *byte == b'#').count();
        if position > start && !fenced && (1..=level).contains(&marks) {
            end = position;
            break;
        }
        fenced ^= line.starts_with("```");
        position += line.len();
    }
    Some(page[start..end].trim_end().to_owned())
}

/// What a program that changes the code must know: sections of the two documents for contributors.
fn agents(root: &Path) -> Outcome<String> {
    let mut text = "# FastLead, for programs that write code\n\n\
        Made from CONTRIBUTING.md and ARCHITECTURE.md by `cargo xtask agents`; change those and run it again.\n"
        .to_owned();
    let parts = [
        ("ARCHITECTURE.md", &["## Bird's eye", "## Codemap", "## What must never be"][..]),
        (
            "CONTRIBUTING.md",
            &["## Setup", "## Commands", "## A channel adapter in eight steps", "## Commits"],
        ),
    ];
    for (path, headings) in parts {
        let page = read(root, path)?;
        for heading in headings {
            let found = section(&page, heading)
                .ok_or_else(|| Failure::new(format!("{path} has no section `{heading}`")))?;
            text.push('\n');
            text.push_str(&found);
            text.push('\n');
        }
    }
    Ok(text)
}

/// The first heading, and the first paragraph after it in one line.
fn title_and_gist(page: &str) -> (String, String) {
    let mut blocks = page.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    let title = blocks.next().unwrap_or_default().lines().next().unwrap_or_default();
    let is_prose = |block: &&str| {
        !block.starts_with("```") && block.starts_with(|c: char| c.is_alphanumeric() || c == '`' || c == '"')
    };
    let gist = blocks.find(is_prose).unwrap_or_default();
    let gist = gist.split_whitespace().collect::<Vec<_>>().join(" ");
    (title.trim_start_matches(['#', ' ']).to_owned(), without_links(&gist))
}

/// `[text](target)` as `text`.
fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        match after.split_once("](").and_then(|(label, tail)| Some((label, tail.split_once(')')?.1))) {
            Some((label, tail)) => {
                out.push_str(label);
                rest = tail;
            }
            None => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// One line for each document of a folder, in the order of their names.
fn listed(root: &Path, folder: &str) -> Outcome<String> {
    let entries =
        fs::read_dir(root.join(folder)).map_err(|error| Failure::new(format!("{folder}: {error}")))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names =
        names.collect::<Result<Vec<_>, _>>().map_err(|error| Failure::new(format!("{folder}: {error}")))?;
    names.sort();
    let mut text = String::new();
    for name in names.iter().filter(|name| name.ends_with(".md")) {
        line(&mut text, &format!("{folder}/{name}"), &read(root, &format!("{folder}/{name}"))?);
    }
    Ok(text)
}

fn line(text: &mut String, path: &str, page: &str) {
    let (title, gist) = title_and_gist(page);
    // Writing to a String cannot fail.
    let _written = writeln!(text, "- [{title}]({path}): {gist}");
}

/// The documents, each with what it says first.
fn llms(root: &Path) -> Outcome<String> {
    let (title, gist) = title_and_gist(&read(root, "README.md")?);
    let mut text = format!("# {title}\n\n> {gist}\n\n## Start\n\n");
    for path in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        line(&mut text, path, &read(root, path)?);
    }
    line(&mut text, AGENTS, &agents(root)?);
    text.push_str("\n## Crates\n\n");
    for name in ["core", "channels", "store", "billing", "testkit", "server"] {
        let path = format!("fastlead-{name}/README.md");
        line(&mut text, &path, &read(root, &path)?);
    }
    text.push_str("\n## Docs\n\n");
    text.push_str(&listed(root, "docs")?);
    text.push_str("\n## Optional\n\n");
    text.push_str(&listed(root, "docs/adr")?);
    text.push_str(&listed(root, "docs/ru")?);
    line(&mut text, "CHANGELOG.md", &read(root, "CHANGELOG.md")?);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_current() {
        for (name, text) in [(AGENTS, agents(root()).unwrap()), (LLMS, llms(root()).unwrap())] {
            let stored = fs::read_to_string(root().join(name)).unwrap_or_default();
            assert!(stored == text, "{name} is not current: run `cargo xtask agents`");
            assert!(text.lines().count() > 20, "{name} says nearly nothing");
        }
    }

    #[test]
    fn a_section_ends_at_the_next_of_its_level() {
        let page = "# A\n\n## B\n\none\n\n### C\n\n```\n## not a heading\n```\n\n## D\n\ntwo\n";
        assert_eq!(section(page, "## B").unwrap(), "## B\n\none\n\n### C\n\n```\n## not a heading\n```");
        assert_eq!(section(page, "## D").unwrap(), "## D\n\ntwo");
        assert_eq!(section(page, "## E"), None);
    }

    #[test]
    fn the_gist_is_the_first_paragraph() {
        let page = "# A page\n\n[Русский](a.md) · [b](c.md)\n\nWhat [it](d.md)\nsays, [or] not.\n\nMore.\n";
        assert_eq!(title_and_gist("# A\n\n```sh\nb\n```\n\nC.\n"), ("A".to_owned(), "C.".to_owned()));
        assert_eq!(title_and_gist(page), ("A page".to_owned(), "What it says, [or] not.".to_owned()));
    }
}
