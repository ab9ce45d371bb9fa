//! Amounts of money as people write them.

/// Currencies whose minor unit is not a hundredth (ISO 4217), with its decimals.
const DECIMALS: [(&str, usize); 26] = [
    ("BHD", 3),
    ("BIF", 0),
    ("CLF", 4),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("UYW", 4),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// An amount of minor units in the currency's major unit, with all its decimals: `1980` yen,
/// `19.80` dollars.
pub fn major(minor: i64, currency: &str) -> String {
    let decimals = DECIMALS.iter().find(|(code, _)| *code == currency).map_or(2, |(_, n)| *n);
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if minor < 0 { "-" } else { "" };
    match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        for (minor, currency, text) in [
            (1980, "JPY", "1980"),
            (0, "JPY", "0"),
            (1980, "EUR", "19.80"),
            (5, "USD", "0.05"),
            (0, "USD", "0.00"),
            (1980, "KWD", "1.980"),
            (-5, "USD", "-0.05"),
        ] {
            assert_eq!(major(minor, currency), text, "{minor} {currency}");
        }
    }
}
