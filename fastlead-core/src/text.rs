//! Fitting a text into what a channel carries: refuse it, cut it, or split it into several messages.

use serde::{Deserialize, Serialize};

use crate::channel::{TextLimit, TextUnit};
use crate::error::{Error, ErrorKind, Result};
use crate::message::Text;
use crate::secret::Pii;

/// Put where a text was cut.
const ELLIPSIS: char = '…';

/// What happens to a text that is longer than the channel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The message is refused before anything is sent.
    Reject,
    /// The text is cut, and ends with `…`.
    Truncate,
    /// The text goes out as several messages; it is refused where even the greatest allowed number
    /// of them cannot hold it.
    #[default]
    Split,
}

/// The messages that carry `text` over a channel with `limit`, in the order of sending.
///
/// * HTML cannot be cut safely: a text that was cut or split carries `plain` only. HTML that is
///   longer than the limit, tags left out, is dropped even where `plain` fits.
/// * The subject stays on every part, because a channel that has subjects wants one each time.
/// * Buttons are on the last part.
///
/// # Errors
/// [`ErrorKind::Content`] where the text is too long for `overflow`, needs more than `max_parts`
/// messages, or the limit is too small for a single character. The message holds lengths, never text.
pub fn fit(text: &Text, limit: Option<TextLimit>, overflow: Overflow, max_parts: u32) -> Result<Vec<Text>> {
    let Some(limit) = limit else { return Ok(vec![text.clone()]) };
    let whole = text.plain.expose();
    let plain = if fits(whole, limit) { whole } else { whole.trim() };
    if fits(plain, limit) {
        let html = text.html.as_ref().filter(|html| fits(&shown_by(html.expose()), limit)).cloned();
        return Ok(vec![Text { plain: Pii::new(plain.to_owned()), html, ..text.clone() }]);
    }
    match overflow {
        Overflow::Reject => Err(too_long(plain, limit)),
        Overflow::Truncate => {
            let plain = Pii::new(truncate(plain, limit)?);
            Ok(vec![Text { plain, html: None, ..text.clone() }])
        }
        Overflow::Split => {
            let mut parts = Vec::new();
            let mut rest = plain;
            while !rest.is_empty() {
                if parts.len() >= usize::try_from(max_parts).unwrap_or(usize::MAX) {
                    let error = too_long(plain, limit);
                    return Err(error.with_context("max_parts", max_parts.to_string()));
                }
                let (part, tail) = first_part(rest, limit)?;
                parts.push(Text {
                    subject: text.subject.clone(),
                    plain: Pii::new(part.to_owned()),
                    html: None,
                    buttons: Vec::new(),
                });
                rest = tail;
            }
            if let Some(last) = parts.last_mut() {
                last.buttons.clone_from(&text.buttons);
            }
            Ok(parts)
        }
    }
}

/// Cuts `text` into parts that fit `limit`: between paragraphs, lines or sentences where such a
/// place lies in the second half of the part, else between words, else inside a word but never
/// inside what a person sees as one character. White space at the cuts is dropped, nothing else.
///
/// # Errors
/// [`ErrorKind::Content`] where the limit is too small for a single character.
pub fn split(text: &str, limit: TextLimit) -> Result<Vec<&str>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (part, tail) = first_part(rest, limit)?;
        parts.push(part);
        rest = tail;
    }
    Ok(parts)
}

/// `text` as it is where it fits `limit`, else its beginning with `…` at the end; a limit that has
/// no room for the `…` gets the beginning alone.
///
/// # Errors
/// [`ErrorKind::Content`] where the limit is too small for a single character.
pub fn truncate(text: &str, limit: TextLimit) -> Result<String> {
    if fits(text, limit) {
        return Ok(text.to_owned());
    }
    let text = text.trim();
    if fits(text, limit) {
        return Ok(text.to_owned());
    }
    let mark = width(ELLIPSIS, limit.unit);
    let room = limit.max.saturating_sub(u32::try_from(mark).unwrap_or(u32::MAX));
    let end = prefix(text, TextLimit { max: room, ..limit });
    if end == 0 {
        let end = prefix(text, limit);
        return if end == 0 {
            Err(too_narrow(limit))
        } else {
            Ok(text[..whole_character(text, end)].to_owned())
        };
    }
    let word = if text[end..].starts_with(breaks) { Some(end) } else { text[..end].rfind(breaks) };
    let at = word.filter(|at| *at >= end / 2).unwrap_or_else(|| whole_character(text, end));
    let mut cut = text[..at].trim_end().to_owned();
    cut.push(ELLIPSIS);
    Ok(cut)
}

