//! Writes JSON Pointers (RFC 6901), the way in which a dead letter names a place.

use std::fmt::Write;

/// One step down into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Member(&'a str),
    Element(usize),
}

/// The pointer of these steps. It ends before a name that holds U+0000, which
/// PostgreSQL could not store: the object that holds the member is named instead.
pub(super) fn pointer<'a>(steps: impl IntoIterator<Item = Step<'a>>) -> String {
    let mut pointer = String::new();
    for step in steps {
        match step {
            Step::Member(name) if name.contains('\0') => break,
            Step::Member(name) => push_member(&mut pointer, name),
            Step::Element(index) => {
                write!(pointer, "/{index}").expect("a string takes every write");
            }
        }
    }
    pointer
}

fn push_member(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tildes_and_slashes_in_names_are_escaped() {
        let steps = [Step::Member("data"), Step::Member("a/b~c"), Step::Element(3)];
        assert_eq!(pointer(steps), "/data/a~1b~0c/3");
        assert_eq!(pointer([]), "");
    }

    #[test]
    fn a_name_that_cannot_be_stored_ends_the_pointer() {
        assert_eq!(pointer([Step::Member("data"), Step::Member("a\0")]), "/data");
    }
}
