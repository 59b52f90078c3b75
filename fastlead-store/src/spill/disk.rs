//! A table of a database in a file without a name.

use std::io;
use std::marker::PhantomData;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, Error, Key, ReadableDatabase as _, StorageBackend, StorageError, Table,
    TableDefinition, Value,
};

/// A table that is read and changed by nobody else.
#[derive(Debug)]
pub(super) struct Disk<K, V> {
    database: Database,
    entries: PhantomData<fn(K) -> V>,
}

impl<K: Key + 'static, V: Value + 'static> Disk<K, V> {
    /// An empty table, of which so many bytes at most are in memory.
    pub(super) fn create(folder: &Path, cache_bytes: usize) -> Result<Self, Error> {
        let file = Temporary(FileBackend::new(tempfile::tempfile_in(folder)?)?);
        let database = Builder::new().set_cache_size(cache_bytes).create_with_backend(file)?;
        let disk = Self { database, entries: PhantomData };
        disk.change(|_| Ok(()))?;
        Ok(disk)
    }

    const fn table() -> TableDefinition<'static, K, V> {
        TableDefinition::new("entries")
    }

    pub(super) fn get<'a, T>(
        &self,
        key: K::SelfType<'a>,
        read: impl FnOnce(V::SelfType<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        let table = self.database.begin_read()?.open_table(Self::table())?;
        Ok(table.get(key)?.map(|found| read(found.value())))
    }

    /// Makes all of a change. It is cheaper in the order of keys.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Table<'_, K, V>) -> Result<T, StorageError>,
    ) -> Result<T, Error> {
        let transaction = self.database.begin_write()?;
        let made = change(&mut transaction.open_table(Self::table())?)?;
        transaction.commit()?;
        Ok(made)
    }
}

/// A file that nobody opens again: what was written need not outlast a failure of power, so nothing waits for the disk.
#[derive(Debug)]
struct Temporary(FileBackend);

impl StorageBackend for Temporary {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
