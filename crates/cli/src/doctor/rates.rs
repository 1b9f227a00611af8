//! 1,000 streams before AWS's rates, in virtual time: [`paced`] with the calls that [`read`] makes.

use super::*;
use crate::doctor::read::FUNCTION_CALLS_PER_SECOND;
use futures_util::future::join_all;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Time that passes only when every read waits for it.
#[derive(Clone, Default)]
struct Virtual(Rc<Timers>);

#[derive(Default)]
struct Timers {
    now: Cell<Duration>,
    count: Cell<u64>,
    waiting: RefCell<BTreeMap<(Duration, u64), Waker>>,
}

impl Time for Virtual {
    fn now(&self) -> Duration {
        self.0.now.get()
    }

    fn sleep_until(&self, time: Duration) -> impl Future<Output = ()> {
        let timers = self.0.clone();
        let id = timers.count.replace(timers.count.get() + 1);
        std::future::poll_fn(move |context| {
            if timers.now.get() >= time {
                return Poll::Ready(());
            }
            timers.waiting.borrow_mut().insert((time, id), context.waker().clone());
            Poll::Pending
        })
    }
}

impl Virtual {
    async fn sleep(&self, time: Duration) {
        self.sleep_until(self.now() + time).await;
    }

    /// Runs to the end, and moves the clock whenever all wait.
    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return result;
            }
            let first = self.0.waiting.borrow_mut().pop_first();
            let ((time, _), waker) = first.expect("something waits for the clock");
            self.0.now.set(time);
            waker.wake();
        }
    }
}

/// AWS's rates of the calls, a second and account: the quotas of Kinesis, CloudWatch, KMS and Lambda. No rate of
/// ListTagsForResource is documented; ListTagsForStream has this one. ListShards and ListStreamConsumers have rates for
/// each stream, which one call does not reach.
const RATES: [(&str, usize); 5] = [
    ("DescribeStreamSummary", 20),
    ("ListTagsForResource", 5),
    ("GetMetricData", 500),
    ("DescribeKey", 2_000),
    ("GetFunction…", 15),
];

/// How long AWS takes for a call, at the slow end: 14 days of metrics take longer than a number.
fn latency(call: &str) -> Duration {
    Duration::from_millis(if call == "GetMetricData" { 800 } else { 120 })
}

/// An account that admits AWS's rates.
struct Rates {
    time: Virtual,
    /// The times of the calls of the last second.
    admitted: RefCell<BTreeMap<&'static str, VecDeque<Duration>>>,
    calls: RefCell<BTreeMap<&'static str, usize>>,
    throttled: Cell<usize>,
    functions: Pace<Virtual>,
}

impl Rates {
    fn new(time: &Virtual) -> Rates {
        let functions = Pace::new(time.clone(), FUNCTION_CALLS_PER_SECOND);
        Rates {
            time: time.clone(),
            admitted: RefCell::default(),
            calls: RefCell::default(),
            throttled: Cell::default(),
            functions,
        }
    }

    fn admits(&self, call: &'static str) -> bool {
        let Some((_, rate)) = RATES.iter().find(|(name, _)| *name == call) else { return true };
        let mut admitted = self.admitted.borrow_mut();
        let times = admitted.entry(call).or_default();
        while times.front().is_some_and(|time| *time + Duration::from_secs(1) <= self.time.now()) {
            times.pop_front();
        }
        let admits = times.len() < *rate;
        if admits {
            times.push_back(self.time.now());
        }
        admits
    }

