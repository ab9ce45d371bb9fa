//! One row of an order report.
//!
//! What is wrong with it is said without its values: a column that has slipped may hold a
//! name or an address.

use csv::StringRecord;

use super::columns::{Column, Columns, Kind};
use crate::contract::Identifier;
use crate::desk::amount::Amount;

/// A row, and what its fields are.
pub struct Row<'a> {
    pub columns: &'a Columns,
    pub row: &'a StringRecord,
    /// Bytes that meant nothing were replaced by U+FFFD.
    pub lossy: bool,
    /// From 1, which is the header's.
    pub line: u64,
}

/// A line of an order. What is empty isn't said.
#[derive(Clone, Debug, Default)]
pub struct ReportedLine {
    pub line_id: Option<Identifier>,
    pub sku: String,
    pub quantity: i64,
    pub item_price: Option<Amount>,
    pub item_tax: Option<Amount>,
    pub shipping_price: Option<Amount>,
    pub to_ship: Option<i64>,
}

impl<'a> Row<'a> {
    fn raw(&self, column: Column) -> &'a str {
        self.row.get(column.at).unwrap_or("").trim()
    }

    pub fn is_empty(&self) -> bool {
        self.row.iter().all(|field| field.trim().is_empty())
    }

    /// The order report goes on in another row where promotions don't fit into one, and
    /// leaves in that all else empty.
    pub fn is_continuation(&self) -> bool {
        let columns = self.columns;
        let said = [columns.purchase_date, columns.sku, columns.quantity];
        columns.kind != Kind::AllOrders
            && self.row.len() == columns.count
            && said.iter().all(|column| self.raw(*column).is_empty())
    }

    pub fn order_id(&self) -> Option<Identifier> {
        Identifier::new(self.raw(self.columns.order_id))
    }

    /// Whether it has the columns that the first line names.
    pub fn check_width(&self) -> Result<(), String> {
        let (has, header) = (self.row.len(), self.columns.count);
        match self.row.iter().skip(header).all(|field| field.trim().is_empty()) && has >= header {
            true => Ok(()),
            false => Err(format!(
                "{has} columns, and the first line names {header}: a line break or a tab has \
                 slipped in, or the file is cut off"
            )),
        }
    }

    pub fn field(&self, column: Column) -> Result<&'a str, String> {
        let field = self.raw(column);
        if self.lossy && field.contains('\u{FFFD}') {
            return Err(format!("{} holds bytes that mean nothing in this encoding", column.name));
        }
        Ok(field)
    }

    /// Nothing where the column isn't there or is empty.
    pub fn optional(&self, column: Option<Column>) -> Result<Option<&'a str>, String> {
        let field = column.map(|column| self.field(column)).transpose()?;
        Ok(field.filter(|field| !field.is_empty()))
    }

    pub fn currency(&self) -> Result<Option<&'a str>, String> {
        let code = self.optional(self.columns.currency)?;
        let is_code = |text: &str| text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
        match code.is_none_or(is_code) {
            true => Ok(code),
            false => Err("currency is no code of three capital letters, such as JPY".to_owned()),
        }
    }

    pub fn status(&self) -> Result<Option<&'a str>, String> {
        match self.optional(self.columns.status)? {
            None if self.columns.status.is_some() => Err("order-status is empty".to_owned()),
            status => Ok(status),
        }
    }

    pub fn line(&self) -> Result<ReportedLine, String> {
        let columns = self.columns;
        Ok(ReportedLine {
            line_id: self.optional(columns.line_id)?.and_then(Identifier::new),
            sku: self.field(columns.sku)?.to_owned(),
            quantity: self
                .pieces(Some(columns.quantity))?
                .ok_or_else(|| format!("{} is empty", columns.quantity.name))?,
            item_price: self.amount(columns.item_price)?,
            item_tax: self.amount(columns.item_tax)?,
            shipping_price: self.amount(columns.shipping_price)?,
            to_ship: self.pieces(columns.to_ship)?,
        })
    }

    fn pieces(&self, column: Option<Column>) -> Result<Option<i64>, String> {
        /// More than any order holds, and no sum of a report's rows overflows.
        const PIECES_MAX: i64 = 1_000_000_000;
        let (Some(Column { name, .. }), Some(field)) = (column, self.optional(column)?) else {
            return Ok(None);
        };
        let is_digits = field.bytes().all(|byte| byte.is_ascii_digit());
        let pieces = field.parse().ok().filter(|pieces| is_digits && *pieces <= PIECES_MAX);
        let wrong = || format!("{name} is no whole number");
        pieces.ok_or_else(wrong).map(Some)
    }

    fn amount(&self, column: Option<Column>) -> Result<Option<Amount>, String> {
        let (Some(Column { name, .. }), Some(field)) = (column, self.optional(column)?) else {
            return Ok(None);
        };
        let wrong = || format!("{name} is no amount such as 1980 or 1980.00");
        Amount::from_text(field).ok_or_else(wrong).map(Some)
    }
}
