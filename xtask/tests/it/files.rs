//! Names and sizes of files, and what must not be written into any of them.

use crate::repository::{File, assert_none, files};

const LINES_MAX: usize = 800;
const COUNTED: &[&str] = &["rs", "js", "mjs", "ts", "tsx", "css", "html", "sql"];

fn too_long(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| COUNTED.contains(&file.extension()))
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(file, lines)| format!("{}: {lines} lines", file.path))
        .collect()
}

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc"];

fn says_nothing(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let named = file.path.split('/').any(|part| {
            let stem = part.split('.').next().unwrap_or_default();
            EMPTY_NAMES.contains(&stem)
        });
        let declared = file.extension() == "rs"
            && file.text.lines().any(|line| {
                let name =
                    line.trim().split_once("mod ").map(|(_, name)| name.trim_end_matches([';', '{', ' ']));
                name.is_some_and(|name| EMPTY_NAMES.contains(&name))
            });
        if named || declared {
            faults.push(file.path.clone());
        }
    }
    faults
}

/// Folders that exist on one machine only. Written in two parts, so that this file passes its own test.
const MACHINE_FOLDERS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

fn machine_paths(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        for folder in MACHINE_FOLDERS {
            for (position, _) in file.text.match_indices(folder) {
                // Inside a longer path or an address it is somebody else's folder.
                let inside =
                    file.text[..position].ends_with(|c: char| c.is_alphanumeric() || "._-$}*/".contains(c));
                if !inside {
                    faults.push(format!("{}: `{folder}`", file.at(position)));
                }
            }
        }
    }
    faults
}

/// A lock file that names hosts ties everybody to the registry of whoever wrote it.
fn lock_file_hosts(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| file.path.ends_with("package-lock.json") && file.text.contains("\"resolved\""))
        .map(|file| format!("{}: has `resolved` lines", file.path))
        .collect()
}

#[test]
fn no_file_is_longer_than_800_lines() {
    assert_none("split these files", &too_long(&files()));
}

#[test]
fn a_long_file_is_noticed() {
    let long = "x\n".repeat(LINES_MAX + 1);
    let samples = [
        File::sample("a/src/long.rs", &long),
        File::sample("a/src/right.rs", &long[2..]),
        File::sample("a/long.sql", &long),
        File::sample("Cargo.lock", &long),
    ];
    assert_eq!(too_long(&samples), ["a/src/long.rs: 801 lines", "a/long.sql: 801 lines"]);
}

#[test]
fn names_say_what_is_inside() {
    assert_none("name these after what they do", &says_nothing(&files()));
}

#[test]
fn a_name_that_says_nothing_is_noticed() {
    let samples = [
        File::sample("a/src/utils.rs", ""),
        File::sample("a/common/mod.rs", ""),
        File::sample("a/src/lib.rs", "pub(crate) mod helpers {"),
        File::sample("a/src/commonplace.rs", "mod common_ground;"),
    ];
    assert_eq!(says_nothing(&samples), ["a/src/utils.rs", "a/common/mod.rs", "a/src/lib.rs"]);
}

/// The product is Rust alone; what is loaded into a child of a test may be C.
fn other_languages(files: &[File]) -> Vec<String> {
    let compiled = |file: &&File| ["c", "h", "cc", "cpp", "s", "asm"].contains(&file.extension());
    let test = |file: &&File| file.path.contains("/tests/");
    files.iter().filter(compiled).filter(|file| !test(file)).map(|file| file.path.clone()).collect()
}

#[test]
fn c_is_for_tests_alone() {
    let files = files();
    assert_none("the product has no C of its own", &other_languages(&files));
    let used = |file: &&File| file.text.contains("cc::Build") && file.path.ends_with("build.rs");
    let built: Vec<String> = files.iter().filter(used).map(|file| file.path.clone()).collect();
    assert_none("these build scripts compile C", &built);
}

#[test]
fn c_outside_the_tests_is_noticed() {
    let samples = [
        File::sample("a/src/fast.c", ""),
        File::sample("a/tests/it/power/shim.c", ""),
        File::sample("a/src/lib.rs", ""),
    ];
    assert_eq!(other_languages(&samples), ["a/src/fast.c"]);
}

#[test]
fn no_path_of_one_machine() {
    assert_none("these paths exist on one machine only", &machine_paths(&files()));
}

#[test]
fn a_path_of_one_machine_is_noticed() {
    let samples = [
        File::sample("a.sh", concat!("cd ", "/wo", "rk/main\n# ", "/ro", "ot/.cargo")),
        File::sample("b.md", concat!("https://example.com", "/wo", "rk/x and $HOME", "/wo", "rk/")),
    ];
    let faults = machine_paths(&samples);
    assert_eq!(faults.len(), 2);
    assert!(faults[0].starts_with("a.sh:1") && faults[1].starts_with("a.sh:2"));
}

#[test]
fn lock_files_name_no_registry() {
    assert_none("remove the `resolved` lines", &lock_file_hosts(&files()));
}

#[test]
fn a_registry_in_a_lock_file_is_noticed() {
    let text = r#"{ "resolved": "https://registry.example.com/a.tgz" }"#;
    let samples = [File::sample("e2e/package-lock.json", text), File::sample("e2e/package.json", text)];
    assert_eq!(lock_file_hosts(&samples).len(), 1);
}
