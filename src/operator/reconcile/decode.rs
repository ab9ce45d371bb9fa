//! From a file's bytes to text.

use std::borrow::Cow;

use encoding_rs::{Encoding, SHIFT_JIS, UTF_8};

/// What a report's bytes may be.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encodings {
    /// By its byte order mark; else UTF-8 where all of it is, else Shift_JIS
    Auto,
    /// UTF-8, with or without a byte order mark
    #[value(name = "utf-8")]
    Utf8,
    /// Shift_JIS with the extensions of Windows (CP932)
    #[value(name = "shift-jis")]
    ShiftJis,
}

/// A report's text.
#[derive(Debug)]
pub struct Decoded<'a> {
    pub text: Cow<'a, str>,
    pub encoding: &'static str,
    /// Some bytes meant nothing: U+FFFD stands in their place.
    pub lossy: bool,
}

/// The bytes are in no encoding that a report comes in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the report is neither UTF-8 nor Shift_JIS throughout (line {line} isn't UTF-8): say what it \
     is with --encoding, and only the rows that can't be read are left out"
)]
pub struct Unknown {
    line: usize,
}

/// Reads all of the bytes, so that one late row can't turn what was taken for UTF-8 into
/// something else.
pub fn decode(bytes: &[u8], encodings: Encodings) -> Result<Decoded<'_>, Unknown> {
    let told = match encodings {
        Encodings::Auto => Encoding::for_bom(bytes).map(|(encoding, _)| encoding),
        Encodings::Utf8 => Some(UTF_8),
        Encodings::ShiftJis => Some(SHIFT_JIS),
    };
    if let Some(encoding) = told {
        return Ok(with(bytes, encoding));
    }
    let Err(error) = std::str::from_utf8(bytes) else { return Ok(with(bytes, UTF_8)) };
    let decoded = with(bytes, SHIFT_JIS);
    if decoded.lossy {
        let before = &bytes[..error.valid_up_to()];
        return Err(Unknown { line: 1 + before.iter().filter(|byte| **byte == b'\n').count() });
    }
    Ok(decoded)
}

fn with<'a>(bytes: &'a [u8], encoding: &'static Encoding) -> Decoded<'a> {
    let (text, lossy) = encoding.decode_with_bom_removal(bytes);
    Decoded { text, encoding: encoding.name(), lossy }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "sku\t茶器セット①～㈱\r\n";

    #[test]
    fn utf_8_is_known_with_and_without_a_mark() {
        for bytes in [TEXT.as_bytes().to_vec(), [b"\xEF\xBB\xBF", TEXT.as_bytes()].concat()] {
            for encodings in [Encodings::Auto, Encodings::Utf8] {
                let decoded = decode(&bytes, encodings).unwrap();
                assert_eq!(
                    (&*decoded.text, decoded.encoding, decoded.lossy),
                    (TEXT, "UTF-8", false)
                );
            }
        }
    }

    #[test]
    fn shift_jis_is_known_by_not_being_utf_8() {
        let (bytes, _, unmappable) = SHIFT_JIS.encode(TEXT);
        assert!(!unmappable);
        for encodings in [Encodings::Auto, Encodings::ShiftJis] {
            let decoded = decode(&bytes, encodings).unwrap();
            assert_eq!((&*decoded.text, decoded.encoding), (TEXT, "Shift_JIS"));
        }
        assert!(decode(&bytes, Encodings::Utf8).unwrap().lossy);
    }

    #[test]
    fn a_spreadsheets_unicode_text_is_known_by_its_mark() {
        let bytes: Vec<u8> =
            "\u{FEFF}sku".encode_utf16().flat_map(|unit| unit.to_le_bytes()).collect();
        assert_eq!(decode(&bytes, Encodings::Auto).unwrap().text, "sku");
    }

    #[test]
    fn what_is_nothing_throughout_is_refused_unless_it_is_told() {
        let bytes = b"sku\nTEA\n\xFF\xFE\n";
        assert_eq!(decode(bytes, Encodings::Auto).unwrap_err(), Unknown { line: 3 });
        assert!(decode(bytes, Encodings::Utf8).unwrap().lossy);
    }
}
