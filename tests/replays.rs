//! Dead letters by the thousand: the few causes found, each repaired and replayed, while
//! commands, processors and the broker die in the middle.

mod support;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use otodoke::broker::Outgoing;
use otodoke::contract::{Event, EventRef, InputType};
use otodoke::sandbox::{Options, Sandbox, Server};
use otodoke::store::ledger;
use serde_json::{Value, json};
use sqlx::PgPool;
use support::generate::to_cloudevent;
use support::history::{distinct, history, size};
use support::marketplace::Marketplace;
use support::model::{assert_equals_model, settled};
use support::processor::Launch;
use support::record::assert_lawful;
use support::{Services, wait_until};
use tokio::process::{Child, Command};

const LONG: Duration = Duration::from_secs(1200);

/// A way in which an upstream system gets events wrong, and what mends it.
struct Cause {
    spoil: fn(&Event, &mut Value) -> bool,
    filter: &'static [&'static str],
    patch: Value,
}

/// Puts a member with a wrong value where the event has none.
fn add(event: &mut Value, name: &str, value: Value) -> bool {
    let data = event["data"].as_object_mut().expect("data is an object");
    let is_free = !data.contains_key(name);
    if is_free {
        data.insert(name.to_owned(), value);
    }
    is_free
}

fn is(event: &Event, kind: InputType) -> bool {
    event.input.input_type() == kind
}

fn causes() -> Vec<Cause> {
    let remove = |path: &str| json!([{ "op": "remove", "path": path }]);
    let replace =
        |path: &str, value: &str| json!([{ "op": "replace", "path": path, "value": value }]);
    vec![
        Cause {
            spoil: |of, event| {
                event["specversion"] = json!("0.3");
                is(of, InputType::ShipmentUpdated)
            },
            filter: &["--code", "bad-envelope", "--text", "/specversion"],
            patch: replace("/specversion", "1.0"),
        },
        Cause {
            spoil: |of, event| {
                event["datacontenttype"] = json!("text/xml");
                is(of, InputType::MessageSent)
            },
            filter: &["--code", "bad-envelope", "--text", "/datacontenttype"],
            patch: remove("/datacontenttype"),
        },
        Cause {
            spoil: |of, event| {
                event["type"] = json!("order-placd");
                is(of, InputType::OrderPlaced)
            },
            filter: &["--code", "unknown-type"],
            patch: replace("/type", "order-placed"),
        },
        Cause {
            spoil: |of, event| {
                is(of, InputType::OrderPlaced) && add(event, "latest_ship_at", json!("soon"))
            },
            filter: &["--code", "schema-violation", "--type", "order-placed"],
            patch: remove("/data/latest_ship_at"),
        },
        Cause {
            spoil: |of, event| {
                is(of, InputType::PaymentAuthorized) && add(event, "captured", json!("yes"))
            },
            filter: &["--type", "payment-authorized"],
            patch: remove("/data/captured"),
        },
        Cause {
            spoil: |of, event| {
                is(of, InputType::ShipmentDispatched) && add(event, "insured", json!("yes"))
            },
            filter: &["--code", "schema-violation", "--type", "shipment-dispatched"],
            patch: remove("/data/insured"),
        },
        Cause {
            spoil: |of, event| {
                is(of, InputType::MessageSent) && add(event, "automatic", json!("no"))
            },
            filter: &["--code", "schema-violation", "--type", "message-sent"],
            patch: remove("/data/automatic"),
        },
    ]
}

/// One history, about one event in five of it spoiled.
struct Spoiled {
    events: Vec<Event>,
    messages: Vec<Outgoing>,
    /// By cause, how many letters there will be.
    letters: Vec<usize>,
}

fn spoil(market: &Marketplace, events: Vec<Event>) -> Spoiled {
    let causes = causes();
    let times = times(&events);
    let mut letters = vec![0; causes.len()];
    let mut messages = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let mut message = market.event(event);
        // A repetition would come into the history as it should be.
        let causes = causes.iter().enumerate().cycle().skip(number % 7).take(7);
        for (cause, way) in causes.filter(|_| number % 3 == 0 && times[&event.key] == 1) {
            let mut wrong = to_cloudevent(event);
            if (way.spoil)(event, &mut wrong) {
                letters[cause] += 1;
                message.body = wrong.to_string().into_bytes().into();
                break;
            }
        }
        messages.push(message);
    }
    Spoiled { events, messages, letters }
}

