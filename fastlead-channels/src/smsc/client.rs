//! Requests to SMSC and their answers. One request per call; nothing is retried or followed here.

use std::time::Duration;

use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use serde::de::DeserializeOwned;
use url::Url;

use super::adapter::KIND;
use super::config::{Credentials, SmscConfig};
use super::error::{Operation, error_code, parse_error, transport_error};
use super::wire::{BalanceAnswer, SendAnswer, StatusAnswer};
use crate::egress::Egress;
use crate::http;

/// SMSC's answers have some hundred bytes; whatever is longer is not one.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What came back over HTTP. The declared charset is left out: SMSC says windows-1251 whatever it sends.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// One SMS to one phone.
pub(super) struct Submit<'a> {
    pub(super) attempt: u32,
    pub(super) id: u32,
    /// In E.164 form; the plus keeps SMSC from "correcting" it.
    pub(super) phone: &'a str,
    pub(super) text: &'a str,
    pub(super) sender: Option<&'a str>,
    pub(super) translit: bool,
    /// `hh:mm`.
    pub(super) valid: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    send: Url,
    status: Url,
    balance: Url,
    credentials: Credentials,
}

impl Client {
    pub(super) fn new(config: &SmscConfig, egress: &Egress) -> Result<Self> {
        let configure =
            |kind, message| Error::new(kind, message).with_adapter(KIND).with_operation("configure");
        let base = config.base_url()?;
        let encrypted = base.scheme() == "https";
        if let Some(host) = base.host() {
            egress.check(host, encrypted).map_err(|refusal| refusal.of_field(KIND, "endpoint"))?;
        }
        let http = http::client(egress, encrypted, config.timeout()).build().map_err(|error| {
            configure(ErrorKind::Internal, "cannot set up the http client").with_source(error.without_url())
        })?;
        let join =
            |path| base.join(path).map_err(|_| configure(ErrorKind::Config, "endpoint: cannot be extended"));
        Ok(Self {
            http,
            send: join("sys/send.php")?,
            status: join("sys/status.php")?,
            balance: join("sys/balance.php")?,
            credentials: config.credentials()?,
        })
    }

    /// Sends, and has price and balance reported (`cost=3`; `cost=1` would only name the price).
    pub(super) async fn send(&self, submit: &Submit<'_>) -> Result<SendAnswer> {
        let id = submit.id.to_string();
        let mut fields =
            vec![("cost", "3"), ("id", id.as_str()), ("phones", submit.phone), ("mes", submit.text)];
        if let Some(sender) = submit.sender {
            fields.push(("sender", sender));
        }
        if submit.translit {
            fields.push(("translit", "1"));
        }
        if let Some(valid) = &submit.valid {
            fields.push(("valid", valid));
        }
        self.ask(Operation::Send { attempt: submit.attempt }, &self.send, &fields).await
    }

    /// What became of the message `id` to `digits` (the number without plus, as SMSC stores it).
    pub(super) async fn status(&self, id: &str, digits: &str) -> Result<StatusAnswer> {
        self.ask(Operation::Lookup, &self.status, &[("phone", digits), ("id", id), ("all", "0")]).await
    }

    pub(super) async fn balance(&self) -> Result<BalanceAnswer> {
        self.ask(Operation::Check, &self.balance, &[]).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        operation: Operation,
        url: &Url,
        fields: &[(&str, &str)],
    ) -> Result<T> {
        decode(operation, &self.post(operation, url, fields).await?)
    }

    async fn post(&self, operation: Operation, url: &Url, fields: &[(&str, &str)]) -> Result<Answer> {
        // Always POST: a query would carry the credentials and the phone into the logs of every proxy.
        let mut form = match &self.credentials {
            Credentials::Password { login, password } => {
                vec![("login", login.as_str()), ("psw", password.expose().as_str())]
            }
            Credentials::ApiKey(key) => vec![("apikey", key.expose().as_str())],
        };
        form.extend([("fmt", "3"), ("charset", "utf-8")]);
        form.extend_from_slice(fields);
        let fault = |error| transport_error(operation, error);
        let mut response = self.http.post(url.clone()).form(&form).send().await.map_err(fault)?;
        let status = response.status().as_u16();
        let retry_after = http::retry_after(response.headers(), None);
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
        Ok(Answer { status, retry_after, body })
    }
}

/// The answer asked for, or the error that came in its place.
fn decode<T: DeserializeOwned>(operation: Operation, answer: &Answer) -> Result<T> {
    if (200..300).contains(&answer.status) && error_code(&answer.body).is_none() {
        // UTF-8 by `charset=utf-8`, and ASCII in every field that is read.
        if let Ok(value) = serde_json::from_str(&String::from_utf8_lossy(&answer.body)) {
            return Ok(value);
        }
    }
    Err(parse_error(operation, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer { status: 200, retry_after: None, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn an_error_code_wins_over_whatever_else_is_in_the_body() {
        let send = Operation::Send { attempt: 1 };
        let body = r#"{"id":1,"cnt":1,"error":"no money","error_code":3}"#;
        assert_eq!(decode::<SendAnswer>(send, &answer(body)).unwrap_err().kind(), ErrorKind::Balance);
        assert!(decode::<SendAnswer>(send, &answer(r#"{"id":1,"cnt":1}"#)).is_ok());
        let priced_only = decode::<SendAnswer>(send, &answer(r#"{"cost":"0.30","cnt":1}"#)).unwrap_err();
        assert_eq!(priced_only.kind(), ErrorKind::Protocol, "no id: nothing was sent");
    }
}
