//! The jobs that run by themselves once the stack is up.

use crate::dataset::Dataset;
use crate::schedules::Schedules;
use crate::template::{self, TemplateError};
use shared::domain::Zone;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Closes of the past that the demo begins with.
const DEMO_CLOSES: u32 = 90;

/// Which of them run.
#[derive(Debug)]
pub(crate) struct Jobs {
    pub(crate) schedules: Schedules,
    /// The zone whose days end with a close.
    pub(crate) zone: Zone,
    pub(crate) has_schedules: bool,
    pub(crate) has_live_rates: bool,
}

impl Jobs {
    /// Begins them; they end with `stop`.
    pub(crate) async fn begin(
        self,
        dataset: &Dataset,
        servers: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), TemplateError> {
        let Self { schedules, zone, has_schedules, has_live_rates } = self;
        if dataset.is_demo {
            // A total that lacks what nobody has asked for yet would be an error.
            let report = schedules.run("custody-sync").await;
            tracing::debug!(?report, "the demo's custody accounts");
        }
        if dataset.is_demo && has_schedules {
            let schedules = schedules.clone();
            servers.spawn(stop.clone().run_until_cancelled_owned(async move {
                if let Err(cause) = schedules.make_past_closes(&zone, DEMO_CLOSES).await {
                    tracing::error!(%cause, "the demo lacks closes of the past");
                }
            }));
        }
        if has_live_rates {
            let schedules = schedules.clone();
            servers.spawn(async move {
                if let Some(Err(cause)) = schedules.run("rates-sync").await {
                    tracing::error!(%cause, "the real sources gave no rates");
                }
            });
        }
        if has_schedules {
            // A dataset's own rates are what its owner wants to see, not the sandbox's.
            let brings_rates = !dataset.is_demo && !dataset.rate_sheets.is_empty() && !has_live_rates;
            for schedule in template::schedules()?
                .into_iter()
                .filter(|schedule| !(brings_rates && schedule.function == "rates-sync"))
            {
                servers.spawn(schedules.clone().keep(schedule, stop.clone()));
            }
        }
        Ok(())
    }
}
