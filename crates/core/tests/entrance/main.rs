//! The entrance: which calls a run makes, in which order, and what AWS's answers to them come to.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;
mod account;
mod process;

use account::{Aws, Failure};
use common::{Fixture, newest, offered, seconds_ago};
use unthrottle_core::decision::Outcome;
use unthrottle_core::memory::{ChangeKind, Memory, Planned, TAG};
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::policy::{FORESIGHT_TAG, Foresight, Mode};
use unthrottle_core::run::{Container, RunError};

/// Two shards that need four.
fn throttled() -> Aws {
    Aws::of(Fixture::under_load(2, 3000.0))
}

/// The same with a topic for messages.
fn with_topic() -> Aws {
    let topic = "arn:aws:sns:us-east-1:123456789012:scaling";
    Aws::of(Fixture::under_load(2, 3000.0).policy(|p| p.topic_arn = Some(topic.into())))
}

/// AWS's words of a denied change.
const DENIED: Failure = Failure::Says(
    "AccessDeniedException",
    "User: arn:aws:sts::123456789012:assumed-role/unthrottle/unthrottle is not authorized to perform: \
     kinesis:UpdateShardCount on resource: arn:aws:kinesis:us-east-1:123456789012:stream/orders because no \
     identity-based policy allows the kinesis:UpdateShardCount action",
);

#[test]
fn a_change_is_announced_then_made_then_counted() {
    let mut aws = throttled();
    let handled = aws.run();
    assert_eq!(aws.names(), ["observe", "complete", "tag", "change", "count"]);
    assert_eq!((handled.document.code, handled.decision.outcome), ("scale_shards", Outcome::Acted));
    assert!(handled.is_observed);
    assert!(aws.calls[2].starts_with("tag v=1 change=scale/2/4/20261120T170530Z"), "{:?}", aws.calls);
    assert_eq!(aws.calls[4], "count scale_shards 2 17:05:30");
}

#[test]
fn a_change_is_notified_where_there_is_a_topic() {
    let mut aws = with_topic();
    aws.run();
    assert_eq!(aws.calls.last().map(String::as_str), Some("notify scale_shards"));
}

/// Records of 200 bytes fill their shards five times as fast by number as by bytes.
#[test]
fn the_document_of_a_run_has_the_advice_on_its_observation() {
    let calm = offered(500.0, 2);
    let small = MinuteTraffic { incoming_bytes: 200.0 * calm.incoming_records, ..calm };
    let advice = |minute| Aws::of(Fixture::new(2).asked().minutes(-90..=0, minute)).run().document.advice;
    let codes: Vec<&str> = advice(small).iter().map(|advice| advice.code).collect();
    assert_eq!(codes, ["small-records"]);
    assert_eq!(advice(MinuteTraffic { incoming_bytes: 2_000.0 * calm.incoming_records, ..calm }), []);
}

#[test]
fn a_plan_makes_no_call_but_its_message() {
    let mut aws = with_topic();
    aws.fixture = aws.fixture.policy(|p| p.mode = Mode::Observe);
    let handled = aws.run();
    assert_eq!(handled.decision.outcome, Outcome::Planned);
    assert_eq!(aws.names(), ["observe", "complete", "notify"]);
}

/// Four shards in foresight that only observes, with a load that stays at 80 %.
fn expecting() -> Fixture {
    let calm = Fixture::new(4).asked().tag(FORESIGHT_TAG, "observe").policy(|p| p.foresight = Foresight::Observe);
    calm.minutes(-90..=0, offered(3200.0, 4))
}

#[test]
fn a_forecast_that_only_observes_is_recorded_and_changes_nothing() {
    let mut aws = Aws::of(expecting());
    let handled = aws.run();
    assert_eq!((handled.document.code, handled.decision.outcome), ("scale_ahead", Outcome::Planned));
    assert!(aws.names().contains(&"tag") && !aws.names().contains(&"change"), "{:?}", aws.calls);
    assert!(aws.fixture.remembered().forecast.is_some());
}

/// Two calm shards. A person plans as many as they have, or two more.
fn planning(at_least: u32) -> Aws {
    let plan = Planned { at_least, until: seconds_ago(-7200) };
    Aws::of(Fixture::new(2).minutes(-90..=0, offered(500.0, 2)).asked_to(|ask| ask.plan = Some(plan)))
}

