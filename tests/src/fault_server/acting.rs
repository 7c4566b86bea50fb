//! Does to a connection what its fault says.

use std::{io, sync::atomic::Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    Fault, State,
    request::{self, Request},
};
use crate::upstream::{Family, Greeting};

/// Length of a huge line.
const HUGE: usize = 9 * 1024 * 1024;

/// How much of it is written at once.
const PIECE: usize = 64 * 1024;

/// One connection, from its first byte to its end. An error is a client that left.
pub(super) async fn serve(mut stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let fault = state.fault();
    if fault == Some(Fault::TlsFailure) {
        // Whatever begins a handshake gets an answer that is none.
        let _ = stream.read(&mut [0; 1024]).await?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
        return stream.shutdown().await;
    }
    let Some(request) = request::read(&mut stream).await? else { return Ok(()) };
    state.requests.fetch_add(1, Ordering::SeqCst);
    let mut answer = Answer { stream, request };
    match fault {
        None => answer.work().await,
        Some(fault) => answer.fail(fault, state).await,
    }
}

/// An answer on its way.
struct Answer {
    stream: TcpStream,
    request: Request,
}

impl Answer {
    async fn work(&mut self) -> io::Result<()> {
        let greeting = Greeting::of(self.request.family);
        if self.request.streams {
            let text = format!("{}{}{}", greeting.prelude, greeting.first, greeting.rest);
            self.open().await?;
            self.chunk(text.as_bytes()).await?;
            self.stream.write_all(b"0\r\n\r\n").await?;
        } else {
            self.whole("200 OK", "", "application/json", &greeting.unary).await?;
        }
        self.close().await
    }

    async fn fail(&mut self, fault: Fault, state: &State) -> io::Result<()> {
        let elsewhere = format!("location: http://{}/v1/chat/completions\r\n", state.elsewhere);
        match fault {
            Fault::RefusedConnection | Fault::ConnectTimeout | Fault::TlsFailure | Fault::UnknownHost => return Ok(()),
            Fault::Reset => return self.stream.set_zero_linger(),
            Fault::BadRequest => self.error(400, "").await?,
            Fault::Unauthorized => self.error(401, "").await?,
            Fault::Forbidden => self.error(403, "").await?,
            Fault::RateLimited => self.error(429, "").await?,
            Fault::RateLimitedWithRetryAfter => self.error(429, "retry-after: 60\r\n").await?,
            Fault::RateLimitedBriefly => self.error(429, "retry-after: 1\r\n").await?,
            Fault::InternalError => self.error(500, "").await?,
            Fault::Overloaded => self.error(529, "").await?,
            Fault::SlowHead => return self.silence().await,
            Fault::SlowFirstToken => {
                self.begin(false).await?;
                return self.silence().await;
            }
            Fault::SilenceBetweenTokens => {
                self.begin(true).await?;
                return self.silence().await;
            }
            Fault::CutHead => self.stream.write_all(b"HTTP/1.1 2").await?,
            Fault::CutBeforeContent => self.begin(false).await?,
            Fault::CutInEvent => self.end_within().await?,
            Fault::CutAfterContent => self.begin(true).await?,
            Fault::Garbage => self.whole("200 OK", "", self.media_type(), self.garbage()).await?,
            Fault::HugeLine => self.huge_line().await?,
            Fault::WrongContentType => {
                let page = "<!doctype html><title>Sign in</title><p>Welcome to this network.</p>";
                self.whole("200 OK", "", "text/html; charset=utf-8", page).await?;
            }
            Fault::Found => self.whole("302 Found", &elsewhere, "text/plain", "").await?,
            Fault::TemporaryRedirect => self.whole("307 Temporary Redirect", &elsewhere, "text/plain", "").await?,
            Fault::EmptyBody => self.whole("200 OK", "", self.media_type(), "").await?,
            Fault::NothingSaid => self.whole("200 OK", "", self.media_type(), self.nothing()).await?,
            Fault::ReportedOverload => self.report(529).await?,
            Fault::ReportedError => self.report(500).await?,
            Fault::ReportedRejection => self.report(400).await?,
        }
        self.close().await
    }

