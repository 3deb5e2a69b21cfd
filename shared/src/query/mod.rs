//! A caller's question, parsed once into values and then applied to domain values.
//!
//! Every parameter is declared in one place, as a [`Parameter`] or a row of a filter table; the declaration
//! drives parsing, matching and the error text. URLs and percent-encoding are `http`'s business.

mod expected;
pub mod filter;
pub mod page;
pub mod parameter;
pub mod sort;

pub use expected::{Expected, Names};
pub use filter::{Condition, Filter};
pub use page::{Binding, Page, Turned};
pub use parameter::{Declared, InvalidParameter, Parameter, Parameters};
pub use sort::Sort;