/// The first part of `rest`, which starts with no white space, and what is left after it.
fn first_part(rest: &str, limit: TextLimit) -> Result<(&str, &str)> {
    let end = prefix(rest, limit);
    if end == 0 {
        return Err(too_narrow(limit));
    }
    let at = if end == rest.len() { end } else { best_cut(rest, end) };
    Ok((rest[..at].trim_end(), rest[at..].trim_start()))
}

/// Where to cut `text` so that at most `end` bytes come before; `0 < cut <= end < text.len()`.
fn best_cut(text: &str, end: usize) -> usize {
    let (room, beyond) = text.split_at(end);
    let late = |at: &usize| *at >= end / 2 && *at > 0;
    let paragraph = || room.rfind("\n\n").filter(late);
    let line = || if beyond.starts_with('\n') { Some(end) } else { room.rfind('\n').filter(late) };
    let sentence = || {
        let ends_at = |at: usize| text[at..].starts_with(breaks);
        let stops = room.rmatch_indices(['.', '!', '?', ELLIPSIS]);
        stops.map(|(at, stop)| at + stop.len()).find(|at| ends_at(*at)).filter(late)
    };
    let word =
        || if beyond.starts_with(breaks) { Some(end) } else { room.rfind(breaks).filter(|at| *at > 0) };
    paragraph().or_else(line).or_else(sentence).or_else(word).unwrap_or_else(|| whole_character(text, end))
}

/// White space that a line may be broken at: not the no-break spaces.
fn breaks(character: char) -> bool {
    character.is_whitespace() && !matches!(character, '\u{a0}' | '\u{2007}' | '\u{202f}')
}

/// How many bytes of `text` fit `limit`; always a character boundary.
fn prefix(text: &str, limit: TextLimit) -> usize {
    let max = usize::try_from(limit.max).unwrap_or(usize::MAX);
    let mut used = 0_usize;
    for (at, character) in text.char_indices() {
        used += width(character, limit.unit);
        if used > max {
            return at;
        }
    }
    text.len()
}

/// About the text that markup shows: without its tags, and each character reference as one character. Providers count
/// what is left after they have read the markup, such as Telegram ("after entities parsing",
/// <https://core.telegram.org/bots/api#sendmessage>); markup of two bytes a word must not cost the whole markup.
fn shown_by(html: &str) -> String {
    let mut shown = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        let (text, marked) = rest.split_at(at);
        shown.push_str(text);
        let (meant, after) = tag(marked).or_else(|| reference(marked)).unwrap_or(marked.split_at(1));
        shown.push_str(meant);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// What a tag at the start of `marked` shows, at most, and what follows it.
fn tag(marked: &str) -> Option<(&'static str, &str)> {
    let inside = marked.strip_prefix('<')?;
    inside.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!')).then_some(())?;
    let (tag, after) = inside.split_once('>')?;
    let name = tag.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    let shown = match name.to_ascii_lowercase().as_str() {
        "br" => "\n",
        "p" => "\n\n",
        _ => "",
    };
    Some((shown, after))
}

/// The same for a character reference that every reader of markup knows.
fn reference(marked: &str) -> Option<(&'static str, &str)> {
    let (name, after) = marked.strip_prefix('&')?.split_once(';')?;
    let is_number = name.strip_prefix('#').is_some_and(|number| {
        (1..=8).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'x')
    });
    // The widest character stands for all.
    (is_number || matches!(name, "lt" | "gt" | "amp" | "quot")).then_some(("\u{10ffff}", after))
}

fn fits(text: &str, limit: TextLimit) -> bool {
    prefix(text, limit) == text.len()
}

const fn width(character: char, unit: TextUnit) -> usize {
    match unit {
        TextUnit::Chars => 1,
        TextUnit::Utf16 => character.len_utf16(),
        TextUnit::Bytes => character.len_utf8(),
    }
}

/// The last place at or before `end` that does not part what a person sees as one character; `end`
/// itself where one such character fills the whole room.
///
/// This knows combining marks, emoji sequences and flags, not all of UAX #29.
fn whole_character(text: &str, end: usize) -> usize {
    let mut at = end;
    while joins(text, at) {
        at = text[..at].char_indices().next_back().map_or(0, |(start, _)| start);
    }
    if at == 0 { end } else { at }
}

/// Whether the characters before and after `at` belong together.
fn joins(text: &str, at: usize) -> bool {
    let (before, after) = text.split_at(at);
    let (Some(previous), Some(next)) = (before.chars().next_back(), after.chars().next()) else {
        return false;
    };
    let flag = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    let inside_flag = || before.chars().rev().take_while(|c| flag(*c)).count() % 2 == 1;
    previous == '\u{200d}'
        || extends(next)
        || (previous, next) == ('\r', '\n')
        || (flag(next) && inside_flag())
}

