//! What happened, in order: a hash of everything, and the last lines in full.

use std::collections::VecDeque;
use std::fmt;

use fastlead_core::time::Timestamp;

/// Two runs went the same way if and only if their hashes are equal.
#[derive(Debug)]
pub(super) struct Journal {
    start: Timestamp,
    hash: u64,
    step: u64,
    kept: usize,
    recent: VecDeque<String>,
}

impl Journal {
    /// Keeps the last `kept` lines. Times are shown since `start`.
    pub(super) fn new(start: Timestamp, kept: usize) -> Self {
        Self { start, hash: 0xcbf2_9ce4_8422_2325, step: 0, kept, recent: VecDeque::with_capacity(kept + 1) }
    }

    /// Begins the next step. Answers its number, from 1.
    pub(super) fn next_step(&mut self) -> u64 {
        self.step += 1;
        self.step
    }

    pub(super) fn note(&mut self, at: Timestamp, what: fmt::Arguments<'_>) {
        let mut line =
            if self.recent.len() >= self.kept { self.recent.pop_front() } else { None }.unwrap_or_default();
        line.clear();
        let micros = (at - self.start).num_microseconds().unwrap_or(i64::MAX);
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        // Writing into a string does not fail.
        let _written = fmt::Write::write_fmt(
            &mut line,
            format_args!("{:>5} {hours:>3}:{minutes:02}:{seconds:02}.{micros:06} {what}", self.step),
        );
        for byte in line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.recent.push_back(line);
    }

    pub(super) const fn step(&self) -> u64 {
        self.step
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn recent(&self) -> Vec<String> {
        self.recent.iter().cloned().collect()
    }
}
