//! Periods and hours against the clock on the wall, minute by minute.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use proptest::prelude::*;

use super::*;
use crate::time::{Timestamp, from_millis};

/// Zones that move their clocks at midnight, at one minute past, by half an hour, over the date
/// line, and not at all.
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Moscow",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "America/St_Johns",
    "America/Havana",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "America/New_York",
];

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn hours(json: serde_json::Value) -> WorkingHours {
    serde_json::from_value(json).unwrap()
}

/// Labour Code, art. 112: the days are named by their dates, so they need no decree.
#[test]
fn the_holidays_of_the_law_are_off_in_every_year() {
    let calendar = Calendar::based_on(CalendarBase::Ru);
    let office = hours(serde_json::json!({
        "weekly": [{"days": "mon-sun", "from": "09:00", "to": "18:00"}],
        "holidays": {"base": "ru"},
    }));
    let moscow = zone("Europe/Moscow");
    for year in 2013..2100 {
        let mut closed = Vec::new();
        let mut day = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        while day.year() == year {
            let noon = moscow.day_start(day) + TimeDelta::hours(12);
            if !office.is_open(noon, moscow) {
                closed.push((day.month(), day.day()));
            }
            day = day.succ_opt().unwrap();
        }
        let mut law: Vec<(u32, u32)> = (1..=8).map(|day| (1, day)).collect();
        law.extend([(2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4)]);
        if calendar.knows(year) {
            // Decrees move more days off.
            assert!(law.iter().all(|day| closed.contains(day)), "{year}: {closed:?}");
        } else {
            assert_eq!(closed, law, "{year}");
        }
    }
}

