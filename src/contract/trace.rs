//! The trace (W3C Trace Context) that an event belongs to. One that is malformed is
//! ignored: it is never a reason to refuse an event.

/// Where a trace stands, to be carried through to what follows from the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trace {
    pub parent: Option<String>,
    pub state: Option<String>,
}

impl Trace {
    /// `None` where the parent isn't well-formed: a state is nothing without it.
    pub fn read(parent: Option<&str>, state: Option<&str>) -> Option<Trace> {
        let parent = parent.filter(|parent| is_parent(parent))?;
        let state = state.filter(|state| is_state(state));
        Some(Trace { parent: Some(parent.into()), state: state.map(Into::into) })
    }
}

/// `version-trace-parent-flags` in lower-case hexadecimal, neither id all zeros. Versions
/// after 00 may append fields.
fn is_parent(text: &str) -> bool {
    let mut fields = text.split('-');
    let mut hexadecimal = |length: usize| {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        fields.next().filter(|field| field.len() == length && field.bytes().all(digit))
    };
    let (Some(version), Some(trace), Some(parent), Some(_flags)) =
        (hexadecimal(2), hexadecimal(32), hexadecimal(16), hexadecimal(2))
    else {
        return false;
    };
    let is_zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    let ends_here = fields.next().is_none();
    version != "ff"
        && !is_zero(trace)
        && !is_zero(parent)
        && (ends_here || version != "00")
        && text.len() <= 256
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Up to 32 members `key=value` in at most 512 printable characters.
fn is_state(text: &str) -> bool {
    let is_member = |member: &str| {
        let member = member.trim();
        member.is_empty()
            || member
                .split_once('=')
                .is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
    };
    let printable = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
    !text.is_empty()
        && text.len() <= 512
        && text.bytes().all(printable)
        && text.split(',').count() <= 32
        && text.split(',').all(is_member)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_well_formed_trace_is_carried_with_its_state() {
        let trace = Trace::read(Some(PARENT), Some("congo=t61rcWkgMzE,rojo=00f067")).unwrap();
        assert_eq!(trace.parent.as_deref(), Some(PARENT));
        assert_eq!(trace.state.as_deref(), Some("congo=t61rcWkgMzE,rojo=00f067"));
        assert!(is_parent(&PARENT.replacen("00", "01", 1)));
        assert!(is_parent(&format!("{}-more", PARENT.replacen("00", "cc", 1))));
    }

    #[test]
    fn a_malformed_parent_takes_its_state_with_it() {
        for parent in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &PARENT.replacen("00", "ff", 1),
            &format!("{PARENT}-more"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        ] {
            assert_eq!(Trace::read(Some(parent), Some("a=b")), None, "{parent}");
        }
    }

    #[test]
    fn a_malformed_state_is_left_behind() {
        let long = format!("a={}", "x".repeat(511));
        for state in ["", "a", "=b", "a=\u{1}", "a=é", &long, &["a=b"; 33].join(",")] {
            let trace = Trace::read(Some(PARENT), Some(state)).unwrap();
            assert_eq!(trace.state, None, "{state}");
        }
    }
}
