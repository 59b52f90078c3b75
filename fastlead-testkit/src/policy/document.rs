//! A policy file in YAML or JSON, and where in it something stands.

use std::fmt;

use fastlead_core::policy::{Policy, PolicyFault};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedFault {
    /// The line, from 1; `None` where it is not known.
    pub line: Option<u64>,
    /// The character in the line, from 1; `None` where it is not known.
    pub column: Option<u64>,
    /// Where in the document, such as `route.targets[0]`; empty for the whole.
    pub path: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl fmt::Display for LocatedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, _) => {}
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A file that was read.
#[derive(Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    root: Option<Node>,
}

#[derive(Debug)]
struct Node {
    line: u64,
    column: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Leaf(Value),
}

impl Document {
    /// Reads YAML, of which JSON is a part. What looks like JSON is read as JSON.
    ///
    /// Booleans are `true` and `false` alone: `no` is a text, and a number with leading zeros is one too.
    ///
    /// # Errors
    /// Where the text is neither.
    pub fn parse(text: &str) -> Result<Self, LocatedFault> {
        let options = serde_saphyr::options! {
            strict_booleans: true,
            with_snippet: false,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
        };
        let tree = serde_saphyr::from_str_with_options::<Spanned<Kind>>(text, options).map(node);
        if text.trim_start().starts_with('{') {
            let value = serde_json::from_str(text).map_err(|error| LocatedFault {
                line: u64::try_from(error.line()).ok(),
                column: u64::try_from(error.column()).ok(),
                path: String::new(),
                message: error.to_string(),
            })?;
            return Ok(Self { value, root: tree.ok() });
        }
        match tree {
            Ok(root) => Ok(Self { value: root.kind.value(), root: Some(root) }),
            Err(error) => Err(LocatedFault {
                line: error.location().map(|location| location.line()).filter(|line| *line > 0),
                column: error.location().map(|location| location.column()).filter(|column| *column > 0),
                path: String::new(),
                message: error.to_string().lines().next().unwrap_or("is not YAML").to_owned(),
            }),
        }
    }

    /// The policy that it is.
    ///
    /// # Errors
    /// Everything that cannot be read as a policy, with paths, lines and columns, in the order of the file.
    pub fn policy(&self) -> Result<Policy, Vec<LocatedFault>> {
        Policy::from_json(self.value.to_string().as_bytes()).map_err(|faults| {
            let mut located = self.locate(faults);
            located.sort_by_key(|fault| (fault.line, fault.column));
            located
        })
    }

    /// Adds lines and columns to faults.
    pub fn locate(&self, faults: Vec<PolicyFault>) -> Vec<LocatedFault> {
        let located = |fault: PolicyFault| {
            let place = self.place(&fault.path);
            LocatedFault {
                line: place.map(|(line, _)| line),
                column: place.map(|(_, column)| column),
                path: fault.path,
                message: fault.message,
            }
        };
        faults.into_iter().map(located).collect()
    }

    /// The line of what stands at a path, or of the nearest that is around it.
    pub fn line(&self, path: &str) -> Option<u64> {
        self.place(path).map(|(line, _)| line)
    }

    fn place(&self, path: &str) -> Option<(u64, u64)> {
        let mut node = self.root.as_ref()?;
        let mut rest = path;
        while let Some((next, left)) = node.step(rest) {
            (node, rest) = (next, left);
        }
        Some((node.line, node.column))
    }
}

fn node(spanned: Spanned<Kind>) -> Node {
    Node { line: spanned.referenced.line(), column: spanned.referenced.column(), kind: spanned.value }
}

impl Node {
    /// One step along a path, and what is left of it. Names may have dots in them: the longest that fits is
    /// taken.
    fn step<'a, 'b>(&'a self, path: &'b str) -> Option<(&'a Self, &'b str)> {
        let path = path.strip_prefix('.').unwrap_or(path);
        match &self.kind {
            Kind::Map(entries) => {
                let fits = |(name, node): &'a (String, Self)| {
                    let left = path.strip_prefix(name.as_str())?;
                    (left.is_empty() || left.starts_with(['.', '['])).then_some((name.len(), node, left))
                };
                let best = entries.iter().filter_map(fits).max_by_key(|(length, ..)| *length);
                best.map(|(_, node, left)| (node, left))
            }
            Kind::List(entries) => {
                let (index, left) = path.strip_prefix('[')?.split_once(']')?;
                entries.get(index.parse::<usize>().ok()?).map(|node| (node, left))
            }
            Kind::Leaf(_) => None,
        }
    }
}

