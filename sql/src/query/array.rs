//! Arrays in expressions: ARRAY[…], subscripts, ANY and ALL of an array, and the functions whose types follow from
//! their arguments'.

use datafusion::sql::sqlparser::ast;
use millrace_engine::{Array, DataType, Element, Expr, Literal};

use super::expr::{Bound, ExprBinder, call, matched_type, no_operator};
use super::typed::Typed;
use super::types::display;
use crate::error::SqlError;
use crate::functions::{common_type, comparison_type};
use crate::text_form::stored_array;

/// What arrays are of whose elements have this type.
///
/// # Errors
/// 0A000
pub(super) fn element_of(data_type: DataType) -> Result<Element, SqlError> {
    Element::of(data_type)
        .or_else(|| Element::of(data_type.base()))
        .ok_or_else(|| SqlError::unsupported(format_args!("an array of type {}", display(data_type))))
}

/// The type of a function's argument or result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Array,
    Element,
    Int,
    Text,
    Ints,
    Texts,
    Boolean,
}

use Part::{Boolean, Element as One, Int, Ints, Text, Texts};

/// Functions of arrays: name, arguments, result.
const FUNCTIONS: &[(&str, &[Part], Part)] = &[
    ("array_append", &[Part::Array, One], Part::Array),
    ("array_cat", &[Part::Array, Part::Array], Part::Array),
    ("array_dims", &[Part::Array], Text),
    ("array_fill", &[One, Ints], Part::Array),
    ("array_fill", &[One, Ints, Ints], Part::Array),
    ("array_length", &[Part::Array, Int], Int),
    ("array_lower", &[Part::Array, Int], Int),
    ("array_ndims", &[Part::Array], Int),
    ("array_position", &[Part::Array, One], Int),
    ("array_position", &[Part::Array, One, Int], Int),
    ("array_positions", &[Part::Array, One], Ints),
    ("array_prepend", &[One, Part::Array], Part::Array),
    ("array_remove", &[Part::Array, One], Part::Array),
    ("array_replace", &[Part::Array, One, One], Part::Array),
    ("array_to_string", &[Part::Array, Text], Text),
    ("array_to_string", &[Part::Array, Text, Text], Text),
    ("array_upper", &[Part::Array, Int], Int),
    ("cardinality", &[Part::Array], Int),
    ("string_to_array", &[Text, Text], Texts),
    ("string_to_array", &[Text, Text, Text], Texts),
];

/// Operators between arrays: sign, the function that they are, result.
const OPERATORS: &[(&str, &str, Part)] = &[
    ("@>", "array_contains", Boolean),
    ("<@", "array_contained", Boolean),
    ("&&", "array_overlaps", Boolean),
];

impl Part {
    fn data_type(self, element: Element) -> DataType {
        match self {
            Part::Array => DataType::Array(element),
            Part::Element => element.data_type(),
            Part::Int => DataType::Int32,
            Part::Text => DataType::Text,
            Part::Ints => DataType::Array(Element::Int32),
            Part::Texts => DataType::Array(Element::Text),
            Part::Boolean => DataType::Boolean,
        }
    }
}

/// Whether an operand is an array.
fn is_array(data_type: Option<DataType>) -> bool {
    matches!(data_type, Some(DataType::Array(_)))
}

