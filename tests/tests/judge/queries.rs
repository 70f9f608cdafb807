//! Random queries: every form of FROM, of grouping, of sets and of sub-queries that a view may have.
//!
//! Relations inside of a query have aliases that are used once, so that a correlated name is never
//! ambiguous; what is shown is in a total order or compared as a bag.

use crate::aggregates::aggregate;
use crate::expressions::{Column, Type, expression, literal};
use millrace_tests::Random;

/// A table, or what WITH names.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// Without the relation's name.
    pub(crate) columns: Vec<Column>,
}

/// A query to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) sql: String,
    /// How many columns it has.
    pub(crate) width: usize,
    /// Whether it says in which order its rows come.
    pub(crate) ordered: bool,
}

/// Whether PostgreSQL may not order by the column that is asked for: see the list of differences.
fn is_ordered_wrongly(sql: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| sql.contains(word));
    has(&["ROLLUP", "CUBE", "GROUPING SETS"]) && has(&[" = ", "JOIN"])
}

/// Writes one query.
pub(crate) struct Writer<'a> {
    pub(crate) random: &'a mut Random,
    relations: Vec<Relation>,
    aliases: usize,
    /// How many sub-queries may still be written.
    budget: usize,
    /// Whether a name or type that is wrong may be written.
    may_slip: bool,
}

/// A part in FROM.
struct From {
    text: String,
    scope: Vec<Column>,
    /// What `*` stands for.
    star: Vec<Type>,
}

impl<'a> Writer<'a> {
    /// Writes a query over these relations.
    pub(crate) fn query(random: &'a mut Random, relations: &[Relation]) -> Query {
        let may_slip = random.chance(8);
        let mut writer = Writer { random, relations: relations.to_vec(), aliases: 0, budget: 3, may_slip };
        writer.top()
    }

