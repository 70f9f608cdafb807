//! The forms of views: projection, filter, group, joins of all kinds, set operations, DISTINCT, LIMIT and row
//! numbers, each over tables or other views.

use proptest::prelude::*;

use crate::expressions::{Column, Gene, Type, expression, gene};

/// A relation that a view may name.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// How many joins lie below it; bounded, since rows multiply.
    pub(crate) joins: usize,
    /// Keeps no rows.
    pub(crate) is_stream: bool,
}

/// The seed of a view.
#[derive(Clone, Debug)]
pub(crate) struct ViewGene {
    left: usize,
    join: Option<JoinGene>,
    call: Option<CallGene>,
    filter: Option<Gene>,
    subquery: Option<SubqueryGene>,
    body: Body,
    set_operation: Option<(usize, Gene)>,
    shape: Option<ShapeGene>,
}

#[derive(Clone, Debug)]
struct JoinGene {
    right: usize,
    kind: usize,
    /// None now and then: the residual alone, or all pairs.
    keys: Vec<usize>,
    residual: Option<Gene>,
}

/// A call for each row, in FROM or in the select list.
#[derive(Clone, Debug)]
struct CallGene {
    function: usize,
    kind: usize,
    argument: Gene,
}

/// A sub-query over another relation, of columns only: that an expression fails for a row that nobody asks for is
/// allowed to differ.
#[derive(Clone, Debug)]
struct SubqueryGene {
    relation: usize,
    form: usize,
    pairs: [usize; 2],
    /// Where it stands: in WHERE by itself, under OR, under NOT, in the select list.
    place: usize,
}

#[derive(Clone, Debug)]
enum Body {
    Rows(Vec<(usize, Gene)>),
    Groups {
        keys: Vec<(usize, Gene)>,
        aggregates: Vec<(usize, Gene)>,
        having: Option<Gene>,
        /// Which form of grouping sets, where there are several.
        sets: Option<usize>,
    },
}

/// What is put around a query: which of its rows are shown.
#[derive(Clone, Debug)]
struct ShapeGene {
    kind: usize,
    groups: Vec<usize>,
    order: Vec<(usize, usize)>,
    skip: usize,
    fetch: usize,
}

/// Any view.
pub(crate) fn view_gene() -> impl Strategy<Value = ViewGene> {
    let items = |range| prop::collection::vec((0usize..112, gene()), range);
    let having = prop::option::weighted(0.3, gene());
    let sets = prop::option::weighted(0.25, 0usize..4);
    let groups = (items(0..3), items(1..4), having, sets)
        .prop_map(|(keys, aggregates, having, sets)| Body::Groups { keys, aggregates, having, sets });
    let body = prop_oneof![2 => items(1..4).prop_map(Body::Rows), 3 => groups];
    let keys = prop_oneof![8 => prop::collection::vec(0usize..40, 1..3), 1 => Just(Vec::new())];
    let join = (0usize..12, 0usize..8, keys, prop::option::weighted(0.4, gene()))
        .prop_map(|(right, kind, keys, residual)| JoinGene { right, kind, keys, residual });
    let (join, filter) = (prop::option::weighted(0.45, join), prop::option::weighted(0.35, gene()));
    let set_operation = prop::option::weighted(0.2, (0usize..12, gene()));
    let shape = prop::option::weighted(0.4, shape_gene());
    let subquery = (0usize..12, 0usize..24, prop::array::uniform2(0usize..40), 0usize..6)
        .prop_map(|(relation, form, pairs, place)| SubqueryGene { relation, form, pairs, place });
    let subquery = prop::option::weighted(0.4, subquery);
    let call = (0usize..12, 0usize..8, gene()).prop_map(|(function, kind, argument)| CallGene {
        function,
        kind,
        argument,
    });
    let call = prop::option::weighted(0.3, call);
    (0usize..12, join, call, filter, subquery, body, set_operation, shape).prop_map(
        |(left, join, call, filter, subquery, body, set_operation, shape)| ViewGene {
            left,
            join,
            call,
            filter,
            subquery,
            body,
            set_operation,
            shape,
        },
    )
}

