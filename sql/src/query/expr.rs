//! Scalar expressions: from the parser's tree to the engine's, with types and names resolved.
//!
//! The rules are PostgreSQL's: integer literals are int4 where they fit, operators and functions
//! are looked up in our function table, casts are those of pg_cast.

use std::cell::{Cell, RefCell};

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, CaseWhen, UnaryOperator, Value};
use millrace_engine::{Aggregate, DataType, Decimal, Expr, Literal, SetCall};

use super::binder::Binder;
use super::catalog_function::{OidType, catalog_type};
use super::exprs::conjuncts;
use super::forms::{ILIKE, LIKE, REGEX, REGEX_ANY_CASE, SIMILAR, qualified_operator};
use super::scope::{Scope, TableName, fold};
use super::subquery::Subqueries;
use super::surroundings::{Environment, Outer};
use super::typed::{ParameterTypes, Typed};
use super::types::{Named, display_known, named};
use super::unnest::Subquery;
use super::window::Windows;
use crate::error::SqlError;
use crate::functions::{self, common_type, resolve_operator};

/// While aggregates are collected, the column that stands for the n-th is this plus n: no input is
/// so wide.
pub(crate) const AGGREGATE_BASE: usize = 1 << 32;

/// Expressions nested deeper than this are refused, so that no walk over one exhausts the stack.
const DEPTH_MAX: usize = 200;

/// Where an expression stands.
pub(crate) struct ExprBinder<'a> {
    /// The columns that it may name.
    pub(crate) scope: &'a Scope,
    /// The statement's parameters.
    pub(crate) parameters: &'a ParameterTypes<'a>,
    /// Where aggregates are collected; `None` where they are not allowed.
    pub(crate) aggregates: Option<&'a RefCell<Vec<Aggregate>>>,
    /// Where window calls are collected; `None` where they are not allowed.
    pub(crate) windows: Option<&'a Windows<'a>>,
    /// Where calls that give rows are collected; `None` where they are not allowed.
    pub(crate) sets: Option<&'a RefCell<Vec<SetCall>>>,
    /// The clause, for messages: `WHERE`, `JOIN conditions`, ….
    pub(crate) clause: &'static str,
    /// What is around the query.
    pub(crate) outer: Option<Outer<'a>>,
    /// Where sub-queries are kept; `None` where they are not supported.
    pub(crate) subqueries: Option<Subqueries<'a>>,
    depth: Cell<usize>,
}

pub(super) type Bound = Result<Typed, SqlError>;

/// A call of the function table.
pub(crate) fn call(function: &str, arguments: Vec<Expr>, data_type: DataType) -> Expr {
    Expr::Call { function: function.to_owned(), version: functions::VERSION, arguments, data_type }
}

pub(super) fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

pub(super) fn negated_if(negated: bool, expr: Expr) -> Expr {
    if negated { not(expr) } else { expr }
}

impl<'a> ExprBinder<'a> {
    /// A binder over `scope` in which aggregates are not allowed.
    pub(crate) fn new(scope: &'a Scope, parameters: &'a ParameterTypes<'a>, clause: &'static str) -> Self {
        ExprBinder {
            scope,
            parameters,
            aggregates: None,
            windows: None,
            sets: None,
            clause,
            outer: None,
            subqueries: None,
            depth: Cell::new(0),
        }
    }

    /// The same with what is around its query in sight, keeping sub-queries.
    pub(crate) fn within(
        mut self,
        binder: &'a Binder<'a>,
        environment: &'a Environment<'a>,
        found: &'a RefCell<Vec<Subquery>>,
    ) -> Self {
        self.outer = environment.outer;
        self.subqueries = Some(Subqueries { binder, environment, found });
        self
    }

    /// The same with what another binder of the query sees, and keeping sub-queries with it.
    pub(crate) fn seeing(mut self, other: &ExprBinder<'a>) -> Self {
        (self.outer, self.subqueries) = (other.outer, other.subqueries);
        self
    }

