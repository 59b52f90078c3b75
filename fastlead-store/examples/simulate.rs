//! Simulates whole installations, seed after seed, and prints what does not hold. `cargo xtask simulate`
//! runs it.
//!
//! `--seeds N` seeds (1000), from `--seed S` on (a fresh one); `--visits N` and `--until N` make one seed
//! shorter, `--engines N` puts so many engines on the store, `--show N` shows more of what led to a failure, `--policy` prints what the seed makes. `--store memory`
//! or `--store sqlite` plays all of them on one kind of store; otherwise one seed in fifty is played on SQLite, where
//! this was built with it.
//! `--replay` plays them in good weather, and compares every decision with that of a replay.
#![allow(clippy::print_stdout, reason = "a command-line tool talks on its standard output")]

use std::io::Write;
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastlead_core::policy::Policy;
use fastlead_store::MemoryStore;
use fastlead_testkit::policy::read_policies;
use fastlead_testkit::simulation::{Failure, Report, Simulation};

/// How often the progress line is written anew.
const EVERY: Duration = Duration::from_millis(500);

struct Options {
    first: u64,
    seeds: u64,
    visits: Option<usize>,
    until: Option<u64>,
    engines: Option<usize>,
    show: usize,
    policies: bool,
    store: Option<Kind>,
    replay: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("simulate: {fault}");
            return ExitCode::from(2);
        }
    };
    let written = match written() {
        Ok(written) => written,
        Err(faults) => {
            eprintln!("simulate: {faults}");
            return ExitCode::FAILURE;
        }
    };
    if options.policies {
        return match Simulation::new(options.first)
            .among(written)
            .policies()
            .and_then(|all| serde_json::to_string_pretty(&all))
        {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("simulate: {error}");
                ExitCode::FAILURE
            }
        };
    }
    match run(&options, &written) {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            println!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut seeds = None;
    let (mut first, mut visits, mut until, mut engines, mut show) = (None, None, None, None, 40);
    let mut policies = false;
    let mut store = None;
    let mut replay = false;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--policy" {
            policies = true;
            continue;
        }
        if word == "--replay" {
            replay = true;
            continue;
        }
        let value = words.next().unwrap_or_default();
        if word == "--store" {
            store = Some(Kind::named(&value)?);
            continue;
        }
        let number: u64 =
            value.parse().map_err(|_| format!("`{word}` wants a number, and `{value}` is none"))?;
        let small = || usize::try_from(number).map_err(|_| format!("`{word}`: {number} is too many"));
        match word.as_str() {
            "--seeds" => seeds = Some(number),
            "--seed" => first = Some(number),
            "--visits" => visits = Some(small()?),
            "--engines" if (1..=4).contains(&number) => engines = Some(small()?),
            "--engines" => return Err(format!("`--engines {number}`: expected 1 to 4")),
            "--until" | "--steps" => until = Some(number),
            "--show" => show = small()?,
            _ => {
                return Err(format!(
                    "unknown option `{word}`: --seeds, --seed, --visits, --engines, --steps, --show, --store, --replay, --policy"
                ));
            }
        }
    }
    // One that is named is played alone, unless a number is said too.
    let seeds = seeds.unwrap_or(if first.is_some() { 1 } else { 1_000 });
    let first = match first {
        Some(first) => first,
        None => fresh()?,
    };
    Ok(Options { first, seeds, visits, until, engines, show, policies, store, replay })
}

/// A seed that nobody has tried before.
fn fresh() -> Result<u64, String> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_err(|error| error.to_string())?.as_millis();
    u64::try_from(millis).map_err(|error| error.to_string())
}

/// The policies that are shown as examples: some seeds play them.
fn written() -> Result<Arc<[Policy]>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
    read_policies(&folder).map(Into::into).map_err(|faults| faults.join("\n"))
}

/// Where leads are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Memory,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

impl Kind {
    fn named(name: &str) -> Result<Self, String> {
        match name {
            "memory" => Ok(Self::Memory),
            #[cfg(feature = "sqlite")]
            "sqlite" => Ok(Self::Sqlite),
            _ => {
                Err(format!("`--store {name}`: expected `memory`, or `sqlite` where this was built with it"))
            }
        }
    }