fn shape_gene() -> impl Strategy<Value = ShapeGene> {
    let groups = prop::collection::vec(0usize..60, 0..3);
    let order = prop::collection::vec((0usize..60, 0usize..6), 0..3);
    (0usize..12, groups, order, 0usize..3, 0usize..5)
        .prop_map(|(kind, groups, order, skip, fetch)| ShapeGene { kind, groups, order, skip, fetch })
}

/// The most joins below one view.
const JOINS_MAX: usize = 2;

impl ViewGene {
    /// The view as a relation, and its query.
    pub(crate) fn render(&self, name: &str, relations: &[Relation]) -> (Relation, String) {
        let left = &relations[self.left % relations.len()];
        let mut scope = qualified(left, "l");
        let mut from = format!("FROM {} AS l", left.name);
        let mut joins = left.joins;
        if let Some((right, kind, on)) = self.join.as_ref().and_then(|join| join.render(left, relations)) {
            scope.extend(qualified(right, "r"));
            from = format!("{from} {kind} {} AS r ON {on}", right.name);
            joins += right.joins + 1;
        }
        if let Some(call) = self.call.as_ref().filter(|call| call.kind < 6) {
            let (text, columns) = call.in_from(&scope);
            from = format!("{from} {text}");
            scope.extend(columns);
            joins += 1;
        }
        let (mut items, tail) = self.body.render(&scope);
        if let (Some(call), Body::Rows(_)) = (self.call.as_ref().filter(|call| call.kind >= 6), &self.body) {
            items.extend(call.in_list(&scope));
            joins += 1;
        }
        let mut condition_of_all = None;
        if let Some((right, condition)) = self.subquery.as_ref().and_then(|gene| gene.render(left, relations))
        {
            joins += right.joins + 1;
            match (self.subquery.as_ref().map_or(0, |gene| gene.place), &self.body) {
                (3, _) => condition_of_all = Some(format!("({condition} OR {} IS NULL)", scope[0].name)),
                (4, _) => condition_of_all = Some(format!("NOT ({condition})")),
                (5, Body::Rows(_)) => items.push((format!("({condition})"), Type::Bool)),
                _ => condition_of_all = Some(condition),
            }
        }
        let list: Vec<String> =
            items.iter().enumerate().map(|(index, (item, _))| format!("{item} AS c{index}")).collect();
        let columns = items.iter().enumerate();
        let mut columns: Vec<Column> = columns
            .map(|(index, (_, data_type))| Column {
                name: format!("c{index}"),
                data_type: *data_type,
                nullable: true,
            })
            .collect();
        let select = |filter: Option<&Gene>| {
            let filter = filter.map(|filter| expression(filter, Type::Bool, &scope));
            let conditions: Vec<String> = filter.into_iter().chain(condition_of_all.clone()).collect();
            let filters = match conditions.as_slice() {
                [] => String::new(),
                conditions => format!(" WHERE {}", conditions.join(" AND ")),
            };
            format!("SELECT {} {from}{filters}{tail}", list.join(", "))
        };
        let mut query = select(self.filter.as_ref());
        if let Some((operation, filter)) = &self.set_operation {
            let operation = SET_OPERATIONS[operation % SET_OPERATIONS.len()];
            query = format!("{query} {operation} {}", select(Some(filter)));
        }
        if let Some(shape) = &self.shape {
            query = shape.around(&query, &mut columns);
        }
        (Relation { name: name.to_owned(), columns, joins, is_stream: false }, query)
    }
}

