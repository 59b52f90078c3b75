//! The library of policies does what its cases say.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};

use fastlead_testkit::policy::{run_cases, run_folder};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

#[test]
fn every_policy_of_the_library_keeps_its_cases() {
    let outcomes = run_folder(&folder()).unwrap();
    let failures: Vec<String> = outcomes
        .iter()
        .flat_map(|outcome| outcome.failures.iter().map(move |failure| (outcome, failure)))
        .map(|(outcome, failure)| format!("{}: {}: {failure}", outcome.file.display(), outcome.case))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    for name in ["call-centre", "dental-clinic", "franchise", "lead-seller"] {
        let file = folder().join(format!("{name}.cases.yaml"));
        let cases = outcomes.iter().filter(|outcome| outcome.file == file).count();
        assert!(cases >= 5, "{name} has {cases} cases");
    }
}

#[test]
fn every_policy_has_cases() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".yaml").filter(|stem| !stem.ends_with(".cases")) {
            assert!(path.with_file_name(format!("{stem}.cases.yaml")).is_file(), "{name} has no cases");
        }
    }
}

#[test]
fn a_case_that_fails_says_where_what_was_expected_and_what_came() {
    let cases = "\
policy: POLICY
cases:
  - name: wrong on purpose
    steps:
      - at: 2026-11-25 12:00
        capture: {phone: \"+7 900 000-00-01\"}
        expect: {told: [oleg], status: closed, reasons: {oleg: cap_full}, timers: {queue: 5m}}
      - after: soon
";
    let clinic = folder().join("dental-clinic.yaml");
    let file = std::env::temp_dir().join(format!("fastlead-{}.cases.yaml", std::process::id()));
    std::fs::write(&file, cases.replace("POLICY", &clinic.to_string_lossy())).unwrap();
    let outcomes = run_cases(&file);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!((&outcomes[0].file, outcomes[0].case.as_str()), (&file, "wrong on purpose"));
    assert_eq!(
        outcomes[0].failures,
        [
            r#"line 5, step 1: status: expected "closed", got "open""#,
            r#"line 5, step 1: told: expected ["oleg"], got ["anna"]"#,
            "line 5, step 1: reasons.oleg: expected cap_full, got others_first",
            r#"line 5, step 1: timers: expected {"queue": "5m"}, got {"escalate 1": "3m", "offer 1": "5m"}"#,
            "line 8, step 2: after: expected a duration such as `90s` or `1h30m`, not `soon`",
        ]
    );
}
