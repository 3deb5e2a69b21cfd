//! CSV files as spreadsheets and attackers write them. The reading of records is tested beside the reader.

use crate::cli_import::{File, counts, empty, import};
use crate::harness::{ALICE, id};
use ballast::Ending;
use insta::assert_snapshot;
use serde_json::{Value, json};

const HEADER: &str = "id,customer_id,currency,balance,balance_at,active,description";

fn row(number: u32, description: &str) -> String {
    format!("{},{ALICE},EUR,{number}.00,2026-06-01T00:00:00Z,,{description}\n", id(number))
}

/// The damage that a spreadsheet does to a file of one row, and the word of the import on it.
#[tokio::test]
async fn each_damage_of_a_spreadsheet_gets_a_sentence_of_its_own() {
    struct Case {
        damage: &'static str,
        /// The file, from its header and one row.
        file: fn(&str, &str) -> Vec<u8>,
        /// The reason or the error; the balance that is recorded if there is none.
        outcome: &'static str,
    }
    fn changed(header: &str, row: &str, (from, to): (&str, &str)) -> Vec<u8> {
        format!("{header}\n{}", row.replace(from, to)).into_bytes()
    }
    const AT: &str = "2026-06-01T00:00:00Z";
    let cases = [
        Case { damage: "none", file: |h, r| format!("{h}\n{r}").into(), outcome: "1.00" },
        Case {
            damage: "semicolons",
            file: |h, r| format!("{h}\n{r}").replace(',', ";").into(),
            outcome: "1.00",
        },
        Case { damage: "tabs", file: |h, r| format!("{h}\n{r}").replace(',', "\t").into(), outcome: "1.00" },
        Case { damage: "a mark", file: |h, r| format!("\u{feff}{h}\r\n{r}").into(), outcome: "1.00" },
        Case {
            damage: "capitals and blanks in the header",
            file: |h, r| format!("{}\n{r}", h.to_uppercase().replace(',', " , ")).into(),
            outcome: "1.00",
        },
        Case { damage: "TRUE", file: |h, r| changed(h, r, ("Z,,", "Z,TRUE,")), outcome: "1.00" },
        Case {
            damage: "an id in capitals",
            file: |h, r| changed(h, r, ("0a11ce00", "0A11CE00")),
            outcome: "1.00",
        },
        Case { damage: "trailing zeros", file: |h, r| changed(h, r, ("1.00", "1.000")), outcome: "1.00" },
        Case {
            damage: "a comma for the point",
            file: |h, r| changed(h, r, ("1.00", "\"1234,56\"")),
            outcome: "balance: not a decimal number",
        },
        Case {
            damage: "groups of thousands",
            file: |h, r| changed(h, r, ("1.00", "\"1,234.56\"")),
            outcome: "balance: not a decimal number",
        },
        Case {
            damage: "a hard blank",
            file: |h, r| changed(h, r, ("1.00", "1\u{a0}234.56")),
            outcome: "balance: not a decimal number",
        },
        Case {
            damage: "an exponent",
            file: |h, r| changed(h, r, ("1.00", "1.23457E+18")),
            outcome: "balance: not a decimal number",
        },
        Case {
            damage: "an error of a formula",
            file: |h, r| changed(h, r, ("1.00", "#NAME?")),
            outcome: "balance: not a decimal number",
        },
        Case {
            damage: "a trailing blank",
            file: |h, r| changed(h, r, ("1.00", "1.00 ")),
            outcome: "balance: not a decimal number",
        },
        Case {
            damage: "a date of a country",
            file: |h, r| changed(h, r, (AT, "01.06.2026 00:00")),
            outcome: "balance_at: not an RFC 3339 date-time",
        },
        Case {
            damage: "yes",
            file: |h, r| changed(h, r, ("Z,,", "Z,yes,")),
            outcome: "active: expected true or false",
        },
        Case {
            damage: "a row of delimiters",
            file: |h, _| format!("{h}\n,,,,,,\n").into(),
            outcome: "balance_at: missing",
        },
        Case {
            damage: "a missing cell",
            file: |h, r| changed(h, r, ("Z,,", "Z,")),
            outcome: "6 cells under a header of 7",
        },
        Case {
            damage: "one cell more",
            file: |h, r| changed(h, r, ("\n", ",\n")),
            outcome: "8 cells under a header of 7",
        },
        Case {
            damage: "Latin-1",
            file: |h, r| [h.as_bytes(), b"\n", r.trim_end().as_bytes(), b"\xe9\n"].concat(),
            outcome: "not UTF-8",
        },
        Case {
            damage: "UTF-16",
            file: |h, r| format!("\u{feff}{h}\n{r}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
            outcome: "not UTF-8: save the file as CSV UTF-8",
        },
        Case {
            damage: "UTF-16 without a mark",
            file: |h, r| format!("{h}\n{r}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
            outcome: "the file is UTF-16; save it as CSV UTF-8",
        },
        Case {
            damage: "a line for Excel",
            file: |h, r| format!("sep=;\n{h}\n{r}").into(),
            outcome: "the first line only names the delimiter; delete that line",
        },
        Case {
            damage: "a column without a name",
            file: |h, r| format!("{h},\n{r}").into(),
            outcome: "the header has an unknown column \"\"",
        },
    ];
    let app = empty().await;
    for (number, Case { damage, file, outcome }) in (1..).zip(cases) {
        let file = File::new("csv", file(HEADER, &format!("{},{ALICE},EUR,1.00,{AT},,\n", id(number))));
        let ran = app.ballast(&["accounts", "import", file.name(), "--output", "json"]).await;
        let told = match &ran.ending {
            Err(_) => ran.error(),
            Ok(Ending::InPart) => {
                let reject: Value = serde_json::from_str(file.rejects().unwrap().trim()).unwrap();
                reject["reason"].as_str().unwrap().to_owned()
            }
            Ok(Ending::Done) => {
                let shown = app.ballast_json(&["accounts", "show", &id(number)]).await;
                shown["balance"].as_str().unwrap().to_owned()
            }
        };
        assert!(told.contains(outcome), "{damage}: {told}");
    }
}

#[tokio::test]
async fn amounts_with_more_digits_than_their_currency_are_kept_and_counted() {
    let app = empty().await;
    let amount = |number: u32, currency: &str, balance: &str| {
        format!("{},{ALICE},{currency},{balance},2026-06-01T00:00:00Z,,\n", id(number))
    };
    let rows = [
        format!("{HEADER}\n"),
        amount(1, "EUR", "1.230"),
        amount(2, "EUR", "1.234"),
        amount(3, "JPY", "1.5"),
        amount(4, "USDC", "1.123456"),
        amount(5, "USDC", "1.1234567"),
        amount(6, "EUR", "1.234x"),
    ];
    let file = File::new("csv", rows.concat());
    let tally = import(&app, &file).await;
    assert_eq!((counts(&tally), &tally["more_digits_than_currency"]), ([6, 5, 0, 0, 1], &json!(3)));
    assert_eq!(tally["first_line_with_more_digits"], json!(3));
    assert_eq!(app.ballast_json(&["accounts", "show", &id(2)]).await["balance"], json!("1.234"));
    std::fs::remove_file(format!("{}.rejects", file.name())).unwrap();
    let printed = app.ballast(&["accounts", "import", file.name()]).await.out;
    assert!(printed.contains("more digits than the currency has  3 rows, the first on line 3"), "{printed}");
}

/// A row in a quoted cell is text, however many lines the cell has.
#[tokio::test]
async fn no_text_inside_a_cell_becomes_a_balance() {
    let app = empty().await;
    let forged = format!("{},{ALICE},EUR,5000000.00,2026-06-02T00:00:00Z,,\n", id(1));
    for lines in [1, 25, 51, 500] {
        let text = format!("\"{}{forged}{}\"", "line\n".repeat(lines / 2), "line\n".repeat(lines / 2));
        let file =
            File::new("csv", [HEADER, "\n", &row(1, "mine"), &row(2, &text), &row(3, "last")].concat());
        let tally = import(&app, &file).await;
        assert_eq!(tally["rows"], json!(3), "{lines}: {tally}");
        assert_eq!(
            app.ballast_json(&["accounts", "show", &id(1)]).await["balance"],
            json!("1.00"),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn a_malformed_record_ends_the_import_at_its_line() {
    struct Case {
        /// The row on line 3.
        faulty: String,
        outcome: &'static str,
    }
    let cases = [
        Case { faulty: row(2, "7\" inch"), outcome: "line 3: a quote stands inside a cell" },
        Case {
            faulty: row(2, "\"closed\" too early"),
            outcome: "line 3: a quoted cell goes on after its closing quote",
        },
        Case {
            faulty: row(2, "\"5 inch"),
            outcome: "line 3: the quote that opens a cell on line 3 is never closed",
        },
        Case { faulty: row(2, "x\ry"), outcome: "line 3: a carriage return outside quotes" },
    ];
    for Case { faulty, outcome } in cases {
        let app = empty().await;
        let file = |line: &str| [HEADER, "\n", &row(1, "first"), line, &row(3, "last")].concat();
        let broken = File::new("csv", file(&faulty));
        let ran = app.ballast(&["accounts", "import", broken.name(), "--output", "json"]).await;
        let tally = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((counts(&tally), ran.exit_code), ([1, 1, 0, 0, 0], 1), "{outcome}");
        let error = ran.error().replace(broken.name(), "FILE");
        assert!(error.starts_with(&format!("FILE: {outcome}")), "{error}");
        assert!(error.ends_with("1 rows before it are done; mend the file and run the same command again, what is there is not written again"), "{error}");
        assert_eq!(app.ballast(&["accounts", "show", &id(3)]).await.exit_code, 1, "{outcome}");
        let mended = File::new("csv", file(&row(2, "sound")));
        assert_eq!(counts(&import(&app, &mended).await), [3, 2, 0, 1, 0], "{outcome}");
    }
    // What was rejected before the end is listed.
    let app = empty().await;
    let text = [HEADER, "\n", "x,,,,,,\n", &row(2, "7\" inch")].concat();
    let file = File::new("csv", text);
    assert_eq!(app.ballast(&["accounts", "import", file.name()]).await.exit_code, 1);
    assert_snapshot!(file.rejects().unwrap(), @r#"{"line":2,"reason":"balance_at: missing"}"#);
}
