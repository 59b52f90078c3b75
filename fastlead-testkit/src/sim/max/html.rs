//! What a person sees of a text in `format: html`: tags are taken out, unknown ones, too, and references resolved.

/// The visible text. What is no tag stays as it is written.
pub(super) fn visible(markup: &str) -> String {
    let mut text = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '<' => tag(rest),
            '&' => reference(rest).map(|(character, length)| {
                text.push(character);
                length
            }),
            _ => None,
        };
        let taken = taken.unwrap_or_else(|| {
            text.push(first);
            first.len_utf8()
        });
        rest = rest.get(taken..).unwrap_or_default();
    }
    text
}

/// The length of the tag that the text begins with.
fn tag(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('<')?;
    let name = inside.strip_prefix('/').unwrap_or(inside);
    let is_tag = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let mut quote = None;
    let end = inside.char_indices().find_map(|(at, character)| match (quote, character) {
        (None, '>') => Some(at),
        (None, '"' | '\'') => {
            quote = Some(character);
            None
        }
        (Some(open), _) if open == character => {
            quote = None;
            None
        }
        _ => None,
    })?;
    is_tag.then_some(end + 2)
}

fn reference(text: &str) -> Option<(char, usize)> {
    [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"')]
        .into_iter()
        .find(|(name, _)| text.starts_with(name))
        .map(|(name, character)| (character, name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_and_texts_stay() {
        for (markup, seen) in [
            ("", ""),
            ("<b>Анна</b> &amp; <i>Ко</i>", "Анна & Ко"),
            ("<hologram x='>'>a</hologram>", "a"),
            ("<a href=\"https://example.com/?a=1&amp;b=2\">x</a>", "x"),
            ("&lt;b&gt; &amp;amp; &copy; 1 < 2", "<b> &amp; &copy; 1 < 2"),
            ("a <b", "a <b"),
        ] {
            assert_eq!(visible(markup), seen, "{markup}");
        }
    }
}
