//! A scenario as its file writes it, and the reading of all of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use otodoke::contract::{Event, Rule, Timestamp};
use otodoke::rules::Policy;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::shorthand::{Expander, Fields, moment};

/// What happens, and what must follow from it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub rule: String,
    /// A claim.
    pub name: String,
    #[serde(default)]
    policy: Fields,
    #[serde(default)]
    events: Vec<Fields>,
    as_of: Option<String>,
    expect: Option<Expect>,
    #[serde(default)]
    steps: Vec<Step>,
    #[serde(skip)]
    pub file: String,
}

/// Events that arrive together, and how things stand then.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    #[serde(default)]
    arrive: Vec<Fields>,
    as_of: String,
    pub expect: Expect,
}

/// What must hold. What isn't named isn't looked at.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// All that stands, and nothing else.
    pub derived: Option<Vec<Fields>>,
    /// Stands among others.
    pub stands: Vec<Fields>,
    /// Nothing that stands is like this.
    pub never: Vec<Fields>,
    /// All that this step published, and nothing else.
    pub published: Option<Vec<Fields>>,
    /// All that this step withdrew, and nothing else.
    pub withdrawn: Option<Vec<Fields>>,
    #[serde(deserialize_with = "present")]
    pub order: Option<Value>,
    pub lines: Option<Vec<Fields>>,
    pub packages: Option<Vec<Fields>>,
    pub threads: Option<Vec<Fields>>,
    pub refunds: Option<Vec<Fields>>,
    pub guarantees: Option<Vec<Fields>>,
    #[serde(deserialize_with = "present")]
    pub next: Option<Value>,
    pub cases: BTreeMap<String, Expect>,
}

/// `null` is a value here: there must be none.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// A step in full: all that has arrived by then.
pub struct Moment {
    pub events: Vec<Event>,
    pub as_of: Timestamp,
    pub expect: Expect,
}

impl Scenario {
    pub fn rule(&self) -> Rule {
        Rule::from_id(&self.rule).unwrap_or_else(|| panic!("{}: no rule {}", self.file, self.rule))
    }

    pub fn policy(&self) -> Result<Policy, String> {
        let mut settings = serde_json::to_value(Policy::default()).map_err(|e| e.to_string())?;
        for (name, value) in &self.policy {
            let known = settings.get_mut(name).ok_or_else(|| format!("no setting `{name}`"))?;
            *known = value.clone();
        }
        serde_json::from_value(settings).map_err(|fault| fault.to_string())
    }

    /// The steps in full; a scenario without steps is one step.
    pub fn moments(&self) -> Result<Vec<Moment>, String> {
        let mut expander = Expander::default();
        let mut arrived: Vec<Event> = Vec::new();
        let mut moments = Vec::new();
        for step in self.all_steps()? {
            for short in &step.arrive {
                arrived.push(expander.event(short)?);
            }
            let as_of = moment(&step.as_of)?;
            moments.push(Moment { events: arrived.clone(), as_of, expect: step.expect });
        }
        Ok(moments)
    }

    /// What is expected at any step.
    pub fn expectations(&self) -> impl Iterator<Item = &Expect> {
        self.steps.iter().map(|step| &step.expect).chain(&self.expect)
    }

    fn all_steps(&self) -> Result<Vec<Step>, String> {
        match (&self.as_of, &self.expect, self.steps.is_empty()) {
            (Some(as_of), Some(expect), true) => Ok(vec![Step {
                arrive: self.events.clone(),
                as_of: as_of.clone(),
                expect: expect.clone(),
            }]),
            (None, None, false) if self.events.is_empty() => Ok(self.steps.clone()),
            _ => Err("needs events, as_of and expect, or steps".into()),
        }
    }
}

/// Every scenario of every file, in the order of their names.
pub fn load_all() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("tests/scenarios is there")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    files.iter().flat_map(|path| load(path)).collect()
}

fn load(path: &Path) -> Vec<Scenario> {
    let file = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("a scenario file is readable");
    let mut scenarios: Vec<Scenario> =
        serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{file}: {fault}"));
    for scenario in &mut scenarios {
        scenario.file.clone_from(&file);
        assert!(file.starts_with(&format!("{}-", scenario.rule)), "{file}: {}", scenario.name);
    }
    scenarios
}
