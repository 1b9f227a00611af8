//! A proxy between the command and an account, which makes calls fail.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call is not carried out, and the answer is HTTP 500.
    InternalError,
    /// The call is not carried out, and the connection closes.
    DropBefore,
    /// The call is carried out, and the connection closes without the answer.
    DropAfter,
    /// A gateway answers with its page. A call that deletes is not carried out, and every other one is: so each leaves
    /// as much as it can.
    Page,
    /// AWS refuses the rate of calls.
    Rate,
    /// AWS denies the call.
    Denied,
}

/// The calls that fail: from `first` on, `times` of them. The first call is 0.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub first: usize,
    pub times: usize,
    pub effect: Effect,
}

/// What the proxies of a run have counted.
#[derive(Debug, Default)]
pub struct Calls {
    /// The operations in their order. Of the operations that a flood repeats, only the first ones count.
    pub seen: Vec<String>,
    pub fault: Option<Fault>,
    /// Operations that fail at each call, and how.
    pub of_operations: Vec<(&'static str, Effect)>,
}

/// Operations of a flood, and how many of each count.
const OF_A_FLOOD: [&str; 3] = ["PutRecords", "PutRecord", "GetRecords"];
const COUNTED: usize = 2;

/// The first words of calls that delete.
const DELETE: [&str; 3] = ["Delete", "Remove", "Schedule"];

/// Starts a proxy to an account at `http://HOST:PORT`, and returns its own address.
pub async fn start(to: &str, calls: &Arc<Mutex<Calls>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (to, calls) = (to.trim_start_matches("http://").to_owned(), calls.clone());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (to, calls) = (to.clone(), calls.clone());
            // An error means that one of both sides has closed the connection.
            tokio::spawn(async move { serve(client, &to, &calls).await.ok() });
        }
    });
    url
}

/// Serves one call of a connection.
async fn serve(mut client: TcpStream, to: &str, calls: &Mutex<Calls>) -> std::io::Result<()> {
    let request = read_request(&mut client).await?;
    let operation = operation(&request);
    let effect = effect(&operation, &mut calls.lock().expect("no panic"));
    match effect {
        Some(Effect::DropBefore) => return Ok(()),
        Some(Effect::InternalError) => {
            let answer = error("500 Internal Server Error", "InternalFailure", "a fault of the test");
            return client.write_all(answer.as_bytes()).await;
        }
        Some(Effect::Rate) => {
            let answer = error("400 Bad Request", "ThrottlingException", "Rate exceeded");
            return client.write_all(answer.as_bytes()).await;
        }
        Some(Effect::Denied) => {
            let answer = error("400 Bad Request", "AccessDeniedException", "a fault of the test");
            return client.write_all(answer.as_bytes()).await;
        }
        Some(Effect::Page) if DELETE.iter().any(|word| operation.starts_with(word)) => {
            return client.write_all(page().as_bytes()).await;
        }
        _ => {}
    }
    let mut account = TcpStream::connect(to).await?;
    account.write_all(&request).await?;
    let mut answer = vec![];
    account.read_to_end(&mut answer).await?;
    match effect {
        None => client.write_all(&answer).await,
        Some(Effect::Page) => client.write_all(page().as_bytes()).await,
        Some(_) => Ok(()),
    }
}

/// An error answer of AWS.
fn error(status: &str, code: &str, message: &str) -> String {
    let body = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\nx-amzn-errortype: {code}\r\n\
         connection: close\r\n"
    );
    format!("{head}content-length: {}\r\n\r\n{body}", body.len())
}

/// What a load balancer or a proxy answers when it cannot reach the server, or waits for too long.
fn page() -> String {
    let body = "<html><head><title>503 Service Temporarily Unavailable</title></head></html>";
    let head = "HTTP/1.1 503 Service Temporarily Unavailable\r\ncontent-type: text/html\r\nconnection: close\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len())
}

/// Reads a request, and asks for the connection to close after the answer.
async fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = vec![];
    let end = loop {
        if let Some(at) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at;
        }
        if client.read_buf(&mut request).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or_default();
    while request.len() < end + 4 + length {
        if client.read_buf(&mut request).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    request.splice(end..end, *b"\r\nconnection: close");
    Ok(request)
}

/// The operation of a request: in a header, or at the end of the path. FIS has the HTTP method DELETE.
fn operation(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let target = text
        .lines()
        .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("x-amz-target")));
    let target = target.map(|(_, target)| target.trim().rsplit('.').next().unwrap_or_default().to_owned());
    target.unwrap_or_else(|| {
        let mut words = text.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let last = path.rsplit('/').next().unwrap_or_default();
        if method == "DELETE" { format!("Delete {last}") } else { last.to_owned() }
    })
}

/// Counts a call, and says how it fails.
fn effect(operation: &str, calls: &mut Calls) -> Option<Effect> {
    let before = calls.seen.iter().filter(|seen| *seen == operation).count();
    if OF_A_FLOOD.contains(&operation) && before >= COUNTED {
        return None;
    }
    let number = calls.seen.len();
    calls.seen.push(operation.to_owned());
    let of_operation = calls.of_operations.iter().find(|(failing, _)| *failing == operation);
    let fault = calls.fault.filter(|fault| (fault.first..fault.first.saturating_add(fault.times)).contains(&number));
    fault.map(|fault| fault.effect).or(of_operation.map(|(_, effect)| *effect))
}
