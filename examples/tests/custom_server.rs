//! A program with an adapter of its own has the whole command line, and every command knows the adapter.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_custom_server"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap()
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_schema_of_the_adapter_is_printed_beside_the_shipped_ones() {
    let folder = folder("schema");
    for (kind, field) in [("acme_sms", "\"sender\""), ("telegram", "\"bot_token\"")] {
        let output = run(&folder, &["schema", kind]);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && printed.contains(field), "{kind}: {printed}");
    }
    let unknown = run(&folder, &["schema", "nonsense"]);
    assert!(!unknown.status.success());
}

#[test]
fn it_checks_an_installation() {
    let folder = folder("check");
    let output = run(&folder, &["check"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && printed.contains("database: ok"), "{printed}{complained}");
    let unknown = run(&folder, &["send", "--channel", "sms", "--to", "+7 900 000-00-00"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no channel of this name"));
}
