//! The sizes of the records of a load.

use std::str::FromStr;
use std::time::Duration;

/// Bytes of data, between two bounds, each as likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    least: usize,
    most: usize,
}

impl Sizes {
    /// The same size for all records: at least a byte.
    pub fn exactly(bytes: usize) -> Sizes {
        Sizes { least: bytes.max(1), most: bytes.max(1) }
    }

    pub(super) fn next(&self, random: &mut fastrand::Rng) -> usize {
        random.usize(self.least..=self.most)
    }

    /// The largest size of each of this number of equal parts. No size of a part costs more.
    pub fn parts(&self, parts: usize) -> Vec<usize> {
        let range = self.most - self.least;
        if range == 0 {
            return vec![self.most];
        }
        (1..=parts).map(|part| self.least + (range * part).div_ceil(parts)).collect()
    }

    /// The largest.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        (self.least + self.most) as f64 / 2.0
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Sizes, String> {
        let bad = || format!("`{text}` is no size: give bytes, such as 100, or a range such as 100-2000");
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        let read = |bytes: &str| bytes.trim().parse::<usize>().map_err(|_| bad());
        let sizes = Sizes { least: read(least)?, most: read(most)? };
        // The largest record of any stream has 10 MiB.
        if sizes.least < 1 || sizes.least > sizes.most || sizes.most > 10 << 20 { Err(bad()) } else { Ok(sizes) }
    }
}

/// The seconds for which each of the [`SizesByMinute`] holds.
const MINUTE: u64 = 60;

/// The sizes of the records in each minute of a load. Those of the last minute go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizesByMinute {
    minutes: Vec<Sizes>,
    last: Sizes,
}

/// A part of a load with the same sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it begins.
    pub from: Duration,
    /// When it ends.
    pub to: Duration,
    /// The sizes.
    pub sizes: Sizes,
}

impl SizesByMinute {
    /// The same sizes at all times.
    pub fn always(sizes: Sizes) -> SizesByMinute {
        SizesByMinute { minutes: vec![], last: sizes }
    }

    /// The sizes of these minutes, and then `last`.
    pub fn new(minutes: Vec<Sizes>, last: Sizes) -> SizesByMinute {
        SizesByMinute { minutes, last }
    }

    /// The sizes at a time since the start.
    pub(super) fn at(&self, time: Duration) -> Sizes {
        let minute = usize::try_from(time.as_secs() / MINUTE).ok();
        minute.and_then(|minute| self.minutes.get(minute)).copied().unwrap_or(self.last)
    }

    /// The parts of a load of this length.
    pub fn spans(&self, length: Duration) -> Vec<Span> {
        let all = self.minutes.iter().chain([&self.last]).zip(0_u64..);
        let spans = all.map(|(sizes, minute)| {
            let is_last = minute == self.minutes.len() as u64;
            let to = if is_last { length } else { Duration::from_secs((minute + 1) * MINUTE).min(length) };
            Span { from: Duration::from_secs(minute * MINUTE), to, sizes: *sizes }
        });
        spans.filter(|span| span.from < span.to).collect()
    }

    /// The largest.
    pub fn most(&self) -> usize {
        self.minutes.iter().map(Sizes::most).fold(self.last.most(), usize::max)
    }

    /// Whether all records have the same size.
    pub fn is_constant(&self) -> bool {
        self.last.least == self.last.most && self.minutes.iter().all(|sizes| *sizes == self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_or_a_range_of_bytes() {
        let sizes: Sizes = "10-20".parse().expect("a range");
        assert_eq!((sizes.mean(), sizes.most()), (15.0, 20));
        let mut random = fastrand::Rng::with_seed(1);
        assert!((0..100).all(|_| (10..=20).contains(&sizes.next(&mut random))));
        assert_eq!((sizes.parts(4), sizes.parts(1)), (vec![13, 15, 18, 20], vec![20]));
        assert_eq!((Sizes::exactly(7).parts(4), Sizes::exactly(0).most()), (vec![7], 1));
        assert_eq!("7".parse::<Sizes>().expect("a number").next(&mut random), 7);
        for text in ["", "0", "20-10", "x", "1-", "99999999999"] {
            assert!(text.parse::<Sizes>().is_err_and(|why| why.contains("is no size")), "{text}");
        }
    }

    #[test]
    fn each_minute_has_its_sizes_and_the_last_ones_go_on() {
        let sizes = SizesByMinute::new([20, 9000].map(Sizes::exactly).to_vec(), Sizes::exactly(50));
        let seconds = Duration::from_secs;
        assert_eq!([0, 59, 60, 119, 120, 9999].map(|at| sizes.at(seconds(at)).most()), [20, 20, 9000, 9000, 50, 50]);
        assert_eq!((sizes.most(), sizes.is_constant()), (9000, false));
        let span = |(from, to, size)| Span { from: seconds(from), to: seconds(to), sizes: Sizes::exactly(size) };
        assert_eq!(sizes.spans(seconds(90)), [(0, 60, 20), (60, 90, 9000)].map(span));
        assert_eq!(sizes.spans(seconds(200)), [(0, 60, 20), (60, 120, 9000), (120, 200, 50)].map(span));
        let always = SizesByMinute::always(Sizes::exactly(7));
        assert_eq!(always.spans(seconds(900)), [span((0, 900, 7))]);
        assert!(always.is_constant() && !SizesByMinute::always("1-2".parse().expect("a range")).is_constant());
    }
}
