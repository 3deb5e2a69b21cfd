//! The report of a run, as it is answered and logged.

use serde::Serialize;
use shared::cost::{Cost, costed_line};
use shared::rates::{Answer, Answers, Composition, Disagreement};
use std::collections::BTreeMap;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportBody {
    /// The sheet's own time.
    observed_at: String,
    /// Assets that it prices.
    entries: usize,
    /// The outcome of each source.
    sources: Vec<SourceBody>,
    /// Quotes that jumped and were not believed: their assets have no price, or another source's.
    rejected: Vec<RejectedBody>,
    /// Major assets on which sources differ by more than a hundredth.
    disagreements: Vec<DisagreementBody>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct SourceBody {
    source: &'static str,
    /// How many assets it priced.
    quotes: usize,
    /// Assets of ours that it named without a usable price.
    unreadable: Vec<&'static str>,
    /// Why it gave none at all; its last answer stands until it is too old.
    error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct RejectedBody {
    currency: &'static str,
    source: &'static str,
    usd: String,
    last_usd: String,
    /// Why it was not believed.
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct DisagreementBody {
    currency: &'static str,
    usd: BTreeMap<&'static str, String>,
}

impl ReportBody {
    pub(crate) fn new(answers: &Answers, written: &Composition) -> Self {
        let sources = answers.iter().map(|(source, answer)| match answer {
            Ok(Answer { quotes, unreadable }) => {
                let unreadable = unreadable.iter().map(|asset| asset.code()).collect();
                SourceBody { source: source.name(), quotes: quotes.len(), unreadable, error: None }
            }
            Err(error) => SourceBody {
                source: source.name(),
                quotes: 0,
                unreadable: Vec::new(),
                error: Some(error.to_string()),
            },
        });
        let rejected = written.rejected.iter().map(|rejected| RejectedBody {
            currency: rejected.asset.code(),
            source: rejected.source.name(),
            usd: rejected.quote.usd.to_string(),
            last_usd: rejected.last.to_string(),
            reason: rejected.reason.text(),
        });
        let disagreements =
            written.disagreements.iter().map(|Disagreement { asset, quotes }| DisagreementBody {
                currency: asset.code(),
                usd: quotes.iter().map(|(source, usd)| (source.name(), usd.to_string())).collect(),
            });
        Self {
            observed_at: written.sheet.observed_at.to_millis_text(),
            entries: written.sheet.entries.len(),
            sources: sources.collect(),
            rejected: rejected.collect(),
            disagreements: disagreements.collect(),
        }
    }

    /// One line, which is a warning when something needs a look.
    pub(crate) fn log(&self, cost: Cost) {
        let Self { observed_at, entries, sources, rejected, disagreements } = self;
        let odd: Vec<_> =
            sources.iter().filter(|source| source.error.is_some() || !source.unreadable.is_empty()).collect();
        let failed_sources = odd.iter().filter(|source| source.error.is_some()).count();
        let (odd_count, rejected_count, disagreement_count) =
            (odd.len(), rejected.len(), disagreements.len());
        let is_calm = odd_count + rejected_count + disagreement_count == 0;
        let detail =
            (!is_calm).then(|| serde_json::to_string(&(odd, rejected, disagreements)).unwrap_or_default());
        macro_rules! line {
            ($level:ident) => {
                costed_line!(
                    $level,
                    cost,
                    "rates sync",
                    observed_at,
                    entries,
                    rate_sheets = 1,
                    failed_sources,
                    rejected_rates = rejected_count,
                    disagreements = disagreement_count,
                    detail
                )
            };
        }
        if is_calm { line!(info) } else { line!(warn) }
    }
}
