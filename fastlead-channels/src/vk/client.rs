//! Requests to VK and their answers. One HTTP request per call; nothing is retried or followed here.

use std::fmt;
use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use serde::de::DeserializeOwned;
use url::Url;

use super::adapter::KIND;
use super::config::VkConfig;
use super::error::{Operation, parse_error, transport_error};
use super::wire::{
    AddedServer, CallbackServer, CallbackServers, CallbackSettings, ConfirmationCode, Done, Permissions,
    Sent, Success,
};
use crate::egress::Egress;
use crate::http;

/// The version of the API that requests and events are written in.
pub(super) const API_VERSION: &str = "5.199";
/// Ten callback servers with addresses of some kilobytes each; whatever is longer is not VK's.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Cheap to clone: the clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Secret<String>,
    group_id: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// A callback server as it shall be.
pub(super) struct WantedServer<'a> {
    pub(super) url: &'a str,
    pub(super) title: &'a str,
    pub(super) secret: &'a Secret<String>,
}

impl Client {
    pub(super) fn new(config: &VkConfig, egress: &Egress) -> Result<Self> {
        let base = config.base_url()?;
        let encrypted = base.scheme() == "https";
        if let Some(host) = base.host() {
            egress.check(host, encrypted).map_err(|refusal| refusal.of_field(KIND, "endpoint"))?;
        }
        let http = http::client(egress, encrypted, config.timeout()).build().map_err(|error| {
            Error::new(ErrorKind::Internal, "cannot set up the http client")
                .with_adapter(KIND)
                .with_operation("configure")
                .with_source(error.without_url())
        })?;
        Ok(Self { http, base, token: config.access_token.clone(), group_id: config.group_id.to_string() })
    }

    pub(super) async fn send(&self, fields: &[(&str, &str)]) -> Result<Sent> {
        self.call(Operation::Send, "messages.send", fields).await
    }

    pub(super) async fn edit(&self, fields: &[(&str, &str)]) -> Result<()> {
        self.tell(Operation::Edit, "messages.edit", fields).await
    }

    pub(super) async fn answer(&self, fields: &[(&str, &str)]) -> Result<()> {
        self.tell(Operation::Answer, "messages.sendMessageEventAnswer", fields).await
    }

    pub(super) async fn permissions(&self) -> Result<Permissions> {
        self.call(Operation::Check, "groups.getTokenPermissions", &[]).await
    }

    /// The string that VK wants to read when it confirms an address.
    pub(super) async fn confirmation_code(&self) -> Result<String> {
        let answer: ConfirmationCode = self.set_up("getCallbackConfirmationCode", &[]).await?;
        Ok(answer.code)
    }

    pub(super) async fn servers(&self) -> Result<Vec<CallbackServer>> {
        let answer: CallbackServers = self.set_up("getCallbackServers", &[]).await?;
        Ok(answer.items)
    }

    pub(super) async fn add_server(&self, wanted: &WantedServer<'_>) -> Result<i64> {
        let answer: AddedServer = self.set_up("addCallbackServer", &wanted.fields()).await?;
        Ok(answer.server_id)
    }

    pub(super) async fn edit_server(&self, id: i64, wanted: &WantedServer<'_>) -> Result<()> {
        let id = id.to_string();
        let mut fields = vec![("server_id", id.as_str())];
        fields.extend(wanted.fields());
        self.set_up::<Done>("editCallbackServer", &fields).await.map(drop)
    }

    pub(super) async fn delete_server(&self, id: i64) -> Result<()> {
        self.set_up::<Done>("deleteCallbackServer", &[("server_id", &id.to_string())]).await.map(drop)
    }

    pub(super) async fn settings(&self, server: i64) -> Result<CallbackSettings> {
        self.set_up("getCallbackSettings", &[("server_id", &server.to_string())]).await
    }

