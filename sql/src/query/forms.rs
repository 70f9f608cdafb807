//! Constructs with words among their operands: LIKE and its kin, COLLATE, TRIM, INTERVAL, EXTRACT.

use datafusion::sql::sqlparser::ast;
use millrace_engine::{DataType, Expr, Limit, Literal};

use super::expr::{Bound, ExprBinder, call, negated_if, no_operator};
use super::scope::fold_name;
use super::typed::Typed;
use super::types::display_known;
use crate::error::SqlError;
use crate::functions::{self, numeric_type};
use crate::text_form::IntervalField;

/// LIKE, ILIKE or a match of a regular expression: the operators that they stand for, and the function of the table.
pub(super) struct LikeOperator {
    symbol: &'static str,
    negated: &'static str,
    function: &'static str,
}

pub(super) const LIKE: LikeOperator = LikeOperator { symbol: "~~", negated: "!~~", function: "like" };
pub(super) const ILIKE: LikeOperator = LikeOperator { symbol: "~~*", negated: "!~~*", function: "ilike" };

pub(super) const SIMILAR: LikeOperator = LikeOperator { symbol: "~", negated: "!~", function: "similar_to" };
pub(super) const REGEX: LikeOperator = LikeOperator { symbol: "~", negated: "!~", function: "matches" };
pub(super) const REGEX_ANY_CASE: LikeOperator =
    LikeOperator { symbol: "~*", negated: "!~*", function: "matches_any_case" };

/// The operator that `OPERATOR(pg_catalog.sign)` names.
pub(super) fn qualified_operator(parts: &[String]) -> Option<ast::BinaryOperator> {
    use ast::BinaryOperator as Sql;
    let sign = match parts {
        [sign] => sign,
        [schema, sign] if schema.eq_ignore_ascii_case("pg_catalog") => sign,
        _ => return None,
    };
    Some(match sign.as_str() {
        "~" => Sql::PGRegexMatch,
        "!~" => Sql::PGRegexNotMatch,
        "~*" => Sql::PGRegexIMatch,
        "!~*" => Sql::PGRegexNotIMatch,
        "~~" => Sql::PGLikeMatch,
        "!~~" => Sql::PGNotLikeMatch,
        "=" => Sql::Eq,
        "<>" => Sql::NotEq,
        "<" => Sql::Lt,
        "<=" => Sql::LtEq,
        ">" => Sql::Gt,
        ">=" => Sql::GtEq,
        _ => return None,
    })
}

/// The field that qualifies an interval.
fn interval_field(field: &ast::DateTimeField) -> Option<IntervalField> {
    use ast::DateTimeField as Sql;
    Some(match field {
        Sql::Year | Sql::Years => IntervalField::Year,
        Sql::Month | Sql::Months => IntervalField::Month,
        Sql::Day | Sql::Days => IntervalField::Day,
        Sql::Hour | Sql::Hours => IntervalField::Hour,
        Sql::Minute | Sql::Minutes => IntervalField::Minute,
        Sql::Second | Sql::Seconds => IntervalField::Second,
        _ => return None,
    })
}

