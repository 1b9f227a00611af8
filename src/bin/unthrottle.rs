//! The command line.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    unthrottle::cli::run().await
}
