//! What goes onto the wire, byte by byte where it matters.

use fastlead_core::contact::{Email, Phone};
use fastlead_core::id::DeliveryId;
use fastlead_core::message::{Button, Part, Response};
use fastlead_core::secret::Pii;
use fastlead_core::time::from_millis;

use super::super::config::SmtpConfig;
use super::*;

fn sender(change: impl FnOnce(&mut serde_json::Value)) -> Sender {
    let mut json = serde_json::json!({
        "host": "smtp.example.com",
        "from": { "name": "Пример, ООО", "address": "leads@example.com" },
    });
    change(&mut json);
    serde_json::from_value::<SmtpConfig>(json)
        .unwrap()
        .validate(&crate::egress::Egress::public())
        .unwrap()
        .sender
}

fn message(text: Text) -> OutboundMessage {
    OutboundMessage {
        delivery_id: DeliveryId::from_uuid(uuid::Uuid::from_u128(0x0190_b6f4_5d3c_7000_a000_0000_0000_0001)),
        attempt: 1,
        part: Part::WHOLE,
        recipient: Recipient::Email(Email::parse("anna@example.com").unwrap()),
        content: Content::Text(text),
        class: MessageClass::Service,
        attempted_at: from_millis(1_795_435_200_000),
        expires_at: None,
    }
}

fn source(sender: &Sender, message: &OutboundMessage) -> String {
    String::from_utf8(build(sender, message).unwrap().source).unwrap()
}

#[test]
fn a_plain_message_is_these_bytes() {
    let mut text = Text::plain("Hello\nAnna\r\nbye");
    text.subject = Some(Pii::from("New lead"));
    let expected = concat!(
        "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n",
        "Message-ID: <dlv_0190b6f45d3c7000a000000000000001@example.com>\r\n",
        "From: =?utf-8?b?0J/RgNC40LzQtdGALCDQntCe0J4=?= <leads@example.com>\r\n",
        "To: anna@example.com\r\n",
        "Subject: New lead\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "MIME-Version: 1.0\r\n",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Transfer-Encoding: 7bit\r\n",
        "\r\n",
        "Hello\r\nAnna\r\nbye",
    );
    assert_eq!(source(&sender(|_| {}), &message(text)), expected);
}

#[test]
fn the_same_message_gives_the_same_bytes() {
    let mut text = Text::plain("Привет");
    text.html = Some(Pii::from("<b>Привет</b>"));
    let sender = sender(|_| {});
    assert_eq!(source(&sender, &message(text.clone())), source(&sender, &message(text)));
}

#[test]
fn parts_have_message_ids_of_their_own() {
    let mut message = message(Text::plain("two"));
    message.part = Part { index: 1, count: 2 };
    let mail =
        build(&sender(|json| json["message_id_domain"] = "mail.example.com".into()), &message).unwrap();
    assert_eq!(mail.message_id, "<dlv_0190b6f45d3c7000a000000000000001-1@mail.example.com>");
}

#[test]
fn the_envelope_sender_can_name_the_delivery() {
    let mail = build(
        &sender(|json| json["return_path"] = "bounce+{delivery}@пример.рф".into()),
        &message(Text::plain("x")),
    )
    .unwrap();
    assert_eq!(mail.from.to_string(), "bounce+0190b6f45d3c7000a000000000000001@xn--e1afmkfd.xn--p1ai");
    assert!(String::from_utf8(mail.source).unwrap().contains("<leads@example.com>"));
}

#[test]
fn only_advertising_can_be_unsubscribed() {
    for (url, one_click) in
        [("https://example.com/u/{delivery}", true), ("https://example.com/settings", false)]
    {
        let sender = sender(|json| json["list_unsubscribe"] = url.into());
        let mut message = message(Text::plain("x"));
        assert!(!source(&sender, &message).contains("List-Unsubscribe"));
        message.class = MessageClass::Advertising;
        let source = source(&sender, &message);
        let page = url.replace("{delivery}", "0190b6f45d3c7000a000000000000001");
        assert!(source.contains(&format!("List-Unsubscribe: <{page}>\r\n")), "{source}");
        assert_eq!(source.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), one_click);
        assert!(source.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{source}");
    }
}

/// RFC 2369: advertising always says how to leave it, also where nobody has set a page.
#[test]
fn advertising_without_a_page_is_left_by_a_mail() {
    let unsubscribe = |change: fn(&mut serde_json::Value)| {
        let mut message = message(Text::plain("x"));
        message.class = MessageClass::Advertising;
        let source = source(&sender(change), &message).replace("\r\n ", " ");
        let line = source.split("\r\n").find_map(|line| line.strip_prefix("List-Unsubscribe: ")).unwrap();
        assert!(!source.contains("List-Unsubscribe-Post"), "one click needs a page");
        line.to_owned()
    };
    let digits = "0190b6f45d3c7000a000000000000001";
    for (change, to) in [
        (|_: &mut _| {}, "leads@example.com"),
        (
            |json: &mut serde_json::Value| json["reply_to"] = "sales+a&b@example.com".into(),
            "sales+a%26b@example.com",
        ),
    ] as [(fn(&mut serde_json::Value), &str); 2]
    {
        assert_eq!(unsubscribe(change), format!("<mailto:{to}?subject=unsubscribe%20{digits}>"));
    }
}