impl ExprBinder<'_> {
    pub(super) fn like(
        &self,
        operator: &LikeOperator,
        negated: bool,
        text: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::ValueWithSpan>,
    ) -> Bound {
        let (text, mut operands) = (self.bind(text)?, vec![self.bind(pattern)?]);
        // A pattern of SIMILAR TO becomes one of `~`, which is a text.
        let pattern_type =
            operands[0].data_type().or((operator.function == SIMILAR.function).then_some(DataType::Text));
        let types = [text.data_type(), pattern_type];
        let is_text = |known: &DataType| matches!(known, DataType::Text | DataType::Char);
        if !types.iter().flatten().all(is_text) {
            return Err(no_operator(if negated { operator.negated } else { operator.symbol }, &types));
        }
        operands.extend(escape.map(|escape| self.value(&escape.value)).transpose()?);
        let mut arguments = vec![match text {
            // The blanks that fill up a char count here.
            Typed::Known(expr, DataType::Limited(Limit::Char(_))) => expr,
            text => self.parameters.as_type(text, DataType::Text)?,
        }];
        arguments.extend(self.all_as(operands, DataType::Text)?);
        Ok(Typed::boolean(negated_if(negated, call(operator.function, arguments, DataType::Boolean))))
    }

    /// `text COLLATE name`: the collations whose order is that of the bytes, as ours always is.
    pub(super) fn collate(&self, text: &ast::Expr, collation: &ast::ObjectName) -> Bound {
        let typed = self.bind(text)?;
        match typed.data_type() {
            None | Some(DataType::Text | DataType::Char) => {}
            other => {
                let message = format!("collations are not supported by type {}", display_known(other));
                return Err(SqlError::new("42804", message));
            }
        }
        let name = fold_name(collation);
        match name.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["default" | "C" | "POSIX" | "ucs_basic"]
            | ["pg_catalog", "default" | "C" | "POSIX" | "ucs_basic"] => Ok(typed),
            _ => Err(SqlError::unsupported(format_args!("collation {}", name.join(".")))),
        }
    }

    /// `trim([LEADING | TRAILING | BOTH] [characters FROM] text)`, `trim(text, characters)`
    pub(super) fn trim(
        &self,
        side: Option<ast::TrimWhereField>,
        characters: Option<&ast::Expr>,
        text: &ast::Expr,
        list: Option<&[ast::Expr]>,
    ) -> Bound {
        let name = match side {
            None | Some(ast::TrimWhereField::Both) => "btrim",
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
        };
        let arguments: Vec<&ast::Expr> =
            std::iter::once(text).chain(characters).chain(list.into_iter().flatten()).collect();
        self.plain_call(name, &arguments)
    }

    /// `INTERVAL 'text' [field [TO field]]`
    pub(super) fn interval(&self, interval: &ast::Interval) -> Bound {
        let refused = || SqlError::unsupported(format_args!("the expression {interval}"));
        if interval.leading_precision.is_some() || interval.fractional_seconds_precision.is_some() {
            return Err(refused());
        }
        let text = match interval.value.as_ref() {
            ast::Expr::Value(value) => value.value.clone().into_string().ok_or_else(refused)?,
            _ => return Err(refused()),
        };
        let parsed = match interval.last_field.as_ref().or(interval.leading_field.as_ref()) {
            None => crate::text_form::parse_interval(&text)?,
            Some(field) => {
                let field = interval_field(field).ok_or_else(refused)?;
                crate::text_form::parse_interval_of(&text, field)?
            }
        };
        Ok(Typed::literal(parsed.literal()))
    }

    pub(super) fn extract(&self, field: &str, expr: &ast::Expr) -> Bound {
        let field = field.to_lowercase();
        let operand = self.bind(expr)?;
        match operand.data_type() {
            Some(DataType::Timestamp | DataType::TimestampTz | DataType::Date) => {}
            Some(DataType::Time | DataType::Interval) => {}
            None => {
                return Err(SqlError::new(
                    "42725",
                    "function pg_catalog.extract(unknown, unknown) is not unique",
                ));
            }
            other => {
                let signature = format!("pg_catalog.extract(unknown, {})", display_known(other));
                return Err(SqlError::new("42883", format!("function {signature} does not exist")));
            }
        }
        let own = operand.data_type().unwrap_or(DataType::Timestamp);
        let data_type =
            numeric_type(if own == DataType::Date { 0 } else { functions::extract_scale(&field) });
        let operand = self.parameters.as_type(operand, own)?;
        let mut arguments = vec![Expr::Literal(Literal::Text(field)), operand];
        let name = match own {
            DataType::TimestampTz => {
                arguments.push(self.parameters.zone_name());
                "extract_in_zone"
            }
            _ => "extract",
        };
        Ok(Typed::Known(call(name, arguments, data_type), data_type))
    }

    /// `(start, end) OVERLAPS (start, end)`; an end may be an interval from the start on.
    pub(super) fn overlaps(&self, left: &ast::Expr, right: &ast::Expr) -> Bound {
        let ends = |side: &ast::Expr, which: &str| match side {
            ast::Expr::Tuple(ends) if ends.len() == 2 => Ok([self.bind(&ends[0])?, self.bind(&ends[1])?]),
            ast::Expr::Tuple(_) => {
                let message = format!("wrong number of parameters on {which} side of OVERLAPS expression");
                Err(SqlError::new("42601", message))
            }
            _ => Err(SqlError::new("42601", "syntax error at or near \"OVERLAPS\"")),
        };
        let mut operands = Vec::new();
        for [start, end] in [ends(left, "left")?, ends(right, "right")?] {
            let end = match end.data_type() {
                Some(DataType::Interval) => self.operator_of("add", "+", vec![start.clone(), end])?,
                _ => end,
            };
            operands.extend([start, end]);
        }
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let missing = || super::function::no_function("pg_catalog.overlaps", &types);
        let common = functions::common_type(&types).map_err(|_| missing())?;
        let common = match common {
            DataType::Date => DataType::Timestamp,
            DataType::Timestamp | DataType::TimestampTz | DataType::Time => common,
            _ if types.iter().all(Option::is_none) => {
                return Err(super::function::ambiguous_function("pg_catalog.overlaps", &types));
            }
            _ => return Err(missing()),
        };
        let arguments = self.all_as(operands, common)?;
        Ok(Typed::boolean(call("overlaps", arguments, DataType::Boolean)))
    }

    /// `to_char(number, pattern)`: from the number's text. `None` where it is no number.
    pub(super) fn number_as_text(&self, number: Typed, pattern: &ast::Expr) -> Option<Bound> {
        let name = match number.data_type()? {
            DataType::Int16 | DataType::Int32 => "to_char_integer",
            DataType::Int64 | DataType::Numeric { .. } | DataType::Decimal => "to_char_numeric",
            DataType::Float32 => "to_char_real",
            DataType::Float64 => "to_char_double",
            _ => return None,
        };
        let bound = self.bind(pattern).and_then(|pattern| {
            let arguments = self.all_as(vec![number, pattern], DataType::Text)?;
            Ok(Typed::Known(call(name, arguments, DataType::Text), DataType::Text))
        });
        Some(bound)
    }

    /// `to_number(text, pattern)`: the number that the text is by the pattern, with the digits that were read.
    pub(super) fn to_number(&self, text: &ast::Expr, pattern: &ast::Expr) -> Bound {
        let operands = vec![self.bind(text)?, self.bind(pattern)?];
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        if !types.iter().flatten().all(|known| matches!(known, DataType::Text | DataType::Char)) {
            return Err(super::function::no_function("to_number", &types));
        }
        let arguments = self.all_as(operands, DataType::Text)?;
        let number = call("to_number", arguments, DataType::Text);
        Ok(Typed::Known(Expr::Cast { input: Box::new(number), to: DataType::Decimal }, DataType::Decimal))
    }
}
