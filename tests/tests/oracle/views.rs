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
    Groups { keys: Vec<(usize, Gene)>, aggregates: Vec<(usize, Gene)>, having: Option<Gene> },
}

/// Any view.
pub(crate) fn view_gene() -> impl Strategy<Value = ViewGene> {
    let items = |range| prop::collection::vec((0usize..60, gene()), range);
    let groups = (items(0..3), items(1..4), prop::option::weighted(0.3, gene()))
        .prop_map(|(keys, aggregates, having)| Body::Groups { keys, aggregates, having });
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
            Body::Groups { keys, aggregates, having } => {
                let mut items: Vec<(String, Type)> = keys.iter().map(|key| plain(key, scope)).collect();
                let positions: Vec<String> = (1..=keys.len()).map(|position| position.to_string()).collect();
                items.extend(aggregates.iter().map(|(choice, gene)| aggregate(*choice, gene, scope)));
                let mut tail = String::new();
                if !keys.is_empty() {
                    tail = format!(" GROUP BY {}", positions.join(", "));
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
    match choice % 15 {
        0 => ("count(*)".to_owned(), Type::Big),
        1 => (format!("count({})", of(any)), Type::Big),
        2 | 3 => (format!("sum({})", of(Type::Int)), Type::Big),
        4 => (format!("sum({})", of(Type::Big)), Type::Numeric),
        5 => (format!("sum({})", of(Type::Double)), Type::Double),
        6 | 7 => (format!("avg({})", of(Type::Int)), Type::Numeric),
        8 => (format!("avg({})", of(Type::Double)), Type::Double),
        9 => (format!("avg({})", of(Type::Big)), Type::Numeric),
        10 | 11 => (format!("min({})", of(ordered)), ordered),
        12 | 13 => (format!("max({})", of(ordered)), ordered),
        _ => (format!("count(*) FILTER (WHERE {})", of(Type::Bool)), Type::Big),
    }
}
