//! What conditions answer, and how their text form reads back.

use chrono::NaiveDate;
use proptest::prelude::*;

use super::*;
use crate::lead::{Capture, CaptureInput, Received};
use crate::message::Locale;

fn capture() -> Capture {
    let input: CaptureInput = serde_json::from_value(serde_json::json!({
        "phone": "+79000000000",
        "email": "Anna@Example.com",
        "comment": "Хочу ЗАПИСАТЬСЯ на приём",
        "fields": {"city": "Казань", "budget": "100 000,50", "имя поля": "да"},
        "attribution": {"last": {"utm_source": "yandex"}},
    }))
    .unwrap();
    input.validate(&[], Locale::Ru, Received::at(crate::time::epoch())).unwrap()
}

/// Everything known: a Wednesday evening, open, score 10, two earlier leads.
fn informed(capture: &Capture) -> ConditionInput<'_> {
    let mut input = ConditionInput::new(capture);
    input.source = Some(SourceFacts { key: "site-1", name: "Сайт" });
    input.local_time = NaiveDate::from_ymd_opt(2026, 11, 25).unwrap().and_hms_opt(18, 30, 59);
    input.is_open = Some(true);
    input.score = Some(10);
    input.history = Some(History { leads: 2, last_owner: Some("anna") });
    input
}

