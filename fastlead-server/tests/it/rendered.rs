//! Whatever a visitor types stands in the messages as it was typed: never as markup, header, template or command.

use fastlead_testkit::sim::Arrival;
use fastlead_testkit::sim::smsc::SmscSim;
use fastlead_testkit::sim::smtp::SmtpSim;
use fastlead_testkit::sim::telegram::TelegramSim;
use fastlead_testkit::sim::webhook::WebhookSim;
use serde_json::{Value, json};

use crate::desk::{Desk, of, settled};
use crate::program::{PASSWORD, Program};

/// Telegram takes one message a second into one chat, so there are several.
const CHATS: usize = 8;
const FIRST_CHAT: i64 = 95_000;
const MAILBOX: &str = "manager@example.com";

const TEXTS: [(&str, &str); 14] = [
    ("SQL", "Robert'); DROP TABLE leads; -- \" OR 1=1"),
    ("HTML", "<script>alert(1)</script><img src=x onerror=alert(1)> & &amp; </b>"),
    ("half a tag", "a < b > c <b <i>x"),
    ("template", "{{ lead.phone }} {% raw %} {{ 7*7 }} {# x #} ${7*7} #{7*7} %s {0}"),
    ("control", "a\u{0}b\u{1b}[31mc\u{7f}\u{85}d\u{8}"),
    ("lines", "one\r\ntwo\nthree\tfour\rfive"),
    ("header", "x\r\nBcc: victim@example.com\r\nX-Injected: yes\r\n\r\nbody"),
    ("dots", ".\r\n.\r\nQUIT\r\n.hidden"),
    ("emoji", "👩‍👩‍👧‍👦 🏳️‍🌈 e\u{301} 𝒳"),
    ("right to left", "\u{202e}abc\u{202c} مرحبا שלום \u{2066}x\u{2069}"),
    ("invisible", "a\u{200b}b\u{feff}c\u{2028}d\u{ad}e"),
    ("encodings", "=?utf-8?B?0JDQkQ==?= %0d%0aX: y \\u0041 \\r\\n &#10;"),
    ("quotes", "\"'`«»“” \\ \\\" \\'"),
    ("a line of 600", "длинная строка без переносов и без конца, "),
];

/// As people of twenty countries write their numbers, and what they come to.
const PHONES: [(&str, &str); 20] = [
    ("8 (900) 000-00-10", "+79000000010"),
    ("+7 701 000 0010", "+77010000010"),
    ("+375 29 100-00-10", "+375291000010"),
    ("+380 50 100 0010", "+380501000010"),
    ("+998 90 100 00 10", "+998901000010"),
    ("+996 700 100 010", "+996700100010"),
    ("+374 91 100010", "+37491100010"),
    ("+995 555 10 00 10", "+995555100010"),
    ("+994 50 100 00 10", "+994501000010"),
    ("+90 532 100 00 10", "+905321000010"),
    ("+49 151 10000010", "+4915110000010"),
    ("+33 6 12 00 00 10", "+33612000010"),
    ("+44 7400 100010", "+447400100010"),
    ("+1 212 555 0110", "+12125550110"),
    ("+86 138 0010 0010", "+8613800100010"),
    ("+91 98100 00010", "+919810000010"),
    ("+81 90-1000-0010", "+819010000010"),
    ("+55 11 91000-0010", "+5511910000010"),
    ("+971 50 100 0010", "+971501000010"),
    ("+972 50-234-5678", "+972502345678"),
];

/// What is kept of a text: everything but control characters; where it may have lines, those too.
fn kept(text: &str, lines: bool) -> String {
    let keep = |c: &char| !c.is_control() || (lines && matches!(c, '\n' | '\t'));
    text.replace("\r\n", "\n").chars().filter(keep).collect::<String>().trim().to_owned()
}

/// A text without the marks that turn the direction of writing.
fn shown(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !turns(*c)).collect()
}

/// One lead and what its messages must say.
struct Lead {
    case: String,
    id: String,
    phone: String,
    name: String,
    comment: String,
    /// `utm_source`, page and referrer: one line each.
    visit: String,
}

