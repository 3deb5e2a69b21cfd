//! One page of a list: how long it is, where it starts, and the cursor that leads to the next.
//!
//! A cursor is the place of the last item, so that pages neither repeat nor skip what keeps its place,
//! whatever is written meanwhile. It is readable and not signed: it carries no right, and a forged one only
//! names another place.

use super::expected::Expected;
use super::parameter::{InvalidParameter, Parameter, Parameters, parse_whole_number};
use super::sort::{Place, Sort};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Most items of a page.
pub const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 50;
/// No list that is read whole is as long.
const MAX_OFFSET: usize = 1_000_000;
/// A cursor is at most this long; the longest place, of every sort field, makes about 230.
const MAX_CURSOR_BYTES: usize = 512;
const CURSOR_VERSION: &str = "1";
/// Bytes of the query's SHA-256 that bind a cursor to it.
const BINDING_BYTES: usize = 12;

/// How many items a page has.
pub static LIMIT: Parameter<usize> = Parameter::new(
    "limit",
    "items of a page, 50 unless given",
    Expected::Whole { min: 1, max: MAX_LIMIT },
    |text, _| parse_whole_number(text).filter(|limit| (1..=MAX_LIMIT).contains(limit)),
);
/// How many items are passed over.
pub static OFFSET: Parameter<usize> = Parameter::new(
    "offset",
    "items to pass over, 0 unless given",
    Expected::Whole { min: 0, max: MAX_OFFSET },
    |text, _| parse_whole_number(text).filter(|offset| *offset <= MAX_OFFSET),
);
/// Where the page before ended.
pub static CURSOR: Parameter<Cursor> = Parameter::new(
    "cursor",
    "`next_cursor` of the page before, with the same other parameters",
    Expected::Cursor { max_bytes: MAX_CURSOR_BYTES },
    |text, _| Cursor::parse(text),
);

/// A place in the list of one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    binding: Binding,
    place: Vec<String>,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let bytes =
            if text.len() <= MAX_CURSOR_BYTES { URL_SAFE_NO_PAD.decode(text).ok()? } else { return None };
        let mut lines = std::str::from_utf8(&bytes).ok()?.split('\n').map(str::to_owned);
        let is_known = lines.next()? == CURSOR_VERSION;
        let binding = Binding(lines.next()?);
        is_known.then(|| Self { binding, place: lines.collect() })
    }
}

/// Says which query a cursor belongs to: all of its parameters but those that move through the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding(String);

impl Binding {
    /// Of a request to a list; `view` tells lists apart that the same parameters can ask for.
    #[must_use]
    pub fn new(view: &str, parameters: &Parameters) -> Self {
        let moving = [LIMIT.name, OFFSET.name, CURSOR.name];
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(view.as_bytes());
        for (name, value) in parameters.given().filter(|(name, _)| !moving.contains(name)) {
            // Decoded values can hold any character; their lengths keep them apart.
            context.update(format!("\n{name}={}:{value}", value.len()).as_bytes());
        }
        let hash = context.finish();
        Self(URL_SAFE_NO_PAD.encode(hash.as_ref().get(..BINDING_BYTES).unwrap_or_default()))
    }
}

/// The page that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many items at most.
    pub limit: usize,
    /// How many to pass over; 0 with a cursor.
    pub offset: usize,
    /// The place it starts after, as the items' order prints it.
    pub after: Option<Vec<String>>,
    binding: Binding,
}

impl Page {
    /// The page among a request's parameters.
    pub fn read(parameters: &Parameters, binding: Binding) -> Result<Self, InvalidParameter> {
        let (offset, cursor) = (parameters.optional(&OFFSET)?, parameters.optional(&CURSOR)?);
        if offset.is_some() && cursor.is_some() {
            return Err(InvalidParameter::new(
                OFFSET.name,
                "`offset` cannot be given together with `cursor`.",
            ));
        }
        if cursor.as_ref().is_some_and(|cursor| cursor.binding != binding) {
            return Err(InvalidParameter::new(
                CURSOR.name,
                "This `cursor` belongs to another query; start again without it.",
            ));
        }
        Ok(Self {
            limit: parameters.optional(&LIMIT)?.unwrap_or(DEFAULT_LIMIT),
            offset: offset.unwrap_or_default(),
            after: cursor.map(|cursor| cursor.place),
            binding,
        })
    }

