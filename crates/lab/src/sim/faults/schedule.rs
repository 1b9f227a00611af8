//! What goes wrong, and when: data that is drawn from a seed, that a person can read, and of which parts can be left out.

use super::super::account::Account;
use super::super::chance::{Chance, FAULTS};
use super::super::keys::Keys;
use super::super::load::Load;
use super::super::retry::Retry;
use super::super::world::Setup;
use std::fmt;
use std::sync::LazyLock;
use unthrottle_core::cost::Prices;
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::policy::{Permission, Policy};

/// Things go wrong until then, in seconds of the run: time for a load of four times the shards to be healed but for them.
pub const TROUBLE_ENDS: i64 = 20 * 60;

/// Nothing goes wrong after that, and the run ends then. Four sweeps: a run that failed at the end is tried again for three
/// minutes, a datum that is missing is sent after five, and one that was sent twice is seen after three.
pub const ENDS: i64 = TROUBLE_ENDS + 20 * 60;

/// A stream that is neither healed nor held by name for good is given time until then: after two refusals AWS is left alone for
/// an hour, and where the alarm stays raised, the sweep makes a step in ten minutes, and a hot key takes five.
pub const LATEST: i64 = ENDS + 2 * 60 * 60;

/// A person's maximum of shards that nothing here comes near.
pub(super) const MANY_SHARDS: u32 = 100;

/// Bytes of a record: 1,000 a second fill a shard, by their number.
const RECORD_BYTES: u64 = 500;

/// Records a second where one key has six tenths of them: one and a half shards.
const HOT_RECORDS: f64 = 2_500.0;

/// What an idle stream is offered, as a share of what it takes.
const IDLE: f64 = 0.1;

/// Keys of a producer whose keys are even: each of a few shards has dozens of them.
const KEYS: u32 = 400;

/// A stream, what it is offered, and what is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    /// What is the matter with it.
    pub kind: Kind,
    /// Its shards at the beginning.
    pub shards: u32,
    /// What it is offered from the beginning on, as a multiple of what its shards take.
    pub load: f64,
    /// The person's maximum.
    pub max_shards: u32,
    /// Whether it may be switched to on-demand mode.
    pub on_demand: bool,
    /// Whether shard-level metrics may be switched on.
    pub diagnose: bool,
    /// Whether what was raised is given back after an hour.
    pub restore: bool,
    /// The person's maximum of changes an hour.
    pub changes_an_hour: u32,
    /// The person's maximum of USD an hour.
    pub usd_an_hour: Option<f64>,
}

/// What is the matter with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// It has too few shards.
    Short,
    /// One key has more than a shard takes, and the others little.
    HotKey,
    /// It is idle but for a few seconds of each minute.
    Bursts,
    /// It is in on-demand mode, and offered more than its shards take.
    OnDemand,
    /// Too few shards, and the account may open few more.
    NearQuota,
    /// Too few shards, and most reshards of the day are made.
    BudgetNearlySpent,
    /// Too few shards, and a person has switched unthrottle off for it.
    OptedOut,
    /// It was raised two hours ago, by unthrottle, and has more than it needs.
    Raised,
}

/// Something that happens at a second of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When.
    pub at: i64,
    /// What.
    pub event: Event,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A signal arrives beside those of the alarm and the sweep.
    Signal(Hint),
    /// What becomes of the next word of the alarm.
    Alarm(Delivery),
    /// What goes wrong with the next call of this kind, whoever makes it.
    Next(On, Trouble),
    /// What a person does.
    Person(Deed),
}

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// CloudTrail tells of a call that was throttled so many seconds ago.
    Throttle(i64),
    /// The alarm is raised; it was so many seconds ago.
    Alarm(i64),
    /// A person asks.
    Ask,
    /// The scheduled sweep finds the stream.
    Sweep,
}

/// What becomes of an event on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It never arrives.
    Lost,
    /// It arrives twice.
    Twice,
    /// It arrives so many seconds later, maybe after the next.
    Late(i64),
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum On {
    /// The reads of a look.
    Look,
    /// The reads of a closer look.
    CloserLook,
    /// `TagResource`.
    Tag,
    /// The change itself.
    Change,
    /// `PutMetricData`.
    Count,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The container dies before AWS gets it.
    CrashBefore,
    /// The container dies after AWS has carried it out.
    CrashAfter,
    /// AWS carries it out, and its answers are lost.
    AnswerLost,
    /// AWS answers 5xx and does nothing.
    Failed,
    /// AWS refuses it for its rate.
    Refused,
    /// The first answer is lost, and the client asks again three seconds later.
    Twice,
    /// It takes so many seconds.
    Slow(i64),
    /// The summary and the tags are those of so many seconds ago.
    Stale(i64),
}

