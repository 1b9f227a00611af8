//! Laws of readers that are behind.

mod common;

use common::{Fixture, offered};
use proptest::prelude::*;
use unthrottle_core::observation::MinuteTraffic;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_that_stands_still_or_keeps_its_distance_loses_data_from_half_of_the_retention_on(
        behind in 0.0..86_400_000.0f64,
        pace in prop_oneof![Just(0.0), Just(60_000.0)],
        retention in 24u32..169,
        minutes in 1i64..60,
    ) {
        let fixture = (-minutes..=0).fold(Fixture::new(2), |fixture, ago| {
            let age = behind + pace * (ago + minutes) as f64;
            fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: Some(age), ..offered(1000.0, 2) })
        });
        let fixture = fixture.stream(|s| s.retention_hours = retention);
        let (age, half) = (behind + pace * minutes as f64, f64::from(retention) * 1_800_000.0);
        prop_assert_eq!(fixture.code() == "consumer_slow", age > half);
        prop_assert_eq!(fixture.decide().evidence.data_loss_in_hours.is_some(), age > half);
    }

    #[test]
    fn a_reader_that_gains_ground_loses_no_data(
        behind in 7_200_000.0..86_400_000.0f64,
        // From a tenth of the time that passes on.
        gain in 6_001.0..600_000.0f64,
        minutes in 2i64..12,
    ) {
        let fixture = (-minutes..=0).fold(Fixture::new(2), |fixture, ago| {
            let age = behind - gain * (ago + minutes) as f64;
            fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: Some(age), ..offered(1000.0, 2) })
        });
        prop_assert_eq!(fixture.code(), "healthy");
    }
}
