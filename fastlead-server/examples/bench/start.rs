//! The real program: how soon it answers, and how large it is.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::Client;
use crate::process::{Memory, memory};
use crate::protocol::PASSWORD;

/// How often each start is measured.
const STARTS: u64 = 5;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// It says that it lives.
    Healthy,
    /// It has taken a lead in.
    Accepted,
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended is no fault.
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// From the start of `fastlead serve` in `folder` to the answer, five times, shortest first, and the
/// memory that it holds then. Each is killed afterwards. With `new` the file is removed before each start.
pub(crate) async fn starts(
    program: &Path,
    folder: &Path,
    until: Until,
    new: bool,
) -> (Vec<Duration>, Memory) {
    let mut latencies = Vec::new();
    let mut held = Memory::default();
    for number in 0..STARTS {
        if new {
            std::fs::remove_dir_all(folder).unwrap();
            std::fs::create_dir(folder).unwrap();
        }
        let begun = Instant::now();
        let (running, address) = tokio::task::block_in_place(|| serve(program, folder));
        let mut client = Client::connect(address).await;
        match until {
            Until::Healthy => client.get("/healthz").await,
            // The numbers at the end are nobody's yet.
            Until::Accepted => client.capture(9_999_999 - number).await,
        }
        latencies.push(begun.elapsed());
        held = memory(running.0.id());
        drop(running);
    }
    latencies.sort_unstable();
    (latencies, held)
}

fn serve(program: &Path, folder: &Path) -> (Program, SocketAddr) {
    let mut child = Command::new(program)
        .arg("serve")
        .current_dir(folder)
        .env("FASTLEAD__HTTP__LISTEN", "127.0.0.1:0")
        .env("FASTLEAD__AUTH__ADMIN_PASSWORD", PASSWORD)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}; build it first", program.display()));
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let running = Program(child);
    let address = stdout
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("Listening on ").map(|address| address.parse().unwrap()))
        .expect("the program says where it listens");
    (running, address)
}
