//! Channels with habits: slow, silent, flaky, forgetful of receipts or fond of repeating them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, FailureReason, InboundEvent, InboundKind, Lookup, MessageReference,
    Peer, Poller, ReceiptFailure, ReceiptStatus, ResponseTokenText, SendReceipt, SentReference,
};
use fastlead_core::id::DeliveryId;
use fastlead_core::message::{
    ButtonAction, Content, OutboundMessage, PressedMessage, Recipient, Response, ResponseToken,
};
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, plus};
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{Error, ErrorKind, Result, RetryHint, async_trait};

use tokio::sync::Notify;

use super::bidder::{self, Answer};
use super::chance::Chance;
use super::polls::{Kept, Updates};
use super::setting::Line;
use super::world::{Action, World};

/// One account at a pretended provider. It outlives the engines that use it.
#[derive(Debug, Clone)]
pub(super) struct Account(Arc<Inner>);

struct Inner {
    info: ChannelInfo,
    number: usize,
    line: Line,
    world: Arc<World>,
    state: Mutex<State>,
    updates: Kept,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("info", &self.info).finish_non_exhaustive()
    }
}

struct State {
    chance: Chance,
    /// What the provider holds, by the key that it honours or not.
    by_key: BTreeMap<String, String>,
    by_part: BTreeMap<(DeliveryId, u32), Held>,
    /// What was bid for each ping.
    bids: BTreeMap<DeliveryId, i64>,
    next: u64,
    /// Whether the owner has to do something about the account.
    locked: bool,
}

#[derive(Debug, Clone)]
struct Held {
    id: String,
    delivered: bool,
    failed: bool,
}

