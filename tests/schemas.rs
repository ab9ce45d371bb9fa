//! The published schemas: made from the types, and of one mind with intake about every sample.

use std::fs;
use std::path::{Path, PathBuf};

use otodoke::contract::{InputType, Message, Span, Timestamp, intake, schema};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The samples of a type whose names begin so, each with its path.
fn samples(type_name: &str, kind: &str) -> Vec<(PathBuf, Value)> {
    let folder = folder().join("samples").join(type_name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(kind))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

fn validator(type_name: &str) -> jsonschema::Validator {
    let document = schema::document(type_name).unwrap();
    jsonschema::meta::validate(&document).unwrap_or_else(|e| panic!("{type_name}: {e}"));
    jsonschema::draft202012::options().should_validate_formats(true).build(&document).unwrap()
}

fn faults(validator: &jsonschema::Validator, event: &Value) -> Vec<(String, String)> {
    let errors = validator.iter_errors(event);
    errors.map(|error| (error.instance_path().to_string(), error.to_string())).collect()
}

/// What intake says of an event: `Ok`, or the code and the pointer.
fn judge(kind: InputType, event: &Value) -> Result<(), (String, Option<String>)> {
    let body = serde_json::to_vec(event).unwrap();
    let message =
        Message { body: &body, content_type: None, attributes: &[], stream: kind.stream() };
    let now: Timestamp = "2026-03-03T00:00:00Z".parse().unwrap();
    intake(&message, now, Span::minutes(10))
        .map(drop)
        .map_err(|rejection| (rejection.code.name().to_owned(), rejection.pointer))
}

#[test]
fn the_schema_files_are_what_the_types_say() {
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    for name in schema::names() {
        let path = folder().join(format!("{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema::document(name).unwrap()).unwrap() + "\n";
        if update {
            fs::write(&path, text).unwrap();
        } else {
            assert!(
                fs::read_to_string(&path).is_ok_and(|found| found == text),
                "{} differs from the types: look at the change, then write it with\n    \
                 UPDATE_SCHEMAS=1 cargo test --test schemas",
                path.display()
            );
        }
    }
}

#[test]
fn the_catalogue_file_is_what_the_types_say() {
    let path = folder().join("asyncapi.yaml");
    let text = yaml_serde::to_string(&catalogue()).unwrap();
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|found| found == text),
        "{} differs from the types: look at the change, then write it with\n    \
         UPDATE_SCHEMAS=1 cargo test --test schemas",
        path.display()
    );
}

#[test]
fn the_catalogue_is_an_asyncapi_document_whose_references_lead_somewhere() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asyncapi/3.0.0.schema.json");
    let validator = jsonschema::draft7::new(&read(&path)).unwrap();
    let document = catalogue();
    assert_eq!(faults(&validator, &document), []);
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference}"));
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn the_catalogue_judges_the_samples_as_the_schemas_do() {
    let document = catalogue();
    for name in schema::names() {
        let mut payload = document["components"]["messages"][name]["payload"].clone();
        payload["components"] = document["components"].clone();
        let validator = jsonschema::draft7::options()
            .should_validate_formats(true)
            .build(&payload)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        for (path, event) in samples(name, "valid") {
            assert_eq!(faults(&validator, &event), [], "{}", path.display());
        }
        for (path, sample) in samples(name, "invalid") {
            let accepts = sample["schema_accepts"].as_bool().unwrap_or(false);
            assert_eq!(validator.is_valid(&sample["event"]), accepts, "{}", path.display());
        }
    }
}

fn catalogue() -> Value {
    otodoke::broker::asyncapi(&otodoke::broker::Names::default())
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect_references(member, into));
        }
        Value::Array(elements) => elements.iter().for_each(|one| collect_references(one, into)),
        _ => {}
    }
}

#[test]
fn no_schema_file_is_without_its_type() {
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".schema.json") else { continue };
        assert!(schema::names().any(|known| known == name), "{name}");
    }
}

#[test]
fn every_schema_has_a_name_a_description_and_an_example() {
    for name in schema::names() {
        let document = schema::document(name).unwrap();
        assert_eq!(document["$id"], format!("urn:otodoke:schema:{name}"));
        assert!(document["description"].is_string(), "{name}");
        assert!(document["examples"].is_array(), "{name}");
    }
}

#[test]
fn every_field_of_every_schema_is_described() {
    for name in schema::names() {
        let document = schema::document(name).unwrap();
        let undescribed = undescribed(&document["properties"]["data"], "/data");
        assert!(undescribed.is_empty(), "{name}: {undescribed:?}");
    }
}

fn undescribed(schema: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        if !member["description"].is_string() {
            found.push(place.clone());
        }
        found.extend(undescribed(member, &place));
    }
    if let Some(items) = schema.get("items") {
        found.extend(undescribed(items, &format!("{place}/*")));
    }
    found
}

#[test]
fn valid_samples_are_valid_for_the_schema_and_for_intake() {
    for name in schema::names() {
        let validator = validator(name);
        let samples = samples(name, "valid");
        assert!(samples.len() >= 2, "{name}");
        for (path, event) in samples {
            let path = path.display();
            assert_eq!(faults(&validator, &event), [], "{path}");
            if let Some(kind) = InputType::from_name(name) {
                assert_eq!(judge(kind, &event), Ok(()), "{path}");
            }
        }
    }
}

#[test]
fn invalid_samples_are_refused_by_intake_for_what_they_say() {
    for kind in InputType::ALL {
        let samples = samples(kind.name(), "invalid");
        assert!(samples.len() >= 2, "{}", kind.name());
        for (path, sample) in samples {
            let expected = (
                sample["code"].as_str().unwrap().to_owned(),
                sample["pointer"].as_str().map(ToOwned::to_owned),
            );
            assert_eq!(judge(*kind, &sample["event"]), Err(expected), "{}", path.display());
        }
    }
}

#[test]
fn invalid_samples_are_invalid_for_the_schema_at_the_same_place() {
    for name in schema::names() {
        let validator = validator(name);
        for (path, sample) in samples(name, "invalid") {
            let faults = faults(&validator, &sample["event"]);
            let path = path.display();
            // What no schema can say is marked so, each in its sample.
            if sample["schema_accepts"] == true {
                assert_eq!(faults, [], "{path}");
                continue;
            }
            // A missing member's fault is its object's, for a schema.
            let pointer = sample["pointer"].as_str().unwrap();
            let (parent, _) = pointer.rsplit_once('/').unwrap();
            assert!(
                faults.iter().any(|(place, _)| place == pointer || place == parent),
                "{path}: {faults:?}"
            );
        }
    }
}
