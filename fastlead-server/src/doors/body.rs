//! Bodies: a request's comes in within a time and a share of memory, and an answer's end is the request's end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower::ServiceExt as _;

use super::table::{Entry, Phase};
use crate::problem::Problem;

/// Pieces are handed on in this size, so that a body of many small pieces costs no more than its bytes.
const PIECE: usize = 16 * 1_024;
/// Bytes of a body that are kept at most where the settings say less: those of a provider's request.
const KEPT: usize = 1_048_576;
/// What a body may still take when the server closes its doors.
const LAST_CALL: Duration = Duration::from_secs(3);

/// Why a body ended early.
const TOO_SLOW: u8 = 1;
const NO_ROOM: u8 = 2;

/// One request, from its head to the end of its answer.
#[derive(Debug)]
struct Exchange {
    entry: Arc<Entry>,
    fault: AtomicU8,
    /// Memory that its body holds.
    reserved: AtomicUsize,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Entry { slot, table, .. } = &*self.entry;
        table.release(slot, self.reserved.load(Ordering::Relaxed));
        slot.turn(Phase::Idle);
    }
}

/// The client has gone, or was sent away before its request was read.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
pub(super) struct Gone;

/// Answers one request of a connection.
pub(super) async fn answer(
    router: Router,
    entry: Arc<Entry>,
    closing: CancellationToken,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Gone> {
    if !entry.slot.turn(Phase::Work) {
        return Err(Gone);
    }
    let limit = entry.table.room.body;
    let exchange = Arc::new(Exchange { entry, fault: AtomicU8::new(0), reserved: AtomicUsize::new(0) });
    let request = request.map(|inner| {
        if inner.is_end_stream() {
            return Body::empty();
        }
        let (exchange, held) = (Arc::clone(&exchange), BytesMut::new());
        Body::new(Asked { inner, exchange, held, deadline: None, closing, limit, is_over: false })
    });
    let answered: Result<Response<Body>, Infallible> = router.oneshot(request).await;
    let response = match (exchange.fault.load(Ordering::Relaxed), answered) {
        (TOO_SLOW, _) => closed(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "the body did not come in within the time; send it again",
        )),
        (NO_ROOM, _) => closed(
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "too much comes in at once; send it again",
            )
            .retry_after(1),
        ),
        (_, Ok(response)) => response,
    };
    Ok(response.map(|inner| Answer { inner, _exchange: exchange }))
}

fn closed(problem: Problem) -> Response<Body> {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The moment at which a body is given up, and the stop of the server where that has been asked about.
type Deadline = (Pin<Box<Sleep>>, Option<Pin<Box<WaitForCancellationFutureOwned>>>);

/// The body of a request.
struct Asked {
    inner: Incoming,
    exchange: Arc<Exchange>,
    held: BytesMut,
    /// Until when it must be here, and the word that the doors close; set when it is first waited for.
    deadline: Option<Deadline>,
    closing: CancellationToken,
    limit: Duration,
    is_over: bool,
}

impl Asked {
    fn fail(&mut self, fault: u8) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_over = true;
        self.exchange.fault.store(fault, Ordering::Relaxed);
        Poll::Ready(Some(Err(axum::Error::new(Gone))))
    }

    /// Whether the body has taken too long.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let (closing, limit) = (&self.closing, self.limit);
        let (until, closes) = self.deadline.get_or_insert_with(|| {
            let closes = Box::pin(closing.clone().cancelled_owned());
            (Box::pin(tokio::time::sleep(limit)), Some(closes))
        });
        if closes.as_mut().is_some_and(|closes| closes.as_mut().poll(context).is_ready()) {
            *closes = None;
            let last = Instant::now() + LAST_CALL;
            if last < until.deadline() {
                until.as_mut().reset(last);
            }
        }
        until.as_mut().poll(context).is_ready()
    }

    fn piece(&mut self) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(self.held.split().freeze()))))
    }
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Pending => {
                    let entry = Arc::clone(&self.exchange.entry);
                    if self.is_late(context) || !entry.slot.turn(Phase::Body) {
                        return self.fail(TOO_SLOW);
                    }
                    let taken = self.exchange.reserved.load(Ordering::Relaxed);
                    if taken > entry.table.room.body_limit && !self.held.is_empty() {
                        return self.piece();
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    let Entry { slot, table, .. } = &*self.exchange.entry;
                    // Whoever reads it keeps no more than this, and throws the rest away as it comes: the files of a form.
                    let most = table.room.body_limit.max(KEPT) + 2 * PIECE;
                    let more =
                        data.len().min(most.saturating_sub(self.exchange.reserved.load(Ordering::Relaxed)));
                    if !table.reserve(slot, more) {
                        return self.fail(NO_ROOM);
                    }
                    self.exchange.reserved.fetch_add(more, Ordering::Relaxed);
                    // Copied: a piece of a few bytes must not hold the buffer that it came in.
                    self.held.extend_from_slice(&data);
                    if self.held.len() >= PIECE {
                        return self.piece();
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(axum::Error::new(error))));
                }
                Poll::Ready(None) => {
                    self.is_over = true;
                    // Whoever was sent away before the last byte came gets no answer, so nothing may be kept.
                    if !self.exchange.entry.slot.turn(Phase::Work) {
                        return self.fail(TOO_SLOW);
                    }
                    return if self.held.is_empty() { Poll::Ready(None) } else { self.piece() };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over && self.held.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer.
pub(super) struct Answer {
    inner: Body,
    _exchange: Arc<Exchange>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
