//! Values that have a name, also as keys of a map.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads a value by its name.
///
/// Unlike a derived enum, the key of a map that is read so is told to whoever keeps account of the path.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Copy>(
    deserializer: D,
    names: &'static [&'static str],
    values: &'static [T],
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Named { names, values })
}

struct Named<T: 'static> {
    names: &'static [&'static str],
    values: &'static [T],
}

impl<T: Copy> Visitor<'_> for Named<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of `{}`", self.names.join("`, `"))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        let place = self.names.iter().position(|known| *known == name);
        let value = place.and_then(|place| self.values.get(place));
        value.copied().ok_or_else(|| E::unknown_variant(name, self.names))
    }
}