/// RFC 5322 section 2.1.1: lines should have at most 78 characters; RFC 2047 section 2: at most 76 with an encoded word.
#[test]
fn a_long_name_of_the_sender_is_folded() {
    for name in
        ["Общество с ограниченной ответственностью ".repeat(8), "Limited liability company ".repeat(10)]
    {
        let source =
            source(&sender(|json| json["from"]["name"] = name.as_str().into()), &message(Text::plain("x")));
        let (head, _) = source.split_once("\r\n\r\n").unwrap();
        for line in head.split("\r\n") {
            assert!(line.len() <= 78, "{} octets: {line}", line.len());
        }
    }
}

#[test]
fn nothing_from_outside_becomes_a_header() {
    let attack = "Hi\r\nBcc: eve@example.com\r\n\r\n<b>x</b>\u{85}\u{2028}\u{0}";
    let mut text = Text::plain("x");
    text.subject = Some(Pii::from(attack));
    let source = source(&sender(|_| {}), &message(text));
    assert!(source.contains("\r\nSubject: Hi Bcc: eve@example.com <b>x</b>\r\n"), "{source}");
    let (head, _) = source.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("\r\nBcc"));
}

#[test]
fn subjects() {
    let subject_of = |given: Option<&str>, plain: &str| {
        let mut text = Text::plain(plain);
        text.subject = given.map(Pii::from);
        subject(&text)
    };
    assert_eq!(subject_of(Some("  New \t lead "), "x").as_deref(), Some("New lead"));
    assert_eq!(subject_of(Some(" "), "\n\n  first line \nsecond").as_deref(), Some("first line"));
    assert_eq!(subject_of(None, "\r\nfirst\rsecond").as_deref(), Some("first"));
    assert_eq!(subject_of(None, " \n "), None);
    assert_eq!(subject_of(Some("=?utf-8?B?AAAA?="), "x").as_deref(), Some("= ?utf-8?B?AAAA?="));
    let long = subject_of(None, &"слово ".repeat(40)).unwrap();
    assert!(long.chars().count() <= 78 && long.ends_with("слово…"), "{long}");
    assert_eq!(subject_of(Some(&"x".repeat(300)), "y").unwrap().chars().count(), 250);
}

#[test]
fn buttons_that_open_pages_are_links_and_the_others_are_not_there() {
    let open = |label: &str, url: &str| Button {
        label: label.to_owned(),
        action: ButtonAction::Open(url.to_owned().try_into().unwrap()),
    };
    let mut text = Text::plain("Lead");
    text.html = Some(Pii::from("<b>Lead</b>"));
    text.buttons = vec![
        open("See <it>", "https://example.com/l?a=1&b=\"2"),
        Button { label: "Take".to_owned(), action: ButtonAction::Respond(Response::Accept) },
        open("Call\r\nback", "https://example.com/c"),
    ];
    assert_eq!(
        plain_body(&text),
        "Lead\n\nSee <it>: https://example.com/l?a=1&b=\"2\nCall back: https://example.com/c"
    );
    let html = html_body(&text).unwrap();
    assert!(html.contains("<div dir=\"auto\"><b>Lead</b></div>"));
    assert!(
        html.contains("<a href=\"https://example.com/l?a=1&amp;b=&quot;2\">See &lt;it&gt;</a>"),
        "{html}"
    );
    assert!(!html.contains("Take"));
}

#[test]
fn what_mail_cannot_carry_is_refused_without_a_call() {
    let sender = sender(|_| {});
    let mut to_phone = message(Text::plain("x"));
    to_phone.recipient = Recipient::Phone(Phone::parse("+7 900 000-00-00").unwrap());
    let mut reply = message(Text::plain("x"));
    reply.content = Content::InteractionReply(fastlead_core::message::InteractionReply {
        interaction_id: "1".to_owned(),
        closes: None,
        text: "ok".to_owned(),
    });
    for (message, kind) in [(to_phone, ErrorKind::Invalid), (reply, ErrorKind::Unsupported)] {
        assert_eq!(build(&sender, &message).err().unwrap().kind(), kind);
    }
}

#[test]
fn no_line_is_longer_than_mail_allows() {
    let word = "слово".repeat(500);
    let mut text = Text::plain(word.clone() + &"x".repeat(5_000));
    text.subject = Some(Pii::new("x".repeat(240)));
    text.html = Some(Pii::new(format!("<p>{word}</p>")));
    for line in source(&sender(|_| {}), &message(text)).split("\r\n") {
        assert!(line.len() <= 998, "{} octets", line.len());
        assert!(line.is_ascii() && !line.contains(['\r', '\n']));
    }
}
