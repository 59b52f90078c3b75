//! A sorted file of entries that is written once.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use fastlead_core::replay::{KEY_BYTES, MemoryKey, Remembered, VALUE_BYTES};

/// Bytes of an entry: key, end, value.
const ENTRY: usize = KEY_BYTES + 8 + VALUE_BYTES;
/// Most keys of a run that are in memory, evenly spread: where to look.
const FENCES: u64 = 4_096;
/// Least and most entries that are read at once.
const CHUNK: (u64, u64) = (64, 512);
/// What is read and written at once of a whole run.
const BUFFER_BYTES: usize = 65_536;

#[derive(Debug)]
pub(super) struct Run {
    file: File,
    len: u64,
    fences: Vec<MemoryKey>,
    /// Entries from one fence to the next.
    step: u64,
    /// When the last of the entries is over.
    until: i64,
}

fn encode(key: &MemoryKey, entry: &Remembered) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[..KEY_BYTES].copy_from_slice(key);
    bytes[KEY_BYTES..KEY_BYTES + 8].copy_from_slice(&entry.until.to_be_bytes());
    bytes[KEY_BYTES + 8..].copy_from_slice(&entry.value);
    bytes
}

fn decode(bytes: &[u8; ENTRY]) -> (MemoryKey, Remembered) {
    let (mut key, mut until, mut value) = ([0; KEY_BYTES], [0; 8], [0; VALUE_BYTES]);
    key.copy_from_slice(&bytes[..KEY_BYTES]);
    until.copy_from_slice(&bytes[KEY_BYTES..KEY_BYTES + 8]);
    value.copy_from_slice(&bytes[KEY_BYTES + 8..]);
    (key, Remembered { until: i64::from_be_bytes(until), value })
}

impl Run {
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Whether everything in it is over.
    pub(super) const fn is_over(&self, now: i64) -> bool {
        self.until <= now
    }

    pub(super) fn find(&mut self, key: &MemoryKey, buffer: &mut Vec<u8>) -> io::Result<Option<Remembered>> {
        let fence = self.fences.partition_point(|fence| fence <= key);
        let Some(fence) = fence.checked_sub(1) else { return Ok(None) };
        let mut from = fence as u64 * self.step;
        let mut to = self.len.min(from + self.step);
        while to - from > CHUNK.1 {
            let middle = from + (to - from) / 2;
            self.read(middle, middle + 1, buffer)?;
            if buffer[..KEY_BYTES] <= key[..] {
                from = middle;
            } else {
                to = middle;
            }
        }
        self.read(from, to, buffer)?;
        let (entries, _) = buffer.as_chunks::<ENTRY>();
        let place = entries.binary_search_by(|entry| entry[..KEY_BYTES].cmp(&key[..]));
        Ok(place.ok().map(|place| decode(&entries[place]).1))
    }

    /// Reads entries `from..to` into the buffer.
    fn read(&mut self, from: u64, to: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        let bytes = usize::try_from(to - from).unwrap_or(usize::MAX).saturating_mul(ENTRY);
        buffer.resize(bytes, 0);
        self.file.seek(SeekFrom::Start(from * ENTRY as u64))?;
        self.file.read_exact(buffer)
    }

    /// All entries in order.
    fn entries(&mut self) -> io::Result<Entries<'_>> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(Entries { left: self.len, file: BufReader::with_capacity(BUFFER_BYTES, &mut self.file) })
    }
}

struct Entries<'a> {
    file: BufReader<&'a mut File>,
    left: u64,
}

impl Entries<'_> {
    fn next(&mut self) -> io::Result<Option<(MemoryKey, Remembered)>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut bytes = [0; ENTRY];
        self.file.read_exact(&mut bytes)?;
        Ok(Some(decode(&bytes)))
    }
}

/// Writes a run, in the order of keys.
#[derive(Debug)]
pub(super) struct Writer {
    file: BufWriter<File>,
    len: u64,
    fences: Vec<MemoryKey>,
    step: u64,
    until: i64,
}

impl Writer {
    /// A run of at most so many entries, in a file without a name.
    pub(super) fn create(folder: &Path, most: u64) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(folder)?);
        let step = most.div_ceil(FENCES).max(CHUNK.0);
        Ok(Self { file, len: 0, fences: Vec::new(), step, until: i64::MIN })
    }

    pub(super) fn push(&mut self, key: &MemoryKey, entry: &Remembered) -> io::Result<()> {
        if self.len.is_multiple_of(self.step) {
            self.fences.push(*key);
        }
        self.len += 1;
        self.until = self.until.max(entry.until);
        self.file.write_all(&encode(key, entry))
    }

    pub(super) fn finish(self) -> io::Result<Run> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Run { file, len: self.len, fences: self.fences, step: self.step, until: self.until })
    }
}

/// Makes one run of two, of which `newer` counts where both have a key, and of what `stays`.
pub(super) fn merge(
    folder: &Path,
    older: &mut Run,
    newer: &mut Run,
    mut stays: impl FnMut(&MemoryKey, &Remembered) -> bool,
) -> io::Result<Run> {
    let mut writer = Writer::create(folder, older.len + newer.len)?;
    let (mut older, mut newer) = (older.entries()?, newer.entries()?);
    let (mut old, mut new) = (older.next()?, newer.next()?);
    loop {
        let order = match (&old, &new) {
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => break,
        };
        let next = if order.is_lt() { old } else { new };
        if order.is_le() {
            old = older.next()?;
        }
        if order.is_ge() {
            new = newer.next()?;
        }
        if let Some((key, entry)) = next.filter(|(key, entry)| stays(key, entry)) {
            writer.push(&key, &entry)?;
        }
    }
    writer.finish()
}
