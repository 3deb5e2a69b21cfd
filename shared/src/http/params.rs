//! The query string, split and percent-decoded exactly once.
//!
//! No form deserialiser is strict enough: they pass over empty pairs and let broken escapes through as text.

use crate::domain::Catalogue;
use crate::query::{InvalidParameter, Parameters};
use percent_encoding::percent_decode_str;

/// Longest query that is read; the longest useful one, a comma list of ids, is far below.
pub(super) const MAX_QUERY_BYTES: usize = 8_192;

/// The decoded name–value pairs of a raw query, in their order. `+` is a space, as forms write it.
pub fn pairs(raw: Option<String>) -> Result<Vec<(String, String)>, InvalidParameter> {
    let raw = raw.filter(|raw| !raw.is_empty()).unwrap_or_default();
    if raw.len() > MAX_QUERY_BYTES {
        return Err(InvalidParameter::new(
            "query",
            format!("The query is longer than {MAX_QUERY_BYTES} bytes."),
        ));
    }
    if raw.is_empty() {
        return Ok(Vec::new());
    }
    raw.split('&').map(pair).collect()
}

/// Refuses a query of a route that has no parameters.
pub fn no_parameters(raw: Option<String>) -> Result<(), InvalidParameter> {
    Parameters::read(pairs(raw)?, &[], &Catalogue::default()).map(drop)
}

fn pair(raw: &str) -> Result<(String, String), InvalidParameter> {
    let (raw_name, raw_value) = raw.split_once('=').unwrap_or((raw, ""));
    if raw_name.is_empty() {
        return Err(InvalidParameter::new("query", "The query has a part without a name."));
    }
    let name = decode(raw_name)
        .ok_or_else(|| InvalidParameter::new(raw_name, "The name is not valid percent-encoded UTF-8."))?;
    let value = decode(raw_value).ok_or_else(|| {
        InvalidParameter::new(name.as_str(), format!("`{name}` is not valid percent-encoded UTF-8."))
    })?;
    Ok((name, value))
}

/// `None` for an escape that is not two hex digits, or bytes that are not UTF-8.
fn decode(raw: &str) -> Option<String> {
    let is_escape = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !raw.split('%').skip(1).all(is_escape) {
        return None;
    }
    let spaced = raw.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    fn read(raw: &str) -> Result<Vec<(String, String)>, String> {
        pairs(Some(raw.to_owned())).map_err(|error| error.parameter)
    }

    #[test]
    fn a_query_is_decoded_once_or_refused_by_name() {
        let ok = |rows: &[(&str, &str)]| {
            Ok(rows.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        let rows = [
            ("", ok(&[])),
            ("a=1&b=2", ok(&[("a", "1"), ("b", "2")])),
            ("a", ok(&[("a", "")])),
            ("a=b=c", ok(&[("a", "b=c")])),
            ("currency=EUR%C3%98P", ok(&[("currency", "EURØP")])),
            ("a=x+y%2Bz", ok(&[("a", "x y+z")])),
            ("a=%2541", ok(&[("a", "%41")])),
            ("a%2Eb=1", ok(&[("a.b", "1")])),
            ("&a=1", Err("query".to_owned())),
            ("a=1&", Err("query".to_owned())),
            ("=1", Err("query".to_owned())),
            ("a=%", Err("a".to_owned())),
            ("a=%4", Err("a".to_owned())),
            ("a=%zz", Err("a".to_owned())),
            ("a=%+1", Err("a".to_owned())),
            ("a=%C3", Err("a".to_owned())),
            ("a%ff=1", Err("a%ff".to_owned())),
        ];
        for (raw, expected) in rows {
            assert_eq!(read(raw), expected, "{raw}");
        }
        assert_eq!(read(&"a".repeat(MAX_QUERY_BYTES + 1)), Err("query".to_owned()));
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_comes_back(name in "\\PC{1,12}", value in "\\PC{0,12}") {
            let raw = format!("{}={}", utf8_percent_encode(&name, NON_ALPHANUMERIC), utf8_percent_encode(&value, NON_ALPHANUMERIC));
            prop_assert_eq!(read(&raw), Ok(vec![(name, value)]));
        }

        #[test]
        fn nothing_panics(raw in "\\PC{0,40}") {
            let _ = read(&raw);
        }
    }
}
