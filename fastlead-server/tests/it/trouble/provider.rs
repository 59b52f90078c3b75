//! One simulated provider with one channel instance on it.

use std::net::SocketAddr;

use fastlead_testkit::sim::smsc::SmscSim;
use fastlead_testkit::sim::smtp::SmtpSim;
use fastlead_testkit::sim::telegram::TelegramSim;
use fastlead_testkit::sim::webhook::WebhookSim;
use fastlead_testkit::sim::{Fault, Faults, Inbox, SimServer};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

/// Which of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Telegram,
    Sms,
    Mail,
    Webhook,
}

/// The chat, phone or address that messages go to.
const CHAT: i64 = 80_001;
pub(super) const PHONE: &str = "+79000000021";
pub(super) const MAILBOX: &str = "manager@example.com";
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

enum Sim {
    Telegram(TelegramSim),
    Sms(SmscSim),
    Mail(SmtpSim),
    Webhook(WebhookSim),
}

/// A simulator and where it is to be found.
pub(super) struct Provider {
    sim: Sim,
    /// Where nobody listens yet, kept so that nobody else takes the port.
    closed: Option<(TcpSocket, SocketAddr)>,
    opened: Option<SimServer>,
}

impl Provider {
    pub(super) async fn start(via: Via) -> Self {
        let sim = match via {
            Via::Telegram => Sim::Telegram(TelegramSim::start().await.unwrap()),
            Via::Sms => Sim::Sms(SmscSim::start().await.unwrap()),
            Via::Mail => Sim::Mail(SmtpSim::start().await.unwrap()),
            Via::Webhook => Sim::Webhook(WebhookSim::start().await.unwrap()),
        };
        if let Sim::Telegram(sim) = &sim {
            sim.add_chat(CHAT, "Sales");
        }
        if let Sim::Mail(sim) = &sim {
            sim.require_auth("relay", "right-password");
        }
        Self { sim, closed: None, opened: None }
    }

    /// From now on connections are refused.
    pub(super) fn close(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        self.closed = Some((socket, address));
    }

    /// Connections are taken again, where they were refused.
    pub(super) async fn open(&mut self) {
        let Some((socket, address)) = self.closed.take() else { return };
        drop(socket);
        let router = match &mut self.sim {
            Sim::Telegram(sim) => sim.router(),
            Sim::Sms(sim) => sim.router(),
            Sim::Webhook(sim) => sim.router(),
            Sim::Mail(sim) => {
                *sim = SmtpSim::start_on(address).await.unwrap();
                return;
            }
        };
        self.opened = Some(SimServer::start_on(address, router).await.unwrap());
    }

    pub(super) const fn kind(&self) -> &'static str {
        match &self.sim {
            Sim::Telegram(_) => "telegram",
            Sim::Sms(_) => "smsc",
            Sim::Mail(_) => "smtp",
            Sim::Webhook(_) => "webhook",
        }
    }

    /// The configuration of a channel, with credentials that are right or wrong.
    pub(super) fn config(&self, right: bool) -> Value {
        let at =
            |usual: String| self.closed.as_ref().map_or(usual, |(_, address)| format!("http://{address}"));
        match &self.sim {
            Sim::Telegram(sim) => json!({
                "bot_token": if right { sim.token() } else { "1000000009:NOBODY-HAS-THIS-TOKEN-AT-ALL-000000009" },
                "endpoint": at(sim.base_url()), "timeout_secs": 1,
            }),
            Sim::Sms(sim) => json!({
                "login": sim.login(), "password": if right { sim.password() } else { "wrong-password" },
                "endpoint": at(sim.base_url()), "timeout_secs": 1,
            }),
            Sim::Mail(sim) => {
                let address = self.closed.as_ref().map_or(sim.address(), |(_, address)| *address);
                json!({
                    "host": address.ip().to_string(), "port": address.port(), "tls": "none", "username": "relay",
                    "password": if right { "right-password" } else { "wrong-password" },
                    "from": {"address": "clinic@example.com"}, "timeout_secs": 2, "accept_timeout_secs": 1,
                })
            }
            Sim::Webhook(sim) => json!({
                "url": self.closed.as_ref().map_or_else(|| sim.url(), |(_, address)| format!("http://{address}/webhook")),
                "secrets": [SECRET], "timeout_secs": 1,
            }),
        }
    }

    /// The address that an offer goes to; `None` where the channel points somewhere by itself.
    pub(super) fn recipient(&self) -> Option<Value> {
        match &self.sim {
            Sim::Telegram(_) => Some(json!({"chat": CHAT.to_string()})),
            Sim::Sms(_) => Some(json!({"phone": PHONE})),
            Sim::Mail(_) => Some(json!({"email": MAILBOX})),
            Sim::Webhook(_) => None,
        }
    }

    pub(super) fn faults(&self) -> &Faults {
        match &self.sim {
            Sim::Telegram(sim) => sim.faults(),
            Sim::Sms(sim) => sim.faults(),
            Sim::Mail(sim) => sim.faults(),
            Sim::Webhook(sim) => sim.faults(),
        }
    }

    fn inbox(&self) -> &Inbox {
        match &self.sim {
            Sim::Telegram(sim) => sim.inbox(),
            Sim::Sms(sim) => sim.inbox(),
            Sim::Mail(sim) => sim.inbox(),
            Sim::Webhook(sim) => sim.inbox(),
        }
    }

    /// How many messages people or programs have before them.
    pub(super) fn arrived(&self) -> usize {
        self.inbox().all().len()
    }

    /// How often the receiver was given what it had already.
    pub(super) fn repeated(&self) -> u64 {
        match &self.sim {
            Sim::Webhook(sim) => sim.duplicates(),
            _ => 0,
        }
    }

    /// Lets the recipient refuse everything.
    pub(super) fn block_recipient(&self) {
        match &self.sim {
            Sim::Telegram(sim) => sim.block(CHAT),
            Sim::Sms(sim) => sim.make_unreachable(PHONE),
            Sim::Mail(sim) => sim.add_unknown(MAILBOX),
            Sim::Webhook(sim) => sim.faults().push(Fault::BadRecipient),
        }
    }

    /// Empties the account, where there is one, or fills it again.
    pub(super) fn set_money(&self, enough: bool) {
        match &self.sim {
            Sim::Sms(sim) => sim.set_balance(if enough { 1_000_000 } else { 0 }),
            _ => sim_without_money(self.kind()),
        }
    }

    /// Lets a minute pass at the provider: identical requests are taken again.
    pub(super) fn let_a_minute_pass(&self) {
        if let Sim::Sms(sim) = &self.sim {
            sim.advance(std::time::Duration::from_secs(61));
        }
    }

    /// Lets the mailbox be full, or the sender unknown to a cautious server.
    pub(super) fn put_off(&self, full: bool) {
        match &self.sim {
            Sim::Mail(sim) if full => sim.add_full(MAILBOX),
            Sim::Mail(sim) => sim.greylist(true),
            _ => panic!("only mail servers do that"),
        }
    }
}

fn sim_without_money(kind: &str) {
    panic!("{kind} has no account that runs empty");
}
