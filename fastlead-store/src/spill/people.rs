//! Entries of people in a file, and a filter that knows most keys that are not there.

use std::collections::BTreeMap;
use std::path::Path;

use fastbloom::BloomFilter;
use fastlead_core::replay::{MemoryKey, Remembered, VALUE_BYTES};
use redb::{Error, ReadableTableMetadata as _};

use super::disk::Disk;

/// End and value.
const BYTES: usize = 8 + VALUE_BYTES;
/// 8 MiB: with 6 million keys one of about ten unknown ones costs a look into the file.
const FILTER_BITS: usize = 8 * 8 * 1024 * 1024;
/// Bits of a key.
const HASHES: u32 = 4;
/// Of the file in memory.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

#[derive(Debug)]
struct Written {
    disk: Disk<&'static MemoryKey, &'static [u8; BYTES]>,
    /// Every key in the file, and some that are not.
    filter: BloomFilter,
    /// When the last of the entries is over.
    until: i64,
    len: u64,
    /// How many there may be before it is looked which are over.
    most: u64,
}

/// None where there is nothing.
#[derive(Debug, Default)]
pub(super) struct People(Option<Written>);

impl People {
    pub(super) fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, |written| written.len)
    }

    pub(super) const fn has_file(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn may_have(&self, key: &MemoryKey) -> bool {
        self.0.as_ref().is_some_and(|written| written.filter.contains(key))
    }

    pub(super) fn get(&self, key: &MemoryKey) -> Result<Option<Remembered>, Error> {
        match &self.0 {
            Some(written) if written.filter.contains(key) => written.disk.get(key, decode),
            _ => Ok(None),
        }
    }

    /// Writes entries instead of those of the same keys. When there are twice as many as were left of them the last time,
    /// those that are over go.
    pub(super) fn add(
        &mut self,
        folder: &Path,
        entries: &BTreeMap<MemoryKey, Remembered>,
        now: i64,
    ) -> Result<(), Error> {
        let Written { disk, filter, until, len, most } = match &mut self.0 {
            Some(written) => written,
            nothing => nothing.insert(Written::create(folder)?),
        };
        *len = disk.change(|table| {
            for (key, entry) in entries {
                table.insert(key, &encode(entry))?;
                filter.insert(key);
                *until = entry.until.max(*until);
            }
            if table.len()? > *most {
                filter.clear();
                table.retain(|key, bytes| {
                    let stays = !decode(bytes).is_over(now);
                    if stays {
                        filter.insert(key);
                    }
                    stays
                })?;
                *most = 2 * table.len()?.max(entries.len() as u64);
            }
            table.len()
        })?;
        Ok(())
    }

    /// Drops the file, where everything in it is over.
    pub(super) fn forget_over(&mut self, now: i64) {
        self.0.take_if(|written| written.until <= now);
    }
}

impl Written {
    fn create(folder: &Path) -> Result<Self, Error> {
        let disk = Disk::create(folder, CACHE_BYTES)?;
        let filter = BloomFilter::with_num_bits(FILTER_BITS).hashes(HASHES);
        Ok(Self { disk, filter, until: i64::MIN, len: 0, most: 0 })
    }
}

fn encode(entry: &Remembered) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&entry.until.to_be_bytes());
    bytes[8..].copy_from_slice(&entry.value);
    bytes
}

fn decode(bytes: &[u8; BYTES]) -> Remembered {
    let (mut until, mut value) = ([0; 8], [0; VALUE_BYTES]);
    until.copy_from_slice(&bytes[..8]);
    value.copy_from_slice(&bytes[8..]);
    Remembered { until: i64::from_be_bytes(until), value }
}
