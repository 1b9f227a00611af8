//! What the published minutes show: nothing yet, no throttling, a trace of it, or enough for a change.

use crate::common::{Fixture, newest, now, offered, settled};
use crate::decides;
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::report::Document;

fn healthy() -> Fixture {
    Fixture::new(2).minutes(-9..=0, offered(1000.0, 2))
}

/// Two shards under three times their load.
fn throttled() -> MinuteTraffic {
    offered(3000.0, 2)
}

rows! { decides;
    a_throttle_after_the_newest_minute_waits_for_its_evidence:
        healthy().call(|c| c.time = Some(now())) => "evidence_pending";
    a_throttle_in_a_published_minute_without_throttling_is_healthy: healthy() => "healthy";
    a_person_who_asks_about_a_healthy_stream_learns_so: healthy().asked() => "healthy";
    a_stream_without_writes_is_healthy: Fixture::new(2).asked() => "healthy";
    throttling_that_stopped_three_minutes_ago_is_over: healthy().minutes(-6..=-3, throttled()) => "healthy";
    a_steady_stream_without_any_datapoint_for_ten_minutes_is_unknown:
        Fixture::new(2).minutes(-30..=-10, throttled()).asked() => "evidence_pending";
    a_steady_stream_without_any_datapoint_for_an_hour_has_stopped:
        Fixture::new(2).minutes(-90..=-70, throttled()).asked() => "healthy";
    throttling_of_a_producer_that_writes_now_and_then_is_over_with_its_traffic:
        Fixture::new(2).minutes(-30..=-30, throttled()).minutes(-10..=-9, throttled()).asked() => "healthy";
    one_record_in_a_thousand_refused_is_negligible:
        Fixture::new(2).minutes(-9..=0, MinuteTraffic { write_throttled: 60.0, ..offered(1000.0, 2) })
        => "negligible";
    heavy_throttling_that_has_come_down_to_a_trace_is_negligible:
        Fixture::under_load(2, 3000.0)
            .minutes(-1..=-1, offered(1000.0, 2))
            .minutes(0..=0, MinuteTraffic { write_throttled: 1.0, ..offered(1000.0, 2) })
        => "negligible";
    one_throttled_minute_scales: healthy().minutes(0..=0, throttled()) => "scale_shards";
    one_throttled_minute_is_unconfirmed_where_two_are_needed:
        healthy().minutes(0..=0, throttled()).policy(|p| p.confirm_minutes = 2) => "unconfirmed";
    one_throttled_minute_of_the_same_incident_scales_where_two_are_needed_for_the_first:
        healthy()
            .minutes(0..=0, throttled())
            .memory(&settled(1, 2, 400, 60))
            .policy(|p| p.confirm_minutes = 2)
        => "scale_shards";
}

#[test]
fn evidence_from_before_the_last_change_does_not_count() {
    // 9,000 a second before the change settled, 4,600 after it.
    let fixture = Fixture::new(4).minutes(-9..=-3, offered(9000.0, 2)).minutes(-2..=0, offered(4600.0, 4));
    let seconds = (now() - newest().plus(-2).start()).num_seconds() + 60;
    crate::writes::scales(fixture.memory(&settled(2, 4, seconds, 60)), (4, 7, None));
}

#[test]
fn the_sentence_names_the_side_that_is_throttled() {
    let minute =
        MinuteTraffic { write_throttled: 3.0, read_throttled: 600.0, get_records_calls: 600.0, ..offered(1000.0, 2) };
    let fixture = Fixture::new(2).minutes(-9..=0, minute);
    let decision = fixture.decide();
    let document = Document::new(&fixture.signal, fixture.observation.stream.as_ref(), &decision, None);
    assert_eq!(document.code, "too_many_readers");
    assert!(document.sentence.contains("3,000 GetRecords calls refused"), "{}", document.sentence);
}
