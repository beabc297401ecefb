//! The schema, brought up to date by the Coordinator at its start. wrangler's own bookkeeping table is used, so
//! that `wrangler d1 migrations apply` and the Coordinator agree about what was done.

use super::StoreError;
use serde::Deserialize;
use worker::D1Database;

/// The files of `migrations/`, in order.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_init.sql", include_str!("../../migrations/0001_init.sql")),
    ("0002_usage_detail.sql", include_str!("../../migrations/0002_usage_detail.sql")),
    ("0003_lists.sql", include_str!("../../migrations/0003_lists.sql")),
];

const BOOKKEEPING: &str = "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, \
     name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)";

#[derive(Deserialize)]
struct Done {
    name: String,
}

/// Applies what is missing, each file in one transaction. Two queries when nothing is.
///
/// # Errors
/// When D1 refuses a statement; the file it belongs to is not applied then.
pub async fn migrate(db: &D1Database) -> Result<(), StoreError> {
    db.prepare(BOOKKEEPING).run().await?;
    let done: Vec<Done> = db.prepare("SELECT name FROM d1_migrations").run().await?.results()?;
    for (name, sql) in MIGRATIONS {
        if done.iter().any(|done| done.name == *name) {
            continue;
        }
        let mut batch: Vec<_> = statements(sql).map(|statement| db.prepare(statement)).collect();
        batch.push(db.prepare("INSERT INTO d1_migrations (name) VALUES (?1)").bind(&[(*name).into()])?);
        db.batch(batch).await?;
    }
    Ok(())
}

/// The statements of a migration: they end with a semicolon at the end of a line; comment lines are dropped.
fn statements(sql: &str) -> impl Iterator<Item = String> {
    let code: String = sql
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .flat_map(|line| [line, "\n"])
        .collect();
    code.split(";\n")
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_with_their_line_and_keep_inner_semicolons() {
        let sql = "-- one; two\nCREATE TABLE a (\n  b TEXT -- c\n);\nINSERT INTO a VALUES (';');\n\n";
        let found: Vec<String> = statements(sql).collect();
        assert_eq!(found, ["CREATE TABLE a (\n  b TEXT -- c\n)", "INSERT INTO a VALUES (';')"]);
    }

    #[test]
    fn every_file_is_listed_in_order() {
        let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files, MIGRATIONS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    }
}
