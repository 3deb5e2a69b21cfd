//! CSV as it was meant (RFC 4180): a record that is not well-formed costs its own first line and no other.
//!
//! A reader that forgives a stray quote takes everything up to the next one for a single cell, and the rows
//! between are gone without a word. So a record is only as long as its quotes say, and every quote must open
//! or close a whole cell.

use super::lines::{Line, Lines, TOO_LONG};
use csv::StringRecord;

/// Lines that one record may span: a description has a few.
const MAX_RECORD_LINES: usize = 50;
/// Every cell of an account is far shorter.
const MAX_RECORD_BYTES: usize = 64 * 1024;

/// The next record and the line it begins on, or why that line is none; `None` after the last. Blank lines
/// are passed over.
pub(super) fn next(lines: &mut Lines) -> std::io::Result<Option<(u64, Result<StringRecord, String>)>> {
    let Some(first) = not_blank(lines)? else { return Ok(None) };
    if first.is_cut {
        return Ok(Some((first.number, Err(TOO_LONG.to_owned()))));
    }
    let (number, mut spanned, mut text) = (first.number, Vec::<Line>::new(), first.text);
    while is_open(&text) && spanned.len() < MAX_RECORD_LINES {
        let Some(line) = lines.next()? else { break };
        if line.is_cut || text.len() + line.text.len() > MAX_RECORD_BYTES {
            spanned.push(line);
            break;
        }
        text.extend_from_slice(&line.text);
        spanned.push(line);
    }
    let record = parse(&text);
    if record.is_err() {
        lines.give_back(spanned);
    }
    Ok(Some((number, record)))
}

fn not_blank(lines: &mut Lines) -> std::io::Result<Option<Line>> {
    loop {
        match lines.next()? {
            Some(line) if line.is_blank() => {}
            line => return Ok(line),
        }
    }
}

/// Whether a quoted cell has not been closed yet.
fn is_open(text: &[u8]) -> bool {
    text.iter().fold(false, |is_open, byte| is_open != (*byte == b'"'))
}

fn parse(text: &[u8]) -> Result<StringRecord, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8")?;
    if !has_sound_quotes(text.trim_end_matches(['\r', '\n'])) {
        return Err("a quote that neither opens nor closes a cell; inside a quoted cell it is written twice"
            .to_owned());
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut records = reader.records();
    let record =
        records.next().unwrap_or_else(|| Ok(StringRecord::new())).map_err(|error| error.to_string())?;
    // A lone carriage return ends a record too, and what follows it would be lost.
    if records.next().is_some() { Err("a carriage return outside quotes".to_owned()) } else { Ok(record) }
}

/// Whether every quote opens a cell, closes it, or is one of two inside it.
fn has_sound_quotes(text: &str) -> bool {
    let mut rest = text;
    loop {
        rest = match rest.strip_prefix('"') {
            None => {
                let (cell, after) = rest.find(',').map_or((rest, ""), |comma| rest.split_at(comma));
                if cell.contains('"') {
                    return false;
                }
                after
            }
            Some(mut quoted) => loop {
                let Some((_, after)) = quoted.split_once('"') else { return false };
                match after.strip_prefix('"') {
                    Some(after) => quoted = after,
                    None => break after,
                }
            },
        };
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_open_and_close_whole_cells() {
        let rows = [
            ("a,b,c", true),
            ("", true),
            (",,", true),
            ("\"a\",\"b, c\",d", true),
            ("\"a \"\"b\"\"\",c", true),
            ("\"\",\"\"", true),
            ("\"two\nlines\",x", true),
            ("\"5 inch,x", false),
            ("5\" inch,x", false),
            ("\"a\"b,c", false),
            ("\"a\" ,b", false),
            ("a,\"b", false),
        ];
        for (text, expected) in rows {
            assert_eq!(has_sound_quotes(text), expected, "{text:?}");
        }
    }
}
