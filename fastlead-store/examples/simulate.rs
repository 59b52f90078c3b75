//! Simulates whole installations, seed after seed, and prints what does not hold. `cargo xtask simulate`
//! runs it.
//!
//! `--seeds N` seeds (1000), from `--seed S` on (a fresh one); `--visits N` and `--until N` make one seed
//! shorter, `--show N` shows more of what led to a failure, `--policy` prints what the seed makes.
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
use fastlead_testkit::conformance::store::FullStore;
use fastlead_testkit::policy::read_policies;
use fastlead_testkit::simulation::{Failure, Simulation};

/// How often the progress line is written anew.
const EVERY: Duration = Duration::from_millis(500);

struct Options {
    first: u64,
    seeds: u64,
    visits: Option<usize>,
    until: Option<u64>,
    show: usize,
    policies: bool,
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
    let (mut first, mut visits, mut until, mut show) = (None, None, None, 40);
    let mut policies = false;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--policy" {
            policies = true;
            continue;
        }
        let value = words.next().unwrap_or_default();
        let number: u64 =
            value.parse().map_err(|_| format!("`{word}` wants a number, and `{value}` is none"))?;
        let small = || usize::try_from(number).map_err(|_| format!("`{word}`: {number} is too many"));
        match word.as_str() {
            "--seeds" => seeds = Some(number),
            "--seed" => first = Some(number),
            "--visits" => visits = Some(small()?),
            "--until" | "--steps" => until = Some(number),
            "--show" => show = small()?,
            _ => {
                return Err(format!(
                    "unknown option `{word}`: --seeds, --seed, --visits, --steps, --show, --policy"
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
    Ok(Options { first, seeds, visits, until, show, policies })
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

fn store() -> Arc<dyn FullStore> {
    Arc::new(MemoryStore::new())
}

/// Plays the seeds on every core; answers the first failure.
fn run(options: &Options, written: &Arc<[Policy]>) -> Option<Failure> {
    let begun = Instant::now();
    let (next, done, leads, steps, crashes) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let failed_yet = || failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    let said = Mutex::new(Instant::now());
    let line = |end: &str| {
        let seconds = begun.elapsed().as_secs_f64();
        let lives = leads.load(Ordering::Relaxed);
        print!(
            "\rfrom seed {}: {} of {} seeds, {lives} leads, {} steps, {} crashes, {:.1} s, {:.0} leads/s{end}",
            options.first,
            done.load(Ordering::Relaxed),
            options.seeds,
            steps.load(Ordering::Relaxed),
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
            if let Some(step) = options.until {
                simulation = simulation.until_step(step);
            }
            match simulation.run(store()) {
                Ok(report) => {
                    done.fetch_add(1, Ordering::Relaxed);
                    leads.fetch_add(report.leads, Ordering::Relaxed);
                    steps.fetch_add(report.steps, Ordering::Relaxed);
                    crashes.fetch_add(report.crashes, Ordering::Relaxed);
                }
                Err(failure) => {
                    let failure = if options.visits.is_some() || options.until.is_some() {
                        failure
                    } else {
                        simulation.shrink(failure, store)
                    };
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
