//! The states that a database went through, read from the trace without SQLite: its pages after each commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::trace::Record;

/// The log's header, and the header of each of its frames; https://sqlite.org/fileformat2.html#walformat
const HEADER: usize = 32;
const FRAME: usize = 24;

/// Versions of a page, each with the state that brought it.
type Versions = Vec<(usize, Arc<[u8]>)>;

/// Pages of the database after each commit. State 0 is what was there before the first.
#[derive(Debug, Default)]
pub(crate) struct History {
    page_size: usize,
    pages: HashMap<usize, Versions>,
    /// Number of pages in each state.
    sizes: Vec<usize>,
    /// Index of the record that completed the commit of each state; 0 of the first.
    pub(crate) at: Vec<usize>,
}

fn number(bytes: &[u8], at: usize) -> usize {
    let four = bytes[at..at + 4].try_into().expect("four bytes");
    usize::try_from(u32::from_be_bytes(four)).expect("64 bits")
}

impl History {
    /// Follows the files `main` and `main-wal` through a trace.
    pub(crate) fn of(records: &[Record], main: &str, initial: &[u8]) -> Self {
        let mut history = Self::default();
        let log = format!("{main}-wal");
        let mut names: HashMap<u32, &str> = HashMap::new();
        // Only as they are in the memory of the process: all that was written.
        let mut contents: HashMap<u32, Vec<u8>> = HashMap::new();
        let mut main_file = None;
        let mut transaction: BTreeMap<usize, Arc<[u8]>> = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            match record {
                Record::Created { file, name } | Record::Found { file, name } => {
                    names.insert(*file, name);
                    if name == main {
                        main_file = Some(*file);
                        contents.insert(*file, initial.to_vec());
                    }
                }
                Record::Truncated { file, length } => {
                    contents.entry(*file).or_default().resize(*length, 0);
                }
                Record::Written { file, offset, data } => {
                    let name = names.get(file).copied().unwrap_or_default();
                    if name != main && name != log {
                        continue;
                    }
                    let content = contents.entry(*file).or_default();
                    let end = offset + data.len();
                    if content.len() < end {
                        content.resize(end, 0);
                    }
                    content[*offset..end].copy_from_slice(data);
                    if name == main {
                        continue;
                    }
                    if *offset == 0 {
                        history.page_size = number(data, 8);
                        transaction.clear();
                        continue;
                    }
                    let size = history.page_size;
                    let is_page = size > 0
                        && data.len() == size
                        && offset.checked_sub(HEADER + FRAME).is_some_and(|from| from % (FRAME + size) == 0);
                    if !is_page {
                        continue;
                    }
                    let (page, pages) =
                        (number(content, offset - FRAME), number(content, offset - FRAME + 4));
                    transaction.insert(page, Arc::clone(data));
                    if pages > 0 {
                        let base = main_file.and_then(|file| contents.get(&file));
                        history.begin(base.map(Vec::as_slice).unwrap_or_default());
                        history.commit(std::mem::take(&mut transaction), pages, index);
                    }
                }
                _ => {}
            }
        }
        history
    }

    fn begin(&mut self, base: &[u8]) {
        if self.sizes.is_empty() {
            let pages = base.chunks_exact(self.page_size);
            self.sizes.push(pages.len());
            self.at.push(0);
            self.pages = pages.enumerate().map(|(index, page)| (index + 1, vec![(0, page.into())])).collect();
        }
    }

    fn commit(&mut self, transaction: BTreeMap<usize, Arc<[u8]>>, pages: usize, index: usize) {
        let state = self.sizes.len();
        self.sizes.push(pages);
        self.at.push(index);
        for (page, content) in transaction {
            self.pages.entry(page).or_default().push((state, content));
        }
    }

    /// The newest state up to `last` that this file is, byte for byte.
    pub(crate) fn state_of(&self, main: &[u8], last: usize) -> Option<usize> {
        (0..=last.min(self.sizes.len().saturating_sub(1))).rev().find(|state| self.is(main, *state))
    }

    fn is(&self, main: &[u8], state: usize) -> bool {
        let pages = self.sizes[state];
        main.len() >= pages * self.page_size
            && main.chunks_exact(self.page_size).take(pages).enumerate().all(|(index, page)| {
                let versions = self.pages.get(&(index + 1)).map(Vec::as_slice).unwrap_or_default();
                versions
                    .iter()
                    .rev()
                    .find(|(at, _)| *at <= state)
                    .is_some_and(|(_, content)| **content == *page)
            })
    }

    /// How many commits were complete before this record, flushed or not.
    pub(crate) fn written_before(&self, index: usize) -> usize {
        self.at.iter().skip(1).take_while(|at| **at < index).count()
    }

    /// Number of commits.
    pub(crate) fn commits(&self) -> usize {
        self.sizes.len().saturating_sub(1)
    }
}
