//! Results for people and for programs, from one set of rows.

use crate::arguments::Format;
use crate::error::CliError;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use std::io::Write;

const BAR: &str = "{bar:40} {percent:>3} %  {msg}  {elapsed} gone, {eta} to go";

/// Where results go, and in which form.
pub(crate) struct Output<'a, W> {
    format: Format,
    out: &'a mut W,
}

impl<'a, W: Write> Output<'a, W> {
    pub(crate) fn new(format: Format, out: &'a mut W) -> Self {
        Self { format, out }
    }

    /// A document, or whatever `show` makes of it for a person.
    pub(crate) fn document<T: Serialize>(
        &mut self,
        document: &T,
        show: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        let text = match self.format {
            Format::Json => serde_json::to_string_pretty(document).map_err(std::io::Error::from)?,
            Format::Table => show(document),
        };
        writeln!(self.out, "{}", text.trim_end())?;
        Ok(self.out.flush()?)
    }
}

/// The progress of `length` steps, shown where stderr is a terminal, and nowhere else.
pub(crate) fn progress_bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

/// A table of rows under a header.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header);
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| printable(&cell))));
    table.to_string()
}

/// Names and values below each other, absent ones left out.
pub(crate) fn fields(fields: &[(&str, Option<String>)]) -> String {
    let given: Vec<_> = fields.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let width = given.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<_> =
        given.iter().map(|(name, value)| format!("{name:width$}  {}", printable(value))).collect();
    lines.join("\n")
}

/// A function's report: its scalars below each other, and what is nested as it is.
pub(crate) fn report(report: &Value) -> String {
    let members = report.as_object().into_iter().flatten();
    let rows: Vec<_> = members
        .map(|(name, value)| {
            (name.as_str(), Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        })
        .collect();
    fields(&rows)
}

/// A stored text as a terminal may show it: without characters that command it.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}
