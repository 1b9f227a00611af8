use super::play::play_with;
use super::*;

fn all(seed: u64, count: u64) {
    let mut sum = std::collections::BTreeMap::<&str, u64>::new();
    let mut fails = 0;
    for index in 0..count {
        let schedule = Schedule::drawn(seed, index);
        match play(&schedule) {
            Ok(played) => {
                *sum.entry("runs").or_default() += played.runs;
                *sum.entry("changes").or_default() += played.changes;
                *sum.entry(played.ended).or_default() += 1;
                for (k, v) in played.troubles {
                    *sum.entry(k).or_default() += v;
                }
            }
            Err(broken) => {
                fails += 1;
                *sum.entry(Box::leak(broken.invariant.to_string().into_boxed_str())).or_default() += 1;
                if fails < 12 {
                    let (schedule, broken) = shrink(&schedule, broken, |s| play(s).err());
                    eprintln!("#{index}: {broken}\n{schedule}");
                }
            }
        }
    }
    eprintln!("{sum:#?}");
    assert_eq!(fails, 0);
}

#[test]
fn some_schedules() {
    let n = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let _ = play_with;
    all(1, n);
}

#[test]
fn told() {
    let Ok(n) = std::env::var("TELL") else { return };
    let schedule = Schedule::drawn(1, n.parse().expect("number"));
    let broken = play(&schedule).expect_err("fails");
    let (schedule, broken) = shrink(&schedule, broken, |s| play(s).err());
    eprintln!("{broken}\n{schedule}\n{}", retell(&schedule).join("\n"));
}
