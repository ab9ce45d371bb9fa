//! Telling the stories: publishes them one after the other, and waits each time until all
//! that follows was seen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlx::PgPool;

use super::audience::Audience;
use super::day::{Step, Story};
use super::narrator::Narrator;
use crate::broker::{Names, Outcome, Outgoing, Publisher};
use crate::contract::{Span, Timestamp};
use crate::operator::model::{Model, Sent};
use crate::processor;
use crate::store::inspection::{self, Glimpse};
use crate::store::{self, ledger, status};

/// How long a story may take to come to rest. Usually a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the tables are looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The stage from in front.
pub struct Play {
    pub pool: PgPool,
    pub names: Names,
    pub audience: Audience,
    pub model: Model,
    /// What was seen of orders when a story said so, in its order.
    pub glimpses: Vec<Glimpse>,
    publisher: Publisher,
    max_clock_skew: Span,
    narrator: Narrator,
}

impl Play {
    pub async fn open(settings: &crate::config::Settings, narrator: Narrator) -> Result<Play> {
        let url = settings.services.amqp_url()?;
        let names = Names::new(&settings.services.prefix)?;
        Ok(Play {
            pool: processor::pool(settings)?,
            audience: Audience::seat(url, &names, narrator.speaks()).await?,
            publisher: Publisher::open(url).await?,
            names,
            model: Model::default(),
            glimpses: Vec::new(),
            max_clock_skew: settings.pipeline.max_clock_skew,
            narrator,
        })
    }

    /// Tells one story to its end.
    pub async fn tell(&mut self, story: &Story) -> Result<()> {
        self.narrator.title(story.title)?;
        let mut unsent = Vec::new();
        for step in &story.steps {
            match step {
                Step::Send(sent) => unsent.push(sent),
                Step::Settle => self.publish(&mut unsent).await?,
                Step::Look(order) => self.look(order).await?,
            }
        }
        self.publish(&mut unsent).await?;
        self.narrator.pause().await;
        Ok(())
    }

    /// Sends what waits, and waits for what comes of it.
    async fn publish(&mut self, unsent: &mut Vec<&Sent>) -> Result<()> {
        let now = Timestamp::from_chrono(chrono::Utc::now());
        self.narrator.sending(unsent)?;
        for sent in unsent.iter() {
            self.model.take(sent, now, self.max_clock_skew);
        }
        let messages: Vec<Outgoing> =
            unsent.drain(..).map(|sent| sent.outgoing(&self.names)).collect();
        for outcome in self.publisher.publish_all(&messages).await {
            ensure!(
                matches!(outcome, Outcome::Confirmed { .. }),
                "the broker doesn't confirm what is published: {outcome:?}"
            );
        }
        self.settle().await
    }

    async fn look(&mut self, order: &str) -> Result<()> {
        let glimpse = inspection::glimpse(&mut *self.pool.acquire().await?, order).await?;
        let glimpse = glimpse.with_context(|| format!("order {order} is not in the read model"))?;
        self.narrator.glimpse(&glimpse)?;
        self.glimpses.push(glimpse);
        Ok(())
    }

    /// Waits until all that was published is stored, decided and heard.
    async fn settle(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let Some(missing) = self.missing().await? else { return Ok(()) };
            if begun.elapsed() > PATIENCE {
                bail!("after {} s still not: {missing}", PATIENCE.as_secs());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What is still to happen, in words; `None` where everything has come to rest.
    async fn missing(&self) -> Result<Option<String>> {
        ensure!(!self.audience.is_gone(), "the subscriber lost its connection to the broker");
        let conn = &mut *self.pool.acquire().await?;
        let received: i64 =
            ledger::audit(conn).await?.streams.values().map(|count| count.received).sum();
        let (published, figures) = (self.model.published, status::figures(conn).await?);
        let (queued, heard) = (inspection::queued(conn).await?, self.audience.count());
        let unheard = usize::try_from(queued).unwrap_or(0).saturating_sub(heard);
        Ok(if received < published {
            Some(format!("{received} of {published} messages are received"))
        } else if figures.wake_ups > 0 || figures.oldest_due.is_some() {
            Some("deadlines and neighbours are decided".to_owned())
        } else if figures.outbox > 0 || unheard > 0 {
            Some(format!("{unheard} of {queued} derived messages are heard"))
        } else {
            None
        })
    }

    /// The database's clock.
    pub async fn clock(&self) -> Result<Timestamp> {
        Ok(store::clock(&mut *self.pool.acquire().await?).await?)
    }

    pub async fn close(self) {
        self.publisher.close().await;
        self.pool.close().await;
    }
}