/// What a person does to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Doubles its shards.
    Double,
    /// Halves them.
    Halve,
    /// Adds one.
    AddOne,
    /// Switches its capacity mode to the other one.
    SwitchMode,
    /// Deletes all its tags, as Terraform does.
    Untag,
    /// Sets `unthrottle.mode=off`.
    SwitchOff,
    /// Takes that back.
    SwitchOn,
}

/// A stream and what happens to it and to those who look after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// What chance has for the durations of calls, and for the world.
    pub seed: u64,
    /// The stream.
    pub situation: Situation,
    /// In the order of time.
    pub entries: Vec<Entry>,
}

impl Schedule {
    /// The schedule that `seed` has at this place: the same for ever.
    pub fn drawn(seed: u64, index: u64) -> Schedule {
        let mut chance = Chance::new(seed, FAULTS.wrapping_add(index));
        let own = chance.between(0, 1 << 48).unsigned_abs();
        let situation = Situation::drawn(&mut chance);
        let mut entries = vec![];
        for _ in 0..chance.between(1, 4) {
            crowd(&mut entries, &mut chance);
        }
        for _ in 0..chance.between(0, 2) {
            let at = chance.between(0, TROUBLE_ENDS - 1);
            entries.push(Entry { at, event: Event::Alarm(Delivery::drawn(&mut chance)) });
        }
        for _ in 0..[0, 0, 1, 1, 2, 3][pick(&mut chance, 6)] {
            let at = chance.between(0, TROUBLE_ENDS - 1);
            entries.push(Entry { at, event: Event::Person(Deed::drawn(&mut chance)) });
        }
        entries.sort_by_key(|entry| entry.at);
        Schedule { seed: own, situation: situation.bounded(&mut chance), entries }
    }
}

/// Two to four signals within a few seconds, and what goes wrong meanwhile.
fn crowd(entries: &mut Vec<Entry>, chance: &mut Chance) {
    // Two throttled minutes are published by then: most runs of the crowd have something to decide on.
    let start = chance.between(150, TROUBLE_ENDS - 60);
    for _ in 0..chance.between(2, 4) {
        let at = start + chance.between(0, 4);
        entries.push(Entry { at, event: Event::Signal(Hint::drawn(chance)) });
    }
    for _ in 0..chance.between(0, 3) {
        let at = (start - chance.between(0, 30)).max(0);
        let (on, trouble) = trouble(chance);
        entries.push(Entry { at, event: Event::Next(on, trouble) });
    }
    if chance.fraction() < 0.15 {
        let at = start + chance.between(0, 90);
        entries.push(Entry { at, event: Event::Person(Deed::drawn(chance)) });
    }
}

/// A place in a list of so many.
fn pick(chance: &mut Chance, of: i64) -> usize {
    usize::try_from(chance.between(0, of - 1)).unwrap_or_default()
}

fn trouble(chance: &mut Chance) -> (On, Trouble) {
    use Trouble::{AnswerLost, CrashAfter, CrashBefore, Failed, Refused, Slow, Stale, Twice};
    let on = [On::Look, On::CloserLook, On::Tag, On::Tag, On::Change, On::Change, On::Count][pick(chance, 7)];
    let seconds = chance.between(1, 6);
    let trouble = [CrashBefore, CrashAfter, AnswerLost, Failed, Refused, Slow(seconds), Slow(seconds)][pick(chance, 7)];
    let is_other = chance.fraction() < 0.3;
    match on {
        // A summary from before the shortest change is what no look's age can tell of.
        On::Look if is_other => (on, Stale(chance.between(1, 2))),
        On::Tag if is_other => (on, Twice),
        _ => (on, trouble),
    }
}

