//! Stages of a load, such as `1m@0.5x,5m@2x:ramp`.

use crate::config::duration;
use std::f64::consts::TAU;
use std::str::FromStr;
use std::time::Duration;

/// How much is offered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Records a second: `500/s`.
    Records(f64),
    /// Bytes of data and keys a second: `2MB/s` (10^6 bytes), `2MiB/s`.
    Bytes(f64),
    /// Times what the stream takes at the start: `1.5x`.
    Times(f64),
}

/// How the rate moves within a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The rate throughout.
    Step,
    /// From the rate of the stage before (0 for the first) to the rate.
    Ramp,
    /// The rate during the first second of every ten seconds, and nothing in between.
    Burst,
    /// One wave from 0 to the rate and back.
    Sine,
}

/// The seconds from one burst to the next. With fewer, bursts would fill shards for whole minutes; with more, a minute
/// could have a single burst.
const BURST_EVERY: f64 = 10.0;

/// A part of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// How long it takes.
    pub duration: Duration,
    /// How much is offered.
    pub rate: Rate,
    /// How the rate moves.
    pub shape: Shape,
}

/// Reads stages: `DURATION@RATE[:SHAPE]`, with commas between them.
///
/// # Errors
/// One of them cannot be used. The text names it.
pub fn parse_stages(text: &str) -> Result<Vec<Stage>, String> {
    text.split(',').map(|stage| stage.trim().parse()).collect()
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Stage, String> {
        let form = || format!("`{text}` is no stage: give DURATION@RATE[:SHAPE], such as 1m@0.5x or 30s@500/s:ramp");
        let (time, rest) = text.split_once('@').ok_or_else(form)?;
        let (rate, shape) = rest.split_once(':').unwrap_or((rest, "step"));
        let shape = match shape {
            "step" => Shape::Step,
            "ramp" => Shape::Ramp,
            "burst" => Shape::Burst,
            "sine" => Shape::Sine,
            _ => return Err(format!("`{text}`: `{shape}` must be step, ramp, burst or sine")),
        };
        let time = duration(time).map_err(|why| format!("`{text}`: {why}"))?;
        if time.is_zero() {
            return Err(format!("`{text}`: a stage needs some time"));
        }
        let rate = rate.parse().map_err(|why| format!("`{text}`: {why}"))?;
        Ok(Stage { duration: time, rate, shape })
    }
}

/// The rate of a number in some unit.
type Of = fn(f64) -> Rate;

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        // The longest first: every rate of bytes ends with `/s`, too.
        let units: [(&str, Of); 7] = [
            ("MiB/s", |n| Rate::Bytes(n * 1_048_576.0)),
            ("KiB/s", |n| Rate::Bytes(n * 1024.0)),
            ("MB/s", |n| Rate::Bytes(n * 1e6)),
            ("kB/s", |n| Rate::Bytes(n * 1e3)),
            ("KB/s", |n| Rate::Bytes(n * 1e3)),
            ("x", Rate::Times),
            ("/s", Rate::Records),
        ];
        let read = |(unit, of): &(&str, Of)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            (number.is_finite() && number >= 0.0).then(|| of(number))
        };
        let bad = || format!("`{text}` is no rate: give 500/s (records), 2MB/s (bytes) or 1.5x (of the capacity)");
        units.iter().find_map(read).ok_or_else(bad)
    }
}

/// The records that are due at each time of a load.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    seconds: f64,
    /// Records a second.
    rate: f64,
    shape: Shape,
    /// The rate of the part before.
    before: f64,
}

impl Profile {
    /// The profile of stages. `record_bytes`: data and key of a record, on average. `capacity`: the records of this
    /// size that the stream takes in a second; `None`: that is not known, and multiples of it are refused.
    ///
    /// # Errors
    /// A stage is a multiple of the capacity, and the capacity is not known.
    pub fn new(stages: &[Stage], record_bytes: f64, capacity: Option<f64>) -> Result<Profile, String> {
        let mut before = 0.0;
        let mut parts = vec![];
        for stage in stages {
            let rate = match (stage.rate, capacity) {
                (Rate::Records(rate), _) => rate,
                (Rate::Bytes(rate), _) => rate / record_bytes,
                (Rate::Times(times), Some(capacity)) => times * capacity,
                (Rate::Times(times), None) => {
                    let why = "the capacity of the stream is not known, as AWS sets the shards of an on-demand stream";
                    return Err(format!("`{times}x`: {why}. Give records (500/s) or bytes (2MB/s)"));
                }
            };
            parts.push(Part { seconds: stage.duration.as_secs_f64(), rate, shape: stage.shape, before });
            before = rate;
        }
        Ok(Profile { parts })
    }

