//! A line in the terminal: how a total developed.
//!
//! `ratatui` draws the line into a buffer. No terminal is opened, so that the chart can be piped; asking the
//! terminal for its width was rejected for the same reason.

use crate::table::grouped;
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::Rect;
use ratatui_core::symbols::Marker;
use ratatui_core::widgets::Widget;
use ratatui_widgets::chart::{Axis, Chart, Dataset, GraphType};
use rust_decimal::Decimal;
use shared::domain::Timestamp;

/// Columns and lines of a command's chart. The heading, the axis and the dates take three of the lines. An
/// even height leaves an odd number to the graph, and one of those is exactly its middle.
const WIDTH: u16 = 88;
const HEIGHT: u16 = 18;
/// Digits of `YYYY-MM-DD`.
const DATE: usize = 10;
/// `ratatui` gives labels at most this part of the width, and cuts longer ones off.
const LABEL_PART: usize = 3;

/// One point of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChartPoint {
    /// When.
    pub(crate) at: Timestamp,
    /// The exact total.
    pub(crate) total: String,
}

/// A table below the line of its points; the table alone where there is no point.
pub(crate) fn chart_above(table: &str, currency: &str, points: &[ChartPoint]) -> String {
    let chart = chart(currency, points, WIDTH, HEIGHT);
    if chart.is_empty() { table.to_owned() } else { format!("{chart}\n\n{table}") }
}

/// The line through the points, which ascend, on so many columns and lines. Without a point there is no text.
pub(crate) fn chart(currency: &str, points: &[ChartPoint], width: u16, height: u16) -> String {
    let places: Vec<Place> = points.iter().filter_map(Place::of).collect();
    let by_total = |one: &&Place, other: &&Place| one.y.total_cmp(&other.y);
    let (Some(lowest), Some(highest)) = (places.iter().min_by(by_total), places.iter().max_by(by_total))
    else {
        return String::new();
    };
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return String::new() };
    let amounts = amount_labels(lowest.point, highest.point);
    let label_width = amounts.iter().map(String::len).max().unwrap_or_default();
    let fits = label_width <= usize::from(width) / LABEL_PART;
    let heading = if fits {
        currency.to_owned()
    } else {
        // A cut label would be another amount.
        let [lowest, highest] = [lowest, highest].map(|place| grouped(&place.point.total));
        format!("{currency} {lowest} (lowest) to {highest} (highest)")
    };
    let amounts = if fits { amounts } else { Vec::new() };
    let label_width = if fits { label_width.max(DATE) } else { DATE };
    let dates = date_labels(first.point, last.point, usize::from(width).saturating_sub(label_width));
    let dots: Vec<(f64, f64)> = places.iter().map(|place| (place.x, place.y)).collect();
    let dataset = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).data(&dots);
    let chart = Chart::new(vec![dataset])
        .x_axis(Axis::default().bounds(bounds(first.x, last.x)).labels(dates))
        .y_axis(Axis::default().bounds(bounds(lowest.y, highest.y)).labels(amounts));
    let area = Rect::new(0, 0, width, height.saturating_sub(1));
    let mut buffer = Buffer::empty(area);
    chart.render(area, &mut buffer);
    let lines = (0..area.height).map(|row| {
        let cells = (0..width).filter_map(|column| buffer.cell((column, row)));
        cells.map(Cell::symbol).collect::<String>().trim_end().to_owned()
    });
    std::iter::once(heading).chain(lines).collect::<Vec<_>>().join("\n")
}

/// Where a point is drawn.
struct Place<'a> {
    point: &'a ChartPoint,
    x: f64,
    y: f64,
}

impl<'a> Place<'a> {
    /// The floats place dots. No printed figure is made of a float: labels are texts of the points, and the
    /// middle between two of them as a decimal.
    fn of(point: &'a ChartPoint) -> Option<Self> {
        let x = point.at.unix_seconds().to_string().parse().ok()?;
        Some(Self { point, x, y: point.total.parse().ok()? })
    }
}

/// Bounds that are apart: equal values are drawn in the middle.
fn bounds(least: f64, greatest: f64) -> [f64; 2] {
    if least.total_cmp(&greatest).is_lt() {
        return [least, greatest];
    }
    let margin = least.abs().max(1.0);
    [margin.mul_add(-1.0, least), margin.mul_add(1.0, least)]
}

/// The least, the middle and the greatest total, from the foot up.
fn amount_labels(lowest: &ChartPoint, highest: &ChartPoint) -> Vec<String> {
    let [least, greatest] = [lowest, highest].map(|point| grouped(&point.total));
    if least == greatest {
        return vec![String::new(), least, String::new()];
    }
    let middle = middle(&lowest.total, &highest.total).map(|middle| grouped(&middle));
    vec![least, middle.unwrap_or_default(), greatest]
}

/// The exact middle of two decimals; `None` if a decimal of 28 digits cannot hold it.
fn middle(least: &str, greatest: &str) -> Option<String> {
    let [least, greatest] = [least, greatest].map(|text| Decimal::from_str_exact(text).ok());
    let (least, greatest) = (least?, greatest?);
    let sum = least.checked_add(greatest)?;
    let middle = sum.checked_div(Decimal::TWO)?;
    // Where a sum or a half has too many digits, `rust_decimal` rounds it.
    let is_exact = sum.checked_sub(least)? == greatest && middle.checked_add(middle)? == sum;
    is_exact.then(|| middle.normalize().to_string())
}