    /// The content type of what was asked for.
    fn media_type(&self) -> &'static str {
        if self.request.streams { "text/event-stream" } else { "application/json" }
    }

    fn garbage(&self) -> &'static str {
        if self.request.streams { "data: {\"half\":\n\ndata: goblins!\n\n" } else { "{\"half\":" }
    }

    /// An answer, or an end of a stream, that says nothing.
    fn nothing(&self) -> &'static str {
        match (self.request.family, self.request.streams) {
            (Family::OpenAi, false) => r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[]}"#,
            (Family::OpenAi, true) => "data: [DONE]\n\n",
            (Family::Anthropic, false) => r#"{"id":"msg","type":"message","role":"assistant","model":"m"}"#,
            (Family::Anthropic, true) => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            (Family::Gemini, false) => r#"{"candidates":[]}"#,
            (Family::Gemini, true) => "data: {\"candidates\":[]}\r\n\r\n",
        }
    }

    /// An error under a status that says that all is well: in place of an answer, or of the first content of a stream.
    async fn report(&mut self, status: u16) -> io::Result<()> {
        let error = match (self.request.family, status) {
            // OpenAI has no status of its own for load; who passes on what others say, says it as they do.
            (Family::OpenAi, 529) => Family::Anthropic.error_body(status, "a fault of the tests"),
            (family, _) => family.error_body(status, "a fault of the tests"),
        };
        if !self.request.streams {
            return self.whole("200 OK", "", "application/json", &error).await;
        }
        let event = match self.request.family {
            Family::OpenAi => format!("data: {error}\n\n"),
            Family::Anthropic => format!("event: error\ndata: {error}\n\n"),
            Family::Gemini => format!("data: {error}\r\n\r\n"),
        };
        self.begin(false).await?;
        self.chunk(event.as_bytes()).await?;
        self.stream.write_all(b"0\r\n\r\n").await
    }

    /// A body that ends in good order within the first content.
    async fn end_within(&mut self) -> io::Result<()> {
        let greeting = Greeting::of(self.request.family);
        if !self.request.streams {
            let half = &greeting.unary[..greeting.unary.len() / 2];
            return self.whole("200 OK", "", "application/json", half).await;
        }
        self.begin(false).await?;
        self.chunk(&greeting.first.as_bytes()[..greeting.first.len() / 2]).await?;
        self.stream.write_all(b"0\r\n\r\n").await
    }

    /// The head of a stream. Nobody is to send another request over a connection that ends with its answer.
    async fn open(&mut self) -> io::Result<()> {
        let fields = "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        self.stream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}").as_bytes()).await
    }

    async fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            // An empty chunk would end the body.
            return Ok(());
        }
        let head = format!("{:x}\r\n", bytes.len());
        self.stream.write_all(&[head.as_bytes(), bytes, b"\r\n"].concat()).await
    }

    /// The beginning of an answer, up to the first content or with it. In one piece: the head, or half of the body too.
    async fn begin(&mut self, with_content: bool) -> io::Result<()> {
        let greeting = Greeting::of(self.request.family);
        if self.request.streams {
            self.open().await?;
            self.chunk(greeting.prelude.as_bytes()).await?;
            return if with_content { self.chunk(greeting.first.as_bytes()).await } else { Ok(()) };
        }
        let length = greeting.unary.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await?;
        let half = if with_content { &greeting.unary[..length / 2] } else { "" };
        self.stream.write_all(half.as_bytes()).await
    }

    async fn whole(&mut self, status: &str, fields: &str, media_type: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n");
        let answer = format!("{head}{fields}connection: close\r\n\r\n{body}");
        self.stream.write_all(answer.as_bytes()).await
    }

    async fn error(&mut self, status: u16, fields: &str) -> io::Result<()> {
        let body = self.request.family.error_body(status, "a fault of the tests");
        self.whole(&format!("{status} Fault"), fields, "application/json", &body).await
    }

    /// An answer of which one line, otherwise well formed, is longer than anybody should keep.
    async fn huge_line(&mut self) -> io::Result<()> {
        let greeting = Greeting::of(self.request.family);
        let text = if self.request.streams { &greeting.first } else { &greeting.unary };
        let (head, tail) = text.split_once("Hello").unwrap_or((text, ""));
        let media_type = self.media_type();
        let length = head.len() + HUGE + tail.len();
        let field = format!("content-type: {media_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        self.stream.write_all(format!("HTTP/1.1 200 OK\r\n{field}{head}").as_bytes()).await?;
        let piece = vec![b'a'; PIECE];
        for _ in 0..HUGE / PIECE {
            self.stream.write_all(&piece).await?;
        }
        self.stream.write_all(tail.as_bytes()).await
    }

    /// Says nothing until the client leaves.
    async fn silence(&mut self) -> io::Result<()> {
        while self.stream.read(&mut [0; 1024]).await? > 0 {}
        Ok(())
    }

    /// Ends in good order: what was written arrives, as nothing of the request is left unread.
    async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
