//! `unthrottle local`: runs the local account as a server.

use crate::CliError;
use std::io::Write;
use std::time::Duration;
use unthrottle_lab::local::{LocalAccount, Options};

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// Listen on this port of 127.0.0.1; 0: any free port
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// How late the metrics of a minute are published, as CloudWatch does it
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    metric_lag: u64,
    /// Keep this many MiB of records, and drop the oldest first
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    keep_mib: u32,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let options = Options {
        port: args.port,
        metric_lag: Duration::from_secs(args.metric_lag),
        keep_bytes: u64::from(args.keep_mib) << 20,
        ..Options::default()
    };
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
        "  export AWS_ENDPOINT_URL={url} AWS_REGION={region} AWS_DEFAULT_REGION={region} AWS_ACCESS_KEY_ID=local \
         AWS_SECRET_ACCESS_KEY=local"
    )?;
    writeln!(out, "  aws kinesis create-stream --stream-name orders --shard-count 2")?;
    writeln!(out, "  unthrottle explain orders")?;
    out.flush()?;
    let says_what_is_dropped = async {
        local.first_drop().await;
        eprintln!(
            "unthrottle: the records have reached --keep-mib ({} MiB). From now on the account drops the oldest \
             records and serves the others. To keep more, restart with a larger --keep-mib.",
            args.keep_mib
        );
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = tokio::signal::ctrl_c() => done?,
        () = says_what_is_dropped => {}
    }
    Ok(())
}
