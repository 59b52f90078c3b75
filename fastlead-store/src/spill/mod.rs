//! What a backtest remembers of people, in a bounded part of memory and temporary files.
//!
//! New entries are in memory. When there are too many they are written, in the order of keys, to a database in a file. A
//! filter of fixed size knows most keys that are not in there, which is what most people are asked for: people that were
//! never seen. Leads under way that nothing happens to for a while are in a database of their own.

mod disk;
mod leads;
mod people;

use std::collections::BTreeMap;
use std::path::PathBuf;

use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::replay::{Memory, MemoryKey, Place, Remembered, Shelf};

use self::leads::Leads;
use self::people::People;

/// Most entries in memory: about 6 MiB.
const IN_MEMORY: usize = 65_536;
/// Entries that take about as much memory as a lead under way.
const ENTRIES_OF_A_LEAD: usize = 32;
/// Bytes of leads that are written at once, for each entry in memory: 1 MiB.
const LEAD_BYTES: usize = 16;

/// Remembers what a backtest knows of people, and keeps its leads under way: a bounded part in memory, the rest in
/// temporary files.
///
/// It takes about 30 MiB of memory, however many people are remembered. Their file holds hashes and ids: 49 bytes an
/// entry, three or four times as much with what the database leaves free, and entries that are over until there are as
/// many of them as of others. It goes when all of them are over. A lead under way to which nothing happens for an hour is
/// written as JSON, contact and all, about 1 KB, to a second file, whose room is used again. The files do not become
/// shorter. They have no name and can be read by their owner alone; they disappear with the value or with the process.
/// There are none as long as memory is enough.
#[derive(Debug)]
pub struct SpillingMemory {
    folder: PathBuf,
    most: usize,
    newest: BTreeMap<MemoryKey, Remembered>,
    people: People,
    leads: Leads,
}

impl SpillingMemory {
    /// Remembers nothing yet. The files are made in `folder`, where they are needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            most: IN_MEMORY,
            newest: BTreeMap::new(),
            people: People::default(),
            leads: Leads::default(),
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
        usize::from(self.people.has_file()) + usize::from(self.leads.has_file())
    }

    /// How many entries there are in memory and in files. One that was put again may count twice.
    pub fn entries(&self) -> (usize, u64) {
        (self.newest.len(), self.people.len())
    }

    fn fault(&self, what: &str, error: &redb::Error) -> Error {
        let why = match error {
            redb::Error::Io(error) => error.kind().to_string(),
            error => error.to_string(),
        };
        Error::new(ErrorKind::Storage, format!("a temporary file cannot be {what}: {why}"))
            .with_operation("remember people")
            .with_context("folder", self.folder.display().to_string())
    }

    /// Makes room in memory.
    fn spill(&mut self, now: i64) -> Result<(), redb::Error> {
        self.people.forget_over(now);
        // What is over and hides nothing in the file need not be kept.
        let people = &self.people;
        self.newest.retain(|key, entry| !entry.is_over(now) || people.may_have(key));
        if self.newest.len() > self.most / 2 {
            self.people.add(&self.folder, &self.newest, now)?;
            self.newest.clear();
        }
        Ok(())
    }
}

impl Memory for SpillingMemory {
    fn get(&mut self, key: &MemoryKey, now: i64) -> Result<Option<Remembered>> {
        let found = match self.newest.get(key) {
            Some(entry) => Some(*entry),
            None => self.people.get(key).map_err(|error| self.fault("read", &error))?,
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
        self.people.forget_over(now);
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
        let most = self.most * LEAD_BYTES;
        self.leads.put(&self.folder, bytes, most).map_err(|error| self.fault("written", &error))
    }

    fn read_back(&mut self, place: Place, bytes: &mut Vec<u8>) -> Result<()> {
        self.leads.get(place, bytes).map_err(|error| self.fault("read", &error))
    }

    fn free(&mut self, place: Place) {
        self.leads.free(place);
    }
}
