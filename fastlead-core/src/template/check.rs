//! Faults that are found before a template is published.

use std::collections::BTreeMap;

use minijinja::{Environment, ErrorKind};

use super::context::OPEN;
use super::scan::{What, scan};
use super::{CompiledTemplates, Part, TAGS, Template, TemplateFault};

/// Every fault of the templates: what does not compile, and variables that no message has.
///
/// `known` are dotted paths such as `lead.phone`. One that ends with `.*`, and `lead.fields`, is
/// open: everything below it is known too.
pub fn check(templates: &BTreeMap<String, Template>, known: &[&str]) -> Vec<TemplateFault> {
    let (compiled, mut faults) = CompiledTemplates::compile_what_can_be(templates);
    for (path, template) in compiled.environment().templates() {
        let used = template.undeclared_variables(true);
        let mut unknown: Vec<_> = used
            .into_iter()
            .filter(|name| !is_known(name, known) && !is_global(compiled.environment(), name))
            .collect();
        unknown.sort();
        for name in unknown {
            let hint = suggestion(&name, known).map_or_else(
                || format!("known: {}", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            faults.push(TemplateFault::new(path, None, format!("unknown variable `{name}`; {hint}")));
        }
    }
    faults
}

/// `lead` alone is known because it is a part of `lead.phone`; `lead.fields.city` because `lead.fields` is open.
fn is_known(used: &str, known: &[&str]) -> bool {
    known.iter().any(|known| {
        let (stem, open) = match known.strip_suffix(".*") {
            Some(stem) => (stem, true),
            None => (*known, OPEN.contains(known)),
        };
        stem == used || below(used, stem) || (open && below(stem, used))
    })
}

fn below(stem: &str, name: &str) -> bool {
    name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'))
}

/// The known variable that was meant: the same last word (`phone` for `lead.phone`), the beginning
/// (`lead.phone.digits`), or the nearest name.
fn suggestion<'a>(used: &str, known: &[&'a str]) -> Option<&'a str> {
    let likely = |known: &&&str| known.rsplit('.').next() == Some(used) || below(known, used);
    known.iter().find(likely).copied().or_else(|| crate::policy::nearest(used, known))
}

/// Whether `name` is a function of the engine, such as `range`.
pub(super) fn is_global(environment: &Environment<'_>, name: &str) -> bool {
    environment.globals().any(|(global, _)| global == name)
}

