//! Buttons as VK's inline keyboard, and what a pressed one brings back.

use fastlead_core::channel::{ResponseTokenText, TextLimit, TextUnit};
use fastlead_core::id::DeliveryId;
use fastlead_core::message::{Button, ButtonAction, Response, ResponseToken};
use fastlead_core::text::truncate;
use fastlead_core::{ErrorKind, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::Operation;

/// Limits of an inline keyboard: <https://dev.vk.com/en/api/bots/development/keyboard>.
const MOST_BUTTONS: usize = 10;
const MOST_ROWS: usize = 6;
const LONGEST_LABEL: TextLimit = TextLimit { max: 40, unit: TextUnit::Chars };
/// The member of a button's payload that holds our token.
const TOKEN: &str = "token";

#[derive(Serialize)]
struct Keyboard {
    /// Only a keyboard below the input field can be for one time.
    one_time: bool,
    inline: bool,
    buttons: Vec<Vec<KeyboardButton>>,
}

/// A field that is not set must be left out: VK refuses the whole message for a `null`.
#[derive(Serialize)]
struct KeyboardButton {
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Action {
    /// `payload` is JSON inside a text, of at most 255 characters.
    Callback {
        label: String,
        payload: String,
    },
    OpenLink {
        label: String,
        link: String,
    },
}

/// The keyboard as the text of the field `keyboard`. Without buttons it takes the old ones away.
pub(super) fn inline(operation: Operation, delivery: DeliveryId, buttons: &[Button]) -> Result<String> {
    if buttons.len() > MOST_BUTTONS {
        return Err(operation.refuse(ErrorKind::Content, "vk shows at most 10 buttons under a message"));
    }
    let a_row = buttons.len().div_ceil(MOST_ROWS).max(1);
    let buttons = buttons.iter().map(|shown| button(operation, delivery, shown));
    let buttons = buttons.collect::<Result<Vec<_>>>()?;
    let mut rows = Vec::new();
    for button in buttons {
        match rows.last_mut() {
            Some(row) if Vec::len(row) < a_row => row.push(button),
            _ => rows.push(vec![button]),
        }
    }
    let keyboard = Keyboard { one_time: false, inline: true, buttons: rows };
    serde_json::to_string(&keyboard)
        .map_err(|_| operation.refuse(ErrorKind::Internal, "the keyboard cannot be written as json"))
}

fn button(operation: Operation, delivery_id: DeliveryId, shown: &Button) -> Result<KeyboardButton> {
    // One letter too many would cost the whole message.
    let label = truncate(&shown.label, LONGEST_LABEL)?;
    if label.trim().is_empty() {
        return Err(operation.refuse(ErrorKind::Content, "a button has no label"));
    }
    match &shown.action {
        ButtonAction::Respond(response) => {
            let token = ResponseToken { response: *response, delivery_id }.encode();
            let payload = json!({ TOKEN: token }).to_string();
            let color = match response {
                Response::Accept => "positive",
                Response::Decline => "negative",
            };
            Ok(KeyboardButton { action: Action::Callback { label, payload }, color: Some(color) })
        }
        ButtonAction::Open(address) => {
            let link = address.as_str().to_owned();
            Ok(KeyboardButton { action: Action::OpenLink { label, link }, color: None })
        }
        _ => Err(operation.refuse(ErrorKind::Unsupported, "a vk button can respond or open a page only")),
    }
}

/// What a button carries, as JSON: VK brings it as an object or as JSON inside a text.
pub(super) fn payload(carried: &Value) -> Value {
    match carried {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    }
}

/// Our token, where the button was one of ours.
pub(super) fn token(carried: &Value) -> Option<ResponseTokenText> {
    let token = ResponseTokenText(payload(carried).get(TOKEN)?.as_str()?.to_owned());
    token.decode().is_some().then_some(token)
}

#[cfg(test)]
mod tests {
    use fastlead_core::id::RandomIds;
    use fastlead_core::message::url_text::HttpUrl;
    use fastlead_core::time::epoch;

    use super::*;

    fn open(label: &str) -> Button {
        let page = HttpUrl::try_from("https://example.com/lead?a=1&b=2".to_owned()).unwrap();
        Button { label: label.to_owned(), action: ButtonAction::Open(page) }
    }

    fn shown(buttons: &[Button]) -> Value {
        let id = DeliveryId::generate(&RandomIds, epoch());
        serde_json::from_str(&inline(Operation::Send, id, buttons).unwrap()).unwrap()
    }

    #[test]
    fn a_keyboard_is_written_as_vk_wants_it() {
        let id = DeliveryId::generate(&RandomIds, epoch());
        let accept =
            Button { label: "Беру \"всё\"".into(), action: ButtonAction::Respond(Response::Accept) };
        let written = inline(Operation::Send, id, &[accept, open("Открыть")]).unwrap();
        let hex = id.hex();
        assert_eq!(
            written,
            format!(
                r#"{{"one_time":false,"inline":true,"buttons":[[{{"action":{{"type":"callback","label":"Беру \"всё\"","payload":"{{\"token\":\"a.{hex}\"}}"}},"color":"positive"}}],[{{"action":{{"type":"open_link","label":"Открыть","link":"https://example.com/lead?a=1&b=2"}}}}]]}}"#
            )
        );
        assert!(!written.contains("null"));
        assert_eq!(shown(&[]), json!({"one_time": false, "inline": true, "buttons": []}));
    }

    #[test]
    fn many_buttons_share_rows_and_too_many_are_refused() {
        for (count, rows, widest) in [(1, 1, 1), (6, 6, 1), (7, 4, 2), (10, 5, 2)] {
            let keyboard = shown(&vec![open("a"); count]);
            let all = keyboard["buttons"].as_array().unwrap();
            assert_eq!(all.len(), rows, "{count}");
            assert_eq!(all.iter().map(|row| row.as_array().unwrap().len()).max(), Some(widest));
        }
        let id = DeliveryId::generate(&RandomIds, epoch());
        let error = inline(Operation::Send, id, &vec![open("a"); 11]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Content);
        assert_eq!(inline(Operation::Send, id, &[open(" ")]).unwrap_err().kind(), ErrorKind::Content);
    }

    #[test]
    fn a_long_label_is_cut() {
        let keyboard = shown(&[open(&"я".repeat(60))]);
        let label = keyboard["buttons"][0][0]["action"]["label"].as_str().unwrap().to_owned();
        assert_eq!((label.chars().count(), label.ends_with('…')), (40, true));
    }

    #[test]
    fn a_token_comes_back_from_both_forms_and_a_foreign_one_does_not() {
        let id = DeliveryId::generate(&RandomIds, epoch());
        let written = ResponseToken { response: Response::Decline, delivery_id: id }.encode();
        for carried in [json!({"token": written}), json!(json!({"token": written}).to_string())] {
            assert_eq!(token(&carried).map(|token| token.0), Some(written.clone()), "{carried}");
        }
        for foreign in [
            json!(null),
            json!("not json"),
            json!("\"a\""),
            json!({"cmd": "ok"}),
            json!({"token": 7}),
            json!({"token": "x.1"}),
            json!([written]),
            json!(written),
        ] {
            assert_eq!(token(&foreign), None, "{foreign}");
        }
    }
}
