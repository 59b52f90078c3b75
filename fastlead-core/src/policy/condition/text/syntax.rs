//! From tokens to an untyped tree.

use std::ops::Range;

use super::ConditionError;
use super::lex::{Token, TokenKind};
use crate::policy::condition::{Comparison, MAX_DEPTH, Number};

/// A piece of a condition and its bytes in the text.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    pub(super) at: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Compare {
        is: Comparison,
        left: Box<Node>,
        right: Box<Node>,
    },
    In {
        left: Box<Node>,
        right: Box<Node>,
    },
    /// `contact.phone`, `fields["city"]`
    Path(Vec<String>),
    /// `has(..)`, or `field.contains(..)` with a receiver.
    Call {
        name: String,
        name_at: Range<usize>,
        receiver: Option<Box<Node>>,
        argument: Box<Node>,
    },
    Text(String),
    Number(Number),
    Bool(bool),
    List(Vec<Node>),
}

/// Reads the whole of `tokens`.
pub(super) fn parse(text: &str, tokens: &[Token<'_>]) -> Result<Node, ConditionError> {
    let mut parser = Parser { text, tokens, next: 0, depth: 0 };
    let node = parser.any()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.unexpected("`&&`, `||` or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token<'a>],
    next: usize,
    depth: usize,
}

type Parsed = Result<Node, ConditionError>;

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a TokenKind<'a>> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    /// Takes the symbol or word where it is next.
    fn take(&mut self, wanted: &str) -> bool {
        let found = match self.peek() {
            Some(TokenKind::Symbol(symbol)) => *symbol == wanted,
            Some(TokenKind::Word(word)) => *word == wanted,
            _ => false,
        };
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: &str) -> Result<(), ConditionError> {
        if self.take(wanted) { Ok(()) } else { Err(self.unexpected(&format!("`{wanted}`"))) }
    }

    /// The bytes of the next token, or the end of the text.
    fn here(&self) -> Range<usize> {
        let end = self.text.trim_end().len();
        self.tokens.get(self.next).map_or(end..end, |token| token.at.clone())
    }

    /// Where the last taken token ends.
    fn end(&self) -> usize {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.at.end)
    }

    fn fault(&self, message: impl Into<String>) -> ConditionError {
        ConditionError::new(self.text, self.here(), message)
    }

    fn unexpected(&self, expected: &str) -> ConditionError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(TokenKind::Text(_)) => "a text".to_owned(),
            Some(TokenKind::Number(_)) => "a number".to_owned(),
            Some(TokenKind::Symbol(symbol)) => format!("`{symbol}`"),
            Some(TokenKind::Word(word)) => match word.to_ascii_lowercase().as_str() {
                "and" => return self.fault(format!("unexpected `{word}`; did you mean `&&`?")),
                "or" => return self.fault(format!("unexpected `{word}`; did you mean `||`?")),
                _ => format!("`{word}`"),
            },
        };
        self.fault(format!("expected {expected}, found {found}"))
    }

    fn deeper(&mut self) -> Result<(), ConditionError> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault(format!("conditions are nested more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        Ok(())
    }

    fn any(&mut self) -> Parsed {
        self.chain("||", Self::all, NodeKind::Any)
    }

    fn all(&mut self) -> Parsed {
        self.chain("&&", Self::relation, NodeKind::All)
    }

    fn chain(
        &mut self,
        symbol: &str,
        member: fn(&mut Self) -> Parsed,
        join: fn(Vec<Node>) -> NodeKind,
    ) -> Parsed {
        let first = member(self)?;
        let start = first.at.start;
        let mut members = vec![first];
        while self.take(symbol) {
            members.push(member(self)?);
        }
        match members.pop() {
            Some(last) if !members.is_empty() => {
                members.push(last);
                Ok(Node { kind: join(members), at: start..self.end() })
            }
            Some(only) => Ok(only),
            None => Err(self.unexpected("a condition")),
        }
    }

    fn relation(&mut self) -> Parsed {
        let left = self.unary()?;
        let start = left.at.start;
        let compare = match self.peek() {
            Some(TokenKind::Symbol("==")) => Some(Comparison::Equal),
            Some(TokenKind::Symbol("!=")) => Some(Comparison::Different),
            Some(TokenKind::Symbol("<")) => Some(Comparison::Less),
            Some(TokenKind::Symbol("<=")) => Some(Comparison::AtMost),
            Some(TokenKind::Symbol(">")) => Some(Comparison::More),
            Some(TokenKind::Symbol(">=")) => Some(Comparison::AtLeast),
            Some(TokenKind::Word("in")) => None,
            _ => return Ok(left),
        };
        self.next += 1;
        let right = Box::new(self.unary()?);
        let left = Box::new(left);
        let kind = match compare {
            Some(is) => NodeKind::Compare { is, left, right },
            None => NodeKind::In { left, right },
        };
        Ok(Node { kind, at: start..self.end() })
    }

    fn unary(&mut self) -> Parsed {
        let start = self.here().start;
        if self.take("!") {
            self.deeper()?;
            let inner = self.unary()?;
            self.depth -= 1;
            return Ok(Node { kind: NodeKind::Not(Box::new(inner)), at: start..self.end() });
        }
        if self.take("-") {
            let Some(TokenKind::Number(number)) = self.peek() else {
                return Err(self.unexpected("a number after `-`"));
            };
            let kind = NodeKind::Number(number.negated());
            self.next += 1;
            return Ok(Node { kind, at: start..self.end() });
        }
        let mut node = self.primary()?;
        while self.take(".") {
            node = self.call(node)?;
        }
        Ok(node)
    }

    fn primary(&mut self) -> Parsed {
        let start = self.here().start;
        let kind = match self.peek() {
            Some(TokenKind::Text(text)) => {
                self.next += 1;
                NodeKind::Text(text.clone())
            }
            Some(TokenKind::Number(number)) => {
                self.next += 1;
                NodeKind::Number(*number)
            }
            Some(TokenKind::Symbol("(")) => {
                self.deeper()?;
                self.next += 1;
                let inner = self.any()?;
                self.expect(")")?;
                self.depth -= 1;
                // The parentheses belong to what is shown, and to nothing else.
                return Ok(Node { at: start..self.end(), ..inner });
            }
            Some(TokenKind::Symbol("[")) => self.list()?,
            Some(TokenKind::Word("in")) => return Err(self.unexpected("a condition")),
            Some(TokenKind::Word(word)) => {
                self.next += 1;
                match *word {
                    "true" => NodeKind::Bool(true),
                    "false" => NodeKind::Bool(false),
                    "not" | "NOT" if self.peek().is_some() => {
                        self.next -= 1;
                        return Err(self.fault(format!("unexpected `{word}`; did you mean `!`?")));
                    }
                    _ if self.take("(") => {
                        let name_at = start..start + word.len();
                        let argument = Box::new(self.unary()?);
                        self.expect(")")?;
                        NodeKind::Call { name: (*word).to_owned(), name_at, receiver: None, argument }
                    }
                    _ => self.path(word)?,
                }
            }
            _ => return Err(self.unexpected("a condition")),
        };
        Ok(Node { kind, at: start..self.end() })
    }

    /// The rest of a path; a last name before `(` is left to [`Self::call`].
    fn path(&mut self, first: &str) -> Result<NodeKind, ConditionError> {
        let mut names = vec![first.to_owned()];
        loop {
            let after = |ahead: usize| self.tokens.get(self.next + ahead).map(|token| &token.kind);
            match (after(0), after(1), after(2)) {
                (Some(TokenKind::Symbol(".")), Some(TokenKind::Word(_)), Some(TokenKind::Symbol("("))) => {
                    break;
                }
                (Some(TokenKind::Symbol(".")), Some(TokenKind::Word(name)), _) => {
                    names.push((*name).to_owned());
                    self.next += 2;
                }
                (Some(TokenKind::Symbol("[")), Some(TokenKind::Text(name)), Some(TokenKind::Symbol("]"))) => {
                    names.push(name.clone());
                    self.next += 3;
                }
                (Some(TokenKind::Symbol(".")), ..) => {
                    self.next += 1;
                    return Err(
                        self.unexpected("the name of a field; other letters are written fields[\"…\"]")
                    );
                }
                (Some(TokenKind::Symbol("[")), ..) => {
                    self.next += 1;
                    return Err(self.unexpected("a field's name in quotes, such as fields[\"city\"]"));
                }
                _ => break,
            }
        }
        Ok(NodeKind::Path(names))
    }

    fn call(&mut self, receiver: Node) -> Parsed {
        let start = receiver.at.start;
        let name_at = self.here();
        let Some(TokenKind::Word(name)) = self.peek() else {
            return Err(self.unexpected("a name"));
        };
        self.next += 1;
        self.expect("(")?;
        let argument = Box::new(self.unary()?);
        self.expect(")")?;
        let kind = NodeKind::Call {
            name: (*name).to_owned(),
            name_at,
            receiver: Some(Box::new(receiver)),
            argument,
        };
        Ok(Node { kind, at: start..self.end() })
    }

    fn list(&mut self) -> Result<NodeKind, ConditionError> {
        self.deeper()?;
        self.next += 1;
        let mut values = Vec::new();
        while !self.take("]") {
            if !values.is_empty() {
                if !self.take(",") {
                    return Err(self.unexpected("`,` or `]`"));
                }
                if self.take("]") {
                    break;
                }
            }
            values.push(self.unary()?);
        }
        self.depth -= 1;
        Ok(NodeKind::List(values))
    }
}
