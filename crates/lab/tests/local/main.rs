//! The local account, called by the SDK clients that the Lambda and the command line use. The clock of the account
//! stands until a test moves it.

#[path = "../../../../tests/common/aws.rs"]
mod aws;
mod fixture;

mod alarms;
mod cloudwatch;
mod describe;
mod events;
mod faults;
mod modes;
mod naming;
mod readers;
mod reshards;
mod shards;
mod sns;
mod tagging;
mod trail;
mod unserved;
mod writes;