/// How a request goes.
struct Course {
    accepts: bool,
    wait: Duration,
    answer: Result<()>,
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Account {
    pub(super) fn new(number: usize, line: Line, world: &Arc<World>) -> Self {
        let info = ChannelInfo::embedded("simulated", &line.name);
        let state = State {
            chance: Chance::new(world.setting.seed, &format!("account {}", line.name)),
            by_key: BTreeMap::new(),
            by_part: BTreeMap::new(),
            bids: BTreeMap::new(),
            next: 0,
            locked: false,
        };
        let chance = Chance::new(world.setting.seed, &format!("updates of {}", line.name));
        let updates = (Mutex::new(Updates::new(chance)), Notify::new());
        world.model().knows_rate(info.id, line.capabilities.account_rate);
        Self(Arc::new(Inner {
            info,
            number,
            line,
            world: Arc::clone(world),
            state: Mutex::new(state),
            updates,
        }))
    }

    pub(super) fn updates(&self) -> (&Mutex<Updates>, &Notify) {
        (&self.0.updates.0, &self.0.updates.1)
    }

    pub(super) fn line(&self) -> &Line {
        &self.0.line
    }

    pub(super) fn world(&self) -> &World {
        &self.0.world
    }

    /// The owner has paid the bill and renewed the password.
    pub(super) fn mend(&self) {
        self.0.state().locked = false;
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, kind: ErrorKind, retry: RetryHint) -> Error {
        Error::new(kind, "as the simulation has it").with_adapter(self.info.kind).with_retry(retry)
    }

    /// Decides how a request goes, and takes the message in where it does.
    fn course(&self, state: &mut State) -> Course {
        let quick = Duration::from_millis(state.chance.between(1, 400));
        let slow = state.chance.percent(self.line.slow);
        let wait = if slow { Duration::from_millis(state.chance.between(400, 9_000)) } else { quick };
        if state.locked {
            return Course {
                accepts: false,
                wait,
                answer: Err(self.error(ErrorKind::Auth, RetryHint::Never)),
            };
        }
        if !state.chance.percent(self.line.trouble) {
            return Course { accepts: true, wait, answer: Ok(()) };
        }
        if state.chance.percent(self.line.account_trouble) {
            state.locked = true;
            let kind = state.chance.pick([ErrorKind::Auth, ErrorKind::Balance]);
            return Course { accepts: false, wait, answer: Err(self.error(kind, RetryHint::Never)) };
        }
        let safe = RetryHint::Safe { after: Some(Duration::from_secs(state.chance.between(1, 90))) };
        let (accepts, wait, kind, retry) = match state.chance.below(12) {
            // The answer is lost, or comes when nobody waits any more.
            0 | 1 => (true, wait, ErrorKind::Unavailable, RetryHint::UNKNOWN),
            2 => (true, HOUR, ErrorKind::Timeout, RetryHint::UNKNOWN),
            // The request is lost.
            3 | 4 => (false, wait, ErrorKind::Unavailable, RetryHint::UNKNOWN),
            5 => (false, HOUR, ErrorKind::Timeout, RetryHint::UNKNOWN),
            6 | 7 => (false, wait, ErrorKind::RateLimited, safe),
            8 | 9 => (false, wait, ErrorKind::Unavailable, RetryHint::SAFE),
            10 => (false, wait, ErrorKind::Recipient, RetryHint::Never),
            _ => (false, wait, ErrorKind::Content, RetryHint::Never),
        };
        Course { accepts, wait, answer: Err(self.error(kind, retry)) }
    }

    /// The provider takes the message, or knows it already by its key.
    fn take(&self, state: &mut State, message: &OutboundMessage) -> String {
        let key = message.idempotency_key();
        if self.line.capabilities.idempotent_send
            && let Some(known) = state.by_key.get(&key)
        {
            return known.clone();
        }
        state.next += 1;
        let id = format!("{}-{}", self.line.name, state.next);
        state.by_key.insert(key, id.clone());
        let held = Held { id: id.clone(), delivered: false, failed: false };
        state.by_part.insert((message.delivery_id, message.part.index), held);
        let arrived = self.world.model().arrived(message);
        self.world.check(arrived);
        self.receipts(state, message, &id);
        self.presses(state, message, &id);
        id
    }

    /// What the program behind the channel answers, where there is one.
    fn answer(&self, state: &mut State, message: &OutboundMessage) -> Option<Answer> {
        if !self.line.capabilities.answers {
            return None;
        }
        let before = state.bids.get(&message.delivery_id).copied();
        let answer = bidder::answer(&self.world, &mut state.chance, (&self.line.name, message), before)?;
        state.bids.extend(answer.bid.map(|bid| (message.delivery_id, bid.minor)));
        Some(answer)
    }

    /// News of a message: none, one, several, repeated, in a wrong order.
    fn receipts(&self, state: &mut State, message: &OutboundMessage, id: &str) {
        if !self.line.capabilities.receipts || message.recipient == Recipient::Endpoint {
            return;
        }
        let failure = ReceiptFailure { reason: FailureReason::Recipient, provider_code: None };
        let mut news = match state.chance.below(10) {
            0 => vec![],
            1 => vec![ReceiptStatus::Failed(failure)],
            2 => vec![ReceiptStatus::Delivered, ReceiptStatus::InTransit],
            3 => vec![ReceiptStatus::Delivered, ReceiptStatus::Failed(failure)],
            4 => vec![ReceiptStatus::InTransit, ReceiptStatus::Read, ReceiptStatus::Delivered],
            _ => vec![ReceiptStatus::Delivered],
        };
        if let Some(held) = state.by_part.get_mut(&(message.delivery_id, message.part.index)) {
            held.failed = matches!(news.as_slice(), [ReceiptStatus::Failed(_)]);
            held.delivered = news.len() > 1 || matches!(news.as_slice(), [ReceiptStatus::Delivered]);
            self.world.model().fate(message.delivery_id, held.failed);
        }
        let mut after = 0;
        for (place, status) in news.drain(..).enumerate() {
            after += state.chance.pick([0, 50, 3_000, 90_000, 9_000_000]);
            let event = InboundEvent {
                provider_event_id: format!("receipt {id} {place}"),
                occurred_at: self.world.now(),
                kind: InboundKind::Receipt { message: MessageReference::Provider(id.to_owned()), status },
            };
            self.bring(state, after, event);
        }
    }

    /// The person who was offered a lead answers, or does not.
    fn presses(&self, state: &mut State, message: &OutboundMessage, id: &str) {
        let Content::Text(text) = &message.content else { return };
        let asks = text.buttons.iter().any(|button| matches!(button.action, ButtonAction::Respond(_)));
        if !asks {
            return;
        }
        let habits = self.world.setting.people;
        let draw = state.chance.below(100);
        let response = match draw {
            draw if draw < habits.accept => Response::Accept,
            draw if draw < habits.accept + habits.decline => Response::Decline,
            _ => return,
        };
        let late = state.chance.percent(habits.late);
        let after = if late {
            state.chance.between(3_600_000, 90_000_000)
        } else {
            state.chance.between(500, 900_000)
        };
        self.press(state, message, (id, 0), response, after);
        if state.chance.percent(habits.twice) {
            let again = state.chance.pick([response, Response::Accept, Response::Decline]);
            let after = after + state.chance.pick([0, 300, 4_000_000]);
            self.press(state, message, (id, 1), again, after);
        }
    }

    fn press(
        &self,
        state: &mut State,
        message: &OutboundMessage,
        (id, place): (&str, u32),
        response: Response,
        after: u64,
    ) {
        let token = ResponseToken { response, delivery_id: message.delivery_id };
        let chat = message.recipient.address();
        let event = InboundEvent {
            provider_event_id: format!("press {id} {place}"),
            occurred_at: self.world.now(),
            kind: InboundKind::Interaction {
                interaction_id: format!("press {id} {place}"),
                token: Some(ResponseTokenText(token.encode())),
                from: Peer { chat: chat.into(), user: chat.into(), display_name: None, language: None },
                message: Some(PressedMessage {
                    chat: chat.into(),
                    message_id: id.to_owned(),
                    links: Vec::new(),
                }),
            },
        };
        self.bring(state, after, event);
    }

    /// Brings an event after so many milliseconds; now and then twice.
    fn bring(&self, state: &mut State, after: u64, event: InboundEvent) {
        let event = Box::new(event);
        if state.chance.percent(15) {
            let again = after + state.chance.pick([0, 1_000, 5_000_000]);
            self.world.plan_in(again, self.news(event.clone()));
        }
        let news = self.news(event);
        self.world.plan_in(after, news);
    }

    /// The provider calls us, or keeps the event until it is asked.
    fn news(&self, event: Box<InboundEvent>) -> Action {
        let line = self.number;
        if self.line.polled { Action::News { line, event } } else { Action::Inbound { line, event } }
    }
}

#[async_trait]
impl Channel for Account {
    fn info(&self) -> &ChannelInfo {
        &self.0.info
    }

