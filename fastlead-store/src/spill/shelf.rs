//! Bytes in files, for as long as they are wanted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use fastlead_core::replay::Place;

/// A file takes no more once it is so long.
const FILE_BYTES: u32 = 16 * 1024 * 1024;

/// Files that are written one after the other. One in which nothing is wanted any more goes.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The number of the first.
    first: u64,
    files: VecDeque<Part>,
}

#[derive(Debug)]
struct Part {
    /// None where nothing in it is wanted any more.
    file: Option<File>,
    len: u32,
    wanted: u64,
}

impl Files {
    pub(super) fn len(&self) -> usize {
        self.files.iter().filter(|part| part.file.is_some()).count()
    }

    pub(super) fn put(&mut self, folder: &Path, bytes: &[u8]) -> io::Result<Place> {
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let full = |part: &Part| part.file.is_none() || part.len >= FILE_BYTES;
        if self.files.back().is_none_or(full) {
            let file = Some(tempfile::tempfile_in(folder)?);
            self.files.push_back(Part { file, len: 0, wanted: 0 });
        }
        let number = self.first + self.files.len() as u64 - 1;
        let Some(Part { file: Some(file), len, wanted }) = self.files.back_mut() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.seek(SeekFrom::Start(u64::from(*len)))?;
        file.write_all(bytes)?;
        let place = Place { file: number, from: *len, length };
        *len = len.checked_add(length).ok_or(io::ErrorKind::FileTooLarge)?;
        *wanted += 1;
        Ok(place)
    }

    pub(super) fn get(&mut self, place: Place, bytes: &mut Vec<u8>) -> io::Result<()> {
        let Some(Part { file: Some(file), .. }) = self.part(place) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        bytes.resize(usize::try_from(place.length).map_err(|_| io::ErrorKind::FileTooLarge)?, 0);
        file.seek(SeekFrom::Start(u64::from(place.from)))?;
        file.read_exact(bytes)
    }

    pub(super) fn free(&mut self, place: Place) {
        let Some(part) = self.part(place) else { return };
        part.wanted = part.wanted.saturating_sub(1);
        if part.wanted == 0 {
            part.file = None;
        }
        while self.files.front().is_some_and(|part| part.file.is_none()) {
            self.files.pop_front();
            self.first += 1;
        }
    }

    fn part(&mut self, place: Place) -> Option<&mut Part> {
        let index = usize::try_from(place.file.checked_sub(self.first)?).ok()?;
        self.files.get_mut(index)
    }
}
