//! The endpoint that a person names instead of AWS's own.

use crate::CliError;
use chrono::{DateTime, Utc};
use http::Uri;
use serde::Deserialize;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use unthrottle_lab::local::Clock;

/// How long a connection may take. A loopback address answers at once, and a far one within a second.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// The variables of a proxy. Behind a proxy, this process does not connect to the endpoint itself.
const PROXIES: [&str; 5] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"];

/// The path of a local account's time.
const CLOCK: &str = "/_unthrottle/clock";

/// The port of HTTPS. Servers there speak it.
const HTTPS: u16 = 443;

/// A TLS record that no server takes: a handshake with nothing in it. The line breaks end a request of plain HTTP.
const NO_HELLO: &[u8] = b"\x16\x03\x01\x00\x04\r\n\r\n";

/// The longest answer with a time, in bytes. Another server may answer with a page.
const MOST_ANSWER: u64 = 4_096;

/// The answer with a time.
#[derive(Deserialize)]
struct Time {
    now: DateTime<Utc>,
    pace: u32,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub url: String,
    host: String,
    port: u16,
}

impl Endpoint {
    /// # Errors
    /// The text is no address of a server. `source`: the option or the variable that has it.
    pub fn parse(source: &str, url: &str) -> Result<Endpoint, CliError> {
        let bad = |why: &str| {
            CliError::Usage(format!("{source}: `{url}` {why}. It must be an address such as http://127.0.0.1:4566"))
        };
        let uri: Uri = url.parse().map_err(|_| bad("is no address"))?;
        let port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return Err(bad("does not begin with http:// or https://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("has no host"))?;
        // The parser takes a port of any size, and then has none.
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let given = authority.rsplit_once(host).and_then(|(_, after)| after.strip_prefix(':'));
        let port = match given.filter(|digits| !digits.is_empty()) {
            None => port,
            Some(digits) => {
                digits.parse().ok().filter(|port| *port > 0).ok_or_else(|| bad("has no port from 1 to 65535"))?
            }
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Endpoint { url: url.into(), host, port })
    }

    /// Whether it is on this machine, such as `unthrottle local`.
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The clock of the local account behind it. `None`: another server, or one on another machine.
    pub async fn clock(&self) -> Option<Clock> {
        if !self.is_local() || !self.url.starts_with("http://") {
            return None;
        }
        let ask = async {
            let mut server = TcpStream::connect((self.host.as_str(), self.port)).await.ok()?;
            let request = format!("GET {CLOCK} HTTP/1.0\r\nHost: {}\r\n\r\n", self.host);
            server.write_all(request.as_bytes()).await.ok()?;
            let mut answer = vec![];
            server.take(MOST_ANSWER).read_to_end(&mut answer).await.ok()?;
            let answer = String::from_utf8(answer).ok()?;
            let time: Time = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
            Some(Clock::like(time.now, time.pace))
        };
        timeout(CONNECT_WITHIN, ask).await.ok().flatten()
    }

    /// Connects once, so that a dead port is named at once. The SDK would try again and then name its own layers.
    ///
    /// # Errors
    /// No server answers there.
    pub async fn must_answer(&self) -> Result<(), CliError> {
        if !self.is_local() && PROXIES.iter().any(|name| std::env::var_os(name).is_some()) {
            return Ok(());
        }
        let Endpoint { url, host, port } = self;
        let addresses = (host.as_str(), *port).to_socket_addrs();
        let addresses: Vec<_> = addresses
            .map_err(|error| CliError::Missing(format!("the host of {url} cannot be found: {error}")))?
            .collect();
        let connected = timeout(CONNECT_WITHIN, TcpStream::connect(addresses.as_slice())).await;
        let why = match connected {
            Ok(Ok(server)) if self.url.starts_with("https://") && *port != HTTPS => {
                return self.must_speak_tls(server).await;
            }
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CONNECT_WITHIN.as_secs()),
        };
        let hint = if self.is_local() { ". Is `unthrottle local` running, on this port?" } else { "" };
        Err(CliError::Missing(format!("no server answers at {url} ({why}){hint}")))
    }

    /// Begins a conversation in TLS, which a server of plain HTTP answers with an error in HTTP. The SDK would name its
    /// own layers.
    ///
    /// # Errors
    /// The server speaks plain HTTP.
    async fn must_speak_tls(&self, mut server: TcpStream) -> Result<(), CliError> {
        let ask = async {
            server.write_all(NO_HELLO).await.ok()?;
            let mut answer = [0; 5];
            server.read_exact(&mut answer).await.ok()?;
            Some(answer)
        };
        let answer = timeout(CONNECT_WITHIN, ask).await.ok().flatten();
        if answer.is_none_or(|answer| &answer != b"HTTP/") {
            return Ok(());
        }
        let url = &self.url;
        let plain = url.replacen("https://", "http://", 1);
        Err(CliError::Usage(format!("the server at {url} speaks plain HTTP. Did you mean {plain}?")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        let parse = |url: &str| Endpoint::parse("--endpoint-url", url);
        for (url, is_local) in [
            ("http://127.0.0.1:4566", true),
            ("http://localhost:4566/", true),
            ("http://[::1]:4566", true),
            ("https://kinesis.eu-west-1.amazonaws.com", false),
        ] {
            assert_eq!(parse(url).map(|endpoint| endpoint.is_local()).ok(), Some(is_local), "{url}");
        }
        let port = |url: &str| parse(url).map(|endpoint| endpoint.port).ok();
        assert_eq!(port("http://[::1]:4566"), Some(4566));
        assert_eq!((port("http://a:/"), port("https://u:8@a"), port("http://u@a:81")), (Some(80), Some(443), Some(81)));
        for url in
            ["nonsense", "", "127.0.0.1:4566", "ftp://a", "http://", "http://a b", "/x", "http://a:99999", "http://a:0"]
        {
            let error = parse(url).expect_err(url).to_string();
            assert!(
                error.starts_with(&format!("--endpoint-url: `{url}`")) && error.contains("such as http"),
                "{error}"
            );
        }
    }
}
