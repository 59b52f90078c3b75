//! Lead forms: what a person has filled in inside VK.

use fastlead_core::secret::Pii;
use fastlead_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::adapter::KIND;

/// A lead form that a person has filled in: `object` of the event `lead_forms_new`, and an element of `leadForms.getLeads`.
///
/// A channel hands it over as a message of the person, with every question and answer. A program that wants the fields reads
/// them with [`LeadForm::from_json`]. What a person has typed into a form is not attested by VK.
///
/// ```
/// use fastlead_channels::vk::LeadForm;
///
/// let form = LeadForm::from_json(r#"{
///     "lead_id": 1, "group_id": 2, "user_id": 790000000, "form_id": 3, "form_name": "Promo", "ad_id": 0,
///     "answers": [{"key": "phone_number", "question": "Phone number", "answer": "+7 900 000-00-00"}]
/// }"#.as_bytes())?;
/// assert_eq!(form.phone(), Some("+7 900 000-00-00"));
/// # Ok::<(), fastlead_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct LeadForm {
    /// Number of the lead, unique within the community: a repeated one is the same lead.
    pub lead_id: i64,
    /// Community whose form it is.
    #[serde(default)]
    pub group_id: i64,
    /// Person who has filled it in; `None` where VK names nobody.
    #[serde(default, deserialize_with = "person")]
    pub user_id: Option<Pii<i64>>,
    /// Number of the form.
    #[serde(default)]
    pub form_id: i64,
    /// Name of the form, as its owner has called it.
    #[serde(default)]
    pub form_name: String,
    /// Advertisement that has led to the form; 0 where there was none.
    #[serde(default)]
    pub ad_id: i64,
    /// Answers in the order of the questions.
    #[serde(default)]
    pub answers: Vec<LeadFormAnswer>,
}

/// The answer to one question of a [`LeadForm`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct LeadFormAnswer {
    /// Name of the question: `first_name`, `last_name`, `patronymic_name`, `phone_number`, `email`, `age`, `birthday`,
    /// `location`, or `custom_0` and so on for the owner's own questions.
    #[serde(default)]
    pub key: String,
    /// Question as the person has read it. Empty in `leadForms.getLeads`.
    #[serde(default)]
    pub question: String,
    /// What the person has answered; several values where several could be chosen, none where nothing was.
    #[serde(default, rename = "answer", deserialize_with = "values")]
    pub values: Vec<Pii<String>>,
}

impl LeadForm {
    /// Reads a form from JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it is no form, without its content.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).map_err(|_| {
            Error::new(ErrorKind::Invalid, "not a lead form").with_adapter(KIND).with_operation("parse")
        })
    }

    /// The first value of the answer to a question, by its key.
    pub fn value(&self, key: &str) -> Option<&str> {
        let answer = self.answers.iter().find(|answer| answer.key == key)?;
        answer.values.first().map(|value| value.expose().as_str())
    }

    /// Phone number, as the person has typed it.
    pub fn phone(&self) -> Option<&str> {
        self.value("phone_number")
    }

    /// E-mail address, as the person has typed it.
    pub fn email(&self) -> Option<&str> {
        self.value("email")
    }

    /// First name, patronymic and last name, as far as they were asked for.
    pub fn name(&self) -> Option<Pii<String>> {
        let parts = ["first_name", "patronymic_name", "last_name"].map(|key| self.value(key));
        let name = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        (!name.is_empty()).then(|| Pii::new(name))
    }

    /// Everything that the form says, for a person to read: one line for the form, and one for each question.
    pub fn to_text(&self) -> Pii<String> {
        let mut text = format!(
            "VK lead form \u{ab}{}\u{bb}: form {}, lead {}",
            self.form_name, self.form_id, self.lead_id
        );
        if self.ad_id != 0 {
            text.push_str(&format!(", ad {}", self.ad_id));
        }
        for LeadFormAnswer { key, question, values } in &self.answers {
            let asked = if question.is_empty() { key } else { question };
            let values: Vec<_> = values.iter().map(|value| value.expose().as_str()).collect();
            text.push_str(&format!("\n{asked}: {}", values.join(", ")));
        }
        Pii::new(text)
    }
}

fn person<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Pii<i64>>, D::Error> {
    let id = Option::<i64>::deserialize(deserializer)?;
    Ok(id.filter(|id| *id > 0).map(Pii::new))
}

