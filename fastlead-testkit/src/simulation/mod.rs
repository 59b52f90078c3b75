//! A whole installation, simulated from one seed: the real engine on a virtual clock, with people,
//! channels and a store that are slow, silent and flaky, and a process that dies in the middle.
//!
//! What happens depends on the seed alone. What must hold is checked at every call of the store and
//! after every step, and once more when everything has come to rest; `docs/simulation.md` lists it.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use fastlead_testkit::conformance::store::FullStore;
//! use fastlead_testkit::simulation::Simulation;
//!
//! # fn acme_store() -> Arc<dyn FullStore> { unimplemented!("the doctest only compiles") }
//! let report = Simulation::new(17).run(acme_store()).expect("nothing is broken");
//! println!("{} leads in {} steps", report.leads, report.steps);
//! ```

mod bidder;
mod chance;
mod clock;
mod drive;
mod journal;
mod mirror;
mod model;
mod patience;
mod people;
mod policy;
mod polls;
mod provider;
mod questions;
mod rest;
mod setting;
mod watch;
mod watch_catalog;
mod watch_rates;
mod world;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use fastlead_core::policy::Policy;
use fastlead_core::port::Transition;

use tokio::runtime::Handle;

use self::patience::Patience;
use self::setting::Setting;
use self::world::World;
use crate::conformance::store::FullStore;

/// How many lines of the journal a failure shows.
const SHOWN: usize = 40;

/// See [`Simulation::bend`].
pub type Bend = fn(&mut Transition);

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// Everything that the seed makes.
    Any,
    /// Nothing.
    Good,
}

/// One simulation. The same settings on an empty store go the same way, step by step.
#[derive(Debug, Clone)]
pub struct Simulation {
    seed: u64,
    visits: Option<usize>,
    last_step: Option<u64>,
    policy: Option<Policy>,
    written: Arc<[Policy]>,
    shown: usize,
    bend: Option<Bend>,
    untold_time: bool,
    engines: Option<usize>,
}

/// What a simulation that went well has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How many moments there were at which something happened.
    pub steps: u64,
    /// How many leads there are.
    pub leads: u64,
    /// How many decisions were made, and made again.
    pub decisions: u64,
    /// How many deliveries there are.
    pub deliveries: u64,
    /// How many leads were put up for bids.
    pub auctions: u64,
    /// How many times the process died.
    pub crashes: u64,
    /// How many engines worked on the store.
    pub engines: u64,
    /// How many engines were on machines whose clocks were wrong.
    pub wrong_clocks: u64,
    /// How many times one of several engines stood still or died.
    pub stops: u64,
    /// How many decisions were compared with those of a replay.
    pub compared: u64,
    /// What has happened at least once: `event`, `status`, `reason`, `refusal` or `delivery`, a space, and the name.
    pub reached: BTreeSet<String>,
    /// Two runs went the same way if and only if this is equal.
    pub hash: u64,
}

/// Something that must hold did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// How many visits there were.
    pub visits: usize,
    /// At which step.
    pub step: u64,
    /// What does not hold.
    pub what: String,
    /// The last lines of the journal.
    pub journal: Vec<String>,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, visits, step, what, journal } = self;
        writeln!(f, "seed {seed} with {visits} visits, step {step}: {what}")?;
        for line in journal {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "again: cargo xtask simulate --seed {seed} --visits {visits}")?;
        write!(f, "or:    SIM_SEED={seed} cargo test -p fastlead-store --test it simulation")
    }
}

impl Simulation {
    /// What this seed makes.
    pub fn new(seed: u64) -> Self {
        let written = Arc::default();
        Self {
            seed,
            visits: None,
            last_step: None,
            policy: None,
            written,
            shown: SHOWN,
            bend: None,
            untold_time: false,
            engines: None,
        }
    }

    /// With so many visits instead of those that the seed makes: the first of them stay as they are.
    #[must_use]
    pub const fn visits(mut self, visits: usize) -> Self {
        self.visits = Some(visits);
        self
    }

    /// With so many engines on the store, 1 to 4, instead of as many as the seed makes.
    #[must_use]
    pub const fn engines(mut self, engines: usize) -> Self {
        self.engines = Some(engines);
        self
    }

    /// Ends after this step, from 1. What must hold only at rest is not checked then.
    #[must_use]
    pub const fn until_step(mut self, step: u64) -> Self {
        self.last_step = Some(step);
        self
    }

    /// By this policy instead of one that the seed makes. Its sources are called `site` and `partner`, and as its
    /// own conditions name them; visitors say what its conditions ask about.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// In one of seven seeds one of these policies leads instead of one by chance.
    #[must_use]
    pub fn among(mut self, written: Arc<[Policy]>) -> Self {
        self.written = written;
        self
    }

    /// Shows so many lines of the journal where something does not hold. Default 40.
    #[must_use]
    pub const fn show(mut self, lines: usize) -> Self {
        self.shown = lines;
        self
    }

