//! Forms of other programs: what they send is read, and what a visitor did not type does not cost the lead.
//!
//! The bodies have the names and shapes that the tools' public pages show, with invented people.

use fastlead_core::decide::LeadStatus;
use fastlead_core::lead::{Capture, NoteCode};
use fastlead_core::port::AutomatedAction;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::capture::{judged, open, shop};
use super::desk::{SmsOffice, of};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const MULTIPART: &str = "multipart/form-data; boundary=----formBoundary7";

/// A request as a form tool sends it, and what the lead must say.
struct Post {
    tool: &'static str,
    mapping: Value,
    media: &'static str,
    body: String,
    expected: Value,
}

fn multipart(parts: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (name, value) in parts {
        body.push_str(&format!(
            "------formBoundary7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    body + "------formBoundary7--\r\n"
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What a lead says, without what is the same for all.
fn said(capture: &Capture) -> Value {
    let mut said = json!({});
    let contact = &capture.contact;
    if let Some(name) = &contact.name {
        said["name"] = name.expose().as_str().into();
    }
    if let Some(phone) = &contact.phone {
        said["phone"] = phone.expose().into();
    }
    if let Some(email) = &contact.email {
        said["email"] = email.expose().into();
    }
    if let Some(comment) = &capture.comment {
        said["comment"] = comment.expose().as_str().into();
    }
    for (name, value) in &capture.fields {
        said["fields"][name] = value.expose().as_str().into();
    }
    if let Some(last) = &capture.attribution.last {
        said["last"] = serde_json::to_value(last).unwrap();
    }
    said
}

fn posts() -> Vec<Post> {
    let preset = |name: &str| json!({"preset": name});
    vec![
        // https://exceltic.dev/en/kommo-tilda-forma-v-sdelku/: fixed names `Name`, `Email`, `Phone`, then `tranid` and
        // `formid`; own fields keep their names; cookies come where they are switched on.
        Post {
            tool: "Tilda",
            mapping: preset("tilda"),
            media: FORM,
            body: encoded(&[
                ("Name", "Анна"),
                ("Phone", "+7 (900) 000-00-00"),
                ("Email", "anna@example.com"),
                ("Checkbox", "yes"),
                ("utm_source", "yandex"),
                ("COOKIES", "_ym_uid=1; TILDAUTM=x"),
                ("tranid", "1234567:7654321"),
                ("formid", "form123456789"),
            ]),
            expected: json!({
                "name": "Анна", "phone": "+79000000000", "email": "anna@example.com",
                "fields": {
                    "Checkbox": "yes", "COOKIES": "_ym_uid=1; TILDAUTM=x", "tranid": "1234567:7654321",
                    "formid": "form123456789",
                },
                "last": {"utm_source": "yandex"},
            }),
        },
        // The names of Tilda need no preset.
        Post {
            tool: "Tilda without a preset",
            mapping: json!({}),
            media: FORM,
            body: encoded(&[("Name", "Анна"), ("PHONE", "8 900 000-00-00"), ("UTM_SOURCE", "vk"), ("formid", "f1")]),
            expected: json!({
                "name": "Анна", "phone": "+79000000000", "fields": {"formid": "f1"}, "last": {"utm_source": "vk"},
            }),
        },
        // https://wpwebhooks.org/blog/contact-form-7-webhook/: `your-name`, `your-email`, `your-message` and fields
        // that begin with `_wpcf7`.
        Post {
            tool: "WordPress, Contact Form 7",
            mapping: preset("wordpress"),
            media: MULTIPART,
            body: multipart(&[
                ("_wpcf7", "171"),
                ("_wpcf7_unit_tag", "wpcf7-f171-p12-o1"),
                ("your-name", "Анна"),
                ("your-email", "anna@example.com"),
                ("tel-123", "+7 900 000 00 00"),
                ("your-subject", "Кухня"),
                ("your-message", "Перезвоните"),
            ]),
            expected: json!({
                "name": "Анна", "phone": "+79000000000", "email": "anna@example.com", "comment": "Перезвоните",
                "fields": {"your-subject": "Кухня"},
            }),
        },
        // https://wpforms.com/docs/how-to-install-and-use-the-webhooks-addon-with-wpforms/: fields by number.
        Post {
            tool: "WordPress, WPForms",
            mapping: preset("wordpress"),
            media: FORM,
            body: encoded(&[
                ("wpforms[fields][0]", "Анна"),
                ("wpforms[fields][1]", "anna@example.com"),
                ("wpforms[fields][3]", "+7 900 000-00-00"),
                ("wpforms[id]", "42"),
            ]),
            expected: json!({
                "phone": "+79000000000", "email": "anna@example.com",
                "fields": {
                    "wpforms.fields.0": "Анна", "wpforms.fields.1": "anna@example.com",
                    "wpforms.fields.3": "+7 900 000-00-00", "wpforms.id": "42",
                },
            }),
        },
        // https://elementor.com/help/using-webhooks-with-forms/: `fields[id][value]` with advanced data on.
        Post {
            tool: "WordPress, Elementor",
            mapping: preset("wordpress"),
            media: FORM,
            body: encoded(&[
                ("form[id]", "3f6a"),
                ("fields[name][id]", "name"),
                ("fields[name][title]", "Имя"),
                ("fields[name][value]", "Анна"),
                ("fields[phone][type]", "tel"),
                ("fields[phone][value]", "+79000000000"),
                ("fields[budget][value]", "100"),
                ("meta[page_url][value]", "https://example.com/?utm_source=mail"),
                ("meta[user_agent][value]", "Mozilla"),
            ]),
            expected: json!({
                "name": "Анна", "phone": "+79000000000", "fields": {"budget": "100", "form.id": "3f6a"},
                "last": {"page": "https://example.com/?utm_source=mail", "utm_source": "mail"},
            }),
        },
        // https://apidocs.bitrix24.com/api-reference/crm/leads/crm-lead-add.html: names in capitals, phones as lists.
        Post {
            tool: "Bitrix24",
            mapping: preset("bitrix24"),
            media: FORM,
            body: encoded(&[
                ("fields[TITLE]", "Заявка"),
                ("fields[NAME]", "Анна"),
                ("fields[LAST_NAME]", "Иванова"),
                ("fields[PHONE][0][VALUE]", "+79000000000"),
                ("fields[PHONE][0][VALUE_TYPE]", "WORK"),
                ("fields[EMAIL][0][VALUE]", "anna@example.com"),
                ("fields[UTM_SOURCE]", "yandex"),
                ("auth[application_token]", "x"),
            ]),
            expected: json!({
                "name": "Анна Иванова", "phone": "+79000000000", "email": "anna@example.com",
                "fields": {"TITLE": "Заявка"}, "last": {"utm_source": "yandex"},
            }),
        },
        // The shape that the market's connectors read: contacts apart from answers, tags under `extra`.
        Post {
            tool: "Marquiz",
            mapping: preset("marquiz"),
            media: JSON,
            body: json!({
                "answers": [
                    {"q": "Какая кухня?", "a": "Угловая", "t": "variants"},
                    {"q": "Что важно?", "a": ["Цена", "Срок"]},
                ],
                "contacts": {"name": "Анна", "phone": "+7 900 000-00-00", "email": "anna@example.com"},
                "extra": {
                    "href": "https://example.com/quiz", "utm": {"source": "yandex", "medium": "cpc"},
                    "cookies": {"_ym_uid": "123"},
                },
                "quiz": {"id": "q1", "name": "Кухни"},
            })
            .to_string(),
            expected: json!({
                "name": "Анна", "phone": "+79000000000", "email": "anna@example.com",
                "fields": {
                    "Какая кухня?": "Угловая", "Что важно?": "Цена, Срок", "quiz.id": "q1", "quiz.name": "Кухни",
                    "_ym_uid": "123",
                },
                "last": {"page": "https://example.com/quiz", "utm_source": "yandex", "utm_medium": "cpc"},
            }),
        },
        // https://www.amocrm.ru/developers/content/crm_platform/webhooks-format: URL-encoded `entity[action][0]`.
        Post {
            tool: "amoCRM",
            mapping: preset("amocrm"),
            media: FORM,
            body: encoded(&[
                ("contacts[add][0][id]", "77"),
                ("contacts[add][0][name]", "Анна"),
                ("contacts[add][0][responsible_user_id]", "504141"),
                ("contacts[add][0][date_create]", "1796000000"),
                ("contacts[add][0][custom_fields][0][id]", "104"),
                ("contacts[add][0][custom_fields][0][code]", "PHONE"),
                ("contacts[add][0][custom_fields][0][values][0][value]", "+79000000000"),
                ("contacts[add][0][custom_fields][0][values][0][enum]", "221"),
                ("account[subdomain]", "example"),
            ]),
            expected: json!({
                "name": "Анна", "phone": "+79000000000",
                "fields": {
                    "contacts.add.0.id": "77",
                    "contacts.add.0.custom_fields.0.values.0.value": "+79000000000",
                },
            }),
        },
        // A connector sends what its owner names: https://albato.ru/help (webhook action, JSON body).
        Post {
            tool: "Albato",
            mapping: preset("albato"),
            media: JSON,
            body: json!({
                "first_name": "Анна", "last_name": "Иванова", "phone_number": 79000000000_u64, "utm_source": "vk",
                "deal": {"id": 5},
            })
            .to_string(),
            expected: json!({
                "name": "Анна Иванова", "phone": "+79000000000", "fields": {"deal.id": "5"},
                "last": {"utm_source": "vk"},
            }),
        },
        // https://asyncapi.apis.io/asyncapis/jotform/jotform-asyncapi/: multipart, the answers as JSON in `rawRequest`.
        Post {
            tool: "Jotform",
            mapping: preset("jotform"),
            media: MULTIPART,
            body: multipart(&[
                ("formID", "230000000000000"),
                ("submissionID", "5000000000000000000"),
                ("pretty", "Name:Anna Ivanova"),
                (
                    "rawRequest",
                    r#"{"slug":"submit/1","q3_name":{"first":"Anna","last":"Ivanova"},"q4_email":"anna@example.com",
                    "q5_phoneNumber":{"full":"+7 900 000-00-00"},"q6_budget":"100"}"#,
                ),
            ]),
            expected: json!({
                "name": "Anna Ivanova", "phone": "+79000000000", "email": "anna@example.com",
                "fields": {"formID": "230000000000000", "submissionID": "5000000000000000000", "budget": "100"},
            }),
        },
        // https://www.w3.org/TR/html52/sec-forms.html#url-encoded-form-data: a name for each ticked box; a plain form
        // of a company's site asks for a `website`.
        Post {
            tool: "A plain HTML form",
            mapping: json!({}),
            media: FORM,
            body: "name=Anna&phone=%2B79000000000&phone=&services%5B%5D=SEO&services%5B%5D=SMM&website=example.com"
                .to_owned(),
            expected: json!({
                "name": "Anna", "phone": "+79000000000", "fields": {"services": "SEO, SMM", "website": "example.com"},
            }),
        },
        // https://developer.mozilla.org/docs/Web/API/FormData: `fetch(url, {method: "POST", body: new FormData(form)})`.
        Post {
            tool: "FormData",
            mapping: json!({}),
            media: MULTIPART,
            body: multipart(&[
                ("name", "Анна"),
                ("phone", "+7 900 000-00-00"),
                ("services[]", "SEO"),
                ("services[]", "SMM"),
                ("page", "https://example.com/?utm_source=a&utm_source=b&UTM_MEDIUM=cpc&ymclid=1&gbraid=2&wbraid=3"),
                ("_ym_uid", "16"),
                ("roistat_visit", "7"),
                ("calltouch_session_id", "9"),
            ]),
            expected: json!({
                "name": "Анна", "phone": "+79000000000", "fields": {"services": "SEO, SMM"},
                "last": {
                    "page": "https://example.com/?utm_source=a&utm_source=b&UTM_MEDIUM=cpc&ymclid=1&gbraid=2&wbraid=3",
                    "utm_source": "a", "utm_medium": "cpc",
                    "click_ids": {
                        "ymclid": "1", "gbraid": "2", "wbraid": "3", "_ym_uid": "16", "roistat_visit": "7",
                        "calltouch_session_id": "9",
                    },
                },
            }),
        },
        // https://url.spec.whatwg.org/#urlencoded-serializing: a page in windows-1251 sends its bytes.
        Post {
            tool: "A page in windows-1251",
            mapping: json!({"names": {"ФИО": "name", "Тел": "phone"}}),
            media: "application/x-www-form-urlencoded; charset=windows-1251",
            body: "%D4%C8%CE=%C0%ED%ED%E0&%F2%E5%EB=8+900+000-00-00&%E3%EE%F0%EE%E4=%CA%E0%E7%E0%ED%FC".to_owned(),
            expected: json!({"name": "Анна", "phone": "+79000000000", "fields": {"город": "Казань"}}),
        },
        // The same without a word about it.
        Post {
            tool: "A page in windows-1251 that does not say so",
            mapping: json!({}),
            media: FORM,
            body: "name=%C0%ED%ED%E0&phone=8+900+000-00-00".to_owned(),
            expected: json!({"name": "Анна", "phone": "+79000000000"}),
        },
        // https://slon.biz/integrations/webhook/outbound: names that nobody has mapped, found by their values.
        Post {
            tool: "Names that nobody has mapped",
            mapping: json!({}),
            media: FORM,
            body: encoded(&[("FullName", "Анна"), ("PhoneNumbers", "+79000000000"), ("Id", "5"), ("Region", "Москва")]),
            expected: json!({
                "phone": "+79000000000",
                "fields": {"FullName": "Анна", "PhoneNumbers": "+79000000000", "Id": "5", "Region": "Москва"},
            }),
        },
    ]
}

#[tokio::test]
async fn forms_of_other_programs_are_read() {
    for Post { tool, mapping, media, body, expected } in posts() {
        // A shop of its own, in which nobody has asked before.
        let shop = shop(open(), false).await;
        shop.change(|source| source.mapping = serde_json::from_value(mapping).unwrap()).await;
        let answer = shop.raw(media, body).await;
        assert_eq!(judged(tool, answer).await.0, StatusCode::ACCEPTED, "{tool}");
        assert_eq!(said(&shop.last().await.capture), expected, "{tool}");
    }
}

/// Tilda asks with `test=test` when a webhook is connected, and connects it only where the answer is 200.
#[tokio::test]
async fn the_check_of_tilda_is_answered() {
    let shop = shop(open(), true).await;
    let answer = shop.raw(FORM, "test=test").await;
    assert_eq!((answer.status(), answer.text().await.unwrap().as_str()), (StatusCode::OK, "ok"));
    assert_eq!(shop.leads().await, 0);
}

#[tokio::test]
async fn files_are_not_taken_and_the_lead_is() {
    let shop = shop(open(), false).await;
    // More than one address may have in memory.
    let file = "x".repeat(5_000_000);
    let body = format!(
        "------formBoundary7\r\nContent-Disposition: form-data; name=\"plan\"; filename=\"plan.pdf\"\r\n\
         Content-Type: application/pdf\r\n\r\n{file}\r\n\
         ------formBoundary7\r\nContent-Disposition: form-data; name=\"empty\"; filename=\"\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n\r\n{}",
        multipart(&[("phone", "+79000000000")])
    );
    let answer = shop.raw(MULTIPART, body).await;
    assert_eq!(answer.status(), 202);
    let notes = answer.json::<Value>().await.unwrap()["notes"].take();
    assert_eq!(notes, json!([{"field": "plan", "code": "file_not_taken"}]));
    let capture = shop.last().await.capture;
    assert_eq!(capture.notes[0].kept.as_ref().unwrap().expose(), "plan.pdf");
    let long = multipart(&[("phone", "+79000000000"), ("comment", &"x".repeat(300_000))]);
    assert_eq!(judged("text", shop.raw(MULTIPART, long).await).await.1, "body_too_large");
}

#[tokio::test]
async fn a_form_sent_again_has_one_answer_whatever_its_boundary() {
    let shop = shop(open(), false).await;
    let mut answers = Vec::new();
    for boundary in ["one", "two"] {
        let body = multipart(&[("phone", "+79000000000")]).replace("----formBoundary7", boundary);
        let request = shop.http.post(shop.capture_url()).header("idempotency-key", "form-1");
        let request = request.header("content-type", format!("multipart/form-data; boundary={boundary}"));
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        answers.push(answer.text().await.unwrap());
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn only_post_captures() {
    let shop = shop(open(), false).await;
    let body = json!({"phone": "+79000000000"});
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD] {
        let answer = shop.http.request(method.clone(), shop.capture_url()).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.headers()["allow"], "POST, OPTIONS", "{method}");
    }
    assert_eq!(shop.leads().await, 0);
    assert_eq!(shop.capture(&body).await.status(), 202);
}

/// Bodies in which one accessory is not as it should be, beside a good number.
#[tokio::test]
async fn an_accessory_is_never_the_reason_to_refuse() {
    let shop = shop(open(), false).await;
    let many: serde_json::Map<String, Value> =
        (0..51).map(|index| (format!("f{index}"), json!("x"))).collect();
    let long_name = "n".repeat(65);
    for (case, extra, code) in [
        ("a cookie field", json!({"COOKIES": "x".repeat(2_001)}), NoteCode::TooLong),
        ("a comment", json!({"comment": "я".repeat(4_001)}), NoteCode::TooLong),
        ("a name", json!({"name": "я".repeat(201)}), NoteCode::TooLong),
        ("the 51st field", json!({"fields": many}), NoteCode::TooMany),
        ("an address that is none", json!({"email": "нет"}), NoteCode::InvalidEmail),
        ("a long name of a field", json!({"fields": {long_name: "x"}}), NoteCode::InvalidName),
        ("a nested field", json!({"fields": {"a": {"b": [1]}}}), NoteCode::InvalidType),
        ("an unknown account", json!({"handles": [{"messenger": 5}]}), NoteCode::InvalidHandle),
        ("an unknown consent", json!({"consents": {"soul": true}}), NoteCode::UnknownConsent),
        ("a consent without a document", json!({"consents": {"offer": true}}), NoteCode::UnknownConsent),
        ("a wrong moment", json!({"attribution": {"last": {"at": "yesterday"}}}), NoteCode::InvalidType),
        ("an unknown parameter", json!({"attribution": {"last": {"utm_x": "y"}}}), NoteCode::InvalidName),
        ("attribution as text", json!({"attribution": "utm_source=x"}), NoteCode::InvalidType),
    ] {
        let mut body = extra;
        body["phone"] = json!("+79000000000");
        let answer = shop.capture(&body).await;
        assert_eq!(answer.status(), 202, "{case}");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["notes"][0]["code"], serde_json::to_value(code).unwrap(), "{case}: {answer}");
    }
    let clean: Value = shop.capture(&json!({"phone": "+79000000000"})).await.json().await.unwrap();
    assert!(clean.get("notes").is_none(), "{clean}");
}

/// Any bytes in any field beside a good number, in each of the encodings: accepted, and readable afterwards.
#[test]
fn no_bytes_in_an_accessory_cost_the_lead() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shop = runtime.block_on(shop(open(), false));
    let names =
        ["name", "email", "comment", "cookies", "locale", "page", "utm_source", "elapsed_millis", "a[b][c]"];
    let cases =
        (prop::sample::select(names.to_vec()), prop::collection::vec(any::<u8>(), 0..300), 0_usize..3);
    let number = std::cell::Cell::new(0_u32);
    let mut runner = TestRunner::new(Config { cases: 192, failure_persistence: None, ..Config::default() });
    let result = runner.run(&cases, |(name, bytes, kind)| {
        let name =
            if name == "elapsed_millis" && bytes.iter().all(u8::is_ascii_digit) { "other" } else { name };
        number.set(number.get() + 1);
        let phone = format!("+7900{:07}", number.get());
        let (media, body) = match kind {
            0 => {
                let hex: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
                (FORM, format!("phone=%2B{}&{name}={hex}", &phone[1..]).into_bytes())
            }
            1 => {
                let mut body = multipart(&[("phone", &phone)]).into_bytes();
                body.truncate(body.len() - "------formBoundary7--\r\n".len());
                let head =
                    format!("------formBoundary7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
                body.extend(head.into_bytes());
                body.extend(&bytes);
                body.extend(b"\r\n------formBoundary7--\r\n");
                (MULTIPART, body)
            }
            _ => (
                JSON,
                json!({"phone": phone, name: String::from_utf8_lossy(&bytes)}).to_string().into_bytes(),
            ),
        };
        let (status, capture) = runtime.block_on(async {
            let status = shop.raw(media, body).await.status();
            (status, shop.last().await.capture)
        });
        prop_assert_eq!(status, StatusCode::ACCEPTED);
        prop_assert_eq!(capture.contact.phone.as_ref().unwrap().expose(), phone);
        let text = serde_json::to_string(&capture).unwrap();
        // Only of a text with characters that somebody has cut in the middle is that left.
        let is_cut = bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
        prop_assert!(kind == 2 || is_cut || !text.contains('\u{fffd}'), "{}", text);
        prop_assert_eq!(serde_json::from_str::<Capture>(&text).unwrap(), capture);
        Ok(())
    });
    result.unwrap();
}

#[tokio::test]
async fn what_looks_automated_is_kept_where_the_source_says_so() {
    let shop = shop(open(), false).await;
    let trap = encoded(&[("phone", "+79000000000"), ("fl_leave_empty", "https://example.com")]);
    let refused = judged("trap", shop.raw(FORM, trap.clone()).await).await;
    assert_eq!(refused, (StatusCode::UNPROCESSABLE_ENTITY, "looks_automated".to_owned()));
    shop.change(|source| source.limits.automated = AutomatedAction::Review).await;
    assert_eq!(shop.raw(FORM, trap).await.status(), 202);
    assert_eq!(shop.last().await.state.status, LeadStatus::Review);
    let fast = json!({"phone": "+79000000001", "bot_check": {"elapsed_millis": 3}});
    assert_eq!(shop.capture(&fast).await.status(), 202);
    assert_eq!(shop.last().await.state.status, LeadStatus::Review);
    // A field of that name is one of the form's own.
    let website = encoded(&[("phone", "+79000000002"), ("website", "https://example.com")]);
    assert_eq!(shop.raw(FORM, website).await.status(), 202);
    let lead = shop.last().await;
    assert_ne!(lead.state.status, LeadStatus::Review);
    assert_eq!(lead.capture.fields["website"].expose(), "https://example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_with_a_key_is_not_counted_as_one_visitor() {
    let office = SmsOffice::open().await;
    let desk = &office.desk;
    let policy = json!({
        "targets": {"anna": {"display_name": "Anna", "destinations": [
            {"channel": "sms", "recipient": {"phone": "+79000000009"}},
        ]}},
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "templates": {"lead": {"ru": {"plain": "Заявка"}}},
    });
    let source = desk.project("agency", policy).await;
    let settings = json!({"name": "site", "limits": {"per_ip_per_minute": 1}});
    desk.put(&format!("/v1/sources/{}", of(&source, "id")), settings).await;
    let key = desk.post("/v1/api-keys", json!({"name": "agency", "role": "operator"})).await;
    let key = of(&key, "key").to_owned();
    let post = async |number: u32, key: &str| {
        let body = json!({"phone": format!("+7900000{number:04}")});
        let request = desk.http.post(of(&source, "capture_url")).bearer_auth(key).json(&body);
        request.send().await.unwrap().status()
    };
    assert_eq!(post(1, "wrong").await, 202, "a wrong key costs no lead");
    assert_eq!(post(2, "wrong").await, 429);
    for number in 3..10 {
        assert_eq!(post(number, &key).await, 202);
    }
}

/// A form of a site without scripts leads its visitor here: they are shown a page, never a document for programs. A script
/// and another server are answered as before.
#[tokio::test]
async fn a_visitor_whose_browser_comes_along_is_shown_a_page() {
    let shop = shop(open(), false).await;
    let send = |body: &'static str, headers: &[(&'static str, &'static str)]| {
        let mut request = shop.http.post(shop.capture_url()).header("content-type", FORM);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).send()
    };
    let good = "name=Anna&phone=%2B79000000041&consent_personal_data=1";
    let russian = [("sec-fetch-mode", "navigate"), ("accept", "text/html"), ("accept-language", "ru")];
    let old = [("accept", "text/html,*/*;q=0.8"), ("accept-language", "en")];
    let foreign =
        [("sec-fetch-mode", "navigate"), ("origin", "http://shop.example.com"), ("accept", "text/html")];
    for (body, headers, status, word) in [
        (good, &russian[..], 200, "заявка принята"),
        (good, &old[..], 200, "we have got it"),
        ("name=Anna&phone=1", &russian[..], 422, "номер"),
        (good, &foreign[..], 403, "не принимаются"),
    ] {
        let answer = send(body, headers).await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!((answer.status().as_u16(), kind.as_str()), (status, "text/html; charset=utf-8"), "{body}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(word) && !page.contains("problem+json"), "{page}");
    }
    // A page that hides where it is, as `Referrer-Policy: no-referrer` has it.
    let hidden = [("sec-fetch-mode", "navigate"), ("origin", "null"), ("accept", "text/html")];
    assert_eq!(send(good, &hidden).await.unwrap().status(), StatusCode::OK);
    for headers in [&[("sec-fetch-mode", "cors"), ("accept", "*/*")][..], &[("accept", "*/*")], &[]] {
        let answer = send(good, headers).await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["content-type"]),
            (StatusCode::ACCEPTED, &"application/json".parse().unwrap())
        );
    }
}