impl ExprBinder<'_> {
    /// `ARRAY[…]`, with the type of its elements where a cast says it.
    pub(super) fn array_constructor(&self, items: &[ast::Expr], wanted: Option<Element>) -> Bound {
        let inner = |item: &ast::Expr| match item {
            ast::Expr::Array(inner) => self.array_constructor(&inner.elem, wanted),
            other => self.bind(other),
        };
        let operands = items.iter().map(inner).collect::<Result<Vec<_>, SqlError>>()?;
        let element = match (operands.is_empty(), wanted) {
            (_, Some(element)) => element,
            (true, None) => {
                return Err(SqlError::new("42P18", "cannot determine type of empty array")
                    .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
            }
            (false, None) => match matched_type("ARRAY", &operands)? {
                DataType::Array(element) => element,
                other => element_of(other)?,
            },
        };
        let nested = operands.iter().any(|operand| is_array(operand.data_type()));
        let to = if nested { DataType::Array(element) } else { element.data_type() };
        let mut values = Vec::with_capacity(operands.len());
        for operand in operands {
            values.push(match wanted {
                Some(_) => self.cast_to(operand, to)?,
                None => self.parameters.as_type(operand, to)?,
            });
        }
        if values.is_empty() {
            let empty = Array::flat(element, Vec::new());
            return Ok(Typed::literal(Literal::Array { element, bytes: empty.encode() }));
        }
        let data_type = DataType::Array(element);
        Ok(Typed::Known(call("array", values, data_type), data_type))
    }

    fn cast_to(&self, operand: Typed, to: DataType) -> Result<Expr, SqlError> {
        match self.parameters.cast(operand, super::types::Named::Type(to))? {
            Typed::Known(expr, _) => Ok(expr),
            other => self.parameters.as_type(other, to),
        }
    }

    /// `value[…]`: of an array its element or a part of it; of jsonb as `->`.
    pub(super) fn subscripted(&self, root: &ast::Expr, chain: &[ast::AccessExpr]) -> Bound {
        // The parser takes the column of `table.column[…]` for a part of the table.
        let named = match (root, chain) {
            (ast::Expr::Identifier(table), [ast::AccessExpr::Dot(ast::Expr::Identifier(column)), ..]) => {
                Some(ast::Expr::CompoundIdentifier(vec![table.clone(), column.clone()]))
            }
            _ => None,
        };
        let value = self.bind(named.as_ref().unwrap_or(root))?;
        let mut subscripts = Vec::new();
        for access in chain.iter().skip(usize::from(named.is_some())) {
            match access {
                ast::AccessExpr::Subscript(subscript) => subscripts.push(subscript),
                ast::AccessExpr::Dot(_) => return Err(SqlError::unsupported("a field of a composite value")),
            }
        }
        match value.data_type() {
            Some(DataType::Array(element)) => self.element_or_slice(value, element, &subscripts),
            Some(DataType::Jsonb) => {
                subscripts.into_iter().try_fold(value, |value, subscript| match subscript {
                    ast::Subscript::Index { index } => {
                        self.operator_of("->", "->", vec![value, self.bind(index)?])
                    }
                    ast::Subscript::Slice { .. } => {
                        Err(SqlError::new("42804", "jsonb subscript does not support slices"))
                    }
                })
            }
            other => {
                let name = super::types::display_known(other);
                let message =
                    format!("cannot subscript type {name} because it does not support subscripting");
                Err(SqlError::new("42804", message))
            }
        }
    }

    fn element_or_slice(&self, value: Typed, element: Element, subscripts: &[&ast::Subscript]) -> Bound {
        let data_type = DataType::Array(element);
        let mut arguments = vec![self.parameters.as_type(value, data_type)?];
        let is_slice = subscripts.iter().any(|subscript| matches!(subscript, ast::Subscript::Slice { .. }));
        let bound = |expr: Option<&ast::Expr>, open: i32| match expr {
            Some(expr) => self.subscript_value(expr),
            None => Ok(Expr::Literal(Literal::Int32(open))),
        };
        for subscript in subscripts {
            match subscript {
                ast::Subscript::Index { index } if is_slice => {
                    // One number among slices is the end of one that begins at 1.
                    arguments.push(Expr::Literal(Literal::Int32(1)));
                    arguments.push(self.subscript_value(index)?);
                }
                ast::Subscript::Index { index } => arguments.push(self.subscript_value(index)?),
                ast::Subscript::Slice { lower_bound, upper_bound, stride: None } => {
                    arguments.push(bound(lower_bound.as_ref(), i32::MIN)?);
                    arguments.push(bound(upper_bound.as_ref(), i32::MAX)?);
                }
                ast::Subscript::Slice { .. } => return Err(SqlError::unsupported("a slice with a stride")),
            }
        }
        Ok(match is_slice {
            true => Typed::Known(call("array_slice", arguments, data_type), data_type),
            false => {
                let found = element.data_type();
                Typed::Known(call("array_subscript", arguments, found), found)
            }
        })
    }

    fn subscript_value(&self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        let typed = self.bind(expr)?;
        match typed.data_type() {
            None | Some(DataType::Int16 | DataType::Int32 | DataType::Int64) => {}
            Some(_) => return Err(SqlError::new("42804", "array subscript must have type integer")),
        }
        self.parameters.as_type(typed, DataType::Int32)
    }

    /// Two operands as arrays of one type; `None` where neither is one.
    fn both_arrays(
        &self,
        sign: &str,
        left: Typed,
        right: Typed,
    ) -> Result<Option<(Expr, Expr, Element)>, SqlError> {
        let types = [left.data_type(), right.data_type()];
        if !types.iter().any(|known| is_array(*known)) {
            return Ok(None);
        }
        let common = common_type(&types).map_err(|_| no_operator(sign, &types))?;
        let DataType::Array(element) = common else { return Err(no_operator(sign, &types)) };
        let left = self.parameters.as_type(left, common)?;
        Ok(Some((left, self.parameters.as_type(right, common)?, element)))
    }

    /// `@> <@ &&` between arrays; `None` where neither operand is one.
    pub(super) fn array_operator(&self, sign: &str, left: Typed, right: Typed) -> Option<Bound> {
        let (_, function, result) = OPERATORS.iter().find(|(known, _, _)| *known == sign)?;
        let arrays = self.both_arrays(sign, left, right);
        let bound = arrays.map(|arrays| {
            let (left, right, element) = arrays?;
            let data_type = result.data_type(element);
            Some(Typed::Known(call(function, vec![left, right], data_type), data_type))
        });
        bound.transpose()
    }

    /// `||` where an operand is an array: arrays are joined, a value is put before or behind.
    pub(super) fn array_concat(&self, left: Typed, right: Typed) -> Bound {
        let types = [left.data_type(), right.data_type()];
        let one = |array: Element, value: Option<DataType>| {
            let common =
                common_type(&[Some(array.data_type()), value]).map_err(|_| no_operator("||", &types))?;
            element_of(common)
        };
        let (function, element, parts) = match types {
            // What has no type is an array, as the other is.
            [Some(DataType::Array(own)), None] | [None, Some(DataType::Array(own))] => {
                ("array_cat", own, [Part::Array; 2])
            }
            [Some(DataType::Array(own)), Some(DataType::Array(other))] => {
                ("array_cat", one(own, Some(other.data_type()))?, [Part::Array; 2])
            }
            [Some(DataType::Array(own)), value] => ("array_append", one(own, value)?, [Part::Array, One]),
            [value, Some(DataType::Array(own))] => ("array_prepend", one(own, value)?, [One, Part::Array]),
            _ => return Err(no_operator("||", &types)),
        };
        let [left_part, right_part] = parts;
        let left = self.parameters.as_type(left, left_part.data_type(element))?;
        let right = self.parameters.as_type(right, right_part.data_type(element))?;
        let data_type = DataType::Array(element);
        Ok(Typed::Known(call(function, vec![left, right], data_type), data_type))
    }

    /// Binds a function of arrays; `None` where it is none for such arguments.
    pub(super) fn array_function(&self, name: &str, arguments: &[&ast::Expr]) -> Option<Bound> {
        let (_, parts, result) =
            FUNCTIONS.iter().find(|(known, parts, _)| *known == name && parts.len() == arguments.len())?;
        let operands = match self.bind_all(arguments) {
            Ok(operands) => operands,
            Err(error) => return Some(Err(error)),
        };
        let pairs = || operands.iter().map(Typed::data_type).zip(*parts);
        let of_array = pairs().find_map(|(known, part)| match (known, part) {
            (Some(DataType::Array(element)), Part::Array) => Some(element.data_type()),
            _ => None,
        });
        // Catalogs have texts in the place of arrays.
        let is_text = |(known, part): (Option<DataType>, &Part)| {
            *part == Part::Array && matches!(known, Some(DataType::Text))
        };
        if pairs().any(is_text) {
            return None;
        }
        let own = pairs().filter(|(_, part)| **part == One).map(|(known, _)| known);
        let types: Vec<_> = of_array.into_iter().map(Some).chain(own).collect();
        let is_of_elements = parts.iter().any(|part| matches!(part, Part::Array | One));
        Some(self.array_call(name, operands, parts, *result, if is_of_elements { &types } else { &[] }))
    }

    fn array_call(
        &self,
        name: &str,
        operands: Vec<Typed>,
        parts: &[Part],
        result: Part,
        types: &[Option<DataType>],
    ) -> Bound {
        let known: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let missing = || super::function::no_function(name, &known);
        if types.iter().all(Option::is_none) && !types.is_empty() {
            return Err(SqlError::new(
                "42804",
                "could not determine polymorphic type because input has type unknown",
            ));
        }
        let common = common_type(types).map_err(|_| missing())?;
        if is_array(Some(common)) {
            let message = format!("could not find array type for data type {}", display(common));
            return Err(SqlError::new("42704", message));
        }
        let element = element_of(common)?;
        if name == "array_to_string" && element == Element::TimestampTz {
            return Err(SqlError::unsupported("array_to_string of timestamps with time zone"));
        }
        let mut values = Vec::with_capacity(operands.len());
        for (operand, part) in operands.into_iter().zip(parts) {
            let to = part.data_type(element);
            match operand.data_type() {
                Some(from) if !super::typed::becomes(from, to) => return Err(missing()),
                _ => values.push(self.parameters.as_type(operand, to)?),
            }
        }
        let data_type = result.data_type(element);
        Ok(Typed::Known(call(name, values, data_type), data_type))
    }

    /// `value op ANY (array)`, and ALL. The elements of a constant are compared one by one, so that an index finds them.
    pub(super) fn quantified_array(
        &self,
        operand: &ast::Expr,
        (function, sign): (&'static str, &str),
        array: &ast::Expr,
        all: bool,
    ) -> Bound {
        let (operand, array) = (self.bind(operand)?, self.bind(array)?);
        let of = match array.data_type() {
            Some(DataType::Array(element)) => Some(element.data_type()),
            None => None,
            Some(_) => {
                let message = "op ANY/ALL (array) requires array on right side";
                return Err(SqlError::new("42809", message));
            }
        };
        let types = [operand.data_type(), of];
        let kind = comparison_type(types[0], types[1]).ok_or_else(|| no_operator(sign, &types))?;
        let wanted = kind.with_room_for(types.iter().flatten().next().copied());
        let wanted = match common_type(&types) {
            Ok(common) if types.iter().any(Option::is_some) => common,
            _ => wanted,
        };
        let element = element_of(wanted)?;
        let value = self.parameters.as_type(operand, wanted)?;
        let array = self.parameters.as_type(array, DataType::Array(element))?;
        if let Expr::Literal(Literal::Array { bytes, .. }) = &array {
            return self.each_element(
                function,
                sign,
                Typed::Known(value, wanted),
                &stored_array(bytes)?,
                all,
            );
        }
        let name = Expr::Literal(Literal::Text(function.to_owned()));
        let quantifier = if all { "all" } else { "any" };
        Ok(Typed::boolean(call(quantifier, vec![name, value, array], DataType::Boolean)))
    }

    fn each_element(
        &self,
        function: &'static str,
        sign: &str,
        value: Typed,
        array: &Array,
        all: bool,
    ) -> Bound {
        let data_type = array.element.data_type();
        let element = |value: &Option<Literal>| match value {
            Some(value) => Typed::Known(Expr::Literal(value.clone()), data_type),
            None => Typed::Known(Expr::Literal(Literal::Null(data_type)), data_type),
        };
        if array.values.is_empty() {
            return Ok(Typed::literal(Literal::Boolean(all)));
        }
        if function == "equal" && !all || function == "not_equal" && all {
            let operands = std::iter::once(value).chain(array.values.iter().map(element));
            let arguments = operands.map(|operand| self.parameters.as_type(operand, data_type));
            let arguments = arguments.collect::<Result<_, SqlError>>()?;
            let found = call("in", arguments, DataType::Boolean);
            return Ok(Typed::boolean(if all { Expr::Not(Box::new(found)) } else { found }));
        }
        let compare = |own| self.comparison(function, sign, value.clone(), element(own));
        let terms = array.values.iter().map(compare).collect::<Result<_, SqlError>>()?;
        Ok(Typed::boolean(if all { Expr::And(terms) } else { Expr::Or(terms) }))
    }
}
