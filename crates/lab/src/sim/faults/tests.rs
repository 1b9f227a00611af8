//! The invariants hold. With a defect in a run, the checks find a broken invariant.

use super::check::Invariant;
use super::flaw::Flaw;
use super::play::play_with;
use super::schedule::{Action, CallKind, Entry, Event, ExtraSignal, Kind, Situation, Trouble};
use super::*;
use strum::IntoEnumIterator as _;

#[test]
fn a_seed_and_a_place_give_the_same_schedule_and_the_same_end() {
    let (one, same) = (Schedule::drawn(1, 7), Schedule::drawn(1, 7));
    assert_eq!(one, same);
    assert_eq!(play(&one), play(&same));
    assert_ne!(one, Schedule::drawn(1, 8));
    assert_ne!(one, Schedule::drawn(2, 7));
}

#[test]
fn all_kinds_of_streams_and_troubles_are_drawn() {
    let drawn: Vec<Schedule> = (0..300).map(|index| Schedule::drawn(1, index)).collect();
    for kind in Kind::iter() {
        assert!(drawn.iter().any(|schedule| schedule.situation.kind == kind), "{kind}");
    }
    let text: String = drawn.iter().map(ToString::to_string).collect();
    for words in [
        "was throttled",
        "alarm was raised",
        "person asks",
        "sweep finds",
        "word is lost",
        "arrives twice",
        "s late",
        "dies before",
        "dies after",
        "never answered",
        "5xx",
        "for its rate",
        "sent again",
        "takes",
        "s before",
        "doubles",
        "halves",
        "adds a shard",
        "capacity mode",
        "deletes the tags",
        "mode=off",
        "deletes unthrottle.mode",
        "a raise that never was",
        "a switch that never was",
        "of no change",
        "makes it anew",
        "splits half",
        "at most 2 changes an hour",
        ", $0.",
    ] {
        assert!(text.contains(words), "{words}");
    }
}

#[test]
fn the_first_schedules_hold() {
    for index in 0..200 {
        let schedule = Schedule::drawn(1, index);
        if let Err(broken) = play(&schedule) {
            let (shortest, broken) = shrink(&schedule, broken, |shorter| play(shorter).err());
            panic!("{index}: {broken}\n{shortest}\n{}", trace(&shortest).join("\n"));
        }
    }
}

/// The invariants that a defect breaks, among others.
fn breaks(flaw: Flaw) -> &'static [Invariant] {
    use Invariant::{
        Bounded, Counted, Ending, FreshObservation, GivenBack, Incurable, LossTold, NoIllegalCall, OneChangeAStep,
        OptedOut, OwnNumbers, Supported,
    };
    match flaw {
        Flaw::None => &[],
        Flaw::StaleObservation => &[FreshObservation],
        Flaw::NoIntent => &[OneChangeAStep],
        // Without a memory, `ListShards` still shows when the last change was done, so no second change follows it.
        Flaw::Forgetful => &[Counted],
        Flaw::CountsTwice | Flaw::CountsNever | Flaw::CountsFirst => &[Counted],
        Flaw::DeafToTags => &[OptedOut],
        Flaw::InflatesTraffic => &[Incurable, Supported],
        Flaw::AlwaysSwitches
        | Flaw::EnablesShardMetrics
        | Flaw::IgnoresMaxShards
        | Flaw::IgnoresMaxCost
        | Flaw::IgnoresHourlyChanges => &[Bounded],
        Flaw::BelievesTags => &[GivenBack],
        Flaw::Silent => &[LossTold],
        Flaw::Misspeaks => &[OwnNumbers],
        Flaw::Doubles => &[Bounded, Supported],
        Flaw::Triples | Flaw::ForgetsReshards | Flaw::IgnoresShardQuota => &[NoIllegalCall],
        Flaw::Idle => &[Ending],
    }
}

/// The first schedule in which a defect breaks an invariant, in its shortest form.
fn shown(flaw: Flaw, invariant: Invariant) -> (Schedule, Broken) {
    let breaks = |schedule: &Schedule| play_with(schedule, flaw).err().filter(|broken| broken.invariant == invariant);
    let find = |index| {
        let schedule = Schedule::drawn(1, index);
        breaks(&schedule).map(|broken| shrink(&schedule, broken, breaks))
    };
    (0..6_000).find_map(find).unwrap_or_else(|| panic!("{flaw:?} never breaks {invariant}"))
}

