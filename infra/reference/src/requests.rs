//! Requests worth showing, to a local stack with its demo data.

use shared::http::ErrorCode;

/// A UUID that nothing has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const ALICE: &str = "0a11ce00-0000-4000-8000-000000000001";
const ALICE_AND_HOLDER: &str = "0a11ce00-0000-4000-8000-000000000001,0b0b0000-0000-4000-8000-000000000002";
const HOLDER: &str = "0b0b0000-0000-4000-8000-000000000002";
const ORGANIZATION: &str = "org_a0000000-0000-4000-8000-00000000000a";
const MERCHANT: &str = "mrc_a1000000-0000-4000-8000-0000000000a1";
const MERCHANT_ACCOUNT: &str = "acc_8e6fd4ee-6416-5589-91a7-00ec46ef68bc";
const CUSTODY: &str = "550e8400-e29b-41d4-a716-446655440000";
const DATE: &str = "2026-04-20T12:00:00Z";

/// The claims of whoever asks.
pub(crate) const CLAIMS: &str = r#"{"sub": "reference", "permissions": ["PermCustodySync", "PermReadBook"],
    "customer_ids": ["0a11ce00-0000-4000-8000-000000000001", "0b0b0000-0000-4000-8000-000000000002"],
    "organization_ids": ["org_a0000000-0000-4000-8000-00000000000a"]}"#;
const SEES_ALL: &str = r#"{"sub": "reference", "permissions": ["PermReadAll"]}"#;

/// One request to an operation.
#[derive(Debug)]
pub(crate) struct Request {
    /// The operation.
    pub(crate) operation: &'static str,
    /// The example's key in the document.
    pub(crate) name: &'static str,
    /// One line.
    pub(crate) about: &'static str,
    /// Parameters of the path and of the query.
    pub(crate) values: &'static [(&'static str, &'static str)],
}

const fn request(
    operation: &'static str,
    name: &'static str,
    about: &'static str,
    values: &'static [(&'static str, &'static str)],
) -> Request {
    Request { operation, name, about, values }
}

/// Requests that are answered with 200. The first of each operation fills in the page's form.
pub(crate) const REQUESTS: &[Request] = &[
    request(
        "getBalance",
        "byCurrency",
        "What is held, by currency",
        &[("customer_id", ALICE), ("currency", "EUR"), ("stack", "currency")],
    ),
    request(
        "getBalance",
        "withReceipt",
        "Every account in pounds, and the rate it was converted by",
        &[("customer_id", ALICE), ("currency", "EUR"), ("search.currency", "GBP"), ("details", "true")],
    ),
    request(
        "getBalance",
        "asOf",
        "As it stood then",
        &[("customer_id", ALICE), ("currency", "EUR"), ("as_of", DATE)],
    ),
    request(
        "getBalance",
        "partial",
        "Into a currency without a rate: what is left out is named",
        &[("customer_id", HOLDER), ("currency", "XAF"), ("partial", "true")],
    ),
    request(
        "getBalance",
        "byIssuer",
        "Two customers together, by the issuers of what they hold",
        &[
            ("search.customer_id.in", ALICE_AND_HOLDER),
            ("currency", "EUR"),
            ("search.is_crypto", "true"),
            ("stack", "issuer"),
        ],
    ),
    request(
        "getBalanceHistory",
        "byWeek",
        "Three weeks, at the end of each Sunday",
        &[
            ("customer_id", ALICE),
            ("currency", "EUR"),
            ("from", "2026-05-10T22:00:00Z"),
            ("to", "2026-05-31T21:59:59.999Z"),
            ("interval", "week"),
            ("timezone", "Europe/Berlin"),
        ],
    ),
    request(
        "listAccounts",
        "largestFirst",
        "The largest numbers first",
        &[("search.customer_id", ALICE), ("sort", "-balance,currency"), ("limit", "2")],
    ),
    request(
        "listAccounts",
        "byCurrency",
        "Grouped by currency",
        &[("search.customer_id", ALICE), ("stack", "currency"), ("search.is_crypto", "true"), ("limit", "1")],
    ),
    request(
        "getPosition",
        "byIssuer",
        "The whole book at the last day's end, by issuer",
        &[("currency", "EUR"), ("search.is_crypto", "true"), ("stack", "issuer")],
    ),
    request(
        "getPositionHistory",
        "byDay",
        "The closes of two days",
        &[("currency", "EUR"), ("from", "2026-05-29T23:59:59.999Z"), ("interval", "day")],
    ),
    request("getAssetIcon", "icon", "The icon of USD Coin", &[("code", "USDC")]),
    request(
        "listMerchantBalances",
        "atADate",
        "As they stood then",
        &[("organizationId", ORGANIZATION), ("merchantId", MERCHANT), ("date", DATE)],
    ),
    request(
        "getMerchantBalance",
        "atADate",
        "As it stood then",
        &[
            ("organizationId", ORGANIZATION),
            ("merchantId", MERCHANT),
            ("accountId", MERCHANT_ACCOUNT),
            ("date", DATE),
        ],
    ),
    request(
        "getOrganizationBalance",
        "atADate",
        "All merchants together, as they stood then",
        &[("organizationId", ORGANIZATION), ("currency", "EUR"), ("date", DATE)],
    ),
    request(
        "getCustodyBalances",
        "now",
        "What the provider says now",
        &[("accountId", CUSTODY), ("max_age", "0")],
    ),
    request("syncCustodyAccount", "synced", "The provider was asked", &[("accountId", CUSTODY)]),
];

