//! `unthrottle local`.

use super::CliError;
use crate::local::{LocalAccount, Options};
use std::io::Write;
use std::time::Duration;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Listen on this port of 127.0.0.1 (0: any free one)
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// Seconds that a minute's metrics are late, as CloudWatch's are
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    metric_lag: u64,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let options = Options { port: args.port, metric_lag: Duration::from_secs(args.metric_lag), ..Options::default() };
    let (account, region) = (options.account.clone(), options.region.clone());
    let local = LocalAccount::start(options)
        .await
        .map_err(|e| std::io::Error::new(e.kind(), format!("cannot listen on 127.0.0.1:{}: {e}", args.port)))?;
    let url = local.url();
    let mut out = std::io::stdout();
    writeln!(out, "The AWS account {account} in {region} at {url}, until Ctrl-C. In another terminal:")?;
    writeln!(out)?;
    writeln!(
        out,
        "  export AWS_ENDPOINT_URL={url} AWS_REGION={region} AWS_DEFAULT_REGION={region} AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local"
    )?;
    writeln!(out, "  aws kinesis create-stream --stream-name orders --shard-count 2")?;
    writeln!(out, "  unthrottle explain orders")?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