    fn capabilities(&self) -> Capabilities {
        self.0.line.capabilities.clone()
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        let inner = &*self.0;
        let (course, id, answer) = {
            let mut state = inner.state();
            let asked = inner.world.model().asked_to_send(message, inner.world.now());
            inner.world.check(asked);
            let permitted = inner.world.model().permit_used(inner.info.id);
            inner.world.check(permitted);
            let course = inner.course(&mut state);
            if course.answer.as_ref().is_err_and(|error| error.retry() == RetryHint::UNKNOWN) {
                inner.world.model().unanswered(message.delivery_id);
            }
            let id = if course.accepts { Some(inner.take(&mut state, message)) } else { None };
            let answer = if id.is_some() { inner.answer(&mut state, message) } else { None };
            (course, id, answer)
        };
        let heard = match (&course.answer, &id) {
            (Ok(()), _) => "accepts",
            (Err(_), Some(_)) => "accepts without saying so",
            (Err(error), None) if error.retry() == RetryHint::UNKNOWN => "does not get",
            (Err(_), None) => "refuses",
        };
        inner.world.note(format_args!("{} {heard} {}", inner.line.name, message.delivery_id));
        let clock = &inner.world.clock;
        clock.sleep_until(plus(clock.now(), course.wait)).await;
        course.answer?;
        let delivered = message.recipient == Recipient::Endpoint;
        let answer = answer.map(|answer| {
            if answer.to_ping {
                inner.world.note(format_args!("the answer to {} is {}", message.delivery_id, answer.text));
                inner.world.model().bidder_answers(message.delivery_id, answer.bid);
            }
            Pii::new(answer.text)
        });
        Ok(SendReceipt { provider_message_id: id, delivered, answer, ..SendReceipt::default() })
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn lookup(&self, sent: &SentReference) -> Result<Lookup> {
        let inner = &*self.0;
        let permitted = inner.world.model().permit_used(inner.info.id);
        inner.world.check(permitted);
        let wait = Duration::from_millis(inner.state().chance.between(1, 500));
        inner.world.clock.sleep_until(plus(inner.world.now(), wait)).await;
        let mut state = inner.state();
        if !inner.line.capabilities.lookup {
            return Ok(Lookup::Unknown);
        }
        if state.chance.percent(inner.line.trouble / 2) {
            return match state.chance.below(3) {
                0 => Ok(Lookup::Unknown),
                _ => Err(inner.error(ErrorKind::Unavailable, RetryHint::SAFE)),
            };
        }
        let answer = match state.by_part.get(&(sent.delivery_id, sent.part.index)) {
            None => Lookup::NotAccepted,
            Some(held) if held.failed => {
                Lookup::Failed(ReceiptFailure { reason: FailureReason::Other, provider_code: None })
            }
            Some(held) if held.delivered => Lookup::Delivered,
            Some(held) => Lookup::Accepted { provider_message_id: Some(held.id.clone()) },
        };
        inner.world.note(format_args!("{} says of {}: {answer:?}", inner.line.name, sent.delivery_id));
        Ok(answer)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        None
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        self.0.line.polled.then_some(self as &dyn Poller)
    }
}