#[test]
fn each_flaw_is_found_by_a_short_schedule() {
    for flaw in Flaw::iter() {
        for invariant in breaks(flaw) {
            let (shortest, broken) = shown(flaw, *invariant);
            assert!(shortest.entries.len() <= 3, "{flaw:?}: {broken}\n{shortest}");
            assert_eq!(play(&shortest).err(), None, "{flaw:?} and not the schedule is to blame\n{shortest}");
        }
    }
}

#[test]
fn each_invariant_can_fail() {
    for invariant in Invariant::iter() {
        assert!(Flaw::iter().any(|flaw| breaks(flaw).contains(&invariant)), "{invariant}");
    }
}

#[test]
fn shrinking_keeps_the_needed_entries_only() {
    let entries = (0..20).map(|at| Entry { at, event: Event::Person(Action::Untag) }).collect();
    let situation = Situation { kind: Kind::Short, ..Schedule::drawn(1, 0).situation };
    let schedule = Schedule { seed: 1, situation, entries };
    let fails = |shorter: &Schedule| {
        let has = |at: i64| shorter.entries.iter().any(|entry| entry.at == at);
        let broken = |at| Broken { invariant: Invariant::Counted, at, why: String::new() };
        (has(3) && has(16)).then(|| broken(shorter.entries.len() as i64))
    };
    let (shortest, broken) = shrink(&schedule, fails(&schedule).expect("fails"), fails);
    assert_eq!(shortest.entries.iter().map(|entry| entry.at).collect::<Vec<_>>(), [3, 16]);
    assert_eq!(broken.at, 2, "as the shortest fails");
}

/// Traces in which a person reverts the shards and the tags of a change. The run that finds the revert fails by
/// `troubles`, each this number of seconds after the request for the run.
fn traces_of_a_revert(troubles: &[(i64, CallKind, Trouble)], end: &str) -> Vec<Vec<String>> {
    let at = |at, event| Entry { at, event };
    let found_at = 14 * 60;
    let mut entries = vec![
        at(600, Event::Person(Action::Halve)),
        at(600, Event::Person(Action::Untag)),
        at(found_at, Event::Signal(ExtraSignal::Ask)),
    ];
    entries.extend(troubles.iter().map(|(after, on, trouble)| at(found_at + after, Event::Next(*on, *trouble))));
    entries.sort_by_key(|entry| entry.at);
    let kind = Kind::Short;
    let drawn = Schedule::drawn(1, 0).situation;
    let (max_shards, changes_an_hour) = (100, 100);
    let situation = Situation { kind, shards: 4, load: 1.5, max_shards, usd_an_hour: None, changes_an_hour, ..drawn };
    let traces = (0..40).map(|seed| trace(&Schedule { seed, situation: situation.clone(), entries: entries.clone() }));
    traces.filter(|trace| trace.iter().any(|line| line.contains(end))).collect()
}

#[test]
fn a_revert_is_counted_even_if_the_run_that_found_it_fails() {
    let stale = [(0, CallKind::Tag, Trouble::Slow(4)), (3, CallKind::Observe, Trouble::AnswerLost)];
    let unanswered = [(0, CallKind::Tag, Trouble::AnswerLost)];
    for (troubles, end) in [(&stale[..], "ends: Err(Read)"), (&unanswered, "ends: Err(Act)")] {
        let traces = traces_of_a_revert(troubles, end);
        assert!(!traces.is_empty(), "no run {end}");
        for trace in traces {
            assert!(trace.iter().any(|line| line.contains("CountReverted")), "{}", trace.join("\n"));
        }
    }
}

#[test]
fn strangers_tempt_unthrottle_to_give_back() {
    let schedules = (0..400).map(|index| Schedule::drawn(1, index));
    let kinds = schedules.map(|schedule| schedule.situation.kind);
    let tempted = kinds.filter(|kind| matches!(kind, Kind::Roomy | Kind::RoomyOnDemand)).count();
    assert!(tempted > 20, "{tempted}");
}

