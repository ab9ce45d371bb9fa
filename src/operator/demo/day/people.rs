//! Who sells and buys on the day. All of them are invented, and their numbers and
//! addresses are nobody's.

use serde_json::{Value, json};

/// A shop on the marketplace.
pub struct Seller {
    pub id: &'static str,
}

/// Tea and pottery in Kyoto.
pub const TEA: Seller = Seller { id: "A1KYOTOTEA" };
/// Knives from Sakai.
pub const KNIVES: Seller = Seller { id: "A2SAKAIKNIVES" };
/// Sweets from Sapporo.
pub const SWEETS: Seller = Seller { id: "A3SAPPOROSWEETS" };

/// Somebody who orders there. What is personal must show up in no log and no metric.
pub struct Buyer {
    pub id: &'static str,
    pub name: &'static str,
    pub email: &'static str,
    pub phone: &'static str,
    postal_code: &'static str,
    region: &'static str,
    city: &'static str,
    street: &'static str,
}

pub const HANAKO: Buyer = Buyer {
    id: "B-HANAKO",
    name: "山田 花子",
    email: "hanako.7f3k@relay.marketplace.example",
    phone: "090-0000-1203",
    postal_code: "150-0001",
    region: "東京都",
    city: "渋谷区",
    street: "神宮前一丁目2-3",
};

pub const KENJI: Buyer = Buyer {
    id: "B-KENJI",
    name: "佐藤 健二",
    email: "kenji.2m9q@relay.marketplace.example",
    phone: "080-0000-4471",
    postal_code: "530-0017",
    region: "大阪府",
    city: "大阪市北区",
    street: "角田町8-7-501",
};

pub const YUKI: Buyer = Buyer {
    id: "B-YUKI",
    name: "鈴木 由紀",
    email: "yuki.x41c@relay.marketplace.example",
    phone: "070-0000-9915",
    postal_code: "060-0042",
    region: "北海道",
    city: "札幌市中央区",
    street: "大通西4-6-1",
};

pub const BUYERS: [&Buyer; 3] = [&HANAKO, &KENJI, &YUKI];

impl Buyer {
    pub fn address(&self) -> Value {
        json!({
            "recipient": self.name, "postal_code": self.postal_code, "region": self.region,
            "city": self.city, "address_lines": [self.street], "country": "JP",
        })
    }

    /// What belongs to this person, and into nobody's logs.
    pub fn personal(&self) -> [&'static str; 4] {
        [self.name, self.email, self.phone, self.street]
    }
}
