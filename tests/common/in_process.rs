//! A local account that SDK clients call without a network, and in virtual time: each call takes one round trip of the
//! runtime's clock, and nothing of the machine's.

use crate::aws::config;
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use axum::response::Response;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use unthrottle_lab::local::LocalAccount;

/// The largest answer that is read: far more than AWS sends in one page.
const LARGEST_ANSWER: usize = 64 << 20;

/// The way to an account: each clone is the same way.
#[derive(Clone)]
pub struct InProcess {
    account: LocalAccount,
    round_trip: Duration,
    /// The calls a second of `ListTagsForResource` and of `TagResource`, each. AWS documents none. `None`: no limit.
    tag_rate: Option<usize>,
    meter: Arc<Mutex<Meter>>,
}

/// What CloudWatch charges for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Metrics in calls of `GetMetricData`.
    pub metrics: u64,
    /// Metrics Insights queries, which are charged for each metric of the account that they analyse.
    pub insights: u64,
}

/// What is counted, and the calls that count against [`InProcess::tag_rate`].
#[derive(Debug, Default)]
struct Meter {
    counted: Counted,
    tag_reads: VecDeque<Instant>,
    tag_writes: VecDeque<Instant>,
}

impl InProcess {
    pub fn to(account: &LocalAccount, round_trip: Duration, tag_rate: Option<usize>) -> InProcess {
        InProcess { account: account.clone(), round_trip, tag_rate, meter: Arc::default() }
    }

    /// The configuration for SDK clients that go this way.
    pub fn config(&self) -> SdkConfig {
        config(self.account.url()).into_builder().http_client(self.clone()).build()
    }

    /// What CloudWatch charges for so far.
    pub fn counted(&self) -> Counted {
        self.meter().counted
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        sleep(self.round_trip / 2).await;
        let mut builder = Request::builder().method(request.method()).uri(request.uri());
        for (name, value) in request.headers().iter_bytes() {
            builder = builder.header(name, value);
        }
        let body = ByteStream::new(request.into_body()).collect().await.map_err(|e| other(e.into()))?.into_bytes();
        let request = builder.body(Body::from(body.clone())).map_err(|e| other(e.into()))?;
        let refused = self.count(&request, &body);
        let answer = match refused {
            Some(refused) => Some(refused),
            None => self.account.answer(request).await,
        };
        sleep(self.round_trip - self.round_trip / 2).await;
        let answer = answer.ok_or_else(|| ConnectorError::io("the account closed the connection".into()))?;
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, LARGEST_ANSWER).await.map_err(|e| other(e.into()))?;
        let status = StatusCode::try_from(parts.status.as_u16()).map_err(|e| other(e.into()))?;
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        for (name, value) in &parts.headers {
            let value = value.to_str().map_err(|e| other(e.into()))?;
            response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
        Ok(response)
    }

    /// Counts a call. Gives the refusal of one above [`InProcess::tag_rate`].
    fn count(&self, request: &Request<Body>, body: &[u8]) -> Option<Response> {
        let mut meter = self.meter();
        if request.uri().path().ends_with("/operation/GetMetricData") {
            meter.counted.metrics += times(body, b"MetricStat");
            meter.counted.insights += times(body, b"FROM SCHEMA(");
        }
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
        let calls = match target {
            Some("Kinesis_20131202.ListTagsForResource") => &mut meter.tag_reads,
            Some("Kinesis_20131202.TagResource") => &mut meter.tag_writes,
            _ => return None,
        };
        let rate = self.tag_rate?;
        let now = Instant::now();
        while calls.front().is_some_and(|call| now - *call >= Duration::from_secs(1)) {
            calls.pop_front();
        }
        if calls.len() < rate {
            calls.push_back(now);
            return None;
        }
        let body = r#"{"__type":"LimitExceededException","message":"Rate exceeded for the account."}"#;
        let refusal = Response::builder().status(400).header(header::CONTENT_TYPE, "application/x-amz-json-1.1");
        Some(refusal.body(Body::from(body)).expect("an answer"))
    }
}

/// How often `word` stands in `text`.
fn times(text: &[u8], word: &[u8]) -> u64 {
    text.windows(word.len()).filter(|window| *window == word).count() as u64
}

fn other(error: Box<dyn std::error::Error + Send + Sync>) -> ConnectorError {
    ConnectorError::other(error, None)
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("round_trip", &self.round_trip).finish_non_exhaustive()
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().answer(request))
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
