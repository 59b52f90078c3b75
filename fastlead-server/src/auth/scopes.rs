//! Scopes of API keys: the parts of the API that a key may use, within what its role may.

use axum::http::Method;

/// A part of the API.
const AREAS: [&str; 7] = ["leads", "deliveries", "policies", "installation", "channels", "events", "access"];

/// Every scope there is, such as `leads:read`. Whoever may write an area may read it.
pub(crate) fn all() -> impl Iterator<Item = String> {
    AREAS.into_iter().flat_map(|area| ["read", "write"].map(|right| format!("{area}:{right}")))
}

/// Whether a key with these scopes may make a request. No scopes at all are no limit; an address that belongs to no area is
/// not for keys with scopes.
pub(super) fn allow(scopes: &[String], method: &Method, path: &str) -> bool {
    if scopes.is_empty() || path == "/v1/me" {
        return true;
    }
    let Some(area) = area(path) else { return false };
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    scopes
        .iter()
        .filter_map(|scope| scope.split_once(':'))
        .any(|(named, right)| named == area && (right == "write" || (is_read && right == "read")))
}

fn area(path: &str) -> Option<&'static str> {
    let mut parts = path.strip_prefix("/v1/")?.split('/');
    match parts.next()? {
        "leads" | "identities" | "capture" => Some("leads"),
        "deliveries" | "suppressions" => Some("deliveries"),
        "projects" => Some(if parts.nth(1).is_some() { "policies" } else { "installation" }),
        "sources" | "unreadable" => Some("installation"),
        "channels" | "channel-kinds" => Some("channels"),
        "events" | "history" => Some("events"),
        "api-keys" | "users" | "sessions" => Some("access"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_what_its_scopes_say() {
        let may = |scopes: &[&str], method: Method, path: &str| {
            let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            allow(&scopes, &method, path)
        };
        assert!(may(&[], Method::POST, "/v1/users"));
        assert!(may(&["leads:read"], Method::GET, "/v1/leads/lead_1/explain"));
        assert!(!may(&["leads:read"], Method::POST, "/v1/leads/lead_1/respond"));
        assert!(may(&["leads:write"], Method::GET, "/v1/leads"));
        assert!(!may(&["leads:write"], Method::GET, "/v1/deliveries"));
        assert!(may(&["policies:write"], Method::PUT, "/v1/projects/prj_1/policy"));
        assert!(!may(&["policies:write"], Method::POST, "/v1/projects"));
        assert!(may(&["installation:write"], Method::POST, "/v1/projects"));
        assert!(may(&["events:read"], Method::GET, "/v1/me"));
        assert!(!may(&["leads:write", "access:read"], Method::POST, "/v1/api-keys"));
        assert!(!may(&["leads:write"], Method::GET, "/v1/unheard-of"));
    }

    /// A new address must be given an area, or it is closed to keys with scopes.
    #[test]
    fn every_address_of_the_api_has_an_area() {
        let document: serde_json::Value = serde_json::from_str(&crate::openapi::document()).unwrap();
        let paths = document["paths"].as_object().unwrap().keys();
        let of_people =
            ["/v1/login", "/v1/logout", "/v1/me", "/v1/me/password", "/v1/session", "/v1/session/renew"];
        for path in paths.filter(|path| !of_people.contains(&path.as_str())) {
            assert!(area(path).is_some(), "{path}");
        }
    }
}
