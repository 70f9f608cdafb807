//! dev
use super::adhoc::Database;
use millrace_engine::DataType;
#[test]
fn dev() {
    let mut database = Database::new(2);
    super::subqueries::tables(&mut database);
    let file = std::fs::read_to_string(std::env::var("Q").unwrap()).unwrap();
    let mut out = String::new();
    if let Ok(count) = std::env::var("MAKE") {
        let mut maker = super::subqueries::Maker { state: 99, tables: 0 };
        let lines: Vec<String> = (0..count.parse().unwrap()).map(|_| maker.query()[0].clone()).collect();
        std::fs::write("/tmp/q3.sql", lines.join("\n") + "\n").unwrap();
    }
    for sql in file.lines() {
        out.push_str(&format!("-- {sql}\n"));
        if std::env::var("EXPLAIN").is_ok() {
            match crate::query::Query::plan(
                &super::parse(sql),
                &database.catalog,
                crate::query::Parameters::Values(&[]),
            ) {
                Ok(query) => out.push_str(&(query.explain().join("\n") + "\n")),
                Err(error) => out.push_str(&format!("{error:?}\n")),
            }
        }
        match database.try_select(sql) {
            Ok(mut rows) => {
                rows.sort();
                for row in rows {
                    out.push_str(&row);
                    out.push('\n');
                }
            }
            Err(error) => out.push_str(&format!("ERROR {}: {}\n", error.sqlstate, error.message)),
        }
        if std::env::var("VIEWS").is_ok() {
            match crate::query::Query::plan(
                &super::parse(sql),
                &database.catalog,
                crate::query::Parameters::Values(&[]),
            )
            .and_then(|q| q.lower())
            {
                Ok(_) => {}
                Err(error) => out.push_str(&format!("VIEW ERROR {}: {}\n", error.sqlstate, error.message)),
            }
        }
    }
    let _ = DataType::Text;
    std::fs::write(std::env::var("OUT").unwrap(), out).unwrap();
}
