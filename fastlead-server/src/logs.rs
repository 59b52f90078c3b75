//! Logs to standard error, as text or JSON.

use std::io::IsTerminal as _;

use fastlead_core::{Error, ErrorKind, Result};
use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// Starts logging. Once in a process.
///
/// # Errors
/// [`ErrorKind::Config`] where the filter cannot be read.
pub fn start(settings: &LogSettings) -> Result<()> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|_| {
        Error::new(ErrorKind::Config, "log.filter: expected levels such as `info,fastlead_core=debug`")
    })?;
    // Colours are for people who look on, not for files; `NO_COLOR` forbids them (no-color.org).
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    started.map_err(|_| Error::new(ErrorKind::Config, "logging is started already"))
}
