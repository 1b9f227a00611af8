use super::*;
use crate::memory::ChangeKind;
use crate::observation::LOOKBACK_HOURS;
use chrono::TimeDelta;
use proptest::prelude::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_790_000_000 + seconds)
}

/// The most that this version ever writes: a change that is done and verified forgets what came before it.
fn fullest() -> Memory {
    let far = TimeDelta::hours(LOOKBACK_HOURS) - TimeDelta::seconds(1);
    let mut memory = Memory { base: Some(10_000), was_provisioned: true, ..Memory::default() };
    memory.split_histories = (0..2).map(|i| SplitHistory { shard: 99_990 + i, splits: 2, at: at(0) - far }).collect();
    memory.shard_metrics = Some(ShardMetrics { on: Some([true; 3]), at: at(0) - far });
    memory.reshards = (0..10).map(|i| at(i) - far).collect();
    memory.switches = vec![at(0) - far, at(1) - far];
    for ago in [TimeDelta::minutes(20), TimeDelta::zero()] {
        memory = memory.refuse(ChangeKind::DisableShardMetrics, at(0) + far - ago, true);
    }
    let mut change = Change::intent(ChangeKind::DisableShardMetrics, 10_000, 10_000, at(0));
    change.settled = Some(at(900));
    change.healed = Some(at(0) + far);
    change.published = Some(at(0) + far);
    memory.intend(change, false)
}

#[test]
fn a_memory_reads_as_it_was_written() {
    let mut announced = fullest();
    let change = announced.change.as_mut().expect("a change");
    (change.after, change.since) = (Some(at(-99)), Some(at(-999)));
    (change.settled, change.healed, change.published) = (None, None, None);
    announced.split_histories.push(SplitHistory { shard: 99_999, splits: 1, at: at(0) });
    for memory in [Memory::default(), fullest(), announced] {
        let text = memory.encode().expect("fits");
        assert_eq!(Memory::parse(&text), Ok(memory), "{text}");
    }
}

#[test]
fn the_fullest_memory_fits_a_tag_and_uses_only_its_characters() {
    let text = fullest().encode().expect("fits");
    let legal = |c: char| c.is_ascii_alphanumeric() || " _./=+@-".contains(c);
    assert!(text.chars().all(legal), "{text}");
    assert!(text.len() <= MAX_LENGTH, "{} characters: {text}", text.len());
}

#[test]
fn where_room_is_short_the_words_that_no_change_depends_on_go() {
    let unpublished = Some((ChangeKind::Switch, at(-80_000)));
    let notified = Some(("reshard_budget_spent".to_owned(), at(60)));
    let reverts = vec![at(-80_000), at(-70_000)];
    let crowded = Memory { notified: notified.clone(), unpublished, reverts: reverts.clone(), ..fullest() };
    let text = crowded.encode().expect("fits");
    assert_eq!(Memory::parse(&text), Ok(fullest()));
    let fewer = Memory {
        notified: notified.clone(),
        unpublished,
        reverts: reverts.clone(),
        reshards: vec![at(-9), at(0)],
        ..fullest()
    };
    let kept = Memory::parse(&fewer.encode().expect("fits")).expect("readable");
    assert_eq!(kept.reverts, reverts);
    let roomy = Memory {
        notified,
        unpublished,
        resent: Some(at(-40)),
        split_histories: vec![],
        ..Memory { reshards: vec![at(0)], ..fullest() }
    };
    assert_eq!(Memory::parse(&roomy.encode().expect("fits")), Ok(roomy));
}

#[test]
fn words_of_a_newer_version_are_kept() {
    let text = "v=1 change=scale/4/8/20261120T170440Z base=4 mood=3/1 hue=7";
    let memory = Memory::parse(text).expect("readable");
    assert_eq!(memory.encode().as_deref(), Ok(text));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    for text in [
        "",
        "v=2",
        "base=4",
        "v=1 words",
        "v=1 base=4 base=5",
        "v=1 base=-4",
        "v=1 done=5",
        "v=1 change=scale/4/8",
        "v=1 change=scale/4/8/20261120T170440Z/9",
        "v=1 change=scale/4/8/yesterday",
        "v=1 change=melt/4/8/20261120T170440Z",
        "v=1 change=scale/4/8/20261120T170440Z scales=0-x",
        "v=1 change=scale/4/8/+2621421231T235959Z",
        "v=1 refused=scale/2",
        "v=1 refused=scale/2/60",
        "v=1 lines=3.1.60",
        "v=1 was=x",
        "v=1 change=scale/4/8/20261120T170440Z lines=3.1",
        "v=1 change=scale/4/8/20261120T170440Z watch=brw",
    ] {
        assert!(Memory::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_memory_without_room_for_the_newer_words_says_so() {
    let crowded = format!("v=1 newer={}", "x".repeat(240));
    let memory = Memory::parse(&crowded).expect("readable");
    let change = Change::intent(ChangeKind::Scale, 4, 8, at(0));
    assert!(matches!(memory.intend(change, false).encode(), Err(MemoryError::TooLong(_))));
}

proptest! {
    #[test]
    fn no_tag_value_makes_it_panic(text in ".{0,256}") {
        let _ = Memory::parse(&text);
    }

    #[test]
    fn what_can_be_read_reads_the_same_again(text in "v=1( (change=(scale|split|warm|watch|switch|lost|restore|theirs)/[0-9]{1,3}/[0-9]{1,3}/2026112[0-9]T1704[0-5][0-9]Z|base=[0-9]{1,3}|done=[0-9]{1,5}|since=[0-9]{1,3}|scales=[0-9]{1,5}(-[0-9]{1,5}){0,4}|x[a-z]=[a-z0-9]{1,5}|lines=[0-9]{1,3}\\.[0-9]\\.[0-9]{1,4}|watch=(off|b?r?w?)\\.[0-9]{1,4}|was=p|reverts=-?[0-9]{1,5}|sent=[0-9]{1,5}|resent=-?[0-9]{1,5}|tried=[0-9]{1,4}|told=[a-z_]{1,9}/-?[0-9]{1,4})){0,5}") {
        if let Ok(memory) = Memory::parse(&text) {
            let again = memory.encode().expect("short");
            prop_assert_eq!(Memory::parse(&again).expect("readable"), memory);
        }
    }
}
