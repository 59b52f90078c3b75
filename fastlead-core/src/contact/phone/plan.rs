//! The world's numbering plans, as Google's libphonenumber has them.
//!
//! `data/numbers/generate.py` makes the tables. All valid numbers are one automaton over their E.164 digits, so a number
//! is looked up in some fifteen steps, without regular expressions and without preparing anything.

const PLANS: &[u8] = include_bytes!("../../../data/numbers/plans.bin");
const TRUNK: &str = include_str!("../../../data/numbers/trunk.txt");

const NOWHERE: u16 = u16::MAX;

// The header of `plans.bin`, described in `generate.py`.
const STATES: usize = header(4);
const TARGETS: usize = header(6);
const ROOT: usize = header(8);
const REGIONS: usize = header(10);
const NAMES_AT: usize = 12;
const MASKS_AT: usize = NAMES_AT + 2 * REGIONS;
const OFFSETS_AT: usize = MASKS_AT + 2 * STATES;
const TARGETS_AT: usize = OFFSETS_AT + 2 * STATES;
const LABELS_AT: usize = TARGETS_AT + 2 * TARGETS;
const _: () = assert!(PLANS.len() == LABELS_AT + STATES, "plans.bin is not what its header says");

const fn header(at: usize) -> usize {
    u16::from_le_bytes([PLANS[at], PLANS[at + 1]]) as usize
}

fn word(start: usize, index: usize) -> Option<u16> {
    let bytes = PLANS.get(start + 2 * index..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn step(state: usize, digit: u8) -> Option<usize> {
    let mask = word(MASKS_AT, state)?;
    let before = (mask & ((2 << digit) - 1)).count_ones() as usize;
    let target = word(TARGETS_AT, usize::from(word(OFFSETS_AT, state)?) + before.checked_sub(1)?)?;
    (target != NOWHERE).then_some(target.into())
}

/// Region that a valid number belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// ISO 3166-1 alpha-2 code of a country.
    Country(&'static str),
    /// A code of its own for services of the whole world, such as +800.
    World,
}

/// Looks up a number by its digits with the country code. `None` where it is no valid number.
pub(super) fn region(digits: &str) -> Option<Region> {
    let mut state = ROOT;
    for digit in digits.bytes() {
        state = step(state, digit.checked_sub(b'0').filter(|digit| *digit < 10)?)?;
    }
    let label = usize::from(*PLANS.get(LABELS_AT + state)?).checked_sub(1)?;
    if label >= REGIONS {
        return Some(Region::World);
    }
    let name = PLANS.get(NAMES_AT + 2 * label..)?.get(..2)?;
    std::str::from_utf8(name).ok().map(Region::Country)
}

/// Reads digits that begin with a country code, and gives the E.164 digits of a valid number.
///
/// A number that is valid as it stands is left alone. Otherwise its country's own prefix behind the country code is
/// dropped, as in `+44 (0)20 …`; no rule of another country is ever applied.
pub(super) fn international(digits: &str) -> Option<String> {
    if region(digits).is_some() {
        return Some(digits.to_owned());
    }
    let entry = TRUNK.lines().filter(|line| !line.starts_with('#'));
    let (code, rest) =
        entry.filter_map(|line| line.split_once(' ')).find(|(code, _)| digits.starts_with(code))?;
    let (replacement, forms) = rest.split_once(' ')?;
    let national = digits.get(code.len()..)?;
    let found = forms.split(' ').find_map(|form| matched(form, national))?;
    let replaced = match found.group {
        Some((start, end)) => replacement.replace('*', national.get(start..end)?),
        None => String::new(),
    };
    let number = format!("{code}{replaced}{}", national.get(found.end..)?);
    region(&number).is_some().then_some(number)
}

/// How many leading digits of a national number a form of `trunk.txt` matches.
struct Matched {
    end: usize,
    group: Option<(usize, usize)>,
}

fn matched(form: &str, national: &str) -> Option<Matched> {
    let mut digits = national.char_indices().peekable();
    let at = |digits: &mut std::iter::Peekable<std::str::CharIndices<'_>>| {
        digits.peek().map_or(national.len(), |(at, _)| *at)
    };
    let (mut start, mut group) = (0, None);
    let mut form = form.chars();
    while let Some(expected) = form.next() {
        match expected {
            '(' => start = at(&mut digits),
            ')' => group = Some((start, at(&mut digits))),
            '$' => digits.peek().is_none().then_some(())?,
            '.' => drop(digits.next()?),
            '[' => {
                let (_, digit) = digits.next()?;
                let mut allowed = false;
                for choice in form.by_ref().take_while(|choice| *choice != ']') {
                    allowed |= choice == digit;
                }
                allowed.then_some(())?;
            }
            expected => (digits.next()?.1 == expected).then_some(())?,
        }
    }
    Some(Matched { end: at(&mut digits), group })
}

/// Country codes whose numbers are longer than those of Russia without its code: Moldova, Armenia, Belarus, Ukraine,
/// Tajikistan, Turkmenistan, Azerbaijan, Georgia, Kyrgyzstan and Uzbekistan.
pub(super) const NEIGHBOURS: [&str; 10] =
    ["373", "374", "375", "380", "992", "993", "994", "995", "996", "998"];

/// Reads digits as they are dialled in Russia, and gives the E.164 digits of a valid number.
///
/// In this order: another country behind `810`, a national number with or without the trunk prefix 8, one behind the
/// country code, one of a neighbour behind its country code, another country behind `00`.
pub(super) fn dialled_in_russia(digits: &str) -> Option<String> {
    if let Some(abroad) = digits.strip_prefix("810").filter(|abroad| !abroad.starts_with('0')) {
        return international(abroad);
    }
    let national = format!("7{digits}");
    if let Some(number) = international(&national) {
        return Some(number);
    }
    let with_code = || digits.strip_prefix("00").and_then(international);
    if digits.starts_with('7') { international(digits) } else { neighbour(digits) }.or_else(with_code)
}

/// Reads the number of a neighbour of Russia that begins with its country code, as people write it who forget the `+`.
/// Digits of that length with one of these codes are no national number.
fn neighbour(digits: &str) -> Option<String> {
    let code = NEIGHBOURS.iter().any(|code| digits.starts_with(code));
    (code && region(digits).is_some()).then(|| digits.to_owned())
}

/// Reads digits behind a `+`: a number of any country, or one with the trunk prefix of Russia in place of its country
/// code (`+8 900 …`), where no country has it.
pub(super) fn behind_plus(digits: &str) -> Option<String> {
    international(digits).or_else(|| {
        // No country has `+89` or `+83`.
        let national = digits.strip_prefix('8').filter(|national| national.len() == 10)?;
        let national = national.starts_with(['3', '9']).then_some(national)?;
        international(&format!("7{national}"))
    })
}