/// What the engine would find out only while rendering the text at `path`.
pub(super) fn faults_of(environment: &Environment<'_>, path: &str, text: &str) -> Vec<TemplateFault> {
    let mut state = environment.empty_state();
    let mut faults = Vec::new();
    for found in scan(text) {
        let name = found.name;
        // Called without arguments most fail; what matters is whether they are there at all.
        let message = match found.what {
            What::Filter => match state.apply_filter(name, &[]) {
                Err(error) if error.kind() == ErrorKind::UnknownFilter => format!("unknown filter `{name}`"),
                _ => continue,
            },
            What::Test => match state.perform_test(name, &[]) {
                Err(error) if error.kind() == ErrorKind::UnknownTest => format!("unknown test `{name}`"),
                _ => continue,
            },
            What::Tag if !Part::is_html(path) || TAGS.contains(&name.to_ascii_lowercase().as_str()) => {
                continue;
            }
            What::Tag if name.is_empty() => "write `&lt;` for a `<` that begins no tag".to_owned(),
            What::Tag => format!("unknown tag `<{name}>`; known: {}", TAGS.join(", ")),
        };
        faults.push(TemplateFault::new(path, Some(found.line), message));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Locale;
    use crate::template::TemplateSource;

    const KNOWN: [&str; 5] = ["lead.name", "lead.phone", "lead.fields", "project.name", "extra.*"];

    fn faults(source: TemplateSource) -> Vec<String> {
        let templates = BTreeMap::from([("t".to_owned(), Template::from([(Locale::Ru, source)]))]);
        check(&templates, &KNOWN).iter().map(ToString::to_string).collect()
    }

    fn plain(source: &str) -> Vec<String> {
        faults(TemplateSource::plain(source))
    }

    #[test]
    fn what_can_be_rendered_has_no_faults() {
        for source in [
            "{{ lead.phone|phone }}, {{ lead.name or 'x' }}",
            "{{ lead.fields.city }} {{ extra.a.b }}",
            "{% for name, value in lead.fields|items %}{{ loop.index }} {{ name }}: {{ value }}{% endfor %}",
            "{% for n in range(3) %}{{ n is odd }}{% endfor %}",
            "{% set a = lead.name %}{% if a is defined and a is not none %}{{ a }}{% endif %}",
            "1 < 2 and <div>",
        ] {
            assert_eq!(plain(source), [""; 0], "{source}");
        }
        let html = "<b>{{ lead.name }}</b><br/><A href=\"https://example.com\">{{ 1 < 2 }}</A><p>&lt;</p>";
        assert_eq!(
            faults(TemplateSource { html: Some(html.to_owned()), ..TemplateSource::plain("x") }),
            [""; 0]
        );
    }

    #[test]
    fn unknown_variables_come_with_the_one_that_was_meant() {
        for (source, fault) in [
            ("{{ lead.phon }}", "unknown variable `lead.phon`; did you mean `lead.phone`?"),
            ("{{ phone }}", "unknown variable `phone`; did you mean `lead.phone`?"),
            ("{{ lead.name.first }}", "unknown variable `lead.name.first`; did you mean `lead.name`?"),
            (
                "{% if lead.phne|default('') %}{% endif %}",
                "unknown variable `lead.phne`; did you mean `lead.phone`?",
            ),
            (
                "{{ debug() }}",
                "unknown variable `debug`; known: lead.name, lead.phone, lead.fields, project.name, extra.*",
            ),
        ] {
            assert_eq!(plain(source), [format!("templates.t.ru.plain: {fault}")]);
        }
    }

    #[test]
    fn every_fault_is_found_with_its_path_and_line() {
        let source = TemplateSource {
            subject: Some("{{ lead.phone ".to_owned()),
            plain: "a\n{{ lead.name|uper }}{% if lead.name is defind %}{% endif %} {{ lead.nam }}".to_owned(),
            html: Some("<b>a</b>\n<div>{{ lead.name|safe }}</div> <3".to_owned()),
        };
        let found = faults(source);
        let tags = "known: b, strong, i, em, u, s, a, code, pre, br, p";
        assert!(found[0].starts_with("templates.t.ru.subject: line 1: syntax error"), "{}", found[0]);
        assert_eq!(
            found[1..],
            [
                "templates.t.ru.plain: line 2: unknown filter `uper`".to_owned(),
                "templates.t.ru.plain: line 2: unknown test `defind`".to_owned(),
                format!("templates.t.ru.html: line 2: unknown tag `<div>`; {tags}"),
                "templates.t.ru.html: line 2: unknown filter `safe`".to_owned(),
                format!("templates.t.ru.html: line 2: unknown tag `<div>`; {tags}"),
                format!("templates.t.ru.html: line 2: unknown tag `<3>`; {tags}"),
                "templates.t.ru.plain: unknown variable `lead.nam`; did you mean `lead.name`?".to_owned(),
            ]
        );
    }

    #[test]
    fn a_field_in_other_letters_is_written_in_brackets_and_the_fault_says_so() {
        for name in ["Город", "Ваш_вопрос", "Größe", "城市"] {
            assert_eq!(plain(&format!("{{{{ lead.fields[\"{name}\"] }}}}")), [""; 0], "{name}");
            let found = plain(&format!("{{{{ lead.fields.{name} }}}}"));
            assert!(
                found.len() == 1 && found[0].contains(&format!("write `lead.fields[\"{name}\"]`")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_template_without_any_language_is_a_fault() {
        let templates = BTreeMap::from([("t".to_owned(), Template::new())]);
        let faults = check(&templates, &KNOWN);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].to_string(), "templates.t: expected at least one language, `ru` or `en`");
        assert_eq!(faults[0].line, None);
    }

    #[test]
    fn other_programs_and_their_includes_are_not_reachable() {
        for source in [
            "{% include 'x' %}",
            "{% extends 'x' %}",
            "{% import 'x' as y %}",
            "{% macro a() %}{% endmacro %}",
        ] {
            assert_eq!(plain(source).len(), 1, "{source}");
        }
    }
}
