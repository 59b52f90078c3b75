use super::*;

const ORACLE: &str = include_str!("../../../data/numbers/oracle.txt");

fn parsed(text: &str) -> Option<String> {
    Phone::parse(text).ok().map(String::from)
}

/// Usual spellings of a Russian national number of ten digits.
fn russian_spellings(national: &str) -> Vec<String> {
    let (code, a, b, c) = (&national[..3], &national[3..6], &national[6..8], &national[8..]);
    let (four, d) = (&national[..4], &national[4..6]);
    let (five, e) = (&national[..5], &national[5..6]);
    let mut spellings =
        vec![national.to_owned(), format!("{code} {a} {b} {c}"), format!("({code}) {a}-{b}-{c}")];
    for lead in ["+7", "7", "8"] {
        spellings.extend([
            format!("{lead}{national}"),
            format!("{lead} {national}"),
            format!("{lead} {code} {a}-{b}-{c}"),
            format!("{lead} ({code}) {a}-{b}-{c}"),
            format!("{lead}({code}){a}{b}{c}"),
            format!("{lead}-{code}-{a}-{b}-{c}"),
            format!("{lead} {code} {a} {b}{c}"),
            format!("{lead}.{code}.{a}.{b}.{c}"),
            format!("{lead} ({four}) {d}-{b}-{c}"),
            format!("{lead} ({five}) {e}-{b}-{c}"),
            format!("  {lead}\u{a0}{code}\u{2009}{a}\u{2013}{b}\u{2011}{c}\u{200b} "),
            format!("\u{202a}{lead} {code} {a}\u{2212}{b}\u{2212}{c}\u{202c}"),
            format!("тел.: {lead} {code} {a}-{b}-{c}"),
        ]);
    }
    spellings.extend([
        format!("+7 8 {code} {a} {b} {c}"),
        format!("+7 (8{code}) {a}-{b}-{c}"),
        format!("tel:+7{national}"),
        format!("tel:+7-{code}-{a}-{b}{c}"),
        format!("＋7 {code} {a} {b} {c}"),
        format!("007{national}"),
    ]);
    spellings
}

#[test]
fn russian_numbers_as_people_write_them() {
    for text in ["+7 900 000-00-00", "8 (900) 000-00-00", "79000000000", "900 000 00 00", " 8-900-000-00-00 "]
    {
        assert_eq!(parsed(text).as_deref(), Some("+79000000000"), "{text}");
    }
    for (text, number) in [
        ("+7 812 315-98-83", "+78123159883"),
        ("8 (843) 000-00-00", "+78430000000"),
        ("8 800 555-35-35", "+78005553535"),
        ("88005553535", "+78005553535"),
        ("8005553535", "+78005553535"),
        ("78123159883", "+78123159883"),
        ("8123159883", "+78123159883"),
        ("+49 89 12345678", "+498912345678"),
        ("+66 81 834 5670", "+66818345670"),
        ("+91 81234 56789", "+918123456789"),
        ("+62 812 3456 7890", "+6281234567890"),
        ("+1 800 555 0100", "+18005550100"),
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("0049 89 12345678", "+498912345678"),
        ("8-10-49-89-12345678", "+498912345678"),
        ("+7 701 123 45 67", "+77011234567"),
        ("+46 888 123 456", "+46888123456"),
        ("+46888123456", "+46888123456"),
    ] {
        assert_eq!(parsed(text).as_deref(), Some(number), "{text}");
    }
}

