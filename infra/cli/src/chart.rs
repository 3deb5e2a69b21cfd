//! A line in the terminal: how a total developed.
//!
//! `ratatui` draws it into a buffer; no terminal is opened, so that the chart can be piped.

use crate::table::grouped;
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::Rect;
use ratatui_core::symbols::Marker;
use ratatui_core::widgets::Widget;
use ratatui_widgets::chart::{Axis, Chart, Dataset, GraphType};
use shared::domain::Timestamp;

/// Columns and lines that a chart takes.
const WIDTH: u16 = 88;
const HEIGHT: u16 = 16;
/// Digits of `YYYY-MM-DD`.
const DATE: usize = 10;

/// One point of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChartPoint {
    /// When.
    pub(crate) at: Timestamp,
    /// The exact total.
    pub(crate) total: String,
}

/// The line through the points, which ascend; nothing for fewer than two.
pub(crate) fn chart(currency: &str, points: &[ChartPoint]) -> String {
    let places: Vec<(f64, f64)> = points.iter().filter_map(place).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let lowest = places.iter().map(|(_, total)| *total).fold(f64::INFINITY, f64::min);
    let highest = places.iter().map(|(_, total)| *total).fold(f64::NEG_INFINITY, f64::max);
    let of = |total: f64| points.iter().zip(&places).find(|(_, (_, own))| own.total_cmp(&total).is_eq());
    let label = |total| of(total).map(|(point, _)| grouped(&point.total)).unwrap_or_default();
    let (Some(begin), Some(end)) = (places.first(), places.last()) else { return String::new() };
    if begin.0.total_cmp(&end.0).is_ge() {
        return String::new();
    }
    let dataset = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).data(&places);
    let (low, high) = widened(lowest, highest);
    let chart = Chart::new(vec![dataset])
        .x_axis(Axis::default().bounds([begin.0, end.0]).labels([date(first), date(last)]))
        .y_axis(
            Axis::default()
                .title(currency.to_owned())
                .bounds([low, high])
                .labels([label(lowest), label(highest)]),
        );
    let area = Rect::new(0, 0, WIDTH, HEIGHT);
    let mut buffer = Buffer::empty(area);
    chart.render(area, &mut buffer);
    let lines = (0..HEIGHT).map(|row| {
        let cells = (0..WIDTH).filter_map(|column| buffer.cell((column, row)));
        cells.map(Cell::symbol).collect::<String>().trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where a point is drawn. These floats place dots, and no figure that is printed is made of them.
fn place(point: &ChartPoint) -> Option<(f64, f64)> {
    let at: f64 = point.at.unix_seconds().to_string().parse().ok()?;
    Some((at, point.total.parse().ok()?))
}

/// Bounds that have a height: a line of equal totals is drawn at its foot.
fn widened(lowest: f64, highest: f64) -> (f64, f64) {
    if lowest.total_cmp(&highest).is_lt() {
        (lowest, highest)
    } else {
        (lowest, lowest.abs().max(1.0).mul_add(2.0, lowest))
    }
}

fn date(point: &ChartPoint) -> String {
    point.at.to_millis_text().get(..DATE).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(totals: &[&str]) -> Vec<ChartPoint> {
        let point = |(day, total): (usize, &&str)| ChartPoint {
            at: Timestamp::parse(&format!("2026-06-{:02}T23:59:59.999Z", day + 1)).unwrap(),
            total: (*total).to_owned(),
        };
        totals.iter().enumerate().map(point).collect()
    }

    /// The first column that has a dot in a line.
    fn dot(line: &str) -> Option<usize> {
        line.chars().position(|c| ('\u{2801}'..='\u{28ff}').contains(&c))
    }

    #[test]
    fn a_rising_line_is_higher_at_its_right() {
        let drawn = chart("EUR", &points(&["1000.5", "2000", "1234567.25"]));
        let dots: Vec<usize> = drawn.lines().filter_map(dot).collect();
        assert!(dots.first() > dots.last(), "{drawn}");
        for label in ["EUR", "1,000.5", "1,234,567.25", "2026-06-01", "2026-06-03"] {
            assert!(drawn.contains(label), "{label}\n{drawn}");
        }
    }

    #[test]
    fn whatever_the_totals_there_is_a_chart_or_nothing() {
        assert_eq!((chart("EUR", &[]), chart("EUR", &points(&["5"]))), (String::new(), String::new()));
        for totals in [["0", "0"], ["5", "5"], ["-5", "-7"], ["-999999999999999999", "999999999999999999"]] {
            let drawn = chart("JPY", &points(&totals));
            assert!(drawn.lines().any(|line| dot(line).is_some()), "{totals:?}\n{drawn}");
        }
    }
}
