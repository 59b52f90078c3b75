//! What each kind of trouble comes to, as `docs/delivery.md` and the adapters' own pages say.

use fastlead_testkit::sim::Fault;

use super::provider::Via::{self, Mail, Sms, Telegram, Webhook};

/// What is wrong.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// These faults, one for each request.
    Faults(Vec<Fault>),
    /// Nobody listens.
    Refused,
    /// The password or token is another one.
    WrongCredentials,
    /// The account is empty.
    NoMoney,
    /// The recipient does not exist, or has blocked us.
    Blocked,
    /// The server puts strangers off (greylisting), or the mailbox is full.
    PutOff { full: bool },
}

/// What is done when the trouble is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing: the delivery has ended.
    Nothing,
    /// The cause is mended and the paused channel resumed: the delivery ends in this state.
    Resume(&'static str),
    /// The cause is mended and everything since the beginning recovered: the delivery ends in this state.
    Recover(&'static str),
}

/// One kind of trouble on one channel.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) via: Via,
    pub(super) trouble: Trouble,
    /// The retry schedule, in seconds.
    pub(super) retry: &'static [u64],
    /// The lifetime of a message, in seconds; a webhook lives four times as long.
    pub(super) ttl: u64,
    pub(super) state: &'static str,
    pub(super) reason: &'static str,
    /// What the attempts were: operation, verdict, and the code of the error.
    pub(super) attempts: &'static [&'static str],
    /// At least so many seconds lie between the first attempt and what comes after it.
    pub(super) wait: u64,
    /// How many messages arrived.
    pub(super) arrived: usize,
    /// Why the channel is paused.
    pub(super) paused: Option<&'static str>,
    /// Whether the owner hears of it over another channel.
    pub(super) told: bool,
    pub(super) then: Then,
}

fn faults(faults: &[Fault]) -> Trouble {
    Trouble::Faults(faults.to_vec())
}

fn code(code: i64, text: &str) -> Trouble {
    Trouble::Faults(vec![Fault::ProviderCode { code, text: text.to_owned() }])
}

/// A row in which the message arrives at last.
fn arrives(name: &'static str, via: Via, trouble: Trouble, attempts: &'static [&'static str]) -> Row {
    let (state, reason) = match via {
        Telegram | Mail => ("sent", ""),
        Sms => ("awaiting_receipt", ""),
        Webhook => ("delivered", ""),
    };
    let (retry, ttl, then) = (&[1][..], 86_400, Then::Nothing);
    Row {
        name,
        via,
        trouble,
        retry,
        ttl,
        state,
        reason,
        attempts,
        wait: 0,
        arrived: 1,
        paused: None,
        told: false,
        then,
    }
}

/// A row in which it does not, and the owner hears of it.
fn ends(
    name: &'static str,
    via: Via,
    trouble: Trouble,
    (state, reason): (&'static str, &'static str),
    attempts: &'static [&'static str],
) -> Row {
    Row { state, reason, arrived: 0, told: true, ..arrives(name, via, trouble, attempts) }
}

/// A row in which it waits for its moment, which is far away.
fn waits(
    name: &'static str,
    via: Via,
    trouble: Trouble,
    wait: u64,
    attempts: &'static [&'static str],
) -> Row {
    Row { told: false, wait, ..ends(name, via, trouble, ("pending", "rate_limited"), attempts) }
}

/// A row in which the account is at fault: the channel is paused, and goes on when it is mended.
fn pauses(
    name: &'static str,
    via: Via,
    trouble: Trouble,
    cause: &'static str,
    attempts: &'static [&'static str],
) -> Row {
    let row = arrives(name, via, trouble, attempts);
    let then = Then::Resume(row.state);
    Row {
        state: "pending",
        reason: "channel_paused",
        arrived: 0,
        told: true,
        paused: Some(cause),
        then,
        ..row
    }
}

pub(super) fn rows() -> Vec<Row> {
    [telegram(), sms(), mail(), webhook()].concat()
}

const UNKNOWN: (&str, &str) = ("ambiguous", "outcome_unknown");
const EXHAUSTED: (&str, &str) = ("failed", "retries_exhausted");
const TOO_LATE: (&str, &str) = ("expired", "ttl");

fn telegram() -> Vec<Row> {
    let limited = |after_secs| faults(&[Fault::RateLimited { after_secs }]);
    vec![
        Row { wait: 2, ..arrives("429", Telegram, limited(2), &["send retry rate_limited", "send sent"]) },
        ends(
            "500",
            Telegram,
            faults(&[Fault::ServerError { status: 500 }]),
            UNKNOWN,
            &["send ambiguous unavailable"],
        ),
        ends("hang", Telegram, faults(&[Fault::Hang]), UNKNOWN, &["send ambiguous timeout"]),
        Row {
            retry: &[],
            then: Then::Recover("sent"),
            ..ends("refused", Telegram, Trouble::Refused, EXHAUSTED, &["send failed unavailable"])
        },
        Row {
            arrived: 1,
            ..ends(
                "drop",
                Telegram,
                faults(&[Fault::DropAfterAccept]),
                UNKNOWN,
                &["send ambiguous unavailable"],
            )
        },
        ends("blocked", Telegram, Trouble::Blocked, ("failed", "recipient"), &["send failed recipient"]),
        ends(
            "content",
            Telegram,
            faults(&[Fault::BadContent]),
            ("failed", "content"),
            &["send failed content"],
        ),
        pauses("credentials", Telegram, Trouble::WrongCredentials, "auth", &["send channel_paused auth"]),
        // The provider has asked to wait for longer than a message lives, and is not asked again before that.
        Row { ttl: 5, ..ends("ttl", Telegram, limited(30), TOO_LATE, &["send expired rate_limited"]) },
    ]
}

