//! Chance that repeats itself: the same seed and stream give the same draws on every machine.

/// One stream of draws. Streams of one seed do not depend on each other, so that a change in what one
/// part of a simulation draws leaves the others as they were.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64, stream: &str) -> Self {
        // FNV-1a of the stream's name, mixed with the seed by the first draw.
        let name = stream.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut chance = Self(seed ^ name);
        chance.0 = chance.draw();
        chance
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 where that is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.draw()) * u128::from(limit);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `least` to `most`, both included.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// Yes in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, items: [T; N]) -> T {
        items[usize::try_from(self.below(N as u64)).unwrap_or(0)]
    }

    /// `most` of these at most, at least one, in their order.
    pub(super) fn some<T: Clone>(&mut self, items: &[T], most: usize) -> Vec<T> {
        let wanted = usize::try_from(self.between(1, most.min(items.len()).max(1) as u64)).unwrap_or(1);
        let mut left = wanted;
        let mut chosen = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let remaining = (items.len() - index) as u64;
            if self.below(remaining) < left as u64 {
                chosen.push(item.clone());
                left -= 1;
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_itself_and_differs_from_others() {
        let draws = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            [(); 8].map(|()| chance.below(1_000_000))
        };
        assert_eq!(draws(1, "a"), draws(1, "a"));
        assert_ne!(draws(1, "a"), draws(1, "b"));
        assert_ne!(draws(1, "a"), draws(2, "a"));
    }

    #[test]
    fn draws_stay_within_their_limits() {
        let mut chance = Chance::new(7, "limits");
        for _ in 0..1_000 {
            assert!(chance.below(3) < 3);
            assert!((2..=5).contains(&chance.between(2, 5)));
            assert!((1..=2).contains(&chance.some(&[1, 2, 3, 4], 2).len()));
        }
        assert_eq!(chance.below(0), 0);
        assert!(!chance.percent(0) && chance.percent(100));
    }
}
