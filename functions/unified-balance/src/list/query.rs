//! The parameters of the account list, each declared once.

use crate::moment::{AS_OF, KNOWN_AT, moment};
use crate::stack::STACK;
use shared::domain::{Catalogue, CustomerId, Grants, Moment, Timestamp};
use shared::http::{AMOUNTS, AmountForm};
use shared::query::filter::list_filters;
use shared::query::page::{CURSOR, LIMIT, OFFSET};
use shared::query::sort::field_names;
use shared::query::{
    Binding, Declared, Expected, Filter, InvalidParameter, Page, Parameter, Parameters, Sort,
};
use std::collections::BTreeSet;
use std::sync::LazyLock;

static SORT: Parameter<Sort> = Parameter::new(
    "sort",
    "the order, `id` unless given; ties are broken by id",
    Expected::Order(field_names),
    |text, _| Sort::parse(text),
);

/// Everything the route knows, in the order its errors list it.
pub(crate) static DECLARED: LazyLock<Vec<&'static dyn Declared>> = LazyLock::new(|| {
    let filters = list_filters().map(|filter| -> &dyn Declared { filter });
    let options: [&dyn Declared; 8] = [&AS_OF, &KNOWN_AT, &STACK, &SORT, &LIMIT, &OFFSET, &CURSOR, &AMOUNTS];
    filters.chain(options).collect()
});

/// Whose accounts a list reaches for.
#[derive(Debug)]
pub(super) enum Reach {
    /// Those of these customers.
    Customers(BTreeSet<CustomerId>),
    /// Everybody's, in the table's own order.
    Everybody,
}

impl Reach {
    fn new(filter: &Filter, grants: &Grants) -> Self {
        match filter.customers() {
            Some(customers) => Self::Customers(customers),
            None if grants.may_see_all() => Self::Everybody,
            None => Self::Customers(grants.customers.clone()),
        }
    }

    pub(super) fn covers(&self, customer_id: CustomerId) -> bool {
        match self {
            Self::Customers(customers) => customers.contains(&customer_id),
            Self::Everybody => true,
        }
    }

    /// Whether a list says how many accounts there are: across all customers none can.
    pub(super) const fn is_counted(&self) -> bool {
        matches!(self, Self::Customers(_))
    }

    /// Tells the two lists apart in a cursor.
    const fn view(&self) -> &'static str {
        match self {
            Self::Customers(_) => "customers",
            Self::Everybody => "everybody",
        }
    }
}

/// The parsed query of `GET /v2/accounts`.
#[derive(Debug)]
pub(super) struct ListQuery {
    pub(super) filter: Filter,
    pub(super) reach: Reach,
    /// `None` asks about now.
    pub(super) moment: Option<Moment>,
    pub(super) sort: Sort,
    pub(super) page: Page,
    pub(super) has_stacks: bool,
    pub(super) amounts: AmountForm,
}

impl ListQuery {
    pub(super) fn parse(
        pairs: Vec<(String, String)>,
        catalogue: &Catalogue,
        grants: &Grants,
        now: Timestamp,
    ) -> Result<Self, InvalidParameter> {
        let parameters = Parameters::read(pairs, &DECLARED, catalogue)?;
        let filter = Filter::read(&parameters, list_filters())?;
        let reach = Reach::new(&filter, grants);
        if matches!(reach, Reach::Everybody) {
            refuse_across_customers(&parameters)?;
        }
        let moment = moment(&parameters, now)?;
        let sort = parameters.optional(&SORT)?.unwrap_or_default();
        if moment.is_some() && sort.is_by_time() {
            let message =
                "`sort` cannot be by `created_at` or `updated_at` together with `as_of` or `known_at`.";
            return Err(InvalidParameter::new(SORT.name, message));
        }
        Ok(Self {
            filter,
            moment,
            sort,
            page: Page::read(&parameters, Binding::new(reach.view(), &parameters))?,
            reach,
            has_stacks: parameters.optional(&STACK)?.is_some(),
            amounts: parameters.optional(&AMOUNTS)?.unwrap_or_default(),
        })
    }
}

/// Across all customers there is no order but the table's, and no moment but now.
fn refuse_across_customers(parameters: &Parameters) -> Result<(), InvalidParameter> {
    let of_customers = [STACK.name, SORT.name, OFFSET.name, AS_OF.name, KNOWN_AT.name];
    let Some((name, _)) = parameters.given().find(|(name, _)| of_customers.contains(name)) else {
        return Ok(());
    };
    let message = format!(
        "`{name}` needs `search.customer_id` or `search.customer_id.in`; across all customers use `cursor`."
    );
    Err(InvalidParameter::new(name, message))
}