fn sms() -> Vec<Row> {
    const AGAIN: [&str; 3] = ["send outcome_unknown unavailable", "lookup retry", "send accepted"];
    let limited = || faults(&[Fault::RateLimited { after_secs: 60 }]);
    vec![
        // SMSC names no delay: its code 9 means a minute.
        waits("429", Sms, limited(), 60, &["send retry rate_limited"]),
        waits("blocked address", Sms, code(4, "ip is blocked"), 300, &["send retry rate_limited"]),
        arrives("500", Sms, faults(&[Fault::ServerError { status: 500 }]), &AGAIN),
        arrives(
            "hang",
            Sms,
            faults(&[Fault::Hang]),
            &["send outcome_unknown timeout", "lookup retry", "send accepted"],
        ),
        Row {
            retry: &[],
            then: Then::Recover("awaiting_receipt"),
            ..ends("refused", Sms, Trouble::Refused, EXHAUSTED, &["send failed unavailable"])
        },
        arrives(
            "drop",
            Sms,
            faults(&[Fault::DropAfterAccept]),
            &["send outcome_unknown unavailable", "lookup accepted"],
        ),
        ends(
            "200 content",
            Sms,
            code(6, "message is denied"),
            ("failed", "content"),
            &["send failed content"],
        ),
        ends(
            "200 request",
            Sms,
            code(1, "parameters error"),
            ("failed", "invalid"),
            &["send failed invalid"],
        ),
        arrives(
            "200 unheard of",
            Sms,
            code(15, "unknown error"),
            &["send outcome_unknown protocol", "lookup retry", "send accepted"],
        ),
        ends("blocked", Sms, Trouble::Blocked, ("failed", "recipient"), &["send failed recipient"]),
        pauses("credentials", Sms, Trouble::WrongCredentials, "auth", &["send channel_paused auth"]),
        pauses("balance", Sms, Trouble::NoMoney, "balance", &["send channel_paused balance"]),
        Row { ttl: 30, ..ends("ttl", Sms, limited(), TOO_LATE, &["send expired rate_limited"]) },
    ]
}

fn mail() -> Vec<Row> {
    let trouble = || Fault::ServerError { status: 451 };
    vec![
        arrives(
            "429",
            Mail,
            faults(&[Fault::RateLimited { after_secs: 2 }]),
            &["send retry rate_limited", "send sent"],
        ),
        // The first three are tried within seconds.
        arrives(
            "500",
            Mail,
            faults(&[trouble(), trouble(), trouble()]),
            &["send retry unavailable", "send sent"],
        ),
        ends("hang", Mail, faults(&[Fault::Hang]), UNKNOWN, &["send ambiguous timeout"]),
        Row {
            retry: &[],
            then: Then::Recover("sent"),
            ..ends("refused", Mail, Trouble::Refused, EXHAUSTED, &["send failed unavailable"])
        },
        Row {
            arrived: 1,
            ..ends("drop", Mail, faults(&[Fault::DropAfterAccept]), UNKNOWN, &["send ambiguous unavailable"])
        },
        ends("blocked", Mail, Trouble::Blocked, ("failed", "recipient"), &["send failed recipient"]),
        ends("content", Mail, faults(&[Fault::BadContent]), ("failed", "content"), &["send failed content"]),
        // A mail server has no word for an empty account: it refuses the sender, which is a fault of the set-up.
        pauses("balance", Mail, faults(&[Fault::NoBalance]), "config", &["send channel_paused config"]),
        pauses("credentials", Mail, Trouble::WrongCredentials, "auth", &["send channel_paused auth"]),
        Row {
            reason: "recipient",
            ..waits("full mailbox", Mail, Trouble::PutOff { full: true }, 3_600, &["send retry recipient"])
        },
        Row {
            ttl: 30,
            then: Then::Recover("sent"),
            ..ends("ttl", Mail, Trouble::PutOff { full: false }, TOO_LATE, &["send expired recipient"])
        },
    ]
}

fn webhook() -> Vec<Row> {
    let limited = |after_secs| faults(&[Fault::RateLimited { after_secs }]);
    let broken = || Fault::ServerError { status: 500 };
    vec![
        Row {
            wait: 2,
            ..arrives("429", Webhook, limited(2), &["send retry rate_limited", "send delivered"])
        },
        arrives(
            "500",
            Webhook,
            faults(&[broken(), broken(), broken()]),
            &["send retry unavailable", "send delivered"],
        ),
        arrives(
            "hang",
            Webhook,
            faults(&[Fault::Hang, Fault::Hang, Fault::Hang]),
            &["send retry timeout", "send delivered"],
        ),
        Row {
            retry: &[],
            then: Then::Recover("delivered"),
            ..ends("refused", Webhook, Trouble::Refused, EXHAUSTED, &["send failed unavailable"])
        },
        // The receiver knows the id: it has the event once.
        arrives("drop", Webhook, faults(&[Fault::DropAfterAccept]), &["send delivered"]),
        pauses("gone", Webhook, Trouble::Blocked, "config", &["send channel_paused config"]),
        pauses(
            "credentials",
            Webhook,
            faults(&[Fault::BadCredentials]),
            "auth",
            &["send channel_paused auth"],
        ),
        // Whatever a receiver answers, it may be mended while the schedule lasts (Standard Webhooks).
        arrives("content", Webhook, faults(&[Fault::BadContent]), &["send retry invalid", "send delivered"]),
        arrives("balance", Webhook, faults(&[Fault::NoBalance]), &["send retry invalid", "send delivered"]),
        Row { ttl: 5, ..ends("ttl", Webhook, limited(60), TOO_LATE, &["send expired rate_limited"]) },
    ]
}
