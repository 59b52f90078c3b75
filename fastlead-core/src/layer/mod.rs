//! Resilience as `tower` layers: the request is the operation, the error stays [`crate::Error`].
//!
//! [`ResiliencePolicy`] puts them together in the one order, from the outside to the inside:
//!
//! | layer | what it does |
//! |---|---|
//! | [`TraceLayer`] | one span |
//! | [`ObserveLayer`] | one duration and one count |
//! | [`DeadlineLayer`] | ends the operation when its whole time is over |
//! | [`RetryLayer`] | tries again within seconds |
//! | [`CircuitBreakerLayer`] | leaves a provider alone that does not answer |
//! | [`RateLimitLayer`] | keeps to the rates of the account and of each recipient |
//! | [`ConcurrencyLayer`] | bounds how many requests are under way |
//! | [`BeginLayer`] | says that a request goes out now |
//! | [`AttemptTimeoutLayer`] | ends one request that takes too long |
//!
//! Each can be used alone. Seconds are retried here; minutes and hours belong to the durable
//! schedule, which is why nothing here waits long: what would take longer comes back as an error
//! that says when to try again.
//!
//! Whatever is asked of a channel beside sending goes through the same layers: questions take permits and places, and an
//! account whose breaker is open is asked nothing, but for what a person wants to know right now. Polling waits at the
//! provider for minutes, so it takes neither; the engine polls no account whose breaker is open.
//!
//! All time comes from a [`crate::time::Clock`], and no layer spawns a task.

mod attempt_timeout;
mod begin;
mod breaker;
mod channel;
mod concurrency;
mod deadline;
mod frame;
mod observe;
mod operation;
mod policy;
mod question;
mod rate_limit;
mod retry;
#[cfg(test)]
mod scripted;
mod trace;

pub use attempt_timeout::AttemptTimeoutLayer;
pub use begin::BeginLayer;
pub use breaker::{
    Breaker, BreakerHandle, BreakerPolicy, BreakerState, CircuitBreakerLayer, Ticket, Verdict,
};
pub use channel::{LayeredChannel, SharedSend};
pub use concurrency::ConcurrencyLayer;
pub use deadline::DeadlineLayer;
pub use frame::{Around, Layered};
pub use observe::ObserveLayer;
pub use operation::{
    Account, BeforeAttempt, ChannelService, Operation, Progress, SendMessage, Waiting, Wrapped,
};
pub use policy::{Limits, RatePolicy, ResiliencePolicy, Resilient};
pub use rate_limit::{AccountQuota, RateLimitLayer};
pub use retry::{RetryLayer, RetryPolicy};
pub use trace::TraceLayer;
