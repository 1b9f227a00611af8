//! AWS Lambda for one function: containers that run the release `bootstrap` under a Runtime API.

#![allow(dead_code, reason = "each test binary uses its part")]

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use std::collections::HashMap;
use std::env;
use std::fs::File;
use std::future::{Future, IntoFuture};
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::path::{self, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

pub const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:unthrottle";

/// What a run for one stream may take at its worst: its intent is void to others after 45 s.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The function's own, as template.yaml has it.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(300);

/// What a container may take to ask for its first event: about 10 ms on an idle machine.
const START: Duration = Duration::from_secs(20);

/// The release build of the Lambda: the file that BOOTSTRAP names, which `make test` sets to SAM's build, or else
/// Cargo's. The tests are about its release profile, so Cargo does not build it for them.
pub fn bootstrap() -> PathBuf {
    let bootstrap = env::var_os("BOOTSTRAP").map_or_else(|| target().join("release/bootstrap"), PathBuf::from);
    let how = "cargo build --release --bin bootstrap";
    assert!(bootstrap.is_file(), "{} is missing: `make test` builds it, and so does `{how}`", bootstrap.display());
    bootstrap
}

/// Cargo's target folder.
pub fn target() -> &'static path::Path {
    let debug_build = path::Path::new(env!("CARGO_BIN_EXE_bootstrap"));
    debug_build.ancestors().nth(2).expect("TARGET/PROFILE/bootstrap")
}

/// One container of the function: a process that handles one event at a time.
pub struct Container {
    process: Process,
    events: mpsc::UnboundedSender<Event>,
    asked: watch::Receiver<Asked>,
    invoked: u32,
    _stop: oneshot::Sender<()>,
}

/// How often a container has asked for an event.
#[derive(Clone, Copy, Default)]
struct Asked {
    first: Option<Instant>,
    times: u32,
}

/// The result of one invocation.
#[derive(Debug)]
pub struct Run {
    /// The function's answer, or the error that it reported to Lambda.
    pub answer: Result<Value, Value>,
    /// The lines that it wrote to its log during the invocation.
    pub lines: Vec<Value>,
}

#[derive(Debug)]
struct Event {
    payload: Vec<u8>,
    /// When Lambda would stop it.
    deadline: SystemTime,
    answer: oneshot::Sender<Result<Value, Value>>,
}

impl Container {
    /// Starts a container and waits until it asks for an event. `endpoint`: where AWS is.
    pub async fn start(endpoint: &str, settings: &[(&str, &str)]) -> Container {
        let mut container = Container::launch(bootstrap(), endpoint, settings).await;
        container.asks().await;
        container
    }

    /// Starts `program` as a container.
    pub async fn launch(program: PathBuf, endpoint: &str, settings: &[(&str, &str)]) -> Container {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (events, queue) = mpsc::unbounded_channel();
        let (ask, asked) = watch::channel(Asked::default());
        let api = Arc::new(Api { queue: queue.into(), asked: ask, answers: Mutex::default() });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(api);
        let (stop, stopped) = oneshot::channel::<()>();
        // Not gracefully: a container always waits for its next event.
        tokio::spawn(async move {
            tokio::select! { _ = axum::serve(listener, routes).into_future() => {}, _ = stopped => {} }
        });
        let process = Process::start(program, &address, endpoint, settings);
        Container { process, events, asked, invoked: 0, _stop: stop }
    }

    /// Waits until the container asks for its next event; gives the time from the start of its process to its first.
    pub async fn asks(&mut self) -> Duration {
        let asked = self.asked.wait_for(|asked| asked.times > self.invoked);
        let asked = within(START, "a /next", asked).await.expect("the Runtime API lives as long");
        asked.first.expect("it has asked").duration_since(self.process.started)
    }

    /// Gives the container an event, and waits for its answer.
    pub async fn invoke(&mut self, event: &Value) -> Run {
        self.invoke_within(TIMEOUT, event).await
    }

