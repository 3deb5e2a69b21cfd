//! Tables of typed cells, for people and as CSV.
//!
//! A cell knows what its text is. For people, numbers stand with their points below each other and their
//! digits in groups, rates have six significant digits, and instants that say how fresh something is are
//! ages. The CSV has every value as it is.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, Table as Drawn};
use rust_decimal::Decimal;
use shared::domain::Timestamp;

/// Significant digits of a rate, for people.
const RATE_DIGITS: u32 = 6;

/// One value of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Words, or an id.
    Text(String),
    /// A decimal, or a count.
    Number(String),
    /// A price.
    Rate(String),
    /// An instant that says how fresh something is.
    Age(Timestamp),
    /// Words for people in the place of a value that the CSV has in another form.
    Words {
        /// For people.
        shown: String,
        /// For the CSV; empty where there is no value, so that a column of numbers or instants stays one.
        exact: String,
    },
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl Cell {
    /// A decimal or a count; nothing if there is none.
    pub(crate) fn number(number: &(impl ToString + ?Sized)) -> Self {
        Self::Number(number.to_string())
    }

    /// An age; words for people where there is no instant.
    pub(crate) fn age_or(at: Option<Timestamp>, words: &str) -> Self {
        at.map_or_else(|| Self::absent(words), Self::Age)
    }

    /// No value: words for people, and an empty field of the CSV.
    pub(crate) fn absent(words: &str) -> Self {
        Self::Words { shown: words.to_owned(), exact: String::new() }
    }

    fn shown(&self, now: Timestamp) -> String {
        match self {
            Self::Text(text) | Self::Words { shown: text, exact: _ } => printable(text),
            Self::Number(number) => grouped(number),
            Self::Rate(rate) => grouped(&rounded(rate)),
            Self::Age(at) => age(*at, now),
        }
    }

    fn exact(&self) -> String {
        match self {
            Self::Text(text)
            | Self::Number(text)
            | Self::Rate(text)
            | Self::Words { shown: _, exact: text } => text.clone(),
            Self::Age(at) => at.to_millis_text(),
        }
    }

    const fn is_numeric(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Rate(_))
    }
}

/// Rows under a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [Cell; N]>) -> Self {
        Self { header: header.map(str::to_owned).into(), rows: rows.into_iter().map(Into::into).collect() }
    }

    /// The table for people, who look at it at `now`.
    pub(crate) fn shown(&self, now: Timestamp) -> String {
        let mut drawn = Drawn::new();
        drawn.load_style(NOTHING).set_header(self.header.iter());
        let widths: Vec<usize> =
            (0..self.header.len()).map(|column| self.fraction_width(column, now)).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| {
                let text = cell.shown(now);
                if cell.is_numeric() { padded(&text, *width) } else { text }
            });
            drawn.add_row(cells);
        }
        for (index, column) in drawn.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            column.set_constraint(ColumnConstraint::ContentWidth);
            if self.is_numeric(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines: Vec<String> = drawn.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    }

    /// The table as RFC 4180 has it, with exact values.
    pub(crate) fn csv(&self) -> String {
        let line =
            |fields: Vec<String>| fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",");
        let rows = self.rows.iter().map(|row| line(row.iter().map(Cell::exact).collect()));
        std::iter::once(line(self.header.clone())).chain(rows).collect::<Vec<_>>().join("\n")
    }

    fn is_numeric(&self, column: usize) -> bool {
        self.rows.iter().filter_map(|row| row.get(column)).any(Cell::is_numeric)
    }

    /// The longest fraction of a column, its point included.
    fn fraction_width(&self, column: usize, now: Timestamp) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| cell.is_numeric());
        cells.map(|cell| fraction(&cell.shown(now))).max().unwrap_or_default()
    }
}

/// Digits after the point, and the point.
fn fraction(number: &str) -> usize {
    number.find('.').map_or(0, |point| number.len() - point)
}

fn padded(number: &str, fraction_width: usize) -> String {
    let missing = fraction_width.saturating_sub(fraction(number));
    format!("{number}{}", " ".repeat(missing))
}

/// The digits before the point in groups of three.
pub(crate) fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut groups: Vec<&str> = Vec::new();
    let mut rest = digits;
    while let Some((before, group)) = rest.len().checked_sub(3).and_then(|at| rest.split_at_checked(at)) {
        groups.push(group);
        rest = before;
    }
    if !rest.is_empty() {
        groups.push(rest);
    }
    groups.reverse();
    format!("{sign}{}{fraction}", groups.join(","))
}