    /// Writes values only.
    pub(crate) fn plain(random: &'a mut Random) -> Writer<'a> {
        Writer { random, relations: Vec::new(), aliases: 0, budget: 0, may_slip: false }
    }

    /// Whether to write something wrong here.
    pub(crate) fn slips(&mut self) -> bool {
        let slips = self.may_slip && self.random.chance(10);
        // Once: of two mistakes either may be told.
        self.may_slip &= !slips;
        slips
    }

    fn top(&mut self) -> Query {
        if self.random.chance(8) {
            let (text, types) = self.select(None, &[], true);
            let name = "q".to_owned();
            let column = |(index, data_type): (usize, &Type)| Column {
                name: format!("c{index}"),
                data_type: *data_type,
            };
            let columns = types.iter().enumerate().map(column).collect();
            self.relations.push(Relation { name, columns });
            let query = self.body();
            return Query { sql: format!("WITH q AS ({text}) {}", query.sql), ..query };
        }
        self.body()
    }

    fn body(&mut self) -> Query {
        match self.random.below(100) {
            0..=49 => {
                let (sql, types) = self.select(None, &[], false);
                Query { sql, width: types.len(), ordered: false }
            }
            50..=64 => self.sets(),
            65..=79 => self.limited(),
            80..=88 => self.distinct_on(),
            89..=95 => self.numbered(),
            _ => self.values(),
        }
    }

    fn sets(&mut self) -> Query {
        let (mut sql, types) = self.select(None, &[], false);
        for _ in 0..=self.random.below(2) {
            let word = self.random.pick(&[
                "UNION",
                "UNION ALL",
                "INTERSECT",
                "INTERSECT ALL",
                "EXCEPT",
                "EXCEPT ALL",
            ]);
            let (other, _) = self.select(Some(&types), &[], false);
            sql = format!("{sql} {word} {other}");
        }
        Query { sql, width: types.len(), ordered: false }
    }

    fn limited(&mut self) -> Query {
        let (sql, types) = self.select(None, &[], false);
        let order = self.total_order(types.len());
        let limit = self.random.below(4);
        let offset =
            if self.random.chance(30) { format!(" OFFSET {}", self.random.below(3)) } else { String::new() };
        let sql = if is_ordered_wrongly(&sql) { format!("SELECT * FROM ({sql}) AS g") } else { sql };
        Query {
            sql: format!("{sql} ORDER BY {order} LIMIT {limit}{offset}"),
            width: types.len(),
            ordered: true,
        }
    }

    /// All columns, by their positions.
    fn total_order(&mut self, width: usize) -> String {
        let mut keys = Vec::new();
        for position in 1..=width {
            let way = self.random.pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            keys.push(format!("{position}{way}"));
        }
        keys.join(", ")
    }

    fn distinct_on(&mut self) -> Query {
        let from = self.from(&[]);
        let key = from.scope[self.random.below(from.scope.len())].name.clone();
        let (items, types) = self.items(None, &from.scope, true);
        let filter = self.filter(&from.scope);
        let order = self.total_order(types.len());
        let way = self.random.pick(&["", " DESC"]);
        let sql = format!(
            "SELECT DISTINCT ON ({key}) {items} FROM {}{filter} ORDER BY {key}{way}, {order}",
            from.text
        );
        Query { sql, width: types.len(), ordered: true }
    }

    /// The first rows of each group by their number.
    fn numbered(&mut self) -> Query {
        let (inner, types) = self.select(None, &[], true);
        let all: Vec<String> = (0..types.len()).map(|index| format!("c{index}")).collect();
        let all = all.join(", ");
        let part = if self.random.chance(70) { "PARTITION BY c0 " } else { "" };
        let order = self.random.pick(&["", "c0 DESC, ", "c0 DESC NULLS LAST, "]);
        let test = self.random.pick(&["n <= 2", "n = 1", "n < 3", "2 >= n"]);
        let number = format!("row_number() OVER ({part}ORDER BY {order}{all}) AS n");
        let sql = format!("SELECT {all} FROM (SELECT {all}, {number} FROM ({inner}) AS i) AS o WHERE {test}");
        Query { sql, width: types.len(), ordered: false }
    }

    fn values(&mut self) -> Query {
        let types: Vec<Type> =
            (0..=self.random.below(3)).map(|_| self.random.pick(&Type::OF_TABLES)).collect();
        Query { sql: self.value_rows(&types), width: types.len(), ordered: false }
    }

    fn value_rows(&mut self, types: &[Type]) -> String {
        let mut rows = Vec::new();
        for _ in 0..=self.random.below(3) {
            let mut values = Vec::new();
            for data_type in types {
                values.push(format!("({})::{}", literal(self, *data_type), data_type.name()));
            }
            rows.push(format!("({})", values.join(", ")));
        }
        format!("VALUES {}", rows.join(", "))
    }

    /// A SELECT without ORDER BY. Its items have the types that are wanted; `aliased` gives them
    /// the names c0, c1, and so on.
    fn select(&mut self, want: Option<&[Type]>, outer: &[Column], aliased: bool) -> (String, Vec<Type>) {
        let from = self.from(outer);
        let scope = self.with_outer(&from.scope, outer);
        let filter = self.filter(&scope);
        if self.random.chance(40) {
            return self.grouped(want, &from, &filter, aliased);
        }
        if want.is_none() && !aliased && self.random.chance(10) {
            return (format!("SELECT * FROM {}{filter}", from.text), from.star);
        }
        let distinct = if self.random.chance(15) { "DISTINCT " } else { "" };
        let (items, types) = self.items(want, &scope, aliased);
        (format!("SELECT {distinct}{items} FROM {}{filter}", from.text), types)
    }

    /// A select list, and the types of its items.
    fn items(&mut self, want: Option<&[Type]>, scope: &[Column], aliased: bool) -> (String, Vec<Type>) {
        let types: Vec<Type> = match want {
            Some(types) => types.to_vec(),
            None => (0..=self.random.below(3)).map(|_| self.any_type(scope)).collect(),
        };
        let mut items = Vec::new();
        for (index, data_type) in types.iter().enumerate() {
            let item = expression(self, *data_type, scope, 2);
            items.push(if aliased { format!("{item} AS c{index}") } else { item });
        }
        (items.join(", "), types)
    }

    fn any_type(&mut self, scope: &[Column]) -> Type {
        if scope.is_empty() || self.random.chance(15) {
            return self.random.pick(&[Type::Int, Type::Text, Type::Bool, Type::Numeric, Type::Double]);
        }
        scope[self.random.below(scope.len())].data_type
    }

    fn filter(&mut self, scope: &[Column]) -> String {
        if self.random.chance(45) {
            format!(" WHERE {}", expression(self, Type::Bool, scope, 2))
        } else {
            String::new()
        }
    }

    /// GROUP BY in one of its forms, or aggregates over all rows.
    fn grouped(
        &mut self,
        want: Option<&[Type]>,
        from: &From,
        filter: &str,
        aliased: bool,
    ) -> (String, Vec<Type>) {
        let budget = std::mem::take(&mut self.budget);
        let mut keys: Vec<Column> = Vec::new();
        for _ in 0..self.random.below(3) {
            let key = from.scope[self.random.below(from.scope.len())].clone();
            if !keys.iter().any(|other| other.name == key.name) {
                keys.push(key);
            }
        }
        let mut scope = keys.clone();
        for _ in 0..=self.random.below(2) {
            scope.push(aggregate(self, &from.scope));
        }
        let clause = self.group_clause(&keys, &mut scope);
        let mut having = String::new();
        if self.random.chance(20) {
            having = format!(" HAVING {}", expression(self, Type::Bool, &scope, 1));
        }
        self.budget = budget;
        let (items, types) = match want {
            None if self.random.chance(60) => {
                let item = |(index, column): (usize, &Column)| match aliased {
                    true => format!("{} AS c{index}", column.name),
                    false => column.name.clone(),
                };
                let items: Vec<String> = scope.iter().enumerate().map(item).collect();
                (items.join(", "), scope.iter().map(|column| column.data_type).collect())
            }
            _ => self.items(want, &scope, aliased),
        };
        (format!("SELECT {items} FROM {}{filter}{clause}{having}", from.text), types)
    }

    fn group_clause(&mut self, keys: &[Column], scope: &mut Vec<Column>) -> String {
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        let Some(first) = names.first() else { return String::new() };
        let all = names.join(", ");
        let form = self.random.below(10);
        if (6..=8).contains(&form) && self.random.chance(40) {
            scope.push(Column { name: format!("grouping({all})"), data_type: Type::Int });
        }
        match form {
            6 => format!(" GROUP BY ROLLUP ({all})"),
            7 => format!(" GROUP BY CUBE ({all})"),
            8 => format!(" GROUP BY GROUPING SETS (({all}), ({first}), ())"),
            _ => format!(" GROUP BY {all}"),
        }
    }

    /// The columns of a query's own relations, and those of the queries around it that are columns.
    fn with_outer(&mut self, own: &[Column], outer: &[Column]) -> Vec<Column> {
        let mut scope = own.to_vec();
        let few = outer.iter().filter(|column| !column.name.contains('('));
        scope.extend(few.filter(|_| self.random.chance(25)).cloned());
        scope
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("s{}", self.aliases)
    }

    /// A table, or a sub-query, with an alias: its text, and its columns without it.
    fn source(&mut self) -> (String, String, Vec<Column>) {
        let alias = self.alias();
        if self.budget > 0 && self.random.chance(20) {
            self.budget -= 1;
            let (text, types) = self.select(None, &[], true);
            let column = |(index, data_type): (usize, &Type)| Column {
                name: format!("c{index}"),
                data_type: *data_type,
            };
            let columns = types.iter().enumerate().map(column).collect();
            return (format!("({text}) AS {alias}"), alias, columns);
        }
        if self.random.chance(5) {
            let types = [Type::Int, self.random.pick(&Type::OF_TABLES)];
            let text = self.value_rows(&types);
            let column = |(name, data_type): (&str, Type)| Column { name: name.to_owned(), data_type };
            let columns = ["k", "v"].into_iter().zip(types).map(column).collect();
            return (format!("({text}) AS {alias} (k, v)"), alias, columns);
        }
        // The last is what WITH names, if anything.
        let relation = self.relations[self.random.below(self.relations.len())].clone();
        (format!("{} AS {alias}", relation.name), alias, relation.columns)
    }

    fn from(&mut self, outer: &[Column]) -> From {
        let (text, alias, columns) = self.source();
        let mut from = From {
            text,
            star: columns.iter().map(|column| column.data_type).collect(),
            scope: qualified(&alias, &columns),
        };
        let joins = self.random.pick(&[0, 0, 0, 1, 1, 2]);
        if joins == 1 && self.random.chance(20) && self.merged(&mut from, &columns) {
            return from;
        }
        for _ in 0..joins {
            self.join(&mut from, outer);
        }
        from
    }

    /// JOIN … USING (k) or NATURAL JOIN, where both sides have k and no other name in common.
    fn merged(&mut self, from: &mut From, left: &[Column]) -> bool {
        let (text, alias, right) = self.source();
        let is_key = |column: &&Column| column.name == "k" && column.data_type == Type::Int;
        let has_key = |columns: &[Column]| columns.iter().any(|column| is_key(&column));
        if !has_key(left) || !has_key(&right) {
            return false;
        }
        let kind = self.random.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let is_natural =
            !left.iter().any(|one| one.name != "k" && right.iter().any(|other| other.name == one.name));
        let key = Column { name: "k".to_owned(), data_type: Type::Int };
        let rest = |columns: &[Column]| -> Vec<Type> {
            columns.iter().filter(|column| !is_key(column)).map(|column| column.data_type).collect()
        };
        from.star = [vec![Type::Int], rest(left), rest(&right)].concat();
        from.scope = [vec![key], from.scope.clone(), qualified(&alias, &right)].concat();
        from.text = if is_natural && self.random.chance(40) {
            format!("{} NATURAL {kind} {text}", from.text)
        } else {
            format!("{} {kind} {text} USING (k)", from.text)
        };
        true
    }

    fn join(&mut self, from: &mut From, outer: &[Column]) {
        let (text, alias, right) = self.source();
        let theirs = qualified(&alias, &right);
        let on = self.equality(&from.scope, &theirs);
        from.scope.extend(theirs);
        from.star.extend(right.iter().map(|column| column.data_type));
        let kind = self.random.pick(&["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let Some(mut on) = on else {
            from.text = format!("{} CROSS JOIN {text}", from.text);
            return;
        };
        if self.random.chance(30) {
            let scope =
                if kind == "FULL JOIN" { from.scope.clone() } else { self.with_outer(&from.scope, outer) };
            on = format!("{on} AND {}", expression(self, Type::Bool, &scope, 1));
        } else if self.random.chance(8) && kind != "FULL JOIN" {
            on = expression(self, Type::Bool, &from.scope.clone(), 1);
        }
        from.text = format!("{} {kind} {text} ON {on}", from.text);
    }

    /// A column of one side equal to one of the other, where their types meet.
    fn equality(&mut self, ours: &[Column], theirs: &[Column]) -> Option<String> {
        let mut pairs = Vec::new();
        for our in ours {
            let same =
                theirs.iter().filter(|their| their.data_type == our.data_type && our.data_type != Type::Bool);
            pairs.extend(same.map(|their| format!("{} = {}", our.name, their.name)));
        }
        if pairs.is_empty() {
            return None;
        }
        Some(pairs[self.random.below(pairs.len())].clone())
    }

    /// FROM and WHERE of a sub-query: mostly with a condition that refers to the query around it.
    fn inner(&mut self, outer: &[Column]) -> Option<(String, Vec<Column>)> {
        self.budget = self.budget.checked_sub(1)?;
        let from = self.from(outer);
        let columns: Vec<Column> =
            outer.iter().filter(|column| !column.name.contains('(')).cloned().collect();
        let mut conditions = Vec::new();
        if self.random.chance(65) {
            conditions.extend(self.equality(&columns, &from.scope));
        }
        if self.random.chance(35) {
            let scope = self.with_outer(&from.scope, outer);
            conditions.push(expression(self, Type::Bool, &scope, 1));
        }
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        Some((format!("FROM {}{filter}", from.text), from.scope))
    }

    /// A scalar sub-query of the type.
    pub(crate) fn scalar(&mut self, data_type: Type, outer: &[Column]) -> Option<String> {
        let (tail, scope) = self.inner(outer)?;
        let budget = std::mem::take(&mut self.budget);
        let item = expression(self, data_type, &scope, 1);
        let int = expression(self, Type::Int, &scope, 1);
        self.budget = budget;
        Some(match (data_type, self.random.below(6)) {
            (Type::Big, 0..=2) => format!("SELECT count(*) {tail}"),
            (Type::Big, 3) => format!("SELECT sum({int}) {tail}"),
            (Type::Numeric, 0..=3) => format!("SELECT avg({int}) {tail}"),
            (Type::Bool, 0..=3) => format!("SELECT bool_or({item}) {tail}"),
            (_, 4) => format!("SELECT {item} {tail} ORDER BY 1 LIMIT 1"),
            (_, 5) => format!("SELECT DISTINCT {item} {tail}"),
            (Type::Uuid | Type::Bytes | Type::Doc, _) => format!("SELECT {item} {tail} ORDER BY 1 LIMIT 1"),
            (Type::Bool, _) => format!("SELECT bool_and({item}) {tail}"),
            (_, 0 | 1) => format!("SELECT max({item}) {tail}"),
            _ => format!("SELECT min({item}) {tail}"),
        })
    }

    /// A condition with a sub-query in it.
    pub(crate) fn condition_with_query(&mut self, outer: &[Column]) -> Option<String> {
        let data_type = self.random.pick(&[Type::Int, Type::Int, Type::Text, Type::Big]);
        let left = expression(self, data_type, outer, 1);
        let second = expression(self, Type::Int, outer, 0);
        let sign = self.random.pick(&["=", "<>", "<", "<=", ">", ">="]);
        let (tail, scope) = self.inner(outer)?;
        let budget = std::mem::take(&mut self.budget);
        let item = expression(self, data_type, &scope, 1);
        let other = expression(self, Type::Int, &scope, 0);
        self.budget = budget;
        let not = if self.random.chance(40) { "NOT " } else { "" };
        Some(match self.random.below(8) {
            0..=2 => format!("({not}EXISTS (SELECT {item} {tail}))"),
            3 | 4 => format!("({left} {not}IN (SELECT {item} {tail}))"),
            5 => format!("({left} {sign} ANY (SELECT {item} {tail}))"),
            6 => format!("({left} {sign} ALL (SELECT {item} {tail}))"),
            _ => format!("(({left}, {second}) {not}IN (SELECT {item}, {other} {tail}))"),
        })
    }
}

fn qualified(alias: &str, columns: &[Column]) -> Vec<Column> {
    let column = |column: &Column| Column { name: format!("{alias}.{}", column.name), ..column.clone() };
    columns.iter().map(column).collect()
}