    /// The same for what takes longer: a sweep.
    #[allow(dead_code, reason = "each test binary uses its part")]
    pub async fn sweep(&mut self) -> Run {
        self.invoke_within(FUNCTION_TIMEOUT, &serde_json::json!({ "sweep": true })).await
    }

    async fn invoke_within(&mut self, limit: Duration, event: &Value) -> Run {
        self.run(limit, FUNCTION_TIMEOUT, event).await
    }

    /// The same where Lambda stops the function after so long.
    #[allow(dead_code, reason = "each test binary uses its part")]
    pub async fn invoke_until(&mut self, timeout: Duration, event: &Value) -> Run {
        self.run(timeout, timeout, event).await
    }

    /// `limit`: how long an answer is waited for.
    async fn run(&mut self, limit: Duration, timeout: Duration, event: &Value) -> Run {
        self.invoked += 1;
        let from = self.process.log.length();
        let (answer, answered) = oneshot::channel();
        let payload = serde_json::to_vec(event).expect("JSON");
        let deadline = SystemTime::now() + timeout;
        self.events.send(Event { payload, deadline, answer }).expect("the Runtime API lives as long");
        let answer = within(limit, "an answer", answered).await.expect("the container is still there");
        // A line is in the file before the answer is sent.
        Run { answer, lines: self.process.log.lines(from) }
    }

    /// All that it has written to its log.
    pub fn log(&self) -> Vec<Value> {
        self.process.log.lines(0)
    }

    /// The same for while it runs.
    #[allow(dead_code, reason = "each test binary uses its part")]
    pub fn log_reader(&self) -> Log {
        self.process.log.clone()
    }

    pub fn id(&self) -> u32 {
        self.process.child.id()
    }
}

impl Run {
    #[track_caller]
    pub fn document(&self) -> &Value {
        self.answer.as_ref().unwrap_or_else(|error| panic!("no document, but {error}"))
    }

    /// The error's type and message.
    #[track_caller]
    pub fn error(&self) -> (&str, &str) {
        let error = self.answer.as_ref().expect_err("an error");
        let text = |field: &str| error[field].as_str().unwrap_or_else(|| panic!("{field} in {error}"));
        (text("errorType"), text("errorMessage"))
    }

    #[track_caller]
    pub fn outcome(&self) -> &str {
        self.document()["outcome"].as_str().expect("an outcome")
    }

    #[track_caller]
    pub fn code(&self) -> &str {
        self.document()["code"].as_str().expect("a code")
    }

    /// The log line with the decision.
    #[track_caller]
    pub fn decision_line(&self) -> &Value {
        self.only_line(|line| line.get("decision").is_some())
    }

    /// The EMF line with the calls and the time of the invocation.
    #[track_caller]
    pub fn cost_line(&self) -> &Value {
        self.only_line(|line| line.get("AwsCalls").is_some())
    }

    /// The EMF lines that stand in for an AutoFix datum.
    pub fn auto_fix_lines(&self) -> Vec<&Value> {
        self.lines.iter().filter(|line| line.get("AutoFix").is_some()).collect()
    }

    #[track_caller]
    fn only_line(&self, is_it: impl Fn(&Value) -> bool) -> &Value {
        let mut lines = self.lines.iter().filter(|line| is_it(line));
        match (lines.next(), lines.next()) {
            (Some(line), None) => line,
            _ => panic!("not one such line in {:#?}", self.lines),
        }
    }
}

