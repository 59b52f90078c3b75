//! What is wrong with asking visitors to confirm.

use super::Check;
use crate::policy::Confirm;

/// How a template names the link.
const LINK: &str = "confirm.url";

impl Check<'_> {
    pub(super) fn confirm(&mut self) {
        let policy = self.policy;
        self.links(policy.confirm.as_ref());
        let Some(confirm) = &policy.confirm else { return };
        if confirm.ask.is_empty() || confirm.ask.len() > 8 {
            self.fault("confirm.ask", "expected 1 to 8 ways to ask");
        }
        if confirm.within_secs == 0 || confirm.within_secs > super::MAX_SECS {
            self.fault("confirm.within_secs", format!("expected 1 to {} seconds", super::MAX_SECS));
        }
        if let Some(when) = &confirm.when {
            self.condition("confirm.when", when, &[], "");
        }
        self.screening("confirm.then", &confirm.then);
        for (index, by) in confirm.ask.iter().enumerate() {
            let path = format!("confirm.ask[{index}]");
            self.template_name(&format!("{path}.template"), &by.template);
            self.reaches(&path, &by.channel, by.to);
        }
    }

    /// The link stands in the templates that ask, and in no other.
    fn links(&mut self, confirm: Option<&Confirm>) {
        let policy = self.policy;
        for (name, template) in &policy.templates {
            let asks = confirm.is_some_and(|confirm| confirm.ask.iter().any(|by| by.template == *name));
            for (locale, source) in template {
                let plain = source.plain.contains(LINK);
                let all = plain && source.html.as_ref().is_none_or(|html| html.contains(LINK));
                let path = format!("templates.{name}.{}", locale.as_str());
                if asks && !all {
                    let message = format!("asks the visitor to confirm and does not show `{{{{ {LINK} }}}}`");
                    self.fault(path, message);
                } else if !asks && plain {
                    let message = format!(
                        "shows `{LINK}`, which only messages have that ask to confirm; name it in `confirm.ask`"
                    );
                    self.fault(path, message);
                }
            }
        }
    }
}