impl Situation {
    fn drawn(chance: &mut Chance) -> Situation {
        use Kind::{BudgetNearlySpent, Bursts, HotKey, NearQuota, OnDemand, OptedOut, Raised, Short};
        let kinds = [Short, Short, Short, HotKey, Bursts, OnDemand, NearQuota, BudgetNearlySpent, OptedOut, Raised];
        let kind = kinds[pick(chance, 10)];
        let fraction = chance.fraction();
        let (shards, load) = match kind {
            // With fewer shards a key that fills one of them fills most of the stream.
            HotKey => (chance.between(4, 6), 0.0),
            Bursts => (chance.between(2, 4), 0.0),
            OnDemand => (chance.between(2, 4), 1.1 + 0.8 * fraction),
            Raised => (2 * chance.between(1, 3), 0.2 + 0.2 * fraction),
            _ => (chance.between(1, 4), 1.1 + 2.4 * fraction),
        };
        let shards = u32::try_from(shards).unwrap_or(1);
        let is_tight = chance.fraction() < 0.2;
        let max_shards = if is_tight { shards + u32::try_from(chance.between(0, 4)).unwrap_or(0) } else { MANY_SHARDS };
        let mut is = |share: f64| chance.fraction() < share;
        let (on_demand, diagnose, restore) = (is(0.7), is(0.5), is(0.5));
        let (changes_an_hour, usd_an_hour) = (Policy::default().max_changes_per_hour, None);
        Situation { kind, shards, load, max_shards, on_demand, diagnose, restore, changes_an_hour, usd_an_hour }
    }

    /// The same, now and then with little that a person allows.
    fn bounded(mut self, chance: &mut Chance) -> Situation {
        if chance.fraction() < 0.15 {
            self.changes_an_hour = u32::try_from(chance.between(1, 3)).unwrap_or(1);
        }
        if chance.fraction() < 0.15 {
            // What the load costs on up to four times its shards.
            let shards = f64::from(self.shards) * (1.0 + 3.0 * chance.fraction());
            self.usd_an_hour = Some(self.usd_an_hour_for(&Prices::default(), shards));
        }
        self
    }

    /// Records a second that are new, at least.
    fn least_records(&self) -> f64 {
        match self.kind {
            Kind::HotKey => HOT_RECORDS,
            Kind::Bursts => IDLE * self.full(),
            _ => self.load * self.full(),
        }
    }

    /// Records a second that its shards take at the beginning.
    fn full(&self) -> f64 {
        f64::from(self.shards) * 1_000.0
    }

    /// What they cost on so many shards, in USD an hour.
    pub(super) fn usd_an_hour_for(&self, prices: &Prices, shards: f64) -> f64 {
        // Each record is one unit: they are small.
        self.least_records() * 3_600.0 / 1e6 * prices.put_units_million + shards * prices.shard_hour
    }

    /// What they cost in on-demand mode, in USD an hour.
    pub(super) fn usd_an_hour_on_demand(&self, prices: &Prices) -> f64 {
        let gigabytes = self.least_records() * 3_600.0 * RECORD_BYTES as f64 / f64::from(1 << 30);
        prices.on_demand_stream_hour + gigabytes * prices.on_demand_in_gb
    }

    /// The policy of the deployment.
    pub fn policy(&self) -> Policy {
        let permission = |is_allowed| if is_allowed { Permission::Allow } else { Permission::Deny };
        Policy {
            max_shards: self.max_shards,
            max_shards_ceiling: self.max_shards,
            on_demand: permission(self.on_demand),
            diagnose: permission(self.diagnose),
            restore_after_hours: u32::from(self.restore),
            max_changes_per_hour: self.changes_an_hour,
            max_hourly_cost: self.usd_an_hour,
            ..Policy::default()
        }
    }

    /// The stream at the beginning.
    pub fn setup(&self) -> Setup {
        static EVEN: LazyLock<Keys> = LazyLock::new(|| Keys::even(KEYS));
        static HOT: LazyLock<Keys> = LazyLock::new(|| Keys::with_a_hot_one(0.6, KEYS));
        let account = match self.kind {
            Kind::NearQuota => {
                let left = (self.load * 10.0) as u32 % (self.shards + 1);
                Account { shard_limit: 50 + self.shards + left, other_shards: 50, ..Account::default() }
            }
            _ => Account::default(),
        };
        Setup {
            shards: self.shards,
            mode: if self.kind == Kind::OnDemand { CapacityMode::OnDemand } else { CapacityMode::Provisioned },
            keys: if self.kind == Kind::HotKey { HOT.clone() } else { EVEN.clone() },
            record_bytes: RECORD_BYTES,
            // Twice: more retries only make a load of a load.
            retry: Retry::after(&[1, 2]),
            account,
        }
    }

    /// Reshards of ours in the day before, in seconds before the run.
    pub fn reshards_before(&self) -> Vec<i64> {
        let count = match self.kind {
            Kind::BudgetNearlySpent => 7 + i64::from(self.shards) % 4,
            Kind::Raised => 1,
            _ => 0,
        };
        (0..count).rev().map(|n| 2 * 3_600 + n * 7_000).collect()
    }

