//! The account without a network, and what its owner sees of it without a call. In virtual time a socket cannot be
//! waited for: the runtime would take the wait for idleness and move its timers on.

use super::alarms::contributors;
use super::cloudwatch::published_until;
use super::connection::Connection;
use super::shards::is_open;
use super::{LocalAccount, lock, transitions};
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use tower_service::Service as _;

impl LocalAccount {
    /// Answers one HTTP request in this process. `None`: the account closes the connection without an answer, because
    /// of a [fault](super::Fault).
    pub async fn answer(&self, mut request: Request<Body>) -> Option<Response> {
        let connection = Connection::default();
        request.extensions_mut().insert(ConnectInfo(connection.clone()));
        let Ok(response) = self.routes.clone().call(request).await;
        (!connection.is_cut()).then_some(response)
    }

    /// The open shards of a stream now. `None`: the stream does not exist. This counts as no call.
    pub async fn open_shards(&self, stream: &str) -> Option<u32> {
        transitions::settle(&self.account).await;
        let stream = self.account.store.get_stream(stream).await.ok()?;
        u32::try_from(stream.shards.iter().filter(|shard| is_open(shard)).count()).ok()
    }

    /// The streams that are in ALARM by a fleet alarm now, the worst first. This counts as no call.
    pub fn contributors(&self, alarm: &str) -> Vec<String> {
        let (alarms, metrics) = (lock(&self.account.fleet_alarms), lock(&self.account.metrics));
        let end = published_until(self.account.options.metric_lag, self.now());
        let all = alarms.get(alarm).map(|alarm| contributors(alarm, &metrics, end));
        all.into_iter().flatten().map(|contributor| contributor.stream.to_owned()).collect()
    }
}