/// A stream with this problem, and one stranger after five minutes.
fn with_a_stranger(kind: Kind, load: f64, action: Action) -> Schedule {
    let drawn = Schedule::drawn(1, 0).situation;
    let (shards, max_shards, changes_an_hour, usd_an_hour) = (4, 100, 100, None);
    let situation = Situation {
        kind,
        shards,
        load,
        max_shards,
        changes_an_hour,
        usd_an_hour,
        restore: true,
        on_demand: true,
        ..drawn
    };
    let at = |at, event| Entry { at, event };
    let entries = vec![at(300, Event::Person(action)), at(900, Event::Signal(ExtraSignal::Ask))];
    Schedule { seed: 1, situation, entries }
}

#[track_caller]
fn holds(schedule: &Schedule) {
    if let Err(broken) = play(schedule) {
        panic!("{broken}\n{schedule}\n{}", trace(schedule).join("\n"));
    }
}

#[test]
fn a_forged_memory_of_a_raise_takes_no_shards_away() {
    holds(&with_a_stranger(Kind::Roomy, 0.2, Action::ForgeRaise));
}

#[test]
fn a_forged_memory_of_a_switch_takes_no_mode_away() {
    holds(&with_a_stranger(Kind::RoomyOnDemand, 0.2, Action::ForgeSwitch));
}

/// A roomy stream, and a stranger who writes a memory whose datum is missing. A run sends the datum, and this many
/// seconds after the stranger another run looks.
fn with_a_missing_datum(kind: Kind, action: Action, looked: i64) -> Schedule {
    let mut schedule = with_a_stranger(kind, 0.2, action);
    schedule.entries[0].at = 301;
    schedule.entries.push(Entry { at: 301 + looked, event: Event::Signal(ExtraSignal::Ask) });
    schedule
}

#[test]
fn a_datum_that_a_forged_memory_makes_a_run_send_gives_nothing_back() {
    for schedule in [
        with_a_missing_datum(Kind::Roomy, Action::ForgeRaise, 1200),
        // A switch back waits for a day.
        with_a_missing_datum(Kind::RoomyOnDemand, Action::ForgeSwitch, 1500),
    ] {
        let is_sent = trace(&schedule).iter().any(|line| line.contains("Count(CountedChange"));
        assert!(is_sent, "no datum is sent: {schedule}\n{}", trace(&schedule).join("\n"));
        holds(&schedule);
    }
}

#[test]
fn a_stream_made_anew_keeps_its_shards() {
    holds(&with_a_stranger(Kind::Raised, 0.2, Action::Recreate));
}

#[test]
fn a_reshard_that_a_person_left_half_way_ends_healed_or_named() {
    holds(&with_a_stranger(Kind::Short, 1.3, Action::HalfReshard));
}

#[test]
fn a_forged_datum_changes_nothing_of_a_roomy_stream() {
    holds(&with_a_stranger(Kind::Roomy, 0.2, Action::ForgeFix));
}

#[test]
fn bursts_that_last_are_told() {
    holds(&with_a_stranger(Kind::Bursts, 0.0, Action::SwitchOn));
}

#[test]
fn a_hot_key_that_lasts_is_told() {
    holds(&with_a_stranger(Kind::HotKey, 0.0, Action::SwitchOn));
}

/// The schedules that once broke an invariant, in a line each: how they are drawn, seed, place, date, and what broke.
const KEPT: &str = include_str!("kept.txt");

#[test]
fn the_schedules_that_once_failed_hold() {
    let lines: Vec<&str> = KEPT.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() >= 3, "{KEPT}");
    for line in lines {
        let [drawn, seed, index, date, ..] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (seed, index) = (seed.parse().expect(line), index.parse().expect(line));
        assert!(date.len() == 10 && date.starts_with("20"), "{line}");
        holds(&match drawn {
            "plain" => Schedule::drawn(seed, index),
            "swarm" => Schedule::swarm(seed, index),
            _ => panic!("{line}"),
        });
    }
}

#[test]
fn a_person_reads_which_containers_are_older() {
    let older = (0..2_000).map(|index| Schedule::swarm(1, index)).find(|schedule| schedule.situation.older);
    assert!(older.expect("some batch").to_string().contains("of an older release"));
}
