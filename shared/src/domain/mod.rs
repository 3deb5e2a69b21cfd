//! Money, assets, accounts and rates as values that cannot be wrong.
//!
//! Everything here is pure: no clock, no I/O, no JSON, no DynamoDB. `now` is always a parameter, a string is
//! parsed where it enters, and arithmetic that would not fit is an error, never a wrong number.

pub mod account;
pub mod amount;
pub mod asset;
pub mod book;
pub mod book_totals;
pub mod catalogue;
pub mod custody;
mod decimal;
pub mod gap;
pub mod grant;
pub mod grouped;
pub mod id;
pub mod interval;
pub mod label;
pub mod legal_rate;
pub mod moment;
pub mod price;
pub mod quote;
pub mod rate;
pub mod time;
pub mod total;

pub use account::{
    Account, AccountScope, AccountState, AccountUpdate, EntryKey, Measure, Network, Status, Version,
};
pub use amount::{Amount, TooLarge};
pub use asset::Asset;
pub use book::{BookGap, BookGaps, BookPosition, CellKey, CellSums, Cells};
pub use book_totals::{BookDimension, BookFilter, BookQuestion, BookTotals};
pub use catalogue::{Catalogue, ProviderAsset};
pub use custody::{
    Blockchain, ChainAsset, Coverage, CustodyAccount, Position, PositionOwner, ProviderAccount, ProviderName,
    Unlisted, UnlistedHolding, UnlistedReason,
};
pub use gap::{CustodyGap, Gap, UnknownAssets};
pub use grant::{Grants, Permission};
pub use grouped::{Dimension, GroupedSummary, GroupedSums};
pub use id::{
    AccountId, ContactId, CustodyAccountId, CustomerId, MAX_VENDOR_ID, MerchantAccountId, MerchantId,
    OrganizationId,
};
pub use interval::{Interval, MAX_POINTS, TooManyPoints, Zone};
pub use label::{AccountLabels, Label};
pub use legal_rate::LegalRate;
pub use moment::{Moment, Moments};
pub use price::{Factor, PriceError, UsdPrice};
pub use quote::{HeldReason, Quote, QuoteBook, Quotes, SourceName, Suspect};
pub use rate::{AgeLimits, Method, Pricing, Rate, RateSheet, RatesInForce, SheetKind};
pub use time::Timestamp;
pub use total::{NativeSums, Summary, sum};
