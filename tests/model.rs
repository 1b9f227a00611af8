//! The simulator runs the core by itself. Here its numbers are those of the Lambda.

use std::time::Duration;
use unthrottle::aws;
use unthrottle::sweep;
use unthrottle_lab::sim::{faults, ours};

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).expect("short")
}

#[test]
fn the_fault_schedules_give_calls_up_as_the_clients_do() {
    let (call, change, datum) = (aws::CALL, aws::ATTEMPT_ONCE, aws::ATTEMPT);
    assert_eq!(faults::PATIENCE, (seconds(call), seconds(change), seconds(datum)));
    assert_eq!(faults::ATTEMPT, seconds(aws::ATTEMPT));
}

#[test]
fn the_simulated_sweep_checks_again_as_often_as_the_lambda_does() {
    assert_eq!(ours::AGAIN_EVERY, seconds(sweep::AGAIN_EVERY));
}