    /// Makes every decision on its way to the store into that of a decider with a flaw: for proofs that what must hold
    /// is checked.
    #[must_use]
    pub const fn bend(mut self, bend: Bend) -> Self {
        self.bend = Some(bend);
        self
    }

    /// Engines on machines whose clocks are wrong go by these clocks, and not by the store's: for a proof that this is
    /// noticed.
    #[must_use]
    pub const fn untold_time(mut self) -> Self {
        self.untold_time = true;
        self
    }

    /// Plays it on an empty store in memory, which answers every call at once and outlives the process.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn run(&self, store: Arc<dyn FullStore>) -> Result<Report, Failure> {
        self.play(Patience::None, &mut || Ok(Arc::clone(&store)))
    }

    /// Plays it on a store that works by the threads and tasks of `runtime`, such as one in a file. `open` opens
    /// it: empty for the first time, and again as it was left whenever the process has died. Every call is waited
    /// for on the spot, so there is one at a time, and the same seed goes the same way.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn run_elsewhere(
        &self,
        runtime: &Handle,
        mut open: impl FnMut() -> fastlead_core::Result<Arc<dyn FullStore>>,
    ) -> Result<Report, Failure> {
        self.play(Patience::While(runtime.clone()), &mut open)
    }

    /// Plays it on an empty store in memory in good weather, and what came from outside once more in a
    /// [`fastlead_core::replay::Replay`]: every decision is the same, to the byte.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn run_against_replay(&self, store: Arc<dyn FullStore>) -> Result<Report, Failure> {
        self.play_in(Weather::Good, Patience::None, &mut || Ok(Arc::clone(&store)))
    }

    fn play(
        &self,
        patience: Patience,
        open: &mut dyn FnMut() -> fastlead_core::Result<Arc<dyn FullStore>>,
    ) -> Result<Report, Failure> {
        self.play_in(Weather::Any, patience, open)
    }

    fn play_in(
        &self,
        weather: Weather,
        patience: Patience,
        open: &mut dyn FnMut() -> fastlead_core::Result<Arc<dyn FullStore>>,
    ) -> Result<Report, Failure> {
        let setting = match self.setting() {
            Ok(mut setting) => {
                setting.bend = self.bend;
                setting.untold_time = self.untold_time;
                if let Some(engines) = self.engines {
                    setting.engines = engines.clamp(1, 4);
                    setting.stops.retain(|stop| stop.engine < setting.engines && setting.engines > 1);
                }
                if weather == Weather::Good {
                    setting.quieten();
                }
                setting
            }
            Err(error) => {
                let what = format!("the seed makes a policy that cannot be read: {error}");
                let visits = self.visits.unwrap_or(0);
                return Err(Failure { seed: self.seed, visits, step: 0, what, journal: Vec::new() });
            }
        };
        let (visits, crashes) = (setting.visits.len(), setting.crashes.len() as u64);
        let world = Arc::new(World::new(setting, self.shown, patience));
        let mut compared = 0;
        world.model().decided = (weather == Weather::Good).then(Vec::new);
        let store = drive::play(&world, open, self.last_step);
        if let Some(store) = store.filter(|_| world.fault().is_none() && self.last_step.is_none()) {
            rest::check(&world, &*store);
            if weather == Weather::Good {
                match mirror::compare(&world) {
                    Ok(all) => compared = all,
                    Err(what) => world.broken(what),
                }
            }
        }
        let fault = world.fault();
        let journal = world.journal();
        if let Some(what) = fault {
            let (step, journal) = (journal.step(), journal.recent());
            return Err(Failure { seed: self.seed, visits, step, what, journal });
        }
        let model = world.model();
        Ok(Report {
            seed: self.seed,
            steps: journal.step(),
            leads: model.leads.len() as u64,
            decisions: model.decisions,
            deliveries: model.deliveries.len() as u64,
            auctions: model.auctions_held(),
            crashes,
            engines: world.setting.engines as u64,
            wrong_clocks: world.setting.wrong_clocks(),
            stops: world.setting.stops.len() as u64,
            compared,
            reached: model.reached.clone(),
            hash: journal.hash(),
        })
    }

    /// The policies that lead: the first from the start, others are published while leads are under way.
    ///
    /// # Errors
    /// Where the seed makes one that cannot be read.
    pub fn policies(&self) -> Result<Vec<Policy>, serde_json::Error> {
        self.setting().map(|setting| setting.policies)
    }

    fn setting(&self) -> Result<Setting, serde_json::Error> {
        Setting::new(self.seed, self.visits, self.policy.as_ref(), &self.written)
    }

    /// Looks for the smallest number of visits with which `failure` still happens in some way. `run` plays each on
    /// a fresh store.
    pub fn shrink(&self, failure: Failure, run: impl Fn(&Self) -> Result<Report, Failure>) -> Failure {
        let smaller = (1..failure.visits).find_map(|visits| run(&self.clone().visits(visits)).err());
        smaller.unwrap_or(failure)
    }
}
