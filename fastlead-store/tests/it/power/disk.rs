//! A disk that loses its power: what was flushed is kept, and of the rest anything may be kept, lost or torn.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::trace::Record;

/// The files of a folder.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, data: Arc<[u8]> },
    Truncate(usize),
}

/// One file: what is durable, and what was done since its last flush.
#[derive(Debug, Clone, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(String, u32),
    Unlink(String),
}

impl NameChange {
    fn name(&self) -> &str {
        match self {
            Self::Link(name, _) | Self::Unlink(name) => name,
        }
    }
}

/// The folder on the disk. Names are durable when the folder is flushed, contents when their file is.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    files: HashMap<u32, File>,
    names: BTreeMap<String, u32>,
    pending_names: Vec<NameChange>,
}

/// What becomes of the changes that were not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// All are there.
    Kept,
    /// None is.
    Lost,
    /// Each call's change is there or not, whatever the order was.
    Calls,
    /// Those up to some call are there; that one is torn; later ones are not.
    Prefix,
    /// Each sector of 512 bytes is there or not.
    Sectors,
    /// Each block of 4 KiB is there or not.
    Blocks,
    /// Each sector is there, not there, full of zeros or full of something else.
    Garbage,
}

impl Fate {
    pub(crate) const ALL: [Self; 7] =
        [Self::Kept, Self::Lost, Self::Calls, Self::Prefix, Self::Sectors, Self::Blocks, Self::Garbage];
}

impl Disk {
    /// A folder with these files, all of them durable.
    pub(crate) fn new(initial: Files) -> Self {
        let mut disk = Self { files: HashMap::new(), names: BTreeMap::new(), pending_names: Vec::new() };
        // Numbers that the recorder does not give, until it says under which it has found a file.
        for ((name, durable), number) in initial.into_iter().zip((0..u32::MAX).rev()) {
            disk.names.insert(name, number);
            disk.files.insert(number, File { durable, pending: Vec::new() });
        }
        disk
    }

    fn file(&mut self, file: u32) -> &mut File {
        self.files.entry(file).or_default()
    }

    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Created { file, name } => {
                self.file(*file);
                self.pending_names.push(NameChange::Link(name.clone(), *file));
            }
            Record::Found { file, name } => {
                let found = self.names.insert(name.clone(), *file).and_then(|old| self.files.remove(&old));
                self.files.insert(*file, found.unwrap_or_default());
            }
            Record::Written { file, offset, data } => {
                let change = Change::Write { offset: *offset, data: Arc::clone(data) };
                self.file(*file).pending.push(change);
            }
            Record::Truncated { file, length } => self.file(*file).pending.push(Change::Truncate(*length)),
            Record::Flushed { file } => {
                let file = self.file(*file);
                for change in std::mem::take(&mut file.pending) {
                    keep(&mut file.durable, &change);
                }
            }
            Record::Unlinked { name } => self.pending_names.push(NameChange::Unlink(name.clone())),
            Record::FolderFlushed => {
                for change in std::mem::take(&mut self.pending_names) {
                    rename(&mut self.names, &change);
                }
            }
            Record::Mark(_) => {}
        }
    }

    /// How many changes are not durable, in files whose name ends so.
    pub(crate) fn pending(&self, end: &str) -> usize {
        let names = self.pending_names.iter().filter_map(|change| match change {
            NameChange::Link(name, file) => Some((name, file)),
            NameChange::Unlink(_) => None,
        });
        let mut files: Vec<u32> = self
            .names
            .iter()
            .chain(names)
            .filter(|(name, _)| name.ends_with(end))
            .map(|(_, file)| *file)
            .collect();
        files.sort_unstable();
        files.dedup();
        files.iter().filter_map(|file| self.files.get(file)).map(|file| file.pending.len()).sum()
    }

    /// Whether names were made or removed that are not durable.
    pub(crate) const fn has_pending_names(&self) -> bool {
        !self.pending_names.is_empty()
    }

    /// What is found after the power was lost.
    pub(crate) fn crash(&self, fate: Fate, random: &mut StdRng) -> Files {
        let mut names = self.names.clone();
        let kept = match fate {
            Fate::Kept => self.pending_names.len(),
            Fate::Lost => 0,
            _ => random.random_range(0..=self.pending_names.len()),
        };
        for change in &self.pending_names[..kept] {
            rename(&mut names, change);
        }
        if !matches!(fate, Fate::Kept | Fate::Lost | Fate::Prefix) {
            // Names of different files need not keep their order.
            for change in &self.pending_names[kept..] {
                let first = self.pending_names.iter().find(|other| other.name() == change.name());
                if first.is_some_and(|first| std::ptr::eq(first, change)) && random.random_bool(0.3) {
                    rename(&mut names, change);
                }
            }
        }
        let content = |file: &u32, random: &mut StdRng| {
            self.files.get(file).map(|file| file.crash(fate, random)).unwrap_or_default()
        };
        names.iter().map(|(name, file)| (name.clone(), content(file, random))).collect()
    }
}

