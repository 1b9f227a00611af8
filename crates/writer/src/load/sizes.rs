//! The sizes of the records of a load.

use std::str::FromStr;

/// Bytes of data, between two bounds, each as likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    least: usize,
    most: usize,
}

impl Sizes {
    pub(super) fn next(&self, random: &mut fastrand::Rng) -> usize {
        random.usize(self.least..=self.most)
    }

    /// The largest size of each of this number of equal parts. No size of a part costs more.
    pub fn parts(&self, parts: usize) -> Vec<usize> {
        let range = self.most - self.least;
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
        assert_eq!("7".parse::<Sizes>().expect("a number").next(&mut random), 7);
        for text in ["", "0", "20-10", "x", "1-", "99999999999"] {
            assert!(text.parse::<Sizes>().is_err_and(|why| why.contains("is no size")), "{text}");
        }
    }
}
