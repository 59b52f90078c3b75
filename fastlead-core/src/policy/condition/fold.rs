//! Comparison of texts without regard to case: both sides character by character in lower case.

fn folded(text: &str) -> impl Iterator<Item = char> + Clone {
    text.chars().flat_map(char::to_lowercase)
}

pub(super) fn lower(text: &str) -> String {
    folded(text).collect()
}

pub(super) fn same(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() { a.eq_ignore_ascii_case(b) } else { folded(a).eq(folded(b)) }
}

pub(super) fn starts_with(text: &str, start: &str) -> bool {
    let mut text = folded(text);
    folded(start).all(|character| text.next() == Some(character))
}

pub(super) fn ends_with(text: &str, end: &str) -> bool {
    lower(text).ends_with(&lower(end))
}

pub(super) fn contains(text: &str, part: &str) -> bool {
    lower(text).contains(&lower(part))
}
