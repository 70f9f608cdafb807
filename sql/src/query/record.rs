//! `json_to_record`, `json_to_recordset` and those of jsonb: the columns that a definition list tells, each a field of
//! the object as its type's input reads it.

use datafusion::sql::sqlparser::ast::TableAliasColumnDef;
use millrace_engine::{DataType, Element, Expr, Literal};

use super::expr::{ExprBinder, call};
use super::function::no_function;
use super::scope::fold;
use super::set_function::{Set, one};
use super::typed::{Typed, cast_known};
use super::types::{Named, named};
use crate::error::SqlError;

/// Whether a function gives records.
pub(super) fn gives_records(name: &str) -> bool {
    matches!(name, "json_to_record" | "json_to_recordset" | "jsonb_to_record" | "jsonb_to_recordset")
}

impl ExprBinder<'_> {
    /// A call that gives records with these columns.
    ///
    /// # Errors
    /// 42601 without columns, 42701 for two of one name.
    pub(super) fn records(
        &self,
        name: &str,
        mut arguments: Vec<Typed>,
        columns: &[TableAliasColumnDef],
    ) -> Result<Set, SqlError> {
        let of = if name.starts_with("jsonb") { DataType::Jsonb } else { DataType::Json };
        let types: Vec<_> = arguments.iter().map(Typed::data_type).collect();
        let (1, Some(argument)) = (types.len(), arguments.pop()) else {
            return Err(no_function(name, &types));
        };
        if types[0].is_some_and(|known| known != of) {
            return Err(no_function(name, &types));
        }
        if columns.is_empty() {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(SqlError::new("42601", message));
        }
        let mut fields = Vec::with_capacity(columns.len());
        let mut named_columns: Vec<(String, DataType)> = Vec::with_capacity(columns.len());
        for column in columns {
            let key = fold(&column.name);
            if named_columns.iter().any(|(known, _)| *known == key) {
                return Err(SqlError::new(
                    "42701",
                    format!("column name \"{key}\" specified more than once"),
                ));
            }
            let to = type_of(column)?;
            fields.push(self.field(&Typed::Known(Expr::Column(0), of), &key, to)?);
            named_columns.push((key, to));
        }
        let set = one(name, vec![self.parameters.as_type(argument, of)?], of);
        Ok(Set { columns: named_columns, fields: Some(fields), takes_alias: false, ..set })
    }

    /// The field of an object as a value of a column.
    fn field(&self, object: &Typed, key: &str, to: DataType) -> Result<Expr, SqlError> {
        let operands = || vec![object.clone(), Typed::literal(Literal::Text(key.to_owned()))];
        let text = || self.operator_of("->>", "->>", operands());
        let part = || self.operator_of("->", "->", operands());
        match to.base() {
            DataType::Json | DataType::Jsonb => {
                // The null of JSON is no value of either.
                let is_null = Expr::IsNull(Box::new(self.parameters.as_type(text()?, DataType::Text)?));
                let value = self.parameters.as_type(part()?, to)?;
                let branches = vec![(is_null, Expr::Literal(Literal::Null(to)))];
                Ok(Expr::Case { branches, otherwise: Some(Box::new(value)), data_type: to })
            }
            DataType::Array(element) => {
                let of_json = matches!(element, Element::Json | Element::Jsonb);
                let name = if of_json { "json_elements" } else { "json_element_texts" };
                let Typed::Known(part, _) = part()? else { return Err(SqlError::internal("a part of JSON")) };
                let texts = DataType::Array(Element::Text);
                let elements = call(name, vec![part, Expr::Literal(Literal::Text(key.to_owned()))], texts);
                cast_known(elements, texts, to, self.parameters.zone)
            }
            _ => self.parameters.assign(text()?, to),
        }
    }
}

/// The type of a column of a record.
fn type_of(column: &TableAliasColumnDef) -> Result<DataType, SqlError> {
    let Some(data_type) = &column.data_type else {
        let message = "a column definition list needs the type of each column";
        return Err(SqlError::new("42601", message));
    };
    Ok(match named(data_type)? {
        Named::Type(data_type) => data_type,
        Named::Numeric => DataType::Decimal,
    })
}
