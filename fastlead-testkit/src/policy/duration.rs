//! Durations as people write them: `90s`, `5m`, `1h30m`, `30d`.

/// The seconds of a duration; `None` where it is not one.
pub fn parse_duration(text: &str) -> Option<u64> {
    let mut seconds = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(seconds)
}

/// Seconds as [`parse_duration`] reads them.
pub fn in_words(seconds: u64) -> String {
    let mut text = String::new();
    let mut rest = seconds;
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_they_are_written() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5_400), ("30d", 2_592_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Some(seconds), "{text}");
            assert_eq!(parse_duration(&in_words(seconds)), Some(seconds), "{text}");
        }
        for wrong in ["", "5", "m", "5w", "-5m", "99999999999999999999d"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