    /// The profile of a past: the records of each minute.
    pub fn of_minutes(minutes: impl IntoIterator<Item = f64>) -> Profile {
        let part = |records: f64| Part { seconds: 60.0, rate: records / 60.0, shape: Shape::Step, before: 0.0 };
        Profile { parts: minutes.into_iter().map(part).collect() }
    }

    /// The time of all stages.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.parts.iter().map(|part| part.seconds).sum())
    }

    /// The records that are due from the start until `at`. After its end, the last stage goes on with its rate.
    pub fn due(&self, at: Duration) -> u64 {
        let (mut left, mut due) = (at.as_secs_f64(), 0.0);
        for part in &self.parts {
            due += part.due(left.min(part.seconds));
            left -= part.seconds;
            if left <= 0.0 {
                break;
            }
        }
        if let Some(last) = self.parts.last()
            && left > 0.0
        {
            due += last.rate * left;
        }
        // A sum of fractions may miss a whole number by a little.
        (due + 1e-6) as u64
    }

    /// All records of the stages.
    pub fn records(&self) -> u64 {
        self.due(self.duration())
    }

    /// The rate of the last stage, in records a second.
    pub fn last_rate(&self) -> f64 {
        self.parts.last().map_or(0.0, |part| part.rate)
    }

    /// The highest rate, in records a second.
    pub fn peak(&self) -> f64 {
        self.parts.iter().map(|part| part.rate).fold(0.0, f64::max)
    }
}

impl Part {
    /// The records that are due in the first seconds of the part.
    fn due(&self, seconds: f64) -> f64 {
        match self.shape {
            Shape::Step => self.rate * seconds,
            Shape::Ramp => self.before * seconds + (self.rate - self.before) * seconds * seconds / (2.0 * self.seconds),
            Shape::Burst => {
                let whole = (seconds / BURST_EVERY).floor();
                self.rate * (whole + (seconds - whole * BURST_EVERY).min(1.0))
            }
            Shape::Sine => {
                let turn = TAU / self.seconds;
                self.rate / 2.0 * (seconds - (turn * seconds).sin() / turn)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> Profile {
        Profile::new(&parse_stages(text).expect(text), 100.0, Some(2000.0)).expect(text)
    }

    fn due(profile: &Profile, seconds: f64) -> u64 {
        profile.due(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn rates_are_records_bytes_or_multiples_of_the_capacity() {
        let per_second = |text: &str| profile(text).records();
        assert_eq!(per_second("1s@500/s"), 500);
        assert_eq!(per_second("1s@1MB/s"), 10_000);
        assert_eq!(per_second("1s@1MiB/s"), 10_485);
        assert_eq!(per_second("1s@1.5x"), 3000);
        let stages = parse_stages("1s@2x").expect("stages");
        assert!(Profile::new(&stages, 100.0, None).is_err_and(|why| why.contains("on-demand")));
    }

    #[test]
    fn each_shape_has_its_sum_and_stages_follow_each_other() {
        let steps = profile("10s@100/s,10s@200/s");
        assert_eq!([0.0, 5.0, 10.0, 15.0, 20.0].map(|at| due(&steps, at)), [0, 500, 1000, 2000, 3000]);
        assert_eq!(due(&steps, 30.0), 5000, "the last rate goes on");
        let ramp = profile("10s@100/s,10s@200/s:ramp");
        assert_eq!([15.0, 20.0].map(|at| due(&ramp, at)), [1000 + 625, 2500]);
        let burst = profile("20s@100/s:burst");
        assert_eq!([0.5, 1.0, 9.0, 10.5, 20.0].map(|at| due(&burst, at)), [50, 100, 100, 150, 200]);
        let sine = profile("10s@100/s:sine");
        assert_eq!([5.0, 10.0].map(|at| due(&sine, at)), [250, 500]);
        assert!(due(&sine, 1.0) < 20, "it begins slowly");
    }

    #[test]
    fn a_stage_that_cannot_be_used_is_named() {
        for (text, says) in [
            ("", "`` is no stage"),
            ("1m", "`1m` is no stage"),
            ("1m@2x,5 parsecs@1x", "`5 parsecs@1x`: `5 parsecs` is no duration"),
            ("1m@fast", "`1m@fast`: `fast` is no rate"),
            ("1m@-1x", "`-1x` is no rate"),
            ("1m@NaNx", "is no rate"),
            ("1m@infx", "is no rate"),
            ("1m@2x:square", "`square` must be step, ramp, burst or sine"),
            ("0s@2x", "a stage needs some time"),
        ] {
            let error = parse_stages(text).expect_err(text);
            assert!(error.contains(says), "{error}");
        }
    }
}
