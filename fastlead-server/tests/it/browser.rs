//! The demo's pages in a real browser, driven by the scripts of `tests/e2e`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fastlead_server::settings::Settings;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(150);
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// What the browser test needs is installed by one command, which a missing part must name.
fn require_tools(root: &Path) {
    assert!(on_path("node"), "node is not on PATH: run `cargo xtask setup`");
    assert!(BROWSERS.iter().any(|name| on_path(name)), "no Chromium on PATH: run `cargo xtask setup`");
    for library in ["axe-core", "playwright-core"] {
        let library = root.join("target/e2e/node_modules").join(library).join("package.json");
        assert!(library.is_file(), "{} is not there: run `cargo xtask setup`", library.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_tells_its_story_in_a_browser() {
    play("tests/e2e/demo.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_lives_its_day_in_a_browser() {
    play("tests/e2e/day.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_posts_form_data_in_a_browser() {
    play("tests/e2e/forms.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lead_is_worked_on_in_the_console() {
    play("tests/e2e/console-leads.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lead_is_worked_on_in_the_console_on_a_phone() {
    play("tests/e2e/console-leads-phone.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_looked_after_in_the_console() {
    play("tests/e2e/console-channels.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_is_published_in_the_console() {
    play("tests/e2e/console-policies.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_widget_works_on_sites_of_other_people_in_a_browser() {
    play("tests/e2e/widget.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_widget_keeps_what_its_server_cannot_take_in_a_browser() {
    play("tests/e2e/widget-offline.mjs").await;
}

/// Runs a script on a demo of its own.
async fn play(script: &str) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().unwrap();
    require_tools(root);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("demo.db");
    let (server, _providers) =
        fastlead_server::demo::build(Settings::defaults().unwrap(), 0, store).await.unwrap();
    let url = format!("http://{}", server.address().unwrap());
    let stop = CancellationToken::new();
    let served = tokio::spawn(server.serve(stop.clone()));

    let script = here.join(script);
    let pictures = root.join("target/e2e/pictures");
    let mut node = Command::new("node");
    node.arg(script).arg(url).arg(pictures).stdin(Stdio::null());
    let waiting = tokio::task::spawn_blocking(move || node.output());
    // The script has a deadline of its own, a little earlier, at which it stops the browser too.
    let ended = tokio::time::timeout(PATIENCE, waiting).await.expect("the browser has not ended in time");
    let output = ended.unwrap().unwrap();
    assert!(
        output.status.success(),
        "the browser test ended with {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    stop.cancel();
    served.await.unwrap().unwrap();
}
