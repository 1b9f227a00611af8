//! Laws of changes that are made before a stream throttles.

use crate::common::{Fixture, newest, now, offered};
use proptest::prelude::*;
use std::sync::Arc;
use unthrottle_core::decision::{ExpectedBy, Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory, Planned};
use unthrottle_core::observation::{Limits, Minute, Past};
use unthrottle_core::policy::{FORESIGHT_TAG, Foresight};

use chrono::TimeDelta;

prop_compose! {
    /// Any calm stream in foresight: any load of today and of earlier days, any plan, any past changes, any bounds.
    fn calm()(
        open in 1u32..60,
        start in 0.0..1.0f64,
        rise in -0.01..0.02f64,
        noise in 0.0..0.05f64,
        days in proptest::collection::vec(proptest::option::of(0.0..3.0f64), 14),
        spent in 0i64..10,
        aheads in 0i64..10,
        plan in proptest::option::of((1u32..100, 1i64..600)),
        max in 1u32..100,
        left in proptest::option::of(0u32..50),
        foresight in prop_oneof![Just("off"), Just("observe"), Just("act")],
        cost in proptest::option::of(0.05..5.0f64),
        restore in 0u32..4,
    ) -> Fixture {
        let mut fixture = Fixture::new(open).asked().tag(FORESIGHT_TAG, foresight);
        let full = f64::from(open) * 1000.0;
        for ago in 0..60 {
            let load = start + rise * (60 - ago) as f64 + if ago % 2 == 0 { noise } else { -noise };
            fixture = fixture.minutes(-ago..=-ago, offered(load.clamp(0.0, 0.999) * full, open));
        }
        let mut past = Past::default();
        for (day, load) in days.into_iter().enumerate() {
            let Some(load) = load else { continue };
            let middle = newest().plus(-1440 * (day as i64 + 1));
            for step in -24..48 {
                let first = Minute::of(middle.start()).plus(5 * step);
                let first = first.plus(-first.start().timestamp().div_euclid(60).rem_euclid(5));
                // Before and after the minute of now, the day may differ.
                let share = if step > 0 { load } else { start };
                *past.mean_mut(first) = offered(share * full, 200);
            }
        }
        fixture.observation.past = Some(Arc::new(past));
        let mut memory = Memory::default();
        for n in (0..spent).rev() {
            let kind = if n < aheads { ChangeKind::ScaleAhead } else { ChangeKind::Scale };
            let at = now() - TimeDelta::hours(2 * n + 2);
            memory = memory.intend(Change::intent(kind, open.div_ceil(2), open, at), false);
        }
        if let Some(change) = memory.change.as_mut() {
            change.settled = Some(change.at + TimeDelta::minutes(1));
            (change.healed, change.published) = (change.settled, change.settled);
            memory.base = Some(open.div_ceil(2));
        }
        let until = |minutes| now() + TimeDelta::minutes(minutes);
        memory.planned = plan.map(|(at_least, minutes)| Planned { at_least, until: until(minutes) });
        fixture = fixture.memory(&memory);
        fixture.observation.limits = left.map(|left| Limits {
            shard_limit: open + left,
            open_shards: open,
            on_demand_streams: 0,
            on_demand_stream_limit: 2,
        });
        fixture.policy(|p| {
            (p.max_shards, p.max_shards_ceiling, p.max_hourly_cost) = (max, max, cost);
            (p.foresight, p.restore_after_hours) = (Foresight::Act, restore);
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_change_ahead_of_the_load_stays_within_every_bound(fixture in calm()) {
        let decision = fixture.decide();
        crate::bounds::bounds_of_cost(&fixture, &decision)?;
        if let Verdict::Act(remedy) = &decision.verdict {
            prop_assert!(
                matches!(remedy, Remedy::ScaleAhead { .. } | Remedy::Restore { .. }),
                "a calm stream is never switched or split: {remedy:?}"
            );
            crate::bounds::bounds_of_shards(&fixture, &decision)?;
            let memory = decision.memory.as_ref().expect("a record");
            prop_assert_eq!(&Memory::parse(&memory.encode().expect("fits")), &Ok(memory.clone()));
        }
        if let Verdict::Act(Remedy::ScaleAhead { .. }) = &decision.verdict {
            let is_planned = decision.evidence.expected_by == Some(ExpectedBy::Plan);
            prop_assert!(is_planned || fixture.observation.tags[FORESIGHT_TAG] != "off", "only who asks for it");
            prop_assert!(decision.evidence.reshards_last_24_hours < Some(6), "four are kept for throttles");
            let after = fixture.clone().memory(decision.memory.as_ref().expect("a record"));
            prop_assert_ne!(after.code(), "scale_ahead", "the same is never made twice");
        }
    }

    #[test]
    fn a_stream_that_only_observes_is_never_changed_ahead_of_the_load(fixture in calm()) {
        let fixture = fixture.tag(FORESIGHT_TAG, "observe").remembering(|memory| memory.planned = None);
        let decision = fixture.decide();
        if let Verdict::Act(Remedy::ScaleAhead { .. }) = &decision.verdict {
            prop_assert_eq!(decision.outcome.to_string(), "planned");
            let memory = decision.memory.expect("a record");
            prop_assert_eq!(memory.change, fixture.remembered().change, "no change is announced");
        }
    }

    #[test]
    fn foresight_changes_nothing_where_the_setting_is_off(fixture in calm()) {
        let without = fixture.clone().with(|f| drop(f.observation.tags.remove(FORESIGHT_TAG)));
        let off = fixture.policy(|p| p.foresight = Foresight::Off);
        let (off, without) = (off.decide(), without.decide());
        prop_assert_eq!((off.verdict, off.memory), (without.verdict, without.memory));
    }
}