#[test]
fn a_plan_is_recorded_with_half_a_second_left_and_fails_the_run_with_less() {
    for (milliseconds, is_recorded) in [(2500, true), (2501, false)] {
        let mut aws = planning(2).taking("observe", milliseconds).taking("observe", milliseconds);
        match aws.run_in(&Container::default()) {
            Ok(handled) => assert_eq!((is_recorded, handled.document.code), (true, "healthy")),
            Err(error) => assert!(!is_recorded && matches!(error, RunError::TooSlow), "{error:?}"),
        }
        assert_eq!(aws.names().contains(&"tag"), is_recorded, "{milliseconds} ms: {:?}", aws.calls);
    }
}

#[test]
fn a_plan_that_one_slow_look_did_not_record_is_recorded_by_the_second() {
    let mut aws = planning(2).taking("observe", 2501);
    assert_eq!(aws.run().document.code, "healthy");
    assert_eq!(aws.names(), ["observe", "observe", "tag"]);
    assert!(aws.fixture.remembered().planned.is_some());
}

#[test]
fn a_plan_that_is_recorded_already_needs_no_time() {
    let mut aws = planning(2);
    aws.run();
    let mut again = Aws::of(aws.fixture.asked()).taking("observe", 2999);
    assert_eq!(again.run().document.code, "healthy");
    assert_eq!(again.names(), ["observe"]);
}

#[test]
fn a_plan_that_a_busy_stream_does_not_take_fails_the_run() {
    const BUSY: Failure = Failure::Says("ResourceInUseException", "UPDATING");
    let mut aws = planning(2).failing("tag", BUSY).failing("tag", BUSY);
    let failed = aws.run_in(&Container::default()).expect_err("no record");
    assert!(matches!(failed, RunError::TooSlow), "{failed:?}");
}

/// The data that a run sends again of a change from 2 to 4 shards, 481 s ago, that the metric does not show.
fn sent_again(change: impl FnOnce(&mut Memory)) -> Vec<String> {
    let mut memory = common::settled(2, 4, 481, 60);
    change(&mut memory);
    let mut aws = Aws::of(Fixture::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&memory));
    aws.run();
    aws.calls.into_iter().filter(|call| call.starts_with("count")).collect()
}

#[test]
fn a_datum_that_is_sent_again_has_the_time_of_its_change_and_its_shards() {
    assert_eq!(sent_again(|_| ()), ["count scale_shards 2 16:57:29 again"]);
    // The memory keeps only the kind of the change before it.
    let owed = |memory: &mut Memory| {
        memory.unpublished = Some((ChangeKind::Scale, seconds_ago(3000)));
        memory.change.as_mut().expect("a change").published = Some(seconds_ago(60));
    };
    assert_eq!(sent_again(owed), ["count scale_shards 0 16:15:30 again"]);
}

/// A memory with these words that names a change of an hour ago which never was. Its datum is missing, so that a run
/// sends it.
fn forged(words: &str, is_on_demand: bool) -> Fixture {
    let at = seconds_ago(3700).format("%Y%m%dT%H%M%SZ").to_string();
    let fixture = Fixture::new(4).minutes(-1439..=0, offered(1000.0, 4)).asked().tag(TAG, &words.replace("AT", &at));
    let fixture = fixture.policy(|p| p.restore_after_hours = 1);
    if is_on_demand { fixture.on_demand() } else { fixture }
}

#[test]
fn a_datum_that_a_forged_memory_makes_a_run_send_is_marked_as_sent_again() {
    for (words, is_on_demand) in [
        ("v=1 change=scale/4/4/AT done=60 heal=300 base=1", false),
        ("v=1 change=switch/4/4/AT done=60 heal=300 was=p base=1", true),
        ("v=1 change=scale/1/4/AT done=60 heal=300 seen=300 base=1 owed=scale/60", false),
    ] {
        let mut aws = Aws::of(forged(words, is_on_demand));
        aws.run();
        let counts: Vec<_> = aws.calls.iter().filter(|call| call.starts_with("count")).collect();
        assert!(counts.len() == 1 && counts[0].ends_with(" again"), "{words}: {:?}", aws.calls);
    }
}

#[test]
fn an_observation_of_just_under_three_seconds_is_good_for_a_change() {
    let mut aws = throttled().taking("tag", 2999);
    aws.run();
    assert_eq!(aws.names(), ["observe", "complete", "tag", "change", "count"]);
}

