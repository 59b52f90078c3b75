//! The table: printed as it grows, and kept for those who want it as JSON.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::load::{Load, millis_at};

/// A figure.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    name: String,
    /// How much.
    value: f64,
    /// Of what.
    unit: &'static str,
    /// Of single requests, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_millis: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_millis: Option<f64>,
    /// Processor time of the measured process for each, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_micros: Option<f64>,
    /// The limits, each with the value divided by it.
    against: Vec<(String, f64)>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, ..Self::default() }
    }

    /// So many KiB.
    pub(crate) fn memory(name: impl Into<String>, kib: u64) -> Self {
        Self::new(name, kib as f64 / 1_024.0, "MiB")
    }

    /// The rate of a load with its latencies.
    pub(crate) fn load(name: impl Into<String>, load: &Load) -> Self {
        Self::new(name, load.rate(), "/s").spread(&load.latencies)
    }

    /// The median of latencies, shortest first.
    pub(crate) fn latency(name: impl Into<String>, sorted: &[Duration]) -> Self {
        Self::new(name, millis_at(sorted, 0.5), "ms").spread(sorted)
    }

    fn spread(mut self, sorted: &[Duration]) -> Self {
        self.p50_millis = Some(millis_at(sorted, 0.5));
        self.p99_millis = Some(millis_at(sorted, 0.99));
        self
    }

    /// Processor time, divided by how many it was used for.
    pub(crate) fn cpu(mut self, used: Duration, count: u64) -> Self {
        self.cpu_micros = Some(used.as_secs_f64() * 1e6 / count.max(1) as f64);
        self
    }

    /// Sets the value beside a limit of the same unit.
    pub(crate) fn against(mut self, limit: &str, value: f64) -> Self {
        self.against.push((limit.to_owned(), self.value / value));
        self
    }

    fn line(&self) -> String {
        let optional = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
        let against: Vec<_> =
            self.against.iter().map(|(limit, ratio)| format!("{ratio:.2} x {limit}")).collect();
        let value =
            if self.value < 1_000.0 { format!("{:.1}", self.value) } else { format!("{:.0}", self.value) };
        let cpu = self.cpu_micros.map_or_else(String::new, |micros| format!("{micros:.1}"));
        let line = format!(
            "{:<56} {value:>9} {:<3} {:>8} {:>8} {cpu:>8}  {}",
            self.name,
            self.unit,
            optional(self.p50_millis),
            optional(self.p99_millis),
            against.join(", ")
        );
        line.trim_end().to_owned()
    }
}

/// On what it was measured.
#[derive(Debug, Serialize)]
struct Machine {
    processor: String,
    processors: usize,
    kernel: String,
    toolchain: String,
    load_before: String,
    load_after: String,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    date: String,
    seconds: u64,
    machine: Machine,
    rows: Vec<Row>,
}

fn line_of(path: &str, name: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.rsplit(": ").next().unwrap_or_default().trim().to_owned()
}

/// How many were running or waiting for a processor on average over 1, 5 and 15 minutes.
fn load_average() -> String {
    line_of("/proc/loadavg", "").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

impl Report {
    pub(crate) fn new(seconds: u64, toolchain: String) -> Self {
        let machine = Machine {
            processor: line_of("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: line_of("/proc/sys/kernel/osrelease", ""),
            toolchain,
            load_before: load_average(),
            load_after: String::new(),
        };
        let date = chrono::Utc::now().format("%Y-%m-%dT%H-%M-%SZ").to_string();
        println!(
            "{date}, {} processors ({}), Linux {}, {}, {seconds} s a load\nload average before: {}\n",
            machine.processors, machine.processor, machine.kernel, machine.toolchain, machine.load_before
        );
        println!("{:<56} {:>9} {:<3} {:>8} {:>8} {:>8}  ratio", "", "", "", "p50 ms", "p99 ms", "cpu us");
        Self { date, seconds, machine, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: Row) {
        println!("{}", row.line());
        self.rows.push(row);
    }

    /// Says how busy the machine was, and writes the figures into `folder`, named by their date.
    pub(crate) fn end(mut self, folder: Option<&Path>) {
        self.machine.load_after = load_average();
        println!("\nload average after: {} (this run is part of it)", self.machine.load_after);
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).unwrap();
            let path = folder.join(format!("{}.json", self.date));
            std::fs::write(&path, serde_json::to_string_pretty(&self).unwrap()).unwrap();
            println!("saved: {}", path.display());
        }
    }
}
