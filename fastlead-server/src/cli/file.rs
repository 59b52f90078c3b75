//! Policy files on the command line.

use std::collections::BTreeMap;
use std::path::Path;

use fastlead_core::channel::{Capabilities, Channel as _};
use fastlead_core::policy::{Policy, PolicyFault};
use fastlead_core::time::{Clock as _, SystemClock};
use fastlead_core::{Error, ErrorKind};
use fastlead_testkit::memory::MemoryChannel;
use fastlead_testkit::policy::{Document, LocatedFault};

use super::{Fault, say_error};

/// A policy that was read from a file.
#[derive(Debug)]
pub(super) struct PolicyFile {
    name: String,
    document: Document,
    pub(super) policy: Policy,
}

impl PolicyFile {
    /// Reads a file in YAML or JSON.
    ///
    /// # Errors
    /// Everything that cannot be read, a line for each: file, line, path, what is wrong.
    pub(super) fn read(path: &Path) -> Result<Self, Fault> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::new(ErrorKind::NotFound, format!("{name}: {error}")))?;
        let document = Document::parse(&text).map_err(|fault| faulty(&name, &[fault]))?;
        let policy = document.policy().map_err(|faults| faulty(&name, &faults))?;
        Ok(Self { name, document, policy })
    }

    /// The faults that were found in it.
    pub(super) fn faulty(&self, faults: Vec<PolicyFault>) -> Fault {
        faulty(&self.name, &self.document.locate(faults))
    }

    /// Says on the standard error what it can work with but probably does not mean.
    pub(super) fn warn(&self) {
        let warnings = self.document.locate(self.policy.warnings(SystemClock.now()));
        for line in lines(&self.name, &warnings) {
            say_error(&format!("warning: {line}"));
        }
    }

    /// Checks it as if every channel that it names existed and could do everything.
    ///
    /// # Errors
    /// Everything that is wrong, a line for each.
    pub(super) fn check_alone(&self) -> Result<(), Fault> {
        let anything = MemoryChannel::new("any").capabilities();
        let names = self.policy.channel_names().into_iter();
        let channels: BTreeMap<String, Capabilities> =
            names.map(|name| (name.to_owned(), anything.clone())).collect();
        self.policy.validate(&channels, SystemClock.now()).map_err(|faults| self.faulty(faults))
    }
}

/// A line for each fault or warning: file, line, column, path, what it is.
fn lines(name: &str, faults: &[LocatedFault]) -> Vec<String> {
    let line = |fault: &LocatedFault| {
        let column = fault.column.map_or_else(String::new, |column| format!(":{column}"));
        let place = fault.line.map_or_else(String::new, |line| format!(":{line}{column}"));
        let path = if fault.path.is_empty() { String::new() } else { format!("{}: ", fault.path) };
        format!("{name}{place}: {path}{}", fault.message)
    };
    faults.iter().map(line).collect()
}

fn faulty(name: &str, faults: &[LocatedFault]) -> Fault {
    Fault::Lines(lines(name, faults))
}
