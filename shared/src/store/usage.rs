//! The store's charge for a piece of work: calls and capacity units, as DynamoDB itself counts them, and the
//! budget that ends work which reads too much.
//!
//! Every call of the client asks for its consumed capacity; the sum belongs to the task that made it, so that
//! a request's log line can say what the request cost. The budget is kept here, at the client, because every
//! read goes through it: a limit in each way to read would have to be remembered in the next one.

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::scan::{ScanInput, ScanOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use std::cell::Cell;
use std::future::Future;
use thiserror::Error;

/// Read units that one request may cost: some 300,000 accounts with nothing to describe them, or 20,000 reads
/// of a history.
pub const READ_BUDGET: u64 = 20_000;

tokio::task_local! {
    static METERED: Metered;
}

/// A piece of work that is metered.
#[derive(Debug, Default)]
struct Metered {
    usage: Cell<Usage>,
    /// Read units that it may cost, if they are limited.
    budget: Option<u64>,
}

/// The refusal of a read beyond the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the request would read more of the store than it may")]
pub struct ReadBudgetSpent;

/// The cost of some work; a call that failed is counted too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Calls to DynamoDB.
    pub calls: u64,
    /// Capacity units read, in tenths.
    pub read_tenths: u64,
    /// Capacity units written, in tenths.
    pub write_tenths: u64,
}

impl Usage {
    /// Units read and written, rounded up to whole ones.
    #[must_use]
    pub const fn units(self) -> (u64, u64) {
        (self.read_tenths.div_ceil(10), self.write_tenths.div_ceil(10))
    }
}

/// Does some work and says what it cost. Work that it hands to other tasks is not counted.
pub async fn measured<T>(work: impl Future<Output = T>) -> (T, Usage) {
    metered(None, work).await
}

/// The same within a budget of read units: once the work has cost more, each further read of it is refused.
pub async fn measured_within<T>(budget: u64, work: impl Future<Output = T>) -> (T, Usage) {
    metered(Some(budget), work).await
}

async fn metered<T>(budget: Option<u64>, work: impl Future<Output = T>) -> (T, Usage) {
    // Work within other work has no larger budget than that.
    let outer = METERED.try_with(|metered| metered.budget).ok().flatten();
    let budget = [outer, budget].into_iter().flatten().min();
    let metered = Metered { usage: Cell::default(), budget };
    let work = async {
        let done = work.await;
        (done, usage_so_far())
    };
    METERED.scope(metered, work).await
}

/// The cost so far of the work that this is part of; nothing outside such work.
#[must_use]
pub fn usage_so_far() -> Usage {
    METERED.try_with(|metered| metered.usage.get()).unwrap_or_default()
}

/// Refuses work that will cost at least so many more read units, if the budget cannot pay for them: it is
/// refused before its first read and not after its last.
pub(super) fn check_budget(further_units: usize) -> Result<(), ReadBudgetSpent> {
    let further_units = u64::try_from(further_units).unwrap_or(u64::MAX);
    let is_beyond = |metered: &Metered| {
        let (spent, _) = metered.usage.get().units();
        metered.budget.is_some_and(|budget| spent.saturating_add(further_units) > budget)
    };
    if METERED.try_with(is_beyond).unwrap_or_default() { Err(ReadBudgetSpent) } else { Ok(()) }
}

/// Asks for and adds up what each call consumes.
#[derive(Debug)]
pub(super) struct Meter;

/// Sets the field of whichever input this is.
macro_rules! ask {
    ($input:expr, $($kind:ty),+) => {
        $(if let Some(input) = $input.downcast_mut::<$kind>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        })+
    };
}

/// Hands on what whichever output this is says of the tables it touched: one, or several.
macro_rules! told {
    ($output:expr, $add:expr, one: $($one:ty => $one_writes:expr),+; several: $($several:ty => $several_write:expr),+) => {
        $(if let Some(consumed) = $output.downcast_ref::<$one>().and_then(|output| output.consumed_capacity()) {
            $add(consumed, $one_writes);
        })+
        $(if let Some(output) = $output.downcast_ref::<$several>() {
            output.consumed_capacity().iter().for_each(|consumed| $add(consumed, $several_write));
        })+
    };
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        let is_read = input.downcast_ref::<QueryInput>().is_some()
            || input.downcast_ref::<GetItemInput>().is_some()
            || input.downcast_ref::<ScanInput>().is_some()
            || input.downcast_ref::<BatchGetItemInput>().is_some();
        if is_read {
            check_budget(0)?;
        }
        ask!(
            input,
            QueryInput,
            GetItemInput,
            ScanInput,
            BatchGetItemInput,
            PutItemInput,
            UpdateItemInput,
            TransactWriteItemsInput
        );
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Outside `measured` nobody wants to know.
        let _ = METERED.try_with(|Metered { usage, .. }| {
            let mut sum = Usage { calls: usage.get().calls + 1, ..usage.get() };
            let mut add = |consumed: &ConsumedCapacity, is_write: bool| {
                let tenths = consumed.capacity_units().map(tenths).unwrap_or_default();
                *(if is_write { &mut sum.write_tenths } else { &mut sum.read_tenths }) += tenths;
            };
            if let Some(Ok(output)) = context.output_or_error() {
                told!(
                    output, add,
                    one: QueryOutput => false, GetItemOutput => false, ScanOutput => false, PutItemOutput => true,
                        UpdateItemOutput => true;
                    several: BatchGetItemOutput => false, TransactWriteItemsOutput => true
                );
            }
            usage.set(sum);
        });
        Ok(())
    }
}

/// Units come in halves; their decimal text loses nothing.
fn tenths(units: impl std::fmt::Display) -> u64 {
    format!("{units:.1}").replace('.', "").parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_in_tenths() {
        assert_eq!([0.5, 1.0, 12.0, 132.5].map(tenths), [5, 10, 120, 1325]);
    }

    #[tokio::test]
    async fn work_outside_a_measurement_is_not_counted() {
        let ((), usage) = measured(async {}).await;
        assert_eq!(usage, Usage::default());
        assert_eq!(usage_so_far(), Usage::default());
    }

    #[tokio::test]
    async fn a_budget_is_spent_by_what_was_read_and_by_what_will_be() {
        let spend = |units: u64| {
            METERED.with(|metered| metered.usage.set(Usage { read_tenths: units * 10, ..Usage::default() }));
        };
        let work = async {
            assert_eq!(check_budget(20_000), Ok(()));
            assert_eq!(check_budget(20_001), Err(ReadBudgetSpent));
            spend(15_000);
            assert_eq!((check_budget(5_000), check_budget(5_001)), (Ok(()), Err(ReadBudgetSpent)));
            spend(20_001);
            assert_eq!(check_budget(0), Err(ReadBudgetSpent));
        };
        let ((), usage) = measured_within(READ_BUDGET, work).await;
        assert_eq!(usage.units(), (20_001, 0));
        assert_eq!(check_budget(usize::MAX), Ok(()), "no budget limits other work");
    }
}
