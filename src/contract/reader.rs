//! Reads the typed data of an event out of a JSON value, and says of what doesn't
//! fit where it stands and what was expected there.
//!
//! It must never quote what it found: the sentence ends up in a dead letter that
//! more people may read than may read the data.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_json::{Map, Value};

use super::pointer::{Step, pointer};

/// What doesn't fit: where, from the outside inwards, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Innermost first: steps are added while the reading unwinds.
    steps: Vec<OwnedStep>,
    pub expectation: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum OwnedStep {
    Member(String),
    Element(usize),
}

impl Misfit {
    fn new(expectation: impl fmt::Display) -> Self {
        Misfit { steps: Vec::new(), expectation: expectation.to_string() }
    }

    fn under(mut self, step: OwnedStep) -> Self {
        self.steps.push(step);
        self
    }

    /// The place as a JSON Pointer, below the member `data` of the event.
    pub fn pointer(&self) -> String {
        let below = self.steps.iter().rev().map(|step| match step {
            OwnedStep::Member(name) => Step::Member(name),
            OwnedStep::Element(index) => Step::Element(*index),
        });
        pointer([Step::Member("data")].into_iter().chain(below))
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expectation)
    }
}

impl std::error::Error for Misfit {}

/// serde's own sentences quote what was found, so each that does is replaced.
impl de::Error for Misfit {
    fn custom<T: fmt::Display>(expectation: T) -> Self {
        Misfit::new(expectation)
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Misfit::new(format_args!("expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Misfit::new(format_args!("expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Misfit::new(one_of(expected))
    }

    fn missing_field(name: &'static str) -> Self {
        Misfit::new("this member is required").under(OwnedStep::Member(name.into()))
    }
}

fn one_of(words: &[&str]) -> String {
    match words {
        [only] => format!("expected the word `{only}`"),
        _ => format!("expected one of the words `{}`", words.join("`, `")),
    }
}

/// A value on its way into a type.
#[derive(Clone, Copy)]
pub(super) struct Reader<'de>(pub &'de Value);

impl<'de> Reader<'de> {
    fn text(self) -> Result<&'de str, Misfit> {
        self.0.as_str().ok_or_else(|| Misfit::new("expected a text"))
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => number.deserialize_any(visitor).map_err(Misfit::new),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(elements) => visitor.visit_seq(Elements::new(elements)),
            Value::Object(members) => visitor.visit_map(Members::new(members)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(Misfit::new("expected true or false")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Array(elements) => visitor.visit_seq(Elements::new(elements)),
            _ => Err(Misfit::new("expected a list")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Object(members) => visitor.visit_map(Members::new(members)),
            _ => Err(Misfit::new("expected an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(word) => {
                let word: StrDeserializer<'_, Misfit> = word.as_str().into_deserializer();
                visitor.visit_enum(word)
            }
            _ => Err(Misfit::new(one_of(variants))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct map identifier
    }
}

struct Elements<'de> {
    rest: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
}

impl<'de> Elements<'de> {
    fn new(elements: &'de [Value]) -> Self {
        Elements { rest: elements.iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some((index, element)) = self.rest.next() else { return Ok(None) };
        let read = seed.deserialize(Reader(element));
        read.map(Some).map_err(|misfit| misfit.under(OwnedStep::Element(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Members<'de> {
    rest: serde_json::map::Iter<'de>,
    current: Option<(&'de String, &'de Value)>,
}

impl<'de> Members<'de> {
    fn new(members: &'de Map<String, Value>) -> Self {
        Members { rest: members.iter(), current: None }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        self.current = self.rest.next();
        let Some((name, _)) = self.current else { return Ok(None) };
        let name: StrDeserializer<'_, Misfit> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (name, value) = self.current.expect("serde asks for a value after its key");
        let read = seed.deserialize(Reader(value));
        read.map_err(|misfit| misfit.under(OwnedStep::Member(name.clone())))
    }
}
