//! The text form: a subset of the syntax of CEL.

mod error;
mod lex;
mod print;
mod syntax;
mod types;

use std::str::FromStr;

pub use error::ConditionError;

use super::Condition;

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let tokens = lex::tokens(text)?;
        let node = syntax::parse(text, &tokens)?;
        types::condition(text, &node)
    }
}
