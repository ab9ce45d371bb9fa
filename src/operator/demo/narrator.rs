//! What is said while the stories are told, in colour where somebody looks.

use std::io;
use std::time::Duration;

use anstyle::{AnsiColor, Effects, Style};

use crate::operator::model::Sent;
use crate::operator::output::{coloured, say};
use crate::store::inspection::Glimpse;

/// How long a story stays before the next, where a person is to follow.
const BREATH: Duration = Duration::from_millis(700);

/// Speaks to a person, or is silent where the output is for a program.
#[derive(Clone, Copy, Debug)]
pub struct Narrator {
    speaks: bool,
    hurries: bool,
}

impl Narrator {
    pub fn new(speaks: bool, hurries: bool) -> Narrator {
        Narrator { speaks, hurries }
    }

    pub fn speaks(self) -> bool {
        self.speaks
    }

    pub fn title(self, title: &str) -> io::Result<()> {
        self.say(&format!("\n{}", painted(title, Style::new().effects(Effects::BOLD))))
    }

    /// What goes out now: the types of the events, in their order.
    pub fn sending(self, events: &[&Sent]) -> io::Result<()> {
        let types: Vec<&str> = events.iter().map(|sent| sent.event_type.as_str()).collect();
        self.aside(&format!("  → {}", types.join(", ")))
    }

    /// What a seller sees of an order.
    pub fn glimpse(self, seen: &Glimpse) -> io::Result<()> {
        let name = seen.buyer_name.as_deref().unwrap_or("hidden");
        self.aside(&format!("  the seller sees: {}, buyer's name {name}", seen.status))
    }

    pub async fn pause(self) {
        if self.speaks && !self.hurries {
            tokio::time::sleep(BREATH).await;
        }
    }

    fn aside(self, text: &str) -> io::Result<()> {
        self.say(&painted(text, AnsiColor::BrightBlack.on_default()))
    }

    fn say(self, line: &str) -> io::Result<()> {
        if self.speaks { say(line) } else { Ok(()) }
    }
}

fn painted(text: &str, style: Style) -> String {
    if coloured() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}
