//! What the signal alone decides, before AWS is read.

use crate::common::{Fixture, home};
use unthrottle_core::decide::{hold_unobserved, triage};
use unthrottle_core::decision::Verdict;
use unthrottle_core::policy::Mode;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Alarm, Caller, Signal, StreamArn};

const EXCEEDED: &str = "ProvisionedThroughputExceededException";
const REFUSED: &str = "SubscribeToShard.RateExceeded";
const SUBSCRIBED: &str = "SubscribeToShard.Success";

const ROLE: &str = "arn:aws:iam::123456789012:role/ops/unthrottle-role";
const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/unthrottle-role/f";
const SESSION_OF_ANOTHER_ROLE: &str = "arn:aws:sts::123456789012:assumed-role/unthrottle-role-2/f";

/// Asserts the code of the hold, or `observe` where triage returns none.
#[track_caller]
fn triaged(fixture: Fixture, code: &str) {
    let held = triage(&fixture.signal, &fixture.policy, &home()).map(Verdict::Hold);
    assert_eq!(held.as_ref().map_or("observe", Verdict::code), code);
}

/// A call that failed.
fn failed(operation: &str, error_code: &str) -> Fixture {
    Fixture::new(2).call(|c| (c.operation, c.error_code) = (operation.into(), Some(error_code.into())))
}

/// A throttled PutRecords.
fn throttled() -> Fixture {
    failed("PutRecords", EXCEEDED)
}

/// A throttled PutRecords of a caller, where the Lambda's role is [`ROLE`].
fn throttled_caller(change: impl FnOnce(&mut Caller)) -> Fixture {
    throttled().policy(|p| p.role_arn = Some(ROLE.into())).call(|c| change(&mut c.caller))
}

fn alarm(change: impl FnOnce(&mut Alarm)) -> Fixture {
    let mut alarm = Alarm {
        name: "orders-throttled".into(),
        state: "ALARM".into(),
        account: Some(home().account),
        region: Some(home().region),
        on_kinesis: true,
        stream: StreamArn::new("orders", &home()),
        ..Alarm::default()
    };
    change(&mut alarm);
    Fixture::new(2).with(|f| f.signal = Signal::Alarm(alarm))
}

fn alarm_on(metrics: &[&str]) -> Fixture {
    alarm(|a| a.metrics = metrics.iter().copied().map(str::to_owned).collect())
}

rows! { triaged;
    a_throttled_put_records_is_observed: throttled() => "observe";
    a_throttled_put_record_is_observed: failed("PutRecord", EXCEEDED) => "observe";
    a_throttled_get_records_is_observed: failed("GetRecords", EXCEEDED) => "observe";
    an_injected_throttle_is_observed: failed("PutRecord", "ThrottlingException") => "observe";
    a_dry_run_is_no_throttle: failed("PutRecords", "DryRunOperationException") => "not_a_throttle";
    a_call_that_succeeded_is_no_throttle: Fixture::new(2).call(|c| c.error_code = None) => "not_a_throttle";
    an_internal_failure_is_no_throttle: failed("PutRecords", "InternalFailure") => "not_a_throttle";
    a_code_in_another_script_is_no_throttle: failed("PutRecords", "ÀÉ") => "not_a_throttle";
    a_subscription_renewed_within_5_seconds_is_no_throttle:
        failed("SubscribeToShard", "ResourceInUseException") => "not_a_throttle";
    a_mode_that_is_off_for_all_streams_opts_out: Fixture::new(2).policy(|p| p.mode = Mode::Off) => "opted_out";
    a_person_who_asks_gets_an_observation: Fixture::new(2).asked() => "observe";
}

rows! { triaged;
    a_call_of_another_account_is_not_ours: throttled().call(|c| c.account = Some("9".repeat(12))) => "not_ours";
    a_call_of_another_region_is_not_ours: throttled().call(|c| c.region = Some("eu-west-1".into())) => "not_ours";
    a_stream_of_another_account_is_not_ours:
        throttled().call(|c| c.stream = StreamArn::parse("arn:aws:kinesis:us-east-1:999999999999:stream/orders"))
        => "not_ours";
    a_throttle_without_a_stream_is_not_ours: throttled().call(|c| c.stream = None) => "not_ours";
    a_throttled_queue_is_not_ours:
        failed("ReceiveQueueRecords", "ThrottlingException").call(|c| c.stream = None) => "not_ours";
    a_call_by_our_role_is_our_own: throttled_caller(|c| c.role = Some(ROLE.into())) => "own_call";
    a_call_by_a_session_of_our_role_is_our_own:
        throttled_caller(|c| c.principal = Some(SESSION.into())) => "own_call";
    a_role_whose_name_begins_like_ours_is_observed:
        throttled_caller(|c| c.principal = Some(SESSION_OF_ANOTHER_ROLE.into())) => "observe";
}

