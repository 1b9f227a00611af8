//! The command line.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    unthrottle_cli::run().await
}
