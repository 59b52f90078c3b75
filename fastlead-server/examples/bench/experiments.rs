//! The measurements, each with the limits that it needs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::load::{self, Client, End};
use crate::process::Process;
use crate::protocol::{Command, Part, Spec};
use crate::report::{Report, Row};
use crate::sink::IN_FLIGHT;
use crate::start::{Until, starts};
use crate::{Options, file, limits};

/// The figure that is asked for: so many connections.
const CONNECTIONS: u64 = 64;
/// How many leads a second come in while the way of one is measured.
const LEADS_PER_SECOND: u64 = 50;

const NAMES: [&str; 7] = ["limits", "capture", "speed", "meanwhile", "drain", "start", "size"];

/// A run.
#[derive(Debug)]
pub(crate) struct Bench {
    options: Options,
    /// Beside the programs, on the same disk: a temporary folder of the system may be in memory.
    base: PathBuf,
    report: Report,
    time: Duration,
    /// By connections.
    echo: HashMap<u64, f64>,
    /// By deliveries a lead.
    alone: HashMap<u64, limits::Alone>,
}

impl Bench {
    pub(crate) fn new(options: Options) -> Self {
        if let Some(only) = &options.only {
            assert!(NAMES.contains(&only.as_str()), "--only {only}: expected one of {}", NAMES.join(", "));
        }
        let program = std::env::current_exe().unwrap();
        let base = program.ancestors().nth(3).unwrap().join("bench");
        std::fs::create_dir_all(&base).unwrap();
        let report = Report::new(options.seconds, options.toolchain.clone());
        let time = Duration::from_secs(options.seconds.max(1));
        Self { options, base, report, time, echo: HashMap::new(), alone: HashMap::new() }
    }

    pub(crate) async fn run(mut self) {
        for name in NAMES {
            if self.options.only.as_deref().is_some_and(|only| only != name) {
                continue;
            }
            match name {
                "limits" => self.limits().await,
                "capture" => self.captures().await,
                "speed" => self.speed().await,
                "meanwhile" => self.meanwhile().await,
                "drain" => self.drains().await,
                "start" => self.start().await,
                _ => self.size(),
            }
        }
        self.report.end(self.options.save.as_deref());
    }

    fn folder(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(&self.base).unwrap()
    }

    async fn limits(&mut self) {
        let folder = self.folder();
        self.report.add(Row::latency(
            "limit: 16 KiB appended and flushed to the disk",
            &limits::disk(folder.path()),
        ));
        let process = Process::start(&Spec::new(Part::Responder, folder.path()));
        let load = load::closed(process.address, CONNECTIONS, End::After(self.time)).await;
        let row =
            Row::load(format!("limit: client loop against a bare socket, {CONNECTIONS} connections"), &load);
        self.report.add(row.cpu(process.cpu(), load.done));
        drop(process);
        self.echo(CONNECTIONS).await;
        self.alone(1).await;
        self.alone(2).await;
    }

    /// How many requests a second axum parses and answers without a store.
    async fn echo(&mut self, connections: u64) -> f64 {
        if let Some(rate) = self.echo.get(&connections) {
            return *rate;
        }
        let folder = self.folder();
        let process = Process::start(&Spec::new(Part::Echo, folder.path()));
        let load = load::closed(process.address, connections, End::After(self.time)).await;
        let row =
            Row::load(format!("limit: bare axum, same body, no store, {connections} connections"), &load);
        self.report.add(row.cpu(process.cpu(), load.done));
        self.echo.insert(connections, load.rate());
        load.rate()
    }

    async fn alone(&mut self, deliveries: u64) -> limits::Alone {
        if let Some(alone) = self.alone.get(&deliveries) {
            return *alone;
        }
        let folder = self.folder();
        let alone = limits::alone(folder.path(), deliveries, self.time).await;
        let name = format!("limit: SQLite alone, groups of 64 leads, {deliveries} {}", plural(deliveries));
        self.report.add(Row::new(name, alone.captures, "/s"));
        if deliveries == 1 {
            self.report.add(Row::new("limit: SQLite alone, groups of 64 outcomes", alone.outcomes, "/s"));
        }
        self.alone.insert(deliveries, alone);
        alone
    }

