//! The program as its operator starts it: a process, its settings in the environment, killed at will.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

/// The password of the administrator of every program here.
pub(crate) const PASSWORD: &str = "test-password";
/// How long a program may take to start, or to say something that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that a program has written, standard output and standard error together.
#[derive(Debug, Clone)]
struct Output {
    text: Arc<Mutex<String>>,
    progress: Arc<watch::Sender<Progress>>,
}

#[derive(Debug, Default)]
struct Progress {
    lines: usize,
    open_pipes: usize,
}

impl Output {
    fn new() -> Self {
        Self { text: Arc::default(), progress: Arc::new(watch::channel(Progress::default()).0) }
    }

    /// Keeps every line until the pipe ends; `shown` ones are also passed on.
    fn keep(&self, pipe: impl Read + Send + 'static, shown: bool) {
        let output = self.clone();
        output.progress.send_modify(|progress| progress.open_pipes += 1);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if shown {
                    eprintln!("{line}");
                }
                output.text.lock().unwrap().push_str(&format!("{line}\n"));
                output.progress.send_modify(|progress| progress.lines += 1);
            }
            output.progress.send_modify(|progress| progress.open_pipes -= 1);
        });
    }

    /// What stands after `start` in the first line that begins so.
    fn after(&self, start: &str) -> Option<String> {
        self.text.lock().unwrap().lines().find_map(|line| line.strip_prefix(start).map(str::to_owned))
    }
}

/// A running `fastlead serve`. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    output: Output,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

/// The program with the settings that every test wants.
fn command(folder: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fastlead"));
    command
        .current_dir(folder)
        .env("FASTLEAD__HTTP__LISTEN", "127.0.0.1:0")
        .env("FASTLEAD__STORE__PATH", folder.join("store.db"))
        .env("FASTLEAD__AUTH__ADMIN_PASSWORD", PASSWORD)
        .env("FASTLEAD__LOG__FILTER", "error")
        // The simulated receivers are on this machine.
        .env("FASTLEAD__CHANNELS__ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs another command of the program to its end, and answers whether it succeeded and what it wrote.
pub(crate) async fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (bool, String) {
    let (code, text) = run_for_code(folder, variables, arguments).await;
    (code == 0, text)
}

/// The same with the exit code, which is -1 where a signal has ended it.
pub(crate) async fn run_for_code(
    folder: &Path,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> (i32, String) {
    let mut command = command(folder, variables);
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(PATIENCE, output).await.expect("the command ends").unwrap().unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), text)
}

impl Program {
    /// Starts the program in `folder` on the store `store.db` there, and waits until it listens.
    pub(crate) async fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::begin(folder, variables, true).await
    }

    /// The same, but what it writes to standard error is only kept.
    pub(crate) async fn start_silent(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::begin(folder, variables, false).await
    }

    /// The same with a limit of open files.
    #[cfg(unix)]
    pub(crate) async fn start_with_files(folder: &Path, variables: &[(&str, &str)], files: u32) -> Self {
        let plain = command(folder, variables);
        let mut limited = Command::new("sh");
        limited
            .args(["-c", &format!("ulimit -n {files} && exec \"$0\" serve"), env!("CARGO_BIN_EXE_fastlead")])
            .current_dir(folder)
            .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self::spawn(limited, false).await
    }

    async fn begin(folder: &Path, variables: &[(&str, &str)], shown: bool) -> Self {
        let mut command = command(folder, variables);
        command.arg("serve");
        Self::spawn(command, shown).await
    }

    async fn spawn(mut command: Command, shown: bool) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let output = Output::new();
        output.keep(child.stdout.take().expect("a pipe"), false);
        output.keep(child.stderr.take().expect("a pipe"), shown);
        let mut program = Self { child, output, url: String::new() };
        program.url = format!("http://{}", program.said("Listening on ").await);
        program
    }

    /// Waits for a line that begins with `start`, and answers the rest of it.
    pub(crate) async fn said(&self, start: &str) -> String {
        let mut progress = self.output.progress.subscribe();
        let said = progress.wait_for(|now| now.open_pipes == 0 || self.output.after(start).is_some());
        let in_time = tokio::time::timeout(PATIENCE, said).await.is_ok();
        let said = self.output.after(start).filter(|_| in_time);
        said.unwrap_or_else(|| panic!("the program has not said `{start}`:\n{}", self.output()))
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has written so far.
    pub(crate) fn output(&self) -> String {
        self.output.text.lock().unwrap().clone()
    }

    /// Memory that it holds now, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the program runs");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// Sends a signal by its name, such as `TERM`.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success(), "SIG{name} was not sent");
    }

    /// Waits until it has ended by itself and everything that it wrote is kept.
    pub(crate) async fn ended(&mut self, within: Duration) -> ExitStatus {
        let mut progress = self.output.progress.subscribe();
        // Both pipes end with the process.
        let ended = tokio::time::timeout(within, progress.wait_for(|now| now.open_pipes == 0)).await.is_ok();
        assert!(ended, "the program still runs after {within:?}:\n{}", self.output());
        self.child.wait().expect("the program has ended")
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
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}
