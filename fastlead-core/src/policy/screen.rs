//! What is looked at before a lead is handed out: spam, score, review, enrichment.

use serde::{Deserialize, Serialize};

use super::Condition;

/// A step that asks a program for more about a lead before it is decided upon.
///
/// What it answers is added to the lead's fields as `NAME.KEY`, which a condition reads as
/// `fields["NAME.KEY"]`. An answer that comes too late or not at all
/// is left out, and the lead goes on without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrichStep {
    /// The name under which this program has the enricher.
    pub name: String,
    /// For how many milliseconds its answer is waited for, 1 to 10 000. Default 1 000.
    #[serde(default = "second", deserialize_with = "crate::duration::millis")]
    #[schemars(with = "crate::duration::Millis")]
    pub budget_ms: u64,
    /// Only leads for which this holds are looked up. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
}

const fn second() -> u64 {
    1_000
}

/// How likely a lead is worth the work: points of rules, which fade with time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Rules that give points. All that hold count.
    pub rules: Vec<ScoreRule>,
    /// After how many days half of the points are left, in a straight line between. Absent: they stay.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::duration::optional_days"
    )]
    #[schemars(with = "Option<crate::duration::Days>")]
    pub half_life_days: Option<u32>,
    /// What the score means, highest first: the first whose `at_least` is reached applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<ScoreBand>,
}

/// Points for what a condition finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreRule {
    /// When this holds, the points are added.
    pub when: Condition,
    /// How many; below 0 they are taken away.
    pub points: i32,
}

/// What a score means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreBand {
    /// The least score of the band.
    pub at_least: i64,
    /// What happens to a new lead in it. Default `accept`.
    #[serde(default)]
    pub action: Screening,
    /// Tags that the lead gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What becomes of a lead that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Screening {
    /// It is handed out.
    #[default]
    Accept,
    /// A person looks at it first.
    Review,
    /// It is refused with this code: 1 to 64 of `a-z`, `0-9` and `_`.
    Reject(String),
}

/// Leads that a person looks at before they are handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Leads for which this holds are looked at. Absent: only those that spam rules or the score send here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Within how many seconds somebody must have looked at a lead.
    #[serde(deserialize_with = "crate::duration::seconds")]
    #[schemars(with = "crate::duration::Seconds")]
    pub sla_secs: u64,
    /// What becomes of a lead that nobody has looked at: `accept`, or `{"reject": CODE}`. Default `accept`.
    #[serde(default)]
    pub then: Screening,
    /// Names of targets that are told of a lead to look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<String>,
}

/// What is taken for spam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spam {
    /// What is looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<SpamCheck>,
    /// Most leads of one person on one local day. Absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_per_day: Option<u32>,
    /// What happens to spam: `review`, or `{"reject": CODE}`. Default `{"reject": "spam"}`.
    #[serde(default = "refused")]
    pub action: Screening,
}

fn refused() -> Screening {
    Screening::Reject("spam".to_owned())
}

/// A sign of spam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SpamCheck {
    /// The last seven digits of the phone are all equal, or go up or down by one.
    PhonePattern,
    /// The e-mail is of a domain that gives addresses away for minutes.
    EmailDisposable,
    /// The e-mail is one that people write who do not want to leave one, such as `test@` or `asdf@`.
    EmailPattern,
    /// The comment has two links or more.
    CommentLinks,
    /// The name has a link.
    NameLink,
}

impl Score {
    /// What is left of `points` after `age_secs` seconds.
    pub fn left(&self, points: i64, age_secs: i64) -> i64 {
        let Some(days) = self.half_life_days.filter(|days| *days > 0) else { return points };
        let half = i128::from(days) * 86_400;
        let age = i128::from(age_secs.max(0));
        let halvings = age / half;
        if halvings >= 63 {
            return 0;
        }
        let left = i128::from(points) * (2 * half - age % half) / ((2 * half) << halvings);
        i64::try_from(left).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_points_are_left_after_each_half_life() {
        let score = Score { rules: Vec::new(), half_life_days: Some(10), bands: Vec::new() };
        const DAY: i64 = 86_400;
        let cases = [
            (100, 0, 100),
            (100, 5 * DAY, 75),
            (100, 10 * DAY, 50),
            (100, 20 * DAY, 25),
            (-100, 10 * DAY, -50),
            (100, 900 * DAY, 0),
            (i64::MAX, 0, i64::MAX),
            (100, -DAY, 100),
        ];
        for (points, age, left) in cases {
            assert_eq!(score.left(points, age), left, "{points} after {age}");
        }
        assert_eq!(Score { half_life_days: None, ..score }.left(7, i64::MAX), 7);
    }
}
