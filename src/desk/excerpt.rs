//! JSON on lines of its own, the place that a JSON Pointer names marked.

use serde_json::Value;

const MARK: &str = "   <-- here";

/// A line of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    /// The fault is here.
    pub is_marked: bool,
    /// The member that is missing here.
    pub without: Option<String>,
}

/// The value's lines as a terminal shows them.
pub fn lines(value: &Value, pointer: Option<&str>) -> Vec<String> {
    let plain = |line: Line| match (line.is_marked, line.without) {
        (false, _) => line.text,
        (true, None) => line.text + MARK,
        (true, Some(name)) => format!("{}{MARK}, without {name}", line.text),
    };
    marked(value, pointer).into_iter().map(plain).collect()
}

/// The value's lines. Where the pointer names a member that isn't there, what should hold it
/// is marked.
pub fn marked(value: &Value, pointer: Option<&str>) -> Vec<Line> {
    let mut lines = Lines { lines: Vec::new(), fault: pointer.map(|at| existing(value, at)) };
    lines.add("", "", value, "", 0);
    let missing =
        pointer.filter(|at| value.pointer(at).is_none()).and_then(|at| at.rsplit('/').next());
    if let Some(name) = missing {
        for line in lines.lines.iter_mut().filter(|line| line.is_marked) {
            line.without = Some(name.to_owned());
        }
    }
    lines.lines
}

/// The longest beginning of the pointer that leads somewhere.
fn existing<'a>(value: &Value, pointer: &'a str) -> &'a str {
    let mut at = pointer;
    while value.pointer(at).is_none() {
        at = at.rsplit_once('/').map_or("", |(before, _)| before);
    }
    at
}

struct Lines<'a> {
    lines: Vec<Line>,
    fault: Option<&'a str>,
}

impl Lines<'_> {
    /// `label` goes before the value on its first line, `end` after it on its last.
    fn add(&mut self, pointer: &str, label: &str, value: &Value, end: &str, depth: usize) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                self.push(pointer, depth, &format!("{label}{{"));
                for (index, (name, member)) in members.iter().enumerate() {
                    let pointer = format!("{pointer}/{}", escaped(name));
                    let label = format!("{}: ", Value::String(name.clone()));
                    let end = if index + 1 < members.len() { "," } else { "" };
                    self.add(&pointer, &label, member, end, depth + 1);
                }
                self.close(depth, &format!("}}{end}"));
            }
            Value::Array(elements) if !elements.is_empty() => {
                self.push(pointer, depth, &format!("{label}["));
                for (index, element) in elements.iter().enumerate() {
                    let pointer = format!("{pointer}/{index}");
                    let end = if index + 1 < elements.len() { "," } else { "" };
                    self.add(&pointer, "", element, end, depth + 1);
                }
                self.close(depth, &format!("]{end}"));
            }
            scalar => self.push(pointer, depth, &format!("{label}{scalar}{end}")),
        }
    }

    fn push(&mut self, pointer: &str, depth: usize, text: &str) {
        let is_marked = self.fault == Some(pointer);
        let text = format!("{}{text}", indent(depth));
        self.lines.push(Line { text, is_marked, without: None });
    }

    fn close(&mut self, depth: usize, text: &str) {
        let text = format!("{}{text}", indent(depth));
        self.lines.push(Line { text, is_marked: false, without: None });
    }
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

/// As RFC 6901 writes a name in a pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn marked(value: &Value, pointer: &str) -> Vec<String> {
        let lines = lines(value, Some(pointer)).into_iter();
        lines.filter(|line| line.contains("<--")).map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn the_fault_is_marked_on_its_own_line() {
        let event = json!({ "data": { "lines": [{ "quantity": 1 }, { "quantity": "two" }] } });
        let mark = ["\"quantity\": \"two\"   <-- here"];
        assert_eq!(marked(&event, "/data/lines/1/quantity"), mark);
        assert_eq!(marked(&json!({ "a/b~": 1 }), "/a~1b~0"), ["\"a/b~\": 1   <-- here"]);
    }

    #[test]
    fn where_a_member_is_missing_its_object_is_marked() {
        let event = json!({ "data": { "seller_id": "S" } });
        let mark = ["\"data\": {   <-- here, without order_id"];
        assert_eq!(marked(&event, "/data/order_id"), mark);
        assert_eq!(marked(&event, ""), ["{   <-- here"]);
    }

    #[test]
    fn the_lines_without_marks_are_the_value_again() {
        let value = json!({ "a": [1, { "b": [] }, {}], "c": "x\"y", "d": null });
        let text = lines(&value, None).join("\n");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