#[test]
fn an_observation_of_three_seconds_is_made_anew_and_announced_once() {
    let mut aws = throttled().taking("tag", 3000);
    let handled = aws.run();
    assert_eq!(handled.decision.outcome, Outcome::Acted);
    assert_eq!(aws.names(), ["observe", "complete", "tag", "observe", "complete", "change", "count"]);
}

#[test]
fn two_observations_that_are_too_old_end_the_run_without_a_change() {
    let mut aws = throttled().taking("tag", 3000);
    aws.takes.push(("complete", 0));
    aws.takes.push(("complete", 3000));
    let failed = aws.run_in(&Container::default()).expect_err("too slow");
    assert!(matches!(failed, RunError::TooSlow), "{failed:?}");
    assert_eq!(aws.names(), ["observe", "complete", "tag", "observe", "complete"]);
}

#[test]
fn a_second_observation_that_holds_leaves_the_intent_in_the_tag() {
    let mut aws = throttled().taking("tag", 3000);
    aws.updates_after_tag = true;
    assert_eq!(aws.run().document.code, "resharding");
    assert_eq!(aws.names().iter().filter(|call| **call == "tag").count(), 1, "{:?}", aws.calls);
    assert!(!aws.names().contains(&"change"), "{:?}", aws.calls);
}

