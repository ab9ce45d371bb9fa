//! The words and forms of order reports, in the read model's words.

use crate::contract::Timestamp;

/// Which statuses with us a report's word agrees with; `None`: nobody knows the word.
pub fn statuses(word: &str) -> Option<&'static [&'static str]> {
    let word = word.to_ascii_lowercase();
    Some(match word.as_str() {
        "pending" => &["pending"],
        "unshipped" => &["unshipped"],
        "partiallyshipped" => &["partially-shipped"],
        "cancelled" | "canceled" => &["cancelled"],
        // Being packed: it has been paid, and nothing says how much of it has left.
        "shipping" => &["unshipped", "partially-shipped", "shipped"],
        "shipped" | "complete" => &["shipped"],
        // What became of it on its way, such as `Shipped - Delivered to Buyer`.
        word if word.starts_with("shipped - ") => &["shipped"],
        _ => return None,
    })
}

/// Who ships, by `fulfillment-channel`; `None`: it doesn't say, or in a word that nobody knows.
pub fn fulfilled_by(channel: &str) -> Option<&'static str> {
    match channel.to_ascii_lowercase().as_str() {
        "merchant" | "mfn" => Some("seller"),
        "amazon" | "afn" => Some("marketplace"),
        _ => None,
    }
}

/// A time as reports write it: RFC 3339, also with the day first and with spaces in the offset.
pub fn moment(text: &str) -> Option<Timestamp> {
    let mut text: String = text.chars().filter(|c| *c != ' ').collect();
    let date = text.get(..10).map(|date| date.split('-').collect::<Vec<_>>());
    if let Some([day, month, year]) = date.as_deref()
        && year.len() == 4
    {
        text = format!("{year}-{month}-{day}{}", &text[10..]);
    }
    text.parse().ok()
}

/// In which form two SKUs are the same. A report's can't hold control characters, loses
/// spaces at its ends, and may have been through Shift_JIS, whose tables differ in what a few
/// of its characters are in Unicode.
pub fn sku(text: &str) -> String {
    let same = |c: char| match c {
        '\u{301C}' => '\u{FF5E}',
        '\u{2212}' => '\u{FF0D}',
        '\u{2016}' => '\u{2225}',
        '\u{2014}' => '\u{2015}',
        '\u{00A2}' => '\u{FFE0}',
        '\u{00A3}' => '\u{FFE1}',
        '\u{00AC}' => '\u{FFE2}',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(same).collect::<String>().trim().to_owned()
}

/// A word of a report as it may be shown: a column that has slipped may hold anything.
pub fn shown(word: &str) -> &str {
    const LENGTH_MAX: usize = 40;
    let harmless = word.len() <= LENGTH_MAX
        && word.bytes().all(|b| b.is_ascii_alphabetic() || b" -_".contains(&b));
    if harmless { word } else { "(not shown)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_status_is_one_of_the_read_models() {
        for (word, ours) in [
            ("Pending", "pending"),
            ("Unshipped", "unshipped"),
            ("PartiallyShipped", "partially-shipped"),
            ("Shipped", "shipped"),
            ("shipped", "shipped"),
            ("Complete", "shipped"),
            ("Shipped - Delivered to Buyer", "shipped"),
            ("Shipped - Returned to Seller", "shipped"),
            ("Cancelled", "cancelled"),
            ("Canceled", "cancelled"),
        ] {
            assert_eq!(statuses(word), Some(&[ours][..]), "{word}");
        }
        let shipping = statuses("Shipping").unwrap();
        assert!(!shipping.contains(&"pending") && !shipping.contains(&"cancelled"));
        assert_eq!(statuses("Misplaced"), None);
        assert_eq!(statuses(""), None);
    }

    #[test]
    fn times_are_read_in_every_form_that_was_seen() {
        let expected = Some("2010-07-14T18:53:56Z".parse().unwrap());
        for text in [
            "2010-07-14T18:53:56+00:00",
            "14-07-2010T18:53:56+ 00:00",
            "2010-07-14T18:53:56+ 00 :00",
            "2010-07-15T03:53:56+09:00",
            "2010-07-14T18:53:56Z",
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
        for text in ["", "2010-07-14", "14-07-2010", "soon", "2010-07-14T18:53:56", "茶-茶-茶茶"]
        {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn a_sku_survives_a_report_and_another_systems_shift_jis() {
        assert_eq!(sku(" TEA\t1 "), sku("TEA 1"));
        assert_eq!(sku("1\u{301C}2\u{2212}3"), sku("1\u{FF5E}2\u{FF0D}3"));
        assert_ne!(sku("TEA"), sku("tea"));
    }

    #[test]
    fn only_what_looks_like_a_status_is_shown() {
        assert_eq!(shown("Shipped - Lost"), "Shipped - Lost");
        for hidden in ["a@b.example", "\u{1b}[31m", "1-1 Chiyoda", "佐藤花子"] {
            assert_eq!(shown(hidden), "(not shown)");
        }
    }
}
