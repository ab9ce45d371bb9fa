//! `otodoke order find`: orders by what a buyer says on the phone.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::order_id;
use crate::config::Settings;
use crate::contract::Identifier;
use crate::desk::amount::major;
use crate::operator::archived::sentence;
use crate::operator::database::connect;
use crate::operator::output::{say, table};
use crate::rules::CaseId;
use crate::store::orders::{self, Search};

/// Find orders by the buyer's e-mail address, the buyer's id, or the order's number
///
/// The last placed come first. An order is found once it was placed; of one that is only
/// known by its payments or messages, `order show` and `order explain` tell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  otodoke order find --email k2x9@marketplace.example
  otodoke order find --buyer A2BUYER --limit 10 --json")]
pub struct FindArguments {
    #[command(flatten)]
    by: By,
    /// The most orders to list
    #[arg(long, value_name = "COUNT", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// A JSON array of the orders, amounts in minor units
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct By {
    /// The buyer's address at the marketplace; capitals don't matter
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The buyer's id
    #[arg(long, value_name = "BUYER", value_parser = order_id)]
    buyer: Option<Identifier>,
    /// The order's number, in full
    #[arg(long, value_name = "ORDER_ID", value_parser = order_id)]
    number: Option<Identifier>,
}

impl By {
    fn search(&self) -> Option<Search<'_>> {
        let email = self.email.as_deref().map(|email| Search::Email(email.trim()));
        let buyer = || self.buyer.as_ref().map(Search::Buyer);
        email.or_else(buyer).or_else(|| self.number.as_ref().map(Search::Number))
    }
}

pub async fn find(arguments: FindArguments, settings: &Settings) -> Result<ExitCode> {
    let search = arguments.by.search().expect("clap asks for one of the three");
    let mut connection = connect(settings).await?;
    // One more than asked for tells whether there are more.
    let limit = arguments.limit as usize;
    let mut found = orders::find(&mut connection, search, limit as i64 + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    if arguments.json {
        say(&serde_json::to_string_pretty(&found)?)?;
    } else {
        list(&found)?;
    }
    if let Some(number) = arguments.by.number.as_ref().filter(|_| found.is_empty()) {
        let case = CaseId::Order(number.clone());
        let archived = sentence(&mut connection, &[case], &format!("an order {number}")).await?;
        archived.into_iter().for_each(|sentence| eprintln!("{sentence}"));
    }
    if more {
        eprintln!("there are more than {limit}: ask for them with --limit");
    }
    Ok(ExitCode::SUCCESS)
}

fn list(found: &[Value]) -> Result<()> {
    if found.is_empty() {
        eprintln!("no order fits");
        return Ok(());
    }
    let mut rows = table(["order", "placed", "status", "payment", "seller", "buyer", "items"]);
    for order in found {
        let text = |name: &str| order[name].as_str().unwrap_or("").to_owned();
        let currency = text("currency");
        let items = major(order["items_total"].as_i64().unwrap_or(0), &currency);
        let (placed, payment) = (text("placed_at"), text("payment_status"));
        let (seller, buyer) = (text("seller_id"), text("buyer_id"));
        let amount = format!("{items} {currency}");
        rows.add_row([text("order_id"), placed, text("status"), payment, seller, buyer, amount]);
    }
    Ok(say(&rows.trim_fmt())?)
}
