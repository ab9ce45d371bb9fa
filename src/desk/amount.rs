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

/// How many decimals a currency's major unit has.
fn decimals(currency: &str) -> usize {
    DECIMALS.iter().find(|(code, _)| *code == currency).map_or(2, |(_, n)| *n)
}

/// An amount of minor units in the currency's major unit, with all its decimals: `1980` yen,
/// `19.80` dollars.
pub fn major(minor: i64, currency: &str) -> String {
    let decimals = decimals(currency);
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if minor < 0 { "-" } else { "" };
    match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

/// An amount that was written in a currency's major unit, exactly: `1980` and `1980.00` are
/// the same. In ten-thousandths, since no currency has more decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(i128);

const AMOUNT_DECIMALS: usize = 4;
/// Digits before the point: far more than any order comes to, and no sum can overflow.
const WHOLE_DIGITS_MAX: usize = 24;

impl Amount {
    /// Of a currency's minor units.
    pub fn of_minor(minor: i128, currency: &str) -> Amount {
        let missing = AMOUNT_DECIMALS.saturating_sub(decimals(currency));
        Amount((0..missing).fold(minor, |value, _| value.saturating_mul(10)))
    }

    /// Digits, with or without a point and decimals. What could be a thousands separator
    /// is refused: guessing it would be a factor of a thousand off.
    pub fn from_text(text: &str) -> Option<Amount> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let fraction_end = fraction.trim_end_matches('0');
        if !is_digits(whole)
            || !is_digits(fraction)
            || whole.len() > WHOLE_DIGITS_MAX
            || fraction_end.len() > AMOUNT_DECIMALS
        {
            return None;
        }
        format!("{whole}{fraction_end:0<AMOUNT_DECIMALS$}").parse().ok().map(Amount)
    }

    /// With all decimals of the currency, and more only where it was written with more.
    pub fn text(self, currency: &str) -> String {
        let digits = format!("{:0>width$}", self.0, width = AMOUNT_DECIMALS + 1);
        let (whole, fraction) = digits.split_at(digits.len() - AMOUNT_DECIMALS);
        let needed = fraction.trim_end_matches('0').len().max(decimals(currency));
        match &fraction[..needed] {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }
}

impl std::ops::Add for Amount {
    type Output = Amount;

    fn add(self, other: Amount) -> Amount {
        Amount(self.0.saturating_add(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{Amount, major};

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
    #[test]
    fn an_amount_is_read_with_or_without_decimals() {
        let yen = Amount::of_minor(1980, "JPY");
        for text in ["1980", "1980.00", "01980.000000"] {
            assert_eq!(Amount::from_text(text), Some(yen), "{text}");
        }
        assert_eq!(Amount::from_text("19.8"), Some(Amount::of_minor(1980, "EUR")));
        assert_eq!(Amount::from_text("1.980"), Some(Amount::of_minor(1980, "KWD")));
        for text in ["", ".", "1.", ".5", "1,980", "-5", "+5", "1.00001", "1 980", "１", "1.0.0"] {
            assert_eq!(Amount::from_text(text), None, "{text}");
        }
        let long = "9".repeat(25);
        assert_eq!(Amount::from_text(&long), None);
    }

    #[test]
    fn an_amount_is_written_with_the_decimals_that_it_needs() {
        for (text, currency, written) in [
            ("1980.00", "JPY", "1980"),
            ("1980.5", "JPY", "1980.5"),
            ("19.8", "EUR", "19.80"),
            ("0", "EUR", "0.00"),
            ("0.05", "EUR", "0.05"),
            ("0.0005", "CLF", "0.0005"),
        ] {
            assert_eq!(Amount::from_text(text).unwrap().text(currency), written);
        }
    }
}