/// The first, the middle and the last date; no middle one where `ratatui` would cut it off or where the
/// dates are the same.
fn date_labels(first: &ChartPoint, last: &ChartPoint, width: usize) -> Vec<String> {
    let [begin, end] = [date(first.at), date(last.at)];
    if first.at == last.at {
        return vec![String::new(), begin, String::new()];
    }
    let half = last.at.unix_milliseconds().checked_sub(first.at.unix_milliseconds()).map(|range| range / 2);
    let middle = half.and_then(|half| first.at.unix_milliseconds().checked_add(half));
    let middle = middle.and_then(Timestamp::from_unix_milliseconds).map(date);
    let has_room = width / 3 > DATE + 1;
    match middle.filter(|middle| has_room && *middle != begin && *middle != end) {
        Some(middle) => vec![begin, middle, end],
        None => vec![begin, end],
    }
}

fn date(at: Timestamp) -> String {
    at.to_millis_text().get(..DATE).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

    fn points(totals: &[&str]) -> Vec<ChartPoint> {
        let mut at = Timestamp::parse("2026-06-01T23:59:59.999Z").unwrap();
        let point = |total: &&str| {
            let point = ChartPoint { at, total: (*total).to_owned() };
            at = at.plus(DAY);
            point
        };
        totals.iter().map(point).collect()
    }

    /// The columns that have a dot of the line.
    fn dots(line: &str) -> Vec<usize> {
        let is_dot = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
        line.chars().enumerate().filter(|(_, c)| is_dot(*c)).map(|(column, _)| column).collect()
    }

    #[test]
    fn a_rising_line_is_higher_at_its_right_and_has_its_labels() {
        let drawn = chart("EUR", &points(&["1000.5", "2000", "1234567.25"]), WIDTH, HEIGHT);
        let first_dots: Vec<usize> = drawn.lines().filter_map(|line| dots(line).first().copied()).collect();
        assert!(first_dots.first() > first_dots.last(), "{drawn}");
        assert_eq!(drawn.lines().next(), Some("EUR"));
        let labels = ["1,000.5", "617,783.875", "1,234,567.25", "2026-06-01", "2026-06-02", "2026-06-03"];
        for label in labels {
            assert!(drawn.contains(label), "{label}\n{drawn}");
        }
    }

    #[test]
    fn every_series_is_drawn_within_its_width() {
        struct Row {
            totals: Vec<String>,
            width: u16,
            labels: &'static [&'static str],
        }
        let texts = |totals: &[&str]| totals.iter().map(|total| (*total).to_owned()).collect();
        let many = (0..400).map(|day| format!("{}.5", day * 7 % 1000 - 500)).collect();
        let rows = [
            Row { totals: texts(&["5"]), width: 88, labels: &["5", "2026-06-01"] },
            Row { totals: texts(&["0", "0"]), width: 88, labels: &["0", "2026-06-02"] },
            Row { totals: texts(&["-5", "-5"]), width: 40, labels: &["-5"] },
            Row { totals: texts(&["-5", "-7"]), width: 40, labels: &["-7", "-6", "-5", "2026-06-02"] },
            Row { totals: many, width: 88, labels: &["-500.5", "-2.5", "495.5", "2026-06-01", "2027-07-05"] },
            Row {
                totals: texts(&["1", "123456789012345678901234567890.123456789"]),
                width: 40,
                labels: &["EUR 1 (lowest) to 123,456,789,012,345,678,901,234,567,890.123456789 (highest)"],
            },
        ];
        for Row { totals, width, labels } in rows {
            let totals: Vec<&str> = totals.iter().map(String::as_str).collect();
            let drawn = chart("EUR", &points(&totals), width, HEIGHT);
            assert_eq!(drawn.lines().count(), usize::from(HEIGHT), "{drawn}");
            assert!(drawn.lines().any(|line| !dots(line).is_empty()), "{totals:?}\n{drawn}");
            for line in drawn.lines().skip(1) {
                assert!(line.chars().count() <= usize::from(width) && line.trim_end() == line, "{drawn}");
            }
            for label in labels {
                assert!(drawn.contains(label), "{label}\n{drawn}");
            }
        }
    }

    #[test]
    fn equal_totals_lie_at_the_height_of_their_only_label() {
        let drawn = chart("EUR", &points(&["1000", "1000"]), WIDTH, HEIGHT);
        let lines: Vec<&str> = drawn.lines().filter(|line| !dots(line).is_empty()).collect();
        assert!(lines.len() == 1 && lines[0].contains("1,000"), "{drawn}");
        assert_eq!(drawn.matches("1,000").count(), 1, "{drawn}");
    }

    #[test]
    fn a_middle_is_exact_or_there_is_none() {
        let rows = [
            ("1", "2", Some("1.5")),
            ("-5", "-7", Some("-6")),
            ("0.1", "0.25", Some("0.175")),
            ("0", "79228162514264337593543950335", None),
            ("0.0000000000000000000000000001", "0.0000000000000000000000000002", None),
            ("1", "a", None),
        ];
        for (least, greatest, expected) in rows {
            assert_eq!(middle(least, greatest).as_deref(), expected, "{least} {greatest}");
        }
    }

    #[test]
    fn without_a_point_the_table_stands_alone() {
        assert_eq!(chart_above("table", "EUR", &[]), "table");
        assert!(chart_above("table", "EUR", &points(&["5"])).ends_with("\n\ntable"));
    }
}
