//! Texts with holes: strict about unknown variables, bounded in time and size, escaped for HTML.

use std::collections::BTreeMap;
use std::fmt;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::message::{Locale, Text};
use crate::secret::Pii;

mod filter;

/// A text in each language that it has.
pub type Template = BTreeMap<Locale, TemplateSource>;

/// A text with holes, such as `Новая заявка: {{ lead.phone }}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateSource {
    /// Subject line, for channels that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text without markup.
    pub plain: String,
    /// The same text as HTML, for channels that show it. Values are escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

impl TemplateSource {
    /// A text without subject and markup.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { plain: text.into(), ..Self::default() }
    }
}

/// One fault of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFault {
    /// Where, such as `templates.new_lead.ru.plain`.
    pub path: String,
    /// What is wrong, with the line.
    pub message: String,
}

/// How many instructions one rendering may take.
const FUEL: u64 = 50_000;
/// How many bytes one rendering may give.
const MAX_BYTES: usize = 64 * 1024;

/// Templates that are ready to be filled. Rendering is thread-safe.
pub struct CompiledTemplates {
    environment: Environment<'static>,
    locales: BTreeMap<String, Vec<Locale>>,
}

impl fmt::Debug for CompiledTemplates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledTemplates").field("templates", &self.locales.keys()).finish()
    }
}

/// The three texts of a source, each with the suffix that decides its escaping.
fn parts(source: &TemplateSource) -> impl Iterator<Item = (&'static str, &str)> {
    [
        ("subject", source.subject.as_deref()),
        ("plain", Some(source.plain.as_str())),
        ("html", source.html.as_deref()),
    ]
    .into_iter()
    .filter_map(|(part, text)| Some((part, text?)))
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|name| {
        if name.ends_with("/html") { AutoEscape::Html } else { AutoEscape::None }
    });
    filter::add(&mut environment);
    environment
}

fn describe(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{line}{}{detail}", error.kind())
}

impl CompiledTemplates {
    /// Compiles every language of every template.
    ///
    /// # Errors
    /// Every fault, not just the first.
    pub fn compile(templates: &BTreeMap<String, Template>) -> std::result::Result<Self, Vec<TemplateFault>> {
        let mut environment = environment();
        let mut locales = BTreeMap::new();
        let mut faults = Vec::new();
        for (name, template) in templates {
            if template.is_empty() {
                let message = "expected at least one language, `ru` or `en`".to_owned();
                faults.push(TemplateFault { path: format!("templates.{name}"), message });
            }
            for (locale, source) in template {
                for (part, text) in parts(source) {
                    let key = format!("{name}/{}/{part}", locale.as_str());
                    if let Err(error) = environment.add_template_owned(key, text.to_owned()) {
                        let path = format!("templates.{name}.{}.{part}", locale.as_str());
                        faults.push(TemplateFault { path, message: describe(&error) });
                    }
                }
            }
            locales.insert(name.clone(), template.keys().copied().collect());
        }
        if faults.is_empty() { Ok(Self { environment, locales }) } else { Err(faults) }
    }

    /// Fills the template `name` in the language asked for, else in Russian, else in any.
    ///
    /// # Errors
    /// [`ErrorKind::Content`] that names the template and the variable, never a value.
    pub fn render(&self, name: &str, locale: Locale, context: &impl Serialize) -> Result<Text> {
        let missing = || Error::new(ErrorKind::Content, format!("template `{name}` does not exist")).with_operation("render");
        let have = self.locales.get(name).ok_or_else(missing)?;
        let chosen = [locale, Locale::Ru].into_iter().find(|locale| have.contains(locale));
        let locale = chosen.or_else(|| have.first().copied()).ok_or_else(missing)?;
        let plain = self.part(name, locale, "plain", context)?.ok_or_else(missing)?;
        let subject = self.part(name, locale, "subject", context)?;
        let html = self.part(name, locale, "html", context)?;
        let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Text {
            subject: subject.map(|text| Pii::new(one_line(text))),
            plain: Pii::new(plain),
            html: html.map(Pii::new),
            buttons: Vec::new(),
        })
    }

    fn part(&self, name: &str, locale: Locale, part: &str, context: &impl Serialize) -> Result<Option<String>> {
        let key = format!("{name}/{}/{part}", locale.as_str());
        let Ok(template) = self.environment.get_template(&key) else { return Ok(None) };
        let text = template.render(Serde(context)).map_err(|error| {
            // The detail of an engine error may repeat a value; its kind and line do not.
            let line = error.line().unwrap_or_default();
            Error::new(ErrorKind::Content, format!("template `{key}`, line {line}: {}", error.kind()))
                .with_operation("render")
        })?;
        if text.len() > MAX_BYTES {
            let message = format!("template `{key}` gave more than {MAX_BYTES} bytes");
            return Err(Error::new(ErrorKind::Content, message).with_operation("render"));
        }
        Ok(Some(text))
    }
}

