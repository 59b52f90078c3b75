//! The parent's side of a child process, and what the operating system says of it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command as Program, Stdio};
use std::time::Duration;

use crate::protocol::{Answer, Command, Spec, Started};

/// A child that listens. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    pub(crate) address: SocketAddr,
}

/// How much memory a process holds, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident: u64,
    /// At most so far.
    pub(crate) peak: u64,
}

impl Process {
    /// Starts this program again as a child, and waits until it listens.
    pub(crate) fn start(spec: &Spec) -> Self {
        let log = spec.folder.join("stderr.log");
        let mut child = Program::new(std::env::current_exe().unwrap())
            .arg("--child")
            .arg(serde_json::to_string(spec).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let started: Started = read(&mut stdout, &log);
        Self { child, stdin, stdout, log, address: started.address }
    }

    /// Asks and waits for the answer.
    pub(crate) fn ask(&mut self, command: Command) -> Answer {
        tokio::task::block_in_place(|| {
            writeln!(self.stdin, "{}", serde_json::to_string(&command).unwrap()).unwrap();
            read(&mut self.stdout, &self.log)
        })
    }

    /// Lets the child close its files and end.
    pub(crate) fn stop(mut self) {
        tokio::task::block_in_place(|| {
            writeln!(self.stdin, "{}", serde_json::to_string(&Command::Stop).unwrap()).unwrap();
            let status = self.child.wait().unwrap();
            assert!(status.success(), "the child ended with {status}: {}", text(&self.log));
        });
    }

    /// How much processor time it has used, in user and kernel mode.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(self.child.id())
    }

    pub(crate) fn memory(&self) -> Memory {
        memory(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is no fault.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn read<T: serde::de::DeserializeOwned>(stdout: &mut BufReader<ChildStdout>, log: &PathBuf) -> T {
    let mut line = String::new();
    let bytes = stdout.read_line(&mut line).unwrap();
    assert!(bytes > 0, "the child has ended: {}", text(log));
    serde_json::from_str(&line).unwrap()
}

fn text(log: &PathBuf) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

/// Linux counts processor time in hundredths of a second, whatever the kernel's own tick.
const TICKS_PER_SECOND: u64 = 100;

fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, which may hold blanks, ends with the last parenthesis; utime and stime are fields 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}

/// What a process holds.
pub(crate) fn memory(process: u32) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim_start_matches(':').trim().split(' ').next()?.parse().ok()).unwrap_or(0)
    };
    Memory { resident: kib("VmRSS"), peak: kib("VmHWM") }
}