/// How often each event is sent.
fn times(events: &[Event]) -> BTreeMap<EventRef, usize> {
    let mut times = BTreeMap::new();
    for event in events {
        *times.entry(event.key.clone()).or_default() += 1;
    }
    times
}

/// The command line, with these services.
struct Operator {
    database_url: String,
    amqp_url: String,
    prefix: String,
}

impl Operator {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_otodoke"));
        command
            .args(arguments)
            .env("DATABASE_URL", &self.database_url)
            .env("AMQP_URL", &self.amqp_url)
            .env("OTODOKE_PREFIX", &self.prefix)
            .env("OTODOKE_OPERATOR", "test")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).arg("--json").output().await.expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text} {said}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).kill_on_drop(true).spawn().expect("it starts")
    }
}

async fn count(pool: &PgPool, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap_or(0)
}

const OPEN: &str = "SELECT count(*) FROM dead_letters WHERE status = 'open'";
const REPLAYED: &str = "SELECT count(*) FROM replay_letters WHERE outcome IS NOT NULL";

async fn assert_adds_up(pool: &PgPool, events: &[Event]) {
    let audit = ledger::audit(&mut pool.acquire().await.unwrap()).await.unwrap();
    let sum = |of: fn(&ledger::Count) -> i64| audit.streams.values().map(of).sum::<i64>();
    assert_eq!(sum(|c| c.received), sum(|c| c.accepted + c.duplicates + c.dead), "{audit:?}");
    assert_eq!(sum(|c| c.accepted), audit.in_history, "{audit:?}");
    assert_eq!(sum(|c| c.dead), audit.dead_letter_attempts, "{audit:?}");
    assert_eq!(audit.in_history, distinct(events) as i64, "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_causes_are_found_repaired_and_replayed_as_if_nothing_had_been_wrong() {
    let services = Services::start().await;
    let market = Marketplace::of(&services).await;
    let mut subscriber = market.subscribe(&["#"]).await;
    let mut processor = Launch::on(&services).ready().await;
    let spoiled = spoil(&market, history(11, size(5_000, 250_000)));
    let letters: usize = spoiled.letters.iter().sum();
    assert!(spoiled.letters.iter().all(|count| *count > 10), "{:?}", spoiled.letters);
    market.publish(&spoiled.messages).await;
    let pool = services.pool().await;
    settled(&pool, LONG, distinct(&spoiled.events) - letters).await;
    wait_until(LONG, "all are filed", async || count(&pool, OPEN).await == letters as i64).await;

    let operator = Operator {
        database_url: services.database_url().to_owned(),
        amqp_url: services.amqp_url().to_owned(),
        prefix: services.prefix().to_owned(),
    };
    let groups = operator.json(&["dead-letters", "groups"]).await;
    let mut found: Vec<i64> =
        groups.as_array().unwrap().iter().map(|group| group["count"].as_i64().unwrap()).collect();
    let mut expected: Vec<i64> = spoiled.letters.iter().map(|count| *count as i64).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{groups}");
    tell_speed(&pool, letters).await;

    let patch = tempfile::NamedTempFile::new().unwrap();
    let path = patch.path().to_str().unwrap();
    for (cause, expected) in causes().iter().zip(&spoiled.letters) {
        std::fs::write(path, cause.patch.to_string()).unwrap();
        let replay = [&["dead-letters", "replay"], cause.filter, &["--patch", path]].concat();
        let tried = operator.json(&replay).await;
        assert_eq!(
            (&tried["accepted"], &tried["refused"]),
            (&json!(expected), &json!([])),
            "{replay:?}"
        );
        let job = operator.json(&[&replay[..], &["--yes", "--canary", "2"]].concat()).await;
        let told = (&job["state"], &job["accepted"], &job["waiting"]);
        assert_eq!(told, (&json!("done"), &json!(expected), &json!(0)), "{job}");
    }
    assert_eq!(count(&pool, OPEN).await, 0);
    settled(&pool, LONG, distinct(&spoiled.events)).await;
    assert!(processor.stop().await.success());
    assert_adds_up(&pool, &spoiled.events).await;
    assert_equals_model(&pool, &spoiled.events).await;
    assert_lawful(&pool, subscriber.arrived().await).await;
}

/// How long finding the groups takes, beside counting the letters in the same run.
async fn tell_speed(pool: &PgPool, letters: usize) {
    let mut conn = pool.acquire().await.unwrap();
    let filter = otodoke::store::dead_letters::Filter {
        status: Some("open".to_owned()),
        ..Default::default()
    };
    let begun = Instant::now();
    otodoke::store::dead_letters::groups(&mut conn, &filter, 50).await.unwrap();
    let groups = begun.elapsed();
    let begun = Instant::now();
    sqlx::query("SELECT count(*) FROM dead_letters").execute(&mut *conn).await.unwrap();
    let counted = begun.elapsed();
    println!(
        "groups of {letters} letters: {groups:?}, {:.1} times count(*)",
        groups.as_secs_f64() / counted.as_secs_f64()
    );
    assert!(groups < Duration::from_secs(1), "{groups:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_survives_the_death_of_the_command_of_the_processor_and_of_the_broker() {
    let mut sandbox = Sandbox::start(Options::default()).await.expect("private servers");
    let (database_url, amqp_url) =
        (sandbox.database_url().to_owned(), sandbox.amqp_url().to_owned());
    let operator = Operator {
        database_url: database_url.clone(),
        amqp_url: amqp_url.clone(),
        prefix: String::new(),
    };
    let launch = Launch::at(&database_url, &amqp_url);
    let mut processor = launch.ready().await;
    let market = Marketplace::open(&amqp_url, "").await;
    let pool = PgPool::connect(&database_url).await.expect("the database answers");
    let events = history(12, size(4_000, 20_000));
    let (times, mut letters) = (times(&events), 0);
    let mut messages: Vec<Outgoing> = events.iter().map(|event| market.event(event)).collect();
    for (event, message) in events.iter().zip(&mut messages).step_by(3) {
        if times[&event.key] == 1 {
            let mut wrong = to_cloudevent(event);
            wrong["specversion"] = json!("0.3");
            message.body = wrong.to_string().into_bytes().into();
            letters += 1;
        }
    }
    market.publish(&messages).await;
    settled(&pool, LONG, distinct(&events) - letters).await;
    wait_until(LONG, "all are filed", async || count(&pool, OPEN).await == letters as i64).await;

    let replayed = async |share: f64| {
        let most = (letters as f64 * share) as i64;
        wait_until(LONG, "it gets on", async || count(&pool, REPLAYED).await >= most).await;
    };
    let mend =
        ["dead-letters", "replay", "--set", "/specversion=\"1.0\"", "--yes", "--rate", "300"];
    let mut command = operator.start(&mend);
    replayed(0.1).await;
    command.kill().await.expect("the command runs");
    replayed(0.3).await;
    processor.kill().await;
    let processor = launch.start();
    replayed(0.5).await;
    sandbox.kill(Server::RabbitMq).await.expect("it runs");
    sandbox.restart(Server::RabbitMq).await.expect("it starts again");
    replayed(1.0).await;

    let jobs = async || operator.json(&["dead-letters", "jobs", "list"]).await;
    wait_until(LONG, "the job is done", async || jobs().await[0]["state"] == "done").await;
    let job = jobs().await[0].clone();
    let told = (&job["letters"], &job["accepted"], &job["duplicates"], &job["refused"]);
    assert_eq!(told, (&json!(letters), &json!(letters), &json!(0), &json!(0)), "{job}");
    settled(&pool, LONG, distinct(&events)).await;
    let mut processor = processor;
    processor.wait_ready().await;
    assert!(processor.stop().await.success());
    assert_adds_up(&pool, &events).await;
    assert_equals_model(&pool, &events).await;
    pool.close().await;
    sandbox.stop().await.expect("it stops");
}
