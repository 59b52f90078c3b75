//! Values that do not print: credentials ([`Secret`]) and personal data ([`Pii`]).

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// A credential. It has no `Display` and no `Serialize`, and `Debug` prints `[redacted]`.
///
/// In a JSON Schema it appears as `"format": "password", "writeOnly": true`.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a credential.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The credential itself. Only the line that hands it to the provider should call this.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T: JsonSchema> JsonSchema for Secret<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Secret_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.insert("format".to_owned(), "password".into());
        schema.insert("writeOnly".to_owned(), true.into());
        schema
    }
}

/// Personal data. It is stored and sent, so it serialises, but `Debug` prints `[pii]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Wraps personal data.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The data itself.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Gives the data up.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl From<&str> for Pii<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[pii]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_prints_what_it_holds() {
        assert_eq!(format!("{:?}", Secret::from("token")), "[redacted]");
        assert_eq!(format!("{:?}", Some(Pii::from("+79000000000"))), "Some([pii])");
    }

    #[test]
    fn a_secret_is_a_password_field_in_a_schema() {
        let schema = schemars::schema_for!(Secret<String>);
        assert_eq!(schema.get("format").unwrap(), "password");
        assert_eq!(schema.get("writeOnly").unwrap(), true);
    }
}
