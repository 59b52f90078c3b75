//! What the engine finds out only while rendering, found by reading: the names of filters and tests,
//! and the HTML tags between them. The text has compiled, so tags and quotes are known to be closed.

/// Something with a name, and the line it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub what: What,
    pub name: &'a str,
    pub line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Filter,
    Test,
    /// The name after a `<` in the text itself; empty where there is none.
    Tag,
}

/// Most bytes of one expression or statement, as conditions have it.
const TAG_BYTES: usize = 2_000;
/// Most statements of one text, such as `{% if … %}`.
const STATEMENTS: usize = 200;

/// What of a source would be too much work to compile, with its line. A chain such as `----1`, `a.b.c` or `elif` goes one
/// call deeper with each link, and no compiler of templates counts them: a long one would overflow the stack. To be asked
/// before the text is compiled, so that nothing is known to be closed.
pub(super) fn too_much(source: &str) -> Option<(usize, String)> {
    let bytes = source.as_bytes();
    let line = |at: usize| bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let (mut at, mut statements) = (0, 0);
    while let Some(open) = source[at..].find('{').map(|open| at + open) {
        let end = match bytes.get(open + 1) {
            Some(b'{') => b'}',
            Some(b'%') => b'%',
            Some(b'#') => {
                at = after(source, open + 2, "#}");
                continue;
            }
            _ => {
                at = open + 1;
                continue;
            }
        };
        let (mut inside, mut quote) = (open + 2, None);
        while inside < bytes.len() {
            match (bytes[inside], quote) {
                (b'\\', Some(_)) => inside += 1,
                (byte, Some(quoted)) if byte == quoted => quote = None,
                (byte @ (b'"' | b'\''), None) => quote = Some(byte),
                (byte, None) if byte == end && bytes.get(inside + 1) == Some(&b'}') => break,
                _ => {}
            }
            inside += 1;
        }
        statements += usize::from(end == b'%');
        if inside.saturating_sub(open) > TAG_BYTES {
            return Some((
                line(open),
                format!("an expression of more than {TAG_BYTES} bytes; set parts of it apart with `set`"),
            ));
        }
        if statements > STATEMENTS {
            return Some((
                line(open),
                format!("more than {STATEMENTS} statements; make several templates of it"),
            ));
        }
        at = (inside + 2).min(bytes.len());
        // A quote may have stood in the middle of a character's bytes only where the text ends.
        while !source.is_char_boundary(at) {
            at += 1;
        }
    }
    None
}

/// Everything of interest in a template's source, in order.
pub(super) fn scan(source: &str) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = source[at..].find('{').map(|open| at + open) {
        let close = match source.as_bytes().get(open + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => {
                text(source, at, open + 1, &mut found);
                at = open + 1;
                continue;
            }
        };
        text(source, at, open, &mut found);
        let inside = open + 2;
        at = if close == "#}" {
            after(source, inside, close)
        } else {
            expression(source, inside, close, &mut found)
        };
        let word = source[inside..at].trim_start_matches(['-', '+']).trim_start();
        if close == "%}" && word.strip_prefix("raw").is_some_and(|rest| !rest.starts_with(is_word)) {
            let end = source[at..].find("endraw").map_or(source.len(), |end| at + end);
            let start_of_tag = source[at..end].rfind("{%").map_or(end, |tag| at + tag);
            text(source, at, start_of_tag, &mut found);
            at = after(source, end, close);
        }
    }
    text(source, at, source.len(), &mut found);
    found
}

/// The position behind the next `close`, or the end.
fn after(source: &str, from: usize, close: &str) -> usize {
    source[from..].find(close).map_or(source.len(), |at| from + at + close.len())
}

const fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Notes the tags in plain text.
fn text<'a>(source: &'a str, from: usize, to: usize, found: &mut Vec<Found<'a>>) {
    for (at, _) in source[from..to].match_indices('<') {
        let name = source[from + at + 1..to].trim_start_matches('/');
        let end = name.find(|c| !is_word(c)).unwrap_or(name.len());
        found.push(Found { what: What::Tag, name: &name[..end], line: line(source, from + at) });
    }
}

