//! `unthrottle local`: runs the local account as a server.

use crate::help::whole;
use crate::{CliError, config, healer};
use std::io::Write;
use std::time::Duration;
use unthrottle_core::policy::SMOKE_ALLOWED;
use unthrottle_lab::local::{Clock, LocalAccount, Options};

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// Listen on this port of 127.0.0.1; 0: any free port
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// How late the metrics of a minute are published, as CloudWatch does it
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = whole)]
    metric_lag: u64,
    /// Keep this many MiB of records, and drop the oldest first
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    keep_mib: u32,
    /// Print each request: the time of the account, the call, the status and the duration
    #[arg(long)]
    log: bool,
    #[arg(
        long,
        help = "Run an unthrottle inside: its fleet alarms, its rule on CloudTrail and \
                its sweep watch the account, and it changes the streams. The \
                settings come from the environment or from unthrottle.toml"
    )]
    heal: bool,
    #[arg(
        long,
        value_name = "N",
        requires = "heal",
        value_parser = clap::value_parser!(u32).range(1..=60),
        help = "With --heal: minutes of the account pass N times as fast [default: 20]. \
                A shard takes the same records a second. The metrics of a minute show \
                each record N times, as if the load had lasted for a whole minute"
    )]
    pace: Option<u32>,
}

/// The pace with an unthrottle inside: a minute takes three seconds, so a person sees in less than one how a stream
/// heals, also where that takes two changes. A faster one hides how the steps follow each other.
const PACE: u32 = 20;

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let policy = args.heal.then(config::policy).transpose()?;
    let clock = if args.heal { Clock::paced(args.pace.unwrap_or(PACE)) } else { Clock::real() };
    let options = Options {
        clock,
        port: args.port,
        metric_lag: Duration::from_secs(args.metric_lag),
        keep_bytes: u64::from(args.keep_mib) << 20,
        log: args.log,
        ..Options::default()
    };
    let (account, region) = (options.account.clone(), options.region.clone());
    let local = LocalAccount::start(options)
        .await
        .map_err(|e| std::io::Error::new(e.kind(), format!("cannot listen on 127.0.0.1:{}: {e}", args.port)))?;
    if args.heal {
        local.add_streams([EXAMPLE.to_owned()], 2, &[(SMOKE_ALLOWED, "allow")]).await;
    }
    greet(&local, &account, &region, args.heal)?;
    let heals = async {
        match policy {
            Some(policy) => healer::run(&local, policy).await,
            None => std::future::pending().await,
        }
    };
    let says_what_is_dropped = async {
        local.first_drop().await;
        // A reader of this line that has gone is no reason to stop.
        let _ = writeln!(
            std::io::stderr(),
            "unthrottle: the records have reached --keep-mib ({} MiB). From now on the account drops the oldest \
             records and serves the others. To keep more, restart with a larger --keep-mib.",
            args.keep_mib
        );
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = tokio::signal::ctrl_c() => done?,
        () = says_what_is_dropped => {}
        failed = heals => failed?,
    }
    Ok(())
}

/// The stream that the account with an unthrottle inside begins with.
const EXAMPLE: &str = "orders";

/// Says what to type in another terminal.
fn greet(local: &LocalAccount, account: &str, region: &str, heals: bool) -> std::io::Result<()> {
    let (url, mut out) = (local.url(), std::io::stdout());
    writeln!(out, "The AWS account {account} in {region} at {url}, until Ctrl-C. In another terminal:")?;
    writeln!(out)?;
    writeln!(
        out,
        "  export AWS_ENDPOINT_URL={url} AWS_REGION={region} AWS_DEFAULT_REGION={region} AWS_ACCESS_KEY_ID=local \
         AWS_SECRET_ACCESS_KEY=local"
    )?;
    if heals {
        let pace = local.clock().pace();
        let minute = 60.0 / f64::from(pace);
        writeln!(out, "  unthrottle smoke {EXAMPLE} --until-healed --stages 5s@0.5x,1m@2x")?;
        writeln!(out)?;
        writeln!(out, "The stream `{EXAMPLE}` has 2 shards. An unthrottle is inside. A minute of the account takes")?;
        writeln!(
            out,
            "{minute:.1} s, and its metrics show each record {pace} times. The decisions of unthrottle, with"
        )?;
        writeln!(out, "the time of the account:")?;
    } else {
        writeln!(out, "  aws kinesis create-stream --stream-name {EXAMPLE} --shard-count 2")?;
        writeln!(out, "  unthrottle explain {EXAMPLE}")?;
    }
    out.flush()
}
