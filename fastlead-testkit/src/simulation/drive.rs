//! Lives of an engine on one store: from one moment at which something happens to the next.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::engine::Engine;
use fastlead_core::error::Result;
use fastlead_core::time::{Clock, Timestamp, plus, plus_seconds};
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::people::{self, PROJECT, Stage};
use super::provider::Account;
use super::watch::Watch;
use super::world::{Action, World};
use crate::conformance::store::FullStore;

/// How long a worker holds a delivery, in seconds: a little longer than a send may take.
const LEASE_SECS: u64 = 35;
/// Everything comes to rest within so many seconds after the last visit: 60 days.
const REST_SECS: u64 = 60 * 86_400;
/// More steps than any seed takes.
const MOST_STEPS: u64 = 20_000;

/// How the life of an engine ended.
enum End {
    /// Nothing is left to happen.
    Rest,
    /// The process died.
    Crash { down_secs: u64 },
    /// Something does not hold, or the last step that was asked for was made.
    Stop,
}

/// Plays everything that `world` has planned, until nothing is left to happen or something does not
/// hold. The store is opened anew whenever the process has died. Answers the store as it was last opened.
pub(super) fn play(
    world: &Arc<World>,
    open: &mut dyn FnMut() -> Result<Arc<dyn FullStore>>,
    last_step: Option<u64>,
) -> Option<Arc<dyn FullStore>> {
    let mut watch = Watch::new(opened(world, open)?, world);
    let lines = world.setting.lines.iter().enumerate();
    let accounts =
        Arc::new(lines.map(|(number, line)| Account::new(number, line.clone(), world)).collect::<Vec<_>>());
    plan(world);
    let mut policy = 0;
    loop {
        let idle = Arc::new(Notify::new());
        let parked = Arc::clone(&idle);
        // The runtime is about to wait: no task can go on by itself.
        let runtime = Builder::new_current_thread().on_thread_park(move || parked.notify_one()).build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                world.broken(format!("no runtime: {error}"));
                return None;
            }
        };
        let life = Life { world, watch: &watch, accounts: &accounts, idle: &idle, last_step };
        let end = runtime.block_on(life.live(&mut policy));
        // Every task dies at the await point at which it is.
        drop(runtime);
        match end {
            End::Crash { down_secs } => {
                world.model().up_since = None;
                let unanswered = world.agenda().unanswered();
                for action in unanswered {
                    people::again(world, action);
                }
                let back = plus_seconds(world.now(), down_secs);
                world.clock.advance(back);
                let Watch { store, chance, .. } = watch;
                // Whoever opens a file twice would find it in use.
                drop(store);
                watch = Watch { store: opened(world, open)?, world: Arc::clone(world), chance };
            }
            End::Rest | End::Stop => return Some(watch.store),
        }
    }
}

fn opened(world: &World, open: &mut dyn FnMut() -> Result<Arc<dyn FullStore>>) -> Option<Arc<dyn FullStore>> {
    match open() {
        Ok(store) => Some(store),
        Err(error) => {
            world.broken(format!("the store cannot be opened: {error}"));
            None
        }
    }
}

fn plan(world: &World) {
    let start = world.setting.start;
    let mut agenda = world.agenda();
    for visit in &world.setting.visits {
        agenda.plan(plus(start, Duration::from_millis(visit.after_millis)), Action::Visit(Arc::clone(visit)));
    }
    for (number, after) in world.setting.crashes.iter().enumerate() {
        let turns = (number as u64 * 7 + after) % 40;
        let down_secs = [0, 1, 60, 7_200][usize::try_from(after % 4).unwrap_or(0)];
        agenda.plan(plus_seconds(start, *after), Action::Crash { turns, down_secs });
    }
    for (number, after) in world.setting.published.iter().enumerate() {
        agenda.plan(plus_seconds(start, *after), Action::Publish { policy: number + 1 });
    }
}

struct Life<'a> {
    world: &'a Arc<World>,
    watch: &'a Watch,
    accounts: &'a Arc<Vec<Account>>,
    idle: &'a Notify,
    last_step: Option<u64>,
}

impl Life<'_> {
    async fn live(&self, policy: &mut usize) -> End {
        let world = self.world;
        let engine = match self.engine(*policy).await {
            Ok(engine) => engine,
            Err(error) => {
                world.broken(format!("the engine cannot be built: {error}"));
                return End::Stop;
            }
        };
        world.model().up_since = Some(world.now());
        let stage =
            Stage { engine: engine.clone(), watch: self.watch.clone(), accounts: Arc::clone(self.accounts) };
        let running = engine.clone();
        tokio::spawn(async move { running.run(CancellationToken::new()).await });
        loop {
            self.idle.notified().await;
            let checked = world.model().nothing_is_forgotten(world.now());
            world.check(checked);
            let step = world.journal().step();
            if world.fault().is_some() || self.last_step.is_some_and(|last| step >= last) {
                return End::Stop;
            }
            if step >= MOST_STEPS {
                world.broken(format!("still not at rest after {step} steps"));
                return End::Stop;
            }
            let Some(next) = self.next() else { return End::Rest };
            world.step(next);
            if let Some(end) = self.act(&stage, policy).await {
                return end;
            }
        }
    }

    async fn engine(&self, policy: usize) -> Result<Engine> {
        let watch = Arc::new(self.watch.clone());
        let clock = Arc::clone(&self.world.clock) as Arc<dyn Clock>;
        let policy = self.world.setting.policies[policy].clone();
        let mut builder = Engine::builder(watch)
            .clock(clock)
            .ids(Arc::clone(&self.world.ids) as Arc<dyn fastlead_core::id::IdSource>)
            .lease(Duration::from_secs(LEASE_SECS))
            // It is the only one, and a look at the store every second would leave nothing ever at rest.
            .follow_every(None)
            .poll_wait(Duration::MAX)
            .enricher(Arc::new(people::Cities(Arc::clone(self.world))))
            .project(PROJECT, policy);
        for account in self.accounts.iter() {
            builder = builder.channel(Arc::new(account.clone()));
        }
        for source in &self.world.setting.sources {
            builder = builder.source(source);
        }
        builder.build().await
    }

    /// The next moment at which something happens.
    fn next(&self) -> Option<Timestamp> {
        let world = self.world;
        let planned = world.agenda().next();
        let next = planned.into_iter().chain(world.clock.next()).min()?;
        let last = world.setting.visits.last().map_or(0, |visit| visit.after_millis / 1_000);
        if next > plus_seconds(world.setting.start, last + REST_SECS) {
            world.broken("everything should have come to rest long ago");
            return None;
        }
        Some(next)
    }

    /// Begins everything that is due now, at the same time.
    async fn act(&self, stage: &Stage, policy: &mut usize) -> Option<End> {
        let world = self.world;
        loop {
            let begun = world.agenda().begin(world.now());
            let (number, action) = begun?;
            world.note(format_args!("{action}"));
            match action {
                Action::Crash { turns, down_secs } => {
                    world.agenda().end(number);
                    for _ in 0..turns {
                        tokio::task::yield_now().await;
                    }
                    world.note(format_args!("the process dies"));
                    return Some(End::Crash { down_secs });
                }
                action => {
                    if let Action::Publish { policy: published } = &action {
                        *policy = *published;
                    }
                    let stage = stage.clone();
                    tokio::spawn(async move { stage.perform(number, action).await });
                }
            }
        }
    }
}
