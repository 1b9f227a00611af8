//! A faster clock in the headers of every answer.

use super::Account;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use std::sync::Arc;

/// How many times as fast as the machine's clock the account's clock runs: a header of every answer
/// of an account with a faster clock. AWS has none.
pub const PACE_HEADER: &str = "x-unthrottle-pace";

/// Adds `Date`, which AWS sends by its own clock, too, and the pace. Only of a clock that runs faster: SDKs take another
/// date for a wrong clock of theirs, and repeat a denied call.
pub(super) async fn stamp(State(account): State<Arc<Account>>, mut response: Response) -> Response {
    let pace = account.options.clock.pace();
    if pace > 1 {
        let date = account.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        insert(response.headers_mut(), header::DATE.as_str(), &date);
        insert(response.headers_mut(), PACE_HEADER, &pace.to_string());
    }
    response
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Digits and letters are always a valid value.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