    async fn captures(&mut self) {
        for connections in [1, CONNECTIONS, 256] {
            self.throughput(connections, 1, 0).await;
        }
    }

    async fn meanwhile(&mut self) {
        // Where everything is measured, the first is among the captures.
        let measured = usize::from(self.options.only.is_none());
        for (deliveries, latency) in [(1, 0), (1, 50), (2, 0), (2, 50)].into_iter().skip(measured) {
            self.throughput(CONNECTIONS, deliveries, latency).await;
        }
    }

    /// Captures over so many connections, while everything that they make is sent and recorded.
    async fn throughput(&mut self, connections: u64, deliveries: u64, latency: u64) {
        let (echo, alone) = (self.echo(connections).await, self.alone(deliveries).await);
        let folder = self.folder();
        let spec = Spec { deliveries, latency_millis: latency, ..Spec::new(Part::Server, folder.path()) };
        let mut process = Process::start(&spec);
        let (idle, cpu) = (process.memory(), process.cpu());
        let begun = Instant::now();
        let load = load::closed(process.address, connections, End::After(self.time)).await;
        let sends = load.done * deliveries;
        process.ask(Command::Drain { sends });
        let rate = sends as f64 / begun.elapsed().as_secs_f64();
        let used = process.cpu().saturating_sub(cpu);
        let memory = process.memory();
        process.stop();
        file::must_hold(folder.path(), load.done, sends).await;

        let how = format!("{deliveries} {}, sink {latency} ms", plural(deliveries));
        let row = Row::load(format!("HTTP capture, durable, {connections} conn., {how}"), &load);
        let row = row.cpu(used, load.done);
        self.report.add(row.against("SQLite", alone.captures).against("axum", echo));
        let row = Row::new("  deliveries recorded meanwhile", rate, "/s").cpu(used, sends);
        self.report.add(at_latency(row.against("SQLite", alone.both()), latency));
        if (connections, deliveries, latency) == (CONNECTIONS, 1, 0) {
            self.report.add(Row::memory("  resident memory of the server, idle", idle.resident));
            self.report.add(Row::memory("  resident memory, peak under this load", memory.peak));
            self.report.add(Row::memory("  resident memory, afterwards", memory.resident));
        }
    }

    /// A backlog, made while the channel is paused, is sent when it goes on.
    async fn drains(&mut self) {
        for (deliveries, latency) in [(1, 0), (1, 50), (2, 0), (2, 50)] {
            let alone = self.alone(deliveries).await;
            let folder = self.folder();
            let spec = Spec { deliveries, latency_millis: latency, ..Spec::new(Part::Server, folder.path()) };
            let mut process = Process::start(&spec);
            process.ask(Command::Pause);
            let cpu = process.cpu();
            let leads = self.options.backlog / deliveries;
            let load = load::closed(process.address, CONNECTIONS, End::Count(leads)).await;
            let captured = process.cpu();
            if latency == 0 {
                let name = format!("HTTP capture alone, channel paused, {deliveries} {}", plural(deliveries));
                let row = Row::load(name, &load).cpu(captured.saturating_sub(cpu), load.done);
                self.report.add(row.against("SQLite", alone.captures));
            }
            let sends = leads * deliveries;
            let waiting = process.ask(Command::Counts);
            assert_eq!((waiting.open, waiting.sends), (sends, 0), "the backlog waits");
            let begun = Instant::now();
            process.ask(Command::Resume);
            process.ask(Command::Drain { sends });
            let rate = sends as f64 / begun.elapsed().as_secs_f64();
            let used = process.cpu().saturating_sub(captured);
            process.stop();
            file::must_hold(folder.path(), leads, sends).await;
            let name =
                format!("drain of {sends}, {deliveries} {} a lead, sink {latency} ms", plural(deliveries));
            let row = Row::new(name, rate, "/s").cpu(used, sends);
            self.report.add(at_latency(row.against("SQLite", alone.outcomes), latency));
        }
    }

