//! A Bloom filter of fixed size: says of a key that it was surely never added, or that it may have been.

use fastlead_core::replay::{KEY_BYTES, MemoryKey};

/// A line of the processor's cache: all bits of a key are in one.
const LINE_BITS: u64 = 512;
/// 8 MiB. With 6 million keys one of about ten unknown ones costs a look into the files, with 30 million most do.
const LINES: usize = 131_072;
/// Bits of a key.
const BITS: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Bloom {
    /// None where nothing was added yet.
    lines: Vec<[u64; 8]>,
}

impl Bloom {
    pub(super) fn add(&mut self, key: &MemoryKey) {
        if self.lines.is_empty() {
            self.lines = vec![[0; 8]; LINES];
        }
        let (line, hash) = place(key);
        for (word, bit) in bits(hash) {
            self.lines[line][word] |= bit;
        }
    }

    pub(super) fn may_have(&self, key: &MemoryKey) -> bool {
        let (line, hash) = place(key);
        self.lines.get(line).is_some_and(|line| bits(hash).all(|(word, bit)| line[word] & bit != 0))
    }

    pub(super) fn clear(&mut self) {
        self.lines.fill([0; 8]);
    }
}

/// The line of a key, and what decides on its bits in there. The last 16 bytes of a key are those of a hash; what comes
/// before tells the keys of one person apart.
fn place(key: &MemoryKey) -> (usize, u64) {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let word =
        |from: usize, to: usize| key[from..to].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let mix = |word: u64| {
        let product = word.wrapping_mul(ODD);
        product ^ product >> 32
    };
    let kind = mix(word(0, KEY_BYTES - 16));
    let line = mix(word(KEY_BYTES - 16, KEY_BYTES - 8) ^ kind);
    let hash = mix(mix(word(KEY_BYTES - 8, KEY_BYTES) ^ kind.rotate_left(17)) ^ line);
    // The remainder is less than the number of lines.
    (usize::try_from(line % LINES as u64).unwrap_or(0), hash)
}

fn bits(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    (0..BITS).map(move |number| {
        let place = hash >> (9 * number) & (LINE_BITS - 1);
        (usize::try_from(place / 64).unwrap_or(0), 1 << (place % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: u8, person: u64) -> MemoryKey {
        let mut key = [0; KEY_BYTES];
        key[0] = kind;
        // As even as a hash, and different in both halves.
        key[5..13].copy_from_slice(&person.wrapping_mul(0xd6e8_feb8_6659_fd93).to_be_bytes());
        key[13..].copy_from_slice(&person.wrapping_mul(0xa076_1d64_78bd_642f).to_be_bytes());
        key
    }

    #[test]
    fn what_was_added_is_known_and_little_else() {
        let mut bloom = Bloom::default();
        assert!(!bloom.may_have(&key(0, 1)));
        for person in 0..300_000 {
            bloom.add(&key(0, person));
            bloom.add(&key(3, person));
        }
        assert!(
            (0..300_000).all(|person| bloom.may_have(&key(0, person)) && bloom.may_have(&key(3, person)))
        );
        // 112 bits a key: of other people, and of other keys of the same people.
        let others = (300_000..400_000).filter(|person| bloom.may_have(&key(0, *person))).count();
        let same = (0..100_000).filter(|person| bloom.may_have(&key(1, *person))).count();
        assert!(others < 100 && same < 100, "{others} and {same} of 100,000 by mistake");
        bloom.clear();
        assert!(!bloom.may_have(&key(0, 1)));
    }
}
