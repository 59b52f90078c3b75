//! Changing the key that seals channel credentials.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use fastlead_testkit::sim::telegram::TelegramSim;
use serde_json::{Value, json};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program, run};

const PATIENCE: Duration = Duration::from_secs(20);

/// Makes an installation with one channel for each name, and stops it.
async fn install(folder: &Path, telegram: &TelegramSim, names: &[&str]) {
    let mut program = Program::start(folder, &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    for name in names {
        let config = json!({"bot_token": telegram.token(), "endpoint": telegram.base_url()});
        desk.channel("telegram", name, config).await;
    }
    program.signal("TERM");
    assert!(program.ended(PATIENCE).await.success());
}

/// Starts the installation again, and proves that the channels work.
async fn works(folder: &Path, variables: &[(&str, &str)], channels: usize) {
    let program = Program::start(folder, variables).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let listed = desk.get("/v1/channels").await;
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.len(), channels);
    for channel in listed {
        assert_eq!(channel["open"], true, "{channel}");
        let checked = desk.post(&format!("/v1/channels/{}/check", of(channel, "id")), Value::Null).await;
        assert_eq!(checked["ok"], true, "{checked}");
    }
}

#[tokio::test]
async fn a_rotated_key_takes_over_and_the_old_one_can_go() {
    let folder = tempfile::tempdir().unwrap();
    let telegram = TelegramSim::start().await.unwrap();
    install(folder.path(), &telegram, &["first", "second"]).await;
    let file = folder.path().join("store.keys");
    let before = std::fs::read_to_string(&file).unwrap();
    let (fine, listed) = run(folder.path(), &[], &["keys", "list"]).await;
    assert!(fine && listed.contains("key 1: 2 channels, seals\n"), "{listed}");

    let (fine, rotated) = run(folder.path(), &[], &["keys", "rotate"]).await;
    assert!(
        fine && rotated.contains("Made key 2; sealed the credentials of 2 of 2 channels anew."),
        "{rotated}"
    );
    assert!(rotated.contains("key 1: 0 channels, seals nothing any more"), "{rotated}");
    assert!(rotated.contains("key 2: 2 channels, seals\n"), "{rotated}");
    let after = std::fs::read_to_string(&file).unwrap();
    let (new, old) = after.split_once('\n').unwrap();
    assert_eq!(old, before);
    for (key, text) in [(new, &rotated), (before.trim(), &rotated), (before.trim(), &listed)] {
        assert!(!text.contains(key.split_once(':').unwrap().1), "a key is shown");
    }
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::write(&file, new).unwrap();
    works(folder.path(), &[], 2).await;
    std::fs::write(&file, &before).unwrap();
    let (_, listed) = run(folder.path(), &[], &["keys", "list"]).await;
    assert!(listed.contains("key 2: 2 channels, is missing"), "{listed}");
    let (fine, refused) = run(folder.path(), &[], &["keys", "rotate"]).await;
    assert!(!fine && refused.contains("cannot be opened: first ("), "{refused}");
}

#[tokio::test]
async fn an_interrupted_rotation_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let telegram = TelegramSim::start().await.unwrap();
    install(folder.path(), &telegram, &["first", "second"]).await;
    // Killed when the new key was on disk and no channel was sealed with it.
    let file = folder.path().join("store.keys");
    let before = std::fs::read_to_string(&file).unwrap();
    let begun = format!("5:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n{before}");
    std::fs::write(&file, &begun).unwrap();
    let (fine, rotated) = run(folder.path(), &[], &["keys", "rotate"]).await;
    assert!(
        fine && rotated.contains("Went on with key 5; sealed the credentials of 2 of 2 channels anew."),
        "{rotated}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), begun, "no other key is made");
    std::fs::write(&file, begun.lines().next().unwrap()).unwrap();
    works(folder.path(), &[], 2).await;
}

#[tokio::test]
async fn keys_of_the_settings_are_rotated_there() {
    let folder = tempfile::tempdir().unwrap();
    let telegram = TelegramSim::start().await.unwrap();
    install(folder.path(), &telegram, &["only"]).await;
    let old = std::fs::read_to_string(folder.path().join("store.keys")).unwrap();
    let new = "2:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let setting = |keys: &str| [("FASTLEAD__SECRETS__KEYS".to_owned(), keys.to_owned())];
    let rotate = async |keys: &str| {
        let variables = setting(keys);
        let variables = variables.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
        run(folder.path(), &variables, &["keys", "rotate"]).await
    };
    let (fine, refused) = rotate(old.trim()).await;
    assert!(!fine && refused.contains("put a new key in front of it, such as `2:`"), "{refused}");
    let (fine, rotated) = rotate(&format!("{new},{}", old.trim())).await;
    assert!(fine && rotated.contains("1 of 1 channels"), "{rotated}");
    works(folder.path(), &[("FASTLEAD__SECRETS__KEYS", new)], 1).await;
}
