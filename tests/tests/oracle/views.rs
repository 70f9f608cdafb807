//! The forms of views: projection, filter, group, join, union, each over tables or other views.

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
    filter: Option<Gene>,
    body: Body,
    union: bool,
}

#[derive(Clone, Debug)]
struct JoinGene {
    right: usize,
    keys: Vec<usize>,
    residual: Option<Gene>,
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

/// Any view.
pub(crate) fn view_gene() -> impl Strategy<Value = ViewGene> {
    let items = |range| prop::collection::vec((0usize..80, gene()), range);
    let having = prop::option::weighted(0.3, gene());
    let sets = prop::option::weighted(0.25, 0usize..4);
    let groups = (items(0..3), items(1..4), having, sets)
        .prop_map(|(keys, aggregates, having, sets)| Body::Groups { keys, aggregates, having, sets });
    let body = prop_oneof![2 => items(1..4).prop_map(Body::Rows), 3 => groups];
    let join = (0usize..12, prop::collection::vec(0usize..40, 1..3), prop::option::weighted(0.4, gene()))
        .prop_map(|(right, keys, residual)| JoinGene { right, keys, residual });
    let (join, filter) = (prop::option::weighted(0.4, join), prop::option::weighted(0.35, gene()));
    (0usize..12, join, filter, body, prop::bool::weighted(0.08))
        .prop_map(|(left, join, filter, body, union)| ViewGene { left, join, filter, body, union })
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
        if let Some((right, on)) = self.join.as_ref().and_then(|join| join.render(left, relations)) {
            scope.extend(qualified(right, "r"));
            from = format!("{from} JOIN {} AS r ON {on}", right.name);
            joins += right.joins + 1;
        }
        if let Some(filter) = &self.filter {
            from = format!("{from} WHERE {}", expression(filter, Type::Bool, &scope));
        }
        let (items, tail) = self.body.render(&scope);
        let list: Vec<String> =
            items.iter().enumerate().map(|(index, (item, _))| format!("{item} AS c{index}")).collect();
        let columns = items.iter().enumerate();
        let columns = columns
            .map(|(index, (_, data_type))| Column {
                name: format!("c{index}"),
                data_type: *data_type,
                nullable: true,
            })
            .collect();
        let mut query = format!("SELECT {} {from}{tail}", list.join(", "));
        if self.union {
            query = format!("{query} UNION ALL {query}");
        }
        (Relation { name: name.to_owned(), columns, joins, is_stream: false }, query)
    }
}

/// The columns as a query names them.
pub(crate) fn qualified(relation: &Relation, alias: &str) -> Vec<Column> {
    let column = |column: &Column| Column { name: format!("{alias}.{}", column.name), ..column.clone() };
    relation.columns.iter().map(column).collect()
}

impl JoinGene {
    /// The right side and the condition; `None` where no columns fit, or it would be too much.
    fn render<'a>(&self, left: &Relation, relations: &'a [Relation]) -> Option<(&'a Relation, String)> {
        let right = &relations[self.right % relations.len()];
        let (ours, theirs) = (qualified(left, "l"), qualified(right, "r"));
        let pairs: Vec<(&Column, &Column)> = ours
            .iter()
            .flat_map(|our| theirs.iter().map(move |their| (our, their)))
            .filter(|(our, their)| our.data_type == their.data_type && our.data_type != Type::Bool)
            .collect();
        if pairs.is_empty() || left.joins + right.joins >= JOINS_MAX {
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
        Some((right, on.join(" AND ")))
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
    let ordered = if any == Type::Bool { Type::Int } else { any };
    let condition = || expression(&gene.kid(2), Type::Bool, scope);
    match choice % 40 {
        0 | 1 => ("count(*)".to_owned(), Type::Big),
        2 => (format!("count({})", of(any)), Type::Big),
        3..=5 => (format!("sum({})", of(Type::Int)), Type::Big),
        6 => (format!("sum({})", of(Type::Big)), Type::Numeric),
        7 => (format!("sum({})", of(Type::Double)), Type::Double),
        8..=10 => (format!("avg({})", of(Type::Int)), Type::Numeric),
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
        _ => (format!("bit_xor(DISTINCT {})", of(Type::Big)), Type::Big),
    }
}
