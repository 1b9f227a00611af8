//! Minutes of traffic.

use unthrottle_core::observation::MinuteTraffic;

/// One MiB a second, in bytes a minute.
pub const MIB: f64 = 1_048_576.0 * 60.0;

/// An hour in milliseconds, the unit of an iterator's age.
pub const HOUR: f64 = 3_600_000.0;

/// A minute of a load offered to `shards` shards, in records of 1 KiB a second. The shards accept 1,000 a second each.
pub fn offered(per_second: f64, shards: u32) -> MinuteTraffic {
    let accepted = per_second.min(f64::from(shards) * 1000.0);
    MinuteTraffic {
        incoming_records: accepted * 60.0,
        incoming_bytes: accepted * 60.0 * 1024.0,
        write_throttled: (per_second - accepted) * 60.0,
        ..MinuteTraffic::default()
    }
}
