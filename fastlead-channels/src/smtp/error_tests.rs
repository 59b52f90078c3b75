//! Replies as servers give them, and what becomes of them.

use super::*;

/// What a row expects.
#[derive(Debug, PartialEq, Eq)]
enum Retry {
    Never,
    Safe,
    SafeAfterSecs(u64),
    Unknown,
}

fn retry_of(error: &Error) -> Retry {
    match error.retry() {
        RetryHint::Never => Retry::Never,
        RetryHint::Safe { after: None } => Retry::Safe,
        RetryHint::Safe { after: Some(after) } => Retry::SafeAfterSecs(after.as_secs()),
        RetryHint::IfIdempotent { .. } => Retry::Unknown,
    }
}

fn reply(phase: Phase, code: u16, text: &str) -> Error {
    parse_error("send", &Trouble::new(phase, Failure::Reply { code, text: Pii::from(text) }))
}

type Row = (Phase, u16, &'static str, ErrorKind, Retry);

#[rustfmt::skip]
const REPLIES: &[Row] = &[
    // 4xx: come back later
    (Phase::Connect, 421, "4.3.2 Service shutting down", ErrorKind::Unavailable, Retry::Safe),
    (Phase::Mail, 421, "Service not available, closing transmission channel", ErrorKind::Unavailable, Retry::Safe),
    (Phase::Recipient, 450, "4.2.0 <anna@example.com>: Recipient address rejected: mailbox busy", ErrorKind::Recipient, Retry::Safe),
    (Phase::End, 451, "4.3.0 Error: queue file write error", ErrorKind::Unavailable, Retry::Safe),
    (Phase::End, 452, "4.3.1 Insufficient system storage", ErrorKind::Unavailable, Retry::Safe),
    (Phase::Recipient, 450, "4.1.8 <leads@example.com>: Sender address rejected: Domain not found", ErrorKind::Unavailable, Retry::Safe),
    (Phase::End, 421, "4.4.2 Error: timeout exceeded", ErrorKind::Unavailable, Retry::Safe),
    // greylisting
    (Phase::Recipient, 451, "4.7.1 Greylisting in action, please come back later", ErrorKind::Recipient, Retry::SafeAfterSecs(300)),
    (Phase::Recipient, 450, "4.2.0 <anna@example.com>: Recipient address rejected: Greylisted, see https://example.com/", ErrorKind::Recipient, Retry::SafeAfterSecs(300)),
    (Phase::End, 451, "4.7.1 Please try again later", ErrorKind::Recipient, Retry::SafeAfterSecs(300)),
    // rate
    (Phase::Mail, 421, "4.7.28 Our system has detected unusual traffic from your IP address", ErrorKind::RateLimited, Retry::Safe),
    (Phase::End, 421, "4.7.0 Our system has detected an unusual rate of unsolicited mail", ErrorKind::RateLimited, Retry::Safe),
    (Phase::Recipient, 450, "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents more", ErrorKind::RateLimited, Retry::Safe),
    (Phase::Mail, 450, "4.7.1 Error: too much mail, too many messages from 192.0.2.1", ErrorKind::RateLimited, Retry::Safe),
    (Phase::Connect, 421, "Too many concurrent SMTP connections", ErrorKind::RateLimited, Retry::Safe),
    (Phase::End, 451, "4.3.0 Temporary failure: could not generate or separate", ErrorKind::Unavailable, Retry::Safe),
    (Phase::Connect, 450, "4.7.25 Client host rejected: cannot find your hostname", ErrorKind::RateLimited, Retry::Safe),
    // unknown domains and users in other words (https://github.com/knadh/listmonk/issues/1463,
    // https://github.com/postalserver/postal/issues/253, https://github.com/MicrosoftDocs/microsoft-365-docs/issues/666)
    (Phase::Recipient, 550, "5.4.4 Invalid domain", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 550, "5.4.6 Unrouteable mail domain", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 553, "5.3.0 <anna@example.com>... no such domain", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 551, "User not local", ErrorKind::Recipient, Retry::Never),
    (Phase::End, 554, "delivery error: dd This user doesn't have a yahoo.com account (anna@example.com) [0]", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 521, "example.com does not accept mail", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 550, "5.7.606 Access denied, banned sending IP [192.0.2.1]", ErrorKind::RateLimited, Retry::SafeAfterSecs(LIMIT_PAUSE.as_secs())),
    (Phase::Mail, 530, "Must issue a STARTTLS command first", ErrorKind::Config, Retry::Never),
    // full mailbox
    (Phase::Recipient, 452, "4.2.2 <anna@example.com>: Mailbox full", ErrorKind::Recipient, Retry::SafeAfterSecs(3600)),
    (Phase::End, 452, "4.2.2 The recipient's inbox is out of storage space", ErrorKind::Recipient, Retry::SafeAfterSecs(3600)),
    (Phase::Recipient, 552, "5.2.2 <anna@example.com>: Mailbox over quota", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 552, "Requested mail action aborted: exceeded storage allocation", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 550, "Mailbox is full, quota exceeded", ErrorKind::Recipient, Retry::Never),
    // signing in
    (Phase::Auth, 454, "4.7.0 Temporary authentication failure", ErrorKind::Unavailable, Retry::Safe),
    (Phase::Mail, 454, "4.7.0 TLS not available due to temporary reason", ErrorKind::Unavailable, Retry::Safe),
    (Phase::Auth, 535, "5.7.8 Error: authentication failed: leads@example.com", ErrorKind::Auth, Retry::Never),
    (Phase::Auth, 534, "5.7.9 Application-specific password required", ErrorKind::Auth, Retry::Never),
    (Phase::Auth, 538, "5.7.11 Encryption required for requested authentication mechanism", ErrorKind::Auth, Retry::Never),
    (Phase::Auth, 550, "5.7.1 Account disabled", ErrorKind::Auth, Retry::Never),
    (Phase::Mail, 530, "5.7.0 Authentication required", ErrorKind::Auth, Retry::Never),
    (Phase::Mail, 530, "5.7.0 Must issue a STARTTLS command first", ErrorKind::Config, Retry::Never),
    (Phase::Recipient, 550, "5.7.1 Authentication required", ErrorKind::Auth, Retry::Never),
    (Phase::Auth, 504, "5.5.4 Unrecognized authentication type", ErrorKind::Config, Retry::Never),
    (Phase::Auth, 503, "5.5.1 Error: authentication not enabled", ErrorKind::Config, Retry::Never),
    // bad recipient
    (Phase::Recipient, 550, "5.1.1 <anna@example.com>: Recipient address rejected: User unknown in virtual mailbox table", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 550, "5.1.2 <anna@example.com>: Recipient address rejected: Domain not found", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 501, "5.1.3 Bad recipient address syntax", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 551, "5.1.6 Recipient has moved", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 556, "5.1.10 Recipient address has null MX", ErrorKind::Recipient, Retry::Never),
    (Phase::End, 550, "5.2.1 The email account that you tried to reach is disabled", ErrorKind::Recipient, Retry::Never),
    (Phase::End, 550, "5.1.1 The email account that you tried to reach does not exist", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 550, "#5.1.1 Address rejected anna@example.com", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 550, "No such user here", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 550, "Requested action not taken: mailbox unavailable", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 553, "sorry, unknown user anna@example.com", ErrorKind::Recipient, Retry::Never),
    // 550 that does not say why
    (Phase::Recipient, 550, "Access denied", ErrorKind::Content, Retry::Never),
    (Phase::Recipient, 550, "5.4.1 Recipient address rejected: Access denied", ErrorKind::Recipient, Retry::Never),
    // content and policy
    (Phase::End, 552, "5.3.4 Message size exceeds fixed limit", ErrorKind::Content, Retry::Never),
    (Phase::Mail, 552, "5.3.4 Error: message file too big", ErrorKind::Content, Retry::Never),
    (Phase::End, 554, "5.2.3 Message too long for the mailbox", ErrorKind::Content, Retry::Never),
    (Phase::End, 552, "Message size exceeds maximum permitted", ErrorKind::Content, Retry::Never),
    (Phase::End, 554, "5.7.1 Message rejected under suspicion of SPAM; https://example.com/spam", ErrorKind::Content, Retry::Never),
    (Phase::Recipient, 550, "5.7.1 Service unavailable; client [192.0.2.1] blocked using bl.example.com", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::End, 550, "5.7.25 The sending IP does not have a PTR record set up", ErrorKind::Content, Retry::Never),
    (Phase::End, 550, "5.7.26 Unauthenticated email from example.com is not accepted due to DMARC policy", ErrorKind::Content, Retry::Never),
    (Phase::End, 554, "Transaction failed", ErrorKind::Content, Retry::Never),
    (Phase::End, 554, "5.6.0 Message contains invalid header", ErrorKind::Content, Retry::Never),
    // the account: sender, host, relaying
    (Phase::Connect, 554, "5.7.1 Client host rejected: Access denied", ErrorKind::Config, Retry::Never),
    (Phase::Connect, 554, "No SMTP service here", ErrorKind::Config, Retry::Never),
    (Phase::Mail, 553, "5.7.1 Sender address rejected: not owned by auth user", ErrorKind::Config, Retry::Never),
    (Phase::Mail, 550, "5.1.8 <leads@example.com>: Sender address rejected: Domain not found", ErrorKind::Config, Retry::Never),
    (Phase::Mail, 550, "5.1.1 user unknown", ErrorKind::Config, Retry::Never),
    (Phase::Mail, 501, "5.1.7 Bad sender address syntax", ErrorKind::Config, Retry::Never),
    (Phase::Recipient, 554, "5.7.1 <anna@example.com>: Relay access denied", ErrorKind::Config, Retry::Never),
    // bugs
    (Phase::Mail, 501, "Syntax error in parameters", ErrorKind::Invalid, Retry::Never),
    (Phase::Data, 503, "5.5.1 Error: need RCPT command", ErrorKind::Invalid, Retry::Never),
    (Phase::Mail, 555, "5.5.4 Unsupported option", ErrorKind::Invalid, Retry::Never),
    (Phase::Data, 554, "5.5.1 Error: no valid recipients", ErrorKind::Invalid, Retry::Never),
    // letters outside ASCII
    (Phase::Recipient, 553, "5.6.7 Non-ASCII address without SMTPUTF8", ErrorKind::Unsupported, Retry::Never),
    // surprises
    (Phase::End, 599, "what", ErrorKind::Protocol, Retry::Never),
];

/// Replies that people have got, each with the page that shows it; names and addresses are replaced. The first word is
/// who said it.
#[rustfmt::skip]
const REAL: &[Row] = &[
    // Gmail. <https://support.google.com/a/answer/3726730>, <https://github.com/gen-smtp/gen_smtp/issues/140>
    (Phase::End, 550, "5.4.5 Daily user sending quota exceeded. o65sm25351206pga.71 - gsmtp", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::Recipient, 550, "5.4.5 Daily SMTP relay sending limit exceeded for user. gsmtp", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::End, 550, "5.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP address", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::End, 421, "4.7.28 Our system has detected an unusual rate of unsolicited mail", ErrorKind::RateLimited, Retry::Safe),
    (Phase::Recipient, 452, "4.2.2 The recipient's inbox is out of storage space", ErrorKind::Recipient, Retry::SafeAfterSecs(3600)),
    (Phase::Recipient, 550, "5.1.1 The email account that you tried to reach does not exist. Please try double-checking", ErrorKind::Recipient, Retry::Never),
    (Phase::End, 552, "5.2.3 Your message exceeded Google's message size limits", ErrorKind::Content, Retry::Never),
    (Phase::End, 552, "5.7.0 This message was blocked because its content presents a potential security issue", ErrorKind::Content, Retry::Never),
    (Phase::Auth, 454, "4.7.0 Too many login attempts, please try again later. - gsmtp", ErrorKind::RateLimited, Retry::Safe),
    (Phase::Auth, 535, "5.7.8 Username and Password not accepted. - gsmtp", ErrorKind::Auth, Retry::Never),
    // Exchange Online. <https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online>,
    // <https://github.com/MicrosoftDocs/OfficeDocs-Support/issues/1150>, <https://github.com/Youans/nodejs-nodemailer-outlook/issues/11>
    (Phase::End, 554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::End, 554, "5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; WASCL UserAction verdict is not None", ErrorKind::Config, Retry::Never),
    (Phase::End, 432, "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", ErrorKind::RateLimited, Retry::Safe),
    (Phase::End, 450, "4.7.3 Organization queue quota exceeded", ErrorKind::RateLimited, Retry::Safe),
    (Phase::Recipient, 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)", ErrorKind::Recipient, Retry::Never),
    (Phase::End, 550, "5.7.705 Access denied, tenant has exceeded threshold", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::Recipient, 550, "5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::Mail, 530, "5.7.57 Client not authenticated to send mail", ErrorKind::Auth, Retry::Never),
    (Phase::Auth, 535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant", ErrorKind::Auth, Retry::Never),
    (Phase::Recipient, 550, "5.5.0 Requested action not taken: mailbox unavailable", ErrorKind::Recipient, Retry::Never),
    // Yandex. <https://yandex.ru/support/yandex-360/customers/mail/ru/mail-clients/errors>, <https://github.com/chatmail/provider-db/issues/205>
    (Phase::Recipient, 550, "5.7.1 No such user!", ErrorKind::Recipient, Retry::Never),
    (Phase::End, 554, "5.7.1 [2] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc", ErrorKind::Content, Retry::Never),
    (Phase::Mail, 553, "5.7.1 Sender address rejected: not owned by auth user.", ErrorKind::Config, Retry::Never),
    (Phase::Recipient, 450, "4.2.1 The recipient has exceeded message rate limit. Try again later.", ErrorKind::RateLimited, Retry::Safe),
    (Phase::End, 451, "4.5.3 The recipient has exceeded their message rate limit. Try again later", ErrorKind::RateLimited, Retry::Safe),
    // Mail.ru. <https://help.mail.ru/developers/notify_errors>
    (Phase::Recipient, 550, "Message was not accepted -- invalid mailbox. Local mailbox anna@example.com is unavailable: user not found", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 550, "Message was not accepted -- invalid mailbox. Local mailbox is unavailable: account is disabled", ErrorKind::Recipient, Retry::Never),
    (Phase::End, 451, "Ratelimit exceeded for mailbox leads@example.com. Try again later.", ErrorKind::RateLimited, Retry::Safe),
    (Phase::End, 550, "spam message rejected. Please visit https://help.mail.ru/notspam-support/id", ErrorKind::Content, Retry::Never),
    (Phase::Recipient, 552, "Mailbox size limit exceeded", ErrorKind::Content, Retry::Never),
    // Postfix, which tells at RCPT whatever it has against us. <https://www.postfix.org/postconf.5.html#smtpd_delay_reject>
    (Phase::Recipient, 550, "5.1.0 <leads@example.com>: Sender address rejected: User unknown in local recipient table", ErrorKind::Config, Retry::Never),
    (Phase::Recipient, 550, "5.1.1 <anna@example.com>: Recipient address rejected: User unknown in local recipient table", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 554, "5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied", ErrorKind::Config, Retry::Never),
    (Phase::Recipient, 504, "5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", ErrorKind::Config, Retry::Never),
    (Phase::Recipient, 554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::Mail, 450, "4.7.1 Error: too much mail from 192.0.2.1", ErrorKind::RateLimited, Retry::Safe),
    (Phase::Recipient, 450, "4.1.2 <anna@example.com>: Recipient address rejected: Domain not found", ErrorKind::Recipient, Retry::Safe),
    // Exim. <https://www.exim.org/exim-html-current/doc/html/spec_html/ch-access_control_lists.html>
    (Phase::Recipient, 550, "Unrouteable address", ErrorKind::Recipient, Retry::Never),
    (Phase::Recipient, 550, "relay not permitted", ErrorKind::Config, Retry::Never),
    (Phase::Mail, 421, "too many messages in this connection", ErrorKind::Unavailable, Retry::Safe),
    // Sendmail and others: enough for one session. RFC 5321 section 4.5.3.1.10 for 452.
    (Phase::Mail, 452, "4.5.3 Too many messages this session", ErrorKind::Unavailable, Retry::Safe),
    (Phase::Mail, 454, "4.7.0 TLS not available due to local problem", ErrorKind::Unavailable, Retry::Safe),
    // Amazon SES. <https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html>
    (Phase::End, 454, "Throttling failure: Daily message quota exceeded", ErrorKind::RateLimited, Retry::Safe),
    (Phase::End, 454, "Throttling failure: Maximum sending rate exceeded", ErrorKind::RateLimited, Retry::Safe),
    // Hosting providers. <https://github.com/WWBN/AVideo/issues/7527>, <https://github.com/root-io/vmail/issues/67>
    (Phase::End, 552, "Message would take you over your relay quota of 500 Current quota used: 487", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::Data, 550, "5.7.1 <DATA>: Data command rejected: only 10 messages per day", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::Mail, 552, "5.2.2 over quota", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    (Phase::Recipient, 554, "bad reputation of the sender", ErrorKind::RateLimited, Retry::SafeAfterSecs(3600)),
    // A code and nothing beside it (RFC 5321 section 4.2).
    (Phase::Recipient, 550, "", ErrorKind::Content, Retry::Never),
    (Phase::Mail, 450, "", ErrorKind::Unavailable, Retry::Safe),
    (Phase::End, 452, "", ErrorKind::Unavailable, Retry::Safe),
];

#[test]
fn replies_mean_what_the_table_says() {
    for (phase, code, text, kind, retry) in REPLIES.iter().chain(REAL) {
        let error = reply(*phase, *code, text);
        assert_eq!((error.kind(), &retry_of(&error)), (*kind, retry), "{phase:?} {code} {text}");
        assert!(error.provider_code().unwrap().starts_with(&code.to_string()));
        let shown = format!("{error} {error:?}");
        for private in ["anna", "leads", "192.0.2", "example.com"] {
            assert!(!shown.contains(private), "{shown}");
        }
    }
}

#[test]
fn without_a_reply_only_the_phase_tells_whether_the_server_may_have_acted() {
    let before =
        [Phase::Connect, Phase::Auth, Phase::Idle, Phase::Mail, Phase::Recipient, Phase::Data, Phase::Body];
    type Make = fn() -> Failure;
    let table: &[(Make, ErrorKind)] = &[
        (|| Failure::Timeout, ErrorKind::Timeout),
        (|| Failure::Closed, ErrorKind::Unavailable),
        (|| Failure::Network(io::ErrorKind::HostUnreachable), ErrorKind::Unavailable),
        (|| Failure::Tls, ErrorKind::Unavailable),
        (|| Failure::Garbage, ErrorKind::Protocol),
    ];
    for (make, kind) in table {
        for phase in before {
            let error = parse_error("send", &Trouble::new(phase, make()));
            assert_eq!((error.kind(), retry_of(&error)), (*kind, Retry::Safe), "{phase:?}");
        }
        let error = parse_error("send", &Trouble::new(Phase::End, make()));
        assert_eq!((error.kind(), retry_of(&error)), (*kind, Retry::Unknown));
    }
}

#[test]
fn settings_that_cannot_work_are_not_retried() {
    for (failure, kind) in [
        (Failure::Certificate, ErrorKind::Config),
        (Failure::NoStartTls, ErrorKind::Config),
        (Failure::NoMechanism, ErrorKind::Config),
        (Failure::NoSmtpUtf8, ErrorKind::Unsupported),
        (Failure::SenderNeedsSmtpUtf8, ErrorKind::Config),
    ] {
        let error = parse_error("check", &Trouble::new(Phase::Connect, failure));
        assert_eq!((error.kind(), retry_of(&error)), (kind, Retry::Never));
    }
    let busy = parse_error("send", &Trouble::new(Phase::Wait, Failure::Timeout));
    assert_eq!((busy.kind(), retry_of(&busy)), (ErrorKind::Overloaded, Retry::Safe));
}

#[test]
fn what_the_operating_system_and_tls_said_is_found_inside() {
    let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
    assert!(matches!(Failure::of_network(io::Error::other(certificate)), Failure::Certificate));
    assert!(matches!(Failure::of_network(io::Error::other(rustls::Error::DecryptError)), Failure::Tls));
    for (kind, closed) in [
        (io::ErrorKind::ConnectionReset, true),
        (io::ErrorKind::BrokenPipe, true),
        (io::ErrorKind::UnexpectedEof, true),
        (io::ErrorKind::ConnectionRefused, false),
    ] {
        let failure = Failure::of_network(io::Error::from(kind));
        assert_eq!(matches!(failure, Failure::Closed), closed, "{kind}");
        // Who hangs up while a key is agreed on has trouble with TLS.
        assert_eq!(matches!(Failure::of_handshake(io::Error::from(kind)), Failure::Tls), closed, "{kind}");
    }
    assert!(matches!(Failure::of_network(io::Error::from(io::ErrorKind::TimedOut)), Failure::Timeout));
}

#[test]
fn one_line_that_says_where_what_and_why() {
    let error = reply(Phase::Recipient, 550, "5.1.1 <anna@example.com>: User unknown");
    assert_eq!(
        error.to_string(),
        "smtp send: recipient refused: the mailbox does not exist or does not take mail \
         (provider code 550 5.1.1), phase=rcpt"
    );
    let full = reply(Phase::Recipient, 552, "5.2.2 full");
    assert!(full.context().contains(&("condition", "mailbox_full".to_owned())));
}

#[test]
fn enhanced_codes_are_not_confused_with_addresses_or_versions() {
    for (text, wanted) in [
        ("5.1.1 no", Some("5.1.1")),
        (" 4.7.28 no", Some("4.7.28")),
        ("5.7.26", Some("5.7.26")),
        ("Rejected (#5.7.1)", Some("5.7.1")),
        ("5.1.1.7 is blocked", None),
        ("2.1.5 ok", None),
        ("5.1234.1 no", None),
        ("blocked by version 4.2.1", None),
        ("", None),
    ] {
        assert_eq!(EnhancedCode::find(text).map(|code| code.to_string()).as_deref(), wanted, "{text}");
    }
}

#[test]
fn only_a_clean_no_leaves_the_connection_usable() {
    let reply = |code| Failure::Reply { code, text: Pii::from("") };
    assert!(Trouble::new(Phase::Recipient, reply(550)).leaves_connection_usable());
    for code in [421, 452] {
        assert!(!Trouble::new(Phase::Recipient, reply(code)).leaves_connection_usable());
    }
    assert!(!Trouble::new(Phase::Recipient, Failure::Timeout).leaves_connection_usable());
    assert!(!Trouble::new(Phase::Data, Failure::Garbage).leaves_connection_usable());
}
