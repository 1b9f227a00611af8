//! Commands as a person types them: `watch`, `config`, `completions`, `man`, `backtest --export`, `report`, `schema`,
//! `explain --message`, and what IAM denies.

#[path = "../../../../tests/common/aws.rs"]
mod aws;
mod denied;
mod explain;
mod export;
#[path = "../../../../tests/common/fixture.rs"]
mod fixture;
#[path = "../../../../tests/common/fleet.rs"]
mod fleet;
mod report;
mod schema;
mod setup;
mod shell;
#[path = "../terminal/mod.rs"]
mod terminal;
mod watch;
