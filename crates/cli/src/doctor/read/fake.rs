//! A service for tests, which answers as a test says.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server of JSON.
pub(in crate::doctor) struct Fake {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Starts it. `answer`: the JSON for a request, with its first line, its headers and its body.
    pub async fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Fake {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", server.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(vec![]));
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = server.accept().await {
                let request = read(&mut client).await;
                let body = answer(&request);
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = client.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Fake { url, requests }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads one request: its headers, and as many bytes as they say.
async fn read(client: &mut TcpStream) -> String {
    let mut request = String::new();
    let mut part = [0; 4096];
    loop {
        let length = client.read(&mut part).await.unwrap_or_default();
        request += &String::from_utf8_lossy(&part[..length]);
        if length == 0 {
            return request;
        }
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let of_body =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= of_body.unwrap_or(0) {
            return request;
        }
    }
}
