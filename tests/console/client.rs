//! A browser's requests, written by hand so that every header of them is seen.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// Somebody who asks, with the headers that every request of his carries.
#[derive(Clone, Debug)]
pub struct Client {
    place: String,
    headers: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    headers: String,
    pub body: String,
}

impl Client {
    /// At `http://host:port`; whatever it listens on, it is asked on this machine.
    pub fn of(address: &str) -> Client {
        let port = address.rsplit(':').next().unwrap();
        Client { place: format!("127.0.0.1:{port}"), headers: Vec::new() }
    }

    pub fn with(&self, name: &str, value: &str) -> Client {
        let mut client = self.clone();
        client.headers.retain(|(held, _)| !held.eq_ignore_ascii_case(name));
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    /// A form of the console's own, as a browser sends it.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let kind = "application/x-www-form-urlencoded";
        let origin = format!("http://{}", self.place);
        let client = match self.headers.iter().any(|(name, _)| name == "Origin") {
            true => self.clone(),
            false => self.with("Origin", &origin),
        };
        client.ask("POST", path, kind, &body.join("&"))
    }

    pub fn send(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "application/json", &body.to_string())
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: {}\r\n", self.place));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            head.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()));
        }
        let mut stream = TcpStream::connect(&self.place).expect("the console is there");
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::read(&String::from_utf8_lossy(&bytes))
    }
}

impl Answer {
    fn read(text: &str) -> Answer {
        let (headers, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Answer { status, headers: headers.to_owned(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (held, value) = line.split_once(": ")?;
            held.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    /// # Panics
    /// When it isn't 200.
    pub fn ok(self) -> Answer {
        assert_eq!(self.status, 200, "{}\n{}", self.headers, self.body);
        self
    }

    /// The name and value of the cookie that it sets.
    pub fn cookie(&self) -> String {
        let line = self.header("set-cookie").expect("a cookie is set");
        line.split(';').next().unwrap().to_owned()
    }
}

pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

impl Client {
    /// Server-sent events: the first ones, as many as come in that time.
    pub fn events(&self, path: &str, most: usize, time: std::time::Duration) -> Vec<Value> {
        let mut stream = TcpStream::connect(&self.place).expect("the console is there");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.place);
        stream.write_all(request.as_bytes()).unwrap();
        let end = std::time::Instant::now() + time;
        let mut bytes = Vec::new();
        let mut found = Vec::new();
        while found.len() < most {
            let Some(left) = end.checked_duration_since(std::time::Instant::now()) else { break };
            stream.set_read_timeout(Some(left.max(std::time::Duration::from_millis(1)))).unwrap();
            let mut buffer = [0; 65_536];
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            }
            let text = String::from_utf8_lossy(&bytes);
            let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
            found = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        }
        found
    }
}
