//! One error type for the engine, its ports and every adapter: what kind, may I retry, where.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Each variant says what the delivery queue does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is malformed: a bug or a wrong setting. Not retried.
    #[error("invalid request")]
    Invalid,
    /// A setting of the channel or engine is wrong. The channel is paused.
    #[error("wrong configuration")]
    Config,
    /// The provider refused the credentials. The channel is paused. A 403 is this where it is about the account, so that no
    /// message to anybody would go through (a revoked key, a blocked sender); where it is about one address (a person
    /// who has blocked the bot, a topic that may not be written to) it is [`ErrorKind::Recipient`].
    #[error("credentials refused")]
    Auth,
    /// The account has no money left. The channel is paused.
    #[error("balance too low")]
    Balance,
    /// The recipient does not exist, has blocked the sender, or cannot be written to. Not retried.
    #[error("recipient refused")]
    Recipient,
    /// The provider refused the content: too long, forbidden, malformed markup. Not retried.
    #[error("content refused")]
    Content,
    /// The channel cannot carry this content at all. Refused before any network call. Not retried.
    #[error("not supported by the channel")]
    Unsupported,
    /// The provider asks to slow down. Retried after the delay it names.
    #[error("rate limited")]
    RateLimited,
    /// The provider cannot work now (5xx, refused connection). Retried by [`RetryHint`].
    #[error("provider unavailable")]
    Unavailable,
    /// No answer in time. Retried by [`RetryHint`].
    #[error("timed out")]
    Timeout,
    /// The provider answered with something that its documentation does not know.
    #[error("unexpected answer")]
    Protocol,
    /// A signature, token or login of somebody who calls us is wrong.
    #[error("not authentic")]
    Unauthenticated,
    /// The thing asked for does not exist in this workspace.
    #[error("not found")]
    NotFound,
    /// The thing changed meanwhile, or exists already.
    #[error("conflict")]
    Conflict,
    /// The engine has no room for more work now. Nothing was done; ask again later.
    #[error("overloaded")]
    Overloaded,
    /// A circuit breaker is open or the channel is paused; nothing was sent. Deferred, not counted.
    #[error("channel is paused")]
    Paused,
    /// The store failed.
    #[error("storage failed")]
    Storage,
    /// A stored row cannot be read, now or later: by a newer program perhaps, or after a repair. Set aside.
    #[error("stored data cannot be read")]
    Unreadable,
    /// A fault of FastLead itself.
    #[error("internal error")]
    Internal,
}

impl ErrorKind {
    /// The stable machine-readable name; each has its entry in `docs/errors.md`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Balance => "balance",
            Self::Recipient => "recipient",
            Self::Content => "content",
            Self::Unsupported => "unsupported",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Unauthenticated => "unauthenticated",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Overloaded => "overloaded",
            Self::Paused => "paused",
            Self::Storage => "storage",
            Self::Unreadable => "unreadable",
            Self::Internal => "internal",
        }
    }

    /// Whether the fault lies with the whole channel account, so that no other message would do better.
    pub const fn is_account_level(self) -> bool {
        matches!(self, Self::Auth | Self::Balance | Self::Config)
    }
}

/// May the same request be made again?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryHint {
    /// The same request would fail the same way.
    Never,
    /// The provider certainly did not act (connection refused, 429, "try later").
    Safe {
        /// How long the provider asked us to wait, if it said.
        after: Option<Duration>,
    },
    /// The outcome is unknown (timeout after the request was written, reset, 502/504): only with a
    /// key that the provider honours, or after asking the provider.
    IfIdempotent {
        /// How long the provider asked us to wait, if it said.
        after: Option<Duration>,
    },
}

impl RetryHint {
    /// Certainly not acted upon, no delay named.
    pub const SAFE: Self = Self::Safe { after: None };
    /// Outcome unknown, no delay named.
    pub const UNKNOWN: Self = Self::IfIdempotent { after: None };

    /// The delay that the provider named.
    pub const fn after(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Safe { after } | Self::IfIdempotent { after } => after,
        }
    }
}

/// What every fallible operation returns. One pointer wide.
///
/// `Display` is one line without personal data, secrets or URLs that carry a token.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: RetryHint,
    operation: &'static str,
    adapter: Option<&'static str>,
    provider_code: Option<String>,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`. `message` is lowercase, without a full stop, without personal data.
    /// It is [`RetryHint::Never`] unless said otherwise.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: RetryHint::Never,
            operation: "",
            adapter: None,
            provider_code: None,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// Says whether the same request may be made again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryHint) -> Self {
        self.0.retry = retry;
        self
    }

    /// Names what was being done, such as `send` or `commit`.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation = operation;
        self
    }

    /// Names the adapter kind, such as `telegram`.
    #[must_use]
    pub fn with_adapter(mut self, adapter: &'static str) -> Self {
        self.0.adapter = Some(adapter);
        self
    }

    /// Keeps the provider's own code, such as `403` or `3`.
    #[must_use]
    pub fn with_provider_code(mut self, code: impl Into<String>) -> Self {
        self.0.provider_code = Some(code.into());
        self
    }

    /// Adds a fact that helps to find the cause. Never personal data.
    #[must_use]
    pub fn with_context(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.context.push((name, value.into()));
        self
    }

    /// Keeps the cause for [`std::error::Error::source`]. Its text must not carry a token or
    /// personal data either: strip URLs from HTTP client errors first.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub const fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same request may be made again.
    pub const fn retry(&self) -> RetryHint {
        self.0.retry
    }

    /// The stable code of the kind.
    pub const fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// What was being done.
    pub const fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The adapter that failed, if it was one.
    pub const fn adapter(&self) -> Option<&'static str> {
        self.0.adapter
    }

    /// The provider's own code.
    pub fn provider_code(&self) -> Option<&str> {
        self.0.provider_code.as_deref()
    }

    /// The message without kind, operation and context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The facts added with [`Error::with_context`].
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(adapter) = self.0.adapter {
            write!(f, "{adapter} ")?;
        }
        if !self.0.operation.is_empty() {
            write!(f, "{}: ", self.0.operation)?;
        }
        write!(f, "{}: {}", self.0.kind, self.0.message)?;
        if let Some(code) = &self.0.provider_code {
            write!(f, " (provider code {code})")?;
        }
        for (name, value) in &self.0.context {
            write!(f, ", {name}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("operation", &self.0.operation)
            .field("adapter", &self.0.adapter)
            .field("provider_code", &self.0.provider_code)
            .field("message", &self.0.message)
            .field("context", &self.0.context)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_that_says_where_what_and_why() {
        let error = Error::new(ErrorKind::RateLimited, "too many requests")
            .with_retry(RetryHint::Safe { after: Some(Duration::from_secs(14)) })
            .with_adapter("telegram")
            .with_operation("send")
            .with_provider_code("429");
        assert_eq!(error.to_string(), "telegram send: rate limited: too many requests (provider code 429)");
        assert_eq!(error.retry().after(), Some(Duration::from_secs(14)));
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
