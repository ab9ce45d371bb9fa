//! Mending a refused message: its event as one document, and a patch (RFC 6902) for it.

use serde_json::{Map, Value};

use super::data::{self, STRIPPED};
use super::envelope::{Header, Message, Mode, attribute};
use super::{json, limits};

/// The event of a message as one document, as in structured mode: what patches and pointers
/// are meant for, however it came. `None` where its body can't be read as JSON.
pub fn document(message: &Message<'_>) -> Option<Value> {
    let scanned = json::scan(message.body, limits::NESTING_MAX).ok()?;
    if scanned.too_deep.is_some() {
        return None;
    }
    let body: Value = serde_json::from_slice(message.body).ok()?;
    if Mode::of(message) == Mode::Structured {
        return Some(body);
    }
    let mut members = Map::new();
    for (header, value) in message.attributes {
        if let (Some(name), Header::Text(text)) = (attribute(header), value) {
            members.insert(name.to_owned(), Value::from(*text));
        }
    }
    if let Some(kind) = message.content_type.filter(|kind| !kind.is_empty()) {
        members.entry("datacontenttype").or_insert_with(|| kind.into());
    }
    members.insert("data".to_owned(), body);
    Some(Value::Object(members))
}

/// What is done to the document of a refused message so that it may pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair(json_patch::Patch);

/// Why something is no repair, or can't be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RepairError(String);

impl RepairError {
    pub fn new(sentence: &str) -> RepairError {
        RepairError(sentence.to_owned())
    }
}

impl Repair {
    /// From a patch as RFC 6902 writes it: a list of operations.
    pub fn from_json(patch: Value) -> Result<Repair, RepairError> {
        let patch: json_patch::Patch = serde_json::from_value(patch).map_err(|error| {
            RepairError(format!("this is no JSON Patch (RFC 6902), a list of operations: {error}"))
        })?;
        if patch.is_empty() {
            return Err(RepairError("the patch is empty: it would change nothing".into()));
        }
        Ok(Repair(patch))
    }

    /// From assignments such as `/data/currency="JPY"`, done one after the other. A member is
    /// added or replaced; an element of a list is replaced.
    pub fn from_assignments(assignments: &[(String, Value)]) -> Result<Repair, RepairError> {
        let operations = assignments.iter().map(|(pointer, value)| {
            let name = pointer.rsplit('/').next().unwrap_or_default();
            let is_element = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            let op = if is_element || pointer.is_empty() { "replace" } else { "add" };
            serde_json::json!({ "op": op, "path": pointer, "value": value })
        });
        Repair::from_json(operations.collect())
    }

    /// What makes one document of another; `None` where they are the same.
    pub fn between(before: &Value, after: &Value) -> Option<Repair> {
        let patch = json_patch::diff(before, after);
        (!patch.is_empty()).then_some(Repair(patch))
    }

    /// A document in the place of whatever was there.
    pub fn replacement(document: Value) -> Repair {
        let patch = serde_json::json!([{ "op": "replace", "path": "", "value": document }]);
        Repair::from_json(patch).expect("one operation is a patch")
    }

    /// Without points and payment codes (rule V2): what is stored of a repair holds none. They
    /// would be stripped from the event in any case. `None` where nothing is left.
    pub fn stripped(mut self) -> Option<Repair> {
        use json_patch::PatchOperation::{Add, Replace, Test};
        self.0.0.retain(|operation| {
            let name = operation.path().last().map(|token| token.decoded().into_owned());
            name.is_none_or(|name| !STRIPPED.contains(&name.as_str()))
        });
        for operation in &mut self.0.0 {
            match operation {
                Add(add) => data::strip(&mut add.value),
                Replace(replace) => data::strip(&mut replace.value),
                Test(test) => data::strip(&mut test.value),
                _ => {}
            }
        }
        (!self.0.is_empty()).then_some(self)
    }

    /// All of it, or an error and nothing.
    pub fn apply(&self, document: &mut Value) -> Result<(), RepairError> {
        // A `move` that fails half-way is not taken back by the crate.
        let mut mended = document.clone();
        json_patch::patch(&mut mended, &self.0)
            .map_err(|error| RepairError(format!("the patch doesn't fit: {error}")))?;
        *document = mended;
        Ok(())
    }

    /// Whether it puts a document in the place of whatever was there, JSON or not.
    pub fn replaces_all(&self) -> bool {
        matches!(&self.0[..], [json_patch::PatchOperation::Replace(whole)] if whole.path.is_root())
    }

    /// The places that it touches, each once.
    pub fn places(&self) -> Vec<String> {
        let mut places: Vec<String> =
            self.0.iter().map(|operation| operation.path().to_string()).collect();
        places.sort();
        places.dedup();
        places
    }

