//! `fastlead admin`: when nobody can sign in any more.

use std::io::BufRead as _;

use clap::Subcommand;
use fastlead_core::port::UserRecord;
use fastlead_core::secret::Secret;
use fastlead_core::time::{Clock as _, SystemClock};
use fastlead_core::{Error, ErrorKind, Result};

use super::say;
use crate::bootstrap::{ADMIN, PASSWORD_CHARS, random_text};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Give somebody another password, let them sign in again where they were disabled, and end all of their sessions. A server
    /// may run meanwhile.
    ResetPassword {
        /// Who it is for.
        #[arg(long, default_value = ADMIN)]
        login: String,
        /// Read the password from standard input, one line; one is made up and shown otherwise.
        #[arg(long)]
        stdin: bool,
    },
}

pub(super) async fn run(command: AdminCommand, settings: &Settings) -> Result<()> {
    let AdminCommand::ResetPassword { login, stdin } = command;
    let store = crate::server::open_store_beside_others(settings).await?;
    let user = store.user_by_login(&login).await?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "--login: nobody has this login").with_operation("reset password")
    })?;
    let (password, shown) = if stdin {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("standard input cannot be read: {}", error.kind()))
        })?;
        (Secret::from(line.trim_end_matches(['\r', '\n'])), None)
    } else {
        let made = random_text(PASSWORD_CHARS);
        (Secret::new(made.clone()), Some(made))
    };
    let user = UserRecord { disabled_at: None, ..user };
    crate::auth::set_password(&*store, user, &password, None, SystemClock.now()).await?;
    match shown {
        Some(password) => say(&format!("The new password of {login}: {password} (shown once)")),
        None => say(&format!("{login} has the new password.")),
    }
    say("All sessions of this user have ended.");
    Ok(())
}
