//! The template engine, set up so that a template can do no harm.

use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::{Part, filter};

/// How much work one rendering may be, in the engine's units: an instruction, or 64 bytes of data.
const FUEL: u64 = 50_000;

/// Most entries of a list or map that is printed.
const MOST_ITEMS: usize = 1_000;

/// Whether a character turns the direction of what follows: a visitor could make a reader see another text than the one that is
/// there (UAX #9, [Trojan Source](https://trojansource.codes)).
const fn turns_text(character: char) -> bool {
    matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|path| {
        if Part::is_html(path) { AutoEscape::Html } else { AutoEscape::None }
    });
    environment.set_formatter(print);
    // `safe` would turn the escaping off, and JSON is marked as safe although its quotes can end an
    // attribute. `debug` would print everything.
    environment.remove_filter("safe");
    environment.remove_filter("tojson");
    environment.remove_global("debug");
    filter::add(&mut environment);
    environment
}

/// Whether a value has at most `left` entries, with those of its entries.
fn is_small(value: &Value, left: &mut usize) -> bool {
    let Some(items) = value.len().filter(|_| value.as_str().is_none()) else { return true };
    let Some(rest) = left.checked_sub(items) else { return false };
    *left = rest;
    let is_map = value.kind() == ValueKind::Map;
    value.try_iter().is_ok_and(|mut items| {
        items.all(|item| match is_map {
            true => value.get_item(&item).is_ok_and(|entry| is_small(&entry, left)),
            false => is_small(&item, left),
        })
    })
}

/// Prints a value: nothing where there is none, escaped in HTML, whatever an `autoescape` block says.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() {
        return Ok(());
    }
    let owned;
    let text = match value.as_str() {
        Some(text) => text,
        None => {
            // Fuel counts the making of a list, which may be lazy, and not its printing.
            let mut left = MOST_ITEMS;
            if !is_small(value, &mut left) {
                return Err(Error::from(ErrorKind::OutOfFuel));
            }
            owned = value.to_string();
            &owned
        }
    };
    let plain;
    let text = if text.contains(turns_text) {
        plain = text.replace(turns_text, "");
        &plain
    } else {
        text
    };
    if !Part::is_html(state.name()) || value.is_safe() {
        return Ok(out.write_str(text)?);
    }
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        out.write_str(&rest[..at])?;
        out.write_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        })?;
        rest = &rest[at + 1..];
    }
    Ok(out.write_str(rest)?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use minijinja::context;

    use super::*;

    fn render(path: &str, source: &str, name: &str) -> Result<String, ErrorKind> {
        let mut environment = environment();
        environment.add_template(path, source).unwrap();
        let template = environment.get_template(path).unwrap();
        template.render(context! { name => name }).map_err(|error| error.kind())
    }

    const PATHS: [&str; 2] = ["templates.t.ru.plain", "templates.t.ru.html"];

    #[test]
    fn a_list_without_end_is_too_much_work() {
        for path in PATHS {
            for source in [
                "{{ [1]*20000000 }}",
                "{{ [[1]*20000000] * 3000 }}",
                "{{ ([1]*1000)*1000 }}",
                "{{ [[1]*20000000] }}",
                "{{ {'a': [1]*20000000} }}",
            ] {
                let begun = Instant::now();
                assert_eq!(render(path, source, ""), Err(ErrorKind::OutOfFuel), "{source}");
                assert!(begun.elapsed() < Duration::from_millis(500), "{source}: {:?}", begun.elapsed());
            }
            assert_eq!(render(path, "{{ [1]*3 }} {{ [1, 'x']|length }}", "").as_deref(), Ok("[1, 1, 1] 2"));
        }
    }

    #[test]
    fn no_value_turns_the_text_around_it() {
        for path in PATHS {
            let shown = render(path, "Имя: {{ name }}!", "Анна\u{202E}gpj.exe\u{2066}x\u{2069}");
            assert_eq!(shown.as_deref(), Ok("Имя: Аннаgpj.exex!"));
            // The marks that single words of such languages need stay.
            assert_eq!(render(path, "{{ name }}", "א\u{200F}ב").as_deref(), Ok("א\u{200F}ב"));
        }
    }
}
