//! A request as API Gateway hands it to a function (HTTP API, payload format 2.0).

use serde_json::json;

/// `GET path?query` with one header more than every client sends.
pub(crate) fn get(path: &str, query: &str, (name, value): (&str, String)) -> String {
    let host = "abc.execute-api.eu-central-1.amazonaws.com";
    json!({
        "version": "2.0", "routeKey": format!("ANY {path}"), "rawPath": path, "rawQueryString": query,
        "headers": {name: value, "host": host, "accept-encoding": "identity"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc", "domainName": host,
            "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "bench"},
            "requestId": "id", "stage": "$default", "time": "16/Apr/2025:15:30:25 +0000", "timeEpoch": 1_744_817_425_000_i64,
        },
        "isBase64Encoded": false,
    })
    .to_string()
}