/// One value, or several: as texts, or as VK's objects `{"key": …, "value": …}`.
fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pii<String>>, D::Error> {
    let mut found = Vec::new();
    collect(Value::deserialize(deserializer)?, &mut found);
    Ok(found)
}

fn collect(value: Value, found: &mut Vec<Pii<String>>) {
    match value {
        Value::Null => {}
        Value::String(text) => found.push(Pii::new(text)),
        Value::Array(several) => several.into_iter().for_each(|value| collect(value, found)),
        Value::Object(mut fields) => match fields.remove("value") {
            Some(value) => collect(value, found),
            // A shape that is not known yet: nothing that a person has answered is thrown away.
            None => found.push(Pii::new(Value::Object(fields).to_string())),
        },
        Value::Bool(_) | Value::Number(_) => found.push(Pii::new(value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: &Value) -> LeadForm {
        LeadForm::from_json(json.to_string().as_bytes()).unwrap()
    }

    fn sample() -> Value {
        json!({
            "lead_id": 39_842_910, "group_id": 202_308_925, "user_id": 790_000_000, "form_id": 1, "form_name": "Promo",
            "ad_id": 0,
            "answers": [
                {"key": "first_name", "question": "First name", "answer": "Ivan"},
                {"key": "last_name", "question": "Last name", "answer": "Petrov"},
                {"key": "phone_number", "question": "Phone number", "answer": "+7 (900) 000-00-00"},
                {"key": "custom_0", "question": "Pick", "answer": "A"},
            ],
        })
    }

    #[test]
    fn a_form_is_read_whole() {
        let form = read(&sample());
        assert_eq!((form.lead_id, form.group_id, form.form_id, form.ad_id), (39_842_910, 202_308_925, 1, 0));
        assert_eq!((form.form_name.as_str(), form.user_id.clone()), ("Promo", Some(Pii::new(790_000_000))));
        assert_eq!(form.name().unwrap().expose(), "Ivan Petrov");
        assert_eq!(
            (form.phone(), form.email(), form.value("custom_0")),
            (Some("+7 (900) 000-00-00"), None, Some("A"))
        );
        assert_eq!(
            form.to_text().expose(),
            "VK lead form «Promo»: form 1, lead 39842910\nFirst name: Ivan\nLast name: Petrov\n\
             Phone number: +7 (900) 000-00-00\nPick: A"
        );
        let printed = format!("{form:?}");
        assert!(!printed.contains("Ivan") && !printed.contains("790000000"), "{printed}");
    }

    #[test]
    fn answers_come_in_several_shapes() {
        for (answer, expected) in [
            (json!("A"), &["A"][..]),
            (json!(["A", "B"]), &["A", "B"]),
            (json!({"key": "a", "value": "A"}), &["A"]),
            (json!([{"key": "a", "value": "A"}, {"value": "B"}]), &["A", "B"]),
            (json!(25), &["25"]),
            (json!(null), &[]),
            (json!([]), &[]),
            (json!({"text": "A"}), &[r#"{"text":"A"}"#]),
        ] {
            let mut form = sample();
            form["answers"] = json!([{"key": "custom_0", "answer": answer}]);
            let form = read(&form);
            let values: Vec<_> = form.answers[0].values.iter().map(|value| value.expose().as_str()).collect();
            assert_eq!(values, expected, "{answer}");
        }
        let mut several = sample();
        several["answers"] = json!([{"key": "custom_0", "answer": ["A", "B"]}]);
        several["ad_id"] = json!(77);
        let text = read(&several).to_text();
        assert!(text.expose().ends_with("lead 39842910, ad 77\ncustom_0: A, B"), "{}", text.expose());
    }

    #[test]
    fn what_is_missing_costs_no_lead() {
        let bare = read(&json!({"lead_id": 5}));
        assert_eq!((bare.lead_id, bare.user_id, bare.answers.len()), (5, None, 0));
        for nobody in [json!(0), json!(null), json!(-3)] {
            assert_eq!(read(&json!({"lead_id": 5, "user_id": nobody})).user_id, None);
        }
        for strange in [&b""[..], b"{}", b"[]", b"\xff", br#"{"lead_id":"x"}"#] {
            assert_eq!(LeadForm::from_json(strange).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}