    /// What is offered, in records a second.
    pub fn offered(&self) -> Load {
        let full = self.full();
        let steady = |records| Load::Step { from: records, to: records, at: 0 };
        match self.kind {
            Kind::HotKey => steady(HOT_RECORDS),
            Kind::Bursts => Load::Pulse { low: IDLE * full, high: 3.0 * full, every: 60, lasts: 3 },
            _ => steady(self.load * full),
        }
    }
}

impl Hint {
    fn drawn(chance: &mut Chance) -> Hint {
        let ago = chance.between(1, 400);
        [Hint::Throttle(ago), Hint::Throttle(ago), Hint::Alarm(ago), Hint::Ask, Hint::Ask, Hint::Sweep][pick(chance, 6)]
    }
}

impl Delivery {
    fn drawn(chance: &mut Chance) -> Delivery {
        [Delivery::Lost, Delivery::Twice, Delivery::Late(chance.between(10, 600))][pick(chance, 3)]
    }
}

impl Deed {
    fn drawn(chance: &mut Chance) -> Deed {
        use Deed::{AddOne, Double, Halve, SwitchMode, SwitchOff, SwitchOn, Untag};
        [Double, Halve, AddOne, SwitchMode, Untag, Untag, SwitchOff, SwitchOn][pick(chance, 8)]
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.situation)?;
        for entry in &self.entries {
            writeln!(f, "  {:02}:{:02}  {}", entry.at / 60, entry.at % 60, entry.event)?;
        }
        if self.entries.is_empty() { writeln!(f, "  nothing goes wrong") } else { Ok(()) }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Situation { kind, shards, load, max_shards, on_demand, diagnose, restore, changes_an_hour, .. } = self;
        let word = |is: &bool| if *is { "allowed" } else { "denied" };
        write!(
            f,
            "{kind}: {shards} shards (at most {max_shards}), offered {load:.2} times what they take; on-demand {}, \
             diagnosis {}, restore {}; at most {changes_an_hour} changes an hour",
            word(on_demand),
            word(diagnose),
            word(restore)
        )?;
        self.usd_an_hour.map_or(Ok(()), |usd| write!(f, ", ${usd:.4} an hour"))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Signal(Hint::Throttle(ago)) => write!(f, "signal: a call was throttled {ago} s ago"),
            Event::Signal(Hint::Alarm(ago)) => write!(f, "signal: the alarm was raised {ago} s ago"),
            Event::Signal(Hint::Ask) => f.write_str("signal: a person asks"),
            Event::Signal(Hint::Sweep) => f.write_str("signal: the sweep finds the stream"),
            Event::Alarm(Delivery::Lost) => f.write_str("the alarm's next word is lost"),
            Event::Alarm(Delivery::Twice) => f.write_str("the alarm's next word arrives twice"),
            Event::Alarm(Delivery::Late(by)) => write!(f, "the alarm's next word arrives {by} s late"),
            Event::Next(on, trouble) => write!(f, "the next {on}: {trouble}"),
            Event::Person(deed) => write!(f, "a person {deed}"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::CrashBefore => f.write_str("the container dies before it"),
            Trouble::CrashAfter => f.write_str("the container dies after it"),
            Trouble::AnswerLost => f.write_str("is carried out, and never answered"),
            Trouble::Failed => f.write_str("is answered 5xx, and not carried out"),
            Trouble::Refused => f.write_str("is refused for its rate"),
            Trouble::Twice => f.write_str("is sent again after three seconds"),
            Trouble::Slow(seconds) => write!(f, "takes {seconds} s"),
            Trouble::Stale(seconds) => write!(f, "sees the summary and the tags of {seconds} s before"),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Deed::Double => "doubles the shards",
            Deed::Halve => "halves the shards",
            Deed::AddOne => "adds a shard",
            Deed::SwitchMode => "switches the capacity mode",
            Deed::Untag => "deletes the tags",
            Deed::SwitchOff => "sets unthrottle.mode=off",
            Deed::SwitchOn => "deletes unthrottle.mode",
        })
    }
}

impl Trouble {
    /// Its name in a summary.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::CrashBefore | Trouble::CrashAfter => "crash",
            Trouble::AnswerLost => "lost reply",
            Trouble::Failed => "5xx",
            Trouble::Refused => "refusal",
            Trouble::Twice => "sent twice",
            Trouble::Slow(_) => "slow call",
            Trouble::Stale(_) => "stale read",
        }
    }
}
