//! Signed requests to the bank. One HTTP request per call; nothing is retried or followed here.

use std::fmt;
use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{ErrorKind, Result, RetryHint};
use serde_json::Value;
use url::Url;

use super::config::TBankConfig;
use super::error::{Operation, by_code, read, transport};
use super::token::token;
use super::wire::Reply;
use crate::http;

pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    terminal_key: String,
    password: Secret<String>,
    timeout: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(config: &TBankConfig, http: reqwest::Client) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            http,
            base: config.base_url()?,
            terminal_key: config.terminal_key.clone(),
            password: config.password.clone(),
            timeout: config.timeout(),
        })
    }

    /// Calls a method and returns its reply, without success perhaps.
    pub(super) async fn call(&self, operation: Operation, mut body: Value) -> Result<Reply> {
        body["TerminalKey"] = self.terminal_key.as_str().into();
        let unsigned = body.to_string();
        let Some(token) = token(&unsigned, &self.password) else {
            return Err(operation.error(ErrorKind::Internal, RetryHint::Never, "cannot sign the request"));
        };
        body["Token"] = token.into();
        let url = self.base.join(operation.path()).map_err(|_| {
            operation.error(ErrorKind::Config, RetryHint::Never, "endpoint: cannot be extended")
        })?;
        let request = self.http.post(url).timeout(self.timeout).json(&body);
        let answer = http::send(request).await.map_err(|none| transport(operation, none))?;
        read(operation, &answer)
    }

    /// Calls a method that must succeed.
    pub(super) async fn demand(&self, operation: Operation, body: Value) -> Result<Reply> {
        let reply = self.call(operation, body).await?;
        match reply.code() {
            None if reply.is_success() => Ok(reply),
            // 1085 says that all is well in other words.
            Some("1085") if reply.is_success() => Ok(reply),
            code => Err(by_code(operation, code.unwrap_or("0"))),
        }
    }
}
