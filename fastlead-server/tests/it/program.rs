//! The program as its operator starts it: a process, its settings in the environment, killed at will.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running `fastlead serve`. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Program {
    /// Starts the program in `folder` on the store `store.db` there, and waits until it listens.
    pub(crate) async fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fastlead"))
            .arg("serve")
            .current_dir(folder)
            .env("FASTLEAD__HTTP__LISTEN", "127.0.0.1:0")
            .env("FASTLEAD__STORE__PATH", folder.join("store.db"))
            .env("FASTLEAD__AUTH__ADMIN_PASSWORD", "test-password")
            .env("FASTLEAD__LOG__FILTER", "error")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("a pipe");
        let read = tokio::task::spawn_blocking(move || {
            let lines = BufReader::new(stdout).lines();
            lines.map_while(Result::ok).find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned))
        });
        let address = read.await.expect("the reader ends").expect("the program listens");
        Self { child, url: format!("http://{address}") }
    }

    /// `kill -9`, at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the program runs");
        self.child.wait().expect("the program has ended");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A program that has been killed already is no fault.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// An HTTP client of its own connections.
pub(crate) fn client() -> reqwest::Client {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(20)).build().unwrap()
}