/// Characters that change the one before them: marks, joiners, variation and skin-tone selectors, tags.
const fn extends(character: char) -> bool {
    matches!(character,
        '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05bd}' | '\u{064b}'..='\u{065f}'
        | '\u{093a}'..='\u{094d}' | '\u{0e31}' | '\u{0e34}'..='\u{0e3a}' | '\u{0e47}'..='\u{0e4e}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{200d}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0020}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

fn too_long(text: &str, limit: TextLimit) -> Error {
    let length = limit.unit.measure(text);
    let unit = unit_name(limit.unit);
    Error::new(ErrorKind::Content, format!("the text has {length} {unit}, one message carries {}", limit.max))
        .with_operation("fit")
}

fn too_narrow(limit: TextLimit) -> Error {
    let unit = unit_name(limit.unit);
    Error::new(ErrorKind::Content, format!("a limit of {} {unit} holds no character of the text", limit.max))
        .with_operation("fit")
}

const fn unit_name(unit: TextUnit) -> &'static str {
    match unit {
        TextUnit::Chars => "characters",
        TextUnit::Utf16 => "UTF-16 units",
        TextUnit::Bytes => "bytes",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{Button, ButtonAction, Response};

    const fn chars(max: u32) -> TextLimit {
        TextLimit { max, unit: TextUnit::Chars }
    }

    #[test]
    fn cuts_where_a_reader_would() {
        for (text, max, expected) in [
            ("fits", 4, vec!["fits"]),
            ("first paragraph\n\nsecond. one", 26, vec!["first paragraph", "second. one"]),
            ("one whole line\nanother line", 22, vec!["one whole line", "another line"]),
            ("Это раз. Это два слова", 13, vec!["Это раз.", "Это два слова"]),
            ("one two three", 8, vec!["one two", "three"]),
            ("one two three", 7, vec!["one two", "three"]),
            ("a https://example.com/", 20, vec!["a", "https://example.com/"]),
            ("abcdefgh", 3, vec!["abc", "def", "gh"]),
            ("10\u{a0}000 rub", 5, vec!["10\u{a0}00", "0 rub"]),
            ("  \n ", 2, vec![]),
        ] {
            assert_eq!(split(text, chars(max)).unwrap(), expected, "{text:?} at {max}");
        }
    }

    #[test]
    fn what_looks_like_one_character_stays_whole() {
        for (text, max, expected) in [
            ("aae\u{301}b", 3, vec!["aa", "e\u{301}b"]),
            ("ab👨\u{200d}👩\u{200d}👧", 5, vec!["ab", "👨\u{200d}👩\u{200d}👧"]),
            ("a👍\u{1f3fd}", 2, vec!["a", "👍\u{1f3fd}"]),
            ("🇷🇺🇬🇧", 3, vec!["🇷🇺", "🇬🇧"]),
            ("❤\u{fe0f}❤\u{fe0f}", 3, vec!["❤\u{fe0f}", "❤\u{fe0f}"]),
        ] {
            assert_eq!(split(text, chars(max)).unwrap(), expected, "{text:?} at {max}");
        }
    }

    #[test]
    fn units_are_those_of_the_provider() {
        let emoji = "😀😀";
        assert_eq!(split(emoji, TextLimit { max: 3, unit: TextUnit::Utf16 }).unwrap(), vec!["😀", "😀"]);
        assert_eq!(split("яя", TextLimit { max: 3, unit: TextUnit::Bytes }).unwrap(), vec!["я", "я"]);
        let error = split("я", TextLimit { max: 1, unit: TextUnit::Bytes }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Content);
        assert!(split(emoji, TextLimit { max: 1, unit: TextUnit::Utf16 }).is_err());
        assert!(split("a", chars(0)).is_err());
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(truncate("short", chars(5)).unwrap(), "short");
        assert_eq!(truncate("one two three", chars(9)).unwrap(), "one two…");
        assert_eq!(truncate("one two three", chars(8)).unwrap(), "one two…");
        assert_eq!(truncate("abcdefgh", chars(4)).unwrap(), "abc…");
        assert_eq!(truncate("abc", TextLimit { max: 2, unit: TextUnit::Bytes }).unwrap(), "ab");
        assert!(truncate("abc", chars(0)).is_err());
    }

    fn long_text() -> Text {
        let button = Button { label: "Accept".to_owned(), action: ButtonAction::Respond(Response::Accept) };
        Text {
            subject: Some("New lead".into()),
            plain: "one two three".into(),
            html: Some("<b>one</b> two three".into()),
            buttons: vec![button],
        }
    }

    #[test]
    fn overflow_decides() {
        let text = long_text();
        assert_eq!(fit(&text, None, Overflow::Reject, 1).unwrap(), vec![text.clone()]);
        assert_eq!(fit(&text, Some(chars(100)), Overflow::Reject, 1).unwrap(), vec![text.clone()]);

        let error = fit(&text, Some(chars(8)), Overflow::Reject, 9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "fit: content refused: the text has 13 characters, one message carries 8"
        );

        let cut = fit(&text, Some(chars(8)), Overflow::Truncate, 9).unwrap();
        assert_eq!(cut.len(), 1);
        assert_eq!(cut[0].plain.expose(), "one two…");
        assert_eq!((&cut[0].subject, &cut[0].html, &cut[0].buttons), (&text.subject, &None, &text.buttons));

        let parts = fit(&text, Some(chars(8)), Overflow::Split, 2).unwrap();
        let plain: Vec<_> = parts.iter().map(|part| part.plain.expose().as_str()).collect();
        assert_eq!(plain, ["one two", "three"]);
        assert!(parts.iter().all(|part| part.html.is_none() && part.subject == text.subject));
        assert_eq!(parts.iter().map(|part| part.buttons.len()).collect::<Vec<_>>(), [0, 1]);

        let error = fit(&text, Some(chars(8)), Overflow::Split, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Content);
        assert!(error.to_string().ends_with("max_parts=1"), "{error}");
    }

    #[test]
    fn html_is_kept_only_where_it_fits_by_itself() {
        for (html, kept) in [
            ("<b>one</b> two three", true),
            ("<a href=\"https://example.com/a/long/address\">one</a> two &lt;thr>", true),
            ("one two three four", false),
            ("<p>one</p> two three", false),
            ("one two<br> three<br>", false),
            ("one &unknown; two", false),
            ("one < two & three", false),
        ] {
            let text = Text { html: Some(html.into()), ..long_text() };
            let fitted = fit(&text, Some(chars(13)), Overflow::Split, 1).unwrap();
            assert_eq!((fitted.len(), fitted[0].buttons.len()), (1, 1));
            assert_eq!(fitted[0].html.is_some(), kept, "{html}");
        }
    }

    #[test]
    fn overflow_is_a_word_in_a_policy() {
        assert_eq!(serde_json::to_value(Overflow::default()).unwrap(), "split");
    }

    fn any_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-zа-я]{1,12}",
            "[ \\n\\t\u{a0}]{1,3}",
            "[.!?…,]",
            Just("👨\u{200d}👩\u{200d}👧".to_owned()),
            Just("e\u{301}\u{302}".to_owned()),
            Just("🇷🇺".to_owned()),
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    fn any_limit() -> impl Strategy<Value = TextLimit> {
        let unit = prop_oneof![Just(TextUnit::Chars), Just(TextUnit::Utf16), Just(TextUnit::Bytes)];
        (4_u32..80, unit).prop_map(|(max, unit)| TextLimit { max, unit })
    }

    fn visible<'a>(text: impl IntoIterator<Item = &'a str>) -> String {
        text.into_iter().flat_map(str::chars).filter(|c| !c.is_whitespace()).collect()
    }

    proptest! {
        #[test]
        fn parts_fit_and_lose_nothing_that_can_be_seen(text in any_text(), limit in any_limit()) {
            let parts = split(&text, limit).unwrap();
            for part in &parts {
                prop_assert!(!part.trim().is_empty());
                prop_assert!(limit.unit.measure(part) <= limit.max as usize, "{part:?}");
            }
            prop_assert_eq!(visible(parts), visible([text.as_str()]));
        }

        #[test]
        fn a_cut_text_fits_and_is_a_beginning(text in any_text(), limit in any_limit()) {
            let cut = truncate(&text, limit).unwrap();
            prop_assert!(limit.unit.measure(&cut) <= limit.max as usize);
            let kept = cut.strip_suffix(ELLIPSIS).unwrap_or(&cut);
            prop_assert!(text.starts_with(kept) || text.trim().starts_with(kept));
        }

        #[test]
        fn fit_agrees_with_split(text in any_text(), limit in any_limit()) {
            let fitted = fit(&Text::plain(&*text), Some(limit), Overflow::Split, u32::MAX).unwrap();
            prop_assert!(!fitted.is_empty());
            for part in &fitted {
                prop_assert!(limit.unit.measure(part.plain.expose()) <= limit.max as usize);
            }
            prop_assert_eq!(visible(fitted.iter().map(|part| part.plain.expose().as_str())), visible([text.as_str()]));
        }
    }
}
