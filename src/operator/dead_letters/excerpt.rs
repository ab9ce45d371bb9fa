//! JSON on lines of its own, the place that a JSON Pointer names marked.

use serde_json::Value;

const MARK: &str = "   <-- here";

/// The value's lines. Where the pointer names a member that isn't there, what should hold it
/// is marked.
pub fn lines(value: &Value, pointer: Option<&str>) -> Vec<String> {
    let mut lines = Lines { lines: Vec::new(), fault: pointer.map(|at| existing(value, at)) };
    lines.add("", "", value, "", 0);
    let missing =
        pointer.filter(|at| value.pointer(at).is_none()).and_then(|at| at.rsplit('/').next());
    if let Some(name) = missing {
        for line in lines.lines.iter_mut().filter(|line| line.ends_with(MARK)) {
            line.push_str(&format!(", without {name}"));
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
    lines: Vec<String>,
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
                self.lines.push(format!("{}}}{end}", indent(depth)));
            }
            Value::Array(elements) if !elements.is_empty() => {
                self.push(pointer, depth, &format!("{label}["));
                for (index, element) in elements.iter().enumerate() {
                    let pointer = format!("{pointer}/{index}");
                    let end = if index + 1 < elements.len() { "," } else { "" };
                    self.add(&pointer, "", element, end, depth + 1);
                }
                self.lines.push(format!("{}]{end}", indent(depth)));
            }
            scalar => self.push(pointer, depth, &format!("{label}{scalar}{end}")),
        }
    }

    fn push(&mut self, pointer: &str, depth: usize, text: &str) {
        let mark = if self.fault == Some(pointer) { MARK } else { "" };
        self.lines.push(format!("{}{text}{mark}", indent(depth)));
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