    /// SQLite is slower, so it has few of the seeds.
    fn of(seed: u64) -> Self {
        #[cfg(feature = "sqlite")]
        if seed.is_multiple_of(50) {
            return Self::Sqlite;
        }
        let _same_for_all = seed;
        Self::Memory
    }

    fn run(self, simulation: &Simulation) -> Result<Report, Failure> {
        match self {
            Self::Memory => simulation.run(Arc::new(MemoryStore::new())),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => sqlite::run(simulation),
        }
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use fastlead_store::{SqliteOptions, SqliteStore};
    use fastlead_testkit::conformance::store::FullStore;

    use super::*;

    /// Plays it on a file of its own, in memory where there is such a folder: what is lost with the power is not
    /// simulated.
    pub(super) fn run(simulation: &Simulation) -> Result<Report, Failure> {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (folder, runtime) = match (folder, runtime) {
            (Ok(folder), Ok(runtime)) => (folder, runtime),
            (folder, runtime) => {
                eprintln!("simulate: {:?} {:?}", folder.err(), runtime.err());
                std::process::exit(2);
            }
        };
        let file = folder.path().join("fastlead.db");
        simulation.run_elsewhere(runtime.handle(), || {
            let opened = runtime.block_on(SqliteStore::open(SqliteOptions::new(&file).readers(1)));
            opened.map(|store| Arc::new(store) as Arc<dyn FullStore>)
        })
    }
}

/// Plays the seeds on every core; answers the first failure.
fn run(options: &Options, written: &Arc<[Policy]>) -> Option<Failure> {
    let begun = Instant::now();
    let [next, done, leads, steps, crashes, engines, stops] = [const { AtomicU64::new(0) }; 7];
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let failed_yet = || failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    let said = Mutex::new(Instant::now());
    let line = |end: &str| {
        let seconds = begun.elapsed().as_secs_f64();
        let lives = leads.load(Ordering::Relaxed);
        print!(
            "\rfrom seed {}: {} of {} seeds, {lives} leads, {} steps, {} engines, {} stops, {} crashes, {:.1} s, {:.0} leads/s{end}",
            options.first,
            done.load(Ordering::Relaxed),
            options.seeds,
            steps.load(Ordering::Relaxed),
            engines.load(Ordering::Relaxed),
            stops.load(Ordering::Relaxed),
            crashes.load(Ordering::Relaxed),
            seconds,
            lives as f64 / seconds.max(0.001),
        );
        // A progress line that cannot be written is not worth failing for.
        let _written = std::io::stdout().flush();
    };
    let work = || {
        while !failed_yet() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= options.seeds {
                return;
            }
            let mut simulation = Simulation::new(options.first.wrapping_add(number))
                .among(Arc::clone(written))
                .show(options.show);
            if let Some(visits) = options.visits {
                simulation = simulation.visits(visits);
            }
            if let Some(engines) = options.engines {
                simulation = simulation.engines(engines);
            }
            if let Some(step) = options.until {
                simulation = simulation.until_step(step);
            }
            let kind = options.store.unwrap_or_else(|| Kind::of(options.first.wrapping_add(number)));
            let run = |simulation: &Simulation| match options.replay {
                true => simulation.run_against_replay(Arc::new(MemoryStore::new())),
                false => kind.run(simulation),
            };
            match run(&simulation) {
                Ok(report) => {
                    done.fetch_add(1, Ordering::Relaxed);
                    leads.fetch_add(report.leads, Ordering::Relaxed);
                    steps.fetch_add(report.steps, Ordering::Relaxed);
                    crashes.fetch_add(report.crashes, Ordering::Relaxed);
                    engines.fetch_add(report.engines, Ordering::Relaxed);
                    stops.fetch_add(report.stops, Ordering::Relaxed);
                }
                Err(failure) => {
                    let failure = if options.visits.is_some() || options.until.is_some() {
                        failure
                    } else {
                        simulation.shrink(failure, run)
                    };
                    if let Some(engines) = options.engines {
                        println!("\nthe following was played with `--engines {engines}`");
                    }
                    if options.replay {
                        println!("\nthe following was played with `--replay`");
                    } else if kind != Kind::Memory {
                        println!("\nthe following was played with `--store sqlite`");
                    }
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
                }
            }
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.elapsed() >= EVERY {
                *said = Instant::now();
                line("");
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    line("\n");
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}