#[test]
fn every_text_is_read_as_libphonenumber_reads_it() {
    let mut wrong = Vec::new();
    let mut numbers = 0;
    for line in ORACLE.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [text, digits, region] = fields[..] else { panic!("{line:?} has not three fields") };
        let expected = (!digits.is_empty()).then(|| format!("+{digits}"));
        // Behind 00, the prefix of most countries, we read more: in Russia it is `8~10`.
        // So we do of the numbers of neighbours whose `+` is forgotten.
        let neighbour = plan::NEIGHBOURS.iter().any(|code| text.starts_with(code));
        // And those of Russia behind `+8`, where that is no country's code.
        let trunk = ["+89", "+83"].iter().any(|code| text.starts_with(code));
        if expected.is_none() && (text.starts_with("00") || neighbour || trunk) {
            continue;
        }
        let phone = Phone::parse(text).ok();
        let country = phone.as_ref().and_then(Phone::country);
        let expected_country = Some(region).filter(|region| !region.is_empty() && *region != "001");
        if phone.as_ref().map(Phone::expose) != expected.as_deref() || country != expected_country {
            wrong.push(format!("{line:?}: {:?}, {country:?}", phone.map(String::from)));
        }
        numbers += usize::from(!digits.is_empty());
    }
    assert!(numbers > 6_000, "{numbers} numbers");
    assert!(wrong.is_empty(), "{} texts are read otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_russian_code_is_read_in_every_spelling() {
    let mut codes = std::collections::BTreeSet::new();
    for line in ORACLE.lines() {
        let Some((text, digits)) = line.split_once('\t') else { continue };
        let national = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        let Some(("RU", number)) = digits.split_once('\t').map(|(digits, region)| (region, digits)) else {
            continue;
        };
        if !national || number[1..] != *text {
            continue;
        }
        codes.insert(&text[..3]);
        for spelling in russian_spellings(text) {
            assert_eq!(parsed(&spelling), Some(format!("+{number}")), "{spelling}");
        }
    }
    let of = |first| codes.iter().filter(|code| code.starts_with(first)).count();
    assert_eq!((of('3'), of('4'), of('8'), of('9')), (24, 30, 47, 100), "{codes:?}");
}

#[test]
fn an_e164_number_is_read_as_itself() {
    let mut numbers = 0;
    for line in ORACLE.lines().filter(|line| !line.starts_with('#')) {
        let Some(number) = line.split('\t').nth(1).filter(|digits| !digits.is_empty()) else { continue };
        let number = format!("+{number}");
        assert_eq!(parsed(&number), Some(number.clone()), "{line}");
        let stored: Phone = serde_json::from_value(number.clone().into()).unwrap();
        assert_eq!((stored.is_valid(), stored.expose()), (true, number.as_str()));
        numbers += 1;
    }
    assert!(numbers > 6_000, "{numbers} numbers");
}