    /// This page of items that are all at hand, in the order of their places, as `sort` orders them.
    pub fn of<T>(
        &self,
        items: Vec<T>,
        sort: &Sort,
        place: impl Fn(&T) -> Place,
    ) -> Result<Turned<T>, InvalidParameter> {
        let after = self
            .after
            .as_ref()
            .map(|texts| sort.parse_place(texts).ok_or_else(Self::misplaced))
            .transpose()?;
        let mut placed: Vec<_> = items.into_iter().map(|item| (place(&item), item)).collect();
        placed.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        let total = placed.len();
        let start = after.map_or(self.offset, |after| placed.partition_point(|(place, _)| *place <= after));
        let turned: Vec<_> = placed.into_iter().skip(start).take(self.limit).collect();
        let last = turned.last().filter(|_| start + turned.len() < total);
        let next_cursor = last.map(|(place, _)| self.cursor(place.iter().map(ToString::to_string)));
        Ok(Turned {
            items: turned.into_iter().map(|(_, item)| item).collect(),
            total: Some(total),
            next_cursor,
        })
    }

    /// The cursor of what comes after a place.
    #[must_use]
    pub fn cursor(&self, place: impl IntoIterator<Item = String>) -> String {
        let lines = [CURSOR_VERSION.to_owned(), self.binding.0.clone()].into_iter().chain(place);
        URL_SAFE_NO_PAD.encode(lines.collect::<Vec<_>>().join("\n"))
    }

    /// A refusal of a cursor whose place is none of this list's.
    #[must_use]
    pub fn misplaced() -> InvalidParameter {
        CURSOR.malformed()
    }
}

/// One page, turned up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned<T> {
    /// Its items.
    pub items: Vec<T>,
    /// How many there are on all pages, where that is known.
    pub total: Option<usize>,
    /// Where the next one starts, unless this is the last.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::Declared;
    use super::*;
    use crate::domain::Catalogue;

    static COLOUR: Parameter<String> =
        Parameter::new("colour", "", Expected::Text, |text, _| Some(text.to_owned()));

    fn read(view: &str, given: &[(&str, &str)]) -> Result<Page, String> {
        let declared: [&dyn Declared; 4] = [&COLOUR, &LIMIT, &OFFSET, &CURSOR];
        let pairs = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let parameters =
            Parameters::read(pairs, &declared, &Catalogue::default()).map_err(|error| error.parameter)?;
        Page::read(&parameters, Binding::new(view, &parameters)).map_err(|error| error.parameter)
    }

    #[test]
    fn a_cursor_leads_on_in_its_own_query_only() {
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let first = read("list", &[("colour", "red"), ("offset", "3")]).unwrap();
        let cursor = first.cursor(["a".to_owned(), "b".to_owned()]);
        let next = read("list", &[("colour", "red"), ("cursor", &cursor), ("limit", "7")]).unwrap();
        assert_eq!((next.after, next.limit, next.offset), (Some(vec!["a".to_owned(), "b".to_owned()]), 7, 0));
        let refused: [Row<'_>; 5] = [
            ("list", &[("colour", "blue"), ("cursor", &cursor)], "cursor"),
            ("list", &[("cursor", &cursor)], "cursor"),
            ("other", &[("colour", "red"), ("cursor", &cursor)], "cursor"),
            ("list", &[("colour", "red"), ("cursor", "MQ")], "cursor"),
            ("list", &[("colour", "red"), ("cursor", &cursor), ("offset", "0")], "offset"),
        ];
        for (view, given, parameter) in refused {
            assert_eq!(read(view, given), Err(parameter.to_owned()), "{given:?}");
        }
    }

    #[test]
    fn numbers_are_whole_and_within_their_limits() {
        for (name, good, bad) in
            [("limit", ["1", "200"], ["0", "201"]), ("offset", ["0", "1000000"], ["-0", "1000001"])]
        {
            assert!(good.iter().all(|text| read("", &[(name, text)]).is_ok()), "{name}");
            for text in bad.into_iter().chain(["", "+1", "-1", "1.0", "1e2", "x", "99999999999999999999999"])
            {
                assert_eq!(read("", &[(name, text)]), Err(name.to_owned()), "{text}");
            }
        }
    }

    #[test]
    fn the_default_is_what_it_is_said_to_be() {
        assert!(LIMIT.about.contains(&DEFAULT_LIMIT.to_string()));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let long = URL_SAFE_NO_PAD.encode("1\n".to_owned() + &"x".repeat(600));
        let later = URL_SAFE_NO_PAD.encode("2\nbinding\nplace");
        for text in ["x", "!", "MQ==", &long, &later, &URL_SAFE_NO_PAD.encode([0xff, 0xfe])] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
