//! Reads bytes as strict JSON (RFC 8259, and I-JSON where two readers could
//! disagree), in one pass that builds nothing but the names it has seen.
//!
//! It must never recurse: a body is hostile until it is read, and 256 KiB of `[`
//! must not overflow a stack. Whoever parses after it relies on its word.

use std::borrow::Cow;
use std::collections::HashSet;

use super::pointer::{Step, pointer};

/// A document that is well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// How many objects and lists stand inside one another; 0 for a plain value.
    pub depth: usize,
    /// Where the first value deeper than was asked for stands.
    pub too_deep: Option<String>,
}

/// Why bytes are no JSON that everyone reads alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// JSON Pointer of the fault; `None` where the text is no document at all.
    pub pointer: Option<String>,
    /// What is wrong, for a person. Quotes nothing.
    pub sentence: String,
}

/// Checks that the bytes are one well-formed JSON document: UTF-8, no key twice in one
/// object (compared as unescaped), no lone surrogate, no number beyond every double.
/// `deepest` is the depth up to which nesting goes unremarked.
pub fn scan(bytes: &[u8], deepest: usize) -> Result<Scanned, NotJson> {
    let whole = |sentence: String| NotJson { pointer: None, sentence };
    if bytes.is_empty() {
        return Err(whole("the body is empty".into()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        whole(format!("the body is not UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    Scanner::new(text, deepest).document()
}

/// An object or list that is open.
enum Frame<'a> {
    Object { number: u32, key: Cow<'a, str> },
    List { index: usize },
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    deepest: usize,
    frames: Vec<Frame<'a>>,
    /// Every name of every object, with the object's number.
    names: HashSet<(u32, Cow<'a, str>)>,
    objects: u32,
    scanned: Scanned,
}

/// What follows a value or an opening bracket.
enum Next {
    Value,
    Close,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, deepest: usize) -> Self {
        Scanner {
            text,
            at: 0,
            deepest,
            frames: Vec::new(),
            names: HashSet::with_capacity(64),
            objects: 0,
            scanned: Scanned { depth: 0, too_deep: None },
        }
    }

    fn document(mut self) -> Result<Scanned, NotJson> {
        loop {
            let mut next = self.value()?;
            while let Next::Close = next {
                self.frames.pop();
                if self.frames.is_empty() {
                    return self.end();
                }
                next = self.after_value()?;
            }
        }
    }

    /// Reads a plain value, or opens an object or list.
    fn value(&mut self) -> Result<Next, NotJson> {
        match self.peek_token() {
            Some(b'{') => return self.open_object(),
            Some(b'[') => return self.open_list(),
            Some(b'"') => drop(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => return Err(self.malformed("a value")),
        }
        if self.frames.is_empty() { Ok(Next::Close) } else { self.after_value() }
    }

    fn open_object(&mut self) -> Result<Next, NotJson> {
        self.at += 1;
        self.open(Frame::Object { number: self.objects, key: Cow::Borrowed("") });
        self.objects += 1;
        if self.peek_token() == Some(b'}') {
            self.at += 1;
            return Ok(Next::Close);
        }
        self.key()?;
        Ok(Next::Value)
    }

    fn open_list(&mut self) -> Result<Next, NotJson> {
        self.at += 1;
        self.open(Frame::List { index: 0 });
        if self.peek_token() == Some(b']') {
            self.at += 1;
            return Ok(Next::Close);
        }
        Ok(Next::Value)
    }

    fn open(&mut self, frame: Frame<'a>) {
        if self.frames.len() == self.deepest && self.scanned.too_deep.is_none() {
            self.scanned.too_deep = Some(self.pointer());
        }
        self.frames.push(frame);
        self.scanned.depth = self.scanned.depth.max(self.frames.len());
    }

    /// Behind a value inside an object or list: the next one, or its end.
    fn after_value(&mut self) -> Result<Next, NotJson> {
        let token = self.peek_token();
        match (self.frames.last_mut(), token) {
            (Some(Frame::Object { .. }), Some(b',')) => {
                self.at += 1;
                self.key()?;
                Ok(Next::Value)
            }
            (Some(Frame::List { index }), Some(b',')) => {
                *index += 1;
                self.at += 1;
                Ok(Next::Value)
            }
            (Some(Frame::Object { .. }), Some(b'}')) | (Some(Frame::List { .. }), Some(b']')) => {
                self.at += 1;
                Ok(Next::Close)
            }
            (Some(Frame::Object { .. }), _) => Err(self.malformed("`,` or `}`")),
            _ => Err(self.malformed("`,` or `]`")),
        }
    }

    /// A member's name and its colon.
    fn key(&mut self) -> Result<(), NotJson> {
        if self.peek_token() != Some(b'"') {
            return Err(self.malformed("the name of a member"));
        }
        let name = self.string().map_err(|fault| self.of_object(fault))?;
        let Some(Frame::Object { number, key }) = self.frames.last_mut() else {
            unreachable!("a key is read inside an object");
        };
        *key = name.clone();
        if !self.names.insert((*number, name)) {
            return Err(self.fault_here("the name stands twice in its object"));
        }
        if self.peek_token() != Some(b':') {
            return Err(self.malformed("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// A string, unescaped.
    fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
        let start = self.at + 1;
        let mut unescaped: Option<String> = None;
        let mut copied = start;
        self.at = start;
        loop {
            self.skip(|byte| byte >= b' ' && byte != b'"' && byte != b'\\', usize::MAX);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let text = unescaped.get_or_insert_default();
                    text.push_str(&self.text[copied..self.at]);
                    let character = self.escape()?;
                    unescaped.get_or_insert_default().push(character);
                    copied = self.at;
                }
                Some(_) => return Err(self.malformed("an escaped control character")),
                None => return Err(self.malformed("the end of a string")),
            }
        }
        let rest = &self.text[copied..self.at];
        self.at += 1;
        Ok(match unescaped {
            None => Cow::Borrowed(rest),
            Some(text) => Cow::Owned(text + rest),
        })
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        self.at += 1;
        let character = match self.peek() {
            Some(quoted @ (b'"' | b'\\' | b'/')) => char::from(quoted),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.malformed("an escape that JSON has")),
        };
        self.at += 1;
        Ok(character)
    }

    /// `uXXXX`, and the second half where the first is of a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, NotJson> {
        let lone = "half of a surrogate pair stands alone";
        let first = self.code_unit()?;
        if !(0xD800..0xE000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.fault_here(lone));
        }
        if first >= 0xDC00 || !self.text[self.at..].starts_with("\\u") {
            return Err(self.fault_here(lone));
        }
        self.at += 1;
        let second = self.code_unit()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(self.fault_here(lone));
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
            .ok_or_else(|| self.fault_here(lone))
    }

    fn code_unit(&mut self) -> Result<u32, NotJson> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).unwrap_or_default();
        if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.malformed("four hexadecimal digits"));
        }
        self.at += 5;
        let unit = digits.iter().filter_map(|digit| char::from(*digit).to_digit(16));
        Ok(unit.fold(0, |unit, digit| unit * 16 + digit))
    }

    fn number(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        self.skip(|byte| byte == b'-', 1);
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.skip(|byte| byte.is_ascii_digit(), usize::MAX);
        if whole == 0 || (leading_zero && whole > 1) {
            return Err(self.malformed("a number without leading zeros"));
        }
        let mut plain = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("a digit behind the point")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            plain = false;
            self.at += 1;
            self.skip(|byte| matches!(byte, b'+' | b'-'), 1);
            self.digits("a digit of the exponent")?;
        }
        self.check_magnitude(start, plain && whole < 300)
    }

    fn digits(&mut self, expected: &str) -> Result<(), NotJson> {
        match self.skip(|byte| byte.is_ascii_digit(), usize::MAX) {
            0 => Err(self.malformed(expected)),
            _ => Ok(()),
        }
    }

    /// Few digits without an exponent need no second look.
    fn check_magnitude(&self, start: usize, is_small: bool) -> Result<(), NotJson> {
        let finite = || self.text[start..self.at].parse::<f64>().is_ok_and(f64::is_finite);
        if is_small || finite() {
            return Ok(());
        }
        Err(self.fault_here("the number is beyond what a double can hold"))
    }

    fn word(&mut self, word: &str) -> Result<(), NotJson> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.malformed("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn end(mut self) -> Result<Scanned, NotJson> {
        match self.peek_token() {
            None => Ok(self.scanned),
            Some(_) => Err(self.malformed("nothing behind the document")),
        }
    }

    /// The next byte that isn't white space.
    fn peek_token(&mut self) -> Option<u8> {
        self.skip(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'), usize::MAX);
        self.peek()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips bytes, at most so many, and tells how many.
    fn skip(&mut self, wanted: impl Fn(u8) -> bool, most: usize) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take(most).take_while(|byte| wanted(**byte)).count();
        self.at += count;
        count
    }

    /// The text breaks JSON's grammar, so that no place in a document can be named.
    fn malformed(&self, expected: &str) -> NotJson {
        let sentence = format!("the body is not JSON: at byte {}, expected {expected}", self.at);
        NotJson { pointer: None, sentence }
    }

    fn fault_here(&self, sentence: &str) -> NotJson {
        NotJson { pointer: Some(self.pointer()), sentence: sentence.into() }
    }

    /// A name that can't be read names no place: its object is at fault.
    fn of_object(&self, fault: NotJson) -> NotJson {
        let outer = &self.frames[..self.frames.len() - 1];
        NotJson { pointer: fault.pointer.map(|_| pointer(steps(outer))), ..fault }
    }

    /// Where the value that is being read stands.
    fn pointer(&self) -> String {
        pointer(steps(&self.frames))
    }
}

fn steps<'f>(frames: &'f [Frame<'_>]) -> impl Iterator<Item = Step<'f>> {
    frames.iter().map(|frame| match frame {
        Frame::Object { key, .. } => Step::Member(key),
        Frame::List { index } => Step::Element(*index),
    })
}

#[cfg(test)]
mod tests;
