//! What `cargo metadata` says about the workspace.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::steps::root;
use crate::{Failure, Outcome};

/// The workspace as cargo sees it, without its dependencies.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Every member.
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds.
    pub(crate) target_directory: PathBuf,
}

/// One member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// `false` where the manifest says `publish = false`.
    pub(crate) published: bool,
    /// Cargo features, in alphabetical order, without `default`.
    pub(crate) features: Vec<String>,
    /// Programs: the kind (`bin` or `example`) and the name of each.
    pub(crate) programs: Vec<(String, String)>,
}

/// Asks cargo.
pub(crate) fn workspace() -> Outcome<Workspace> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("cannot start `cargo metadata`: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`cargo metadata` failed: {}", output.status)));
    }
    let value: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::new(format!("cannot read the answer of `cargo metadata`: {error}")))?;
    parse(&value).ok_or_else(|| Failure::new("`cargo metadata` answered in an unknown shape"))
}

fn parse(value: &Value) -> Option<Workspace> {
    let packages = value["packages"].as_array()?.iter().map(package).collect::<Option<_>>()?;
    Some(Workspace { packages, target_directory: PathBuf::from(value["target_directory"].as_str()?) })
}

fn package(value: &Value) -> Option<Package> {
    let programs = value["targets"].as_array()?.iter().filter_map(|target| {
        let kind = target["kind"][0].as_str()?;
        let name = target["name"].as_str()?;
        matches!(kind, "bin" | "example").then(|| (kind.to_owned(), name.to_owned()))
    });
    Some(Package {
        name: value["name"].as_str()?.to_owned(),
        version: value["version"].as_str()?.to_owned(),
        // `publish = false` is an empty list of registries; no restriction at all is `null`.
        published: value["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        features: value["features"].as_object()?.keys().filter(|name| *name != "default").cloned().collect(),
        programs: programs.collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse;

    #[test]
    fn a_package_is_published_unless_its_manifest_says_no() {
        let member = |publish: serde_json::Value| {
            json!({ "name": "a", "version": "0.1.0", "publish": publish, "features": { "default": ["tls"], "tls": [] },
                "targets": [{ "kind": ["lib"], "name": "a" }, { "kind": ["bin"], "name": "run" }] })
        };
        let value = json!({ "packages": [member(json!(null)), member(json!([])), member(json!(["private"]))],
            "target_directory": "target" });
        let workspace = parse(&value).unwrap();
        assert_eq!(workspace.packages.iter().map(|p| p.published).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(workspace.packages[0].features, ["tls"]);
        assert_eq!(workspace.packages[0].programs, [("bin".to_owned(), "run".to_owned())]);
        assert!(parse(&json!({ "packages": [] })).is_none());
    }
}
