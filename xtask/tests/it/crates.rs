//! The crates: who may know whom, what core must not pull in, and what a published one has.

use std::process::Command;

use serde_json::{Value, json};

use crate::repository::{assert_none, root};

/// What a crate may know of the others.
struct Allowed {
    name: &'static str,
    /// In every build.
    normal: &'static [&'static str],
    /// Behind a cargo feature.
    optional: &'static [&'static str],
    /// In its tests.
    dev: &'static [&'static str],
}

const EVERYBODY: &[&str] = &[
    "fastlead-core",
    "fastlead-channels",
    "fastlead-billing",
    "fastlead-store",
    "fastlead-testkit",
    "fastlead-server",
];
const CORE: &[&str] = &["fastlead-core"];
const BILLING: &[&str] = &["fastlead-billing"];
const TESTKIT: &[&str] = &["fastlead-testkit"];

/// The direction of the arrows. A new crate is a new line.
const DIRECTION: &[Allowed] = &[
    Allowed { name: "fastlead-core", normal: &[], optional: &[], dev: &[] },
    Allowed { name: "fastlead-channels", normal: CORE, optional: &[], dev: TESTKIT },
    Allowed { name: "fastlead-billing", normal: CORE, optional: &[], dev: TESTKIT },
    Allowed { name: "fastlead-store", normal: CORE, optional: BILLING, dev: TESTKIT },
    Allowed { name: "fastlead-testkit", normal: CORE, optional: BILLING, dev: &[] },
    Allowed { name: "fastlead-server", normal: EVERYBODY, optional: EVERYBODY, dev: EVERYBODY },
    Allowed { name: "fastlead-examples", normal: EVERYBODY, optional: EVERYBODY, dev: EVERYBODY },
    Allowed { name: "xtask", normal: &[], optional: &[], dev: &[] },
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new("cargo").args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn metadata() -> Value {
    serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"])).unwrap()
}

fn packages(metadata: &Value) -> &[Value] {
    metadata["packages"].as_array().unwrap()
}

fn wrong_way(metadata: &Value) -> Vec<String> {
    let names: Vec<&str> =
        packages(metadata).iter().map(|package| package["name"].as_str().unwrap()).collect();
    let mut faults = Vec::new();
    for package in packages(metadata) {
        let name = package["name"].as_str().unwrap();
        let Some(allowed) = DIRECTION.iter().find(|allowed| allowed.name == name) else {
            faults.push(format!("{name} has no line in the table of directions"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            if !names.contains(&other) {
                continue;
            }
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            let optional = dependency["optional"] == true;
            let permitted = allowed.normal.contains(&other)
                || (kind == "normal" && optional && allowed.optional.contains(&other))
                || (kind == "dev" && allowed.dev.contains(&other));
            if !permitted {
                faults.push(format!("{name} -> {other} ({kind})"));
            }
        }
    }
    faults
}

/// Names, or beginnings of names where they end in `*`, that core does not pull in.
const NOT_IN_CORE: &[&str] =
    &["reqwest", "sqlx*", "redis", "axum*", "hyper*", "lettre", "teloxide*", "rustls", "object_store"];

/// `tree` has one package on each line, its name first.
fn pulled_in(tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut faults: Vec<String> = names
        .filter(|name| {
            NOT_IN_CORE.iter().any(|forbidden| match forbidden.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == forbidden,
            })
        })
        .map(str::to_owned)
        .collect();
    faults.sort();
    faults.dedup();
    faults
}

/// `read` gives the text of a file beside a package's manifest.
fn not_ready_to_publish(metadata: &Value, read: impl Fn(&Value, &str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages(metadata) {
        let published = package["publish"].as_array().is_none_or(|registries| !registries.is_empty());
        if !published {
            continue;
        }
        let name = package["name"].as_str().unwrap();
        for field in ["description", "license", "repository", "readme", "rust_version"] {
            if package[field].as_str().is_none_or(str::is_empty) {
                faults.push(format!("{name} has no `{field}`"));
            }
        }
        if package["metadata"]["docs"]["rs"]["all-features"] != true {
            faults.push(format!("{name}: [package.metadata.docs.rs] does not say all-features = true"));
        }
        let Some(readme) = package["readme"].as_str() else { continue };
        let Some(text) = read(package, readme) else {
            faults.push(format!("{name}: {readme} does not exist"));
            continue;
        };
        for feature in package["features"].as_object().unwrap().keys().filter(|feature| *feature != "default")
        {
            if !text.contains(&format!("`{feature}`")) {
                faults.push(format!("{name}: {readme} does not name the feature `{feature}`"));
            }
        }
    }
    faults
}

fn beside_manifest(package: &Value, name: &str) -> Option<String> {
    let manifest = std::path::Path::new(package["manifest_path"].as_str()?);
    std::fs::read_to_string(manifest.parent()?.join(name)).ok()
}

fn own_lints(metadata: &Value, read: impl Fn(&Value, &str) -> Option<String>) -> Vec<String> {
    let follows = |package: &&Value| {
        let manifest = read(package, "Cargo.toml").unwrap_or_default();
        manifest
            .split_once("[lints]")
            .is_some_and(|(_, rest)| rest.trim_start().starts_with("workspace = true"))
    };
    let others = packages(metadata).iter().filter(|package| !follows(package));
    others.map(|package| format!("{} does not use the workspace's lints", package["name"])).collect()
}

#[test]
fn crates_know_only_those_below_them() {
    assert_none("these dependencies point the wrong way", &wrong_way(&metadata()));
}

#[test]
fn an_arrow_that_points_the_wrong_way_is_noticed() {
    let edge =
        |name: &str, kind: Value, optional: bool| json!({ "name": name, "kind": kind, "optional": optional });
    let member = |name: &str, dependencies: Value| json!({ "name": name, "dependencies": dependencies });
    let sample = json!({ "packages": [
        member("fastlead-core", json!([edge("serde", json!(null), false), edge("fastlead-testkit", json!("dev"), false)])),
        member("fastlead-channels", json!([edge("fastlead-store", json!(null), false)])),
        member("fastlead-billing", json!([])),
        member("fastlead-store", json!([
            edge("fastlead-core", json!(null), false),
            edge("fastlead-billing", json!(null), true),
            edge("fastlead-testkit", json!("dev"), false),
        ])),
        member("fastlead-testkit", json!([edge("fastlead-billing", json!(null), false)])),
        member("fastlead-extra", json!([])),
    ]});
    assert_eq!(
        wrong_way(&sample),
        [
            "fastlead-core -> fastlead-testkit (dev)",
            "fastlead-channels -> fastlead-store (normal)",
            "fastlead-testkit -> fastlead-billing (normal)",
            "fastlead-extra has no line in the table of directions",
        ]
    );
}

#[test]
fn core_pulls_in_no_client_no_sql_and_no_web_framework() {
    let arguments = [
        "tree",
        "--package",
        "fastlead-core",
        "--edges",
        "normal",
        "--all-features",
        "--prefix",
        "none",
        "--locked",
    ];
    let tree = cargo(&arguments);
    assert!(tree.starts_with("fastlead-core v"), "{tree}");
    assert_none("core depends on these, perhaps through another crate", &pulled_in(&tree));
}

/// Number of packages in the output of `cargo tree --prefix none`, each counted once.
fn count(tree: &str) -> usize {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn a_lean_core_stays_lean() {
    let tree = |features: &[&str]| {
        let base =
            ["tree", "--package", "fastlead-core", "--edges", "normal", "--prefix", "none", "--locked"];
        count(&cargo(&[&base[..], features].concat()))
    };
    let (lean, whole) = (tree(&["--no-default-features"]), tree(&[]));
    assert!(lean <= 70, "{lean} packages without features");
    assert!(lean < whole && whole <= 120, "{lean} without features, {whole} with");
    assert_eq!(count("a v1 (/x)\nb v2\nb v2 (*)\nc v1 (proc-macro)\n"), 3);
}

#[test]
fn what_core_must_not_pull_in_is_noticed() {
    let tree = "fastlead-core v0.1.0 (/somewhere)\nserde v1.0.0\nhyper-util v0.1.0\nsqlx-core v0.9.0 (*)\n\
        redis v1.0.0\nredistribute v1.0.0\nhyper-util v0.1.0 (*)";
    assert_eq!(pulled_in(tree), ["hyper-util", "redis", "sqlx-core"]);
}

#[test]
fn published_crates_are_ready_to_publish() {
    assert_none("crates.io and its readers need these", &not_ready_to_publish(&metadata(), beside_manifest));
}

#[test]
fn a_crate_that_is_not_ready_is_noticed() {
    let complete = json!({ "name": "ready", "publish": null, "description": "a", "license": "MIT",
        "repository": "https://example.com", "readme": "README.md", "rust_version": "1.94",
        "metadata": { "docs": { "rs": { "all-features": true } } }, "features": { "default": ["tls"], "tls": [] } });
    let mut bare = complete.clone();
    bare["name"] = json!("bare");
    bare["description"] = json!("");
    bare["license"] = json!(null);
    bare["rust_version"] = json!(null);
    bare["metadata"] = json!(null);
    let mut unread = complete.clone();
    unread["name"] = json!("unread");
    let mut silent = complete.clone();
    silent["name"] = json!("silent");
    let private = json!({ "name": "private", "publish": [] });
    let sample = json!({ "packages": [complete, bare, unread, silent, private] });
    let faults = not_ready_to_publish(&sample, |package, _| match package["name"].as_str() {
        Some("unread") => None,
        Some("silent") => Some("Nothing about tls.".to_owned()),
        _ => Some("The feature `tls` encrypts.".to_owned()),
    });
    assert_eq!(
        faults,
        [
            "bare has no `description`",
            "bare has no `license`",
            "bare has no `rust_version`",
            "bare: [package.metadata.docs.rs] does not say all-features = true",
            "unread: README.md does not exist",
            "silent: README.md does not name the feature `tls`",
        ]
    );
}

#[test]
fn every_crate_uses_the_lints_of_the_workspace() {
    assert_none("add `[lints] workspace = true`", &own_lints(&metadata(), beside_manifest));
}

#[test]
fn a_crate_with_lints_of_its_own_is_noticed() {
    let sample = json!({ "packages": [{ "name": "good" }, { "name": "bad" }] });
    let faults = own_lints(&sample, |package, _| {
        let text = if package["name"] == "good" { "[lints]\nworkspace = true" } else { "[lints.rust]\n" };
        Some(text.to_owned())
    });
    assert_eq!(faults.len(), 1);
}
