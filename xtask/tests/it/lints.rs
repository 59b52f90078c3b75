//! Clippy's rules of single crates: clippy reads the nearest `clippy.toml` alone.

use crate::repository::{File, assert_none, files};

/// What `fastlead-core/clippy.toml` must name.
const CLOCKS_AND_IDS: [&str; 8] = [
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "chrono::Utc::now",
    "tokio::time::sleep",
    "tokio::time::timeout",
    "uuid::Uuid::now_v7",
    "uuid::Uuid::new_v4",
    "rand::rng",
];

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str())
}

/// The rules of the workspace that a crate's own file has left out.
fn forgotten_rules(files: &[File]) -> Vec<String> {
    let of_all: Vec<&str> =
        text(files, "clippy.toml").lines().filter(|line| !line.starts_with('#') && line.len() > 1).collect();
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with("/clippy.toml")) {
        for rule in of_all.iter().filter(|rule| !file.text.lines().any(|line| line == **rule)) {
            faults.push(format!("{}: {rule}", file.path));
        }
    }
    faults
}

fn clocks_that_are_allowed(files: &[File]) -> Vec<String> {
    let rules = text(files, "fastlead-core/clippy.toml");
    let is_named = |path: &str| rules.contains(&format!("{{ path = \"{path}\", reason"));
    CLOCKS_AND_IDS.iter().filter(|path| !is_named(path)).map(|path| (*path).to_owned()).collect()
}

#[test]
fn every_clippy_toml_has_the_rules_of_all() {
    assert_none("these rules of clippy.toml hold in every crate", &forgotten_rules(&files()));
}

#[test]
fn a_forgotten_rule_is_noticed() {
    let samples = [
        File::sample("clippy.toml", "# why\na = true\nb = [\n  { path = \"c\" },\n]\n"),
        File::sample("core/clippy.toml", "a = true\nb = [\n  { path = \"d\" },\n]\n"),
    ];
    assert_eq!(forgotten_rules(&samples), ["core/clippy.toml:   { path = \"c\" },"]);
}

#[test]
fn core_has_no_clock_of_its_own() {
    assert_none("core must not call these", &clocks_that_are_allowed(&files()));
}

#[test]
fn a_clock_that_is_allowed_is_noticed() {
    assert_eq!(clocks_that_are_allowed(&[]).len(), CLOCKS_AND_IDS.len());
}
