//! Any bytes as a downloaded order report, in every encoding.

use otodoke::operator::reconcile::{Encodings, look};

pub fn run(bytes: &[u8]) {
    for encoding in [Encodings::Auto, Encodings::Utf8, Encodings::ShiftJis] {
        if let Some((orders, malformed)) = look(bytes, encoding) {
            let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
            // UTF-16 has bytes between, Shift_JIS none.
            assert!(orders + malformed <= 2 * lines, "more orders than lines");
        }
    }
}