impl Lead {
    /// The text of every message. Marks that turn the direction of writing are left out of it: they would let a manager read
    /// something else than what stands there.
    fn message(&self) -> String {
        let Self { name, comment, visit, phone, .. } = self;
        let [name, comment, visit] = [name, comment, visit].map(|text| shown(text));
        format!(
            "name[{name}] comment[{comment}] note[{comment}] visit[{visit}|{visit}|{visit}] phone[{phone}]"
        )
    }
}

const TEMPLATE: &str = "name[{{ lead.name or '' }}] comment[{{ lead.comment or '' }}] note[{{ lead.fields.note or '' }}] \
                        visit[{{ lead.utm_source or '' }}|{{ lead.page or '' }}|{{ lead.referrer or '' }}] phone[{{ lead.phone }}]";

fn policy(chat: i64) -> Value {
    let html = TEMPLATE.replace("name[", "<b>name[").replace("] comment", "]</b> comment");
    let text = json!({"subject": "Lead {{ lead.name or '' }}", "plain": TEMPLATE, "html": html});
    let plain = json!({"plain": TEMPLATE});
    json!({
        "targets": {"sales": {"display_name": "Sales", "destinations": [
            {"channel": "bot", "recipient": {"chat": chat.to_string()}},
            {"channel": "mail", "recipient": {"email": MAILBOX}},
        ]}},
        "route": {"strategy": "broadcast", "targets": ["sales"], "template": "offer"},
        "auto_reply": [{"channel": "sms", "to": "phone", "template": "thanks"}],
        "webhooks": [{"channel": "crm", "events": ["lead.created"]}],
        "templates": {"offer": {"ru": text, "en": text}, "thanks": {"ru": plain, "en": plain}},
    })
}

struct Providers {
    telegram: TelegramSim,
    smsc: SmscSim,
    smtp: SmtpSim,
    crm: WebhookSim,
}

