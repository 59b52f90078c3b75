//! The power is lost: whatever was not flushed is kept, lost or torn, and nothing that was acknowledged is missing.
//!
//! A child process works through a day on the real store while `shim.c` records every call that changes the folder.
//! From that recording the files are made that a loss of power could leave behind at some point of the day, after or
//! within a call; they are opened with the real store and compared with what the child had acknowledged until then.

mod check;
mod day;
mod disk;
mod history;
mod trace;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fastlead_core::port::{CommitOutcome, Store as _};
use fastlead_store::{SqliteOptions, SqliteStore};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;

use self::check::{Found, Ledger, recover, reopen};
use self::day::{Fact, Mark, lead_fact};
use self::disk::{Disk, Fate, Files};
use self::history::History;
use self::trace::Record;
use crate::sqlite::Site;

/// Number of cut points of the normal run, over both days; `FASTLEAD_POWER_CUTS` says another.
const CUTS: usize = 320;
/// `FASTLEAD_POWER_SEED` says another.
const SEED: u64 = 0x0F1A_5C0D;
/// Version 1 of the schema, which never changes.
const FIRST_SCHEMA: &str = include_str!("../../../src/sqlite/schema.sql");

#[allow(clippy::disallowed_methods, reason = "the size of the run belongs to the test's command line")]
fn said(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    said(name).map_or(otherwise, |said| said.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// In memory where there is such a folder: what a disk does is the business of the model.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// A day, recorded.
struct Recording {
    name: &'static str,
    initial: Files,
    records: Vec<Record>,
    ledger: Ledger,
    /// The folder with the trace, the files and facts of before.
    place: TempDir,
}

impl Recording {
    /// Lets a child process work through a day on a folder with some files and facts.
    fn of(name: &'static str, work_as: &[(&str, String)], initial: Files, before: &[Fact]) -> Self {
        let (place, library) = (folder(), tempfile::tempdir().unwrap());
        let (work, kept) = (place.path().canonicalize().unwrap().join("work"), place.path().join("initial"));
        for folder in [&work, &kept] {
            std::fs::create_dir(folder).unwrap();
            for (name, content) in &initial {
                std::fs::write(folder.join(name), content).unwrap();
            }
        }
        std::fs::write(place.path().join("facts"), serde_json::to_string(before).unwrap()).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["power::a_busy_day_is_worked_through", "--exact", "--nocapture"])
            .env("LD_PRELOAD", compile(library.path()))
            .env("FASTLEAD_POWER_FOLDER", &work)
            .env("FASTLEAD_POWER_TRACE", place.path().join("trace"))
            .envs(work_as.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
        Self::in_folder(name, place)
    }

    /// Reads what was recorded in a folder.
    fn in_folder(name: &'static str, place: TempDir) -> Self {
        let records = trace::read(&place.path().join("trace"));
        let before = std::fs::read_to_string(place.path().join("facts")).unwrap();
        let before: Vec<Fact> = serde_json::from_str(&before).unwrap();
        let ledger = Ledger::of(&records, before);
        let entries = std::fs::read_dir(place.path().join("initial")).unwrap().map(Result::unwrap);
        let initial = entries
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        Self { name, initial, records, ledger, place }
    }

    /// Reports what does not hold, and keeps the recording for whoever looks for the cause.
    fn fail(mut self, violation: &Violation, cuts: usize, seed: u64) -> ! {
        self.place.disable_cleanup(true);
        let folder = self.place.path().display();
        panic!(
            "{violation}\nthe recording is kept; to check it again: FASTLEAD_POWER_RECORDING={folder} \
             FASTLEAD_POWER_CUTS={cuts} FASTLEAD_POWER_SEED={seed}"
        );
    }

    fn new_file(seed: u64, leads: usize) -> Self {
        Self::of("a new file", &busy(seed, leads), Files::new(), &[])
    }

    /// A day that begins with the migration of a file of version 1.
    async fn old_file(seed: u64, leads: usize) -> Self {
        let (initial, before) = file_of_version_1().await;
        Self::of("a file of version 1", &busy(seed, leads), initial, &before)
    }

    /// Projects added past the store, with one of SQLite's settings of when it flushes.
    fn with_synchronous(synchronous: &str) -> Self {
        let work_as = [("FASTLEAD_POWER_SYNCHRONOUS", synchronous.to_owned())];
        Self::of("past the store", &work_as, Files::new(), &[])
    }
}

fn busy(seed: u64, leads: usize) -> [(&'static str, String); 2] {
    [("FASTLEAD_POWER_SEED", seed.to_string()), ("FASTLEAD_POWER_LEADS", leads.to_string())]
}

fn compile(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, include_str!("shim.c")).unwrap();
    let compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .output()
        .expect("cc is there wherever Rust links programs");
    assert!(compiler.status.success(), "{}", String::from_utf8_lossy(&compiler.stderr));
    library
}

/// A file as the first version has left it, with some leads under way.
async fn file_of_version_1() -> (Files, Vec<Fact>) {
    let folder = folder();
    let (new, old) = (folder.path().join("new.db"), folder.path().join("old.db"));
    let store = SqliteStore::open(SqliteOptions::new(&new)).await.unwrap();
    let site = Site::new();
    let mut facts = Vec::new();
    for number in 0..20 {
        let capture = site.capture(number, number);
        facts.push(lead_fact(&capture));
        assert_eq!(store.commit(capture).await.unwrap(), CommitOutcome::Applied);
    }
    store.close().await.unwrap();
    let connect = SqliteConnectOptions::new()
        .filename(&old)
        .create_if_missing(true)
        .page_size(8_192)
        .journal_mode(SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&connect).await.unwrap();
    let new = new.to_str().unwrap();
    sqlx::raw_sql(FIRST_SCHEMA).execute(&mut connection).await.unwrap();
    sqlx::query("ATTACH ?1 AS new").bind(new).execute(&mut connection).await.unwrap();
    for table in ["leads", "events", "deliveries", "timers"] {
        let list = format!("SELECT group_concat(name) FROM pragma_table_info('{table}', 'main')");
        let list: String = sqlx::query_scalar(AssertSqlSafe(list)).fetch_one(&mut connection).await.unwrap();
        let copy = format!("INSERT INTO main.{table} ({list}) SELECT {list} FROM new.{table}");
        sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql("DETACH new; PRAGMA user_version = 1; PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    (Files::from([("fastlead.db".to_owned(), std::fs::read(&old).unwrap())]), facts)
}

/// What is done to a recording so that the check must fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// Nothing is flushed, as with `PRAGMA synchronous=OFF`.
    NoFlush,
    /// The log is not flushed, as with `PRAGMA synchronous=NORMAL`.
    LogFlushIgnored,
    /// The main file is not flushed when the log has been moved into it.
    MainFlushIgnored,
    /// The names in the folder are not flushed.
    FolderFlushIgnored,
    /// What is begun is acknowledged at once.
    AcknowledgedEarly,
}

impl Flaw {
    const ALL: [Self; 5] = [
        Self::NoFlush,
        Self::LogFlushIgnored,
        Self::MainFlushIgnored,
        Self::FolderFlushIgnored,
        Self::AcknowledgedEarly,
    ];

    fn bend(self, records: &[Record]) -> Vec<Record> {
        let mut names: BTreeMap<u32, &str> = BTreeMap::new();
        let mut bent = Vec::new();
        for record in records {
            if let Record::Created { file, name } | Record::Found { file, name } = record {
                names.insert(*file, name);
            }
            let flushes = |end: &str| match record {
                Record::Flushed { file } => names.get(file).is_some_and(|name| name.ends_with(end)),
                _ => false,
            };
            let dropped = match self {
                Self::NoFlush => flushes("") || matches!(record, Record::FolderFlushed),
                Self::LogFlushIgnored => flushes("-wal"),
                Self::MainFlushIgnored => flushes(".db"),
                Self::FolderFlushIgnored => matches!(record, Record::FolderFlushed),
                Self::AcknowledgedEarly => {
                    matches!(record, Record::Mark(line) if line.contains("Acknowledged"))
                }
            };
            if !dropped {
                bent.push(record.clone());
            }
            if self == Self::AcknowledgedEarly
                && let Record::Mark(line) = record
                && let Mark::Begun { number, .. } = serde_json::from_str(line).unwrap()
            {
                bent.push(Record::Mark(serde_json::to_string(&Mark::Acknowledged { number }).unwrap()));
            }
        }
        bent
    }
}

/// What does not hold, and where.
#[derive(Debug)]
struct Violation {
    day: &'static str,
    cut: usize,
    record: usize,
    of: usize,
    fate: Fate,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { day, cut, record, of, fate, what } = self;
        write!(f, "{day}, cut {cut}, before record {record} of {of}, un-flushed changes {fate:?}: {what}")
    }
}

/// Sums over many cuts.
#[derive(Debug, Default)]
struct Report {
    cuts: usize,
    fates: BTreeMap<Fate, usize>,
    /// Cuts with changes of the log that were not flushed.
    in_the_log: usize,
    /// Cuts with changes of the main file that were not flushed: while the log is moved into it.
    in_the_main_file: usize,
    /// Cuts after which commits that were written are gone.
    commits_gone: usize,
    facts: Found,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        for (fate, cuts) in other.fates {
            *self.fates.entry(fate).or_default() += cuts;
        }
        self.in_the_log += other.in_the_log;
        self.in_the_main_file += other.in_the_main_file;
        self.commits_gone += other.commits_gone;
        self.facts.kept += other.facts.kept;
        self.facts.early += other.facts.early;
        self.facts.lost += other.facts.lost;
    }
}

/// Randomness of one cut, the same in every run over the same recording.
fn random_of(seed: u64, cut: usize) -> StdRng {
    StdRng::seed_from_u64(seed ^ u64::try_from(cut).unwrap().wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// The places of the cuts, each as the number of records before it and the number of the cut, in their order.
///
/// Two in three are spread over the day. The others are where it is rarer to be: while the log is moved into the main
/// file, and while names of files are not flushed.
fn places(day: &Recording, cuts: usize, seed: u64) -> Vec<(usize, usize)> {
    let mut disk = Disk::new(day.initial.clone());
    let mut rare = Vec::new();
    for (index, record) in day.records.iter().enumerate() {
        disk.apply(record);
        if disk.pending(".db") > 0 || disk.has_pending_names() {
            rare.push(index + 1);
        }
    }
    let mut places: Vec<(usize, usize)> = (0..cuts)
        .map(|cut| {
            let mut random = random_of(!seed, cut);
            match random.random_range(0..3) {
                0 if !rare.is_empty() => (rare[random.random_range(0..rare.len())], cut),
                _ => (random.random_range(0..=day.records.len()), cut),
            }
        })
        .collect();
    places.sort_unstable();
    places
}

/// Loses the power `cuts` times in a day.
fn lose_power(day: &Recording, cuts: usize, seed: u64) -> Result<Report, Violation> {
    let initial = day.initial.get("fastlead.db").map(Vec::as_slice).unwrap_or_default();
    let history = History::of(&day.records, "fastlead.db", initial);
    assert!(history.commits() > 0, "the log is understood");
    let places = places(day, cuts, seed);
    let stop = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let outcomes: Vec<Result<Report, Violation>> = std::thread::scope(|scope| {
        let (history, stop, places) = (&history, &stop, &places);
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let mine = places.iter().copied().skip(thread).step_by(threads);
                    let done = lose_power_at(day, history, mine, seed, stop);
                    stop.fetch_or(done.is_err(), Ordering::Relaxed);
                    done
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().expect("no panic")).collect()
    });
    let mut report = Report::default();
    for outcome in outcomes {
        report.add(outcome?);
    }
    Ok(report)
}

fn lose_power_at(
    day: &Recording,
    history: &History,
    mine: impl Iterator<Item = (usize, usize)>,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Report, Violation> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut disk = Disk::new(day.initial.clone());
    let (mut applied, mut report) = (0, Report::default());
    for (record, cut) in mine {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for record in &day.records[applied..record] {
            disk.apply(record);
        }
        applied = record;
        let mut random = random_of(seed, cut);
        let fate = Fate::ALL[random.random_range(0..Fate::ALL.len())];
        let files = disk.crash(fate, &mut random);
        let mut noise = vec![0; 32_768];
        noise.fill_with(|| random.random());
        let noise = random.random_bool(0.3).then_some(noise.as_slice());
        let place = folder();
        let checked = runtime.block_on(async {
            let (version, main) = recover(&files, &place.path().join("alone"), noise).await?;
            let written = history.written_before(applied);
            let state = history.state_of(&main, written);
            // Before the first commit there is nothing to compare with in a new file.
            if state.is_none() && version != 0 {
                return Err("the file is no state that the program has committed".to_owned());
            }
            let found = reopen(&files, &place.path().join("store"), &day.ledger, applied).await?;
            Ok((found, state.unwrap_or(0) < written))
        });
        let (found, gone) = checked.map_err(|what| Violation {
            day: day.name,
            cut,
            record: applied,
            of: day.records.len(),
            fate,
            what,
        })?;
        let log = disk.pending("-wal") > 0;
        let main = disk.pending(".db") > 0;
        report.add(Report {
            cuts: 1,
            fates: BTreeMap::from([(fate, 1)]),
            in_the_log: usize::from(log),
            in_the_main_file: usize::from(main),
            commits_gone: usize::from(gone),
            facts: found,
        });
    }
    Ok(report)
}

/// Works through a day: under the recorder where another test has asked for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_day_is_worked_through() {
    let seed = number("FASTLEAD_POWER_SEED", SEED);
    let leads = number("FASTLEAD_POWER_LEADS", 30);
    match (said("FASTLEAD_POWER_FOLDER"), said("FASTLEAD_POWER_SYNCHRONOUS")) {
        (Some(folder), Some(setting)) => day::work_with_synchronous(Path::new(&folder), &setting).await,
        (Some(folder), None) => day::work(Path::new(&folder), seed, leads).await,
        (None, _) => day::work(folder().path(), seed, leads).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_lead_is_lost_with_the_power() {
    let cuts: usize = number("FASTLEAD_POWER_CUTS", CUTS);
    let seed = number("FASTLEAD_POWER_SEED", SEED);
    let leads = number("FASTLEAD_POWER_LEADS", 75);
    let days = match said("FASTLEAD_POWER_RECORDING") {
        Some(folder) => vec![Recording::in_folder("a recording", copy_of(Path::new(&folder)))],
        None => vec![Recording::new_file(seed, leads), Recording::old_file(seed, leads * 2 / 3).await],
    };
    let mut total = Report::default();
    for day in days {
        let begun = Instant::now();
        let report = match lose_power(&day, cuts / 2, seed) {
            Ok(report) => report,
            Err(violation) => day.fail(&violation, cuts, seed),
        };
        println!(
            "{}: {} records, {} leads acknowledged; {} cuts in {:.1} s, lost 0; {report:?}",
            day.name,
            day.records.len(),
            day.ledger.leads_before(usize::MAX),
            report.cuts,
            begun.elapsed().as_secs_f64(),
        );
        total.add(report);
    }
    // A run in which none of this happened would show nothing.
    assert_eq!(total.fates.len(), Fate::ALL.len(), "{total:?}");
    assert!(total.in_the_log > cuts / 10 && total.in_the_main_file > cuts / 20, "{total:?}");
    assert!(total.commits_gone > 0 && total.facts.early > 0 && total.facts.lost > 0, "{total:?}");
}

/// The check can fail: each of these would lose leads on a real disk.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_lose_leads_is_caught() {
    for day in [Recording::new_file(SEED, 60), Recording::old_file(SEED, 60).await] {
        let before: Vec<Fact> =
            serde_json::from_str(&std::fs::read_to_string(day.place.path().join("facts")).unwrap()).unwrap();
        for flaw in Flaw::ALL {
            let records = flaw.bend(&day.records);
            let ledger = Ledger::of(&records, before.clone());
            let bent =
                Recording { records, ledger, name: day.name, initial: day.initial.clone(), place: folder() };
            match lose_power(&bent, 600, SEED) {
                Err(violation) => println!("{flaw:?}: {violation}"),
                Ok(report) => panic!("{flaw:?} was not caught: {report:?}"),
            }
        }
    }
}

/// The same with SQLite's own settings: what it flushes less is seen by the recorder, and loses projects.
#[tokio::test]
async fn sqlite_without_flushes_is_caught() {
    for (setting, loses) in [("OFF", true), ("NORMAL", true), ("FULL", false)] {
        let lost = lose_power(&Recording::with_synchronous(setting), 120, SEED);
        assert_eq!(lost.is_err(), loses, "synchronous={setting}: {lost:?}");
        if let Err(violation) = lost {
            println!("synchronous={setting}: {violation}");
        }
    }
}

/// A copy of a recording, so that the check of one that is kept does not remove it.
fn copy_of(recording: &Path) -> TempDir {
    let copy = folder();
    std::fs::create_dir(copy.path().join("initial")).unwrap();
    for name in ["trace", "facts"] {
        std::fs::copy(recording.join(name), copy.path().join(name)).unwrap();
    }
    for entry in std::fs::read_dir(recording.join("initial")).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), copy.path().join("initial").join(entry.file_name())).unwrap();
    }
    copy
}
