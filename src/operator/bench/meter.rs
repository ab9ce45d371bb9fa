//! What a stretch of work costs: time, CPU seconds by process, write-ahead log, memory.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::cost::cpu_seconds;
use crate::operator::stage::Stage;
use crate::sandbox::Server;
use crate::store::inspection;

/// What a number of events cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub events_per_second: f64,
    /// CPU seconds for 1,000 events of the program that is measured.
    pub program: f64,
    /// CPU seconds for 1,000 events; of a server that isn't ours nothing is known.
    pub postgres: Option<f64>,
    /// Likewise.
    pub rabbitmq: Option<f64>,
    /// Of the database's write-ahead log, for one event.
    pub wal_bytes: f64,
    /// The most memory that the program ever had; `None` where it isn't a process of its own.
    pub peak_mib: Option<f64>,
}

impl Cost {
    /// CPU seconds for 1,000 events, of all processes that something is known of.
    pub fn cpu(&self) -> f64 {
        self.program + self.postgres.unwrap_or_default() + self.rabbitmq.unwrap_or_default()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "events_per_second": self.events_per_second,
            "cpu_seconds_per_1000_events": {
                "processor": self.program, "postgres": self.postgres, "rabbitmq": self.rabbitmq,
            },
            "wal_bytes_per_event": self.wal_bytes,
            "peak_mib": self.peak_mib,
        })
    }
}

/// Counts from a moment on.
pub struct Meter<'a> {
    stage: &'a Stage,
    begun: Instant,
    wal: i64,
    used: [Option<f64>; 2],
}

impl<'a> Meter<'a> {
    /// Begins to count, with the database that `pool` leads to.
    pub async fn start(stage: &'a Stage, pool: &PgPool) -> Result<Meter<'a>> {
        let wal = inspection::wal(&mut *pool.acquire().await?).await?;
        Ok(Meter { stage, used: used(stage), wal, begun: Instant::now() })
    }

    /// What was spent since then on so many events; `program` in CPU seconds.
    pub async fn read(&self, pool: &PgPool, events: usize, program: f64) -> Result<Cost> {
        let took = self.begun.elapsed().as_secs_f64();
        let (after, before) = (used(self.stage), self.used);
        let wal = inspection::wal(&mut *pool.acquire().await?).await? - self.wal;
        let events = events.max(1) as f64;
        let server = |index: usize| Some((after[index]? - before[index]?) * 1_000.0 / events);
        Ok(Cost {
            events_per_second: events / took,
            program: program * 1_000.0 / events,
            postgres: server(0),
            rabbitmq: server(1),
            wal_bytes: wal as f64 / events,
            peak_mib: None,
        })
    }
}

fn used(stage: &Stage) -> [Option<f64>; 2] {
    [Server::Postgres, Server::RabbitMq].map(|server| stage.process_id(server).map(cpu_seconds))
}
