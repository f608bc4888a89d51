//! A small HTTP server that keeps objects in memory, remembers every request, and misbehaves as a test tells it to.
#![allow(dead_code, clippy::unwrap_used, reason = "every test target uses a part of it")]

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// After the base, such as `v1/ac/...`.
    pub(crate) name: String,
    /// Lower case.
    pub(crate) head: String,
}

/// What the server does with a request.
pub(crate) enum Behaviour {
    Serve,
    /// Only this status.
    Status(u16),
    /// Half of the answer.
    Break,
    /// No answer: the connection is closed.
    HangUp,
}

type Behave = Box<dyn Fn(&Seen) -> Behaviour + Send + Sync>;

struct State {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    log: Mutex<Vec<Seen>>,
    behave: Mutex<Behave>,
}

/// Runs until the test ends.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: String,
    state: Arc<State>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::speaking("http", |stream| stream)
    }

    /// `dress`: what becomes of a connection before a word is spoken.
    pub(crate) fn speaking<S: Read + Write>(
        scheme: &str,
        dress: impl Fn(TcpStream) -> S + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("{scheme}://{}/team", listener.local_addr().unwrap());
        let dress = Arc::new(dress);
        let state = Arc::new(State {
            objects: Mutex::default(),
            log: Mutex::default(),
            behave: Mutex::new(Box::new(|_| Behaviour::Serve)),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, dress) = (Arc::clone(&shared), Arc::clone(&dress));
                std::thread::spawn(move || serve(dress(stream), &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn behave(&self, behave: impl Fn(&Seen) -> Behaviour + Send + Sync + 'static) {
        *self.state.behave.lock().unwrap() = Box::new(behave);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.log.lock().unwrap().clone()
    }

    /// Requests of a method whose name holds `part`.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method == method && seen.name.contains(part)).count()
    }

    /// Names of all objects.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Changes the objects whose name holds `part` behind everybody's back.
    pub(crate) fn tamper(&self, part: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut changed = 0;
        for (name, bytes) in self.state.objects.lock().unwrap().iter_mut() {
            if name.contains(part) {
                change(bytes);
                changed += 1;
            }
        }
        assert!(changed > 0, "no object is called {part}");
    }

    pub(crate) fn delete(&self, part: &str) {
        self.state.objects.lock().unwrap().retain(|name, _| !name.contains(part));
    }
}

fn serve(mut stream: impl Read + Write, state: &State) {
    let mut reader = BufReader::new(&mut stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = if head.is_empty() { line } else { line.to_lowercase() };
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let name = path.trim_start_matches("/team/").to_owned();
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let seen = Seen { method, name, head };
    state.log.lock().unwrap().push(seen.clone());
    let behaviour = (state.behave.lock().unwrap())(&seen);
    let (status, answer) = match behaviour {
        Behaviour::HangUp => return,
        Behaviour::Status(status) => (status, Vec::new()),
        Behaviour::Serve | Behaviour::Break => answer(state, &seen, body),
    };
    let shown = if seen.method == "HEAD" { &[][..] } else { &answer };
    let shown = if matches!(behaviour, Behaviour::Break) { &shown[..shown.len() / 2] } else { shown };
    let (length, tag) = (answer.len(), tag(&answer));
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\netag: {tag}\r\nconnection: close\r\n\r\n"
    );
    // The client may have gone meanwhile.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(shown));
}

fn answer(state: &State, seen: &Seen, body: Vec<u8>) -> (u16, Vec<u8>) {
    let mut objects = state.objects.lock().unwrap();
    match seen.method.as_str() {
        "PUT" if seen.head.contains("if-none-match: *") && objects.contains_key(&seen.name) => {
            (412, Vec::new())
        }
        "PUT" if seen.head.contains("if-match:") => {
            let fits = objects.get(&seen.name).is_some_and(|there| seen.head.contains(&tag(there)));
            if fits {
                objects.insert(seen.name.clone(), body);
            }
            (if fits { 200 } else { 412 }, Vec::new())
        }
        "PUT" => {
            objects.insert(seen.name.clone(), body);
            (201, Vec::new())
        }
        "DELETE" => (objects.remove(&seen.name).map_or(404, |_| 204), Vec::new()),
        _ => objects.get(&seen.name).map_or((404, Vec::new()), |bytes| (200, bytes.clone())),
    }
}

fn tag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:x}\"", hasher.finish())
}
