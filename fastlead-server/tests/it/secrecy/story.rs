//! A day of an installation with four providers, curious visitors and everything that goes wrong.

use std::path::Path;
use std::time::Duration;

use fastlead_testkit::sim::smsc::SmscSim;
use fastlead_testkit::sim::smtp::SmtpSim;
use fastlead_testkit::sim::telegram::TelegramSim;
use fastlead_testkit::sim::webhook::WebhookSim;
use fastlead_testkit::sim::{Arrival, Fault};
use reqwest::Method;
use serde_json::{Value, json};

use super::attempt_errors;
use super::seeds::Seeds;
use crate::desk::{Desk, of, settled};
use crate::program::{self, PASSWORD, Program};

/// How the outside world reaches the program.
const PUBLIC: &str = "https://leads.example.com";
const PATIENCE: Duration = Duration::from_secs(30);
/// A group, in which one of several people presses.
const POLLING_CHAT: i64 = -1_000_000_070_001;
const PRESSER: &str = "Ирина <Тихая> & Ко";
const WEBHOOK_CHAT: i64 = 70_002;
const MAIL_USER: &str = "relay-login@example.com";
const MAIL_PASSWORD: &str = "mail-password-Kx7";
const HOOK_SECRET: &str = "whsec_U2VlZGVkLXNpZ25pbmctc2VjcmV0LTAwMDE=";
const HOOK_HEADER: &str = "Bearer receiver-header-Zt4";
const HOOK_KEY: &str = "receiver-query-Qm9";
const BOT_SECRET: &str = "bot-webhook-secret-Rw2";
const SMS_SECRET: &str = "callback-secret-Vb5";
const WRONG_TOKEN: &str = "1000000002:REVOKED-TOKEN-OF-THE-STORY-000000002";
const WRONG_PASSWORD: &str = "mistyped-password-Lp8";
const OUR_NUMBER: &str = "+79000000099";
const KEYS: &str = "7:c2VlZGVkLXNlYWxpbmcta2V5LW9mLTMyLWJ5dGVzLi4=";
const AGENT: &str = "SeededBrowser/7.1 (private build)";

/// A visitor: name, phone as typed and in E.164, e-mail, comment.
type Visitor = (&'static str, &'static str, &'static str, &'static str, &'static str);

const VISITORS: [Visitor; 7] = [
    (
        "Вера Кузнецова",
        "8 (900) 000-00-71",
        "+79000000071",
        "vera.k@example.com",
        "Болит <b>зуб мудрости</b>",
    ),
    ("Пётр Семёнов", "+7 900 000 00 72", "+79000000072", "petr.s@example.com", "Перезвоните после шести"),
    (
        "Olga O'Neil",
        "8-900-000-00-73",
        "+79000000073",
        "olga.on@example.com",
        "quoted \"comment\" & {{ more }}",
    ),
    ("Ирина Захарова", "89000000074", "+79000000074", "irina.z@example.com", "Нужна справка для суда"),
    ("Тимур Ахметов", "7 900 000-00-75", "+79000000075", "timur.a@example.com", "Сколько стоит имплант"),
    ("Нина Орлова", "(900) 000-00-76", "+79000000076", "nina.o@example.com", "Жалоба на врача Петрова"),
    ("Глеб Сорокин", "900 000 00 77", "+79000000077", "gleb.s@example.com", "Хочу отозвать согласие"),
];

/// The providers and the people behind them.
pub(super) struct Cast {
    polling: TelegramSim,
    hooked: TelegramSim,
    smsc: SmscSim,
    smtp: SmtpSim,
    crm: WebhookSim,
}

impl Cast {
    pub(super) async fn start() -> Self {
        let (polling, hooked) = (TelegramSim::start().await.unwrap(), TelegramSim::start().await.unwrap());
        polling.add_chat(POLLING_CHAT, "Менеджер Анна Лаврова");
        hooked.add_chat(WEBHOOK_CHAT, "Менеджер Борис Лавров");
        let smtp = SmtpSim::start().await.unwrap();
        smtp.require_auth(MAIL_USER, MAIL_PASSWORD);
        let (smsc, crm) = (SmscSim::start().await.unwrap(), WebhookSim::start().await.unwrap());
        Self { polling, hooked, smsc, smtp, crm }
    }
}

/// The installation while the story goes on.
pub(super) struct Story<'a> {
    cast: Cast,
    folder: &'a Path,
    variables: Vec<(&'static str, &'a str)>,
    program: Program,
    desk: Desk,
    seeds: Seeds,
    source: Value,
    channels: Vec<(String, Value)>,
}