    /// The same, collecting window calls.
    pub(crate) fn numbering(mut self, windows: &'a Windows<'a>) -> Self {
        self.windows = Some(windows);
        self
    }

    /// The same, collecting calls that give rows.
    pub(crate) fn giving_rows(mut self, sets: &'a RefCell<Vec<SetCall>>) -> Self {
        self.sets = Some(sets);
        self
    }

    /// The binder of what stands in OVER: aggregates are allowed there if they are here.
    pub(crate) fn in_window_definition(&self) -> Self {
        let inner = ExprBinder::new(self.scope, self.parameters, "window definitions").seeing(self);
        ExprBinder { aggregates: self.aggregates, ..inner }
    }

    /// The same, collecting aggregates.
    pub(crate) fn collecting(mut self, aggregates: &'a RefCell<Vec<Aggregate>>) -> Self {
        self.aggregates = Some(aggregates);
        self
    }

    /// Binds an expression.
    pub(crate) fn bind(&self, expr: &ast::Expr) -> Bound {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > DEPTH_MAX {
            return Err(SqlError::new("54001", "stack depth limit exceeded")
                .detail(format!("Expressions may be nested {DEPTH_MAX} deep.")));
        }
        let bound = self.bind_any(expr);
        self.depth.set(self.depth.get() - 1);
        bound
    }

