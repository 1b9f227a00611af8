//! The defaults of retries and `--ttl` on a stream that takes less than the input has, in virtual time.

use super::*;
use crate::record::{Key, Origin};
use crate::request::{Answer, Fate};

const STEP: Duration = Duration::from_millis(10);

/// Records a second that a shard takes.
const SHARD: u64 = 1000;

/// Writes this number of records to a stream of this number of shards. `reply`: the time from a request to its answer.
/// Returns the counts, and the time that it took.
fn write(records: u64, shards: usize, key: &Key, (reply, seed): (Duration, u64)) -> (Stats, Duration) {
    let start = Instant::now();
    let limits = Limits { record_bytes: 1 << 20, batch_bytes: 5 << 20 };
    let mut buffer = Buffer::new(Options { seed, ..Options::default() }, limits, start);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut now, mut next, mut taken, mut second) = (start, 0, vec![0; shards], 0);
    let mut in_flight: VecDeque<(Instant, Request)> = VecDeque::new();
    loop {
        if (now - start).as_secs() > second {
            second += 1;
            taken.fill(0);
        }
        while let Some((_, request)) = in_flight.pop_front_if(|(at, _)| *at <= now) {
            let fate = |pending: &Pending| {
                let shard = match &pending.record.key {
                    Key::Given(key) => key.len() % shards,
                    Key::Random => random.usize(..shards),
                };
                taken[shard] += 1;
                let name = format!("shardId-{shard:012}");
                match taken[shard] <= SHARD {
                    true => Fate::Accepted { shard: name },
                    false => Fate::Refused { shard: Some(name), cause: "throttled".into() },
                }
            };
            let fates = request.records.iter().map(fate).collect();
            buffer.settle(request, Answer::Records(fates), now);
        }
        while next < records && buffer.has_room(2000) {
            let origin = Origin { source: "test".into(), line: next };
            buffer.push(Record { born: now, ..Record::new(vec![0; 100], key.clone(), origin) });
            next += 1;
        }
        let flush = if next < records { Flush::No } else { Flush::All };
        while in_flight.len() < buffer.most_in_flight()
            && let Some(request) = buffer.next_request(now, flush)
        {
            in_flight.push_back((now + reply, request));
        }
        if next == records && buffer.is_empty() && in_flight.is_empty() {
            return (buffer.stats, now - start);
        }
        now += STEP;
    }
}

#[test]
fn the_defaults_lose_nothing_on_a_stream_that_takes_less_than_the_input_has() {
    let replies = [5, 30, 150].map(Duration::from_millis);
    for (reply, seed) in replies.into_iter().flat_map(|reply| (0..10).map(move |seed| (reply, seed))) {
        for shards in [1, 4] {
            let records = 10_000 * shards as u64;
            let (stats, took) = write(records, shards, &Key::Random, (reply, seed));
            assert_eq!((stats.accepted, stats.lost), (records, 0), "seed {seed}, {shards} shards, {reply:?}");
            assert!(stats.refused > 0, "the stream was too slow for the input");
            // It still uses most of what the stream takes.
            assert!(took < Duration::from_secs(15), "seed {seed}, {shards} shards, {reply:?}: {took:?}");
        }
        // All on one of four shards.
        let (stats, _) = write(10_000, 4, &Key::Given("all".into()), (reply, seed));
        assert_eq!((stats.accepted, stats.lost), (10_000, 0), "seed {seed}, one key, {reply:?}");
    }
}
