//! The fleet on the wire: sweeps that find, verify and restore, messages to people, processes that die and memories
//! that are lost. A local account, real SDK clients, the handler that the Lambda runs, and its binary.
//!
//! The clock of the account stands until a test moves it. Tests with the binary have an account on the machine's clock,
//! the only clock that a binary knows.

#[path = "../common/aws.rs"]
mod aws;
#[path = "../common/fixture.rs"]
mod fixture;
#[path = "../common/fleet.rs"]
mod fleet;
#[path = "../common/lambda.rs"]
mod lambda;

mod bounds;
mod calls;
mod crash;
mod find;
mod foresight;
mod forged;
mod function;
mod large;
mod notify;
mod pace;
mod restore;
mod shards;
mod stay;
mod verify;
