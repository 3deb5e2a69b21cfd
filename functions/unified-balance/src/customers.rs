//! The customers that a question is about: one, or several that are named.

use shared::domain::CustomerId;
use shared::query::parameter::parse_list;
use shared::query::{Expected, InvalidParameter, Parameter, Parameters};
use std::collections::BTreeSet;

/// Most customers of one question.
const MAX_CUSTOMERS: usize = 100;

/// One customer.
pub(crate) static CUSTOMER_ID: Parameter<CustomerId> =
    Parameter::customer_id("customer_id", "whose balance; this or `search.customer_id.in` is required")
        .filled_in();
/// Several.
pub(crate) static CUSTOMERS: Parameter<BTreeSet<CustomerId>> = Parameter::new(
    "search.customer_id.in",
    "whose balance, over all of them together; at most 100, in the place of `customer_id`",
    Expected::Ids,
    |text, _| parse_list(text, CustomerId::parse),
);

/// The customers that a request names in one way or the other.
pub(crate) fn customers(parameters: &Parameters) -> Result<BTreeSet<CustomerId>, InvalidParameter> {
    let refused = |parameter: &str, message: String| Err(InvalidParameter::new(parameter, message));
    match (parameters.optional(&CUSTOMER_ID)?, parameters.optional(&CUSTOMERS)?) {
        (Some(_), Some(_)) => {
            let message = "`search.customer_id.in` cannot be given together with `customer_id`.";
            refused(CUSTOMERS.name, message.to_owned())
        }
        (Some(customer), None) => Ok(BTreeSet::from([customer])),
        (None, Some(customers)) if customers.len() > MAX_CUSTOMERS => refused(
            CUSTOMERS.name,
            format!("`{}` names more than {MAX_CUSTOMERS} customers.", CUSTOMERS.name),
        ),
        (None, Some(customers)) => Ok(customers),
        (None, None) => {
            let expects = CUSTOMER_ID.expects;
            let message = format!("`customer_id` is required: {expects}; or `search.customer_id.in`.");
            refused(CUSTOMER_ID.name, message)
        }
    }
}
