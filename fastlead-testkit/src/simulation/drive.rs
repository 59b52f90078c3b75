//! Lives of an engine on one store: from one moment at which something happens to the next.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::engine::Engine;
use fastlead_core::error::Result;
use fastlead_core::time::{Timestamp, plus, plus_seconds};
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::chance::Chance;
use super::clock::Skewed;
use super::people::{self, PROJECT, Stage};
use super::provider::Account;
use super::rest;
use super::setting::Stop;
use super::watch::{Gate, Watch};
use super::world::{Action, World};
use crate::conformance::store::FullStore;

/// How long a worker holds a delivery, in seconds: a little longer than a send may take.
const LEASE_SECS: u64 = 35;
/// Everything comes to rest within so many seconds after the last visit: 60 days.
const REST_SECS: u64 = 60 * 86_400;
/// How often each of several engines looks at what others have done: more often would be thousands of steps.
const FOLLOW_EVERY: Duration = Duration::from_secs(300);
/// How long one of several engines waits for news: others wait for it where it has died.
const POLL_WAIT: Duration = Duration::from_secs(600);
/// More steps than any seed takes beside those looks.
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
                // A store of one process forgets them with it.
                let leases = world.model().forget_leases();
                for (name, holder) in leases {
                    let ended = watch.at_once(watch.store.end_lease(&name, holder));
                    world.check(ended.map_err(|error| format!("`{name}` cannot be given back: {error}")));
                }
                let Watch { store, chance, rates, .. } = watch;
                // Whoever opens a file twice would find it in use.
                drop(store);
                let (gate, holder) = (Gate::new(), Arc::default());
                let (store, world) = (opened(world, open)?, Arc::clone(world));
                watch = Watch { store, world, chance, gate, holder, rates };
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
    for Stop { after_secs, engine, secs, dies } in world.setting.stops.iter().copied() {
        agenda.plan(plus_seconds(start, after_secs), Action::Stop { engine, secs, dies });
    }
}