/// A request that goes wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The code it is answered with.
    pub(crate) code: ErrorCode,
    /// The operation.
    pub(crate) operation: &'static str,
    /// Parameters of the path and of the query.
    pub(crate) values: &'static [(&'static str, &'static str)],
    /// The claims of whoever asks; `None` asks without a token.
    pub(crate) claims: Option<&'static str>,
}

const fn fault(
    code: ErrorCode,
    operation: &'static str,
    values: &'static [(&'static str, &'static str)],
) -> Fault {
    Fault { code, operation, values, claims: Some(CLAIMS) }
}

const fn invalid(operation: &'static str, values: &'static [(&'static str, &'static str)]) -> Fault {
    fault(ErrorCode::InvalidRequest, operation, values)
}

/// Errors that can be had without breaking the stack itself, in this order.
pub(crate) const FAULTS: &[Fault] = &[
    invalid("getBalance", &[("customer_id", ALICE), ("currency", "EUR"), ("search.balance.gt", "1e3")]),
    invalid(
        "getBalanceHistory",
        &[("customer_id", ALICE), ("currency", "EUR"), ("from", "2020-01-01T00:00:00Z"), ("interval", "day")],
    ),
    invalid("listAccounts", &[("limit", "1000")]),
    invalid("getPosition", &[("currency", "EUR"), ("search.provider", "copper")]),
    invalid(
        "getPositionHistory",
        &[("currency", "EUR"), ("from", "2026-05-29T23:59:59.999Z"), ("interval", "hour")],
    ),
    invalid("getAssetIcon", &[("code", "XYZ")]),
    invalid("listMerchantBalances", &[("organizationId", ORGANIZATION), ("merchantId", ALICE)]),
    invalid(
        "getMerchantBalance",
        &[
            ("organizationId", ORGANIZATION),
            ("merchantId", MERCHANT),
            ("accountId", MERCHANT_ACCOUNT),
            ("date", "yesterday"),
        ],
    ),
    invalid("getOrganizationBalance", &[("organizationId", ORGANIZATION), ("currency", "XYZ")]),
    invalid("getCustodyBalances", &[("accountId", CUSTODY), ("max_age", "-1")]),
    invalid("syncCustodyAccount", &[("accountId", "12")]),
    Fault { claims: None, ..fault(ErrorCode::AuthenticationFailed, "listAccounts", &[]) },
    fault(ErrorCode::InsufficientPermissions, "getBalance", &[("customer_id", NOBODY), ("currency", "EUR")]),
    Fault {
        claims: Some(SEES_ALL),
        ..fault(ErrorCode::AccountNotFound, "getCustodyBalances", &[("accountId", NOBODY)])
    },
    fault(
        ErrorCode::PositionNotFound,
        "getPosition",
        &[("currency", "EUR"), ("as_of", "2020-01-01T00:00:00Z")],
    ),
    fault(ErrorCode::NotFound, "getAssetIcon", &[("code", "EURØP")]),
    fault(ErrorCode::UnpricedAssets, "getBalance", &[("customer_id", ALICE), ("currency", "XAF")]),
    fault(
        ErrorCode::UnpricedAssets,
        "getBalanceHistory",
        &[
            ("customer_id", ALICE),
            ("currency", "XAF"),
            ("from", "2026-05-01T00:00:00Z"),
            ("interval", "month"),
        ],
    ),
    fault(
        ErrorCode::UnpricedAssets,
        "getOrganizationBalance",
        &[("organizationId", ORGANIZATION), ("currency", "XAF")],
    ),
    // The example of the sync came before it.
    fault(ErrorCode::RateLimitExceeded, "syncCustodyAccount", &[("accountId", CUSTODY)]),
    fault(ErrorCode::CustodyProviderError, "getCustodyBalances", &[("accountId", CUSTODY), ("max_age", "0")]),
];
