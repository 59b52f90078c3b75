//! What a backtest remembers of people, in a bounded part of memory and temporary files.
//!
//! New entries are in memory. When there are too many they are written, sorted by key, to a file, a *run*. A run that is
//! at least half as long as the one before is merged with it, so that there are few. A filter of fixed size knows most
//! keys that are in no run, which is what most people are asked for: people that were never seen. Leads under way that
//! nothing happens to for a while are in files of their own.

mod bloom;
mod run;
mod shelf;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::replay::{Memory, MemoryKey, Place, Remembered, Shelf};

use self::bloom::Bloom;
use self::run::{Run, Writer};
use self::shelf::Files;

/// Most entries in memory: about 6 MiB.
const IN_MEMORY: usize = 65_536;
/// Entries that take about as much memory as a lead under way.
const ENTRIES_OF_A_LEAD: usize = 32;

/// Remembers what a backtest knows of people, and keeps its leads under way: a bounded part in memory, the rest in
/// temporary files.
///
/// It takes about 20 MiB of memory, however many people are remembered. Their files take 49 bytes an entry, for a while
/// twice or three times as much: while they are merged, and until it is found that entries are over. They hold hashes
/// and ids. A lead under way to which nothing happens for an hour is written as JSON, contact and all, about 1 KB; a file
/// of 16 MiB goes when none of its leads is wanted any more. The files have no name and can be read by their owner
/// alone; they disappear with the value or with the process. There are none as long as memory is enough.
#[derive(Debug)]
pub struct SpillingMemory {
    folder: PathBuf,
    most: usize,
    newest: BTreeMap<MemoryKey, Remembered>,
    runs: Runs,
    leads: Files,
}

impl SpillingMemory {
    /// Remembers nothing yet. The files are made in `folder`, where they are needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let runs = Runs { runs: Vec::new(), bloom: Bloom::default(), buffer: Vec::new() };
        Self {
            folder: folder.into(),
            most: IN_MEMORY,
            newest: BTreeMap::new(),
            runs,
            leads: Files::default(),
        }
    }

    /// Keeps at most so many entries in memory instead of 65,536, and a lead under way for 32 of them.
    #[must_use]
    pub fn with_room_for(mut self, entries: usize) -> Self {
        self.most = entries.max(1);
        self
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.runs.runs.len() + self.leads.len()
    }

    /// How many entries there are in memory and in files. One that was put again may count several times.
    pub fn entries(&self) -> (usize, u64) {
        (self.newest.len(), self.runs.runs.iter().map(Run::len).sum())
    }

    fn fault(&self, what: &str, error: &io::Error) -> Error {
        Error::new(ErrorKind::Storage, format!("a temporary file cannot be {what}: {}", error.kind()))
            .with_operation("remember people")
            .with_context("folder", self.folder.display().to_string())
    }

    /// Makes room in memory.
    fn spill(&mut self, now: i64) -> io::Result<()> {
        // What is over and hides nothing in the files need not be kept.
        let runs = &self.runs;
        self.newest.retain(|key, entry| !entry.is_over(now) || runs.may_have(key));
        if self.newest.len() <= self.most / 2 {
            return Ok(());
        }
        self.runs.add(&self.folder, &self.newest)?;
        self.newest.clear();
        self.runs.tidy(&self.folder, now)
    }
}

impl Memory for SpillingMemory {
    fn get(&mut self, key: &MemoryKey, now: i64) -> Result<Option<Remembered>> {
        let found = match self.newest.get(key) {
            Some(entry) => Some(*entry),
            None => self.runs.find(key).map_err(|error| self.fault("read", &error))?,
        };
        Ok(found.filter(|entry| !entry.is_over(now)))
    }

    fn put(&mut self, key: MemoryKey, entry: Remembered, now: i64) -> Result<()> {
        self.newest.insert(key, entry);
        if self.newest.len() > self.most {
            self.spill(now).map_err(|error| self.fault("written", &error))?;
        }
        Ok(())
    }

    fn sweep(&mut self, now: i64) -> Result<()> {
        self.runs.forget_over(now);
        Ok(())
    }

    fn shelf(&mut self) -> Option<&mut dyn Shelf> {
        Some(self)
    }
}

impl Shelf for SpillingMemory {
    fn room(&self) -> usize {
        self.most / ENTRIES_OF_A_LEAD
    }

    fn put_away(&mut self, bytes: &[u8]) -> Result<Place> {
        self.leads.put(&self.folder, bytes).map_err(|error| self.fault("written", &error))
    }

    fn read_back(&mut self, place: Place, bytes: &mut Vec<u8>) -> Result<()> {
        self.leads.get(place, bytes).map_err(|error| self.fault("read", &error))
    }

    fn free(&mut self, place: Place) {
        self.leads.free(place);
    }
}

/// The runs, oldest first. An entry counts before one of the same key in an older run.
#[derive(Debug)]
struct Runs {
    runs: Vec<Run>,
    /// Every key in a run, and some that are in none.
    bloom: Bloom,
    buffer: Vec<u8>,
}

impl Runs {
    fn may_have(&self, key: &MemoryKey) -> bool {
        !self.runs.is_empty() && self.bloom.may_have(key)
    }

    fn find(&mut self, key: &MemoryKey) -> io::Result<Option<Remembered>> {
        if !self.may_have(key) {
            return Ok(None);
        }
        for run in self.runs.iter_mut().rev() {
            let found = run.find(key, &mut self.buffer)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn add(&mut self, folder: &Path, entries: &BTreeMap<MemoryKey, Remembered>) -> io::Result<()> {
        let mut writer = Writer::create(folder, entries.len() as u64)?;
        for (key, entry) in entries {
            writer.push(key, entry)?;
            self.bloom.add(key);
        }
        self.runs.push(writer.finish()?);
        Ok(())
    }

    /// Merges the newest runs for as long as they are of much the same length.
    fn tidy(&mut self, folder: &Path, now: i64) -> io::Result<()> {
        self.forget_over(now);
        while let [rest @ .., older, newer] = &mut self.runs[..]
            && older.len() < 2 * newer.len()
        {
            let merged = if rest.is_empty() {
                // Nothing is older, so what is over hides nothing, and the filter can begin anew.
                let bloom = &mut self.bloom;
                bloom.clear();
                run::merge(folder, older, newer, |key, entry| {
                    let stays = !entry.is_over(now);
                    if stays {
                        bloom.add(key);
                    }
                    stays
                })?
            } else {
                run::merge(folder, older, newer, |_, _| true)?
            };
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(merged);
        }
        Ok(())
    }

    /// Drops the oldest runs, where everything in them is over.
    fn forget_over(&mut self, now: i64) {
        let over = self.runs.iter().take_while(|run| run.is_over(now)).count();
        self.runs.drain(..over);
        if over > 0 && self.runs.is_empty() {
            self.bloom.clear();
        }
    }
}