impl CallGene {
    /// The call as an item of FROM, and its columns. It gives few rows, whatever the argument.
    fn in_from(&self, scope: &[Column]) -> (String, Vec<Column>) {
        let of = |data_type| expression(&self.argument, data_type, scope);
        let (call, columns): (String, &[(&str, Type)]) = match self.function {
            0..=2 => (format!("unnest({})", of(Type::List)), &[("v", Type::Int)]),
            3 | 4 => {
                (format!("unnest({}) WITH ORDINALITY", of(Type::List)), &[("v", Type::Int), ("n", Type::Big)])
            }
            5 => {
                let other = expression(&self.argument.kid(1), Type::List, scope);
                (format!("unnest({}, {other})", of(Type::List)), &[("v", Type::Int), ("w", Type::Int)])
            }
            6 => (format!("generate_series({0} % 3, {0} % 4)", of(Type::Int)), &[("v", Type::Int)]),
            7 => (
                format!("generate_series(2, {} % 5, -1) WITH ORDINALITY", of(Type::Int)),
                &[("v", Type::Int), ("n", Type::Big)],
            ),
            8 => (format!("generate_subscripts({}, 1)", of(Type::List)), &[("v", Type::Int)]),
            9 => (format!("string_to_table({}, 'a')", of(Type::Text)), &[("v", Type::Text)]),
            10 => (format!("regexp_split_to_table({}, '[a-c]*')", of(Type::Text)), &[("v", Type::Text)]),
            _ => {
                let doc = of(Type::Doc);
                let object = format!("CASE WHEN jsonb_typeof({doc}) = 'object' THEN {doc} END");
                (format!("jsonb_each({object})"), &[("k", Type::Text), ("v", Type::Doc)])
            }
        };
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let call = format!("{call} AS f ({})", names.join(", "));
        let text = match self.kind {
            0 | 1 => format!("CROSS JOIN {call}"),
            2 => format!("CROSS JOIN LATERAL {call}"),
            3 | 4 => format!("LEFT JOIN LATERAL {call} ON true"),
            _ => format!("LEFT JOIN LATERAL {call} ON f.{} IS NOT NULL", names[0]),
        };
        let column = |(name, data_type): &(&str, Type)| Column {
            name: format!("f.{name}"),
            data_type: *data_type,
            nullable: true,
        };
        (text, columns.iter().map(column).collect())
    }

    /// Calls as items of the select list: one, or two that go in step.
    fn in_list(&self, scope: &[Column]) -> Vec<(String, Type)> {
        let list = expression(&self.argument, Type::List, scope);
        let number = expression(&self.argument.kid(1), Type::Int, scope);
        let mut items = vec![(format!("unnest({list})"), Type::Int)];
        if self.kind == 7 {
            items.push((format!("generate_series(1, {number} % 4) + 1"), Type::Int));
        }
        items
    }
}

const SET_OPERATIONS: [&str; 6] =
    ["UNION ALL", "EXCEPT ALL", "INTERSECT ALL", "UNION", "EXCEPT", "INTERSECT"];

impl ShapeGene {
    /// The rows of a query that are shown, and of which columns.
    fn around(&self, query: &str, columns: &mut Vec<Column>) -> String {
        let column = |choice: &usize| format!("c{}", choice % columns.len());
        let groups: Vec<String> = self.groups.iter().map(column).collect();
        let key = |(choice, options): &(usize, usize)| {
            let options = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST", "", " DESC"][*options];
            format!("{}{options}", column(choice))
        };
        let mut order: Vec<String> = self.order.iter().map(key).collect();
        let by = |word: &str, items: &[String]| match items {
            [] => String::new(),
            items => format!(" {word} BY {}", items.join(", ")),
        };
        match self.kind {
            0 | 1 => format!("SELECT DISTINCT * FROM ({query}) AS q"),
            2..=4 => {
                if order.is_empty() {
                    order.push("c0".to_owned());
                }
                let skip = if self.skip > 0 { format!(" OFFSET {}", self.skip) } else { String::new() };
                format!("SELECT * FROM ({query}) AS q{} LIMIT {}{skip}", by("ORDER", &order), self.fetch)
            }
            5 | 6 if !groups.is_empty() => {
                let sorted = [groups.clone(), order].concat();
                let on = groups.join(", ");
                format!("SELECT DISTINCT ON ({on}) * FROM ({query}) AS q{}", by("ORDER", &sorted))
            }
            kind => {
                let over = [by("PARTITION", &groups), by("ORDER", &order)].concat();
                let numbered =
                    format!("SELECT *, row_number() OVER ({}) AS rn FROM ({query}) AS q", over.trim());
                let bound = [
                    format!(" WHERE rn <= {}", self.fetch),
                    format!(" WHERE {} > rn", self.fetch + 1),
                    format!(" WHERE rn BETWEEN {} AND {}", self.skip, self.skip + self.fetch),
                    " WHERE rn = 1".to_owned(),
                    String::new(),
                ];
                let bound = &bound[(self.skip + self.fetch) % bound.len()];
                if kind % 2 == 0 {
                    let shown: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
                    return format!("SELECT {} FROM ({numbered}) AS n{bound}", shown.join(", "));
                }
                let name = format!("c{}", columns.len());
                columns.push(Column { name: name.clone(), data_type: Type::Big, nullable: false });
                let shown: Vec<String> =
                    columns[..columns.len() - 1].iter().map(|column| column.name.clone()).collect();
                format!("SELECT {}, rn AS {name} FROM ({numbered}) AS n{bound}", shown.join(", "))
            }
        }
    }
}

