//! Asks the enrichers of a policy, each within its budget, before a lead is decided upon.

use std::time::Duration;

use super::Engine;
use crate::lead::{Capture, Enrichment, EnrichmentOutcome};
use crate::policy::{ConditionInput, EnrichStep, Policy, SourceFacts};
use crate::time::plus;

/// How many fields one step may add.
const MOST_FIELDS: usize = 32;
/// How many characters a field that a step adds may have.
const MOST_CHARS: usize = 1_000;

impl Engine {
    /// Adds to `capture` what the policy's enrichers know. Takes no longer than their budgets, and fails
    /// nobody.
    pub(super) async fn enrich(&self, policy: &Policy, source: SourceFacts<'_>, capture: &mut Capture) {
        for step in &policy.enrich {
            let begun = self.now();
            let outcome = self.ask_enricher(step, policy, source, capture).await;
            let millis = u64::try_from((self.now() - begun).num_milliseconds()).unwrap_or(0);
            capture.enrichment.push(Enrichment { name: step.name.clone(), outcome, millis });
        }
    }

    async fn ask_enricher(
        &self,
        step: &EnrichStep,
        policy: &Policy,
        source: SourceFacts<'_>,
        capture: &mut Capture,
    ) -> EnrichmentOutcome {
        // What a visitor has sent under this name is not what the enricher says.
        let own = format!("{}.", step.name);
        capture.fields.retain(|name, _| !name.starts_with(&own));
        if let Some(when) = &step.when {
            let mut input = ConditionInput::new(capture);
            input.source = Some(source);
            input.local_time = Some(policy.timezone.local(self.now()));
            if !when.holds(&input) {
                return EnrichmentOutcome::NotAsked;
            }
        }
        let Some(enricher) = self.inner.enrichers.iter().find(|enricher| enricher.name() == step.name) else {
            return EnrichmentOutcome::Missing;
        };
        let end = plus(self.now(), Duration::from_millis(step.budget_ms));
        let answer = tokio::select! {
            biased;
            answer = enricher.enrich(capture) => Some(answer),
            () = self.inner.clock.sleep_until(end) => None,
        };
        match answer {
            None => EnrichmentOutcome::TooLate,
            Some(Err(error)) => {
                tracing::warn!(enricher = %step.name, %error, "a lead is decided upon without what this enricher knows");
                EnrichmentOutcome::Failed
            }
            Some(Ok(found)) => {
                for (key, value) in found.into_iter().take(MOST_FIELDS) {
                    let text: String = value.expose().chars().take(MOST_CHARS).collect();
                    capture.fields.insert(format!("{}.{key}", step.name), text.as_str().into());
                }
                EnrichmentOutcome::Answered
            }
        }
    }
}
