//! Requests to YooKassa. One HTTP request per call; nothing is retried or followed here.

use std::fmt;
use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{ErrorKind, Result, RetryHint};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::config::YooKassaConfig;
use super::error::{Operation, parse_error, transport};
use super::wire::List;
use crate::http;
use crate::payment::IdempotencyKey;

/// Pages of a list that are read at most: 100 objects each.
const MOST_PAGES: usize = 100;

pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    shop_id: String,
    secret_key: Secret<String>,
    timeout: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(config: &YooKassaConfig, http: reqwest::Client) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            http,
            base: config.base_url()?,
            shop_id: config.shop_id.clone(),
            secret_key: config.secret_key.clone(),
            timeout: config.timeout(),
        })
    }

    pub(super) async fn get<R: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<R> {
        let mut url = self.url(operation, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.exchange(operation, self.http.get(url)).await
    }

    pub(super) async fn post<R: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &[&str],
        key: &IdempotencyKey,
        body: &Value,
    ) -> Result<R> {
        let url = self.url(operation, path)?;
        let request = self.http.post(url).header("Idempotence-Key", key.as_str()).json(body);
        self.exchange(operation, request).await
    }

    /// All objects of a list.
    pub(super) async fn list<R: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &str,
        filter: &[(&str, &str)],
    ) -> Result<Vec<R>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut query = vec![("limit", "100")];
            query.extend_from_slice(filter);
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let page: List<R> = self.get(operation, &[path], &query).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(items);
            }
        }
        Err(operation.error(ErrorKind::Protocol, RetryHint::UNKNOWN, "the list does not end"))
    }

    fn url(&self, operation: Operation, path: &[&str]) -> Result<Url> {
        let mut url = self.base.clone();
        let extended = url.path_segments_mut().map(|mut segments| {
            segments.pop_if_empty().extend(path);
        });
        extended.map_err(|()| {
            operation.error(ErrorKind::Config, RetryHint::Never, "endpoint: cannot be extended")
        })?;
        Ok(url)
    }

    async fn exchange<R: DeserializeOwned>(
        &self,
        operation: Operation,
        request: reqwest::RequestBuilder,
    ) -> Result<R> {
        let request = request.basic_auth(&self.shop_id, Some(self.secret_key.expose())).timeout(self.timeout);
        let answer = http::send(request).await.map_err(|none| transport(operation, none))?;
        match (answer.status, serde_json::from_slice(&answer.body)) {
            (200 | 201, Ok(object)) => Ok(object),
            _ => Err(parse_error(operation, &answer)),
        }
    }
}