/// The columns as a query names them.
pub(crate) fn qualified(relation: &Relation, alias: &str) -> Vec<Column> {
    let column = |column: &Column| Column { name: format!("{alias}.{}", column.name), ..column.clone() };
    relation.columns.iter().map(column).collect()
}

impl JoinGene {
    /// The right side, the words of the join and its condition; `None` where no columns fit, or it would be
    /// too much.
    fn render<'a>(
        &self,
        left: &Relation,
        relations: &'a [Relation],
    ) -> Option<(&'a Relation, &'static str, String)> {
        let right = &relations[self.right % relations.len()];
        let (ours, theirs) = (qualified(left, "l"), qualified(right, "r"));
        let pairs: Vec<(&Column, &Column)> = ours
            .iter()
            .flat_map(|our| theirs.iter().map(move |their| (our, their)))
            .filter(|(our, their)| our.data_type == their.data_type && our.data_type != Type::Bool)
            .collect();
        let all_pairs = self.keys.is_empty();
        if !all_pairs && pairs.is_empty() || left.joins + right.joins >= JOINS_MAX {
            return None;
        }
        // All pairs are many: of tables only.
        if all_pairs && left.joins + right.joins > 0 {
            return None;
        }
        let key = |choice: &usize| {
            let (our, their) = pairs[choice % pairs.len()];
            let plus = if our.data_type == Type::Int && choice % 9 == 8 { " + 1" } else { "" };
            format!("{}{plus} = {}", our.name, their.name)
        };
        let mut on: Vec<String> = self.keys.iter().map(key).collect();
        let scope = [ours.clone(), theirs.clone()].concat();
        on.extend(self.residual.iter().map(|residual| expression(residual, Type::Bool, &scope)));
        if on.is_empty() {
            on.push("true".to_owned());
        }
        let kind = ["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"][self.kind / 2];
        Some((right, kind, on.join(" AND ")))
    }
}

impl SubqueryGene {
    /// The relation and a condition over `l`; `None` where no columns fit, or it would be too much.
    fn render<'a>(&self, left: &Relation, relations: &'a [Relation]) -> Option<(&'a Relation, String)> {
        let right = &relations[self.relation % relations.len()];
        let (ours, theirs) = (qualified(left, "l"), qualified(right, "s"));
        let pairs: Vec<(&str, &str)> = ours
            .iter()
            .flat_map(|our| theirs.iter().map(move |their| (our, their)))
            .filter(|(our, their)| our.data_type == their.data_type && our.data_type.has_extremes())
            .map(|(our, their)| (our.name.as_str(), their.name.as_str()))
            .collect();
        if pairs.is_empty() || left.joins + right.joins >= JOINS_MAX {
            return None;
        }
        let (our, their) = pairs[self.pairs[0] % pairs.len()];
        let (our_key, their_key) = pairs[self.pairs[1] % pairs.len()];
        let operator = ["<", "<=", "<>", ">="][self.pairs[1] / 10];
        let from = format!("FROM {} AS s", right.name);
        let by_key = format!("{from} WHERE {their_key} = {our_key}");
        let condition = match self.form % 12 {
            0 => format!("EXISTS (SELECT 1 {by_key})"),
            1 => format!("NOT EXISTS (SELECT 1 {by_key} AND {their} {operator} {our})"),
            2 => format!("{our} IN (SELECT {their} {from})"),
            3 => format!("{our} IN (SELECT {their} {by_key})"),
            4 => format!("{our} NOT IN (SELECT {their} {from})"),
            5 => format!("{our} NOT IN (SELECT {their} {by_key})"),
            6 => format!("{our} {operator} ANY (SELECT {their} {by_key})"),
            7 => format!("{our} {operator} ALL (SELECT {their} {by_key})"),
            8 => format!("{our} {operator} (SELECT max({their}) {by_key})"),
            9 => format!("(SELECT count({their}) {from} WHERE {their} {operator} {our}) > 1"),
            10 => format!("{our} >= (SELECT {their} {by_key} ORDER BY {their} LIMIT 1)"),
            _ => format!("{our} <= (SELECT {their} {by_key})"),
        };
        Some((right, condition))
    }
}

