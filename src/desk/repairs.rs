//! A repair as somebody types it: a JSON Patch (RFC 6902), a merge patch (RFC 7396), or lines of
//! `POINTER=JSON`.

use serde_json::{Value, json};

use crate::contract::Repair;
use crate::contract::repair::{RepairError, assignment};

/// Reads a repair; `None` where nothing is typed, which is none.
pub fn read(text: &str) -> Result<Option<Repair>, RepairError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with(['[', '{']) {
        let patch: Value = serde_json::from_str(text)
            .map_err(|error| RepairError::new(&format!("this is no JSON: {error}")))?;
        return from_json(patch).map(Some);
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let assignments: Vec<(String, Value)> = lines.map(assignment).collect::<Result<_, _>>()?;
    Repair::from_assignments(&assignments).map(Some)
}

/// A list is a JSON Patch, an object a merge patch.
pub fn from_json(patch: Value) -> Result<Repair, RepairError> {
    match patch {
        Value::Object(_) => {
            let mut operations = Vec::new();
            merge("", &patch, &mut operations);
            Repair::from_json(operations.into())
        }
        list => Repair::from_json(list),
    }
}

/// What a merge patch puts where; what it sets to null it takes away. It goes into objects that
/// are there; an empty one changes nothing.
fn merge(pointer: &str, patch: &Value, operations: &mut Vec<Value>) {
    match patch {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                merge(&format!("{pointer}/{name}"), member, operations);
            }
        }
        Value::Null => operations.push(json!({ "op": "remove", "path": pointer })),
        value => operations.push(json!({ "op": "add", "path": pointer, "value": value })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_to_write_the_same() {
        let mut expected = json!({ "data": { "currency": "yen", "phone": "1" } });
        let patch = json!([{ "op": "add", "path": "/data/currency", "value": "JPY" }]);
        Repair::from_json(patch.clone()).unwrap().apply(&mut expected).unwrap();
        for text in [
            patch.to_string(),
            r#"{"data": {"currency": "JPY"}}"#.to_owned(),
            "\n/data/currency=\"JPY\"\n".to_owned(),
        ] {
            let mut event = json!({ "data": { "currency": "yen", "phone": "1" } });
            read(&text).unwrap().unwrap().apply(&mut event).unwrap();
            assert_eq!(event, expected, "{text}");
        }
    }

    #[test]
    fn a_merge_patch_takes_away_what_it_sets_to_null() {
        let mut event = json!({ "data": { "a/b": 1, "c": { "d": 2 } } });
        let repair = read(r#"{"data": {"a/b": null, "c": {"d": [3]}}}"#).unwrap().unwrap();
        repair.apply(&mut event).unwrap();
        assert_eq!(event, json!({ "data": { "c": { "d": [3] } } }));
    }

    #[test]
    fn an_empty_object_of_a_merge_patch_empties_nothing() {
        let mut event = json!({ "data": { "currency": "yen", "phone": "1" } });
        let repair = read(r#"{"data": {}, "id": "2"}"#).unwrap().unwrap();
        repair.apply(&mut event).unwrap();
        assert_eq!(event, json!({ "id": "2", "data": { "currency": "yen", "phone": "1" } }));
    }

    #[test]
    fn what_is_no_repair_says_so() {
        assert_eq!(read(" \n"), Ok(None));
        for wrong in ["JPY", "{", "[]", "{}", "data=1", "/data/currency=JPY"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
