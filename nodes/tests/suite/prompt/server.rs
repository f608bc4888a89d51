//! A real HTTP server on this machine that answers as a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// How many came before it.
    pub(crate) number: usize,
    /// Request line and headers.
    pub(crate) head: String,
    /// The body; `Null` when it is not JSON.
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

/// What the server does.
pub(crate) enum Reply {
    /// Status, further headers, body.
    Send(u16, Vec<(&'static str, String)>, String),
    /// Nothing for so long, then the connection is closed.
    Hang(Duration),
    /// Half a response.
    Break,
}

/// Runs until the test ends.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) fn new(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}/v1", listener.local_addr().expect("address"));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, reply) = (Arc::clone(&seen), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, reply) = (Arc::clone(&log), Arc::clone(&reply));
                std::thread::spawn(move || serve(stream, &log, &*reply));
            }
        });
        Self { endpoint, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("log").clone()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Seen>>, reply: &(dyn Fn(&Seen) -> Reply + Send + Sync)) {
    let mut reader = BufReader::new(stream.try_clone().expect("stream"));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("length");
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("body");
    let seen = {
        let mut log = log.lock().expect("log");
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let number = log.len();
        log.push(Seen { number, head, body, at: Instant::now() });
        log.last().expect("just pushed").clone()
    };
    let mut stream = stream;
    match reply(&seen) {
        Reply::Send(status, headers, text) => {
            let mut response = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n",
                text.len()
            );
            for (name, value) in headers {
                response.push_str(&format!("{name}: {value}\r\n"));
            }
            // The client may have gone meanwhile.
            let _ = stream.write_all(format!("{response}\r\n{text}").as_bytes());
        }
        Reply::Hang(time) => std::thread::sleep(time),
        Reply::Break => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"choices\":");
        }
    }
}

/// The text of the last user message.
pub(crate) fn question(seen: &Seen) -> &str {
    let messages = seen.body["messages"].as_array().expect("messages");
    messages.last().expect("one")["content"].as_str().expect("text")
}

/// The first genes of the cells that the first message asks about.
pub(crate) fn cells(seen: &Seen) -> Vec<String> {
    let text = seen.body["messages"][0]["content"].as_str().expect("text");
    let lists = text.lines().filter_map(|line| {
        let (number, list) = line.split_once(". ")?;
        number.parse::<usize>().ok()?;
        serde_json::from_str::<Vec<String>>(list).ok()
    });
    lists.map(|genes| genes[0].clone()).collect()
}

/// What a perfect model says of such cells: those whose first gene begins with S are sensitive.
pub(crate) fn truth(first_genes: &[String]) -> Vec<u8> {
    first_genes.iter().map(|gene| u8::from(gene.starts_with('S'))).collect()
}

/// A chat completion with this text.
pub(crate) fn says(text: &str) -> Reply {
    completion(&json!({ "role": "assistant", "content": text, "refusal": null }), "stop")
}

/// A chat completion with this message and end.
pub(crate) fn completion(message: &Value, finish: &str) -> Reply {
    let body = json!({
        "id": "x", "object": "chat.completion", "created": 1_731_000_000, "model": "test-model-1", "system_fingerprint": "fp",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 },
    });
    Reply::Send(200, Vec::new(), body.to_string())
}

/// An error as OpenAI writes it.
pub(crate) fn refuses(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": code } });
    Reply::Send(status, Vec::new(), body.to_string())
}

/// The true answer in the format that is asked for.
pub(crate) fn perfect(seen: &Seen) -> Reply {
    says(&json!({ "answers": truth(&cells(seen)) }).to_string())
}
