//! What the program logs, as a file keeps it.

use crate::program::Program;

#[tokio::test]
async fn a_file_gets_no_colours_and_json_where_it_is_asked_for() {
    let logged = async |format: &str| {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("FASTLEAD__LOG__FILTER", "info"), ("FASTLEAD__LOG__FORMAT", format)];
        let mut program = Program::start_silent(folder.path(), &variables).await;
        program.kill();
        program.ended(std::time::Duration::from_secs(30)).await;
        let text = program.output();
        let lines = text.lines().filter(|line| line.contains("database migrated"));
        let lines: Vec<_> = lines.map(str::to_owned).collect();
        assert!(!lines.is_empty(), "{text}");
        lines
    };
    for line in logged("text").await {
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
    for line in logged("json").await {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "INFO", "{line}");
    }
}
