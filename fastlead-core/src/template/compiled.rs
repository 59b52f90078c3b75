//! Templates that are ready to be filled.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use minijinja::value::Value;
use minijinja::{Environment, ErrorKind as EngineErrorKind};
use serde::Serialize;

use super::check::{faults_of, is_global};
use super::context::{context, lookup};
use super::environment::environment;
use super::{Part, Template, TemplateFault};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Locale, Text};
use crate::secret::Pii;

/// How many bytes one rendering may give.
const MAX_BYTES: usize = 64 * 1024;

/// How a name in other letters than those of code is written, where a template has one after a point.
fn other_letters(text: &str) -> Option<String> {
    let outer = "lead.fields";
    let (_, rest) = text.split_once("lead.fields.")?;
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty() && !name.is_ascii())
        .then(|| format!("write `{outer}[\"{name}\"]` for a name in other letters"))
}

/// Templates that are ready to be filled. Compiled once; rendering is thread-safe.
pub struct CompiledTemplates {
    environment: Environment<'static>,
    texts: BTreeMap<String, BTreeMap<Locale, Paths>>,
}

/// The names by which the engine knows the texts of one source.
struct Paths {
    subject: Option<String>,
    plain: String,
    html: Option<String>,
}

impl fmt::Debug for CompiledTemplates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledTemplates").field("templates", &self.texts.keys()).finish()
    }
}

impl CompiledTemplates {
    /// Compiles every language of every template. Unknown filters and tests, and HTML tags that
    /// [`Text::html`] does not allow, are faults too; unknown variables are for [`super::check`].
    ///
    /// # Errors
    /// Every fault, not just the first.
    pub fn compile(templates: &BTreeMap<String, Template>) -> Result<Self, Vec<TemplateFault>> {
        let (compiled, faults) = Self::compile_what_can_be(templates);
        if faults.is_empty() { Ok(compiled) } else { Err(faults) }
    }

    /// The templates that have no fault; the others are missing.
    pub fn compile_sound(templates: &BTreeMap<String, Template>) -> Self {
        let (mut compiled, faults) = Self::compile_what_can_be(templates);
        let of = |path: &str, name: &str| {
            let rest = path.strip_prefix("templates.").and_then(|path| path.strip_prefix(name));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        compiled.texts.retain(|name, _| !faults.iter().any(|fault| of(&fault.path, name)));
        compiled
    }

    /// The templates that compile, and the faults of the others.
    pub(super) fn compile_what_can_be(templates: &BTreeMap<String, Template>) -> (Self, Vec<TemplateFault>) {
        let mut environment = environment();
        let mut texts = BTreeMap::new();
        let mut faults = Vec::new();
        for (name, template) in templates {
            if template.is_empty() {
                let message = "expected at least one language, `ru` or `en`";
                faults.push(TemplateFault::new(format!("templates.{name}"), None, message));
            }
            let mut languages = BTreeMap::new();
            for (locale, source) in template {
                for (part, text) in source.parts() {
                    let path = part.path(name, *locale);
                    if let Some((line, message)) = super::scan::too_much(text) {
                        faults.push(TemplateFault::new(path, Some(line), message));
                        continue;
                    }
                    match environment.add_template_owned(path.clone(), text.to_owned()) {
                        Ok(()) => faults.extend(faults_of(&environment, &path, text)),
                        // A syntax error repeats pieces of the template, never a value.
                        Err(error) => {
                            let detail =
                                error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
                            let hint =
                                other_letters(text).map(|name| format!("; {name}")).unwrap_or_default();
                            let message = format!("{}{detail}{hint}", error.kind());
                            faults.push(TemplateFault::new(path, error.line(), message));
                        }
                    }
                }
                let path = |part: Part| part.path(name, *locale);
                let subject = source.subject.as_ref().map(|_| path(Part::Subject));
                let html = source.html.as_ref().map(|_| path(Part::Html));
                languages.insert(*locale, Paths { subject, plain: path(Part::Plain), html });
            }
            texts.insert(name.clone(), languages);
        }
        (Self { environment, texts }, faults)
    }

    /// The engine's own view of the texts.
    pub(super) const fn environment(&self) -> &Environment<'static> {
        &self.environment
    }

    /// Fills the template `name` in the language asked for, else in Russian, else in any. The result
    /// has no buttons; the subject is one line; no text begins or ends with white space.
    ///
    /// # Errors
    /// [`ErrorKind::Content`] that names the template, the line and the variable, never a value:
    /// where there is no such template, a variable does not exist, the text is empty, longer than
    /// 64 KiB, or too much work.
    pub fn render(&self, name: &str, locale: Locale, values: &impl Serialize) -> Result<Text> {
        let languages = self.texts.get(name);
        let chosen = languages.and_then(|languages| {
            languages
                .get(&locale)
                .or_else(|| languages.get(&Locale::Ru))
                .or_else(|| languages.values().next())
        });
        let paths = chosen.ok_or_else(|| refused(format!("template `{name}` does not exist")))?;
        let context = context(values);
        let part = |path: &String| self.part(path, &context);

        let plain = part(&paths.plain)?.trim().to_owned();
        if plain.is_empty() {
            return Err(refused(format!("template `{}` gave no text", paths.plain)));
        }
        let subject = paths.subject.as_ref().map(part).transpose()?.map(|text| one_line(&text));
        let html = paths.html.as_ref().map(part).transpose()?.map(|text| text.trim().to_owned());
        let given = |text: &String| !text.is_empty();
        Ok(Text {
            subject: subject.filter(given).map(Pii::new),
            plain: Pii::new(plain),
            html: html.filter(given).map(Pii::new),
            buttons: Vec::new(),
        })
    }

