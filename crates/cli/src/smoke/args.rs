//! The arguments of `unthrottle smoke`.

use super::expect::Expectation;
use crate::CliError;
use crate::aws::AwsArgs;
use crate::backtest::{read_history, row_minutes};
use crate::help::amount;
use std::path::PathBuf;
use std::time::Duration;
use unthrottle_writer::config::duration;
use unthrottle_writer::load::{Keys, KeysError, Profile, Sizes, Stage, parse_stages};

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(crate) struct Args {
    /// The stream's name or ARN
    pub stream: String,
    #[arg(
        long,
        value_name = "STAGES",
        default_value = "1m@0.5x,5m@2x",
        help = "Stages of DURATION@RATE[:SHAPE], with commas between them.\n\
                RATE: 500/s (records), 2MB/s (bytes), 1.5x (of the stream's capacity).\n\
                SHAPE: step, ramp (from the stage before), burst (the first second of \
                every ten), sine (from 0 to RATE and back)"
    )]
    pub stages: String,
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "stages",
        help = "Offer what a stream had in the past, minute by minute: the CSV file of \
                `unthrottle backtest --csv`, accepted and refused records together"
    )]
    csv: Option<PathBuf>,
    /// With --csv: the minutes that each row counts. Default: as far apart as the rows are
    #[arg(long, value_name = "MINUTES", requires = "csv", value_parser = row_minutes)]
    period: Option<u32>,
    #[arg(
        long,
        default_value = "random",
        value_name = "KEYS",
        value_parser = Keys::parse as fn(&str) -> Result<Keys, KeysError>,
        help = "Partition keys: random, even (over all shards), zipf:1.1 (a thousand \
                keys), hot:60% (one key has this share), fixed:TEXT"
    )]
    pub keys: Keys,
    /// Bytes of data in a record: a number, or a range such as 100-2000
    #[arg(long, default_value = "100", value_name = "BYTES", value_parser = str::parse::<Sizes>)]
    pub size: Sizes,
    /// The seed of keys and sizes
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    #[arg(
        long,
        help = "Offer the last rate until the stream has healed: it has changed, is \
                ACTIVE, and took records for 10 s without a refusal or a failed \
                request. Exit code 3 if it does not heal within --max-duration"
    )]
    pub until_healed: bool,
    #[arg(
        long,
        value_name = "CHECK",
        value_parser = str::parse::<Expectation>,
        help = "Exit with code 3 unless this holds. May be given several times: \
                'lost=0', 'refused<100', 'behind=0', 'healed<10m', 'p99<500ms'"
    )]
    pub expect: Vec<Expectation>,
    /// A record that is not accepted this long after its first attempt is lost
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub ttl: Duration,
    #[arg(
        long,
        value_name = "STREAM",
        help = "Type the stream's name again: it is yours, and its other users know. Not \
                needed for a stream with the tag unthrottle.smoke=allow"
    )]
    pub i_own: Option<String>,
    /// Refuse a load that could cost more than this, in USD at list prices
    #[arg(long, default_value = "1", value_name = "USD", value_parser = amount)]
    pub max_usd: f64,
    #[arg(
        long,
        default_value = "15m",
        value_name = "DURATION",
        value_parser = duration,
        help = "Refuse stages that take longer than this, and stop the load then. Records \
                that wait are then sent for at most 8 s"
    )]
    pub max_duration: Duration,
    /// Say what would be offered, and what it would cost. Writes nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub aws: AwsArgs,
    /// Print the counts as JSON: a line a second, and the result as the last line
    #[arg(long)]
    pub json: bool,
}

/// The load in the user's words, before the stream is known.
pub(crate) enum Wanted {
    Stages(Vec<Stage>),
    Past(Profile),
}

impl Args {
    /// The load that is wanted.
    ///
    /// # Errors
    /// The stages or the file cannot be used.
    pub fn wanted(&self) -> Result<Wanted, CliError> {
        let Some(path) = &self.csv else {
            let stages = parse_stages(&self.stages).map_err(|why| CliError::Usage(format!("--stages: {why}")))?;
            return Ok(Wanted::Stages(stages));
        };
        let past = read_history(path, self.period)?;
        let minutes = past.history.minutes().iter().skip(past.before);
        let minutes = minutes.map(|minute| minute.records + minute.throttled);
        Ok(Wanted::Past(Profile::of_minutes(minutes)))
    }
}

impl Wanted {
    /// The profile on a stream that takes this number of such records a second.
    ///
    /// # Errors
    /// A stage is a multiple of a capacity that is not known.
    pub fn profile(self, record_bytes: f64, capacity: Option<f64>) -> Result<Profile, CliError> {
        match self {
            Wanted::Past(profile) => Ok(profile),
            Wanted::Stages(stages) => {
                let profile = Profile::new(&stages, record_bytes, capacity);
                profile.map_err(|why| CliError::Usage(format!("--stages: {why}")))
            }
        }
    }
}