    fn bind_any(&self, expr: &ast::Expr) -> Bound {
        use ast::Expr as Sql;
        match expr {
            Sql::Identifier(ident) => self.column(std::slice::from_ref(ident)),
            Sql::CompoundIdentifier(idents) => self.column(idents),
            Sql::Nested(inner) => self.bind(inner),
            Sql::Value(value) => self.value(&value.value),
            Sql::UnaryOp { op, expr } => self.unary(*op, expr),
            Sql::BinaryOp { left, op, right } => self.binary(left, op, right),
            Sql::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
                array: false,
            } => match (OidType::of(data_type), catalog_type(data_type)) {
                (Some(to), _) => self.oid_cast(expr, to),
                (None, Some(to)) => self.parameters.cast(self.bind(expr)?, to),
                (None, None) => self.cast(expr, named(data_type)?),
            },
            Sql::TypedString(typed) => {
                let text = typed.value.clone().into_string().unwrap_or_default();
                let to = match &typed.data_type {
                    // Before a constant it is any length.
                    ast::DataType::Char(None) | ast::DataType::Character(None) => Named::Type(DataType::Char),
                    other => named(other)?,
                };
                self.parameters.cast(Typed::Text(text), to)
            }
            Sql::IsNull(inner) => self.null_test(inner, false),
            Sql::IsNotNull(inner) => self.null_test(inner, true),
            Sql::IsTrue(inner) => self.is_value(inner, Literal::Boolean(true), false, "IS TRUE"),
            Sql::IsNotTrue(inner) => self.is_value(inner, Literal::Boolean(true), true, "IS NOT TRUE"),
            Sql::IsFalse(inner) => self.is_value(inner, Literal::Boolean(false), false, "IS FALSE"),
            Sql::IsNotFalse(inner) => self.is_value(inner, Literal::Boolean(false), true, "IS NOT FALSE"),
            Sql::IsUnknown(inner) => self.is_unknown(inner, false, "IS UNKNOWN"),
            Sql::IsNotUnknown(inner) => self.is_unknown(inner, true, "IS NOT UNKNOWN"),
            Sql::IsDistinctFrom(left, right) => self.compare("is_distinct_from", "=", left, right),
            Sql::IsNotDistinctFrom(left, right) => self.is_not_distinct(left, right),
            Sql::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            Sql::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Sql::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(&LIKE, *negated, expr, pattern, escape_char.as_ref())
            }
            Sql::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like(&ILIKE, *negated, expr, pattern, escape_char.as_ref())
            }
            Sql::SimilarTo { negated, expr, pattern, escape_char } => {
                self.like(&SIMILAR, *negated, expr, pattern, escape_char.as_ref())
            }
            Sql::Collate { expr, collation } => self.collate(expr, collation),
            Sql::Interval(interval) => self.interval(interval),
            Sql::AtTimeZone { timestamp, time_zone } => self.plain_call("timezone", &[time_zone, timestamp]),
            Sql::Position { expr, r#in } => self.plain_call("strpos", &[r#in, expr]),
            Sql::Trim { trim_where, trim_what, expr, trim_characters } => {
                self.trim(*trim_where, trim_what.as_deref(), expr, trim_characters.as_deref())
            }
            Sql::Case { operand, conditions, else_result, .. } => self
                .without_sets("CASE", || self.case(operand.as_deref(), conditions, else_result.as_deref())),
            Sql::Function(function) => self.function(function),
            Sql::Extract { field, expr, .. } => self.extract(&field.to_string(), expr),
            Sql::Ceil { expr, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                self.plain_call("ceil", &[expr])
            }
            Sql::Floor { expr, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                self.plain_call("floor", &[expr])
            }
            Sql::Substring { expr, substring_from, substring_for, shorthand, special: _ } => {
                let first = ast::Expr::Value(Value::Number("1".to_owned(), false).into());
                let from = substring_from.as_deref().unwrap_or(&first);
                let name = if *shorthand { "substr" } else { "substring" };
                match substring_for {
                    Some(count) => self.plain_call(name, &[expr, from, count]),
                    None => self.plain_call(name, &[expr, from]),
                }
            }
            Sql::Array(array) => self.array_constructor(&array.elem, None),
            Sql::CompoundFieldAccess { root, access_chain } => self.subscripted(root, access_chain),
            Sql::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments = vec![expr.as_ref(), overlay_what.as_ref(), overlay_from.as_ref()];
                arguments.extend(overlay_for.as_deref());
                self.plain_call("overlay", &arguments)
            }
            Sql::Subquery(query) => self.scalar_subquery(query),
            Sql::Exists { subquery, negated } => self.exists(subquery, *negated),
            Sql::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated),
            Sql::AnyOp { left, compare_op, right, is_some: _ } => {
                self.quantified(left, compare_op, right, false)
            }
            Sql::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, true),
            other => Err(SqlError::unsupported(format_args!("the expression {other}"))),
        }
    }

    /// A cast; of ARRAY[…] it is one of its elements.
    fn cast(&self, expr: &ast::Expr, to: Named) -> Bound {
        match (expr, to) {
            (ast::Expr::Array(array), Named::Type(DataType::Array(element))) => {
                self.array_constructor(&array.elem, Some(element))
            }
            _ => self.parameters.cast(self.bind(expr)?, to),
        }
    }

    /// Binds expressions in order.
    pub(crate) fn bind_all(&self, exprs: &[&ast::Expr]) -> Result<Vec<Typed>, SqlError> {
        exprs.iter().map(|expr| self.bind(expr)).collect()
    }

    /// Binds what must be boolean; `what` names it in the message, e.g. `argument of WHERE`.
    pub(crate) fn bind_boolean(&self, expr: &ast::Expr, what: &str) -> Result<Expr, SqlError> {
        let typed = self.bind(expr)?;
        match typed.data_type() {
            None | Some(DataType::Boolean) => self.parameters.as_type(typed, DataType::Boolean),
            other => Err(SqlError::new(
                "42804",
                format!("{what} must be type boolean, not type {}", display_known(other)),
            )),
        }
    }

    /// Binds a condition and splits it into its conjuncts.
    pub(crate) fn bind_conjuncts(&self, expr: &ast::Expr, what: &str) -> Result<Vec<Expr>, SqlError> {
        Ok(conjuncts(self.bind_boolean(expr, what)?))
    }

    fn column(&self, idents: &[ast::Ident]) -> Bound {
        let own = self.own_column(idents);
        let missing = match own {
            Ok(Some(typed)) => return Ok(typed),
            Ok(None) => None,
            // A table or a column that is not here may be further out.
            Err(error) if error.sqlstate == "42P01" => Some(error),
            Err(error) => return Err(error),
        };
        if let [name] = idents
            && name.quote_style.is_none()
        {
            let word = fold(name);
            if super::function::is_now(&word) {
                return self.now(&word);
            }
            if let Some(value) = self.of_session(&word, &[]) {
                return value;
            }
        }
        if let Some(outer) = &self.outer
            && let Some(typed) = outer.column(idents)?
        {
            return Ok(typed);
        }
        let error =
            missing.unwrap_or_else(|| self.scope.missing(&idents.last().map(fold).unwrap_or_default()));
        Err(match &self.outer {
            Some(outer) => outer.explain_missing(idents, error),
            None => error,
        })
    }

    /// The column of a name among the query's own; `None` for an unqualified name that is none.
    fn own_column(&self, idents: &[ast::Ident]) -> Result<Option<Typed>, SqlError> {
        let named = TableName::and_column(idents);
        if let Some((table, name)) = &named
            && name == "tableoid"
            && let Some(oid) = self.scope.table_oid(table.as_ref())
        {
            return Ok(Some(Typed::literal(Literal::Int64(oid))));
        }
        let column = match named {
            Some((None, name)) => match self.scope.find(&name)? {
                Some(column) => column,
                None => return Ok(None),
            },
            Some((Some(table), name)) => self.scope.resolve_qualified(&table, &name)?,
            None => {
                let name = idents.iter().map(fold).collect::<Vec<_>>().join(".");
                return Err(SqlError::new("42P01", format!("missing FROM-clause entry for \"{name}\"")));
            }
        };
        Ok(Some(Typed::Known(Expr::Column(column.position), column.data_type)))
    }

    pub(super) fn value(&self, value: &Value) -> Bound {
        Ok(match value {
            Value::Number(digits, _) => Typed::literal(number(digits)?),
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text)
            | Value::NationalStringLiteral(text) => Typed::Text(text.clone()),
            Value::DollarQuotedString(quoted) => Typed::Text(quoted.value.clone()),
            Value::Boolean(value) => Typed::literal(Literal::Boolean(*value)),
            Value::Null => Typed::Null,
            Value::Placeholder(name) => {
                let index = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
                match index {
                    Some(index @ 1..=65_535) => self.parameters.get(index - 1)?,
                    _ => return Err(SqlError::new("42P02", format!("there is no parameter {name}"))),
                }
            }
            other => return Err(SqlError::unsupported(format_args!("the literal {other}"))),
        })
    }

    fn unary(&self, op: UnaryOperator, expr: &ast::Expr) -> Bound {
        // The parser binds a sign to all of a power, PostgreSQL to its base.
        if let (
            UnaryOperator::Minus,
            ast::Expr::BinaryOp { left, op: power @ BinaryOperator::PGExp, right },
        ) = (op, expr)
        {
            let base = ast::Expr::UnaryOp { op, expr: left.clone() };
            return self.binary(&base, power, right);
        }
        match op {
            UnaryOperator::Not => Ok(Typed::boolean(not(self.bind_boolean(expr, "argument of NOT")?))),
            UnaryOperator::Minus => match self.bind(expr)? {
                Typed::Known(Expr::Literal(literal), _) if negated(&literal).is_some() => {
                    Ok(Typed::literal(negated(&literal).unwrap_or(literal)))
                }
                operand => self.operator("negate", "-", vec![operand]),
            },
            UnaryOperator::Plus => {
                let operand = self.bind(expr)?;
                match operand.data_type() {
                    Some(data_type) if resolve_operator("negate", &[Some(data_type)]).is_ok() => Ok(operand),
                    _ => Err(no_operator("+", &[operand.data_type()])),
                }
            }
            UnaryOperator::BitwiseNot => self.prefixed("~", "~", expr),
            UnaryOperator::PGAbs => self.prefixed("abs", "@", expr),
            UnaryOperator::PGSquareRoot => self.prefixed("sqrt", "|/", expr),
            UnaryOperator::PGCubeRoot => self.prefixed("cbrt", "||/", expr),
            other => Err(SqlError::unsupported(format_args!("operator {other}"))),
        }
    }

    fn prefixed(&self, name: &str, symbol: &str, expr: &ast::Expr) -> Bound {
        let operand = self.bind(expr)?;
        self.operator(name, symbol, vec![operand])
    }

    fn binary(&self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr) -> Bound {
        match op {
            BinaryOperator::And | BinaryOperator::Or => self.junction(op, left, right),
            BinaryOperator::Eq => self.compare("equal", "=", left, right),
            BinaryOperator::NotEq => self.compare("not_equal", "<>", left, right),
            BinaryOperator::Lt => self.compare("less", "<", left, right),
            BinaryOperator::LtEq => self.compare("less_equal", "<=", left, right),
            BinaryOperator::Gt => self.compare("greater", ">", left, right),
            BinaryOperator::GtEq => self.compare("greater_equal", ">=", left, right),
            BinaryOperator::Plus => self.arithmetic("add", "+", left, right),
            BinaryOperator::Minus => self.arithmetic("subtract", "-", left, right),
            BinaryOperator::Multiply => self.arithmetic("multiply", "*", left, right),
            BinaryOperator::Divide => self.arithmetic("divide", "/", left, right),
            BinaryOperator::Modulo => self.arithmetic("modulo", "%", left, right),
            BinaryOperator::StringConcat => self.concat(left, right),
            BinaryOperator::BitwiseAnd => self.arithmetic("&", "&", left, right),
            BinaryOperator::BitwiseOr => self.arithmetic("|", "|", left, right),
            BinaryOperator::PGBitwiseXor => self.arithmetic("#", "#", left, right),
            BinaryOperator::PGBitwiseShiftLeft => self.arithmetic("<<", "<<", left, right),
            BinaryOperator::PGBitwiseShiftRight => self.arithmetic(">>", ">>", left, right),
            BinaryOperator::Arrow => self.arithmetic("->", "->", left, right),
            BinaryOperator::LongArrow => self.arithmetic("->>", "->>", left, right),
            BinaryOperator::AtArrow => self.containment("@>", left, right),
            BinaryOperator::ArrowAt => self.containment("<@", left, right),
            BinaryOperator::PGOverlap => self.containment("&&", left, right),
            BinaryOperator::HashArrow => self.arithmetic("#>", "#>", left, right),
            BinaryOperator::HashLongArrow => self.arithmetic("#>>", "#>>", left, right),
            BinaryOperator::HashMinus => self.arithmetic("#-", "#-", left, right),
            BinaryOperator::QuestionAnd => self.arithmetic("?&", "?&", left, right),
            BinaryOperator::QuestionPipe => self.arithmetic("?|", "?|", left, right),
            BinaryOperator::Question => self.arithmetic("?", "?", left, right),
            BinaryOperator::Overlaps => self.overlaps(left, right),
            BinaryOperator::PGExp => self.arithmetic("power", "^", left, right),
            BinaryOperator::PGLikeMatch => self.like(&LIKE, false, left, right, None),
            BinaryOperator::PGNotLikeMatch => self.like(&LIKE, true, left, right, None),
            BinaryOperator::PGILikeMatch => self.like(&ILIKE, false, left, right, None),
            BinaryOperator::PGNotILikeMatch => self.like(&ILIKE, true, left, right, None),
            BinaryOperator::PGRegexMatch => self.like(&REGEX, false, left, right, None),
            BinaryOperator::PGRegexNotMatch => self.like(&REGEX, true, left, right, None),
            BinaryOperator::PGRegexIMatch => self.like(&REGEX_ANY_CASE, false, left, right, None),
            BinaryOperator::PGRegexNotIMatch => self.like(&REGEX_ANY_CASE, true, left, right, None),
            BinaryOperator::PGCustomBinaryOperator(parts) => match qualified_operator(parts) {
                Some(operator) => self.binary(left, &operator, right),
                None => Err(SqlError::unsupported(format_args!("operator {op}"))),
            },
            other => Err(SqlError::unsupported(format_args!("operator {other}"))),
        }
    }

    /// A chain of ANDs or ORs, which the parser nests to the left: flattened without recursion.
    fn junction(&self, op: &BinaryOperator, left: &ast::Expr, right: &ast::Expr) -> Bound {
        let mut terms = vec![right];
        let mut rest = left;
        while let ast::Expr::BinaryOp { left, op: inner, right } = rest {
            if inner != op {
                break;
            }
            terms.push(right);
            rest = left;
        }
        terms.push(rest);
        let what = format!("argument of {op}");
        let terms =
            terms.into_iter().rev().map(|term| self.bind_boolean(term, &what)).collect::<Result<_, _>>()?;
        Ok(Typed::boolean(if *op == BinaryOperator::And { Expr::And(terms) } else { Expr::Or(terms) }))
    }

    fn arithmetic(&self, name: &str, symbol: &str, left: &ast::Expr, right: &ast::Expr) -> Bound {
        let operands = vec![self.bind(left)?, self.bind(right)?];
        self.operator(name, symbol, operands)
    }

    /// `@> <@ &&`: of arrays, or of jsonb.
    fn containment(&self, sign: &str, left: &ast::Expr, right: &ast::Expr) -> Bound {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        match self.array_operator(sign, left.clone(), right.clone()) {
            Some(bound) => bound,
            None => self.operator(sign, sign, vec![left, right]),
        }
    }

    /// An operator of the function table.
    pub(super) fn operator_of(&self, name: &str, symbol: &str, operands: Vec<Typed>) -> Bound {
        self.operator(name, symbol, operands)
    }

    fn operator(&self, name: &str, symbol: &str, operands: Vec<Typed>) -> Bound {
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let function = resolve_operator(name, &types).map_err(|unresolved| match unresolved {
            functions::Unresolved::Missing => no_operator(symbol, &types),
            functions::Unresolved::Ambiguous => ambiguous_operator(symbol, &types),
        })?;
        self.call_of(function, operands)
    }

    /// `a || b`: text, or text with the text form of anything.
    fn concat(&self, left: &ast::Expr, right: &ast::Expr) -> Bound {
        let operands = vec![self.bind(left)?, self.bind(right)?];
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        if types.iter().any(|known| matches!(known, Some(DataType::Array(_)))) {
            let [left, right] = <[Typed; 2]>::try_from(operands).map_err(|_| no_operator("||", &types))?;
            return self.array_concat(left, right);
        }
        // With a literal beside it, bytes are joined with bytes, and JSON with JSON; beside a text they become one.
        let joins_itself =
            |known: &Option<DataType>| matches!(known, Some(DataType::Bytea | DataType::Jsonb));
        if types.iter().any(joins_itself) && !types.contains(&Some(DataType::Text)) {
            return self.operator("concat", "||", operands);
        }
        if types.iter().all(|known| known.is_some_and(|known| known != DataType::Text)) {
            return Err(no_operator("||", &types));
        }
        let arguments = operands
            .into_iter()
            .map(|operand| self.parameters.as_type(operand, DataType::Text))
            .collect::<Result<_, _>>()?;
        Ok(Typed::Known(call("concat", arguments, DataType::Text), DataType::Text))
    }

    fn case(
        &self,
        operand: Option<&ast::Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&ast::Expr>,
    ) -> Bound {
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let mut whens = Vec::new();
        let mut results = Vec::new();
        for CaseWhen { condition, result } in conditions {
            whens.push(match &operand {
                None => self.bind_boolean(condition, "argument of CASE/WHEN")?,
                Some(operand) => self.comparison("equal", "=", operand.clone(), self.bind(condition)?)?,
            });
            results.push(self.bind(result)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.bind(otherwise)?);
        }
        // The result of ELSE is the first to be matched.
        let from_else = results[whens.len()..].iter().chain(&results[..whens.len()]);
        let data_type = matched_type("CASE", from_else)?;
        let mut results = self.all_as(results, data_type)?;
        let otherwise = (results.len() > whens.len()).then(|| results.pop().map(Box::new)).flatten();
        let branches = whens.into_iter().zip(results).collect();
        Ok(Typed::Known(Expr::Case { branches, otherwise, data_type }, data_type))
    }

    /// All operands as one type.
    pub(crate) fn all_as(&self, operands: Vec<Typed>, to: DataType) -> Result<Vec<Expr>, SqlError> {
        operands.into_iter().map(|operand| self.parameters.as_type(operand, to)).collect()
    }
}

