//! The command in a process of its own.

use std::process::{Command, Output};

/// `unthrottle ARGS`, with credentials for a local account, and without the settings of the person who runs the tests.
pub fn unthrottle(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.args(args).env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    let home = env!("CARGO_TARGET_TMPDIR");
    for name in ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "UNTHROTTLE_CONFIG"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_CONFIG_HOME", home);
    command
}

/// What a command gives.
pub async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
