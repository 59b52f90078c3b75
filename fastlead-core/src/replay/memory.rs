//! What a replay remembers of people, who may be many: in memory, or wherever an embedder puts it.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::error::Result;
use crate::time::Timestamp;

/// Bytes of a [`MemoryKey`].
pub const KEY_BYTES: usize = 21;
/// Bytes of what is remembered under a key.
pub const VALUE_BYTES: usize = 20;

/// What something is remembered under. It tells nothing of whom: the last 16 bytes are those of a hash.
pub type MemoryKey = [u8; KEY_BYTES];

/// Something that is remembered until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// From when on it is over, in milliseconds since 1970; `i64::MAX` where it never is.
    pub until: i64,
    /// What a replay makes of it.
    pub value: [u8; VALUE_BYTES],
}

impl Remembered {
    /// Whether it says nothing any more at `now`, in milliseconds since 1970.
    pub const fn is_over(&self, now: i64) -> bool {
        self.until <= now
    }
}

/// Keeps what a replay remembers of people: a few entries of every person within the windows of the policy.
///
/// Each replay has its own. A replay that has got an error has ended; nothing is asked of its memory afterwards.
///
/// ```
/// use fastlead_core::replay::{InMemory, Memory, Remembered};
///
/// let mut memory = InMemory::new();
/// memory.put([1; 21], Remembered { until: 50, value: [2; 20] }, 10)?;
/// assert!(memory.get(&[1; 21], 49)?.is_some());
/// assert!(memory.get(&[1; 21], 50)?.is_none());
/// # Ok::<(), fastlead_core::Error>(())
/// ```
pub trait Memory: Debug + Send {
    /// What was put under a key last, where it is not over at `now`.
    ///
    /// # Behavior
    /// * The same calls give the same answers, whatever the implementation and whenever it forgets.
    /// * `now` never goes back from call to call.
    ///
    /// # Errors
    /// Where what was put cannot be read back.
    fn get(&mut self, key: &MemoryKey, now: i64) -> Result<Option<Remembered>>;

    /// Remembers this under the key from now on, instead of what was there before, even if this is over earlier.
    ///
    /// # Errors
    /// Where it cannot be kept.
    fn put(&mut self, key: MemoryKey, entry: Remembered, now: i64) -> Result<()>;

    /// Room may be made: what is over at `now` is not asked for any more.
    ///
    /// # Errors
    /// Where room cannot be made.
    fn sweep(&mut self, now: i64) -> Result<()>;

    /// Where leads under way are put away; `None` where they stay in memory.
    ///
    /// # Behavior
    /// * Always or never: what was put away is asked for again.
    fn shelf(&mut self) -> Option<&mut dyn Shelf>;
}

/// Where something is on a [`Shelf`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In which file, or whatever the shelf consists of.
    pub file: u64,
    /// From which byte on.
    pub from: u32,
    /// How many bytes.
    pub length: u32,
}

/// Keeps leads under way that nothing happens to for a while: contacts and all, as JSON.
///
/// ```
/// use fastlead_core::Result;
/// use fastlead_core::replay::{Place, Shelf};
///
/// /// Everything in one piece of memory; `fastlead_store::SpillingMemory` has files.
/// #[derive(Default)]
/// struct Drawer(Vec<u8>);
///
/// impl Shelf for Drawer {
///     fn room(&self) -> usize {
///         1_000
///     }
///
///     fn put_away(&mut self, bytes: &[u8]) -> Result<Place> {
///         let place = Place { file: 0, from: self.0.len() as u32, length: bytes.len() as u32 };
///         self.0.extend_from_slice(bytes);
///         Ok(place)
///     }
///
///     fn read_back(&mut self, place: Place, bytes: &mut Vec<u8>) -> Result<()> {
///         let from = place.from as usize;
///         bytes.clear();
///         bytes.extend_from_slice(&self.0[from..from + place.length as usize]);
///         Ok(())
///     }
///
///     fn free(&mut self, _place: Place) {}
/// }
///
/// let mut drawer = Drawer::default();
/// drawer.put_away(b"one")?;
/// let (place, mut bytes) = (drawer.put_away(b"two")?, Vec::new());
/// drawer.read_back(place, &mut bytes)?;
/// assert_eq!(bytes, b"two");
/// # Ok::<(), fastlead_core::Error>(())
/// ```
pub trait Shelf {
    /// How many leads may be in memory before more are put here.
    fn room(&self) -> usize;

    /// Keeps these bytes.
    ///
    /// # Errors
    /// Where they cannot be kept.
    fn put_away(&mut self, bytes: &[u8]) -> Result<Place>;

    /// Reads what was put there, instead of what is in `bytes`.
    ///
    /// # Errors
    /// Where it cannot be read back.
    fn read_back(&mut self, place: Place, bytes: &mut Vec<u8>) -> Result<()>;

    /// It is not wanted any more.
    fn free(&mut self, place: Place);
}

/// Remembers in memory: about 100 bytes an entry. A tree, because a hash table has twice as many places as entries
/// right after it has grown.
#[derive(Debug, Clone, Default)]
pub struct InMemory {
    entries: BTreeMap<MemoryKey, Remembered>,
}

impl InMemory {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries there are, those that are over and were not swept included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Memory for InMemory {
    fn get(&mut self, key: &MemoryKey, now: i64) -> Result<Option<Remembered>> {
        Ok(self.entries.get(key).copied().filter(|entry| !entry.is_over(now)))
    }

    fn put(&mut self, key: MemoryKey, entry: Remembered, _now: i64) -> Result<()> {
        self.entries.insert(key, entry);
        Ok(())
    }

    fn sweep(&mut self, now: i64) -> Result<()> {
        self.entries.retain(|_, entry| !entry.is_over(now));
        Ok(())
    }

    fn shelf(&mut self) -> Option<&mut dyn Shelf> {
        None
    }
}

/// A moment as memories know it.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.timestamp_millis()
}
