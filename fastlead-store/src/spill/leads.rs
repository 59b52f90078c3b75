//! Leads under way that were put away: the newest in memory until there are enough to write, the others in a file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use fastlead_core::replay::Place;
use redb::Error;

use super::disk::Disk;

/// Of the file in memory.
const CACHE_BYTES: usize = 2 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Leads {
    /// By number. None where none was written yet.
    disk: Option<Disk<u64, &'static [u8]>>,
    newest: BTreeMap<u64, Vec<u8>>,
    /// Of the newest.
    bytes: usize,
    /// What is in the file and not wanted any more.
    gone: Vec<u64>,
    /// How many there ever were.
    put: u64,
}

impl Leads {
    pub(super) const fn has_file(&self) -> bool {
        self.disk.is_some()
    }

    /// Keeps these bytes. The newest are written when they are more than `most`.
    pub(super) fn put(&mut self, folder: &Path, bytes: &[u8], most: usize) -> Result<Place, Error> {
        let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let number = self.put;
        self.put += 1;
        self.newest.insert(number, bytes.to_vec());
        self.bytes += bytes.len();
        if self.bytes > most {
            self.write(folder)?;
        }
        Ok(Place { file: number, from: 0, length })
    }

    fn write(&mut self, folder: &Path) -> Result<(), Error> {
        let disk = match &mut self.disk {
            Some(disk) => disk,
            nothing => nothing.insert(Disk::create(folder, CACHE_BYTES)?),
        };
        self.gone.sort_unstable();
        disk.change(|table| {
            for number in &self.gone {
                table.remove(number)?;
            }
            for (number, bytes) in &self.newest {
                table.insert(number, bytes.as_slice())?;
            }
            Ok(())
        })?;
        self.gone.clear();
        self.newest.clear();
        self.bytes = 0;
        Ok(())
    }

    pub(super) fn get(&self, place: Place, bytes: &mut Vec<u8>) -> Result<(), Error> {
        bytes.clear();
        if let Some(newest) = self.newest.get(&place.file) {
            bytes.extend_from_slice(newest);
            return Ok(());
        }
        let found = match &self.disk {
            Some(disk) => disk.get(place.file, |found| bytes.extend_from_slice(found))?,
            None => None,
        };
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into())
    }

    pub(super) fn free(&mut self, place: Place) {
        match self.newest.remove(&place.file) {
            Some(bytes) => self.bytes -= bytes.len(),
            None => self.gone.push(place.file),
        }
    }
}
