//! PutRecords over HTTP, with faults that a seed decides.

use aws_sdk_kinesis::config::{BehaviorVersion, Builder, Credentials, Region};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often each fault comes, from 0 to 1.
#[derive(Clone, Copy)]
pub struct Faults {
    /// A record is throttled.
    throttled: f64,
    /// A record fails inside Kinesis.
    internal: f64,
    /// The request is throttled as a whole.
    request_throttled: f64,
    /// HTTP 500, before or after the records were written.
    server_error: f64,
    /// The connection ends after the records were written, without a reply.
    reply_lost: f64,
    /// The answer has fewer results than records.
    short: f64,
    /// An answer has a result that is neither a success nor an error.
    empty: f64,
    /// No answer comes, and the connection stays open. Half of these requests were carried out.
    hang: f64,
    /// The answer comes late, so that later requests are answered before it.
    late: f64,
    /// The bytes that the connection carries in a second.
    bytes_per_second: f64,
}

impl Faults {
    pub fn all() -> Faults {
        Faults {
            throttled: 0.2,
            internal: 0.02,
            request_throttled: 0.05,
            server_error: 0.05,
            reply_lost: 0.05,
            short: 0.03,
            empty: 0.002,
            hang: 0.0,
            late: 0.3,
            bytes_per_second: f64::INFINITY,
        }
    }

    /// A connection that carries this number of bytes in a second.
    pub fn slow(bytes_per_second: f64) -> Faults {
        Faults { bytes_per_second, ..Faults::none() }
    }

    pub fn throttles() -> Faults {
        let none = Faults { internal: 0.0, request_throttled: 0.0, server_error: 0.0, ..Faults::all() };
        Faults { throttled: 0.3, reply_lost: 0.0, short: 0.0, empty: 0.0, ..none }
    }

    pub fn none() -> Faults {
        Faults { throttled: 0.0, late: 0.0, ..Faults::throttles() }
    }

    /// No answer ever comes.
    pub fn silent() -> Faults {
        Faults { hang: 1.0, ..Faults::none() }
    }

    pub fn hangs() -> Faults {
        Faults { throttled: 0.0, hang: 0.3, ..Faults::throttles() }
    }
}

/// A record that arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub data: Vec<u8>,
    pub key: String,
    /// Whether the writer got to know that it was written.
    pub is_known: bool,
}

struct Inner {
    faults: Faults,
    random: fastrand::Rng,
    stored: Vec<Arrived>,
    sent: Vec<Arrived>,
    refused: u64,
    unsure: HashSet<Vec<u8>>,
    again: HashSet<Vec<u8>>,
    /// The shards, all of the same width.
    shards: u128,
    /// The answers of ListShards before the shards.
    refused_lists: Vec<(u16, &'static str)>,
    /// The most bytes of requests that were in flight together, and those that are.
    most_bytes: usize,
    bytes: usize,
}

/// The server. It stops with the test.
pub struct Server {
    inner: Arc<Mutex<Inner>>,
    url: String,
}

impl Server {
    pub async fn start(faults: Faults, seed: u64) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Server::on(listener, faults, seed)
    }

