//! What the day came to, for people and for programs.

use anyhow::Result;
use comfy_table::{Cell, Color, Table};
use serde_json::{Value, json};

use super::checks::{Exercise, Findings};
use crate::contract::Rule;
use crate::operator::output::{coloured, say, table};

/// Writes the summary.
pub fn present(findings: &Findings, as_json: bool) -> Result<()> {
    if as_json {
        say(&document(findings).to_string())?;
        return Ok(());
    }
    say(&format!("\n{}", rules(findings)))?;
    say(&format!("\n{}", counts(["derived event", "standing"], &findings.derived)))?;
    say(&format!("\n{}", counts(["dead letter", "count"], &findings.dead_letters)))?;
    say(&format!("\n{}", totals(findings)))?;
    verdict(findings).iter().try_for_each(|line| say(line))?;
    Ok(())
}

fn document(findings: &Findings) -> Value {
    let rules: Vec<Value> = findings
        .rules
        .iter()
        .map(|(rule, found)| {
            json!({
                "rule": rule, "title": rule.title(), "times": found.times,
                "example": found.example, "problem": found.problem,
            })
        })
        .collect();
    json!({
        "ok": findings.is_well(), "rules": rules, "derived": findings.derived,
        "dead_letters": findings.dead_letters, "withdrawn": findings.withdrawn,
        "published": findings.published, "accepted": findings.accepted,
        "duplicates": findings.duplicates, "orders": findings.orders,
        "differences": findings.differences,
    })
}

fn rules(findings: &Findings) -> Table {
    let mut table = table(["rule", "", "times", "for example"]);
    for (rule, found) in &findings.rules {
        table.add_row(row(*rule, found));
    }
    table
}

fn row(rule: Rule, found: &Exercise) -> [Cell; 4] {
    let id = Cell::new(rule.id());
    let (id, example) = match &found.problem {
        Some(problem) => (tinted(id, Color::Red), format!("MISSING: {problem}")),
        None => (tinted(id, Color::Green), found.example.clone()),
    };
    [id, Cell::new(rule.title()), Cell::new(found.times), Cell::new(example)]
}

fn tinted(cell: Cell, colour: Color) -> Cell {
    if coloured() { cell.fg(colour) } else { cell }
}

fn counts<N: ToString>(header: [&str; 2], counts: &std::collections::BTreeMap<String, N>) -> Table {
    let mut table = table(header);
    for (name, count) in counts {
        table.add_row([name.clone(), count.to_string()]);
    }
    table
}

fn totals(findings: &Findings) -> String {
    let dead: i64 = findings.dead_letters.values().sum();
    format!(
        "{} messages published: {} accepted, {} seen before, {dead} dead letters. \
         {} orders; {} derived events were withdrawn when late news came.",
        findings.published,
        findings.accepted,
        findings.duplicates,
        findings.orders,
        findings.withdrawn
    )
}

/// The model check and the rules, said plainly.
fn verdict(findings: &Findings) -> Vec<String> {
    let mut lines: Vec<String> =
        findings.differences.iter().map(|difference| format!("DIFFERS: {difference}")).collect();
    if lines.is_empty() {
        lines.push(
            "What stands in the database is exactly what the rules, run in memory over the \
             published events, say."
                .to_owned(),
        );
    }
    let missing: Vec<&str> = findings.missing().map(|(rule, _)| rule.id()).collect();
    lines.push(match missing.as_slice() {
        [] => format!("All {} rules were at work.", Rule::ALL.len()),
        missing => format!("Not every rule was at work: {}.", missing.join(", ")),
    });
    lines
}