/// Every fault of the templates: what does not compile, and variables that no message has.
pub fn check(templates: &BTreeMap<String, Template>, known: &[&str]) -> Vec<TemplateFault> {
    let mut faults = CompiledTemplates::compile(templates).err().unwrap_or_default();
    let environment = environment();
    for (name, template) in templates {
        for (locale, source) in template {
            for (part, text) in parts(source) {
                let Ok(compiled) = environment.template_from_str(text) else { continue };
                let mut unknown: Vec<String> =
                    compiled.undeclared_variables(true).into_iter().filter(|used| !is_known(used, known)).collect();
                unknown.sort();
                for used in unknown {
                    let hint = crate::policy::nearest(&used, known)
                        .map_or_else(|| format!("known: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
                    faults.push(TemplateFault {
                        path: format!("templates.{name}.{}.{part}", locale.as_str()),
                        message: format!("unknown variable `{used}`; {hint}"),
                    });
                }
            }
        }
    }
    faults
}

/// `lead` alone is known because it is a part of `lead.phone`; `lead.fields.city` because `lead.fields` is open.
fn is_known(used: &str, known: &[&str]) -> bool {
    known.iter().any(|known| {
        *known == used
            || known.strip_prefix(used).is_some_and(|rest| rest.starts_with('.'))
            || (*known == "lead.fields" && used.starts_with("lead.fields."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(source: TemplateSource) -> BTreeMap<String, Template> {
        BTreeMap::from([("t".to_owned(), Template::from([(Locale::Ru, source)]))])
    }

    fn render(source: TemplateSource, context: serde_json::Value) -> Result<Text> {
        CompiledTemplates::compile(&one(source)).unwrap().render("t", Locale::En, &context)
    }

    #[test]
    fn values_are_data_and_html_is_escaped() {
        let source = TemplateSource {
            subject: Some("Lead {{ lead.name }}".into()),
            plain: "{{ lead.name }}".into(),
            html: Some("<b>{{ lead.name }}</b>".into()),
        };
        let text = render(source, serde_json::json!({"lead": {"name": "<b>{{7*7}}\r\nBcc: x"}})).unwrap();
        assert_eq!(text.plain.expose(), "<b>{{7*7}}\r\nBcc: x");
        assert!(text.html.unwrap().expose().starts_with("<b>&lt;b&gt;{{7*7}}"));
        assert_eq!(text.subject.unwrap().expose(), "Lead <b>{{7*7}} Bcc: x");
    }

    #[test]
    fn an_unknown_variable_and_a_runaway_loop_are_errors() {
        let error = render(TemplateSource::plain("{{ lead.nam }}"), serde_json::json!({"lead": {}})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Content);
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert_eq!(render(TemplateSource::plain(endless), serde_json::json!({})).unwrap_err().kind(), ErrorKind::Content);
    }

    #[test]
    fn faults_name_the_path_and_the_nearest_variable() {
        let known = crate::policy::known_variables();
        let faults = check(&one(TemplateSource::plain("{{ lead.phon }} {{ lead.fields.city }} {{ lead.name }}")), known);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].path, "templates.t.ru.plain");
        assert!(faults[0].message.contains("did you mean `lead.phone`"), "{}", faults[0].message);
        assert_eq!(check(&one(TemplateSource::plain("{{ lead.phone ")), known).len(), 1);
    }
}