impl<'a> Story<'a> {
    pub(super) async fn begin(folder: &'a Path, cast: Cast, filter: &'a str) -> Self {
        let variables = vec![
            ("FASTLEAD__LOG__FORMAT", "json"),
            ("FASTLEAD__LOG__FILTER", filter),
            ("FASTLEAD__SECRETS__KEYS", KEYS),
            ("FASTLEAD__HTTP__PUBLIC_URL", PUBLIC),
        ];
        let program = Program::start_silent(folder, &variables).await;
        let desk = Desk::sign_in(&program.url, PASSWORD).await;
        // The address of the bot's webhook is registered at the second try.
        cast.hooked.put_in_front(PUBLIC, &program.url);
        cast.hooked.faults().push(Fault::RateLimited { after_secs: 1 });
        let mut story = Self {
            cast,
            folder,
            variables,
            program,
            desk,
            seeds: Seeds::default(),
            source: Value::Null,
            channels: Vec::new(),
        };
        story.plant();
        story.set_up().await;
        story
    }

    fn plant(&mut self) {
        for (name, typed, e164, email, comment) in VISITORS {
            self.seeds.add_phone("phone", typed, e164);
            for (label, value) in [("name", name), ("e-mail", email), ("comment", comment)] {
                self.seeds.add(label, value);
            }
        }
        self.seeds.add_phone("our number", OUR_NUMBER, OUR_NUMBER);
        for (label, value) in [
            ("administrator's password", PASSWORD),
            ("mistyped password", WRONG_PASSWORD),
            ("bot token", self.cast.polling.token()),
            ("revoked bot token", WRONG_TOKEN),
            ("bot webhook secret", BOT_SECRET),
            ("SMSC password", self.cast.smsc.password()),
            ("SMSC callback secret", SMS_SECRET),
            ("SMTP login", MAIL_USER),
            ("SMTP password", MAIL_PASSWORD),
            ("signing secret", HOOK_SECRET.trim_start_matches("whsec_")),
            ("receiver's header", HOOK_HEADER),
            ("receiver's key", HOOK_KEY),
            ("sealing key", KEYS.trim_start_matches("7:")),
            ("JWT", &self.desk.token),
            ("user agent", AGENT),
            ("who pressed", PRESSER),
            ("who pressed", "Тихая"),
            ("manager", "Менеджер Анна Лаврова"),
            ("manager", "Менеджер Борис Лавров"),
            ("manager's address", "anna.lavrova@example.com"),
            ("owner's address", "owner.private@example.com"),
            ("visited page", "diagnosis-page-Hj3"),
            ("advertisement", "campaign-of-the-story"),
        ] {
            self.seeds.add(label, value);
        }
    }

    async fn set_up(&mut self) {
        let cast = &self.cast;
        let smtp = cast.smtp.address();
        let configs = [
            (
                "telegram",
                "anna-bot",
                json!({
                    "bot_token": cast.polling.token(), "endpoint": cast.polling.base_url(), "updates": "polling",
                }),
            ),
            (
                "telegram",
                "boris-bot",
                json!({
                    "bot_token": cast.hooked.token(), "endpoint": cast.hooked.base_url(), "updates": "webhook",
                    "webhook_secret": BOT_SECRET,
                }),
            ),
            (
                "smsc",
                "sms",
                json!({
                    "login": cast.smsc.login(), "password": cast.smsc.password(), "endpoint": cast.smsc.base_url(),
                    "callback_secret": SMS_SECRET, "timeout_secs": 2,
                }),
            ),
            (
                "smtp",
                "mail",
                json!({
                    "host": smtp.ip().to_string(), "port": smtp.port(), "tls": "none", "username": MAIL_USER,
                    "password": MAIL_PASSWORD, "from": {"name": "Клиника", "address": "clinic@example.com"},
                }),
            ),
            (
                "webhook",
                "crm",
                json!({
                    "url": format!("{}?key={HOOK_KEY}", cast.crm.url()), "secrets": [HOOK_SECRET],
                    "headers": {"Authorization": HOOK_HEADER}, "timeout_secs": 2,
                }),
            ),
        ];
        for (kind, name, config) in configs {
            let channel = self.desk.channel(kind, name, config).await;
            if let Some(url) = channel["webhook_url"].as_str() {
                self.seeds.add("webhook path", url.rsplit('/').next().unwrap());
            }
            self.channels.push((name.to_owned(), channel));
        }
        let callback = format!("{}?charset=utf-8&sha1", self.webhook_url("sms"));
        self.cast.smsc.set_callback(&callback, SMS_SECRET);
        self.source = self.desk.project("Клиника", policy()).await;
        let key = self.desk.post("/v1/api-keys", json!({"name": "reception", "role": "operator"})).await;
        self.seeds.add("API key", of(&key, "key"));
    }

