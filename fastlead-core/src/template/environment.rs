//! The template engine, set up so that a template can do no harm.

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, Output, State, UndefinedBehavior};

use super::{Part, filter};

/// How much work one rendering may be, in the engine's units: an instruction, or 64 bytes of data.
const FUEL: u64 = 50_000;

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

/// Prints a value: nothing where there is none, escaped in HTML, whatever an `autoescape` block says.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() {
        return Ok(());
    }
    if !Part::is_html(state.name()) || value.is_safe() {
        return Ok(write!(out, "{value}")?);
    }
    let owned;
    let text = match value.as_str() {
        Some(text) => text,
        None => {
            owned = value.to_string();
            &owned
        }
    };
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
