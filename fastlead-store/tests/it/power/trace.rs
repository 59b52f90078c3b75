//! What a process did to the files of a folder, in order; recorded by `shim.c`.

use std::path::Path;
use std::sync::Arc;

/// A call that changed something on the disk, or a word of the process itself.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    /// A file came to be under this name.
    Created {
        file: u32,
        name: String,
    },
    /// A file that was there before the recording was opened.
    Found {
        file: u32,
        name: String,
    },
    Written {
        file: u32,
        offset: usize,
        data: Arc<[u8]>,
    },
    Truncated {
        file: u32,
        length: usize,
    },
    Flushed {
        file: u32,
    },
    Unlinked {
        name: String,
    },
    FolderFlushed,
    /// Something that the process says, such as that a lead is acknowledged.
    Mark(String),
}

/// Reads a trace.
pub(crate) fn read(path: &Path) -> Vec<Record> {
    let bytes = std::fs::read(path).expect("the child has recorded something");
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while let Some((head, tail)) = rest.split_at_checked(17) {
        let number = |from: usize| u32::from_le_bytes(head[from..from + 4].try_into().unwrap());
        let file = number(1);
        let place = usize::try_from(u64::from_le_bytes(head[5..13].try_into().unwrap())).unwrap();
        let (data, tail) = tail.split_at(usize::try_from(number(13)).unwrap());
        let text = || String::from_utf8(data.to_vec()).unwrap();
        records.push(match head[0] {
            1 => Record::Created { file, name: text() },
            2 => Record::Found { file, name: text() },
            3 => Record::Written { file, offset: place, data: data.into() },
            4 => Record::Truncated { file, length: place },
            5 => Record::Flushed { file },
            6 => Record::Unlinked { name: text() },
            8 => Record::FolderFlushed,
            9 => Record::Mark(text()),
            kind => panic!("the model of the disk does not know {} (record of kind {kind})", text()),
        });
        rest = tail;
    }
    assert!(rest.is_empty(), "the trace ends in the middle of a record");
    records
}
