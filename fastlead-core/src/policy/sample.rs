//! A policy to start from.

use super::Policy;

impl Policy {
    /// The smallest policy that works: one target on one channel, reached at `recipient`.
    ///
    /// Refuses a lead without phone and e-mail, takes a phone once a day, tells the target and waits.
    ///
    /// The target is told in Russian, in the time of Moscow; [`Policy::starter_in`] takes another language.
    pub fn starter(channel: &str, recipient: crate::message::Recipient) -> Self {
        Self::starter_in(crate::message::Locale::Ru, channel, recipient)
    }

    /// The same for a target that is told in `locale`: the texts, the target's name and the sentences that FastLead says by
    /// itself. Russian goes by the time of Moscow, English by UTC; change `timezone` to where the target is.
    ///
    /// ```
    /// use fastlead_core::message::{Locale, Recipient};
    /// use fastlead_core::policy::Policy;
    ///
    /// let mut policy = Policy::starter_in(Locale::En, "bot", Recipient::Chat("790000000".into()));
    /// policy.timezone = "Europe/London".parse()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn starter_in(
        locale: crate::message::Locale,
        channel: &str,
        recipient: crate::message::Recipient,
    ) -> Self {
        use super::{
            AcceptRule, Condition, Dedupe, DedupeMatch, DedupeScope, DeliveryRules, Destination, Field,
            Route, Target,
        };
        use crate::message::Locale;
        use crate::schedule::Zone;
        use crate::template::{Template, TemplateSource};
        use std::collections::BTreeMap;

        let (timezone, display_name) = match locale {
            Locale::Ru => (super::moscow(), "Менеджер"),
            Locale::En => (Zone::default(), "Manager"),
        };
        let offer = Template::from([
            (
                Locale::Ru,
                TemplateSource::plain(
                    "Новая заявка: {{ lead.name or 'без имени' }}, {{ lead.phone or lead.email }}",
                ),
            ),
            (
                Locale::En,
                TemplateSource::plain(
                    "New lead: {{ lead.name or 'no name' }}, {{ lead.phone or lead.email }}",
                ),
            ),
        ]);
        Self {
            accept: vec![AcceptRule {
                reject_if: Condition::All(vec![
                    Condition::Missing(Field::Phone),
                    Condition::Missing(Field::Email),
                ]),
                code: "no_contact".to_owned(),
            }],
            dedupe: Some(Dedupe {
                matching: DedupeMatch::Any,
                fields: vec![Field::Phone, Field::Email],
                window_secs: 86_400,
                scope: DedupeScope::Project,
            }),
            timezone,
            hours: None,
            history_days: None,
            caps: Vec::new(),
            returns: None,
            enrich: Vec::new(),
            spam: None,
            score: None,
            review: None,
            confirm: None,
            targets: BTreeMap::from([(
                "manager".to_owned(),
                Target {
                    display_name: display_name.to_owned(),
                    locale,
                    destinations: vec![Destination { channel: channel.to_owned(), recipient, retry: None }],
                    ..Target::default()
                },
            )]),
            route: Route::broadcast(vec!["manager".to_owned()], "new_lead".to_owned()),
            escalation: Vec::new(),
            auto_reply: Vec::new(),
            webhooks: Vec::new(),
            alerts: Vec::new(),
            templates: BTreeMap::from([("new_lead".to_owned(), offer)]),
            delivery: DeliveryRules::default(),
        }
    }
}