    /// The way of one lead while the machine has time.
    async fn speed(&mut self) {
        let folder = self.folder();
        let disk = limits::disk(folder.path());
        let disk = load::millis_at(&disk, 0.5);
        let process = Process::start(&Spec::new(Part::Echo, folder.path()));
        let requests = load::steady(process.address, LEADS_PER_SECOND, self.time).await;
        let mut echo: Vec<_> = requests.iter().map(|request| request.latency).collect();
        echo.sort_unstable();
        drop(process);
        self.report
            .add(Row::latency(format!("limit: bare axum, {LEADS_PER_SECOND} requests/s, answer"), &echo));
        let echo = load::millis_at(&echo, 0.5);

        let spec = Spec { moments: true, ..Spec::new(Part::Server, folder.path()) };
        let mut process = Process::start(&spec);
        let requests = load::steady(process.address, LEADS_PER_SECOND, self.time).await;
        let count = requests.len() as u64;
        process.ask(Command::Drain { sends: count });
        let moments: HashMap<u64, u64> = process.ask(Command::Moments).moments.into_iter().collect();
        process.stop();
        file::must_hold(folder.path(), count, count).await;
        let mut answers: Vec<_> = requests.iter().map(|request| request.latency).collect();
        let first_send = |request: &load::Request| {
            let sent = moments.get(&request.number).expect("every lead was sent on");
            Duration::from_nanos(sent.saturating_sub(request.sent_nanos))
        };
        let mut first_sends: Vec<_> = requests.iter().map(first_send).collect();
        answers.sort_unstable();
        first_sends.sort_unstable();
        let row = Row::latency(format!("request to durable answer, {LEADS_PER_SECOND} leads/s"), &answers);
        self.report.add(row.against("axum + disk", echo + disk));
        let row = Row::latency(format!("request to first send, {LEADS_PER_SECOND} leads/s"), &first_sends);
        self.report.add(row.against("axum + disk", echo + disk));
    }

    async fn start(&mut self) {
        let program = self.program();
        let folder = self.folder();
        let mut bare = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            let process = Process::start(&Spec::new(Part::Echo, folder.path()));
            Client::connect(process.address).await.capture(0).await;
            bare.push(begun.elapsed());
        }
        bare.sort_unstable();
        self.report.add(Row::latency("limit: bare axum, start to first answer", &bare));
        let bare = load::millis_at(&bare, 0.5);

        let new = folder.path().join("new");
        std::fs::create_dir(&new).unwrap();
        let (found, _) = starts(&program, &new, Until::Healthy, true).await;
        self.report
            .add(Row::latency("fastlead serve, no file, start to /healthz", &found).against("axum", bare));
        for leads in [0, self.options.leads] {
            let folder = self.folder();
            let spec = Spec { stored_channel: true, ..Spec::new(Part::Server, folder.path()) };
            let mut process = Process::start(&spec);
            if leads > 0 {
                load::closed(process.address, CONNECTIONS, End::Count(leads)).await;
            }
            process.ask(Command::Drain { sends: leads });
            process.stop();
            file::must_hold(folder.path(), leads, leads).await;
            let (found, memory) = starts(&program, folder.path(), Until::Accepted, false).await;
            let name = format!("fastlead serve, {leads} leads, start to first accepted");
            self.report.add(Row::latency(name, &found).against("axum", bare));
            self.report.add(Row::memory("  resident memory then", memory.resident));
        }
    }

    fn size(&mut self) {
        let program = self.program();
        let bytes = std::fs::metadata(&program).map_or(0, |data| data.len());
        assert!(bytes > 0, "{} is not built", program.display());
        self.report.add(Row::memory("size of the program, symbols stripped", bytes / 1_024));
    }

    fn program(&self) -> PathBuf {
        self.options.program.clone().unwrap_or_else(|| {
            let own = std::env::current_exe().unwrap();
            own.ancestors().nth(2).unwrap().join("fastlead")
        })
    }
}

/// What a slow sink lets through is a limit too.
fn at_latency(row: Row, latency_millis: u64) -> Row {
    if latency_millis == 0 {
        return row;
    }
    row.against("sink", f64::from(IN_FLIGHT) * 1e3 / latency_millis as f64)
}

const fn plural(deliveries: u64) -> &'static str {
    if deliveries == 1 { "delivery" } else { "deliveries" }
}
