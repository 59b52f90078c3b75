//! Documents that are JSON and more than a reader can hold: numbers beyond all bounds, and nesting without end.

/// How deep objects and arrays may stand in each other. What is deeper is kept as its text.
const DEPTH: usize = 64;

/// Makes texts of numbers that no program can hold (`1e999`) and of what is nested too deep. RFC 8259 (9) lets a reader
/// set such limits; a visitor has typed neither. `None` where there is nothing of the kind.
///
/// The text need not be JSON: whatever else is wrong with it is still wrong afterwards.
pub(crate) fn within_bounds(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut mended, mut copied, mut at, mut depth) = (String::new(), 0, 0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b'"' => string_end(bytes, at),
            b'{' | b'[' if depth == DEPTH => {
                let end = nested_end(bytes, at);
                mended.push_str(text.get(copied..at)?);
                mended.push_str(&serde_json::Value::from(text.get(at..end)?).to_string());
                copied = end;
                end
            }
            b'{' | b'[' => {
                depth += 1;
                at + 1
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            b'-' | b'0'..=b'9' => {
                let of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let end = at + bytes[at..].iter().take_while(|byte| of_number(byte)).count();
                let number = text.get(at..end)?;
                if number.parse::<f64>().is_ok_and(f64::is_infinite) {
                    mended.push_str(text.get(copied..at)?);
                    mended.push_str(&format!("\"{number}\""));
                    copied = end;
                }
                end
            }
            _ => at + 1,
        };
        at = end;
    }
    if copied == 0 {
        return None;
    }
    mended.push_str(text.get(copied..)?);
    Some(mended)
}

/// Where a string ends that begins here.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Where an object or array ends that begins here.
fn nested_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_no_reader_can_hold_is_kept_as_its_text() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let body =
            format!(r#"{{"a": -1e999, "b": "1e999 \" [", "c": {deep}, "d": [1, 2.5e3, {{"e": {{}}}}]}}"#);
        let mended: Value = serde_json::from_str(&within_bounds(&body).unwrap()).unwrap();
        assert_eq!((&mended["a"], &mended["b"]), (&"-1e999".into(), &"1e999 \" [".into()));
        let mut inner = &mended["c"];
        for _ in 1..DEPTH {
            inner = &inner[0];
        }
        assert_eq!(inner.as_str().map(str::len), Some(200_001 - 2 * (DEPTH - 1)));
        assert_eq!(mended["d"], serde_json::json!([1, 2500.0, {"e": {}}]));
    }

    #[test]
    fn anything_else_stays() {
        for text in ["", "{", "\"", "\"\\", "{\"a\": 1e308, \"b\": [[1]]}", "-", "1e", "{\"я\": \"ё\"}"] {
            assert_eq!(within_bounds(text), None, "{text}");
        }
        // What is broken stays broken.
        let open = format!("{{\"a\": {}", "[".repeat(200));
        assert!(within_bounds(&open).is_some_and(|text| serde_json::from_str::<Value>(&text).is_err()));
    }
}
