//! From characters to tokens.

use std::ops::Range;

use winnow::LocatingSlice;
use winnow::Result as Parsed;
use winnow::ascii::{digit1, multispace0};
use winnow::combinator::{alt, delimited, dispatch, empty, fail, opt, preceded, repeat};
use winnow::prelude::*;
use winnow::stream::Location;
use winnow::token::{any, none_of, one_of, take_while};

use super::ConditionError;
use crate::policy::condition::{MAX_CHARS, Number};

/// A token and its bytes in the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind<'a>,
    pub(super) at: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind<'a> {
    Word(&'a str),
    Text(String),
    Number(Number),
    Symbol(&'a str),
}

type Input<'a> = LocatingSlice<&'a str>;

pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ConditionError> {
    if let Some((end, _)) = text.char_indices().nth(MAX_CHARS) {
        let message = format!("the text is too long; at most {MAX_CHARS} characters are taken");
        return Err(ConditionError::new(text, end..end, message));
    }
    let mut input = LocatingSlice::new(text);
    let mut tokens = Vec::new();
    loop {
        // White space may be absent, so that this cannot fail.
        let _space: Parsed<&str> = multispace0.parse_next(&mut input);
        let start = input.current_token_start();
        if start >= text.len() {
            return Ok(tokens);
        }
        match token.with_span().parse_next(&mut input) {
            Ok((kind, at)) => tokens.push(Token { kind, at }),
            Err(_) => return Err(unreadable(text, start)),
        }
    }
}

fn token<'a>(input: &mut Input<'a>) -> Parsed<TokenKind<'a>> {
    alt((
        word.map(TokenKind::Word),
        text.map(TokenKind::Text),
        number.map(TokenKind::Number),
        symbol.map(TokenKind::Symbol),
    ))
    .parse_next(input)
}

fn word<'a>(input: &mut Input<'a>) -> Parsed<&'a str> {
    (one_of(|c: char| c.is_ascii_alphabetic() || c == '_'), take_while(0.., is_word)).take().parse_next(input)
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn number(input: &mut Input<'_>) -> Parsed<Number> {
    (digit1, opt(('.', digit1))).take().verify_map(|digits: &str| digits.parse().ok()).parse_next(input)
}

fn text(input: &mut Input<'_>) -> Parsed<String> {
    alt((quoted('"'), quoted('\''))).parse_next(input)
}

fn quoted<'a>(quote: char) -> impl Parser<Input<'a>, String, winnow::error::ContextError> {
    let character = move |input: &mut Input<'a>| -> Parsed<char> {
        alt((none_of([quote, '\\', '\n', '\r']), preceded('\\', escape))).parse_next(input)
    };
    let characters = repeat(0.., character).fold(String::new, |mut text, character| {
        text.push(character);
        text
    });
    delimited(quote, characters, quote)
}

fn escape(input: &mut Input<'_>) -> Parsed<char> {
    dispatch! {any;
        '\\' => empty.value('\\'),
        '"' => empty.value('"'),
        '\'' => empty.value('\''),
        'n' => empty.value('\n'),
        'r' => empty.value('\r'),
        't' => empty.value('\t'),
        'u' => take_while(4..=4, |c: char| c.is_ascii_hexdigit())
            .verify_map(|digits| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)),
        _ => fail,
    }
    .parse_next(input)
}

fn symbol<'a>(input: &mut Input<'a>) -> Parsed<&'a str> {
    let single = one_of(['<', '>', '!', '(', ')', '[', ']', ',', '.', '-']).take();
    alt(("&&", "||", "==", "!=", "<=", ">=", single)).parse_next(input)
}

/// Why nothing can be read at a byte of the text, as precisely as the character there tells.
fn unreadable(text: &str, start: usize) -> ConditionError {
    let rest = text.get(start..).unwrap_or_default();
    let Some(first) = rest.chars().next() else {
        return ConditionError::new(text, start..start, "unexpected end");
    };
    let end = start + first.len_utf8();
    let (end, message) = match first {
        '"' | '\'' => {
            let line = rest.lines().next().unwrap_or_default();
            (
                start + line.len(),
                "this text does not end on its line, or has an escape other than \\\\ \\\" \\' \\n \\r \\t \\uXXXX".to_owned(),
            )
        }
        '=' => (end, "unexpected `=`; did you mean `==`?".to_owned()),
        '&' => (end, "unexpected `&`; did you mean `&&`?".to_owned()),
        '|' => (end, "unexpected `|`; did you mean `||`?".to_owned()),
        '“' | '”' | '„' | '«' | '»' | '‘' | '’' => {
            (end, "texts stand in straight quotes, such as \"Moscow\"".to_owned())
        }
        '0'..='9' => {
            let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            (start + length, "expected a number of at most 12 digits and 3 decimals".to_owned())
        }
        other if other.is_alphabetic() => {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (
                start + length,
                "texts stand in quotes; a field with such a name is written fields[\"…\"]".to_owned(),
            )
        }
        other => (end, format!("unexpected character {other:?}")),
    };
    ConditionError::new(text, start..end, message)
}