impl Providers {
    async fn start(desk: &Desk) -> Self {
        let telegram = TelegramSim::start().await.unwrap();
        let smsc = SmscSim::start().await.unwrap();
        smsc.set_balance(1_000_000_000);
        let smtp = SmtpSim::start().await.unwrap();
        let crm = WebhookSim::start().await.unwrap();
        let (host, port) = (smtp.address().ip().to_string(), smtp.address().port());
        let bot = json!({
            "bot_token": telegram.token(), "endpoint": telegram.base_url(), "messages_per_second": 1000,
        });
        desk.channel("telegram", "bot", bot).await;
        let sms = json!({"login": smsc.login(), "password": smsc.password(), "endpoint": smsc.base_url()});
        desk.channel("smsc", "sms", sms).await;
        let mail =
            json!({"host": host, "port": port, "tls": "none", "from": {"address": "clinic@example.com"}});
        desk.channel("smtp", "mail", mail).await;
        let hook = json!({"url": crm.url(), "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]});
        desk.channel("webhook", "crm", hook).await;
        Self { telegram, smsc, smtp, crm }
    }

    fn check(&self, lead: &Lead, case: &str) {
        let message = lead.message();
        let named = |arrival: &Arrival| arrival.text.contains(&format!("phone[{}]", lead.phone));
        let telegram = one(case, "Telegram", self.telegram.inbox().all(), named);
        assert_eq!(telegram.text, message, "{case}: Telegram");
        let markup = telegram.markup.expect("the name is bold");
        assert_eq!(markup.matches('<').count(), 2, "{case}: nothing but our own tag: {markup}");

        let mail = one(case, "mail", self.smtp.inbox().all(), named);
        assert_eq!(mail.text, message, "{case}: mail");
        // A subject is one line, and what looks like an encoded word is taken apart.
        let subject = format!("Lead {}", shown(&lead.name));
        let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ").replace("=?", "= ?");
        assert_eq!(mail.subject, Some(subject), "{case}: subject");
        assert_eq!(mail.to, MAILBOX, "{case}");
        for injected in ["Bcc", "X-Injected"] {
            assert_eq!(mail.details["headers"][injected], Value::Null, "{case}");
        }
        let html = mail.markup.expect("there is an HTML part");
        for tag in ["<script", "<img", "<i>"] {
            assert!(!html.contains(tag), "{case}: {html}");
        }

        let sms = one(case, "SMS", self.smsc.inbox().all(), |arrival| arrival.to == lead.phone);
        assert_eq!(sms.text, message, "{case}: SMS");

        let named = |arrival: &Arrival| arrival.text.contains(&lead.id);
        let event = one(case, "webhook", self.crm.inbox().all(), named);
        let event: Value = serde_json::from_str(&event.text).unwrap();
        let capture = &event["data"]["capture"];
        let found = [
            &capture["contact"]["name"],
            &capture["contact"]["phone"],
            &capture["comment"],
            &capture["fields"]["note"],
            &capture["attribution"]["last"]["utm_source"],
            &capture["attribution"]["last"]["page"],
            &capture["attribution"]["last"]["referrer"],
        ];
        let Lead { name, phone, comment, visit, .. } = lead;
        let expected = [name, phone, comment, comment, visit, visit, visit].map(|text| json!(text));
        assert_eq!(found, expected.each_ref(), "{case}: webhook");
    }
}

#[track_caller]
fn one(case: &str, channel: &str, arrivals: Vec<Arrival>, named: impl Fn(&Arrival) -> bool) -> Arrival {
    let mut found: Vec<Arrival> = arrivals.into_iter().filter(named).collect();
    assert_eq!(found.len(), 1, "{case}: messages over {channel}");
    found.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_arrive_as_they_were_typed() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let providers = Providers::start(&desk).await;
    let mut sources = Vec::new();
    for (number, chat) in (FIRST_CHAT..).take(CHATS).enumerate() {
        providers.telegram.add_chat(chat, "Sales");
        sources.push(desk.project(&format!("Sales {number}"), policy(chat)).await);
    }
    let mut sources = sources.iter().cycle();
    let mut leads = Vec::new();
    for (number, (case, text)) in TEXTS.into_iter().enumerate() {
        let text = if case.starts_with("a line") { text.repeat(3) } else { text.to_owned() };
        for (encoding, digit) in [("JSON", 1), ("form", 2)] {
            let case = format!("{case}, {encoding}");
            let phone = format!("+7900{digit}0000{number:02}");
            let url = of(sources.next().unwrap(), "capture_url");
            let sent = if encoding == "JSON" {
                let last = json!({"utm_source": text, "page": text, "referrer": text});
                desk.http.post(url).json(&json!({
                    "phone": phone, "name": text, "comment": text, "fields": {"note": text}, "attribution": {"last": last},
                }))
            } else {
                let names = ["name", "comment", "fields.note", "utm_source", "page", "referrer"];
                let fields = names.map(|name| (name, text.as_str()));
                desk.http.post(url).form(&[&fields[..], &[("phone", phone.as_str())]].concat())
            };
            let (status, answer) = desk.read(sent.send().await.unwrap()).await;
            assert_eq!(status, 202, "{case}: {answer}");
            leads.push(Lead {
                id: of(&answer, "lead_id").to_owned(),
                case,
                phone,
                name: kept(&text, false),
                comment: kept(&text, true),
                visit: kept(&text.replace("\r\n", ""), false),
            });
        }
    }
    for (typed, e164) in PHONES {
        let last = json!({"utm_source": "x", "page": "x", "referrer": "x"});
        let lead = json!({
            "phone": typed, "name": "Anna", "comment": "c", "fields": {"note": "c"}, "attribution": {"last": last},
        });
        let id = desk.capture(sources.next().unwrap(), &lead).await;
        let [name, comment, visit] = ["Anna", "c", "x"].map(str::to_owned);
        leads.push(Lead { case: typed.to_owned(), id, phone: e164.to_owned(), name, comment, visit });
    }
    for lead in &leads {
        let list = desk.until(&format!("/v1/deliveries?lead_id={}", lead.id), settled).await;
        let states = list["items"].as_array().unwrap().iter().map(|item| of(item, "state"));
        let fine = |state| matches!(state, "sent" | "delivered" | "awaiting_receipt");
        assert!(states.clone().count() == 4 && states.clone().all(fine), "{}: {list:#}", lead.case);
        providers.check(lead, &lead.case);
    }
    println!("rendered: {} leads, each as typed over four channels", leads.len());
}
