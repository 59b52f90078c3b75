//! Reading a policy document so that what is wrong has its path.

use super::{Policy, PolicyFault};

impl Policy {
    /// Reads a JSON document. Conditions in text form are parsed and type-checked here.
    ///
    /// # Errors
    /// The first thing that cannot be read, with its path. The rest is up to [`Policy::validate`].
    pub fn from_json(json: &[u8]) -> Result<Self, PolicyFault> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let policy = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = match error.path().to_string() {
                path if path == "." => String::new(),
                path => path,
            };
            let message = error.inner().to_string();
            let place = format!(" at line {} column {}", error.inner().line(), error.inner().column());
            let message = message.strip_suffix(place.as_str()).map_or(message.clone(), str::to_owned);
            // The place in the document helps where there is no path to it.
            let message = if error.inner().is_data() { message } else { format!("{message}{place}") };
            PolicyFault { path, message }
        })?;
        deserializer
            .end()
            .map_err(|error| PolicyFault { path: String::new(), message: error.to_string() })?;
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Recipient;

    #[test]
    fn faults_have_their_path() {
        let read = |change: &dyn Fn(&mut serde_json::Value)| {
            let recipient: Recipient = serde_json::from_str(r#"{"chat": "790000001"}"#).unwrap();
            let mut json = serde_json::to_value(Policy::starter("bot", recipient)).unwrap();
            change(&mut json);
            Policy::from_json(json.to_string().as_bytes())
        };
        let text = |text: &'static str| {
            read(&move |json| json["accept"][0]["reject_if"] = serde_json::json!({"any": ["true", text]}))
        };
        let policy = text("history.leads >= 3").unwrap();
        assert_eq!(policy.accept[0].reject_if.to_string(), "true || history.leads >= 3");
        let fault = text("fields.city > 3").unwrap_err();
        assert_eq!(fault.path, "accept[0].reject_if.any[1]");
        assert_eq!(fault.message.lines().count(), 3, "{fault}");
        assert!(fault.message.ends_with("  | fields.city > 3\n  |               ^"), "{fault}");
        let fault = read(&|json| json["route"]["stategy"] = 1.into()).unwrap_err();
        assert!(fault.path.starts_with("route") && fault.message.contains("stategy"), "{fault}");
        let fault = Policy::from_json(b"{\"accept\": [").unwrap_err();
        assert!(fault.message.contains("at line 1 column 12"), "{fault}");
        assert!(Policy::from_json(b"{} {}").is_err());
    }
}