/// The one type of the operand and the items of IN.
pub(super) fn common_of_list(types: &[Option<DataType>]) -> Result<DataType, SqlError> {
    let common = common_type(types).map_err(|(left, right)| no_operator("=", &[Some(left), Some(right)]))?;
    if common == DataType::Json { Err(no_operator("=", &types[..types.len().min(2)])) } else { Ok(common) }
}

/// The common type of the results of a construct, which the message names.
pub(crate) fn matched_type<'t>(
    construct: &str,
    operands: impl IntoIterator<Item = &'t Typed>,
) -> Result<DataType, SqlError> {
    let types: Vec<_> = operands.into_iter().map(Typed::full_type).collect();
    common_type(&types).map_err(|(left, right)| unmatched(construct, left, right))
}

/// 42804: two types of a construct that cannot be matched.
pub(crate) fn unmatched(construct: &str, left: DataType, right: DataType) -> SqlError {
    let (left, right) = (display_known(Some(left)), display_known(Some(right)));
    SqlError::new("42804", format!("{construct} types {left} and {right} cannot be matched"))
}

/// An unquoted number: int4 where it fits, else int8, else numeric.
fn number(digits: &str) -> Result<Literal, SqlError> {
    if let Ok(value) = digits.parse::<i32>() {
        return Ok(Literal::Int32(value));
    }
    if let Ok(value) = digits.parse::<i64>() {
        return Ok(Literal::Int64(value));
    }
    Ok(crate::text_form::parse_digits(digits)?)
}