#[test]
fn trees_answer() {
    let cases = [
        (r#"{"present": "contact.phone"}"#, true),
        (r#"{"missing": "contact.email"}"#, false),
        (r#"{"equals": {"field": "fields.city", "value": "казань"}}"#, true),
        (r#"{"one_of": {"field": "utm_source", "values": ["google", "Yandex"]}}"#, true),
        (r#"{"contains": {"field": "fields.city", "value": "каз"}}"#, true),
        (r#"{"starts_with": {"field": "contact.phone", "value": "+7900"}}"#, true),
        (r#"{"phone_country": ["RU", "BY"]}"#, true),
        (r#"{"phone_country": ["KZ"]}"#, false),
        (r#"{"consented": "advertising"}"#, false),
        (r#"{"all": []}"#, true),
        (r#"{"any": []}"#, false),
        (
            r#"{"not": {"any": [{"missing": "comment"}, {"equals": {"field": "locale", "value": "en"}}]}}"#,
            true,
        ),
        (r#"{"compare": {"field": "score", "is": "at_least", "value": 10}}"#, true),
        (r#"{"compare": {"field": "number(fields.budget)", "is": "more", "value": 100000.5}}"#, false),
        (r#"{"compare": {"field": "time.date", "is": "less", "value": "2026-12-31"}}"#, true),
        (r#"{"compare": {"field": "time.of_day", "is": "equal", "value": "18:30"}}"#, true),
        (r#"{"is_open": true}"#, true),
        (r#"{"any": ["has(contact.name)", {"all": ["score == 10"]}]}"#, true),
    ];
    let capture = capture();
    for (json, expected) in cases {
        let condition: Condition = serde_json::from_str(json).unwrap();
        assert_eq!(condition.holds(&informed(&capture)), expected, "{json}");
        assert_eq!(condition.faults("x"), [], "{json}");
    }
}

#[test]
fn texts_answer() {
    let cases = [
        (r#"fields.city == "казань" && contact.phone_country in ["RU", "KZ"]"#, true),
        (r#"!(utm_source.startsWith("spam")) && history.leads < 3"#, true),
        ("has(contact.email) && !has(contact.name)", true),
        ("'Казань' != fields.city", false),
        (r#"contact.email_domain == "EXAMPLE.com""#, true),
        (r#"contact.email.endsWith("@example.com")"#, true),
        (r#"comment.contains("записаться")"#, true),
        ("number(fields.budget) >= 100000.5 && number(fields.budget) <= 100000.5", true),
        ("number(fields.city) > 0 || number(fields.city) <= 0", false),
        (r#"fields["имя поля"] == "да""#, true),
        (r#"source.key == "site-1" && source.name == "сайт""#, true),
        (r#"time.hour == 18 && time.weekday in ["wed", "thu"]"#, true),
        (r#"time.of_day >= "18:30" && time.of_day < "18:31""#, true),
        (r#""2026-12-31" > time.date"#, true),
        (r#"time.date in ["2026-11-25", "2026-12-31"]"#, true),
        ("time.hour in []", false),
        ("time.is_open", true),
        ("time.is_open != true", false),
        ("consent.personal_data", false),
        ("consent.personal_data == false", true),
        (r#"history.last_owner == "anna""#, true),
        ("score > -1", true),
        ("false || true && !false", true),
        ("true || false && false", true),
        ("(true || false) && false", false),
        ("has(number(fields.budget)) && !has(number(fields.city))", true),
    ];
    let capture = capture();
    for (text, expected) in cases {
        let condition: Condition = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(condition.holds(&informed(&capture)), expected, "{text}");
        assert_eq!(condition.faults("x"), [], "{text}");
        let again: Condition = condition.to_string().parse().unwrap();
        assert_eq!(again, condition, "{condition}");
    }
}

#[test]
fn what_is_unknown_is_absent_and_compares_as_false() {
    let capture = capture();
    let nothing = ConditionInput::new(&capture);
    for text in [
        "score == 0",
        "score != 0",
        "score < 1",
        "history.leads < 3",
        r#"history.last_owner != "anna""#,
        r#"source.key != "x""#,
        "time.hour >= 0",
        r#"time.weekday != "mon""#,
        r#"time.date > "2000-01-01""#,
        r#"time.of_day >= "00:00""#,
        "time.is_open",
        "time.is_open == false",
        "has(score) || has(history.leads) || has(source.name) || has(time.date)",
        r#"fields.street != "x""#,
        r#"contact.name.contains("")"#,
    ] {
        let condition: Condition = text.parse().unwrap();
        assert!(!condition.holds(&nothing), "{text}");
        assert!(Condition::Not(Box::new(condition)).holds(&nothing), "not {text}");
    }
    // Nobody has accepted an earlier lead: that is known, and there is still no owner.
    let mut input = ConditionInput::new(&capture);
    input.history = Some(History::default());
    assert!(r#"history.leads == 0 && history.last_owner != "anna" == false"#.parse::<Condition>().is_err());
    assert!("history.leads == 0 && !has(history.last_owner)".parse::<Condition>().unwrap().holds(&input));
}

#[test]
fn what_a_condition_reads_is_known() {
    let cases = [
        (r#"fields.city == "x" && consent.offer"#, vec![]),
        ("score > 1 || !has(history.leads)", vec![Fact::Score, Fact::History]),
        (r#"!(time.weekday == "sat" && source.key == "x")"#, vec![Fact::Source, Fact::Time]),
        ("time.is_open", vec![Fact::Hours]),
    ];
    for (text, expected) in cases {
        let condition: Condition = text.parse().unwrap();
        let all = [Fact::Source, Fact::Time, Fact::Hours, Fact::Score, Fact::History];
        let reads: Vec<_> = all.into_iter().filter(|fact| condition.reads(*fact)).collect();
        assert_eq!(reads, expected, "{text}");
    }
}

/// The message, and the text that is marked.
fn refusal(text: &str) -> (String, String) {
    let error = text.parse::<Condition>().expect_err(text);
    let shown = error.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    let carets = lines[2].chars().filter(|c| *c == '^').count();
    let indent = lines[2].chars().take_while(|c| *c != '^').count();
    let marked = lines[1].chars().skip(indent).take(carets).collect();
    (error.message().to_owned(), marked)
}

#[test]
fn faults_say_where_and_what() {
    for (text, marked, message) in [
        ("contact.phone_contry == 'RU'", "contact.phone_contry", "did you mean `contact.phone_country`?"),
        ("phone == '1'", "phone", "did you mean `contact.phone`?"),
        ("consent.xyz", "consent.xyz", "expected `fields.NAME` or one of: contact.name"),
        ("consent.advertisin", "consent.advertisin", "did you mean `consent.advertising`?"),
        ("time.isopen", "time.isopen", "did you mean `time.is_open`?"),
        ("fields.city > 3", "3", "write number(fields.city)"),
        ("fields.city > '3'", "fields.city > '3'", "texts have no order"),
        ("fields.city = 'x'", "=", "did you mean `==`?"),
        ("has(comment) & has(locale)", "&", "did you mean `&&`?"),
        ("has(comment) and has(locale)", "and", "did you mean `&&`?"),
        ("not has(comment)", "not", "did you mean `!`?"),
        ("has(comment) &&", "", "expected a condition, found the end"),
        ("(has(comment)", "", "expected `)`, found the end"),
        ("has(comment))", ")", "expected `&&`, `||` or the end, found `)`"),
        ("", "", "expected a condition, found the end"),
        ("score == '3'", "'3'", "`score` is a number; expected a number without quotes"),
        ("score.contains('3')", "score", "only texts have contains"),
        ("comment.startswith('x')", "startswith", "did you mean `startsWith`?"),
        ("comment.matches('x')", "matches", "no regular expressions"),
        ("comment.size() > 3", ")", "expected a condition, found `)`"),
        ("hass(comment)", "hass", "did you mean `has`?"),
        ("comment", "comment", "`comment` is a text; compare it with a value, or ask has(comment)"),
        ("comment == page", "comment == page", "compares two fields"),
        ("1 == 1", "1 == 1", "compares two values"),
        ("!score == 1", "!score", "write !(a == b)"),
        ("!time.is_open == true", "!time.is_open", "write !(a == b)"),
        ("time.weekday == 'saturday'", "'saturday'", "did you mean `sat`?"),
        ("time.weekday == 'weekend'", "'weekend'", "expected mon, tue"),
        ("contact.phone_country in ['Russia']", "'Russia'", "expected two letters such as `RU`"),
        ("time.date > '31.12.2026'", "'31.12.2026'", "expected a date such as \"2026-12-31\""),
        ("time.date > '2026-02-30'", "'2026-02-30'", "expected a date"),
        ("time.of_day > '9:00'", "'9:00'", "expected a time such as \"18:30\""),
        ("time.hour in ['9']", "'9'", "expected a number without quotes"),
        ("comment in 'x'", "'x'", "expected a list after `in`"),
        ("comment == 'x", "'x", "does not end on its line"),
        ("comment == 'x\\q'", "'x\\q'", "has an escape other than"),
        ("comment == «x»", "«", "straight quotes"),
        ("fields.город == 'x'", "город", "fields[\"…\"]"),
        ("fields.a.b == 'x'", "fields.a.b", "written fields[\"a.b\"]"),
        ("fields == 'x'", "fields", "expected the name of a field"),
        ("fields[0] == 'x'", "0", "a field's name in quotes"),
        ("score > 1.2345", "1.2345", "at most 12 digits and 3 decimals"),
        ("comment == 'x' ; true", ";", "unexpected character ';'"),
        ("has(time.is_open)", "time.is_open", "leave has() out"),
        ("has('x')", "'x'", "has() asks for a field"),
        ("number(score) > 1", "score", "is a number already"),
        ("number(comment) > 1", "comment", "one of the source's own fields"),
        ("'x'", "'x'", "this is a value"),
        ("(score > 1) == true", "(score > 1)", "true or false by itself"),
        ("time.is_open > true", "time.is_open > true", "compared with == and !="),
    ] {
        let (found, shown) = refusal(text);
        assert!(found.contains(message), "{text}: {found}");
        // At the end of the text there is nothing to mark but the place.
        assert_eq!(shown, marked, "{text}: {found}");
    }
}

#[test]
fn a_fault_in_a_long_text_shows_its_line() {
    let text = format!("has(comment) &&\n  {}fields.city == Казань", "has(comment) && ".repeat(20));
    let error = text.parse::<Condition>().unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 2 + 20 * 16 + 16));
    let shown = error.to_string();
    assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
    assert!(shown.contains("fields.city == Казань\n"), "{shown}");
    let (line, carets) = shown.rsplit_once('\n').unwrap();
    let line = line.lines().last().unwrap();
    let column = carets.chars().position(|c| c == '^').unwrap();
    assert!(line.chars().skip(column).collect::<String>().starts_with("Казань"));
}

#[test]
fn size_is_bounded() {
    let deep = |levels: usize| format!("{}has(comment){}", "(".repeat(levels), ")".repeat(levels));
    assert!(deep(16).parse::<Condition>().is_ok());
    assert!(deep(17).parse::<Condition>().unwrap_err().message().contains("more than 16 deep"));
    assert!(format!("{}true", "!".repeat(1_900)).parse::<Condition>().is_err());
    let wide = |members: usize| vec!["true"; members].join("||");
    assert!(wide(199).parse::<Condition>().is_ok());
    assert!(wide(200).parse::<Condition>().unwrap_err().message().contains("at most 200"));
    let long = format!("comment == \"{}\"", "я".repeat(1_987));
    assert_eq!(long.chars().count(), 2_000);
    assert!(long.parse::<Condition>().is_ok());
    assert!(format!("{long} ").parse::<Condition>().unwrap_err().message().contains("at most 2000"));
    let tree = (0..16).fold(Condition::All(Vec::new()), |inner, _| Condition::Not(Box::new(inner)));
    assert!(tree.faults("accept[0].reject_if")[0].message.contains("more than 16 deep"));
}

#[test]
fn trees_of_the_wrong_type_are_faults() {
    for (json, message) in [
        (r#"{"equals": {"field": "score", "value": "3"}}"#, "`score` is a number; compare it with `compare`"),
        (r#"{"compare": {"field": "fields.x", "is": "more", "value": 3}}"#, "`fields.x` is a text"),
        (
            r#"{"compare": {"field": "time.date", "is": "more", "value": 3}}"#,
            "`time.date` is a date, not a number",
        ),
        (r#"{"not": {"one_of": {"field": "time.weekday", "values": ["someday"]}}}"#, "unknown day `someday`"),
        (r#"{"phone_country": ["Россия"]}"#, "not the code of a country"),
    ] {
        let condition: Condition = serde_json::from_str(json).unwrap();
        let faults = condition.faults("here");
        assert!(faults.len() == 1 && faults[0].message.contains(message), "{json}: {faults:?}");
    }
    for (json, message) in [
        (r#""fields.city > 3""#, "write number(fields.city)"),
        (r#"{"any": ["has(comment"]}"#, "expected `)`"),
        (r#"{"compare": {"field": "score", "is": "more", "value": "x"}}"#, "a date such as"),
        (r#"{"present": "phone"}"#, "did you mean `contact.phone`?"),
        (r#"{"presnt": "phone"}"#, "unknown variant `presnt`"),
        ("7", "expected a condition, as a text"),
    ] {
        let error = serde_json::from_str::<Condition>(json).unwrap_err().to_string();
        assert!(error.contains(message), "{json}: {error}");
    }
}

#[test]
fn fields_read_back_and_unknown_ones_are_named() {
    for (name, field) in &field::NAMES {
        assert_eq!(field.to_string(), *name);
        assert_eq!(name.parse::<Field>().as_ref(), Ok(field));
    }
    let number: Field = "number(fields.budget)".parse().unwrap();
    assert_eq!(
        (number.to_string(), number),
        ("number(fields.budget)".to_owned(), Field::NumberOf("budget".into()))
    );
    assert!("phone".parse::<Field>().unwrap_err().contains("contact.phone"));
}

/// The condition as its text reads back.
fn simplest(condition: &Condition) -> Condition {
    let members = |members: &[Condition]| members.iter().map(simplest).collect::<Vec<_>>();
    match condition {
        Condition::All(inner) | Condition::Any(inner) if inner.len() == 1 => simplest(&inner[0]),
        Condition::All(inner) => Condition::All(members(inner)),
        Condition::Any(inner) => Condition::Any(members(inner)),
        Condition::Not(inner) => match simplest(inner) {
            Condition::Present(field) => Condition::Missing(field),
            inner => Condition::Not(Box::new(inner)),
        },
        Condition::PhoneCountry(values) => {
            Condition::OneOf { field: Field::PhoneCountry, values: values.clone() }
        }
        other => other.clone(),
    }
}

fn text_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        Just(Field::Phone),
        Just(Field::Comment),
        Just(Field::SourceName),
        Just(Field::LastOwner),
        Just(Field::Custom("city".into())),
        Just(Field::Custom("in".into())),
        ".{1,12}".prop_map(Field::Custom),
    ]
}

fn value_of(field: Field) -> BoxedStrategy<(Field, Value)> {
    let value = match field.kind() {
        FieldKind::Date => (2000..2100_i32, 1..=366_u32)
            .prop_filter_map("a day", |(year, day)| NaiveDate::from_yo_opt(year, day).map(Value::Date))
            .boxed(),
        FieldKind::TimeOfDay => (0..24_u16, 0..60_u16)
            .prop_filter_map("a time", |(h, m)| crate::schedule::TimeOfDay::new(h, m).map(Value::TimeOfDay))
            .boxed(),
        _ => (-1_000_000_000_000_i64..1_000_000_000_000, 0..1_000)
            .prop_map(|(whole, part)| {
                format!("{}.{part:03}", whole.clamp(-999_999_999_999, 999_999_999_999)).parse().unwrap()
            })
            .prop_map(Value::Number)
            .boxed(),
    };
    value.prop_map(move |value| (field.clone(), value)).boxed()
}

fn leaf() -> impl Strategy<Value = Condition> {
    let other = prop_oneof![
        Just(Field::Score),
        Just(Field::HistoryLeads),
        Just(Field::Hour),
        Just(Field::Date),
        Just(Field::TimeOfDay),
        ".{1,6}".prop_map(Field::NumberOf),
    ];
    let is = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::Different),
        Just(Comparison::Less),
        Just(Comparison::AtMost),
        Just(Comparison::More),
        Just(Comparison::AtLeast),
    ];
    let text = || prop_oneof![".{0,12}", "[\\x00-\\x1f\"'\\\\]{0,4}", Just("Казань".to_owned())];
    prop_oneof![
        text_field().prop_map(Condition::Present),
        text_field().prop_map(Condition::Missing),
        other.clone().prop_map(Condition::Present),
        (text_field(), text()).prop_map(|(field, value)| Condition::Equals { field, value }),
        (text_field(), text()).prop_map(|(field, value)| Condition::Differs { field, value }),
        (text_field(), text()).prop_map(|(field, value)| Condition::Contains { field, value }),
        (text_field(), text()).prop_map(|(field, value)| Condition::StartsWith { field, value }),
        (text_field(), text()).prop_map(|(field, value)| Condition::EndsWith { field, value }),
        (text_field(), prop::collection::vec(text(), 0..4))
            .prop_map(|(field, values)| Condition::OneOf { field, values }),
        prop::collection::vec("[A-Z]{2}", 0..3).prop_map(Condition::PhoneCountry),
        (other.prop_flat_map(value_of), is).prop_map(|((field, value), is)| Condition::Compare {
            field,
            is,
            value
        }),
        Just(Condition::Consented(ConsentPurpose::Offer)),
        any::<bool>().prop_map(Condition::IsOpen),
    ]
}

fn tree() -> impl Strategy<Value = Condition> {
    leaf().prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::Any),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_printed_condition_reads_back(condition in tree()) {
        let text = condition.to_string();
        prop_assume!(text.chars().count() <= MAX_CHARS);
        let again: Condition = text.parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
        prop_assert_eq!(&again, &simplest(&condition), "{}", text);
        prop_assert_eq!(again.to_string(), text);
        let capture = capture();
        for input in [ConditionInput::new(&capture), informed(&capture)] {
            prop_assert_eq!(again.holds(&input), condition.holds(&input));
        }
    }

    #[test]
    fn a_stored_tree_reads_back(condition in tree()) {
        let json = serde_json::to_string(&condition).unwrap();
        prop_assert_eq!(serde_json::from_str::<Condition>(&json).unwrap(), condition);
    }

    #[test]
    fn no_text_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_sequence_of_tokens_is_too_strange(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "has", "number", "fields", "score", "time", "is_open", "contact", "phone", "in", "true", "not",
            "(", ")", "[", "]", ",", ".", "!", "&&", "||", "==", "!=", "<", ">=", "-", "3", "1.5", "\"x\"",
            "'я'", "contains", "\n", " ", "=", "\"", "\\",
        ]), 0..40)
    ) {
        read(&tokens.concat());
        read(&tokens.join(" "));
    }
}

/// Reads a text that may be anything: a condition or an error, both of which print.
fn read(text: &str) {
    match text.parse::<Condition>() {
        Ok(condition) => assert_eq!(condition.to_string().parse::<Condition>().as_ref(), Ok(&condition)),
        Err(error) => assert_eq!(error.to_string().lines().count(), 3, "{error}"),
    }
}

#[test]
fn the_first_touch_and_click_ids_are_read() {
    let input: crate::lead::CaptureInput = serde_json::from_value(serde_json::json!({
        "phone": "+79000000000",
        "attribution": {
            "first": {"utm_source": "yandex", "page": "https://example.com/a", "click_ids": {"yclid": "1"}},
            "last": {"utm_source": "vk", "click_ids": {"rb_clickid": "2"}},
        },
    }))
    .unwrap();
    let received = crate::lead::Received::at(crate::time::from_millis(0));
    let capture = input.validate(&[], crate::message::Locale::Ru, received).unwrap();
    for (text, holds) in [
        ("first.utm_source == \"yandex\" && utm_source == \"vk\"", true),
        ("first.page.contains(\"/a\")", true),
        ("has(first.click_ids.yclid) && has(click_ids.rb_clickid)", true),
        ("has(click_ids.yclid)", false),
        ("first.click_ids.yclid == \"1\"", true),
        ("has(first.utm_term)", false),
    ] {
        let condition: Condition = text.parse().unwrap();
        assert_eq!(condition.holds(&ConditionInput::new(&capture)), holds, "{text}");
        assert_eq!(condition.to_string().parse::<Condition>().unwrap(), condition, "{text}");
        let tree = serde_json::to_value(&condition).unwrap();
        assert_eq!(serde_json::from_value::<Condition>(tree).unwrap(), condition, "{text}");
    }
    let error = "has(click_ids.ycld)".parse::<Condition>().unwrap_err();
    assert!(error.message().contains("did you mean `yclid`?"), "{error}");
}