fn rename(names: &mut BTreeMap<String, u32>, change: &NameChange) {
    match change {
        NameChange::Link(name, file) => names.insert(name.clone(), *file),
        NameChange::Unlink(name) => names.remove(name),
    };
}

fn keep(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, data } => put(bytes, *offset, data),
        Change::Truncate(length) => bytes.resize(*length, 0),
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

impl File {
    fn crash(&self, fate: Fate, random: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let last = match fate {
            Fate::Prefix if !self.pending.is_empty() => random.random_range(0..self.pending.len()),
            _ => self.pending.len(),
        };
        for (index, change) in self.pending.iter().enumerate() {
            match (fate, change) {
                (Fate::Kept, _) => keep(&mut bytes, change),
                (Fate::Lost, _) => {}
                (Fate::Prefix, _) if index < last => keep(&mut bytes, change),
                (Fate::Prefix, _) if index > last => {}
                (Fate::Calls, _) | (_, Change::Truncate(_)) => {
                    if random.random_bool(0.5) {
                        keep(&mut bytes, change);
                    } else {
                        grow(&mut bytes, change, random);
                    }
                }
                (Fate::Prefix | Fate::Sectors, Change::Write { offset, data }) => {
                    tear(&mut bytes, *offset, data, 512, false, random);
                }
                (Fate::Blocks, Change::Write { offset, data }) => {
                    tear(&mut bytes, *offset, data, 4_096, false, random);
                }
                (Fate::Garbage, Change::Write { offset, data }) => {
                    tear(&mut bytes, *offset, data, 512, true, random);
                }
            }
        }
        bytes
    }
}

/// The size of a file may be kept although its content is not.
fn grow(bytes: &mut Vec<u8>, change: &Change, random: &mut StdRng) {
    if let Change::Write { offset, data } = change
        && bytes.len() < offset + data.len()
        && random.random_bool(0.5)
    {
        bytes.resize(offset + data.len(), 0);
    }
}

/// Keeps some units of a write. What was not written to is never touched: SQLite relies on that ("powersafe overwrite").
fn tear(bytes: &mut Vec<u8>, offset: usize, data: &[u8], unit: usize, garbage: bool, random: &mut StdRng) {
    let chance = [0.05, 0.5, 0.95][random.random_range(0..3)];
    let end = offset + data.len();
    let mut from = offset;
    while from < end {
        let to = ((from / unit + 1) * unit).min(end);
        let part = &data[from - offset..to - offset];
        if random.random_bool(chance) {
            put(bytes, from, part);
        } else if garbage && to - from == unit {
            match random.random_range(0..3) {
                0 => put(bytes, from, &vec![0; unit]),
                1 => {
                    let noise: Vec<u8> = (0..unit).map(|_| random.random()).collect();
                    put(bytes, from, &noise);
                }
                _ => {}
            }
        } else if bytes.len() < to && random.random_bool(0.3) {
            bytes.resize(to, 0);
        }
        from = to;
    }
}