    fn part(&self, path: &str, context: &Value) -> Result<String> {
        let template =
            self.environment.get_template(path).map_err(|_| refused(format!("template `{path}` is gone")))?;
        let mut out = Bounded::default();
        if let Err(error) = template.render_captured_to(context.clone(), &mut out) {
            let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
            let reason = self.reason(&error, &out, &template, context);
            return Err(refused(format!("template `{path}`{line}: {reason}")));
        }
        String::from_utf8(out.bytes).map_err(|_| refused(format!("template `{path}` gave no valid text")))
    }

    /// What went wrong, without the values that the engine's own message may repeat.
    fn reason(
        &self,
        error: &minijinja::Error,
        out: &Bounded,
        template: &minijinja::Template<'_, '_>,
        context: &Value,
    ) -> String {
        if out.full {
            return format!("more than {MAX_BYTES} bytes");
        }
        match error.kind() {
            EngineErrorKind::OutOfFuel => "too much work".to_owned(),
            EngineErrorKind::UndefinedError => {
                let used = template.undeclared_variables(true);
                let missing = used.iter().filter(|name| !is_global(&self.environment, name));
                let mut missing: Vec<_> = missing.filter(|name| lookup(context, name).is_none()).collect();
                missing.sort();
                match missing.first() {
                    Some(name) => format!("unknown variable `{name}`"),
                    None => "unknown variable".to_owned(),
                }
            }
            kind => kind.to_string(),
        }
    }
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::Content, message).with_operation("render")
}

