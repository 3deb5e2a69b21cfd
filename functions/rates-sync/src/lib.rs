//! The rate feed: every five minutes all sources are asked, and one sheet is written of what they say.
//!
//! How a sheet is made of quotes is `shared::rates`' business; this is the run around it and its report.

mod report;

pub use report::ReportBody;

use jiff::SignedDuration;
use serde::Deserialize;
use shared::clock::Clock;
use shared::config::{RatesConfig, StoreConfig};
use shared::cost::{costed, costed_line};
use shared::domain::{AgeLimits, Catalogue, Moment, QuoteBook, Timestamp};
use shared::rates::{Answers, Composition, Rules, Sources, compose};
use shared::store::{Kept, Store, StoreError};
use std::collections::BTreeMap;
use std::time::Instant;
use thiserror::Error;

/// Attempts to write a sheet before another run that writes at the same time.
const MAX_ATTEMPTS: usize = 3;

/// The event of the schedule, which says nothing that matters.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Event {}

/// Why a run wrote no sheet. The sheet before still stands, and its entries age.
#[derive(Debug, Error)]
pub enum JobError {
    /// Not one source answered, now or before.
    #[error("no source has ever answered: there is nothing to write")]
    NoQuotes,
    /// Other runs wrote at the same time, every time.
    #[error("other runs of the rate feed are writing at the same time")]
    Overtaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The job with its clients, built once per instance.
#[derive(Debug, Clone)]
pub struct Job {
    store: Store,
    sources: Sources,
    rules: Rules,
}

impl Job {
    /// Clients by configuration; nothing is connected yet. The error says what of the configuration is
    /// unusable.
    pub fn new(
        aws: &StoreConfig,
        rates: &RatesConfig,
        limits: AgeLimits,
        clock: Clock,
    ) -> Result<Self, String> {
        let rules = Rules { limits, jump_factor: rates.jump_factor };
        Ok(Self { store: Store::new(aws, clock), sources: Sources::new(rates, aws)?, rules })
    }

    /// Asks every source and writes one sheet, logged as one line.
    pub async fn run(&self, now: Timestamp) -> Result<ReportBody, JobError> {
        let (outcome, cost) = costed(Box::pin(self.made(now))).await;
        match &outcome {
            Ok(report) => report.log(cost),
            Err(cause) => costed_line!(error, cost, "rates sync failed", %cause, server_errors = 1),
        }
        outcome
    }

    async fn made(&self, now: Timestamp) -> Result<ReportBody, JobError> {
        let (started, now) = (Instant::now(), now.cut_to_millis());
        let catalogue = self.store.catalogue().await?;
        let answers = self.sources.ask(&catalogue, now).await;
        // A sheet is of the time when it was made: nobody's past changes. Questions and imports name whole
        // milliseconds, so a finer time could not be corrected.
        let now = now.plus(SignedDuration::try_from(started.elapsed()).unwrap_or_default()).cut_to_millis();
        Ok(ReportBody::new(&answers, &self.write(&answers, &catalogue, now).await?))
    }

    /// The book is read again before each attempt, so that of two runs at once the second builds on
    /// the first.
    async fn write(
        &self,
        answers: &Answers,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Composition, JobError> {
        for _ in 0..MAX_ATTEMPTS {
            let stored = self.store.quote_book().await?;
            let rates = self.store.rates_at(Moment::as_of(now), self.rules.limits).await?;
            let of_last = || rates.complete().map(|last| QuoteBook::of_sheet(last, catalogue));
            let book = stored.book.clone().or_else(of_last).unwrap_or_default();
            let composition = compose(book, &rates, answers, catalogue, now, self.rules);
            if composition.book.answers.values().all(BTreeMap::is_empty) {
                return Err(JobError::NoQuotes);
            }
            if self.store.put_sheet_and_book(&composition.sheet, &composition.book, &stored).await?
                == Kept::Written
            {
                return Ok(composition);
            }
        }
        Err(JobError::Overtaken)
    }
}