    /// A call, with the SDK's pauses where AWS throttles it. A throttled call counts, too.
    async fn call(&self, call: &'static str) {
        let mut pause = Duration::from_secs(1);
        loop {
            *self.calls.borrow_mut().entry(call).or_default() += 1;
            if self.admits(call) {
                return self.time.sleep(latency(call)).await;
            }
            self.throttled.set(self.throttled.get() + 1);
            self.time.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    async fn function(&self) {
        let about = || async {
            self.functions.turn().await;
            self.call("GetFunction…").await;
        };
        futures_util::join!(about(), about());
    }

    /// The calls of one stream with a key, registered consumers and functions, as [`read`] makes them.
    async fn stream(&self, functions: usize) {
        self.call("DescribeStreamSummary").await;
        let consumers = async {
            self.call("ListStreamConsumers").await;
            self.call("GetMetricData").await;
        };
        let single = ["ListTagsForResource", "ListShards", "GetMetricData", "GetMetricData", "DescribeKey"];
        let single = join_all(single.map(|call| self.call(call)));
        let metrics = async {
            if functions > 0 {
                self.call("GetMetricData").await;
            }
        };
        futures_util::join!(single, consumers, metrics, join_all((0..functions).map(|_| self.function())));
        // The shards of the last three hours, of a stream that has refused something or has readers.
        self.call("ListShards").await;
        // The minutes of 14 days, of a stream that may have too many shards.
        self.call("GetMetricData").await;
    }
}

/// Reads 1,000 streams that `functions` functions each read. Gives the mean calls of a stream, the minutes, and how
/// many calls AWS throttled.
fn simulate(functions: usize) -> (f64, f64, usize) {
    let time = Virtual::default();
    let rates = Rates::new(&time);
    let arn = |n: usize| StreamArn::parse(&format!("arn:aws:kinesis:us-east-1:123456789012:stream/stream-{n}"));
    let arns: Vec<StreamArn> = (0..1_000).map(|n| arn(n).expect("an ARN")).collect();
    let pace = Pace::new(time.clone(), STREAMS_PER_SECOND);
    let reads = time.run(paced(&arns, &pace, |_| rates.stream(functions)).collect::<Vec<_>>());
    assert_eq!(reads.len(), 1_000);
    let calls: usize = rates.calls.borrow().values().sum();
    (calls as f64 / 1_000.0, time.now().as_secs_f64() / 60.0, rates.throttled.get())
}

#[test]
fn a_thousand_streams_take_less_than_ten_minutes_within_aws_rates() {
    for functions in [0, 1, 2] {
        let (calls, minutes, throttled) = simulate(functions);
        println!("1,000 streams, {functions} functions each: {calls} calls a stream, {minutes:.1} minutes");
        assert_eq!(throttled, 0, "{functions} functions each");
        assert!(calls <= 25.0 && minutes < 10.0, "{functions}: {calls} calls, {minutes} minutes");
    }
}

#[test]
fn the_simulated_account_throttles_what_comes_faster_than_aws_allows() {
    let time = Virtual::default();
    let rates = Rates::new(&time);
    time.run(join_all((0..30).map(|_| rates.call("DescribeStreamSummary"))));
    assert_eq!(rates.throttled.get(), 10);
    assert!(time.now() >= Duration::from_secs(1), "{:?}", time.now());
}

/// The simulation lists the calls of one stream by hand. A read of a stream of a local account makes the same ones. The
/// key of the stream is the exception: AWS manages it there.
#[tokio::test]
async fn the_simulated_calls_of_a_stream_are_those_of_a_read() {
    use unthrottle_lab::local::{LocalAccount, Options};
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_streams(["orders".to_owned()], 2, &[]).await;
    // A month old, so it may have too many shards.
    let created = (clock().now() - chrono::TimeDelta::days(30)).timestamp();
    account.describe_as("orders", serde_json::json!({ "StreamCreationTimestamp": created }));
    let arn = StreamArn::parse(&account.stream_arn("orders")).expect("an ARN");
    let clients = Clients::new(&crate::aws::local_config(account.url()));
    let register = clients.kinesis.register_stream_consumer().stream_arn(arn.to_string()).consumer_name("reader");
    register.send().await.expect("registered");
    let now = clock().now();
    // A stream that has refused something or has readers takes one call more.
    let (refused, ago) = ("WriteProvisionedThroughputExceeded", chrono::TimeDelta::minutes(5));
    account.put_metric("AWS/Kinesis", refused, &[("StreamName", "orders")], now - ago, 1.0);
    let shared = Account::read(&clients, &arn, true, now).await;
    account.reset_calls();
    let readings = read(&clients, &shared, &Asked::default(), &arn, now).await.expect("read").expect("it exists");
    assert!(readings.consumers.is_ok_and(|consumers| consumers.len() == 1));
    let name = |call: &String| call.split_once('.').map_or(call.clone(), |(_, name)| name.to_owned());
    let made: BTreeMap<String, usize> = account.calls().iter().map(|(call, n)| (name(call), *n as usize)).collect();
    let time = Virtual::default();
    let rates = Rates::new(&time);
    time.run(rates.stream(0));
    let mut simulated: BTreeMap<String, usize> =
        rates.calls.into_inner().into_iter().map(|(call, n)| (call.to_owned(), n)).collect();
    simulated.remove("DescribeKey");
    assert_eq!(made, simulated);
}

/// The most calls for a stream, for the metrics of its functions, for each of these functions, and for the account.
const MOST_CALLS: [usize; 4] = [10, 1, 2, 14];

/// The most calls that a stream may take.
const BOUND: usize = 25;

/// The functions of a stream with which a read stays within [`BOUND`].
const FUNCTIONS: usize = 7;

#[test]
fn the_page_of_the_doctor_says_how_many_calls_a_stream_takes() {
    let [of_stream, of_metrics, of_function, of_account] = MOST_CALLS;
    for functions in 0..=FUNCTIONS + 1 {
        let time = Virtual::default();
        let rates = Rates::new(&time);
        time.run(rates.stream(functions));
        let calls: usize = rates.calls.borrow().values().sum();
        assert_eq!(calls, of_stream + of_metrics * functions.min(1) + of_function * functions);
        assert_eq!(calls <= BOUND, functions <= FUNCTIONS, "{functions} functions take {calls} calls");
    }
    let page = include_str!("../../../../docs/doctor.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let says = format!(
        "at most {of_stream} calls for a stream, {of_metrics} more for the metrics of all Lambda functions that read \
         it, {of_function} more for each of these functions, and {of_account} once for the account"
    );
    assert!(page.contains(&says), "{says}");
    let bound = format!("{BOUND} calls are enough for a stream that {FUNCTIONS} functions read, and each further");
    assert!(page.contains(&bound), "{bound}");
}

/// The local account has no event and no function of unthrottle.
#[tokio::test]
async fn the_account_takes_as_many_calls_as_the_page_says() {
    use crate::doctor::read::MOST_PAGES;
    use unthrottle_lab::local::{LocalAccount, Options};
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_rule("watch", &[(crate::STACK_TAG, "unthrottle")]);
    let arn = StreamArn::parse(&account.stream_arn("orders")).expect("an ARN");
    let clients = Clients::new(&crate::aws::local_config(account.url()));
    Account::read(&clients, &arn, true, clock().now()).await;
    let made: u64 = account.calls().values().sum();
    // The configuration of the function, and the simulation of its role.
    const OF_FUNCTION: usize = 2;
    assert_eq!(made as usize + MOST_PAGES - 1 + OF_FUNCTION, MOST_CALLS[3], "{:?}", account.calls());
}
