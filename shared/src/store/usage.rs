//! The store's charge for a piece of work: calls and capacity units, as DynamoDB itself counts them.
//!
//! Every call of the client asks for its consumed capacity; the sum belongs to the task that made it, so that
//! a request's log line can say what the request cost.

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

tokio::task_local! {
    static USAGE: Cell<Usage>;
}

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
    USAGE
        .scope(Cell::default(), async {
            let done = work.await;
            (done, USAGE.with(Cell::get))
        })
        .await
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
        let _ = USAGE.try_with(|usage| {
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
        assert!(USAGE.try_with(Cell::get).is_err());
    }
}