/// Notes filters and tests in what stands between braces; gives the position behind `close`.
fn expression<'a>(source: &'a str, from: usize, close: &str, found: &mut Vec<Found<'a>>) -> usize {
    let mut at = from;
    let mut awaited = None;
    let mut first = true;
    while let Some(character) = source[at..].chars().next() {
        if source[at..].starts_with(close) {
            return at + close.len();
        }
        if character == '"' || character == '\'' {
            at = behind_quotes(source, at, character);
            awaited = None;
            continue;
        }
        if !is_word(character) {
            if !character.is_whitespace() {
                awaited = (character == '|').then_some(What::Filter);
            }
            at += character.len_utf8();
            continue;
        }
        let end = source[at..].find(|c| !is_word(c)).map_or(source.len(), |end| at + end);
        let word = &source[at..end];
        let attribute = source[..at].ends_with('.');
        awaited = match (awaited, word) {
            (Some(What::Test), "not") => awaited,
            (Some(what), name) => {
                found.push(Found { what, name, line: line(source, at) });
                None
            }
            (None, "is") if !attribute => Some(What::Test),
            (None, "filter") if first && close == "%}" => Some(What::Filter),
            (None, _) => None,
        };
        first = false;
        at = end;
    }
    source.len()
}

fn behind_quotes(source: &str, open: usize, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in source[open + 1..].char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return open + 1 + at + 1,
            _ => {}
        }
    }
    source.len()
}

fn line(source: &str, at: usize) -> usize {
    source[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<(What, &str)> {
        scan(source).into_iter().map(|found| (found.what, found.name)).collect()
    }

    /// Each of these, a little longer, has overflowed the stack of a worker and ended the process of every tenant.
    #[test]
    fn long_chains_are_refused_before_they_are_compiled() {
        let chains = ["-", "not ", "~1", "+1", "**1", ".a", "()", "[1]"];
        for chain in chains {
            for body in [
                format!("{{{{ a{} }}}}", chain.repeat(15_000)),
                format!("{{{{ {}1 }}}}", chain.repeat(15_000)),
            ] {
                assert!(too_much(&body).is_some(), "{chain}");
                let hidden = body.replacen("{{ ", "{{ \"}}\" ~ '%}' ~ ", 1);
                assert!(too_much(&hidden).is_some(), "{chain}");
                assert!(too_much(&body.replace("{{", "{% if ").replace("}}", "%}")).is_some(), "{chain}");
            }
        }
        assert!(too_much(&"{% if a %}".repeat(3_000)).is_some());
        assert!(too_much(&format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}".repeat(3_000))).is_some());
        assert_eq!(too_much(&format!("a\n\n{{{{ {} }}}}", "-".repeat(2_100))).map(|(line, _)| line), Some(3));
        let usual = "{# {{ \" #}Новая заявка: {{ lead.phone|phone }}{% if lead.name %}, {{ lead.name }}{% endif %} {{ '}}' }} { и всё".repeat(20);
        assert_eq!(too_much(&usual), None);
        for cut in ["{{", "{{ '", "{% \"я", "{", "{{ '\\", "{#", "{{ я"] {
            assert_eq!(too_much(cut), None, "{cut}");
        }
    }

    #[test]
    fn filters_tests_and_tags_are_seen_and_nothing_else() {
        use What::{Filter, Tag, Test};
        for (source, expected) in [
            ("plain { text }", vec![]),
            ("{{ a|upper | trim }}", vec![(Filter, "upper"), (Filter, "trim")]),
            ("{{ a|default('x|y }} is z')|lower }}", vec![(Filter, "default"), (Filter, "lower")]),
            ("{{ a.is }} {{ 'it is|so' }} {{ 'a\\'|b' }}", vec![]),
            ("{% if a is defined and b is not none %}", vec![(Test, "defined"), (Test, "none")]),
            ("{% filter upper %}x{% endfilter %}", vec![(Filter, "upper")]),
            ("{%- for a in b|sort -%}{{ filter }}{% endfor %}", vec![(Filter, "sort")]),
            ("{# a|nothing is here <b> #}", vec![]),
            ("{% raw %}{{ a|nothing }}<i>{% endraw %}{{ b|last }}", vec![(Tag, "i"), (Filter, "last")]),
            ("<b>{{ a }}</b> 1 < 2 <a href='{{ u }}'>", vec![(Tag, "b"), (Tag, "b"), (Tag, ""), (Tag, "a")]),
            ("{{ a < b }}", vec![]),
        ] {
            assert_eq!(names(source), expected, "{source}");
        }
    }

    #[test]
    fn lines_are_counted_from_one() {
        let found = scan("a\n{{ b\n|upper }}\n<i>");
        assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [3, 4]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_read(source in "[{}%#|'\"\\\\<a-b я\\n\\-]{0,40}|.{0,40}") {
            scan(&source);
        }
    }
}