#[test]
fn what_stands_beside_a_number_is_kept() {
    let phone = "+74950000000";
    for text in [
        "+7 495 000-00-00 доб. 123",
        "+7 495 000-00-00 доб 123",
        "8 (495) 000-00-00 доб.123",
        "8 (495) 000-00-00 (доб. 123)",
        "8 (495) 000-00-00, доб.: 123",
        "8 (495) 000-00-00 ДОБАВОЧНЫЙ 123",
        "8 (495) 000-00-00 вн. 123",
        "8 (495) 000-00-00 ext 123",
        "8 (495) 000-00-00 ext. 123",
        "8 (495) 000-00-00 Extension: 123",
        "8 (495) 000-00-00x123",
        "8 (495) 000-00-00 x 123",
        "8 (495) 000-00-00х123",
        "84950000000,123",
        "84950000000,,123",
        "84950000000, 123",
        "84950000000#123",
        "84950000000 # 123",
        "84950000000;123",
        "8 (495) 000-00-00 (123)",
        "tel:+74950000000;ext=123",
        "TEL:+7-495-000-00-00;ext=123",
        "+7 495 000-00-00;ext=123",
        "+٧ ٤٩٥ ٠٠٠-٠٠-٠٠ доб. ١٢٣",
    ] {
        let read = Phone::read(text).unwrap();
        assert_eq!(
            (read.phone.expose(), read.extension.as_deref(), read.rest.as_deref()),
            (phone, Some("123"), None),
            "{text}"
        );
        assert_eq!(Phone::parse(text), Err(AddressError::Extension), "{text}");
    }
    for (text, extension, rest) in [
        ("+7 495 000-00-00 / +7 900 000-00-01", None, "+7 900 000-00-01"),
        ("+7 495 000-00-00/8 900 000-00-01", None, "8 900 000-00-01"),
        ("84950000000/89000000001", None, "89000000001"),
        ("84950000000 89000000001", None, "89000000001"),
        ("84950000000, 89000000001", None, "89000000001"),
        ("84950000000,89000000001", None, "89000000001"),
        ("84950000000;89000000001", None, "89000000001"),
        ("84950000000\n89000000001", None, "89000000001"),
        ("8 495 000-00-00 или 8 900 000-00-01", None, "или 8 900 000-00-01"),
        ("8 495 000-00-00 доб. 5, 8 900 000-00-01", Some("5"), "8 900 000-00-01"),
        ("8 (495) 000-00-00/01", None, "01"),
        ("8 495 000-00-00 Анна", None, "Анна"),
        ("Анна: 8 495 000-00-00 (мама)", None, "Анна, (мама)"),
        ("WhatsApp 8 495 000-00-00", None, "WhatsApp"),
        ("8 495 000-00-00, 5-й подъезд", None, "5-й подъезд"),
        ("8 495 000-00-00, 18:00", None, "18:00"),
        ("8 495 000-00-00 после 18", None, "после 18"),
        ("8 900 000-00-0, 8 495 000-00-00", None, "8 900 000-00-0"),
    ] {
        let read = Phone::read(text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(
            (read.phone.expose(), read.extension.as_deref(), read.rest.as_deref()),
            (phone, extension, Some(rest)),
            "{text}"
        );
        assert_eq!(Phone::parse(text), Err(AddressError::Phone), "{text}");
    }
}

#[test]
fn signs_of_other_keyboards() {
    for text in [
        "+٧ ٩٠٠ ٠٠٠ ٠٠ ٠٠",
        "+۷ ۹۰۰ ۰۰۰ ۰۰ ۰۰",
        "８（９００）０００－００－００",
        "＋７９０００００００００",
        "8\u{fe0f}\u{20e3}9000000000",
        "\u{feff}+7\u{202f}900\u{2007}000\u{2014}00\u{2015}00\u{200f}",
        "\u{2068}+7 900 000-00-00\u{2069}",
        "+7\t900\t000\t00\t00",
        "+7[900]000.00.00",
        "+ 7 (900) 000 - 00 - 00",
        "(8 900) 000-00-00",
        "tel://+79000000000",
        "tel:9000000000;phone-context=+7",
        "tel:%2B7%20900%20000-00-00",
        "Телефон: +7 900 000-00-00.",
        "+8 900 000-00-00",
        "+8(900)000-00-00",
    ] {
        assert_eq!(parsed(text).as_deref(), Some("+79000000000"), "{text}");
    }
}

#[test]
fn neighbours_without_a_plus() {
    for text in ["375 29 123-45-67", "998901234567", "374 77 123456", "380 50 123 45 67", "996 555 123 456"] {
        assert_eq!(parsed(text), parsed(&format!("+{text}")), "{text}");
        assert!(parsed(text).is_some(), "{text}");
    }
    // What has the length of a national number is one, or none.
    for (text, expected) in
        [("9921234567", Some("+79921234567")), ("3751234567", None), ("37529123456", None)]
    {
        assert_eq!(parsed(text).as_deref(), expected, "{text}");
    }
    // Of others a number without `+` may be one of Russia with a wrong digit.
    for text in ["49 1512 3456789", "19001234567", "90 501 234 56 78"] {
        assert_eq!(parsed(text), None, "{text}");
    }
}

#[test]
fn other_countries_by_their_code() {
    for (text, country) in [
        ("+375 29 123-45-67", "BY"),
        ("+7 701 123 45 67", "KZ"),
        ("+7 727 250 00 00", "KZ"),
        ("+7 840 000 00 00", "RU"),
        ("+998 90 123 45 67", "UZ"),
        ("+374 77 123456", "AM"),
        ("+995 555 12 34 56", "GE"),
        ("+49 1512 3456789", "DE"),
        ("+44 7400 123456", "GB"),
        ("+1 202 555 0173", "US"),
        ("+1 416 555 0173", "CA"),
        ("+90 501 234 56 78", "TR"),
        ("+971 50 123 4567", "AE"),
    ] {
        assert_eq!(Phone::parse(text).unwrap().country(), Some(country), "{text}");
    }
    assert_eq!(Phone::parse("+800 1234 5678").unwrap().country(), None, "a number of no country");
}

#[test]
fn not_phones() {
    for text in [
        "",
        "+",
        "123",
        "+7 900 000-00-0",
        "+7 900 000-00-000",
        "8 900 000-00-00 0",
        "8 900 000-00-0_",
        "8 800",
        "phone",
        "доб. 123",
        "'; DROP TABLE",
        "00000000000",
        "+7 999 999",
    ] {
        assert_eq!(Phone::read(text), Err(AddressError::Phone), "{text}");
    }
    let long = format!("8 900 000-00-00{}", " a".repeat(500));
    assert_eq!(Phone::read(&long), Err(AddressError::Phone));
}

#[test]
fn a_stored_number_is_read_whatever_the_plans_say() {
    let read = |text: &str| serde_json::from_value::<Phone>(text.into()).unwrap();
    // Of no country today, and a text that is no number at all.
    for text in ["+78888123456", "+79", "+", "", "call me", "8 900"] {
        let phone = read(text);
        assert_eq!((phone.expose(), phone.is_valid(), phone.country()), (text, false, None));
        assert_eq!(serde_json::to_value(&phone).unwrap(), text);
    }
    // Written by hand, as in a policy: brought into the one form, so that it equals what a visitor types.
    assert_eq!(read("8 (900) 000-00-00").expose(), "+79000000000");
}

#[test]
fn a_sender_is_known_whatever_the_plans_say() {
    for (text, number) in [
        ("79000000000", Some("+79000000000")),
        ("+79000000000", Some("+79000000000")),
        ("89000000000", Some("+79000000000")),
        ("78888123456", Some("+78888123456")),
        ("Example", None),
        ("900", None),
        ("", None),
    ] {
        assert_eq!(Phone::received(text).as_ref().map(Phone::expose), number, "{text}");
    }
}

#[test]
fn debug_tells_nothing() {
    let read = Phone::read("8 900 000-00-00 доб. 5").unwrap();
    assert_eq!(format!("{read:?} {:?}", read.phone), "PhoneReading([pii]) Phone([pii])");
}

fn assert_stands(text: &str) {
    let Ok(read) = Phone::read(text) else { return };
    let again = Phone::read(read.phone.expose());
    assert_eq!(again.as_ref().map(|again| &again.phone), Ok(&read.phone), "{text:?}");
    assert!(again.is_ok_and(|again| again.extension.is_none() && again.rest.is_none()), "{text:?}");
    let stored: Phone = serde_json::from_value(serde_json::to_value(&read.phone).unwrap()).unwrap();
    assert_eq!(stored, read.phone);
    assert!(read.phone.is_valid());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_text_is_read_the_same_twice(
        any in ".*",
        number in "(\\+|00|8 10 ?|)[0-9]{1,4}[ ()/-]{0,2}[0-9]{2,6}[ ()/,;#x-]{0,2}[0-9]{2,8}( ?(доб|или|/|x)?.?[0-9]{1,12})?",
        digits in "\\+[0-9]{6,16}",
    ) {
        assert_stands(&any);
        assert_stands(&number);
        assert_stands(&digits);
    }
}

#[test]
fn a_long_text_costs_little() {
    // The worst of its kind: digits everywhere, and nothing that is a number.
    for text in ["1/".repeat(500), "8 ".repeat(500), "+".repeat(1_000), "1".repeat(1_000), "+1(".repeat(333)]
    {
        assert!(Phone::read(&text).is_err());
    }
}