    fn channel(&self, name: &str) -> &Value {
        &self.channels.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn webhook_url(&self, name: &str) -> String {
        self.desk.local(self.channel(name), "webhook_url")
    }

    fn channel_path(&self, name: &str) -> String {
        format!("/v1/channels/{}", of(self.channel(name), "id"))
    }

    pub(super) async fn tell(&mut self) {
        self.a_lead_by_json_is_taken_by_a_button().await;
        self.a_lead_by_the_form_is_taken_over_a_webhook().await;
        self.people_write().await;
        self.providers_fail().await;
        self.accounts_fail().await;
        self.bad_captures().await;
        self.bad_operators().await;
        self.operators_read().await;
    }

    fn lead(visitor: usize) -> Value {
        let (name, typed, _, email, comment) = VISITORS[visitor];
        let touch = json!({
            "utm_source": "campaign-of-the-story", "utm_term": "campaign-of-the-story",
            "page": "https://example.com/diagnosis-page-Hj3?phone=89000000071", "referrer": "https://example.com/diagnosis-page-Hj3",
        });
        json!({
            "name": name, "phone": typed, "email": email, "comment": comment, "fields": {"note": comment},
            "handles": [{"messenger": "telegram", "id": email}], "attribution": {"first": touch, "last": touch},
        })
    }

    /// The next message of a bot about a visitor: its number and the data of the button that accepts.
    async fn offer(bot: &TelegramSim, name: &str) -> (i64, String) {
        let named = |arrival: &&Arrival| arrival.text.contains(name) && !arrival.buttons.is_empty();
        let mut count = bot.inbox().subscribe();
        let arrived = tokio::time::timeout(PATIENCE, async {
            loop {
                count.borrow_and_update();
                if let Some(arrival) = bot.inbox().all().iter().find(named) {
                    return arrival.clone();
                }
                count.changed().await.unwrap();
            }
        });
        let arrival = arrived.await.expect("the offer arrives");
        let accept = arrival.buttons.iter().find(|button| button.data.starts_with("a.")).expect("a button");
        (arrival.provider_message_id.parse().unwrap(), accept.data.clone())
    }

    async fn a_lead_by_json_is_taken_by_a_button(&self) {
        let id = self.desk.capture(&self.source, &Self::lead(0)).await;
        let (message, accept) = Self::offer(&self.cast.polling, VISITORS[0].0).await;
        let bot = &self.cast.polling;
        bot.press_button_as(POLLING_CHAT, message, &accept, PRESSER).expect("the button is there");
        self.desk.until(&format!("/v1/leads/{id}"), |lead| lead["state"]["status"] == "accepted").await;
        let line = format!("Взял(а) в работу: {PRESSER} (Менеджер Анна Лаврова), ");
        let mut changes = bot.inbox().subscribe();
        let number = message.to_string();
        let named = || {
            let all = bot.inbox().all();
            let text =
                all.iter().find(|told| told.provider_message_id == number).map(|told| told.text.clone());
            text.is_some_and(|text| text.contains(&line))
        };
        let edited = tokio::time::timeout(PATIENCE, changes.wait_for(|_| named()));
        edited.await.expect("the message says who has pressed").unwrap();
        let deliveries = format!("/v1/deliveries?lead_id={id}");
        self.desk.until(&deliveries, settled).await;
        // The report on the SMS, once right and once forged.
        let phone = VISITORS[0].2;
        let sms = self.cast.smsc.inbox().all().into_iter().find(|sms| sms.to == phone).expect("the SMS");
        let number = sms.provider_message_id.parse().unwrap();
        assert!(self.cast.smsc.set_status(number, phone, 1, 0));
        assert_eq!(self.cast.smsc.send_callback(number, phone).await.unwrap(), 200);
        let arrived =
            |list: &Value| list["items"].as_array().unwrap().iter().any(|item| item["state"] == "delivered");
        self.desk.until(&format!("{deliveries}&channel_id={}", of(self.channel("sms"), "id")), arrived).await;
        let forged = [("id", "1"), ("phone", &phone[1..]), ("status", "1"), ("sha1", "0".repeat(40).leak())];
        let answer = self.desk.http.post(self.webhook_url("sms")).form(&forged).send().await.unwrap();
        assert_eq!(self.desk.read(answer).await.0, 401);
        assert_eq!(self.cast.smsc.inbound(VISITORS[4].2, VISITORS[4].4, OUR_NUMBER).await.unwrap(), 200);
    }

    async fn a_lead_by_the_form_is_taken_over_a_webhook(&self) {
        let (name, typed, _, email, comment) = VISITORS[1];
        let url = &self.desk.local(&self.source, "form_url");
        let shown =
            self.desk.http.get(format!("{url}?utm_source=campaign-of-the-story")).header("user-agent", AGENT);
        let shown = shown.header("referer", "https://example.com/diagnosis-page-Hj3");
        assert_eq!(shown.send().await.unwrap().status(), 200);
        let mut form = vec![
            ("name", name),
            ("phone", "12-34"),
            ("email", email),
            ("comment", comment),
            ("shown_at", "1"),
            ("submission", "story-1"),
            ("page", "https://example.com/diagnosis-page-Hj3"),
        ];
        let send =
            |form: Vec<(&str, &str)>| self.desk.http.post(url).header("user-agent", AGENT).form(&form).send();
        assert_eq!(send(form.clone()).await.unwrap().status(), 422);
        form[1].1 = typed;
        form[5].1 = "story-2";
        assert_eq!(send(form).await.unwrap().status(), 200);
        let (message, accept) = Self::offer(&self.cast.hooked, name).await;
        self.cast.hooked.press_button(WEBHOOK_CHAT, message, &accept).expect("the button is there");
        let taken =
            |list: &Value| list["items"].as_array().unwrap().iter().all(|lead| lead["status"] == "accepted");
        self.desk.until("/v1/leads", taken).await;
        let update = json!({"update_id": 1, "message": {"text": comment, "from": {"first_name": name}}});
        let forged = self.desk.http.post(self.webhook_url("boris-bot")).json(&update);
        let forged = forged.header("x-telegram-bot-api-secret-token", WRONG_PASSWORD).send().await.unwrap();
        assert_eq!(self.desk.read(forged).await.0, 401);
        let broken = self.desk.http.post(self.webhook_url("boris-bot")).body(format!("{{\"a\": \"{comment}"));
        let broken = broken.header("x-telegram-bot-api-secret-token", BOT_SECRET).send().await.unwrap();
        assert!(self.desk.read(broken).await.0 >= 400);
    }

    async fn people_write(&self) {
        for (bot, chat) in [(&self.cast.polling, POLLING_CHAT), (&self.cast.hooked, WEBHOOK_CHAT)] {
            bot.write(chat, VISITORS[4].4);
            bot.share_contact(chat, VISITORS[4].2);
            bot.press_start(chat, Some("campaign-of-the-story"));
            bot.send_photo(chat, Some(VISITORS[5].4));
            tokio::time::timeout(PATIENCE, bot.wait_until_updates_are_taken())
                .await
                .expect("updates are taken");
        }
    }

    async fn providers_fail(&self) {
        self.cast.polling.faults().push(Fault::RateLimited { after_secs: 2 });
        self.cast.hooked.faults().push(Fault::BadRecipient);
        self.cast.smsc.faults().push(Fault::ServerError { status: 500 });
        self.cast.smtp.faults().push(Fault::BadRecipient);
        self.cast.crm.faults().push(Fault::ServerError { status: 503 });
        self.cast.crm.faults().push(Fault::Hang);
        let form = Self::lead(2);
        let pairs: Vec<(&str, &str)> =
            ["name", "phone", "email", "comment"].map(|name| (name, of(&form, name))).into();
        let sent = self
            .desk
            .http
            .post(self.desk.local(&self.source, "capture_url"))
            .header("user-agent", AGENT)
            .form(&pairs);
        let (status, answer) = self.desk.read(sent.send().await.unwrap()).await;
        assert_eq!(status, 202, "{answer}");
        self.desk.until(&format!("/v1/deliveries?lead_id={}", of(&answer, "lead_id")), settled).await;
    }

    async fn accounts_fail(&self) {
        // The SMS that waits for money goes out again within the minute.
        self.cast.smsc.notice_repetitions(false);
        self.cast.smsc.set_balance(0);
        self.cast.smtp.require_auth(MAIL_USER, "another-password-Nw1");
        // A new connection has to sign in again.
        self.cast.smtp.faults().always(Some(Fault::BadCredentials));
        self.cast.crm.faults().always(Some(Fault::BadCredentials));
        let wrong = json!({
            "bot_token": WRONG_TOKEN, "endpoint": self.cast.polling.base_url(), "updates": "polling",
        });
        self.desk.put(&self.channel_path("anna-bot"), json!({"config": wrong})).await;
        self.desk.capture(&self.source, &Self::lead(3)).await;
        for name in ["sms", "mail", "crm", "anna-bot"] {
            let path = self.channel_path(name);
            self.desk.until(&path, |channel| channel["status"] == "paused").await;
            self.desk.post(&format!("{path}/check"), Value::Null).await;
        }
        self.cast.smsc.set_balance(1_000_000);
        self.cast.smtp.require_auth(MAIL_USER, MAIL_PASSWORD);
        self.cast.smtp.faults().always(None);
        self.cast.crm.faults().always(None);
        for name in ["sms", "mail", "crm"] {
            self.desk.post(&format!("{}/resume", self.channel_path(name)), Value::Null).await;
        }
        self.desk
            .until(&format!("/v1/deliveries?channel_id={}", of(self.channel("sms"), "id")), settled)
            .await;
    }

    async fn bad_captures(&self) {
        let url = &self.desk.local(&self.source, "capture_url");
        let (name, typed, e164, email, comment) = VISITORS[5];
        let json = "application/json";
        let digits: u64 = e164[1..].parse().unwrap();
        for (kind, body) in [
            (json, format!("{{\"phone\": \"{typed}\", \"name\": \"{name}\", \"comment\": \"{comment}")),
            (json, json!({"phone": digits, "name": name}).to_string()),
            (json, json!({"phone": [typed], "name": {"text": name}}).to_string()),
            (json, json!({"phone": format!("{typed}99 {name}"), "email": email}).to_string()),
            (json, json!({"phone": typed, "email": format!("{email} {comment}")}).to_string()),
            (json, json!({"phone": typed, "name": format!("{name} ").repeat(40)}).to_string()),
            (json, json!({"phone": typed, "comment": comment.repeat(400)}).to_string()),
            (json, json!({"phone": typed, "fields": {"note": {"deep": comment}}}).to_string()),
            (json, json!({"phone": typed, "consents": email}).to_string()),
            (json, json!({"phone": typed, "bot_check": {"honeypot": comment}}).to_string()),
            (
                json,
                json!({"phone": typed, "handles": [{"messenger": name.repeat(9), "id": email}]}).to_string(),
            ),
            (json, format!("[\"{typed}\", \"{email}\"")),
            (json, comment.repeat(3_000)),
            ("text/xml", format!("<lead><phone>{typed}</phone><name>{name}</name></lead>")),
            ("application/x-www-form-urlencoded", format!("phone={typed}&email={email}+{comment}")),
        ] {
            let sent = self.desk.http.post(url).header("content-type", kind).header("user-agent", AGENT);
            let sent = sent.header("idempotency-key", "story").body(body.clone()).send().await.unwrap();
            let (status, answer) = self.desk.read(sent).await;
            // What costs no lead is set aside; the rest is refused.
            assert!(status == 202 || (400..500).contains(&status), "{body}: {status} {answer}");
        }
        // The same key with another body, and an origin that may not post.
        let keyed =
            |lead: Value| self.desk.http.post(url).header("idempotency-key", "story-key").json(&lead).send();
        assert_eq!(keyed(Self::lead(6)).await.unwrap().status(), 202);
        assert_eq!(self.desk.read(keyed(Self::lead(5)).await.unwrap()).await.0, 409);
        let foreign =
            self.desk.http.post(url).header("origin", format!("https://{email}")).json(&Self::lead(5));
        assert_eq!(self.desk.read(foreign.send().await.unwrap()).await.0, 403);
        let unknown = format!("{}/v1/capture/{typed}", self.desk.url);
        assert_eq!(self.desk.read(self.desk.http.post(unknown).send().await.unwrap()).await.0, 404);
    }

    async fn bad_operators(&self) {
        let refused = |answer: (u16, Value)| assert!((400..500).contains(&answer.0), "{answer:?}");
        let token = self.desk.token.clone();
        for (login, password) in [("admin", WRONG_PASSWORD), (VISITORS[3].3, WRONG_PASSWORD), ("admin", KEYS)]
        {
            let body = json!({"login": login, "password": password});
            refused(self.desk.send(Method::POST, "/v1/login", Some(body)).await);
        }
        let body = json!({"login": 5, "password": {"text": WRONG_PASSWORD}});
        refused(self.desk.send(Method::POST, "/v1/login", Some(body)).await);
        let (name, typed, e164, email, comment) = VISITORS[6];
        for path in [
            format!("/v1/leads/{token}"),
            format!("/v1/leads?limit={e164}"),
            format!("/v1/leads?status={email}"),
            format!("/v1/leads?project_id={email}"),
            format!("/v1/leads?cursor={typed}"),
            format!("/v1/deliveries?state={WRONG_PASSWORD}"),
            format!("/v1/deliveries/{e164}"),
            format!("/webhooks/{token}"),
            format!("/v1/nothing/{email}"),
        ] {
            refused(self.desk.send(Method::GET, &path, None).await);
        }
        for credential in [format!("{token}x"), format!("fl_{WRONG_PASSWORD}"), WRONG_PASSWORD.to_owned()] {
            let asked = self.desk.http.get(format!("{}/v1/me", self.desk.url)).bearer_auth(credential);
            refused(self.desk.read(asked.send().await.unwrap()).await);
        }
        for (kind, config) in [
            ("telegram", json!({"bot_token": WRONG_PASSWORD})),
            ("telegram", json!({"bot_token": [WRONG_TOKEN]})),
            ("smsc", json!({"login": "clinic", "password": {"is": WRONG_PASSWORD}})),
            (
                "smsc",
                json!({"login": "clinic", "password": WRONG_PASSWORD, "endpoint": format!("ftp://{HOOK_KEY}")}),
            ),
            (
                "smtp",
                json!({"host": format!("{HOOK_KEY} example"), "password": WRONG_PASSWORD, "from": {"address": email}}),
            ),
            (
                "webhook",
                json!({"url": format!("https://user:{WRONG_PASSWORD}@example.com"), "secrets": [HOOK_SECRET]}),
            ),
            ("webhook", json!({"url": "https://example.com", "secrets": [WRONG_PASSWORD]})),
        ] {
            let body = json!({"kind": kind, "name": "wrong", "config": config});
            refused(self.desk.send(Method::POST, "/v1/channels", Some(body)).await);
        }
        let project = of(&self.source, "project_id");
        let mut wrong = policy();
        wrong["targets"]["anna"]["destinations"][0]["recipient"] = json!({"phone": format!("{typed}{name}")});
        refused(self.desk.send(Method::PUT, &format!("/v1/projects/{project}/policy"), Some(wrong)).await);
        let path = self.channel_path("sms");
        let test = json!({"recipient": {"email": email}, "text": comment});
        refused(self.desk.send(Method::POST, &format!("{path}/test"), Some(test)).await);
        let test = json!({"recipient": {"phone": typed.repeat(3)}, "text": comment});
        refused(self.desk.send(Method::POST, &format!("{path}/test"), Some(test)).await);
        self.desk.post(&format!("{path}/test"), json!({"recipient": {"phone": e164}, "text": comment})).await;
    }

    async fn operators_read(&self) {
        let leads = self.desk.get("/v1/leads").await;
        assert!(leads.to_string().contains(VISITORS[0].2), "operators do see phones");
        for lead in leads["items"].as_array().unwrap() {
            let id = of(lead, "id");
            self.desk.get(&format!("/v1/leads/{id}")).await;
            self.desk.get(&format!("/v1/leads/{id}/explain")).await;
        }
        for path in ["/v1/channels", "/v1/sources", "/v1/api-keys", "/v1/suppressions", "/v1/me"] {
            self.desk.get(path).await;
        }
    }

    /// Stops the program and answers everything that it has written for its operator.
    pub(super) async fn end(mut self) -> (Seeds, Vec<(String, String)>) {
        let mut written = Vec::new();
        for path in ["/metrics", "/healthz", "/readyz"] {
            let text =
                self.desk.http.get(format!("{}{path}", self.desk.url)).send().await.unwrap().text().await;
            written.push((path.to_owned(), text.unwrap()));
        }
        written.push(("errors of attempts".to_owned(), attempt_errors(&self.desk).await));
        let refusals = self.desk.refusals();
        assert!(refusals.len() > 30, "{} problem documents", refusals.len());
        written.push(("problem documents".to_owned(), refusals.join("\n")));
        self.program.signal("TERM");
        assert!(self.program.ended(PATIENCE).await.success());
        written.push(("output".to_owned(), self.program.output()));
        // The other commands see the same installation: one channel still has the revoked token.
        let (fine, check) = program::run(self.folder, &self.variables, &["check"]).await;
        assert!(!fine && check.contains("credentials refused"), "{check}");
        let to = ["send", "--channel", "sms", "--to", VISITORS[0].1, "--text", VISITORS[0].4];
        let (fine, sent) = program::run(self.folder, &self.variables, &to).await;
        assert!(fine, "{sent}");
        let mut wrong = self.variables.clone();
        wrong.push(("FASTLEAD__SECRETS__KEYS", WRONG_PASSWORD));
        let (fine, refused) = program::run(self.folder, &wrong, &["check"]).await;
        assert!(!fine && refused.contains("secrets.keys"), "{refused}");
        written.extend(
            [("check", check), ("send", sent), ("wrong keys", refused)]
                .map(|(name, text)| (name.to_owned(), text)),
        );
        (self.seeds, written)
    }
}

fn policy() -> Value {
    let chat =
        |channel: &str, chat: i64| json!({"channel": channel, "recipient": {"chat": chat.to_string()}});
    let mail = |address: &str| json!({"channel": "mail", "recipient": {"email": address}});
    let both = |text: &str| json!({"ru": {"plain": text}, "en": {"plain": text}});
    json!({
        "targets": {
            "anna": {"display_name": "Менеджер Анна Лаврова", "destinations": [
                chat("anna-bot", POLLING_CHAT), mail("anna.lavrova@example.com"),
            ]},
            "boris": {"display_name": "Менеджер Борис Лавров", "destinations": [chat("boris-bot", WEBHOOK_CHAT)]},
            "owner": {"display_name": "Владелец", "destinations": [
                chat("boris-bot", WEBHOOK_CHAT), mail("owner.private@example.com"),
            ]},
        },
        "route": {"strategy": "broadcast", "targets": ["anna", "boris"], "template": "offer"},
        "auto_reply": [
            {"channel": "sms", "to": "phone", "template": "thanks"}, {"channel": "mail", "to": "email", "template": "thanks"},
        ],
        "webhooks": [{"channel": "crm", "events": ["lead.created", "lead.accepted"]}],
        "alerts": ["owner"],
        "templates": {
            "offer": both("{{ lead.name or '-' }}, {{ lead.phone }}, {{ lead.email or '-' }}: {{ lead.comment or '-' }}"),
            "thanks": both("{{ lead.name or '-' }}, thank you"),
        },
        "delivery": {"retry": [1, 1]},
    })
}