/// A rate to six significant digits; as it is if it is no decimal.
fn rounded(rate: &str) -> String {
    let decimal = Decimal::from_str_exact(rate).ok().and_then(|rate| rate.round_sf(RATE_DIGITS));
    decimal.map_or_else(|| rate.to_owned(), |rate| rate.normalize().to_string())
}

/// How long ago an instant was, in its largest unit.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.age_at(now).as_secs();
    let (number, unit) = match seconds.unsigned_abs() {
        seconds @ 0..60 => (seconds, "s"),
        seconds @ 60..3_600 => (seconds / 60, "min"),
        seconds @ 3_600..172_800 => (seconds / 3_600, "h"),
        seconds => (seconds / 86_400, "days"),
    };
    if seconds < 0 { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A stored text as a terminal may show it: without characters that command it.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn numbers_stand_with_their_points_below_each_other() {
        let rows = [
            ("EUR", "1234567.5", "1.1353"),
            ("BTC", "-0.12345678", "118456.320000064240094282"),
            ("JPY", "1000", "0.000688900000000991"),
        ];
        let rows = rows.map(|(code, amount, rate)| {
            [
                code.into(),
                Cell::number(amount),
                Cell::Rate(rate.to_owned()),
                Cell::Age(at("2026-06-01T00:00:00Z")),
            ]
        });
        let table = Table::new(["currency", "balance", "usd", "as of"], rows);
        let shown = table.shown(at("2026-06-01T00:05:00Z"));
        let expected = [
            "currency             balance           usd  as of",
            "EUR        1,234,567.5              1.1353  5 min ago",
            "BTC               -0.12345678  118,456      5 min ago",
            "JPY            1,000                0.0006889  5 min ago",
        ];
        let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(shown.lines().map(columns).collect::<Vec<_>>(), expected.map(columns));
        // Without a point, a number ends where the others have theirs.
        let points: Vec<usize> = shown
            .lines()
            .skip(1)
            .map(|line| {
                let from = 3;
                line[from..]
                    .find('.')
                    .filter(|_| !line.contains("1,000"))
                    .unwrap_or_else(|| line.find("1,000").unwrap() + 5 - from)
            })
            .collect();
        assert!(points.iter().all(|point| *point == points[0]), "{shown}");
        assert_eq!(
            table.csv().lines().nth(2),
            Some("BTC,-0.12345678,118456.320000064240094282,2026-06-01T00:00:00.000Z")
        );
    }

    #[test]
    fn words_for_people_leave_a_column_of_the_csv_to_its_values() {
        let sees = Cell::Words { shown: "2 customers".to_owned(), exact: "a b".to_owned() };
        let rows = [
            [Cell::number("1000.5"), Cell::age_or(Some(at("2026-06-01T00:00:00Z")), "never"), sees],
            [Cell::absent("no usable rate"), Cell::age_or(None, "never"), "c".into()],
        ];
        let table = Table::new(["in EUR", "synced", "sees"], rows);
        assert_eq!(table.csv(), "in EUR,synced,sees\n1000.5,2026-06-01T00:00:00.000Z,a b\n,,c");
        let shown = table.shown(at("2026-06-01T03:00:00Z"));
        for words in ["no usable rate", "never", "2 customers", "3 h ago"] {
            assert!(shown.contains(words), "{words}\n{shown}");
        }
    }

    #[test]
    fn digits_are_grouped_and_ages_are_in_their_largest_unit() {
        for (number, expected) in [
            ("0", "0"),
            ("-999.5", "-999.5"),
            ("1000", "1,000"),
            ("-1234567.10", "-1,234,567.10"),
            ("123456789012345678901", "123,456,789,012,345,678,901"),
        ] {
            assert_eq!(grouped(number), expected);
        }
        let now = at("2026-06-10T00:00:00Z");
        for (then, expected) in [
            ("2026-06-10T00:00:00Z", "0 s ago"),
            ("2026-06-09T23:58:01Z", "1 min ago"),
            ("2026-06-08T00:00:01Z", "47 h ago"),
            ("2026-06-08T00:00:00Z", "2 days ago"),
            ("2026-06-10T00:04:00Z", "in 4 min"),
        ] {
            assert_eq!(age(at(then), now), expected, "{then}");
        }
    }

    #[test]
    fn a_csv_quotes_what_has_to_be_quoted() {
        let table = Table::new(["a", "b,c"], [["x\"y".into(), "two\nlines".into()]]);
        assert_eq!(table.csv(), "a,\"b,c\"\n\"x\"\"y\",\"two\nlines\"");
        assert_eq!(table.shown(Timestamp::default()).lines().count(), 2);
    }
}
