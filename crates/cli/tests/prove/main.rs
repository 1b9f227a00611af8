//! `unthrottle prove` before the local account and before moto, which this project did not write. Kinesis and
//! CloudWatch are the local account. EventBridge, SQS, CloudTrail and KMS answer from moto.

mod accounts;
mod faults;
mod function;
mod home;
mod kill;
#[path = "../../../../tests/common/moto.rs"]
mod moto;
mod proxy;
#[path = "../../../../tests/common/python.rs"]
mod python;
mod steps;
mod usage;
