//! As much HTTP as the management API needs: one request a connection.

use std::io::{Read, Write};
use std::net::TcpStream;

use fluent_uri::Uri;

/// Sends one request to `http://user:password@host:port` and returns the status and
/// the body.
///
/// # Panics
/// When nobody answers there.
pub fn request(base: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let uri = Uri::parse(base).expect("the management URL is a URI");
    let authority = uri.authority().expect("the management URL names a host");
    let place =
        format!("{}:{}", authority.host(), authority.port().map_or("15672", |p| p.as_str()));
    let user = authority.userinfo().map_or("guest:guest", |user| user.as_str());
    let mut stream = TcpStream::connect(&place)
        .unwrap_or_else(|error| panic!("no management API at {place}: {error}"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {place}\r\nAuthorization: Basic {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        base64(user.as_bytes()),
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("the management API reads requests");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("the management API answers");
    split(&String::from_utf8_lossy(&response))
}

fn split(response: &str) -> (u16, String) {
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or_else(|| panic!("no HTTP response: {response}")), body.to_owned())
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |group: u32, place: u32| DIGITS[(group >> (18 - 6 * place)) as usize & 63] as char;
    let encode = |chunk: &[u8]| {
        let group = (0..3).fold(0, |sum, i| sum << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
        (0..4).map(move |i| if i <= chunk.len() { digit(group, i as u32) } else { '=' }).collect()
    };
    bytes.chunks(3).map(encode).collect::<Vec<String>>().concat()
}
