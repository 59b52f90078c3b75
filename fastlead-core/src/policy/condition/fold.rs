//! Comparison of texts without regard to case: character by character, without a copy.

/// The character in lower case. The few that would become several stay as they are.
fn fold(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(single), None) => single,
        _ => character,
    }
}

fn alike(a: char, b: char) -> bool {
    a == b || fold(a) == fold(b)
}

pub(super) fn lower(text: &str) -> String {
    text.chars().map(fold).collect()
}

pub(super) fn same(a: &str, b: &str) -> bool {
    let mut b = b.chars();
    a.chars().all(|a| b.next().is_some_and(|b| alike(a, b))) && b.next().is_none()
}

pub(super) fn starts_with(text: &str, start: &str) -> bool {
    let mut text = text.chars();
    start.chars().all(|wanted| text.next().is_some_and(|have| alike(have, wanted)))
}

pub(super) fn ends_with(text: &str, end: &str) -> bool {
    let mut text = text.chars().rev();
    end.chars().rev().all(|wanted| text.next().is_some_and(|have| alike(have, wanted)))
}

pub(super) fn contains(text: &str, part: &str) -> bool {
    part.is_empty() || text.char_indices().any(|(at, _)| starts_with(&text[at..], part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_compare_as_their_lower_case(text in "[aAяЯёЁİßẞ]{0,6}", other in "[aAяЯёЁİßẞ]{0,3}") {
            let (low, other_low) = (lower(&text), lower(&other));
            prop_assert_eq!(same(&text, &other), low == other_low);
            prop_assert_eq!(starts_with(&text, &other), low.starts_with(&other_low));
            prop_assert_eq!(ends_with(&text, &other), low.ends_with(&other_low));
            prop_assert_eq!(contains(&text, &other), low.contains(&other_low));
        }
    }
}