#[test]
fn periods_follow_each_other_without_gap_or_overlap() {
    for name in ZONES {
        let zone = zone(name);
        for (per, from, to) in [
            (Per::Hour, "2010-10-01T00:00:00Z", "2010-12-01T00:00:00Z"),
            (Per::Hour, "2011-12-15T00:00:00Z", "2012-01-15T00:00:00Z"),
            (Per::Hour, "2018-09-01T00:00:00Z", "2019-05-01T00:00:00Z"),
            (Per::Day, "2005-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
            (Per::Week, "2005-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
            (Per::Month, "2005-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ] {
            let mut keys = BTreeSet::new();
            let mut period = Period::of(per, at(from), zone);
            while period.start < at(to) {
                assert!(period.start < period.end, "{name} {period:?}");
                assert!(keys.insert(period.key.clone()), "{name} {period:?}");
                for inside in [period.start, period.end - TimeDelta::milliseconds(1)] {
                    assert_eq!(Period::of(per, inside, zone), period, "{name} {inside}");
                }
                let next = Period::of(per, period.end, zone);
                assert_eq!(next.start, period.end, "{name} {period:?}");
                period = next;
            }
        }
    }
}

#[test]
fn days_reset_at_local_midnight() {
    for (name, moment, key, start, hours) in [
        ("Europe/Moscow", "2026-11-25T20:59:59Z", "2026-11-25", "2026-11-24T21:00:00Z", 24),
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29", "2026-03-28T23:00:00Z", 23),
        ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-25", "2026-10-24T22:00:00Z", 25),
        // Clocks go from 00:00 to 01:00: the day begins at 01:00.
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04", "2018-11-04T03:00:00Z", 23),
        ("Africa/Cairo", "2023-04-28T12:00:00Z", "2023-04-28", "2023-04-27T22:00:00Z", 23),
        // Clocks go from 24:00 to 23:00: the day has 25 hours.
        ("America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-17", "2018-02-17T02:00:00Z", 25),
        ("Africa/Cairo", "2023-10-26T20:30:00Z", "2023-10-26", "2023-10-25T21:00:00Z", 25),
        // From 01:00 to 00:00: midnight comes twice, and the first counts.
        ("America/Havana", "2018-11-04T05:30:00Z", "2018-11-04", "2018-11-04T04:00:00Z", 25),
        // From 00:01 back to 23:01: the evening that comes again stays in the day that had begun.
        ("America/St_Johns", "2010-11-07T02:45:00Z", "2010-11-07", "2010-11-07T02:30:00Z", 25),
        // 30 December was left out.
        ("Pacific/Apia", "2011-12-30T09:00:00Z", "2011-12-29", "2011-12-29T10:00:00Z", 24),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31", "2011-12-30T10:00:00Z", 24),
    ] {
        let day = Period::of(Per::Day, at(moment), zone(name));
        assert_eq!(day.key, key, "{name} {moment}");
        assert_eq!(day.start, at(start), "{name} {moment}");
        assert_eq!((day.end - day.start).num_hours(), hours, "{name} {moment}");
    }
}

#[test]
fn keys_name_their_period() {
    let moscow = zone("Europe/Moscow");
    let key = |per, moment| Period::of(per, at(moment), moscow).key;
    assert_eq!(key(Per::Hour, "2026-11-25T11:59:59Z"), "2026-11-25T14:00+03:00");
    assert_eq!(key(Per::Week, "2026-11-22T21:00:00Z"), "2026-W48");
    assert_eq!(key(Per::Week, "2026-11-22T20:59:59Z"), "2026-W47");
    // The week that has the first Thursday is the first.
    assert_eq!(key(Per::Week, "2027-01-02T12:00:00Z"), "2026-W53");
    assert_eq!(key(Per::Month, "2026-11-30T21:00:00Z"), "2026-12");
    assert_eq!(key(Per::Total, "2026-11-30T21:00:00Z"), "total");
    // The hour that comes twice is two hours.
    let berlin = zone("Europe/Berlin");
    assert_eq!(Period::of(Per::Hour, at("2026-10-25T00:30:00Z"), berlin).key, "2026-10-25T02:00+02:00");
    assert_eq!(Period::of(Per::Hour, at("2026-10-25T01:30:00Z"), berlin).key, "2026-10-25T02:00+01:00");
}

#[test]
fn zones_are_known_by_name() {
    for name in ZONES {
        let json = serde_json::to_string(&zone(name)).unwrap();
        assert_eq!(json, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<Zone>(&json).unwrap(), zone(name));
    }
    for (text, hint) in [
        ("Europe/Moskow", "did you mean `Europe/Moscow`?"),
        ("europe/moscow", "did you mean `Europe/Moscow`?"),
        ("Yekaterinburg", "did you mean `Asia/Yekaterinburg`?"),
        ("MSK", "did you mean"),
        ("+03:00", "expected a name of the IANA database"),
    ] {
        let error = text.parse::<Zone>().unwrap_err().to_string();
        assert!(error.starts_with("unknown time zone") && error.contains(hint), "{error}");
    }
}

#[test]
fn hours_are_written_as_people_write_them() {
    for (text, expected) in [
        ("mon-fri", "mon-fri"),
        ("Sat, Sun", "sat,sun"),
        ("fri-mon", "mon,fri-sun"),
        ("mon,tue,wed,fri", "mon-wed,fri"),
        ("mon-sun", "mon-sun"),
    ] {
        let days: Weekdays = text.parse().unwrap();
        assert_eq!(days.to_string(), expected, "{text}");
        assert_eq!(expected.parse::<Weekdays>().unwrap(), days);
    }
    for text in ["", "mon-", "weekend"] {
        assert!(text.parse::<Weekdays>().unwrap_err().contains("expected mon, tue"), "{text}");
    }
    for (text, near) in [("monday", "mon"), ("moon-fri", "mon"), ("sat,sum", "sun"), ("Thurs", "thu")] {
        let error = text.parse::<Weekdays>().unwrap_err();
        assert!(error.ends_with(&format!("did you mean `{near}`?")), "{error}");
    }
    let list = serde_json::from_str::<Weekdays>(r#"["mon", "tue"]"#).unwrap_err().to_string();
    assert!(list.contains("expected days as a text, such as `mon-fri`"), "{list}");
    for text in ["00:00", "09:30", "24:00"] {
        assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
    }
    for text in ["9:30", "24:01", "12:60", "0930", "-1:00", "+9:00"] {
        assert!(text.parse::<TimeOfDay>().unwrap_err().contains("expected HH:MM"), "{text}");
    }
}

fn clinic() -> WorkingHours {
    hours(serde_json::json!({
        "weekly": [
            {"days": "mon-fri", "from": "09:00", "to": "13:00"},
            {"days": "mon-fri", "from": "14:00", "to": "18:00"},
            {"days": "fri,sat", "from": "22:00", "to": "06:00"},
        ],
        "holidays": {"base": "ru"},
    }))
}

#[test]
fn a_clinic_with_a_lunch_break_and_a_night_shift() {
    let (clinic, moscow) = (clinic(), zone("Europe/Moscow"));
    let moscow_time = |text: &str| at(&format!("{text}:00+03:00"));
    for (moment, open, next_open, next_close) in [
        ("2026-11-25T08:59", false, "2026-11-25T09:00", "2026-11-25T08:59"),
        ("2026-11-25T09:00", true, "2026-11-25T09:00", "2026-11-25T13:00"),
        ("2026-11-25T13:00", false, "2026-11-25T14:00", "2026-11-25T13:00"),
        ("2026-11-27T23:00", true, "2026-11-27T23:00", "2026-11-28T06:00"),
        ("2026-11-28T05:59", true, "2026-11-28T05:59", "2026-11-28T06:00"),
        ("2026-11-29T06:00", false, "2026-11-30T09:00", "2026-11-29T06:00"),
        // 11 June is an hour shorter, 12 June (a Friday) a holiday without its night shift; on
        // Saturday the night shift is as usual.
        ("2026-06-11T17:00", false, "2026-06-13T22:00", "2026-06-11T17:00"),
        // The new year: 30 December is the last working day that is known.
        ("2025-12-30T18:00", false, "2026-01-10T22:00", "2025-12-30T18:00"),
    ] {
        let moment = moscow_time(moment);
        assert_eq!(clinic.is_open(moment, moscow), open, "{moment}");
        assert_eq!(clinic.next_open(moment, moscow), Some(moscow_time(next_open)), "{moment}");
        assert_eq!(clinic.next_close(moment, moscow), Some(moscow_time(next_close)), "{moment}");
    }
    for (from, minutes, to) in [
        ("2026-11-25T12:50", 9, "2026-11-25T12:59"),
        // What runs out with the shift runs out when the next begins.
        ("2026-11-25T12:50", 10, "2026-11-25T14:00"),
        ("2026-11-25T12:50", 15, "2026-11-25T14:05"),
        ("2026-11-25T17:55", 10, "2026-11-26T09:05"),
        ("2026-11-25T20:00", 0, "2026-11-26T09:00"),
    ] {
        let found = clinic.plus_open(moscow_time(from), minutes * 60, moscow);
        assert_eq!(found, Some(moscow_time(to)), "{from} + {minutes}");
        let seconds = clinic.open_seconds_between(moscow_time(from), moscow_time(to), moscow);
        assert_eq!(seconds, Some(minutes * 60), "{from} + {minutes}");
    }
    assert_eq!(clinic.check(moscow_time("2026-11-25T12:00"), moscow), Ok(()));
}

#[test]
fn a_policy_bends_the_calendar() {
    let moscow = zone("Europe/Moscow");
    let bent = hours(serde_json::json!({
        "weekly": [{"days": "mon-fri", "from": "09:00", "to": "18:00"}],
        "holidays": {
            "base": "ru",
            "years": [2027],
            "days": {
                "2026-11-04": "usual",
                "2026-11-05": "off",
                "2026-11-07": {"like": {"day": "fri", "shorter_minutes": 120}},
                "2026-11-09": {"shorter": {"minutes": 600}},
            },
        },
    }));
    let next =
        |moment: &str| bent.next_open(at(moment), moscow).unwrap().with_timezone(&chrono::Utc).to_rfc3339();
    assert!(bent.is_open(at("2026-11-04T09:00:00Z"), moscow), "mended: a usual Wednesday");
    assert_eq!(next("2026-11-04T15:00:00Z"), "2026-11-06T06:00:00+00:00", "the 5th is off");
    assert_eq!(bent.next_close(at("2026-11-07T09:00:00Z"), moscow), Some(at("2026-11-07T13:00:00Z")));
    assert_eq!(next("2026-11-07T13:00:00Z"), "2026-11-10T06:00:00+00:00", "nothing is left of the 9th");
    let (from, to) = (at("2026-11-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
    assert_eq!(bent.unknown_year(from, to, moscow), Some(2028));
    let json = serde_json::to_value(&bent).unwrap();
    assert_eq!(serde_json::from_value::<WorkingHours>(json).unwrap(), bent);
}

/// Working days of each year, and the hours of a 40-hour week, as they are published.
#[test]
fn the_russian_calendar_adds_up() {
    let week = hours(serde_json::json!({
        "weekly": [
            {"days": "mon-fri", "from": "09:00", "to": "13:00"},
            {"days": "mon-fri", "from": "14:00", "to": "18:00"},
        ],
        "holidays": {"base": "ru"},
    }));
    for (year, days, hours) in [(2025, 247, 1_972), (2026, 247, 1_972)] {
        let mut seconds = 0;
        let mut working = 0;
        for day in NaiveDate::from_ymd_opt(year, 1, 1).unwrap().iter_days().take(365) {
            let midnight = day.and_time(NaiveTime::MIN).and_utc();
            let open = week.open_seconds_between(midnight, midnight + TimeDelta::days(1), Zone::UTC).unwrap();
            working += i32::from(open > 0);
            seconds += open;
        }
        assert_eq!((working, seconds / 3_600), (days, hours), "{year}");
    }
    let calendar = Calendar::based_on(CalendarBase::Ru);
    assert!(calendar.knows(2025) && calendar.knows(2026) && !calendar.knows(2027));
    assert_eq!(calendar.rule(date("2027-01-11")), None, "not guessed");
    assert_eq!(calendar.rule(date("2027-02-22")), None, "whether it is moved or shorter is not guessed");
    assert_eq!(calendar.unknown_year(date("2025-06-01"), date("2026-12-31")), None);
    assert_eq!(calendar.unknown_year(date("2025-06-01"), date("2027-01-01")), Some(2027));
    assert!(Calendar::default().knows(1999));
}

#[test]
fn hours_that_cannot_work_are_faults() {
    let now = at("2026-11-25T12:00:00Z");
    let faults = |json: serde_json::Value| {
        let found = hours(json).check(now, Zone::UTC).unwrap_err();
        found
            .into_iter()
            .map(|fault| format!("{}: {}", fault.path, fault.message))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let shift = |days: &str, from: &str, to: &str| serde_json::json!({"days": days, "from": from, "to": to});
    for (weekly, expected) in [
        (vec![], "weekly: expected at least one shift"),
        (vec![shift("mon", "09:00", "09:00")], "weekly[0].to: is `09:00` like `from`"),
        (
            vec![shift("mon-fri", "09:00", "14:00"), shift("fri", "13:00", "18:00")],
            "weekly[1]: runs at the same time as weekly[0]",
        ),
        (
            vec![shift("mon", "00:00", "08:00"), shift("sun", "20:00", "04:00")],
            "weekly[1]: runs at the same time as weekly[0]",
        ),
    ] {
        let found = faults(serde_json::json!({"weekly": weekly}));
        assert!(found.contains(expected), "{found}");
    }
    let sunday = serde_json::json!([shift("sun", "12:00", "13:00")]);
    let off: BTreeMap<_, _> =
        date("2026-11-01").iter_days().take(500).map(|day| (day.to_string(), "off")).collect();
    let found = faults(serde_json::json!({"weekly": sunday, "holidays": {"days": off}}));
    assert!(found.contains("nobody works within 400 days"), "{found}");
    let never = WorkingHours::default();
    assert_eq!(never.next_open(now, Zone::UTC), None);
    assert_eq!(never.plus_open(now, 1, Zone::UTC), None);
    assert_eq!(never.next_close(now, Zone::UTC), Some(now));
    let later = hours(serde_json::json!({"weekly": sunday, "holidays": {"base": "ru"}}));
    let found = later.check(at("2027-02-01T00:00:00Z"), Zone::UTC).unwrap_err();
    assert!(found[0].path == "holidays" && found[0].message.contains("does not know the year 2027"));
    let touching =
        serde_json::json!([shift("mon-sun", "00:00", "12:00"), shift("mon-sun", "12:00", "24:00")]);
    assert_eq!(hours(serde_json::json!({"weekly": touching})).check(now, Zone::UTC), Ok(()));
}

#[test]
fn whoever_always_works_never_closes() {
    let always = hours(serde_json::json!({"weekly": [{"days": "mon-sun", "from": "00:00", "to": "24:00"}]}));
    for name in ZONES {
        let (zone, now) = (zone(name), at("2018-11-03T12:34:56Z"));
        assert_eq!(always.next_close(now, zone), None, "{name}");
        assert_eq!(always.next_open(now, zone), Some(now), "{name}");
        let week = 7 * 86_400;
        assert_eq!(always.plus_open(now, week, zone), Some(now + TimeDelta::days(7)), "{name}");
        assert_eq!(always.open_seconds_between(now, now + TimeDelta::days(7), zone), Some(week), "{name}");
        assert_eq!(always.plus_open(now, 401 * 86_400, zone), None, "{name}");
        assert_eq!(always.open_seconds_between(now, now + TimeDelta::days(402), zone), None, "{name}");
    }
}

#[test]
fn every_moment_has_an_answer() {
    let clinic = clinic();
    for millis in [i64::MIN, -62_135_596_800_000, 0, 253_402_300_799_999, i64::MAX] {
        let moment = from_millis(millis);
        for name in ZONES {
            let zone = zone(name);
            for per in [Per::Hour, Per::Day, Per::Week, Per::Month, Per::Total] {
                let period = Period::of(per, moment, zone);
                assert!(period.start < period.end, "{name} {period:?}");
            }
            let _answers = (
                clinic.is_open(moment, zone),
                clinic.next_open(moment, zone),
                clinic.next_close(moment, zone),
                clinic.plus_open(moment, u64::MAX, zone),
                clinic.open_seconds_between(moment, from_millis(i64::MAX), zone),
                clinic.check(moment, zone),
            );
        }
    }
}

/// How far the walk goes, in minutes.
const WALK: usize = 5 * 24 * 60;

/// For each minute from `start`, whether somebody works: some shift has begun and not ended on a
/// clock that never goes back. The walk begins days before, so that the clock has its true state.
fn walk(hours: &WorkingHours, start: Timestamp, zone: Zone) -> Vec<bool> {
    let lead = 4 * 24 * 60;
    let mut clock = NaiveDateTime::MIN;
    let mut open = Vec::with_capacity(WALK);
    for minute in 0..WALK + lead {
        let moment = start - TimeDelta::minutes(i64::try_from(lead).unwrap())
            + TimeDelta::minutes(i64::try_from(minute).unwrap());
        clock = clock.max(zone.local(moment));
        if minute < lead {
            continue;
        }
        let running = |day: NaiveDate| {
            let weekday = match hours.holidays.days.get(&day) {
                Some(DayRule::Off) => return false,
                Some(DayRule::Like { day, .. }) => *day,
                _ => Weekday::from(day.weekday()),
            };
            let midnight = day.and_time(NaiveTime::MIN);
            let minutes = |minutes: u16| TimeDelta::minutes(i64::from(minutes));
            hours.weekly.iter().filter(|shift| shift.days.contains(weekday)).any(|shift| {
                let from = midnight + minutes(shift.from.minutes());
                let mut to = midnight + minutes(shift.to.minutes());
                if shift.to <= shift.from {
                    to += TimeDelta::days(1);
                }
                from <= clock && clock < to
            })
        };
        let today = clock.date();
        open.push(running(today) || today.pred_opt().is_some_and(running));
    }
    open
}

fn any_hours() -> impl Strategy<Value = (WorkingHours, Zone, Timestamp)> {
    let time = || {
        (0..24_u16, prop::sample::select(vec![0, 1, 30, 59])).prop_map(|(h, m)| TimeOfDay::new(h, m).unwrap())
    };
    let to = prop_oneof![4 => time(), 1 => Just(TimeOfDay::MIDNIGHT)];
    let days = prop::collection::vec(prop::sample::select(Weekday::ALL.to_vec()), 1..7)
        .prop_map(|days| days.into_iter().collect::<Weekdays>());
    let shift = (days, time(), to).prop_filter_map("no length", |(days, from, to)| {
        (from != to).then_some(OpenHours { days, from, to })
    });
    // Days on which clocks are moved somewhere, and any other.
    let moment = prop_oneof![
        prop::sample::select(vec![
            "2018-11-04T03:00:00Z",
            "2018-02-18T02:00:00Z",
            "2023-04-27T22:00:00Z",
            "2023-10-26T21:00:00Z",
            "2010-11-07T02:31:00Z",
            "2018-11-04T05:00:00Z",
            "2024-04-06T15:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-10-25T01:00:00Z",
        ])
        .prop_map(at),
        (2009..2030_i64).prop_map(|year| from_millis((year - 1970) * 365 * 86_400_000)),
    ];
    (
        prop::collection::vec(shift, 1..5),
        prop::sample::select(ZONES.to_vec()),
        moment,
        -4_000..4_000_i64,
        prop::collection::vec((-3..6_i64, prop::sample::select(vec![0, 1, 2])), 0..4),
    )
        .prop_map(|(weekly, name, moment, minutes, days)| {
            let start = moment + TimeDelta::minutes(minutes);
            let rule = |kind| match kind {
                0 => DayRule::Off,
                1 => DayRule::Usual,
                _ => DayRule::Like { day: Weekday::Tue, shorter_minutes: 0 },
            };
            let days = days
                .into_iter()
                .map(|(day, kind)| (start.date_naive() + TimeDelta::days(day), rule(kind)))
                .collect();
            let holidays = Calendar { days, ..Calendar::default() };
            (WorkingHours { weekly, holidays }, zone(name), start)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn hours_agree_with_a_walk_minute_by_minute(
        (hours, zone, start) in any_hours(),
        offset in 0..WALK / 2,
        minutes in 0..2_000_usize,
        more in 0..500_usize,
    ) {
        let open = walk(&hours, start, zone);
        let moment = |minute: usize| start + TimeDelta::minutes(i64::try_from(minute).unwrap());
        for (minute, open) in open.iter().enumerate().step_by(7) {
            prop_assert_eq!(hours.is_open(moment(minute), zone), *open, "{}", moment(minute));
        }
        let from = moment(offset);
        if let Some(next) = (offset..WALK).find(|minute| open[*minute]) {
            prop_assert_eq!(hours.next_open(from, zone), Some(moment(next)));
        }
        if let Some(next) = (offset..WALK).find(|minute| !open[*minute]) {
            prop_assert_eq!(hours.next_close(from, zone), Some(moment(next)));
        }
        // The minute that is open after so many open ones.
        let after = |count: usize| (offset..WALK).filter(|minute| open[*minute]).nth(count).map(moment);
        let seconds = |minutes: usize| u64::try_from(minutes * 60).unwrap();
        let found = hours.plus_open(from, seconds(minutes), zone);
        if let Some(expected) = after(minutes) {
            prop_assert_eq!(found, Some(expected));
        }
        if let Some(found) = found {
            prop_assert!(hours.is_open(found, zone), "{} is closed", found);
            prop_assert!(found >= from);
            prop_assert_eq!(hours.open_seconds_between(from, found, zone), Some(seconds(minutes)));
            // Later for more time, and not earlier for a later start.
            if let Some(later) = hours.plus_open(from, seconds(minutes + more), zone) {
                prop_assert!(later >= found);
            }
            if let Some(later) = hours.plus_open(from + TimeDelta::seconds(i64::try_from(more).unwrap()), seconds(minutes), zone) {
                prop_assert!(later >= found);
            }
        }
        let until = (offset + minutes).min(WALK);
        let count = (offset..until).filter(|minute| open[*minute]).count();
        prop_assert_eq!(hours.open_seconds_between(from, moment(until), zone), Some(seconds(count)));
    }

    #[test]
    fn a_period_holds_its_moment(millis in -2_000_000_000_000..4_000_000_000_000_i64, name in prop::sample::select(ZONES.to_vec())) {
        let (moment, zone) = (from_millis(millis), zone(name));
        for per in [Per::Hour, Per::Day, Per::Week, Per::Month, Per::Total] {
            let period = Period::of(per, moment, zone);
            prop_assert!(period.contains(moment), "{:?}", period);
        }
    }
}