rows! { triaged;
    access_denied_as_cloudtrail_writes_it_is_held:
        failed("PutRecord", "AccessDenied").call(|c| c.stream = None) => "access_denied";
    access_denied_as_sdks_see_it_is_held: failed("PutRecord", "AccessDeniedException") => "access_denied";
    a_denied_subscription_is_held_as_denied: failed("SubscribeToShard", "AccessDeniedException") => "access_denied";
    access_denied_by_kms_is_held: failed("PutRecords", "KMSAccessDeniedException") => "kms_denied";
    a_disabled_kms_key_is_held_as_denied: failed("PutRecords", "KMSDisabledException") => "kms_denied";
    access_denied_with_kms_in_the_message_is_held_as_kms:
        failed("PutRecords", "AccessDenied").call(|c| {
            let message = "User: u is not authorized to perform: kms:GenerateDataKey on resource: k";
            c.error_message = Some(message.into());
        }) => "kms_denied";
    a_throttle_by_kms_is_held: failed("PutRecords", "KMSThrottlingException") => "kms_throttled";
}

rows! { triaged;
    a_throttled_list_shards_needs_no_shards:
        failed("ListShards", "LimitExceededException") => "control_plane_throttled";
    a_throttled_get_shard_iterator_needs_no_shards: failed("GetShardIterator", EXCEEDED) => "control_plane_throttled";
    a_refused_switch_of_mode_needs_no_shards:
        failed("UpdateStreamMode", "LimitExceededException") => "control_plane_throttled";
    limit_exceeded_is_never_about_capacity:
        failed("PutRecords", "LimitExceededException") => "control_plane_throttled";
    an_unknown_operation_needs_no_shards: failed("FrobStream", "ThrottlingException") => "control_plane_throttled";
    a_throttled_list_queues_needs_no_shards:
        failed("ListQueues", "LimitExceededException") => "control_plane_throttled";
}

rows! { triaged;
    too_many_subscriptions_are_too_many_readers:
        failed("SubscribeToShard", "LimitExceededException") => "too_many_readers";
    an_injected_throttle_of_subscriptions_is_too_many_readers:
        failed("SubscribeToShard", "ThrottlingException") => "too_many_readers";
    a_subscription_refused_for_throughput_is_too_many_readers:
        failed("SubscribeToShard", EXCEEDED) => "too_many_readers";
    too_many_subscriptions_to_an_unknown_stream_are_too_many_readers:
        failed("SubscribeToShard", "LimitExceededException").call(|c| c.stream = None) => "too_many_readers";
    an_alarm_on_refused_subscriptions_is_too_many_readers: alarm_on(&[REFUSED]) => "too_many_readers";
    an_alarm_on_the_share_of_refused_subscriptions_is_too_many_readers:
        alarm_on(&[REFUSED, SUBSCRIBED]) => "too_many_readers";
    an_alarm_on_subscriptions_that_succeed_is_observed: alarm_on(&[SUBSCRIBED]) => "observe";
    an_alarm_on_subscriptions_and_writes_is_observed:
        alarm_on(&[REFUSED, "WriteProvisionedThroughputExceeded"]) => "observe";
    an_alarm_on_subscriptions_that_is_ok_again_has_recovered:
        alarm_on(&[REFUSED]).with(|f| {
            if let Signal::Alarm(alarm) = &mut f.signal {
                alarm.state = "OK".into();
            }
        }) => "recovered";
}

rows! { triaged;
    an_alarm_on_a_stream_is_observed: alarm(|_| ()) => "observe";
    an_alarm_on_another_service_is_not_ours: alarm(|a| (a.on_kinesis, a.stream) = (false, None)) => "not_ours";
    an_alarm_on_several_streams_is_not_ours: alarm(|a| a.stream = None) => "not_ours";
    a_muted_alarm_is_held: alarm(|a| a.muted_by = Some("rule".into())) => "muted";
    an_alarm_that_is_ok_again_has_recovered: alarm(|a| a.state = "OK".into()) => "recovered";
    an_alarm_without_data_has_recovered: alarm(|a| a.state = "INSUFFICIENT_DATA".into()) => "recovered";
}

/// The sentence of a hold without an observation.
fn sentence(fixture: &Fixture) -> String {
    let reason = triage(&fixture.signal, &fixture.policy, &home()).expect("held");
    let decision = hold_unobserved(reason, &fixture.policy);
    Document::new(&fixture.signal, None, &decision, None).sentence
}

#[test]
fn a_refused_subscription_is_reported_with_its_caller_and_its_consumer() {
    let consumer = "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/app:1789813511";
    let says = sentence(&failed("SubscribeToShard", "LimitExceededException").call(|c| {
        c.caller.principal = Some("arn:aws:iam::123456789012:user/reader".into());
        c.resource = Some(consumer.into());
    }));
    let caller = "orders: SubscribeToShard of arn:aws:iam::123456789012:user/reader";
    for part in [caller, consumer, "once a second", "back off"] {
        assert!(says.contains(part), "{part}: {says}");
    }
}

#[test]
fn an_alarm_on_refused_subscriptions_advises_a_consumer_for_each_reader() {
    assert!(sentence(&alarm_on(&[REFUSED])).contains("a registered consumer of its own"));
}