    /// The same on a port that is open already.
    pub fn on(listener: tokio::net::TcpListener, faults: Faults, seed: u64) -> Server {
        let random = fastrand::Rng::with_seed(seed);
        let inner = Inner {
            faults,
            random,
            stored: vec![],
            sent: vec![],
            refused: 0,
            unsure: HashSet::new(),
            again: HashSet::new(),
            shards: 1,
            refused_lists: vec![],
            most_bytes: 0,
            bytes: 0,
        };
        let inner = Arc::new(Mutex::new(inner));
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // Requests of PutRecords may be larger than what axum takes by itself.
        let app = Router::new().fallback(answer).with_state(inner.clone()).layer(DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server { inner, url }
    }

    /// The same with this number of shards for ListShards.
    pub fn with_shards(self, shards: u128) -> Server {
        lock(&self.inner).shards = shards;
        self
    }

    /// The same with these answers of ListShards before the shards, the last one first.
    pub fn with_refused_lists(self, refused: &[(u16, &'static str)]) -> Server {
        lock(&self.inner).refused_lists = refused.to_vec();
        self
    }

    /// The most bytes of requests that were in flight together.
    pub fn most_bytes(&self) -> usize {
        lock(&self.inner).most_bytes
    }

    /// The configuration of a client for this server.
    pub fn config(&self) -> Builder {
        Server::config_of(&self.url)
    }

    /// The configuration of a client for a server at this address.
    pub fn config_of(url: &str) -> Builder {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = Builder::new().behavior_version(BehaviorVersion::latest()).region(Region::new("us-east-1"));
        config.endpoint_url(url).credentials_provider(credentials)
    }

    /// The records that were written, in their order.
    pub fn stored(&self) -> Vec<Arrived> {
        lock(&self.inner).stored.clone()
    }

    /// The records of all requests.
    pub fn sent(&self) -> Vec<Arrived> {
        lock(&self.inner).sent.clone()
    }

    /// The data of the records about which a reply was lost, whether they were written or not.
    pub fn unsure(&self) -> HashSet<Vec<u8>> {
        lock(&self.inner).unsure.clone()
    }

    /// Of these, the records that arrived again afterwards.
    pub fn again(&self) -> u64 {
        lock(&self.inner).again.len() as u64
    }

    /// The refusals of records whose answer the writer got.
    pub fn refused(&self) -> u64 {
        lock(&self.inner).refused
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the server does with a request after the records.
enum Reply {
    Answer(Value),
    Error(u16, &'static str),
    /// Nothing, ever.
    Nothing,
    /// Headers of an answer, and then the end of the connection.
    Broken,
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: Bytes) -> Response {
    let is_list = headers.get("x-amz-target").is_some_and(|target| target.as_bytes().ends_with(b"ListShards"));
    let (reply, wait) = if is_list { lock(&inner).list_shards() } else { lock(&inner).reply(&body) };
    let carried = lock(&inner).begin(body.len());
    tokio::time::sleep(wait + carried).await;
    lock(&inner).bytes -= body.len();
    let json = |status: u16, body: Value| {
        let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.1");
        response.body(Body::from(body.to_string())).expect("a response")
    };
    match reply {
        Reply::Answer(answer) => json(200, answer),
        Reply::Error(status, code) => json(status, json!({"__type": code, "message": "a fault of the test"})),
        Reply::Nothing => std::future::pending().await,
        Reply::Broken => {
            let cut: Result<Bytes, std::io::Error> = Err(std::io::ErrorKind::ConnectionReset.into());
            let body = Body::from_stream(futures_util::stream::iter([cut]));
            Response::builder().status(StatusCode::OK).body(body).expect("a response")
        }
    }
}

impl Inner {
    fn has(&mut self, chance: f64) -> bool {
        self.random.f64() < chance
    }

    /// Counts a request. Returns the time that its bytes and those before it need.
    fn begin(&mut self, bytes: usize) -> Duration {
        self.bytes += bytes;
        self.most_bytes = self.most_bytes.max(self.bytes);
        Duration::from_secs_f64(self.bytes as f64 / self.faults.bytes_per_second)
    }

    fn list_shards(&mut self) -> (Reply, Duration) {
        if let Some((status, code)) = self.refused_lists.pop() {
            return (Reply::Error(status, code), Duration::ZERO);
        }
        let width = u128::MAX / self.shards;
        let shard = |n: u128| {
            let last = if n + 1 == self.shards { u128::MAX } else { (n + 1) * width - 1 };
            let range = json!({"StartingHashKey": (n * width).to_string(), "EndingHashKey": last.to_string()});
            let sequence = json!({"StartingSequenceNumber": "0"});
            json!({"ShardId": format!("shardId-{n:012}"), "HashKeyRange": range, "SequenceNumberRange": sequence})
        };
        let shards: Vec<Value> = (0..self.shards).map(shard).collect();
        (Reply::Answer(json!({"Shards": shards})), Duration::ZERO)
    }

    fn reply(&mut self, body: &[u8]) -> (Reply, Duration) {
        let records = arrived(body);
        self.sent.extend(records.iter().cloned());
        self.again.extend(records.iter().map(|record| record.data.clone()).filter(|data| self.unsure.contains(data)));
        let datas: Vec<Vec<u8>> = records.iter().map(|record| record.data.clone()).collect();
        let written_before = self.stored.len();
        let (reply, wait) = self.carry_out(records);
        let is_lost = match &reply {
            Reply::Answer(answer) => answer["Records"].as_array().is_none_or(|results| results.len() != datas.len()),
            Reply::Error(status, _) => *status >= 500,
            Reply::Nothing | Reply::Broken => true,
        };
        if is_lost {
            self.unsure.extend(datas);
            self.stored[written_before..].iter_mut().for_each(|record| record.is_known = false);
        }
        (reply, wait)
    }

    fn carry_out(&mut self, records: Vec<Arrived>) -> (Reply, Duration) {
        let faults = self.faults;
        let wait = if self.has(faults.late) { Duration::from_millis(self.random.u64(1..8)) } else { Duration::ZERO };
        if self.has(faults.request_throttled) {
            return (Reply::Error(400, "ProvisionedThroughputExceededException"), wait);
        }
        let hangs = self.has(faults.hang);
        if hangs && self.has(0.5) {
            return (Reply::Nothing, wait);
        }
        let is_server_error = self.has(faults.server_error);
        // Half of the server errors come before the write.
        if is_server_error && self.has(0.5) {
            return (Reply::Error(500, "InternalFailure"), wait);
        }
        let count = records.len();
        let mut results: Vec<Value> = records.into_iter().map(|record| self.write(record)).collect();
        if hangs {
            return (Reply::Nothing, wait);
        }
        if is_server_error {
            return (Reply::Error(500, "InternalFailure"), wait);
        }
        if self.has(faults.reply_lost) {
            return (Reply::Broken, wait);
        }
        if self.has(faults.short) {
            results.truncate(self.random.usize(0..count));
            return (Reply::Answer(json!({"FailedRecordCount": 0, "Records": results})), wait);
        }
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        self.refused += failed as u64;
        (Reply::Answer(json!({"FailedRecordCount": failed, "Records": results})), wait)
    }

    /// Writes a record, or refuses it. Returns its result.
    fn write(&mut self, record: Arrived) -> Value {
        let faults = self.faults;
        let shard = format!("shardId-{:012}", record.key.len() % 4);
        if self.has(faults.throttled) {
            let message = format!("Rate exceeded for shard {shard} in stream orders under account 123456789012.");
            return json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": message});
        }
        if self.has(faults.internal) {
            return json!({"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."});
        }
        let is_known = !self.has(faults.empty);
        let data = record.data.clone();
        self.stored.push(Arrived { is_known, ..record });
        if !is_known {
            self.unsure.insert(data);
            return json!({});
        }
        json!({"SequenceNumber": self.stored.len().to_string(), "ShardId": shard})
    }
}

/// The records of a request.
fn arrived(body: &[u8]) -> Vec<Arrived> {
    let request: Value = serde_json::from_slice(body).expect("JSON");
    let of = |record: &Value| {
        let data = record["Data"].as_str().expect("data");
        let data = base64_simd::STANDARD.decode_to_vec(data).expect("base64");
        Arrived { data, key: record["PartitionKey"].as_str().expect("a key").into(), is_known: false }
    };
    request["Records"].as_array().expect("records").iter().map(of).collect()
}
