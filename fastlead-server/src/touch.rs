//! How a person came to a hosted form for the first time, kept in the person's own browser.
//!
//! The cookie holds what advertising systems put into the address (`utm_*` and click ids) and the moment; never a
//! page, a referrer or anything that the person has typed. It is set only where there is something to keep, for the
//! form of one source, and the first one stays.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastlead_core::lead::Touch;
use fastlead_core::time::Timestamp;

const COOKIE: &str = "fl_first_touch";
/// 30 days.
const KEPT_SECS: u32 = 2_592_000;
/// Bytes of the value. Browsers keep 4,096 for a whole cookie.
const LONGEST: usize = 3_500;

/// What the browser has kept, where it can be read.
pub(crate) fn first(headers: &HeaderMap) -> Option<Touch> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == COOKIE)?;
    if value.len() > LONGEST {
        return None;
    }
    let touch: Touch = crate::json::read(&URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
    let touch = Touch { referrer: None, page: None, ..touch };
    is_worth_keeping(&touch).then_some(touch)
}

/// The header that makes the browser keep a visit to the form of a source; `None` where there is nothing to keep, or
/// too much of it.
pub(crate) fn keep(touch: Touch, at: Timestamp, source_key: &str, https: bool) -> Option<HeaderValue> {
    let touch = Touch { referrer: None, page: None, at: Some(at), ..touch };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !is_worth_keeping(&touch) || !source_key.chars().all(plain) {
        return None;
    }
    let value = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&touch).ok()?);
    if value.len() > LONGEST {
        return None;
    }
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={value}; Path=/f/{source_key}; Max-Age={KEPT_SECS}; HttpOnly; SameSite=Lax{secure}"
    );
    HeaderValue::try_from(cookie).ok()
}

fn is_worth_keeping(touch: &Touch) -> bool {
    !Touch { at: None, ..touch.clone() }.is_empty()
}

#[cfg(test)]
mod tests {
    use fastlead_core::secret::Pii;
    use fastlead_core::time::epoch;

    use super::*;

    fn sent(cookies: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(cookies).unwrap())])
    }

    #[test]
    fn a_visit_comes_back_without_anything_personal() {
        let mut touch =
            Touch { page: Some(Pii::from("/?phone=1")), referrer: Some(Pii::from("x")), ..Touch::default() };
        assert!(keep(touch.clone(), epoch(), "site", false).is_none(), "there is nothing to keep");
        assert!(touch.take_parameter("utm_source", "новости") && touch.take_parameter("yclid", "77"));
        let cookie = keep(touch, epoch(), "site", false).unwrap();
        let (pair, attributes) = cookie.to_str().unwrap().split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/f/site; Max-Age=2592000; HttpOnly; SameSite=Lax");
        let found = first(&sent(&format!("a=b; {pair}; c=d"))).unwrap();
        assert_eq!(found.utm_source.as_deref(), Some("новости"));
        assert_eq!(found.click_ids["yclid"], "77");
        assert_eq!((found.page, found.referrer, found.at), (None, None, Some(epoch())));
    }

    #[test]
    fn what_cannot_be_read_or_kept_is_left_alone() {
        for cookies in
            ["", "fl_first_touch=", "fl_first_touch=%%%", "fl_first_touch=e30", "fl_first_touch=W10"]
        {
            assert_eq!(first(&sent(cookies)), None, "{cookies}");
        }
        let forged = URL_SAFE_NO_PAD.encode(br#"{"utm_source":"x","page":"https://example.com/?phone=1"}"#);
        assert_eq!(first(&sent(&format!("{COOKIE}={forged}"))).unwrap().page, None);
        let long = Touch { utm_term: Some("x".repeat(4_000)), ..Touch::default() };
        assert!(keep(long, epoch(), "site", false).is_none());
        let touch = Touch { utm_term: Some("x".to_owned()), ..Touch::default() };
        assert!(keep(touch.clone(), epoch(), "a; Domain=example.com", false).is_none());
        assert!(keep(touch, epoch(), "a", true).unwrap().to_str().unwrap().ends_with("; Secure"));
    }
}
