//! `unthrottle doctor`, as a person types it, against the local account.

mod advice;
#[path = "../../../../tests/common/aws.rs"]
mod aws;
mod command;
mod fixture;
mod keys;
mod keys_reading;
mod late;
mod pages;
mod peaks;
mod reshard;
mod seeded;
#[path = "../terminal/mod.rs"]
mod terminal;