/// A select list, and what follows WHERE.
type Rendered = (Vec<(String, Type)>, String);

impl Body {
    fn render(&self, scope: &[Column]) -> Rendered {
        match self {
            Body::Rows(items) => (items.iter().map(|item| plain(item, scope)).collect(), String::new()),
            Body::Groups { keys, aggregates, having, sets } => {
                let mut items: Vec<(String, Type)> = keys.iter().map(|key| plain(key, scope)).collect();
                let positions: Vec<String> = (1..=keys.len()).map(|position| position.to_string()).collect();
                items.extend(aggregates.iter().map(|(choice, gene)| aggregate(*choice, gene, scope)));
                let mut tail = String::new();
                if !keys.is_empty() {
                    let list = positions.join(", ");
                    tail = match sets {
                        None => format!(" GROUP BY {list}"),
                        Some(0) => format!(" GROUP BY ROLLUP ({list})"),
                        Some(1) => format!(" GROUP BY CUBE ({list})"),
                        Some(2) => format!(" GROUP BY GROUPING SETS (({list}), (), ({}))", positions[0]),
                        Some(_) => format!(" GROUP BY {}, ROLLUP ({list})", positions[0]),
                    };
                }
                if let Some(having) = having {
                    let of = expression(having, Type::Int, scope);
                    let least = having.choice % 3;
                    let text =
                        if having.choice % 2 == 0 { "count(*)".to_owned() } else { format!("max({of})") };
                    tail = format!("{tail} HAVING {text} > {least}");
                }
                (items, tail)
            }
        }
    }
}

/// An item of any type that the scope has.
fn plain((choice, gene): &(usize, Gene), scope: &[Column]) -> (String, Type) {
    let data_type = scope[choice % scope.len()].data_type;
    (expression(gene, data_type, scope), data_type)
}