impl Kind {
    fn value(&self) -> Value {
        match self {
            Self::Map(entries) => {
                let entries = entries.iter().map(|(name, node)| (name.clone(), node.kind.value()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
            Self::List(entries) => entries.iter().map(|node| node.kind.value()).collect(),
            Self::Leaf(value) => value.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map, a list, a text, a number, true, false or null")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Leaf(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Leaf(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Leaf(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Kind, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Kind::Leaf(Value::Number(number)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Leaf(value.into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Kind, E> {
        Ok(Kind::Leaf(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Kind, E> {
        Ok(Kind::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element::<Spanned<Kind>>()? {
            entries.push(node(entry));
        }
        Ok(Kind::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, entry)) = map.next_entry::<String, Spanned<Kind>>()? {
            entries.push((name, node(entry)));
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "\
targets:
  anna:
    display_name: Anna
    destinations:
      - channel: bot
        recipient: {chat: \"1\"}
  ann.a: {}
route:
  - when: contact.phone_country in [\"NO\"]
    answer: no
    number: 007
    on: 2026-11-25
";

    #[test]
    fn yaml_says_what_it_seems_to_say() {
        let document = Document::parse(TEXT).unwrap();
        let rule = &document.value["route"][0];
        assert_eq!(
            *rule,
            json!({"when": "contact.phone_country in [\"NO\"]", "answer": "no", "number": "007", "on": "2026-11-25"})
        );
        assert_eq!(document.value["targets"]["anna"]["destinations"][0]["recipient"], json!({"chat": "1"}));
    }

    #[test]
    fn lines_are_those_of_the_nearest_place() {
        let document = Document::parse(TEXT).unwrap();
        for (path, line) in [
            ("targets.anna.display_name", 3),
            ("targets.anna.destinations[0].recipient.chat", 6),
            ("targets.ann.a.destinations", 7),
            ("route[0].number", 11),
        ] {
            assert_eq!(document.line(path), Some(line), "{path}");
        }
        assert!(document.line("targets.anna.wieght").is_some_and(|line| (2..=3).contains(&line)));
    }

    #[test]
    fn json_is_read_as_json_and_faults_have_their_line() {
        let document = Document::parse("{\n\t\"a\": [1,\n\t2]}").unwrap();
        assert_eq!(document.value, json!({"a": [1, 2]}));
        assert_eq!(Document::parse("{\n\"a\": }").unwrap_err().line, Some(2));
        let fault = Document::parse("a: 1\nb: [1\nc: 2\n").unwrap_err();
        assert!(fault.line.is_some_and(|line| line >= 2), "{fault}");
        assert!(Document::parse("a: 1\na: 2\n").is_err(), "a name that stands twice");
        let faults =
            Document::parse("targets: {}\nroute:\n  stragety: broadcast\n").unwrap().policy().unwrap_err();
        let misspelt = faults.iter().find(|fault| fault.path == "route.stragety");
        assert_eq!(misspelt.and_then(|fault| fault.line), Some(3), "{faults:?}");
    }

    #[test]
    fn all_faults_of_a_file_are_told_at_once_with_line_and_column() {
        let text = "\
targets: {anna: {display_name: Anna, destinations: [{channel: bot, recipient: {chat: \"1\"}}]}}
route: {strategy: broadcast, targets: [anna], template: t, queue_secs: 5 minutes}
escalation:
  - after_secs: soon
    targets: [anna]
  - {after_secs: 2h, targets: [anna], template: t, clok: wall}
templates: {t: {ru: x}}
";
        let faults = Document::parse(text).unwrap().policy().unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let expected = [
            "line 2, column 72: route.queue_secs: invalid value: string \"5 minutes\", expected a duration such as 5m",
            "line 4, column 17: escalation[0].after_secs: invalid value: string \"soon\", expected a duration such as 5m",
            "escalation[0]: missing field `template`",
            "escalation[1].clok: unknown field `clok`",
        ];
        for start in expected {
            assert!(told.iter().any(|fault| fault.contains(start)), "{start}: {told:#?}");
        }
        assert_eq!(told.len(), expected.len(), "{told:#?}");
    }
}
