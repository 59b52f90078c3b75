//! `fastlead backup` and `fastlead restore`.

use std::path::Path;

use fastlead_core::Result;
use fastlead_store::sqlite;

use super::say;
use crate::keys;
use crate::settings::Settings;

/// Copies the database of the settings into `file`.
pub(super) async fn back_up(settings: &Settings, file: &Path) -> Result<()> {
    let made = sqlite::back_up(&settings.store.path, file).await?;
    say(&format!("{}: whole, {}", file.display(), contents(&made)));
    if settings.secrets.keys.expose().is_empty() {
        say(&format!(
            "The credentials of channels in it open only with the keys of {}: keep a copy of that file, elsewhere.",
            keys::file(settings).display()
        ));
    }
    Ok(())
}

/// Makes `file` the database of the settings.
pub(super) async fn restore(settings: &Settings, file: &Path) -> Result<()> {
    let restored = sqlite::restore(file, &settings.store.path).await?;
    say(&format!("{}: restored, {}", settings.store.path.display(), contents(&restored)));
    let keys = keys::file(settings);
    if settings.secrets.keys.expose().is_empty() && !keys.exists() {
        say(&format!(
            "Before you start the server put {} back: without it no channel opens.",
            keys.display()
        ));
    }
    Ok(())
}

fn contents(backup: &sqlite::Backup) -> String {
    let sqlite::Backup { leads, events, deliveries, bytes, .. } = backup;
    format!("{leads} leads, {events} events, {deliveries} deliveries, {bytes} bytes")
}
