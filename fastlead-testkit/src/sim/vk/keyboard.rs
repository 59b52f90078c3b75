//! Keyboards as VK checks them: <https://dev.vk.com/en/api/bots/development/keyboard>.

use serde_json::Value;

use crate::sim::ArrivedButton;

const LABEL_MAX_CHARS: usize = 40;
const PAYLOAD_MAX_CHARS: usize = 255;
const COLORS: [&str; 4] = ["primary", "secondary", "negative", "positive"];
const ACTIONS: [&str; 6] = ["text", "callback", "open_link", "location", "vkpay", "open_app"];

/// What is wrong with a keyboard, where something is.
pub(super) fn fault(keyboard: &Value) -> Option<&'static str> {
    let Some(rows) = keyboard.get("buttons").and_then(Value::as_array) else {
        return Some("buttons should be an array");
    };
    let is_inline = keyboard.get("inline").and_then(Value::as_bool).unwrap_or(false);
    if is_inline && keyboard.get("one_time").and_then(Value::as_bool) == Some(true) {
        return Some("one_time is not allowed for inline keyboard");
    }
    let (most_rows, most_in_a_row, most) = if is_inline { (6, 5, 10) } else { (10, 5, 40) };
    if rows.len() > most_rows {
        return Some("too much rows");
    }
    let mut count = 0;
    for row in rows {
        let Some(row) = row.as_array().filter(|row| !row.is_empty()) else {
            return Some("row should be not empty array");
        };
        if row.len() > most_in_a_row {
            return Some("row is too wide");
        }
        count += row.len();
        if let Some(fault) = row.iter().find_map(button_fault) {
            return Some(fault);
        }
    }
    (count > most).then_some("too much buttons")
}

fn button_fault(button: &Value) -> Option<&'static str> {
    let Some(action) = button.get("action").filter(|action| action.is_object()) else {
        return Some("button should have action");
    };
    let text = |name: &str| action.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = text("type");
    if !ACTIONS.contains(&kind) {
        return Some("action type is unknown");
    }
    let needs_label = matches!(kind, "text" | "callback" | "open_link" | "open_app");
    if needs_label && (text("label").is_empty() || text("label").chars().count() > LABEL_MAX_CHARS) {
        return Some("label is empty or too long");
    }
    if kind == "open_link" && !text("link").starts_with("http") {
        return Some("link is invalid");
    }
    // Absent, or a text with JSON in it. `null` is neither.
    match action.get("payload") {
        None => {}
        Some(Value::String(payload)) => {
            let is_json = serde_json::from_str::<Value>(payload).is_ok();
            if !is_json || payload.chars().count() > PAYLOAD_MAX_CHARS {
                return Some("button payload should be valid JSON of at most 255 characters");
            }
        }
        Some(_) => return Some("button payload should be a string"),
    }
    match button.get("color") {
        None => None,
        Some(_) if !matches!(kind, "text" | "callback") => Some("button color is not allowed here"),
        Some(color) => {
            let is_known = color.as_str().is_some_and(|color| COLORS.contains(&color));
            (!is_known).then_some("button color is unknown")
        }
    }
}

/// The buttons as a person sees them.
pub(super) fn buttons(keyboard: Option<&Value>) -> Vec<ArrivedButton> {
    let rows = keyboard.and_then(|keyboard| keyboard.get("buttons")).and_then(Value::as_array);
    let actions = rows.into_iter().flatten().flat_map(|row| row.as_array().into_iter().flatten());
    actions
        .filter_map(|button| button.get("action"))
        .map(|action| {
            let text = |name: &str| action.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let opens_url = text("type") == "open_link";
            let data = if opens_url { text("link") } else { text("payload") };
            ArrivedButton { label: text("label"), data, opens_url }
        })
        .collect()
}
