//! `cargo xtask web`: builds what is shown in browsers, from the folders of `fastlead-server/web`.
//!
//! What comes of it (`dist`) is committed and packed into the program, so that nobody needs Node to build that. `--check` compares
//! it byte for byte with what the sources make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{Steps, available, root};
use crate::{Failure, Outcome};

/// Whether the built files are replaced or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// `dist` becomes what the sources make.
    Build,
    /// `dist` must be what the sources make.
    Check,
}

/// Builds everything, with all of its checks.
pub(crate) fn run(aim: Aim) -> Outcome {
    let mut steps = Steps::default();
    let outcome = make(&mut steps, aim);
    steps.report();
    outcome
}

/// The same as steps of a longer run. Without npm it says that nothing was checked.
pub(crate) fn check(steps: &mut Steps) -> Outcome {
    if available("npm", &["--version"]) {
        return make(steps, Aim::Check);
    }
    println!("\nnot checked here: the pages of fastlead-server/web (npm is absent); CI does");
    Ok(())
}

fn make(steps: &mut Steps, aim: Aim) -> Outcome {
    for folder in packages(&root().join("fastlead-server/web"))? {
        package(steps, aim, &folder)?;
    }
    Ok(())
}

/// Folders with a `package.json`, in the order of their names.
fn packages(web: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = std::fs::read_dir(web).map_err(|error| fault(web, &error))?;
    let folders = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut folders: Vec<_> = folders.collect::<Result<_, _>>().map_err(|error| fault(web, &error))?;
    folders.retain(|folder| folder.join("package.json").is_file());
    folders.sort();
    Ok(folders)
}

fn package(steps: &mut Steps, aim: Aim, folder: &Path) -> Outcome {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let npm = |arguments: &[&str]| {
        let mut command = Command::new("npm");
        command.args(arguments).current_dir(folder);
        command
    };
    install(steps, name, folder, npm(&["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    steps.run(&format!("check {name}"), &mut npm(&["run", "--silent", "check"]))?;
    let built = root().join("target/web").join(name);
    let mut build = npm(&["run", "--silent", "build"]);
    steps.run(&format!("build {name}"), build.env("FASTLEAD_WEB_OUT", &built))?;
    let (made, committed) = (files(&built)?, folder.join("dist"));
    match aim {
        Aim::Build => replace(&committed, &made),
        Aim::Check => {
            let differs = differences(&made, &files(&committed)?);
            if differs.is_empty() {
                return Ok(());
            }
            let message = format!(
                "fastlead-server/web/{name}/dist is not what its sources make ({}); run `cargo xtask web` and commit it",
                differs.join(", ")
            );
            Err(Failure::new(message))
        }
    }
}

/// Installs what the lock file names, unless that is there already.
fn install(steps: &mut Steps, name: &str, folder: &Path, mut npm: Command) -> Outcome {
    let lock = std::fs::read(folder.join("package-lock.json")).map_err(|error| fault(folder, &error))?;
    let mark = folder.join("node_modules/.installed-lock.json");
    if std::fs::read(&mark).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    steps.run(&format!("packages of {name}"), &mut npm)?;
    // Named last: whoever was interrupted begins anew.
    std::fs::write(&mark, lock).map_err(|error| fault(&mark, &error))
}

/// Every file below a folder by its path from there. What begins with a dot is for tools.
fn files(folder: &Path) -> Outcome<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(&inner).map_err(|error| fault(&inner, &error))? {
            let path = entry.map_err(|error| fault(&inner, &error))?.path();
            let is_for_tools = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if is_for_tools {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.insert(name, std::fs::read(&path).map_err(|error| fault(&path, &error))?);
        }
    }
    Ok(found)
}

/// Names of files that one side has otherwise than the other. Versions of zlib pack the same bytes in different ways, so what is
/// packed is compared by the tests of its package.
fn differences(made: &BTreeMap<String, Vec<u8>>, committed: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names = made.keys().chain(committed.keys().filter(|name| !made.contains_key(*name)));
    let differs = |name: &&String| !name.ends_with(".gz") && made.get(*name) != committed.get(*name);
    names.filter(differs).cloned().collect()
}

fn replace(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> Outcome {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| fault(folder, &error))?;
    }
    for (name, bytes) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| fault(parent, &error))?;
        std::fs::write(&path, bytes).map_err(|error| fault(&path, &error))?;
    }
    Ok(())
}

fn fault(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_differ_are_named() {
        let folder = std::env::temp_dir().join(format!("fastlead-web-{}", std::process::id()));
        let set = |files: &[(&str, &str)]| -> BTreeMap<String, Vec<u8>> {
            files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
        };
        let made = set(&[("index.html", "a"), ("assets/one.js", "b"), ("assets/two.js", "c")]);
        replace(&folder, &set(&[("old.js", "x")])).unwrap();
        replace(&folder, &made).unwrap();
        std::fs::create_dir_all(folder.join(".vite")).unwrap();
        std::fs::write(folder.join(".vite/manifest.json"), "{}").unwrap();
        assert_eq!(files(&folder).unwrap(), made);
        assert!(differences(&made, &files(&folder).unwrap()).is_empty());
        std::fs::write(folder.join("assets/one.js"), "B").unwrap();
        std::fs::write(folder.join("more.js"), "").unwrap();
        std::fs::remove_file(folder.join("index.html")).unwrap();
        let differs = differences(&made, &files(&folder).unwrap());
        assert_eq!(differs, ["assets/one.js", "index.html", "more.js"]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
