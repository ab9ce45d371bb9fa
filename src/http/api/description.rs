//! The API described as OpenAPI 3.1 has it, made from the table of endpoints and the types.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::{ENDPOINTS, Endpoint, ROOT, schema};

pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let problem = schema::<Problem>(&mut generator).to_value();
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let path = paths.entry(format!("{ROOT}{}", endpoint.path)).or_insert_with(|| json!({}));
        path[endpoint.method] = operation(endpoint, &problem, &mut generator);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Otodoke",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the console shows and does. Amounts are in minor units, times \
                            in RFC 3339. Pages name the next one in `next`. Errors are RFC 9457.",
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        // On a loopback address without sign-in nobody is asked.
        "security": [{ "token": [] }, {}],
    })
}

fn operation(endpoint: &Endpoint, problem: &Value, generator: &mut SchemaGenerator) -> Value {
    let answer = (endpoint.answer)(generator).to_value();
    let error = json!({
        "description": "What is wrong",
        "content": { "application/problem+json": { "schema": problem } },
    });
    let mut operation = json!({
        "operationId": name(endpoint),
        "summary": endpoint.summary,
        "parameters": parameters(endpoint, generator),
        "responses": {
            "200": {
                "description": endpoint.summary,
                "content": { "application/json": { "schema": answer } },
            },
            "default": error,
        },
    });
    if let Some(role) = endpoint.role {
        operation["description"] = json!(format!("Needs the role {role}."));
    }
    if let Some(body) = endpoint.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": body(generator).to_value() } },
        });
    }
    operation
}

fn name(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(['/', '-', '{', '}']).filter(|word| !word.is_empty());
    std::iter::once(endpoint.method).chain(words).collect::<Vec<_>>().join("-")
}

fn parameters(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Vec<Value> {
    let placed = endpoint.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let schema = match name {
            "id" => json!({ "type": "string", "format": "uuid" }),
            _ => json!({ "type": "string" }),
        };
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    });
    let mut all: Vec<Value> = placed.collect();
    let Some(query) = endpoint.query else { return all };
    let members = query(generator).to_value();
    for (name, member) in members["properties"].as_object().into_iter().flatten() {
        all.push(json!({ "name": name, "in": "query", "required": false, "schema": member }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        for endpoint in ENDPOINTS {
            let path = &document["paths"][format!("{ROOT}{}", endpoint.path)];
            assert!(path[endpoint.method]["summary"].is_string(), "{}", endpoint.path);
        }
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| collect(member, references));
            }
            Value::Array(elements) => elements.iter().for_each(|e| collect(e, references)),
            _ => {}
        }
    }
}
