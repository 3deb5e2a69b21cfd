//! The import of accounts: what is read, what is rejected, and what becomes of one that is cut short.

use crate::harness::{ALICE, App, BOB, account, brief, id, with};
use balance_ingest::{AccountEntry, EntrySource};
use ballast::Ending;
use insta::assert_snapshot;
use serde_json::{Value, json};
use shared::domain::Catalogue;
use shared::domain::{AccountId, AccountUpdate};
use std::path::PathBuf;
use uuid::Uuid;

/// A file that is gone with the test.
pub struct File(pub PathBuf);

impl File {
    pub fn new(extension: &str, text: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("ballast-{}.{extension}", Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    pub fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub fn rejects(&self) -> Option<String> {
        std::fs::read_to_string(format!("{}.rejects", self.name())).ok()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(format!("{}.rejects", self.name()));
    }
}

pub async fn empty() -> App {
    App::start(json!({})).await
}

/// Imports a file; the list of an earlier import is moved away first, as an operator is told to.
pub async fn import(app: &App, file: &File) -> Value {
    let _ = std::fs::remove_file(format!("{}.rejects", file.name()));
    app.ballast_json(&["accounts", "import", file.name()]).await
}

/// Rows, recorded, superseded, duplicates and rejected.
pub fn counts(tally: &Value) -> [u64; 5] {
    ["rows", "recorded", "superseded", "duplicates", "rejected"].map(|name| tally[name].as_u64().unwrap())
}

#[tokio::test]
async fn a_csv_file_is_recorded_and_what_cannot_be_is_listed_with_its_line() {
    let app = empty().await;
    let good = |number: u32, more: &str| {
        format!("{},{ALICE},EUR,{number}.50,2026-06-01T00:00:00Z,{more}\n", id(number))
    };
    let text = [
        "\u{feff}id,customer_id,currency,balance,balance_at,active,iban,description\n".to_owned(),
        good(1, "true,DE1,\"two\nlines, one cell\""),
        good(2, "false,,"),
        good(2, "false,,"),
        format!("{},{ALICE},EUR,2.51,2026-06-01T00:00:00Z,,,\n", id(2)),
        format!("{},{ALICE},EUR,1.25,2026-05-01T00:00:00Z,,,\n", id(2)),
        format!("{},{BOB},EUR,9,2026-07-01T00:00:00Z,,,\n", id(1)),
        format!("{},{ALICE},NOPE,1,2026-06-01T00:00:00Z,,,\n", id(3)),
        format!("{},{ALICE},EUR,1e3,2026-06-01T00:00:00Z,,,\n", id(3)),
        format!("{},{ALICE},EUR,,2026-06-01T00:00:00Z,,,\n", id(3)),
        format!("{},{ALICE},EUR,1,2026-06-01T00:00:00Z,yes,,\n", id(3)),
        format!("{},{ALICE},EUR,1,2100-01-01T00:00:00Z,,,\n", id(3)),
        format!("{},{ALICE},EUR,1,2026-06-01T00:00:00Z\n", id(3)),
        good(4, "true,,"),
    ];
    let mut bytes = text.concat().into_bytes();
    bytes.extend_from_slice(b"\xff\xfe,x\n");
    let file = File::new("csv", bytes);
    let ran = app.ballast(&["accounts", "import", file.name(), "--output", "json"]).await;
    assert_eq!(ran.ending, Ok(Ending::InPart));
    assert_eq!(counts(&ran.json()), [14, 3, 1, 1, 9]);
    assert_snapshot!(file.rejects().unwrap(), @r#"
    {"line":6,"reason":"balance_at: this balance_at and version were recorded with other values; give a higher version (2026-06-01T00:00:00.000000000Z)"}
    {"line":8,"reason":"customer_id: the account belongs to another customer (2026-07-01T00:00:00.000000000Z)"}
    {"line":9,"reason":"currency: not a known asset"}
    {"line":10,"reason":"balance: not a decimal number"}
    {"line":11,"reason":"balance: missing"}
    {"line":12,"reason":"active: expected true or false"}
    {"line":13,"reason":"balance_at: more than 5 minutes ahead"}
    {"line":14,"reason":"5 cells under a header of 8"}
    {"line":16,"reason":"not UTF-8: save the file as CSV UTF-8"}
    "#);
    let shown = app.ballast_json(&["accounts", "show", &id(2)]).await;
    assert_eq!(
        (&shown["balance"], &shown["active"], &shown["created_at"]),
        (&json!("2.50"), &json!(false), &json!("2026-05-01T00:00:00.000000000Z"))
    );
    assert_eq!(shown["history"].as_array().unwrap().len(), 2);
    assert_eq!(
        app.ballast_json(&["accounts", "show", &id(1)]).await["description"],
        json!("two\nlines, one cell")
    );
    // Again: nothing new, the same rejects.
    assert_eq!(counts(&import(&app, &file).await), [14, 0, 0, 5, 9]);
    let mended = File::new("csv", text[..3].concat());
    assert_eq!(counts(&import(&app, &mended).await), [2, 0, 0, 2, 0]);
    assert_eq!(mended.rejects(), None);
}

#[tokio::test]
async fn json_lines_may_bring_their_history() {
    let app = empty().await;
    let past = json!([{"balance": "1", "balance_at": "2026-01-01T00:00:00Z"}, {"balance": "2", "balance_at": "2026-02-01T00:00:00Z"}]);
    let lines = [
        with(account(1, "EUR", "3"), json!({"history": past})).to_string(),
        String::new(),
        with(
            account(2, "EUR", "3"),
            json!({"history": [{"balance": "x", "balance_at": "2026-01-01T00:00:00Z"}]}),
        )
        .to_string(),
        r#"{"id": 1"#.to_owned(),
        "[1]".to_owned(),
        with(account(3, "EUR", "3"), json!({"colour": "red"})).to_string(),
        format!(r#"{{"id": "{0}", "id": "{0}"}}"#, id(4)),
        account(5, "EUR", "5").to_string(),
    ];
    let file = File::new("jsonl", lines.join("\n"));
    let tally = import(&app, &file).await;
    assert_eq!(counts(&tally), [7, 2, 0, 0, 5]);
    assert_eq!(tally["rejects"], json!(format!("{}.rejects", file.name())));
    assert_snapshot!(brief(&file.rejects().unwrap()), @r#"
    {"line":3,"reason":"history[0].balance: not a decimal number"}
    {"line":4,"reason":"EOF while parsing an object"}
    {"line":5,"reason":"expected an object"}
    {"line":6,"reason":"colour: unknown field; known are EVERY FIELD, history"}
    {"line":7,"reason":"a member is named twice"}
    "#);
    assert_eq!(app.ballast_json(&["accounts", "show", &id(1)]).await["history"][2]["balance"], json!("1.00"));
    assert_eq!(app.ballast(&["verify"]).await.out, "2 accounts, 0 custody accounts, 0 differences\n");
}

#[tokio::test]
async fn a_file_that_is_no_import_is_refused_before_anything_is_recorded() {
    let app = empty().await;
    let mut errors = Vec::new();
    for (extension, text) in [
        ("txt", "id"),
        ("csv", ""),
        ("csv", "id,customer_id,currency,balance\n"),
        ("csv", "id,customer_id,currency,balance,balance_at,colour\n"),
        ("csv", "id,customer_id,currency,balance,balance_at,id\n"),
    ] {
        let file = File::new(extension, text);
        let error = app.ballast(&["accounts", "import", file.name()]).await.error();
        errors.push(brief(&error.replace(file.name(), "FILE")));
    }
    errors.push(app.ballast(&["accounts", "import", "/nowhere/at.csv"]).await.error());
    assert_snapshot!(errors.join("\n"), @r#"
    --format: the file's name does not tell: give csv or jsonl
    FILE: the header lacks the column id; it must have id, customer_id, currency, balance, balance_at
    FILE: the header lacks the column balance_at; it must have id, customer_id, currency, balance, balance_at
    FILE: the header has an unknown column "colour"; known are EVERY FIELD
    FILE: the header has the column id twice
    /nowhere/at.csv: No such file or directory (os error 2)
    "#);
    let forced = File::new("txt", account(1, "EUR", "1").to_string());
    let tally = app.ballast_json(&["accounts", "import", "--format", "jsonl", forced.name()]).await;
    assert_eq!(counts(&tally), [1, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_list_of_rejects_takes_the_place_of_nothing() {
    let app = empty().await;
    let victim = File::new("txt", "precious");
    for ending in [".rejects", ".rejects.part"] {
        for kind in ["file", "link", "broken link", "directory"] {
            let file = File::new("jsonl", format!("\u{feff}{}\nno JSON\n", account(1, "EUR", "1")));
            let place = format!("{}{ending}", file.name());
            match kind {
                "file" => std::fs::write(&place, "precious").unwrap(),
                "link" => std::os::unix::fs::symlink(&victim.0, &place).unwrap(),
                "broken link" => std::os::unix::fs::symlink(format!("{place}.target"), &place).unwrap(),
                _ => std::fs::create_dir(&place).unwrap(),
            }
            let ran = app.ballast(&["accounts", "import", file.name()]).await;
            let expected = format!(
                "--rejects: {place} is there already; move it away, or give another place with --rejects FILE"
            );
            assert_eq!((ran.exit_code, ran.error()), (2, expected), "{kind}");
            assert_eq!(std::fs::read_to_string(&victim.0).unwrap(), "precious", "{kind}");
            assert!(!std::path::Path::new(&format!("{place}.target")).exists(), "{kind}");
            if kind == "directory" {
                std::fs::remove_dir(&place).unwrap();
            } else {
                std::fs::remove_file(&place).unwrap();
            }
        }
    }
    let file = File::new("jsonl", format!("{}\nno JSON\n", account(1, "EUR", "1")));
    for given in [file.name(), "/dev/null"] {
        assert_eq!(app.ballast(&["accounts", "import", file.name(), "--rejects", given]).await.exit_code, 2);
    }
    assert_eq!(counts(&import(&app, &file).await), [2, 1, 0, 0, 1], "nothing was recorded before");
    let ran = app.ballast(&["accounts", "import", file.name(), "--rejects", "/nowhere/rejects"]).await;
    assert_eq!(
        (ran.exit_code, ran.error().as_str()),
        (1, "/nowhere/rejects.part: No such file or directory (os error 2)")
    );
}

#[tokio::test]
async fn a_row_ends_with_its_first_state_that_is_rejected() {
    let app = App::start(
        json!({"accounts": [with(account(1, "EUR", "1"), json!({"balance_at": "2026-01-01T00:00:00Z"}))]}),
    )
    .await;
    let past = json!([{"balance": "2", "balance_at": "2026-01-01T00:00:00Z"}]);
    let twice = json!([{"balance": "2", "balance_at": "2026-01-01T00:00:00Z"}, {"balance": "3", "balance_at": "2026-01-01T00:00:00Z"}]);
    let rows = [
        with(account(1, "EUR", "3"), json!({"history": past})),
        with(account(2, "EUR", "3"), json!({"history": twice})),
    ];
    let file = File::new("jsonl", rows.map(|row| row.to_string()).join("\n"));
    assert_eq!(counts(&import(&app, &file).await), [2, 0, 0, 0, 2]);
    assert_snapshot!(file.rejects().unwrap(), @r#"
    {"line":1,"reason":"balance_at: this balance_at and version were recorded with other values; give a higher version (2026-01-01T00:00:00.000000000Z)"}
    {"line":2,"reason":"history[1].balance_at: another entry has this balance_at and version too"}
    "#);
    assert_eq!(app.ballast_json(&["accounts", "show", &id(1)]).await["balance"], json!("1.00"));
}

#[tokio::test]
async fn what_is_older_than_the_latest_is_not_written_again() {
    let app = empty().await;
    let rows: Vec<_> = (1..=40_u32)
        .map(|day| {
            with(
                account(day % 2, "EUR", &day.to_string()),
                json!({"balance_at": format!("2026-01-01T00:{day:02}:00Z")}),
            )
        })
        .collect();
    let file = File::new("jsonl", rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"));
    assert_eq!(counts(&import(&app, &file).await), [40, 40, 0, 0, 0]);
    let store = app.stack.store();
    let (again, usage) = shared::store::measured(store.record_many(&of(&rows[..38]))).await;
    assert!(again.unwrap().iter().all(|outcome| matches!(outcome, Ok(shared::store::Outcome::Duplicate))));
    assert_eq!(usage.write_tenths, 0);
    assert_eq!(counts(&import(&app, &file).await), [40, 0, 0, 40, 0]);
}

/// Two accounts' states at a time.
fn of(rows: &[Value]) -> Vec<AccountUpdate> {
    let entry = |row: &Value| {
        AccountEntry::of(row.clone())
            .unwrap()
            .updates(EntrySource::Import, &Catalogue::default())
            .unwrap()
            .remove(0)
    };
    rows.iter().take(2).map(entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_cut_short_is_run_again_without_loss_or_duplicates() {
    let rows: Vec<_> =
        (0..3_000_u32).map(|number| account(number, "EUR", &number.to_string()).to_string()).collect();
    let file = File::new("jsonl", rows.join("\n"));
    let app = empty().await;
    let words = ["accounts", "import", file.name()];
    let (store, early) = (app.stack.store(), AccountId::parse(&id(0)).unwrap());
    let has_begun = async {
        while store.account_by_id(early).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    // Dropped where it stands, as a killed process is.
    tokio::select! {
        () = has_begun => {}
        _ = app.ballast(&words) => panic!("it was done before it could be cut short"),
    }
    let tally = import(&app, &file).await;
    let [all, recorded, superseded, duplicates, rejected] = counts(&tally);
    assert_eq!((all, recorded + duplicates, superseded, rejected), (3_000, 3_000, 0, 0));
    assert!(recorded > 0 && duplicates > 0, "{tally}");
    assert_eq!(app.ballast(&["verify"]).await.out, "3000 accounts, 0 custody accounts, 0 differences\n");
    let total = app.ballast_json(&["balance", "--customer", ALICE, "--currency", "EUR"]).await;
    assert_eq!(total["total_balance"], json!("4498500.00"));
    for number in [0, 1_500, 2_999] {
        assert_eq!(
            app.ballast_json(&["accounts", "show", &id(number)]).await["history"].as_array().unwrap().len(),
            1
        );
    }
    assert_eq!(counts(&import(&app, &file).await), [3_000, 0, 0, 3_000, 0]);
}