    /// Asks for these kinds of events, in our version of the API.
    pub(super) async fn set_settings(&self, server: i64, kinds: &[&str]) -> Result<()> {
        let id = server.to_string();
        let mut fields = vec![("server_id", id.as_str()), ("api_version", API_VERSION)];
        fields.extend(kinds.iter().map(|kind| (*kind, "1")));
        self.set_up::<Done>("setCallbackSettings", &fields).await.map(drop)
    }

    async fn set_up<R: DeserializeOwned>(&self, method: &str, fields: &[(&str, &str)]) -> Result<R> {
        let mut all = vec![("group_id", self.group_id.as_str())];
        all.extend_from_slice(fields);
        self.call(Operation::SetUpCallbacks, &format!("groups.{method}"), &all).await
    }

    /// Calls a method that answers only that it has done it.
    async fn tell(&self, operation: Operation, method: &str, fields: &[(&str, &str)]) -> Result<()> {
        let done: Done = self.call(operation, method, fields).await?;
        if done.is_done() { Ok(()) } else { Err(operation.unreadable()) }
    }

    async fn call<R: DeserializeOwned>(
        &self,
        operation: Operation,
        method: &str,
        fields: &[(&str, &str)],
    ) -> Result<R> {
        let url = self
            .base
            .join(&format!("method/{method}"))
            .map_err(|_| operation.refuse(ErrorKind::Config, "endpoint: cannot be extended"))?;
        // Always in the body: a query would carry the key and the text into the logs of every proxy.
        let mut form = vec![("access_token", self.token.expose().as_str()), ("v", API_VERSION)];
        form.extend_from_slice(fields);
        let fault = |error| transport_error(operation, error);
        let mut response = self.http.post(url).form(&form).send().await.map_err(fault)?;
        let status = response.status().as_u16();
        let after = http::retry_after(response.headers(), None);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fault)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(operation.error(
                    ErrorKind::Protocol,
                    RetryHint::UNKNOWN,
                    "the answer is too long",
                ));
            }
            body.extend_from_slice(&chunk);
        }
        decode(operation, status, after, &body)
    }
}

impl WantedServer<'_> {
    fn fields(&self) -> [(&'static str, &str); 3] {
        [("url", self.url), ("title", self.title), ("secret_key", self.secret.expose().as_str())]
    }

    /// Whether a server is as it shall be.
    pub(super) fn is(&self, server: &CallbackServer) -> bool {
        server.url == self.url && server.title == self.title && server.secret_key == *self.secret.expose()
    }
}

/// The result asked for, or the error that came in its place.
fn decode<R: DeserializeOwned>(
    operation: Operation,
    status: u16,
    after: Option<Duration>,
    body: &[u8],
) -> Result<R> {
    match serde_json::from_slice::<Success<R>>(body) {
        Ok(Success { response }) if (200..300).contains(&status) => Ok(response),
        _ => Err(parse_error(operation, status, after, body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_forms_of_an_answer_to_a_send() {
        let read = |body: &str| decode::<Sent>(Operation::Send, 200, None, body.as_bytes());
        assert!(matches!(read(r#"{"response":310}"#).ok(), Some(Sent::Id(310))));
        let several = read(
            r#"{"response":[{"peer_id":1,"message_id":310,"conversation_message_id":295},{"peer_id":2,"message_id":0,"error":{"code":901,"description":"no"}}]}"#,
        );
        let Ok(Sent::Each(several)) = several else { panic!("several peers") };
        assert_eq!((several[0].conversation_message_id, several[1].message_id), (295, 0));
        for strange in [r#"{"response":"310"}"#, r#"{"response":{}}"#, r#"{"response":[1]}"#, r#"{"ok":1}"#] {
            let error = read(strange).err().unwrap();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, RetryHint::UNKNOWN), "{strange}");
        }
    }

    #[test]
    fn an_error_wins_where_the_status_says_so() {
        let error = decode::<Sent>(Operation::Send, 500, None, br#"{"response":310}"#).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn the_access_key_is_not_printed() {
        let config = VkConfig::new("vk1.a.hidden".into(), 1);
        let shown = format!("{:?}", Client::new(&config, &Egress::public()).unwrap());
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
