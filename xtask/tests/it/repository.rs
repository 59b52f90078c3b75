//! The files of the repository, as git knows them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A text file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl File {
    /// A sample for a test of a rule.
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The part of the name after the last dot; empty where there is none.
    pub(crate) fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|extension| extension.to_str()).unwrap_or_default()
    }

    /// Whether it lies in a folder of integration tests.
    pub(crate) fn is_integration_test(&self) -> bool {
        self.path.split('/').any(|folder| folder == "tests")
    }

    /// `path:line` of a position in the text.
    pub(crate) fn at(&self, position: usize) -> String {
        let line = self.text[..position].matches('\n').count() + 1;
        format!("{}:{line}", self.path)
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every text file that git tracks or would track.
pub(crate) fn files() -> Vec<File> {
    let root = root();
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .expect("the architecture tests need git to list the files");
    let paths = if output.status.success() {
        let listed = String::from_utf8(output.stdout).unwrap();
        listed.split_terminator('\0').map(str::to_owned).collect()
    } else {
        // An unpacked archive has no .git: look at everything that is not built or installed.
        eprintln!(
            "git cannot list the files, walking the folders: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        walk(&root)
    };
    let files: Vec<File> = paths.into_iter().filter_map(|path| read(&root, path)).collect();
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "no Cargo.toml among the files of {root:?}");
    files
}

/// `None` for what is not text, and for what git still lists but nobody has any more.
fn read(root: &Path, path: String) -> Option<File> {
    let bytes = std::fs::read(root.join(&path)).ok()?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?;
    Some(File { path, text })
}

fn walk(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if entry.file_type().unwrap().is_dir() {
                if !["target", "node_modules", ".git", "fastlead-data"].iter().any(|skipped| name == *skipped)
                {
                    folders.push(entry.path());
                }
            } else {
                let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(path);
            }
        }
    }
    found
}

/// Fails with every fault on a line of its own.
pub(crate) fn assert_none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}\n  {}\n", faults.join("\n  "));
}

#[test]
fn git_and_the_walk_agree_on_the_sources() {
    let sources = |mut paths: Vec<String>| {
        paths.retain(|path| path.ends_with(".rs") && root().join(path).exists());
        paths.sort();
        paths
    };
    let walked = sources(walk(&root()));
    let listed = sources(files().into_iter().map(|file| file.path).collect());
    assert_eq!(listed, walked);
}

#[test]
fn a_position_is_shown_as_its_line() {
    let file = File::sample("a/tests/it/b.rs", "one\ntwo\nthree");
    assert_eq!(file.at(4), "a/tests/it/b.rs:2");
    assert_eq!(file.extension(), "rs");
    assert!(file.is_integration_test());
}
