//! The methods of callback servers.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::Refused;
use super::callbacks;
use super::params::Params;
use super::state::{CallbackServer, KINDS, Shared, State};

const SERVERS_MAX: usize = 10;
const TITLE_MAX_CHARS: usize = 14;
const SECRET_MAX_CHARS: usize = 50;

/// # Errors
/// VK's refusal of another community.
fn check_group(shared: &Shared, params: &Params) -> Result<(), Refused> {
    if params.required("group_id")? == shared.group_id {
        return Ok(());
    }
    Err(Refused::new(203, "Access to group denied"))
}

struct Wanted<'a> {
    url: &'a str,
    title: &'a str,
    secret: &'a str,
}

fn wanted(params: &Params) -> Result<Wanted<'_>, Refused> {
    let (url, title, secret) = (params.text("url"), params.text("title"), params.text("secret_key"));
    let is_address =
        url.parse::<http::Uri>().is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    if !is_address {
        return Err(Refused::parameter("url is invalid"));
    }
    if title.is_empty() || title.chars().count() > TITLE_MAX_CHARS {
        return Err(Refused::parameter("title is empty or too long"));
    }
    if secret.chars().count() > SECRET_MAX_CHARS {
        return Err(Refused::parameter("secret_key is too long"));
    }
    Ok(Wanted { url, title, secret })
}

fn server<'a>(state: &'a mut State, params: &Params) -> Result<&'a mut CallbackServer, Refused> {
    let id = params.required("server_id")?;
    state.servers.iter_mut().find(|server| server.id == id).ok_or_else(|| Refused::new(104, "Not found"))
}

pub(super) fn add(shared: &Arc<Shared>, params: &Params) -> Result<Value, Refused> {
    check_group(shared, params)?;
    let wanted = wanted(params)?;
    let id = {
        let mut state = shared.lock();
        if state.servers.len() >= SERVERS_MAX {
            return Err(Refused::new(2000, "Servers number limit is reached"));
        }
        state.add_server(wanted.url, wanted.title, wanted.secret)
    };
    callbacks::confirm(shared, id);
    Ok(json!({ "server_id": id }))
}

pub(super) fn edit(shared: &Arc<Shared>, params: &Params) -> Result<Value, Refused> {
    check_group(shared, params)?;
    let wanted = wanted(params)?;
    let id = {
        let mut state = shared.lock();
        let server = server(&mut state, params)?;
        server.url = wanted.url.to_owned();
        server.title = wanted.title.to_owned();
        server.secret = wanted.secret.to_owned();
        server.status = "wait";
        server.id
    };
    callbacks::confirm(shared, id);
    Ok(json!(1))
}

pub(super) fn delete(shared: &Arc<Shared>, params: &Params) -> Result<Value, Refused> {
    check_group(shared, params)?;
    let id = {
        let mut state = shared.lock();
        let id = server(&mut state, params)?.id;
        state.servers.retain(|server| server.id != id);
        id
    };
    shared.announce();
    tracing::debug!(id, "a callback server was deleted");
    Ok(json!(1))
}

pub(super) fn list(shared: &Arc<Shared>, params: &Params) -> Result<Value, Refused> {
    check_group(shared, params)?;
    let state = shared.lock();
    let items: Vec<Value> = state
        .servers
        .iter()
        .map(|server| {
            json!({
                "id": server.id, "title": server.title, "creator_id": 1, "url": server.url,
                "secret_key": server.secret, "status": server.status,
            })
        })
        .collect();
    Ok(json!({ "count": items.len(), "items": items }))
}

pub(super) fn confirmation_code(shared: &Arc<Shared>, params: &Params) -> Result<Value, Refused> {
    check_group(shared, params)?;
    Ok(json!({ "code": shared.lock().code }))
}

pub(super) fn settings(shared: &Arc<Shared>, params: &Params) -> Result<Value, Refused> {
    check_group(shared, params)?;
    let mut state = shared.lock();
    let server = server(&mut state, params)?;
    let is_on = |kind: &&str| (String::from(*kind), json!(i64::from(server.kinds.contains(*kind))));
    let events: Map<String, Value> = KINDS.iter().map(is_on).collect();
    Ok(json!({ "api_version": server.api_version, "events": events }))
}

/// What is not named stays as it is.
pub(super) fn set_settings(shared: &Arc<Shared>, params: &Params) -> Result<Value, Refused> {
    check_group(shared, params)?;
    let mut state = shared.lock();
    let server = server(&mut state, params)?;
    if let Some(version) = params.get("api_version") {
        server.api_version = version.to_owned();
    }
    for kind in KINDS {
        match params.get(kind) {
            Some("1") => drop(server.kinds.insert(kind.to_owned())),
            Some(_) => drop(server.kinds.remove(kind)),
            None => {}
        }
    }
    drop(state);
    shared.announce();
    Ok(json!(1))
}
