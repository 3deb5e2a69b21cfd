//! The lines that a person reads once the stack is up: where it is, a key, and three commands to begin with.

/// What the lines are made of.
#[derive(Debug)]
pub struct Greeting<'a> {
    /// The API's base URL.
    pub api: &'a str,
    /// The embedded DynamoDB's URL.
    pub dynamodb: &'a str,
    /// An API key of the dataset, if it has one.
    pub key: Option<&'a str>,
    /// The path and query of a request that the dataset answers, if there is one.
    pub path: Option<&'a str>,
}

impl Greeting<'_> {
    /// Eight lines. The last two are for programs too.
    #[must_use]
    pub fn lines(&self) -> [String; 8] {
        let Self { api, dynamodb, key, path } = self;
        let path = path.unwrap_or("/_local/health");
        let (shown, header) = match key {
            Some(key) => ((*key).to_owned(), format!(" --header 'X-Api-Key: {key}'")),
            None => (
                format!("none in this dataset; curl --data '{{\"sub\": \"me\"}}' {api}/_local/tokens"),
                String::new(),
            ),
        };
        [
            format!("api       {api}"),
            format!("page      {api}/docs"),
            format!("key       {shown}"),
            format!("try       curl '{api}{path}'{header}"),
            format!("          cargo ballast --endpoint-url {dynamodb} rates show"),
            "          cargo local --examples     a curl for every view; Ctrl-C ends the stack".to_owned(),
            format!("dynamodb {dynamodb}"),
            format!("ready {api}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_has_the_lines_that_programs_wait_for() {
        let greeting = Greeting {
            api: "http://127.0.0.1:9000",
            dynamodb: "http://127.0.0.1:8000",
            key: Some("bk_key"),
            path: Some("/v2/accounts/balance?customer_id=x&currency=EUR"),
        };
        let lines = greeting.lines();
        assert_eq!(lines[6..], ["dynamodb http://127.0.0.1:8000", "ready http://127.0.0.1:9000"]);
        assert_eq!(
            lines[3],
            "try       curl 'http://127.0.0.1:9000/v2/accounts/balance?customer_id=x&currency=EUR' --header 'X-Api-Key: bk_key'"
        );
        let without = Greeting { key: None, path: None, ..greeting };
        assert!(without.lines()[2].contains("/_local/tokens"));
    }
}
