//! Trouble at an exact moment of an SMTP dialogue.

use serde::{Deserialize, Serialize};

use crate::sim::Fault;

/// A moment of the dialogue, named by what the client has just sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SmtpPhase {
    /// The connection itself; the server speaks first.
    Connect,
    /// `EHLO` or `HELO`.
    Ehlo,
    /// `AUTH`.
    Auth,
    /// `NOOP`.
    Noop,
    /// `RSET`.
    Rset,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    Rcpt,
    /// `DATA`, before any byte of the message.
    Data,
    /// The line with the single dot: the whole message is there.
    EndOfData,
}

/// What the server does instead of its normal answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SmtpAction {
    /// This reply; the command has no effect. `{address}` in the text becomes the address at
    /// hand, and each line of the text one line of the reply. After 421 the connection is closed.
    Reply {
        /// Reply code.
        code: u16,
        /// Text, with the enhanced status code if there is to be one.
        text: String,
    },
    /// These bytes as they are, then the connection is closed.
    Raw {
        /// The bytes, as text.
        bytes: String,
    },
    /// Says nothing until the client goes away. Nothing is accepted.
    Hang,
    /// Closes the connection. Nothing is accepted.
    Close,
    /// Accepts the message, then closes the connection without an answer. At any phase but
    /// [`SmtpPhase::EndOfData`] it is the same as [`SmtpAction::Close`].
    CloseAfterAccept,
    /// Accepts the message, then says nothing until the client goes away. At any phase but
    /// [`SmtpPhase::EndOfData`] it is the same as [`SmtpAction::Hang`].
    HangAfterAccept,
    /// The normal answer, this much later.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
}

/// One piece of trouble: when, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmtpFault {
    /// When.
    pub at: SmtpPhase,
    /// What.
    pub action: SmtpAction,
}

impl SmtpFault {
    /// `action` at `at`.
    pub const fn new(at: SmtpPhase, action: SmtpAction) -> Self {
        Self { at, action }
    }

    /// A reply at `at`.
    pub fn reply(at: SmtpPhase, code: u16, text: impl Into<String>) -> Self {
        Self::new(at, reply(code, text))
    }
}

fn reply(code: u16, text: impl Into<String>) -> SmtpAction {
    SmtpAction::Reply { code, text: text.into() }
}

/// How the trouble that all simulators know shows itself at `phase`, if that is where it does.
pub(super) fn action_at(fault: &Fault, phase: SmtpPhase) -> Option<SmtpAction> {
    use SmtpPhase::{Auth, EndOfData, Mail, Noop, Rcpt};
    let action = match (fault, phase) {
        (Fault::RateLimited { after_secs }, Mail | Noop) => reply(
            451,
            format!("4.7.1 Rate limit exceeded: too many messages, try again in {after_secs} seconds"),
        ),
        (Fault::ServerError { status }, Mail | Noop) => {
            reply(if (400..=599).contains(status) { *status } else { 451 }, "Service trouble")
        }
        (Fault::Hang, EndOfData | Noop) => SmtpAction::Hang,
        (Fault::DropBeforeAccept, Mail | Noop) | (Fault::DropAfterAccept, Noop) => SmtpAction::Close,
        (Fault::DropAfterAccept, EndOfData) => SmtpAction::CloseAfterAccept,
        (Fault::HangAfterAccept, EndOfData) => SmtpAction::HangAfterAccept,
        (Fault::HangAfterAccept, Noop) => SmtpAction::Hang,
        (Fault::Delay { millis }, EndOfData | Noop) => SmtpAction::Delay { millis: *millis },
        (Fault::BadRecipient, Rcpt) => {
            reply(550, "5.1.1 <{address}>: Recipient address rejected: User unknown in local recipient table")
        }
        (Fault::BadCredentials, Auth) => reply(535, "5.7.8 Error: authentication failed"),
        (Fault::BadCredentials, Mail | Noop) => reply(530, "5.7.0 Authentication required"),
        (Fault::NoBalance, Mail) => reply(550, "5.7.1 Account suspended: balance too low"),
        (Fault::BadContent, EndOfData) => reply(554, "5.7.1 Message rejected under suspicion of SPAM"),
        (Fault::ProviderCode { code, text }, Rcpt | EndOfData) => {
            let at = if matches!(code, 552 | 554) { EndOfData } else { Rcpt };
            if at != phase {
                return None;
            }
            reply(u16::try_from(*code).ok().filter(|code| (400..=599).contains(code)).unwrap_or(451), text)
        }
        _ => return None,
    };
    Some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [SmtpPhase; 9] = [
        SmtpPhase::Connect,
        SmtpPhase::Ehlo,
        SmtpPhase::Auth,
        SmtpPhase::Noop,
        SmtpPhase::Rset,
        SmtpPhase::Mail,
        SmtpPhase::Rcpt,
        SmtpPhase::Data,
        SmtpPhase::EndOfData,
    ];

    #[test]
    fn every_common_fault_shows_itself_in_a_mail_transaction() {
        let faults = [
            Fault::RateLimited { after_secs: 5 },
            Fault::ServerError { status: 451 },
            Fault::Hang,
            Fault::DropBeforeAccept,
            Fault::DropAfterAccept,
            Fault::HangAfterAccept,
            Fault::Delay { millis: 1 },
            Fault::BadRecipient,
            Fault::BadCredentials,
            Fault::NoBalance,
            Fault::BadContent,
            Fault::ProviderCode { code: 550, text: "5.7.1 no".to_owned() },
            Fault::ProviderCode { code: 552, text: "5.3.4 no".to_owned() },
        ];
        for fault in faults {
            let in_transaction = PHASES
                .into_iter()
                .filter(|phase| !matches!(phase, SmtpPhase::Auth | SmtpPhase::Noop))
                .filter(|phase| action_at(&fault, *phase).is_some())
                .count();
            assert_eq!(in_transaction, 1, "{fault:?}");
        }
    }
}