/// Asserts the code that a failed call comes to, or `failed`, and the calls from the tag on.
#[track_caller]
fn comes_to((call, failure): (&'static str, Failure), (code, calls): (&str, &[&str])) {
    let mut aws = throttled().failing(call, failure);
    let came = aws.run_in(&Container::default());
    let came = came.map_or_else(|_| "failed".to_owned(), |handled| handled.document.code.to_string());
    assert_eq!(came, code);
    assert_eq!(aws.names()[2..], *calls, "{:?}", aws.calls);
}

rows! { comes_to;
    a_denied_tag_changes_nothing: ("tag", DENIED) => ("cannot_remember", &["tag"]);
    a_tag_on_a_busy_stream_changes_nothing:
        ("tag", Failure::Says("ResourceInUseException", "UPDATING")) => ("resharding", &["tag"]);
    a_tag_on_a_deleted_stream_changes_nothing:
        ("tag", Failure::Says("ResourceNotFoundException", "not found")) => ("stream_gone", &["tag"]);
    a_tag_without_an_answer_fails_the_run: ("tag", Failure::Silence) => ("failed", &["tag"]);
    a_throttled_tag_fails_the_run:
        ("tag", Failure::Says("ThrottlingException", "Rate exceeded")) => ("failed", &["tag"]);
    a_tag_above_a_rate_fails_the_run:
        ("tag", Failure::Says("LimitExceededException", "Rate exceeded")) => ("failed", &["tag"]);
    a_denied_change_is_recorded: ("change", DENIED) => ("change_denied", &["tag", "change", "tag"]);
    a_refused_change_is_recorded:
        ("change", Failure::Says("LimitExceededException", "more than 10")) => ("refused", &["tag", "change", "tag"]);
    an_invalid_change_is_recorded:
        ("change", Failure::Says("InvalidArgumentException", "no")) => ("refused", &["tag", "change", "tag"]);
    a_change_on_a_busy_stream_is_a_hold:
        ("change", Failure::Says("ResourceInUseException", "UPDATING")) => ("resharding", &["tag", "change"]);
    a_change_of_a_deleted_stream_is_a_hold:
        ("change", Failure::Says("ResourceNotFoundException", "gone")) => ("stream_gone", &["tag", "change"]);
    a_change_without_an_answer_fails_the_run: ("change", Failure::Silence) => ("failed", &["tag", "change"]);
    a_datum_that_is_lost_does_not_fail_the_run:
        ("count", Failure::Silence) => ("scale_shards", &["tag", "change", "count"]);
}

#[test]
fn a_read_that_fails_fails_the_run() {
    for call in ["observe", "complete"] {
        let mut aws = throttled().failing(call, Failure::Silence);
        let failed = aws.run_in(&Container::default()).expect_err("no answer");
        assert!(matches!(failed, RunError::Call(_)), "{failed:?}");
        assert_eq!(aws.names().last(), Some(&call));
    }
}

#[test]
fn a_refused_change_says_what_follows() {
    let refusals = [Failure::Says("LimitExceededException", "more than 10"), DENIED];
    let sentences = refusals.map(|refusal| throttled().failing("change", refusal).run().document.sentence);
    assert!(sentences.iter().all(|sentence| sentence.contains("unthrottle tries again.")), "{sentences:?}");
}

/// The word `refused` of the memory after AWS refused the change with this code and message.
fn remembered_refusal(code: &'static str, message: &'static str) -> Option<u32> {
    let mut aws = throttled().failing("change", Failure::Says(code, message));
    aws.run();
    aws.fixture.remembered().refused.map(|refusal| refusal.minutes)
}

#[test]
fn only_a_limit_that_is_no_quota_counts_as_a_used_budget() {
    assert_eq!(remembered_refusal("LimitExceededException", "Rate exceeded for stream orders"), Some(1));
    let quota = "This request would exceed the shard limit for the account";
    assert_eq!(remembered_refusal("LimitExceededException", quota), Some(0));
    assert_eq!(remembered_refusal("ValidationException", "Rate exceeded"), Some(0));
}

#[test]
fn a_person_is_notified_of_a_denied_change_once_an_hour() {
    let mut aws = with_topic().failing("change", DENIED);
    aws.run();
    assert_eq!(aws.calls.last().map(String::as_str), Some("notify change_denied"));
    assert_eq!(aws.fixture.remembered().notified.map(|(code, _)| code).as_deref(), Some("change_denied"));
}

#[test]
fn a_refusal_while_the_loss_lasts_is_told_once_an_hour() {
    for (minutes, is_lasting, is_notified) in [(None, true, true), (None, false, false), (Some(59), true, false)] {
        let mut aws = with_topic().failing("change", Failure::Says("LimitExceededException", "Rate exceeded"));
        let throttled = if is_lasting { -30..=0 } else { -4..=0 };
        aws.fixture = aws.fixture.minutes(-30..=0, offered(100.0, 2)).minutes(throttled, offered(3000.0, 2));
        let notified = minutes.map(|minutes| ("refused".to_owned(), seconds_ago(60 * minutes)));
        aws.fixture = aws.fixture.memory(&Memory { notified, ..Memory::default() });
        assert_eq!(aws.run().document.code, "refused");
        assert_eq!(aws.names().contains(&"notify"), is_notified, "{minutes:?} {is_lasting}: {:?}", aws.calls);
    }
}

#[test]
fn a_person_who_got_the_message_of_a_denied_change_within_the_hour_gets_no_other() {
    for (minutes, is_notified) in [(59, false), (60, true)] {
        let notified = Some(("change_denied".to_owned(), seconds_ago(60 * minutes)));
        let mut aws = with_topic().failing("change", DENIED);
        aws.fixture = aws.fixture.memory(&Memory { notified, ..Memory::default() });
        assert_eq!(aws.run().document.code, "change_denied");
        assert_eq!(aws.names().contains(&"notify"), is_notified, "{minutes} minutes: {:?}", aws.calls);
    }
}

#[test]
fn a_change_that_another_run_has_just_made_is_not_counted() {
    let mut aws = throttled();
    aws.shards_before = Some(4);
    assert_eq!(aws.run().document.code, "resharding");
    assert_eq!(aws.names(), ["observe", "complete", "tag", "change"]);
}

/// Four shards. Six minutes of throttling at two shards, and four minutes without after the change.
fn healed() -> Aws {
    let mut memory = common::settled(2, 4, 400, 60);
    memory.change.as_mut().expect("just made").since = Some(newest().plus(-9).start());
    let fixture = Fixture::new(4).minutes(-9..=-4, offered(3000.0, 2)).minutes(-3..=0, offered(3000.0, 4));
    Aws::of(fixture.memory(&memory).published(seconds_ago(400)))
}

#[test]
fn a_verified_change_is_recorded_while_the_observation_is_good() {
    let mut aws = healed();
    let handled = aws.run();
    assert_eq!(handled.document.code, "healthy");
    assert!(aws.names().contains(&"tag"), "{:?}", aws.calls);
    assert!(aws.fixture.remembered().change.expect("a change").healed.is_some());
}

#[test]
fn a_verified_change_is_recorded_with_half_a_second_left_and_not_with_less() {
    for (milliseconds, is_recorded) in [(2500, true), (2501, false)] {
        let mut aws = healed().taking("observe", milliseconds);
        let handled = aws.run();
        assert_eq!(handled.document.code, "healthy");
        assert_eq!(aws.names().contains(&"tag"), is_recorded, "{milliseconds} ms: {:?}", aws.calls);
        assert_eq!(handled.decision.outcome == Outcome::Healed, is_recorded, "{milliseconds} ms");
    }
}