/// Runs the function where no event will come, because its start fails: how it ended, and what it said.
pub fn fail_to_start(settings: &[(&str, &str)]) -> (ExitStatus, String) {
    let mut process = Process::start(bootstrap(), "127.0.0.1:9", "http://127.0.0.1:9", settings);
    let end = Instant::now() + START;
    while Instant::now() < end {
        if let Some(status) = process.child.try_wait().expect("a child of ours") {
            return (status, process.log.text(0));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the process did not end within {START:?}; it said: {}", process.log.text(0))
}

/// Waits for `event`, but not for ever.
pub async fn within<T>(time: Duration, what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(time, event).await.unwrap_or_else(|_| panic!("{what} did not come within {time:?}"))
}

/// A process with Lambda's environment, whose output goes to a file.
struct Process {
    child: Child,
    started: Instant,
    log: Log,
}

impl Process {
    fn start(program: PathBuf, runtime_api: &str, endpoint: &str, settings: &[(&str, &str)]) -> Process {
        let log = log_file();
        let output = || Stdio::from(log.0.try_clone().expect("a file handle"));
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", runtime_api),
                ("AWS_LAMBDA_FUNCTION_NAME", "unthrottle"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/unthrottle"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/20/[$LATEST]0"),
                ("AWS_ENDPOINT_URL", endpoint),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                ("AWS_SESSION_TOKEN", "a-session"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ])
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        let started = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process { child, started, log }
    }
}

/// What a process has written so far.
#[derive(Clone)]
pub struct Log(Arc<File>);

impl Log {
    fn length(&self) -> u64 {
        self.0.metadata().expect("an open file").len()
    }

    fn text(&self, from: u64) -> String {
        let mut bytes = vec![0; usize::try_from(self.length() - from).expect("a short log")];
        self.0.read_exact_at(&mut bytes, from).expect("an open file");
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// Its lines, without one that is being written.
    pub fn lines(&self, from: u64) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"));
        let text = self.text(from);
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        whole.lines().map(parse).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file without a name: the system deletes it with its last handle. A pipe would need a reader while the process
/// runs, and the reader would not know when it has read everything.
fn log_file() -> Log {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("log-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(format!("unthrottle-{name}"));
    // Appending: a second handle must not write over the first one's lines.
    let file = File::options().read(true).append(true).create_new(true).open(&path);
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let _ = std::fs::remove_file(path);
    Log(Arc::new(file))
}

// ---- The Runtime API ----

struct Api {
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    asked: watch::Sender<Asked>,
    answers: Mutex<HashMap<String, oneshot::Sender<Result<Value, Value>>>>,
}

impl Api {
    fn answers(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Result<Value, Value>>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, id: &str, answer: Result<Value, Value>) -> StatusCode {
        match self.answers().remove(id) {
            Some(waiting) => {
                let _ = waiting.send(answer);
                StatusCode::ACCEPTED
            }
            None => StatusCode::BAD_REQUEST,
        }
    }
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    api.asked.send_modify(|asked| {
        asked.first.get_or_insert_with(Instant::now);
        asked.times += 1;
    });
    let Some(event) = api.queue.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let id = format!("8476a536-e9f4-11e8-9739-{:012}", COUNT.fetch_add(1, Ordering::Relaxed));
    api.answers().insert(id.clone(), event.answer);
    let deadline = event.deadline.duration_since(UNIX_EPOCH).expect("after 1970");
    let headers = AppendHeaders([
        ("Content-Type", "application/json".into()),
        ("Lambda-Runtime-Aws-Request-Id", id),
        ("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN.into()),
        ("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".into()),
    ]);
    (headers, event.payload).into_response()
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    api.answer(&id, Ok(serde_json::from_slice(&body).expect("JSON")))
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    api.answer(&id, Err(serde_json::from_slice(&body).expect("JSON")))
}

/// Invokes all containers at once, each `times` times in a row; the outcomes of all documents.
pub async fn storm(containers: Vec<Container>, event: &Value, times: usize) -> Vec<String> {
    let storms = containers.into_iter().map(|mut container| {
        let event = event.clone();
        tokio::spawn(async move {
            let mut outcomes = vec![];
            for _ in 0..times {
                outcomes.push(container.invoke(&event).await.outcome().to_owned());
            }
            outcomes
        })
    });
    let mut outcomes = vec![];
    for storm in storms.collect::<Vec<_>>() {
        outcomes.extend(storm.await.expect("a document each time"));
    }
    outcomes
}
