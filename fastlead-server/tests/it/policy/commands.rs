//! `fastlead policy` and `fastlead explain`, as docs/policies.md shows them.

use std::time::Duration;

use super::{Clinic, clinic, repository};
use crate::program::run_for_code;

/// Whether both pages show this as the output of a command.
fn shown(pages: &[String], output: &str) -> bool {
    pages.iter().all(|page| page.contains(&format!("```text\n{output}```\n")))
}

#[tokio::test]
async fn a_file_goes_from_check_to_rollback() {
    let mut server = Clinic::start().await;
    let folder = server.folder.path().to_owned();
    let url = server.program.url.clone();
    let key = server.key.clone();
    let online = [("FASTLEAD_URL", url.as_str()), ("FASTLEAD_API_KEY", key.as_str())];
    let page = ["docs/policies.md", "docs/ru/policies.md"]
        .map(|name| std::fs::read_to_string(repository(name)).unwrap());
    let write = |text: &str| std::fs::write(folder.join("clinic.yaml"), text).unwrap();
    let (plan, apply) = (["policy", "plan", "clinic.yaml"], ["policy", "apply", "clinic.yaml"]);

    write(&clinic().replace("targets: [anna, oleg, marina]", "targets: [ana, oleg, marina]"));
    let (code, wrong) = run_for_code(&folder, &[], &["policy", "validate", "clinic.yaml"]).await;
    assert_eq!(code, 1, "{wrong}");
    assert!(shown(&page, &wrong), "a page does not show\n{wrong}");
    for arguments in [plan, apply] {
        let (code, text) = run_for_code(&folder, &online, &arguments).await;
        assert_eq!((code, &text), (1, &wrong));
    }
    write(&clinic().replace("channel: sms", "channel: smsc"));
    let (code, text) = run_for_code(&folder, &online, &["policy", "validate", "clinic.yaml"]).await;
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("targets.chief.destinations[0].channel: unknown channel `smsc`; did you mean `sms`?"),
        "{text}"
    );
    write("targets: [");
    let (code, text) = run_for_code(&folder, &[], &["policy", "validate", "clinic.yaml"]).await;
    assert!(code == 1 && text.starts_with("clinic.yaml:"), "{text}");

    write(&clinic());
    let (code, text) = run_for_code(&folder, &online, &plan).await;
    assert_eq!((code, text.as_str()), (2, "project Main: has no policy; clinic.yaml would be version 1\n"));
    let (code, text) = run_for_code(&folder, &online, &apply).await;
    assert_eq!((code, text.as_str()), (0, "project Main: published as version 1\n"));
    let (code, text) = run_for_code(&folder, &online, &plan).await;
    assert_eq!((code, text.as_str()), (0, "project Main: version 1 says the same as clinic.yaml\n"));

    write(&clinic().replace("offer_timeout_secs: 300", "offer_timeout_secs: 180").replace(
        "{after_secs: 9m, when: time.is_open, targets: [chief], template: lead}",
        "{after_secs: 7m, when: time.is_open, targets: [chief, nina], template: lead}",
    ));
    let (code, planned) = run_for_code(&folder, &online, &plan).await;
    assert_eq!(code, 2, "{planned}");
    assert!(shown(&page, &planned), "a page does not show\n{planned}");
    let (code, text) = run_for_code(&folder, &online, &apply).await;
    assert!(code == 0 && text.ends_with("project Main: published as version 2\n"), "{text}");
    let (code, text) = run_for_code(&folder, &online, &["policy", "diff", "1", "2"]).await;
    assert_eq!(code, 0);
    let changes = planned.lines().skip(1).collect::<Vec<_>>().join("\n");
    assert_eq!(text.trim_end(), changes);

    let lead = server.capture(1).await;
    let (code, story) = run_for_code(&folder, &online, &["explain", &lead]).await;
    assert_eq!(code, 0, "{story}");
    assert!(story.starts_with(&format!("{lead}: ")) && story.contains(", policy version 2\n"), "{story}");
    assert!(
        story.contains("  The lead came in.\n  Rule `accept[0]` (`no_phone`) does not object.\n"),
        "{story}"
    );
    assert!(!story.contains("another reason") && !story.contains("+7900"), "{story}");
    let (_, story) = run_for_code(&folder, &online, &["explain", &lead, "--lang", "ru"]).await;
    assert!(story.contains("  Пришла заявка.\n"), "{story}");
    let (_, story) = run_for_code(&folder, &online, &["explain", &lead, "--json"]).await;
    let story: serde_json::Value = serde_json::from_str(&story).unwrap();
    assert_eq!(story["lead"]["id"], lead.as_str());

    let (code, text) = run_for_code(&folder, &online, &["policy", "rollback", "1"]).await;
    assert_eq!((code, text.as_str()), (0, "project Main: version 3 says what version 1 said\n"));
    assert!(shown(&page, &text), "a page does not show\n{text}");

    // The same on the file of a stopped server.
    server.program.signal("TERM");
    assert!(server.program.ended(Duration::from_secs(30)).await.success());
    let store = ["--store", "store.db"];
    let (code, text) = run_for_code(&folder, &[], &[&plan[..], &store].concat()).await;
    assert!(code == 2 && text.starts_with("project Main: from version 3 to clinic.yaml\n"), "{text}");
    let (code, text) = run_for_code(&folder, &[], &[&apply[..], &store].concat()).await;
    assert!(code == 0 && text.ends_with("project Main: published as version 4\n"), "{text}");
    let (code, text) = run_for_code(&folder, &[], &[&["explain", lead.as_str()][..], &store].concat()).await;
    assert!(code == 0 && text.starts_with(&format!("{lead}: ")), "{text}");
    let (code, text) = run_for_code(&folder, &[], &plan).await;
    assert!(code == 1 && text.contains("FASTLEAD_API_KEY"), "{text}");
}

#[tokio::test]
async fn the_library_of_policies_is_tested_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let library = repository("examples/policies");
    let (code, text) =
        run_for_code(folder.path(), &[], &["policy", "test", &library.display().to_string()]).await;
    assert!(code == 0 && text.ends_with(" cases passed\n"), "{text}");
    let clinic = std::fs::read_to_string(library.join("dental-clinic.cases.yaml")).unwrap();
    std::fs::write(folder.path().join("dental-clinic.yaml"), super::clinic()).unwrap();
    let cases = folder.path().join("dental-clinic.cases.yaml");
    std::fs::write(&cases, clinic.replace("told: [nina], status: open", "told: [anna], status: open"))
        .unwrap();
    let (code, text) = run_for_code(folder.path(), &[], &["policy", "test", "."]).await;
    assert_eq!(code, 1);
    assert_eq!(
        text,
        "./dental-clinic.cases.yaml: at night there is the night shift: line 20, step 1: told: expected [\"anna\"], \
         got [\"nina\"]\n1 of 9 cases failed\n"
    );
}