    pub fn to_json(&self) -> Value {
        serde_json::to_value(&self.0).expect("a patch is made of JSON")
    }
}

/// Reads an assignment `POINTER=JSON`.
pub fn assignment(text: &str) -> Result<(String, Value), RepairError> {
    let Some((pointer, value)) = text.split_once('=') else {
        return Err(RepairError(format!("`{text}` is no POINTER=JSON")));
    };
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(RepairError(format!(
            "`{pointer}` is no JSON Pointer: it begins with a slash, as in /data/currency"
        )));
    }
    let value = serde_json::from_str(value).map_err(|_| {
        RepairError(format!(
            "`{value}` is no JSON: a text needs quotes of its own, as in '{pointer}=\"{value}\"'"
        ))
    })?;
    Ok((pointer.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Stream;
    use serde_json::json;

    fn message<'a>(body: &'a [u8], attributes: &'a [(&'a str, Header<'a>)]) -> Message<'a> {
        Message { body, content_type: Some("application/json"), attributes, stream: Stream::Orders }
    }

    #[test]
    fn a_move_to_nowhere_takes_nothing_away() {
        let patch = json!([{ "op": "move", "from": "/lines/0", "path": "/nowhere/x" }]);
        let before = json!({ "lines": [1, 2] });
        let mut document = before.clone();
        assert!(Repair::from_json(patch).unwrap().apply(&mut document).is_err());
        assert_eq!(document, before);
    }

    #[test]
    fn a_binary_event_is_mended_as_if_it_had_come_structured() {
        let attributes = [("cloudEvents_id", Header::Text("e1")), ("x", Header::Text("y"))];
        let document = document(&message(br#"{"order_id": "O1"}"#, &attributes)).unwrap();
        let expected = json!({
            "id": "e1", "datacontenttype": "application/json", "data": { "order_id": "O1" },
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn what_is_no_json_has_no_document() {
        for body in [&b"{"[..], br#"{"a": 1, "a": 2}"#, b""] {
            assert_eq!(document(&message(body, &[])), None);
        }
    }

    #[test]
    fn an_assignment_adds_or_replaces_and_replaces_in_lists() {
        let read = |text| assignment(text).unwrap();
        let repair = Repair::from_assignments(&[
            read(r#"/data/currency="JPY""#),
            read("/data/lines/0/quantity=2"),
        ])
        .unwrap();
        let mut document = json!({ "data": { "lines": [{ "quantity": "two" }] } });
        repair.apply(&mut document).unwrap();
        let mended = json!({ "data": { "lines": [{ "quantity": 2 }], "currency": "JPY" } });
        assert_eq!(document, mended);
        let mut elements = json!({ "list": [1, 2] });
        Repair::from_assignments(&[read("/list/0=9")]).unwrap().apply(&mut elements).unwrap();
        assert_eq!(elements, json!({ "list": [9, 2] }));
    }

    #[test]
    fn a_patch_that_does_not_fit_changes_nothing() {
        let patch = json!([
            { "op": "add", "path": "/a", "value": 1 },
            { "op": "remove", "path": "/nowhere/at/all" },
        ]);
        let mut document = json!({});
        assert!(Repair::from_json(patch).unwrap().apply(&mut document).is_err());
        assert_eq!(document, json!({}));
        assert!(Repair::from_json(json!([])).is_err());
        assert!(Repair::from_json(json!({ "op": "add" })).is_err());
    }

    #[test]
    fn a_text_without_quotes_is_explained() {
        let error = assignment("/data/currency=JPY").unwrap_err().to_string();
        assert!(error.contains(r#"'/data/currency="JPY"'"#), "{error}");
        assert!(assignment("data=1").is_err() && assignment("/data").is_err());
    }

    #[test]
    fn points_and_payment_codes_are_no_part_of_what_is_kept() {
        let event = json!({ "data": { "order_id": "O1", "payment_code": "27182" } });
        let kept = Repair::replacement(event).stripped().unwrap().to_json().to_string();
        assert!(kept.contains("O1") && !kept.contains("27182"), "{kept}");
        let patch = json!([{ "op": "add", "path": "/data/points_used", "value": 31_415 }]);
        assert_eq!(Repair::from_json(patch).unwrap().stripped(), None);
    }

    #[test]
    fn what_was_edited_is_a_patch_too() {
        let (before, after) = (json!({ "a": [1, 2] }), json!({ "a": [1, 3], "b": null }));
        let repair = Repair::between(&before, &after).unwrap();
        let mut document = before.clone();
        repair.apply(&mut document).unwrap();
        assert_eq!(document, after);
        assert_eq!(Repair::between(&before, &before), None);
        assert!(Repair::replacement(after).replaces_all() && !repair.replaces_all());
    }
}