/// A subject is a header line: no line break may get into it, and none of the other control characters.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Takes so much and no more.
#[derive(Debug, Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_BYTES {
            self.full = true;
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::template::TemplateSource;

    fn compiled(template: Template) -> CompiledTemplates {
        CompiledTemplates::compile(&BTreeMap::from([("t".to_owned(), template)])).unwrap()
    }

    fn russian(source: TemplateSource) -> Template {
        Template::from([(Locale::Ru, source)])
    }

    fn plain(source: &str, values: Json) -> Result<String> {
        let text = compiled(russian(TemplateSource::plain(source))).render("t", Locale::Ru, &values)?;
        Ok(text.plain.into_inner())
    }

    fn html(source: &str, values: Json) -> String {
        let source = TemplateSource { html: Some(source.to_owned()), ..TemplateSource::plain("x") };
        compiled(russian(source)).render("t", Locale::Ru, &values).unwrap().html.unwrap().into_inner()
    }

    #[test]
    fn values_are_data() {
        let source = TemplateSource {
            subject: Some("Lead {{ lead.name }}".into()),
            plain: "{{ lead.name }}".into(),
            html: Some("<b>{{ lead.name }}</b>".into()),
        };
        let name = "<b>{{7*7}}{% raw %}</b>\r\nBcc: anna@example.com\u{0}";
        let text =
            compiled(russian(source)).render("t", Locale::Ru, &json!({"lead": {"name": name}})).unwrap();
        assert_eq!(text.plain.expose(), name);
        let escaped = "<b>&lt;b&gt;{{7*7}}{% raw %}&lt;/b&gt;\r\nBcc: anna@example.com\u{0}</b>";
        assert_eq!(text.html.unwrap().expose(), escaped);
        let subject = "Lead <b>{{7*7}}{% raw %}</b> Bcc: anna@example.com";
        assert_eq!(text.subject.unwrap().expose(), subject);
        assert!(text.buttons.is_empty());
    }

    #[test]
    fn nothing_turns_the_escaping_of_html_off() {
        let name = json!({"name": "<i>'\"&"});
        let safe = "&lt;i&gt;&#39;&quot;&amp;";
        for source in [
            "{{ name }}",
            "{% autoescape false %}{{ name }}{% endautoescape %}",
            "{% set shown %}{{ name }}{% endset %}{{ shown }}",
            "{% set shown = name %}{{ shown }}",
            "{{ [name]|first }}",
            "{{ name ~ '' }}",
            "{{ '%s'|format(name) }}",
            "{{ [name, '']|join }}",
        ] {
            assert_eq!(html(source, name.clone()), safe, "{source}");
        }
        for source in [
            "{{ name|e }}",
            "{{ name|e ~ name }}",
            "{{ ('b'|e) ~ name }}",
            "{{ name|e|replace('lt;', name) }}",
            "{{ name|e|upper }}",
            "{{ (name|e)[0:3] }}",
            "{{ [name] }}",
            "{{ {'a': name} }}",
            "{% filter e %}{{ name }}{% endfilter %}",
        ] {
            let shown = html(source, name.clone());
            assert!(
                !shown.contains('<') && !shown.contains('\'') && !shown.contains('"'),
                "{source}: {shown}"
            );
        }
    }

    #[test]
    fn the_language_asked_for_then_russian_then_any() {
        let (ru, en) = (TemplateSource::plain("да"), TemplateSource::plain("yes"));
        let both = compiled(Template::from([(Locale::Ru, ru.clone()), (Locale::En, en.clone())]));
        let one = |locale, source: &TemplateSource| compiled(Template::from([(locale, source.clone())]));
        for (templates, asked, expected) in [
            (&both, Locale::En, "yes"),
            (&both, Locale::Ru, "да"),
            (&one(Locale::Ru, &ru), Locale::En, "да"),
            (&one(Locale::En, &en), Locale::Ru, "yes"),
        ] {
            assert_eq!(templates.render("t", asked, &json!({})).unwrap().plain.expose(), expected);
        }
        let error = both.render("u", Locale::Ru, &json!({})).unwrap_err();
        assert_eq!(error.to_string(), "render: content refused: template `u` does not exist");
    }

    #[test]
    fn an_unknown_variable_is_named_and_no_value_is() {
        let values = json!({"lead": {"name": "Anna", "phone": null}});
        let source = "{{ lead.name }}\n{{ lead.nmae }}";
        let error = plain(source, values.clone()).unwrap_err();
        let expected =
            "render: content refused: template `templates.t.ru.plain`, line 2: unknown variable `lead.nmae`";
        assert_eq!(error.to_string(), expected);
        for source in
            ["{% if lead.nmae %}{% endif %}", "{{ lead.nmae|upper }}", "{% for a in lead.nmae %}{% endfor %}"]
        {
            let error = plain(source, values.clone()).unwrap_err();
            assert!(error.to_string().ends_with("unknown variable `lead.nmae`"), "{error}");
        }
        for source in
            ["{{ lead.name|int }}", "{{ lead.name|datetime }}", "{{ lead.name + 1 }}", "{{ lead.name() }}"]
        {
            let error = plain(source, values.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Content);
            assert!(!format!("{error:?} {error}").contains("Anna"), "{error:?}");
        }
    }

    #[test]
    fn what_is_optional_may_be_absent() {
        let values = json!({"lead": {"name": null, "fields": {"city": "Tver"}}});
        for (source, expected) in [
            ("Hi{% if lead.name %}, {{ lead.name }}{% endif %}!", "Hi!"),
            ("Hi {{ lead.name }}!", "Hi !"),
            ("{{ lead.name or 'no name' }}", "no name"),
            ("{{ lead.fields.city }} {{ lead.fields.street }}.", "Tver ."),
            ("{% if lead.fields.street %}a{% else %}b{% endif %}", "b"),
            ("{{ lead.fields.street|default('-') }}", "-"),
            ("{{ lead.fields['street']|default('-') }}", "-"),
            ("{% for name, value in lead.fields|items %}{{ name }}={{ value }}{% endfor %}", "city=Tver"),
            ("{% for name in lead.fields %}{{ name }}{% endfor %}", "city"),
            ("{{ lead.fields|length }}", "1"),
        ] {
            assert_eq!(plain(source, values.clone()).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn work_and_size_are_bounded() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        for source in [endless, "{{ 'x' * 100000000 }}", "{{ range(100000)|list|length }}"] {
            let error = plain(source, json!({})).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Content, "{error}");
        }
        let values = json!({"long": "я".repeat(MAX_BYTES / 2)});
        assert_eq!(plain("{{ long }}", values.clone()).unwrap().len(), MAX_BYTES);
        let error = plain("{{ long }}.", values).unwrap_err();
        assert!(error.to_string().ends_with("more than 65536 bytes"), "{error}");
    }

    #[test]
    fn a_text_that_comes_out_empty_is_refused() {
        let values = json!({"lead": {"name": null}});
        let error = plain(" {{ lead.name }}\n", values).unwrap_err();
        assert!(error.to_string().ends_with("template `templates.t.ru.plain` gave no text"), "{error}");
    }

    #[test]
    fn threads_share_them() {
        const fn shared<T: Send + Sync>(_: &T) {}
        let templates = compiled(russian(TemplateSource::plain("{{ n }}")));
        shared(&templates);
        std::thread::scope(|scope| {
            for n in 0..4 {
                let templates = &templates;
                scope.spawn(move || {
                    let text = templates.render("t", Locale::Ru, &json!({"n": n})).unwrap();
                    assert_eq!(*text.plain.expose(), n.to_string());
                });
            }
        });
        assert_eq!(format!("{templates:?}"), "CompiledTemplates { templates: [\"t\"] }");
    }
}
