//! The arguments of `unthrottle smoke`.

use super::expect::Expectation;
use crate::CliError;
use crate::aws::AwsArgs;
use crate::backtest::{read_history, row_minutes};
use crate::help::amount;
use std::path::PathBuf;
use std::time::Duration;
use unthrottle_lab::sim::backtest::Passed;
use unthrottle_writer::config::duration;
use unthrottle_writer::load::{Keys, KeysError, Profile, Sizes, SizesByMinute, Stage, parse_stages};

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
                `unthrottle backtest --csv`, accepted and refused records together. They \
                have the mean size of each minute, unless --size is given"
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
    /// Bytes of data in a record: a number, or a range such as 100-2000 [default: 100; with --csv: its sizes]
    #[arg(long, value_name = "BYTES", value_parser = str::parse::<Sizes>)]
    size: Option<Sizes>,
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

/// Bytes of data in a record, where neither an option nor a past says another size.
const DEFAULT_SIZE: usize = 100;

/// The load in the user's words, before the stream is known.
pub(crate) struct Wanted {
    rates: Rates,
    pub sizes: SizesByMinute,
    /// The mean of all sizes.
    pub data_bytes: f64,
}

enum Rates {
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
            return Ok(Wanted::constant(Rates::Stages(stages), self.size));
        };
        let past = read_history(path, self.period)?;
        let minutes = past.history.minutes().get(past.before..).unwrap_or_default();
        let rates = Rates::Past(Profile::of_minutes(minutes.iter().map(offered)));
        if self.size.is_some() {
            return Ok(Wanted::constant(rates, self.size));
        }
        let (sizes, data_bytes) = sizes_of(minutes, self.keys.bytes());
        Ok(Wanted { rates, sizes, data_bytes })
    }
}

/// The records that the producers had in a minute.
fn offered(minute: &Passed) -> f64 {
    minute.records + minute.throttled
}

/// The mean size of the data in each minute of a past, and in all of them. A minute without an accepted record has the
/// mean of the others. IncomingBytes counts keys, too, as was observed at AWS.
fn sizes_of(minutes: &[Passed], key_bytes: usize) -> (SizesByMinute, f64) {
    let size = |bytes: f64, records: f64| (bytes / records).round() as usize;
    let data = |minute: &Passed| Some(size(minute.bytes, minute.records)).filter(|_| minute.records > 0.0);
    let sum = |of: fn(&Passed) -> f64| minutes.iter().map(of).sum::<f64>();
    let (bytes, records, all) = (sum(|minute| minute.bytes), sum(|minute| minute.records), sum(offered));
    let other = if records > 0.0 { size(bytes, records) } else { DEFAULT_SIZE + key_bytes };
    let each = |minute| Sizes::exactly(data(minute).unwrap_or(other).saturating_sub(key_bytes));
    let sizes: Vec<Sizes> = minutes.iter().map(each).collect();
    let total: f64 = minutes.iter().zip(&sizes).map(|(minute, sizes)| offered(minute) * sizes.mean()).sum();
    let last = sizes.last().copied().unwrap_or(Sizes::exactly(DEFAULT_SIZE));
    let mean = if all > 0.0 { total / all } else { last.mean() };
    (SizesByMinute::new(sizes, last), mean)
}

impl Wanted {
    /// Records of the same sizes at all times.
    fn constant(rates: Rates, size: Option<Sizes>) -> Wanted {
        let size = size.unwrap_or(Sizes::exactly(DEFAULT_SIZE));
        Wanted { rates, sizes: SizesByMinute::always(size), data_bytes: size.mean() }
    }

    /// The profile on a stream that takes this number of such records a second.
    ///
    /// # Errors
    /// A stage is a multiple of a capacity that is not known.
    pub fn profile(&self, record_bytes: f64, capacity: Option<f64>) -> Result<Profile, CliError> {
        match &self.rates {
            Rates::Past(profile) => Ok(profile.clone()),
            Rates::Stages(stages) => {
                let profile = Profile::new(stages, record_bytes, capacity);
                profile.map_err(|why| CliError::Usage(format!("--stages: {why}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_minute_of_a_past_has_the_mean_size_of_its_accepted_records() {
        let minute = |(bytes, records, throttled)| Passed { bytes, records, throttled };
        let past =
            [(120_000_000.0, 6000.0, 6000.0), (6000.0, 60.0, 0.0), (0.0, 0.0, 60.0), (0.0, 0.0, 0.0)].map(minute);
        let (sizes, mean) = sizes_of(&past, 36);
        let spans = sizes.spans(Duration::from_secs(240));
        let other = 19_803 - 36;
        assert_eq!(spans.iter().map(|span| span.sizes.most()).collect::<Vec<_>>(), [19_964, 64, other, other]);
        let total = 12_000.0 * 19_964.0 + 60.0 * 64.0 + 60.0 * other as f64;
        assert!((mean - total / 12_120.0).abs() < 0.01, "{mean}");
        // Records smaller than a key have a byte, and a past without traffic has the default.
        assert_eq!(sizes_of(&[minute((1800.0, 100.0, 0.0))], 36).0.most(), 1);
        assert_eq!(sizes_of(&[minute((0.0, 0.0, 0.0))], 36).1, 100.0);
    }
}