/// One of the engines that work on the store.
struct Place {
    stage: Stage,
    /// Whether nobody is there until another engine takes the place.
    dead: bool,
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
        let mut places = Vec::with_capacity(world.setting.engines);
        for number in 0..world.setting.engines {
            match self.place(number, *policy).await {
                Ok(place) => places.push(place),
                Err(error) => {
                    world.broken(format!("engine {number} cannot be built: {error}"));
                    return End::Stop;
                }
            }
        }
        world.model().up_since = Some(world.now());
        loop {
            self.idle.notified().await;
            let checked = world.model().nothing_is_forgotten(world.now());
            world.check(checked);
            let step = world.journal().step();
            if world.fault().is_some() || self.last_step.is_some_and(|last| step >= last) {
                return End::Stop;
            }
            if step >= MOST_STEPS + self.looks() {
                world.broken(format!("still not at rest after {step} steps"));
                return End::Stop;
            }
            let Some(next) = self.next() else {
                if world.fault().is_some() {
                    return End::Stop;
                }
                self.all_know_what_is_stored(&places).await;
                return End::Rest;
            };
            world.step(next);
            if let Some(end) = self.act(&mut places, policy).await {
                return end;
            }
        }
    }

    /// An engine that works.
    async fn place(&self, number: usize, policy: usize) -> Result<Place> {
        let watch = if number == 0 { self.watch.clone() } else { self.watch.of_another() };
        let watch = Watch { gate: Gate::new(), holder: Arc::default(), ..watch };
        let engine = self.engine(number, &watch, policy).await?;
        let running = engine.clone();
        tokio::spawn(async move { running.run(CancellationToken::new()).await });
        Ok(Place { stage: Stage { engine, watch, accounts: Arc::clone(self.accounts) }, dead: false })
    }

    async fn engine(&self, number: usize, watch: &Watch, policy: usize) -> Result<Engine> {
        let ahead_secs = self.world.setting.clocks.get(number).copied().unwrap_or_default();
        let clock = Skewed { clock: Arc::clone(&self.world.clock), ahead_secs };
        let policy = self.world.setting.policies[policy].clone();
        // An only one need not look at what others do, and looking would leave nothing ever at rest.
        let follow_every = (self.world.setting.engines > 1).then_some(FOLLOW_EVERY);
        let mut builder = Engine::builder(Arc::new(watch.clone()))
            .clock(Arc::new(clock))
            .ids(Arc::clone(&self.world.ids) as Arc<dyn fastlead_core::id::IdSource>)
            .lease(Duration::from_secs(LEASE_SECS))
            .quota(Arc::new(watch.clone()))
            .follow_every(follow_every)
            .poll_wait(if self.world.setting.engines > 1 { POLL_WAIT } else { Duration::MAX })
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

    /// How many steps the looks of several engines at the store can have taken so far: one at the changes, one at the
    /// work and one at who asks each provider for news, each at a moment of its own.
    fn looks(&self) -> u64 {
        let setting = &self.world.setting;
        let past = (self.world.now() - setting.start).to_std().unwrap_or_default();
        let rounds = past.as_secs() / FOLLOW_EVERY.as_secs();
        let polled = setting.lines.iter().filter(|line| line.polled).count() as u64;
        if setting.engines > 1 { rounds * (2 + polled) * setting.engines as u64 } else { 0 }
    }

    /// The next moment at which something happens. Several engines look at the store for ever, so that there is none as
    /// soon as nothing is open.
    fn next(&self) -> Option<Timestamp> {
        let world = self.world;
        let planned = world.agenda().next();
        if planned.is_none() && world.setting.engines > 1 && rest::is_at_rest(world).is_ok() {
            return None;
        }
        let next = planned.into_iter().chain(world.clock.next()).min()?;
        let last = world.setting.visits.last().map_or(0, |visit| visit.after_millis / 1_000);
        if next > plus_seconds(world.setting.start, last + REST_SECS) {
            world.check(rest::is_at_rest(world));
            world.broken("everything should have come to rest long ago");
            return None;
        }
        Some(next)
    }

    /// Begins everything that is due now, at the same time.
    async fn act(&self, places: &mut [Place], policy: &mut usize) -> Option<End> {
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
                Action::Stop { engine, secs, dies } => {
                    world.agenda().end(number);
                    self.stop(&mut places[engine], engine, secs, dies);
                }
                Action::GoOn { engine } => {
                    world.agenda().end(number);
                    if !places[engine].dead {
                        places[engine].stage.watch.gate.open();
                        continue;
                    }
                    match self.place(engine, *policy).await {
                        Ok(place) => places[engine] = place,
                        Err(error) => world.broken(format!("engine {engine} cannot be built: {error}")),
                    }
                }
                action => {
                    if let Action::Publish { policy: published } = &action {
                        *policy = *published;
                    }
                    let Some(engine) = someone(world, places, number) else {
                        world.agenda().end(number);
                        people::again(world, action);
                        continue;
                    };
                    world.agenda().asked_of(number, engine);
                    let stage = places[engine].stage.clone();
                    tokio::spawn(async move { stage.perform(number, action).await });
                }
            }
        }
    }

    /// One that stands still or is dead already is left as it is.
    fn stop(&self, place: &mut Place, engine: usize, secs: u64, dies: bool) {
        let world = self.world;
        if !place.stage.watch.gate.is_open() {
            return;
        }
        place.stage.watch.gate.close();
        place.dead = dies;
        if dies {
            let unanswered = world.agenda().unanswered_by(engine);
            unanswered.into_iter().for_each(|action| people::again(world, action));
        }
        world.plan_in(secs * 1_000, Action::GoOn { engine });
    }

    /// After quiet, what each engine keeps in memory is what is stored.
    async fn all_know_what_is_stored(&self, places: &[Place]) {
        if places.len() < 2 {
            return;
        }
        for (number, place) in places.iter().enumerate().filter(|(_, place)| place.stage.watch.gate.is_open())
        {
            let mut tries = 0;
            while let Err(error) = place.stage.engine.catch_up().await {
                tries += 1;
                if tries > 20 {
                    self.world.broken(format!("engine {number} cannot follow: {error}"));
                    return;
                }
            }
            let directory = place.stage.engine.directory();
            let newest = self.world.model().policies.keys().copied().max_by_key(|policy| policy.version);
            let known = directory.current_policy(people::project()).map(|policy| policy.reference);
            if known != newest {
                self.world
                    .broken(format!("engine {number} decides by {known:?}, and {newest:?} is published"));
                return;
            }
            for channel in directory.channels() {
                let paused = self.world.model().is_paused(channel.id);
                if channel.is_paused() != paused {
                    self.world.broken(format!("engine {number} has {} paused: {}", channel.name, !paused));
                    return;
                }
            }
        }
    }
}

/// One of the engines, by chance, that is not dead.
fn someone(world: &World, places: &[Place], number: u64) -> Option<usize> {
    let alive: Vec<usize> = (0..places.len()).filter(|place| !places[*place].dead).collect();
    let mut chance = Chance::new(world.setting.seed, &format!("who is asked {number}"));
    let place = usize::try_from(chance.below(alive.len() as u64)).unwrap_or(0);
    alive.get(place).copied()
}