/// The negated literal, for numbers that have one.
fn negated(literal: &Literal) -> Option<Literal> {
    Some(match literal {
        Literal::Int32(value) => Literal::Int32(value.checked_neg()?),
        Literal::Int64(value) => Literal::Int64(value.checked_neg()?),
        Literal::Numeric { value, precision, scale } => {
            Literal::Numeric { value: value.checked_neg()?, precision: *precision, scale: *scale }
        }
        Literal::Decimal(stored) => match Decimal::decode(stored)? {
            Decimal::Number { unscaled, scale } => Literal::Decimal(Decimal::new(-unscaled, scale).encode()),
            _ => return None,
        },
        Literal::Null(_)
        | Literal::Boolean(_)
        | Literal::Float64(_)
        | Literal::Text(_)
        | Literal::Timestamp(_)
        | Literal::Date(_)
        | Literal::Interval { .. }
        | Literal::Int16(_)
        | Literal::Float32(_)
        | Literal::TimestampTz(_)
        | Literal::Uuid(_)
        | Literal::Bytea(_)
        | Literal::Time(_)
        | Literal::Json(_)
        | Literal::Jsonb(_)
        | Literal::Array { .. } => return None,
    })
}

/// An operator with its operands' types, as messages show it.
fn operator_signature(symbol: &str, types: &[Option<DataType>]) -> String {
    match types {
        [one] => format!("{symbol} {}", display_known(*one)),
        [left, right] => format!("{} {symbol} {}", display_known(*left), display_known(*right)),
        _ => symbol.to_owned(),
    }
}

pub(super) fn no_operator(symbol: &str, types: &[Option<DataType>]) -> SqlError {
    SqlError::new("42883", format!("operator does not exist: {}", operator_signature(symbol, types))).hint(
        "No operator matches the given name and argument types. You might need to add explicit type casts.",
    )
}

fn ambiguous_operator(symbol: &str, types: &[Option<DataType>]) -> SqlError {
    SqlError::new("42725", format!("operator is not unique: {}", operator_signature(symbol, types)))
        .hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
}