fn aggregate(choice: usize, gene: &Gene, scope: &[Column]) -> (String, Type) {
    let of = |data_type| expression(gene, data_type, scope);
    let any = scope[choice % scope.len()].data_type;
    let ordered = if any.has_extremes() { any } else { Type::Int };
    let condition = || expression(&gene.kid(2), Type::Bool, scope);
    let other = |data_type| expression(&gene.kid(1), data_type, scope);
    match choice % 67 {
        0 => ("count(*)".to_owned(), Type::Big),
        1 => (format!("bool_or({} >= 2)", of(Type::Int)), Type::Bool),
        2 => (format!("count({})", of(any)), Type::Big),
        3 | 4 => (format!("sum({})", of(Type::Int)), Type::Big),
        5 => (format!("bool_and({} >= 0)", of(Type::Int)), Type::Bool),
        6 => (format!("sum({})", of(Type::Big)), Type::Numeric),
        7 => (format!("sum({})", of(Type::Double)), Type::Double),
        8 | 9 => (format!("avg({})", of(Type::Int)), Type::Numeric),
        10 => (format!("every({} < 6)", of(Type::Int)), Type::Bool),
        11 => (format!("avg({})", of(Type::Double)), Type::Double),
        12 => (format!("avg({})", of(Type::Big)), Type::Numeric),
        13 | 14 => (format!("min({})", of(ordered)), ordered),
        15..=17 => (format!("max({})", of(ordered)), ordered),
        18 => (format!("count(*) FILTER (WHERE {})", of(Type::Bool)), Type::Big),
        19 => (format!("bool_and({})", of(Type::Bool)), Type::Bool),
        20 => (format!("every({} > 1)", of(Type::Int)), Type::Bool),
        21 => (format!("bool_or({} = 1)", of(Type::Int)), Type::Bool),
        22 => (format!("bit_and({})", of(Type::Int)), Type::Int),
        23 => (format!("bit_or({})", of(Type::Big)), Type::Big),
        24 => (format!("bit_xor({})", of(Type::Int)), Type::Int),
        25 => (format!("var_pop({})", of(Type::Int)), Type::Numeric),
        26 | 27 => (format!("variance({})", of(Type::Double)), Type::Double),
        28 => (format!("stddev({})", of(Type::Int)), Type::Numeric),
        29 => (format!("stddev_pop({})", of(Type::Double)), Type::Double),
        30 => (format!("var_samp({}) FILTER (WHERE {})", of(Type::Int), condition()), Type::Numeric),
        31 => (format!("string_agg({}, ',')", of(Type::Text)), Type::Text),
        32 | 33 => (
            format!("string_agg({0}, '-' ORDER BY {0} DESC NULLS LAST, {1})", of(Type::Text), of(Type::Int)),
            Type::Text,
        ),
        34 => (format!("string_agg(DISTINCT {0}, {0} ORDER BY {0} DESC)", of(Type::Text)), Type::Text),
        35 => (format!("string_agg({}, '+') FILTER (WHERE {})", of(Type::Text), condition()), Type::Text),
        36 => (format!("count(DISTINCT {})", of(any)), Type::Big),
        37 => (format!("sum(DISTINCT {})", of(Type::Int)), Type::Big),
        38 => (format!("sum(DISTINCT {}) FILTER (WHERE {})", of(Type::Double), condition()), Type::Double),
        39 => (format!("bit_xor(DISTINCT {})", of(Type::Big)), Type::Big),
        40 => (format!("sum({})", of(Type::Numeric)), Type::Numeric),
        41 => (format!("avg({})", of(Type::Numeric)), Type::Numeric),
        42 => (format!("sum(DISTINCT {})", of(Type::Numeric)), Type::Numeric),
        43 => (format!("sum({})", of(Type::Small)), Type::Big),
        44 => (format!("sum({})", of(Type::Real)), Type::Real),
        45 => (format!("avg({})", of(Type::Real)), Type::Double),
        46 => (format!("bit_or({})", of(Type::Small)), Type::Small),
        47 => (format!("sum(DISTINCT {})", of(Type::Real)), Type::Real),
        48 => (format!("sum({})", of(Type::Span)), Type::Span),
        49 => (format!("avg({})", of(Type::Span)), Type::Span),
        50 => (format!("max({})", of(Type::Span)), Type::Span),
        51 => (format!("array_agg({})", of(Type::Int)), Type::List),
        52 => (format!("array_agg(DISTINCT {}) FILTER (WHERE {})", of(Type::Int), condition()), Type::List),
        53 => (format!("jsonb_agg({} ORDER BY {} DESC)", of(any), of(Type::Text)), Type::Doc),
        54 => (format!("array_agg({0} ORDER BY {0} DESC)::text", of(Type::Double)), Type::Text),
        55 | 56 => (format!("sum({})", of(Type::Exact)), Type::Exact),
        57 => (format!("avg({})", of(Type::Exact)), Type::Exact),
        58 => (format!("variance({}) FILTER (WHERE {})", of(Type::Exact), condition()), Type::Exact),
        59 => (format!("stddev_pop({})", of(Type::Exact)), Type::Exact),
        60 => (format!("sum(DISTINCT {})", of(Type::Exact)), Type::Exact),
        61 => (format!("avg(DISTINCT {})", of(Type::Exact)), Type::Exact),
        62 => (format!("regr_slope({}, {})", of(Type::Double), other(Type::Double)), Type::Double),
        63 => (
            format!("corr({}, {}) FILTER (WHERE {})", of(Type::Double), other(Type::Int), condition()),
            Type::Double,
        ),
        64 => (format!("covar_samp(DISTINCT {}, {})", of(Type::Int), other(Type::Double)), Type::Double),
        65 => (format!("regr_intercept({}, {})", of(Type::Numeric), other(Type::Real)), Type::Double),
        _ => (format!("stddev_pop({})", of(Type::Numeric)), Type::Numeric),
    }
}
