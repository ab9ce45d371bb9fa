//! The limits on how much a message may hold. Over a limit is refused, never truncated.
//!
//! Which fields have one is read from the schemas of the types, so that a field can't be
//! added without its limit.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::code::{Fault, RejectionCode};
use super::pointer::{Step, pointer};
use super::{InputType, Text};

/// The most bytes that a body may have.
pub const BODY_MAX: usize = 256 * 1024;

/// The most objects and lists that a body may have inside one another.
pub const NESTING_MAX: usize = 32;

/// What of a document has a limit: the parts of it that the contract names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shape {
    is_text: bool,
    elements_max: Option<usize>,
    members: BTreeMap<String, Shape>,
    elements: Option<Box<Shape>>,
}

static SHAPES: LazyLock<BTreeMap<InputType, Shape>> = LazyLock::new(|| {
    let shape = |kind: &InputType| (*kind, Shape::of(kind.data_schema().as_value()));
    InputType::ALL.iter().map(shape).collect()
});

/// For a type that isn't known: every field that any type has.
static ANY_SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    let mut any = Shape::default();
    SHAPES.values().cloned().for_each(|shape| any.add(shape));
    any
});

/// Checks the lines and texts of `data`. `input_type` is `None` where the event has none
/// that is known; too much is too much all the same.
pub(super) fn check(data: &Value, input_type: Option<InputType>) -> Result<(), Fault> {
    let shape = input_type.map_or(&*ANY_SHAPE, |kind| &SHAPES[&kind]);
    let mut steps = vec![Step::Member("data")];
    match shape.first_excess(data, &mut steps) {
        None => Ok(()),
        Some(excess) => Err(Fault::at(RejectionCode::TooLarge, pointer(steps), excess)),
    }
}

/// Checks an attribute that has no limit of its own.
pub(super) fn check_text(name: &str, text: &str) -> Result<(), Fault> {
    if !is_too_long(text) {
        return Ok(());
    }
    Err(Fault::at(RejectionCode::TooLarge, pointer([Step::Member(name)]), TEXT_TOO_LONG))
}

const TEXT_TOO_LONG: &str = "a text is at most 20,000 characters";

fn is_too_long(text: &str) -> bool {
    text.len() > Text::MAX && text.chars().nth(Text::MAX).is_some()
}

impl Shape {
    fn of(schema: &Value) -> Shape {
        let mut shape = Shape {
            is_text: has_type(schema, "string"),
            elements_max: schema["maxItems"].as_u64().and_then(|most| usize::try_from(most).ok()),
            elements: schema.get("items").map(|items| Box::new(Shape::of(items))),
            members: BTreeMap::new(),
        };
        for choice in schema["anyOf"].as_array().into_iter().flatten() {
            shape.add(Shape::of(choice));
        }
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            shape.members.insert(name.clone(), Shape::of(member));
        }
        shape
    }

    fn add(&mut self, other: Shape) {
        self.is_text |= other.is_text;
        self.elements_max = self.elements_max.max(other.elements_max);
        for (name, member) in other.members {
            self.members.entry(name).or_default().add(member);
        }
        if let Some(elements) = other.elements {
            self.elements.get_or_insert_default().add(*elements);
        }
    }

    /// What is too much, with the steps to it; they are as before where nothing is.
    fn first_excess<'a>(&self, value: &'a Value, steps: &mut Vec<Step<'a>>) -> Option<String> {
        match value {
            Value::String(text) => {
                (self.is_text && is_too_long(text)).then(|| TEXT_TOO_LONG.into())
            }
            Value::Array(elements) => {
                if let Some(most) = self.elements_max.filter(|most| elements.len() > *most) {
                    return Some(format!("an order has at most {most} lines"));
                }
                let shape = self.elements.as_ref()?;
                (0..)
                    .zip(elements)
                    .find_map(|(index, element)| shape.below(Step::Element(index), element, steps))
            }
            Value::Object(members) => members.iter().find_map(|(name, member)| {
                self.members.get(name)?.below(Step::Member(name), member, steps)
            }),
            _ => None,
        }
    }

    fn below<'a>(
        &self,
        step: Step<'a>,
        value: &'a Value,
        steps: &mut Vec<Step<'a>>,
    ) -> Option<String> {
        steps.push(step);
        let excess = self.first_excess(value, steps);
        if excess.is_none() {
            steps.pop();
        }
        excess
    }
}

fn has_type(schema: &Value, name: &str) -> bool {
    match &schema["type"] {
        Value::Array(types) => types.iter().any(|kind| kind == name),
        kind => kind == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_follow_the_types_down_to_their_last_field() {
        let placed = &SHAPES[&InputType::OrderPlaced];
        assert_eq!(placed.members["lines"].elements_max, Some(500));
        let line = placed.members["lines"].elements.as_ref().unwrap();
        assert!(line.members["title"].is_text && !line.members["quantity"].is_text);
        let address = &placed.members["ship_to"];
        assert!(address.members["address_lines"].elements.as_ref().unwrap().is_text);
        assert!(placed.members["payment"].members["method"].is_text);
        assert!(SHAPES[&InputType::MessageSent].members["reply_by"].is_text);
        assert!(ANY_SHAPE.members["body"].is_text && !placed.members.contains_key("body"));
    }

    #[test]
    fn every_list_of_lines_has_its_limit() {
        for (kind, shape) in &*SHAPES {
            let lines = shape.members.get("lines");
            assert!(lines.is_none_or(|lines| lines.elements_max == Some(500)), "{}", kind.name());
        }
    }
}
