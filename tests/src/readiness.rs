//! Whether a server answers, asked without an HTTP client: `cargo xtask`, which is compiled before anything else can
//! begin, needs no more than a status line.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Pause between two questions: short for people, long for processors.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until `path` is answered with 200; an error with the last answer when `bound` passes before.
pub async fn wait_until_ready(address: SocketAddr, path: &str, bound: Duration) -> Result<()> {
    let mut last = "nothing was answered".to_owned();
    let asking = async {
        loop {
            match ask(address, path).await {
                Ok(answer) if answer.split(' ').nth(1) == Some("200") => break,
                Ok(answer) => last = answer,
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    if tokio::time::timeout(bound, asking).await.is_err() {
        bail!("http://{address}{path} was not answered with 200 within {} s; the last answer: {last}", bound.as_secs());
    }
    Ok(())
}

async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_server_is_ready_when_it_answers_200() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            for status in ["503 Service Unavailable", "200 OK"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                assert!(request[..length].starts_with(b"GET /readyz HTTP/1.1\r\n"));
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let (ready, ()) = tokio::join!(wait_until_ready(address, "/readyz", Duration::from_secs(30)), server);
        ready.unwrap();
    }

    #[tokio::test]
    async fn who_is_never_ready_is_named_with_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = wait_until_ready(address, "/readyz", Duration::from_millis(1)).await.unwrap_err().to_string();
        assert!(error.contains(&format!("http://{address}/readyz")), "{error}");
    }
}
