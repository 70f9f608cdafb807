//! Plan → dataflow: one walk, one exhaustive match; the operators are elsewhere.
//!
//! Rows and errors are two collections of every dataflow. Equal sub-plans of a view are rendered
//! once, and so are the arrangements of an input by the same keys. The walk is the same on every worker and
//! after every restart, so the traces that it makes can be saved and given back by their order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::ArrayRef;
use timely::dataflow::Scope;
use timely::dataflow::operators::Concatenate;

use super::accumulate::{AggregateSpec, lay_out};
use super::arrange::{ArrangeSpec, Arranged, arrange};
use super::arrangement::{SavedTrace, Start, TraceHandle, observer};
use super::edge::Edge;
use super::exists::{ExistsSpec, exists};
use super::flat_map::{CompiledCalls, flat_map};
use super::import::{import, import_errors};
use super::join::{JoinSpec, join};
use super::meter::Meter;
use super::placement::is_placed;
use super::publish::{Publication, PublishSpec, publish};
use super::reduce::{ReduceSpec, reduce};
use super::shared::{ArrangementKey, Export, SharedArrangement, import_arranged, is_chain};
use super::stateless::{Projection, constant, project, repeat};
use super::topk::{TopKSpec, top_k};
use super::turns::{Clock, Token};
use crate::delta::{Delta, batch_of};
use crate::error::EngineError;
use crate::expr::{Compiler, Expr};
use crate::literals::column_of_literals;
use crate::plan::{Aggregate, AggregateFunction, JoinKey, OrderKey, Plan, PlanId, PlanRef};
use crate::planted::{self, Bug};
use crate::state::Direction;
use crate::types::{DataType, Literal, RelationId, Tick};

/// What rendering needs besides the plan.
pub(crate) struct Renderer<'a, 'scope> {
    /// The dataflow under construction.
    pub(crate) scope: Scope<'scope, Tick>,
    /// Compiles expressions.
    pub(crate) compiler: &'a dyn Compiler,
    /// What can be imported on this worker.
    pub(crate) relations: &'a HashMap<RelationId, Rc<Publication>>,
    /// Where the dataflow starts.
    pub(crate) start: Start,
    /// Stops the dataflow.
    pub(crate) token: &'a Token,
    /// Moves constants.
    pub(crate) clock: &'a Clock,
    /// What errors call the view.
    pub(crate) name: Arc<str>,
    /// Readers of the view go on where rows are in error.
    pub(crate) skips_errors: bool,
    /// Counts what the view does and holds.
    pub(crate) meter: &'a Arc<Meter>,
    /// Saved traces, in the order of rendering, where the dataflow is restored.
    pub(crate) saved: Option<VecDeque<SavedTrace>>,
    /// The traces made so far, in the order of rendering.
    pub(crate) traces: Vec<TraceHandle>,
    /// Relations imported so far: each once a dataflow.
    pub(crate) imports: HashMap<RelationId, (Edge<'scope>, Edge<'scope>)>,
    /// Sub-plans rendered so far: each once a dataflow.
    pub(crate) rendered: HashMap<PlanId, Edge<'scope>>,
    /// Inputs of joins arranged so far, by their keys: each once a dataflow.
    pub(crate) arranged: HashMap<(PlanId, Vec<SideKey>), Arranged<'scope>>,
    /// Relations whose errors came in with a shared arrangement.
    pub(crate) erring: HashSet<RelationId>,
    /// The shared arrangements that are taken in so far.
    pub(crate) taken_in: HashSet<ArrangementKey>,
    /// The error collections of all operators so far.
    pub(crate) errors: Vec<Edge<'scope>>,
    /// The arrangements of this worker that views share, where the dataflow may take them in.
    pub(crate) shared: &'a HashMap<ArrangementKey, SharedArrangement>,
    /// Which of `traces` belong to shared arrangements.
    pub(crate) borrowed: HashSet<usize>,
}

/// A rendered view.
pub(crate) struct Rendered {
    /// What it offers to others.
    pub(crate) publication: Rc<Publication>,
    /// Its traces in the order of rendering, for saving.
    pub(crate) traces: Vec<TraceHandle>,
    /// Which of them belong to shared arrangements.
    pub(crate) borrowed: HashSet<usize>,
}

impl<'scope> Renderer<'_, 'scope> {
    /// Renders a view: its publication, and all traces for saving.
    ///
    /// # Errors
    /// `InvalidPlan`, which checking the plan before has ruled out.
    pub(crate) fn view(mut self, plan: &PlanRef) -> Result<Rendered, EngineError> {
        // Inputs first, so that a deep plan takes no deep stack; what a join may share is left to the join.
        for input in plan.nodes().into_iter().filter(|plan| !is_chain(plan)) {
            self.render(input)?;
        }
        let rows = self.render(plan)?;
        let errors = self.scope.concatenate(std::mem::take(&mut self.errors));
        let saved = match (self.take_saved(), self.take_saved()) {
            (Some(rows), Some(errors)) => Some([rows, errors]),
            _ => None,
        };
        let spec = PublishSpec {
            columns: plan.columns().to_vec(),
            keep_rows: true,
            is_placed: is_placed(plan),
            start: self.start,
            saved,
            name: Arc::clone(&self.name),
            skips_errors: self.skips_errors,
            meter: Some(Arc::clone(self.meter)),
            checks_counts: false,
        };
        let publication = publish(rows, errors, spec, self.token);
        self.traces.extend(publication.traces());
        Ok(Rendered { publication, traces: self.traces, borrowed: self.borrowed })
    }

    /// Renders an arrangement that views share: its batches, and the errors of its chain. Those of the
    /// relation itself each view takes in once, however many arrangements it reads.
    ///
    /// # Errors
    /// `InvalidPlan`, which checking the plan before has ruled out.
    pub(crate) fn shared_arrangement(
        mut self,
        key: &ArrangementKey,
        export: Rc<Export>,
    ) -> Result<(Arranged<'scope>, Rc<Publication>), EngineError> {
        let ArrangementKey { input, keys } = key;
        for node in input.nodes() {
            if let Plan::Get { relation, columns } = node.operator() {
                self.get(*relation, columns.len())?;
            }
        }
        self.errors.clear();
        let all = (0..input.columns().len()).map(Expr::Column).collect();
        let (rows, types) = self.by_keys(input, keys, all, input)?;
        let (start, export) = (self.start, Some(export));
        let spec = ArrangeSpec { columns: types, keys: keys.len(), start, saved: None, export };
        let arranged = arrange(rows, spec, self.meter, self.token);
        let errors = self.scope.concatenate(std::mem::take(&mut self.errors));
        let spec = PublishSpec {
            columns: Vec::new(),
            keep_rows: true,
            is_placed: false,
            start: self.start,
            saved: None,
            name: Arc::clone(&self.name),
            skips_errors: false,
            meter: Some(Arc::clone(self.meter)),
            checks_counts: false,
        };
        Ok((arranged, publish(self.scope.concatenate(Vec::new()), errors, spec, self.token)))
    }

    /// The rows of a plan; its errors are added to the dataflow's when it is met for the first time.
    fn render(&mut self, plan: &PlanRef) -> Result<Edge<'scope>, EngineError> {
        let id = plan.id();
        if let Some(rows) = self.rendered.get(&id) {
            return Ok(rows.clone());
        }
        let rows = self.render_new(plan)?;
        self.rendered.insert(id, rows.clone());
        Ok(rows)
    }

    fn render_new(&mut self, plan: &PlanRef) -> Result<Edge<'scope>, EngineError> {
        match plan.operator() {
            Plan::Get { relation, columns } => self.get(*relation, columns.len()),
            Plan::Constant { rows, columns } => Ok(self.constant(rows, columns)),
            Plan::Project { input, predicates, outputs } => {
                let rows = self.render(input)?;
                self.project(rows, input.columns(), predicates, outputs, plan)
            }
            Plan::Join { left, right, keys } => {
                let specs = JoinSpec {
                    left: left.columns().to_vec(),
                    right: right.columns().to_vec(),
                    start: self.start,
                };
                let (left_keys, right_keys) = sides(keys);
                let left = self.join_input(left, left_keys, plan)?;
                let right = self.join_input(right, right_keys, plan)?;
                Ok(join(left, right, specs, Arc::clone(self.meter), self.token))
            }
            Plan::Reduce { input, keys, aggregates } => self.reduce(input, keys, aggregates, plan),
            Plan::Union { inputs } => {
                let rows = inputs.iter().map(|input| self.render(input)).collect::<Result<Vec<_>, _>>()?;
                Ok(self.scope.concatenate(rows))
            }
            Plan::Exists { left, right, keys, anti } => self.exists([left, right], keys, *anti, plan),
            Plan::Repeat { input, count } => self.repeat(input, count, plan),
            Plan::FlatMap { input, calls } => {
                let compiled = CompiledCalls::compile(self.compiler, calls, input.columns())?;
                let rows = self.render(input)?;
                let (operator, meter) = (plan.id().to_string().into(), Arc::clone(self.meter));
                let (rows, errors) = flat_map(rows, compiled, operator, meter, self.token);
                self.errors.push(errors);
                Ok(rows)
            }
            Plan::TopK { .. } => self.top_k(plan),
        }
    }

    fn get(&mut self, relation: RelationId, width: usize) -> Result<Edge<'scope>, EngineError> {
        if let Some((rows, _)) = self.imports.get(&relation) {
            return Ok(rows.clone());
        }
        let publication = self.relations.get(&relation).ok_or(EngineError::NoRelation(relation))?;
        let (rows, errors) = import(self.scope, publication, self.start, self.token, self.meter, width);
        self.imports.insert(relation, (rows.clone(), errors.clone()));
        if !self.erring.contains(&relation) {
            self.errors.push(errors);
        }
        Ok(rows)
    }

    /// Constant rows come from the first worker; a restored dataflow has them already.
    fn constant(&mut self, rows: &[Vec<Literal>], columns: &[DataType]) -> Edge<'scope> {
        let fresh = match self.start {
            Start::Fresh(as_of) => Some(as_of).filter(|_| self.scope.index() == 0 && !rows.is_empty()),
            Start::Restored(_) => None,
        };
        let delta = fresh.map(|as_of| Delta::uniform(constant_batch(rows, columns), 1, as_of));
        constant(self.scope, delta, self.clock.clone(), self.token)
    }

    fn project(
        &mut self,
        rows: Edge<'scope>,
        columns: &[DataType],
        predicates: &[Expr],
        outputs: &[Expr],
        plan: &PlanRef,
    ) -> Result<Edge<'scope>, EngineError> {
        let projection = Projection::compile(self.compiler, predicates, outputs, columns)?;
        let (rows, errors) = project(rows, projection, plan.id().to_string().into());
        self.errors.push(errors);
        Ok(rows)
    }

    /// A join input by its key expressions: an arrangement that views share, or one of its own.
    fn join_input(
        &mut self,
        input: &PlanRef,
        keys: Vec<SideKey>,
        plan: &PlanRef,
    ) -> Result<Arranged<'scope>, EngineError> {
        let place = (input.id(), keys);
        if let Some(arranged) = self.arranged_already(&place, input.columns()) {
            return Ok(arranged);
        }
        let arranged = match ArrangementKey::new(input, &place.1) {
            Some(key) => self.shared_or_own(key, input, &place.1, plan)?,
            None => self.keyed(input, &place.1, plan)?,
        };
        let again = arranged.share();
        self.arranged.insert(place, arranged);
        Ok(again)
    }

    /// The arrangement that views share under this key; where there is none, one of this view's own.
    fn shared_or_own(
        &mut self,
        key: ArrangementKey,
        input: &PlanRef,
        keys: &[SideKey],
        plan: &PlanRef,
    ) -> Result<Arranged<'scope>, EngineError> {
        let keeps_rows = |relation| self.relations.get(&relation).is_some_and(|found| found.keeps_rows());
        let was_shared = key.relation().is_some_and(keeps_rows);
        let found = self.shared.get(&key).zip(key.relation());
        let (shared, relation, as_of) = match (found, self.start) {
            (Some((shared, relation)), Start::Fresh(as_of)) => (shared, relation, as_of),
            (_, Start::Restored(_)) if was_shared => return self.restored(input, keys),
            (None, Start::Fresh(_)) | (_, Start::Restored(_)) => return self.keyed(input, keys, plan),
        };
        if !self.imports.contains_key(&relation) && self.erring.insert(relation) {
            let publication = self.relations.get(&relation).ok_or(EngineError::NoRelation(relation))?;
            self.errors.push(import_errors(self.scope, publication, self.start, self.token, self.meter));
        }
        if self.taken_in.insert(key) {
            self.errors.push(import_errors(self.scope, &shared.errors, self.start, self.token, self.meter));
        }
        let arranged = import_arranged(self.scope, shared, as_of, self.token);
        self.borrowed.insert(self.traces.len());
        self.traces.push(observer(&arranged.trace.borrow()));
        Ok(arranged)
    }

    /// What was a shared arrangement when the state was saved. The chain is computed for each anew, as
    /// it is where they are shared: its errors were counted with each, so they must go with each.
    fn restored(&mut self, input: &PlanRef, keys: &[SideKey]) -> Result<Arranged<'scope>, EngineError> {
        let rendered = std::mem::take(&mut self.rendered);
        let arranged = self.keyed(input, keys, input);
        self.rendered = rendered;
        arranged
    }

    /// A join input, arranged by its key expressions; rows whose NULL key matches nothing go.
    fn keyed(
        &mut self,
        input: &PlanRef,
        keys: &[SideKey],
        plan: &PlanRef,
    ) -> Result<Arranged<'scope>, EngineError> {
        let all = (0..input.columns().len()).map(Expr::Column).collect();
        let (rows, types) = self.by_keys(input, keys, all, plan)?;
        let (start, saved) = (self.start, self.take_saved());
        let spec = ArrangeSpec { columns: types, keys: keys.len(), start, saved, export: None };
        let arranged = arrange(rows, spec, self.meter, self.token);
        self.traces.push(observer(&arranged.trace.borrow()));
        Ok(arranged)
    }

    /// The arrangement of an input by these keys, where there is one.
    fn arranged_already(
        &self,
        (id, keys): &(PlanId, Vec<SideKey>),
        columns: &[DataType],
    ) -> Option<Arranged<'scope>> {
        if planted::is_on(Bug::MemoMixesKeys) {
            let types = |keys: &[SideKey]| -> Vec<_> {
                keys.iter().map(|(key, nulls)| (key.data_type(columns), *nulls)).collect()
            };
            let mut mixed = self.arranged.iter().filter(|((other, _), _)| other == id);
            let found = mixed.find(|((_, other), _)| types(other) == types(keys));
            return found.map(|(_, arranged)| arranged.share());
        }
        self.arranged.get(&(*id, keys.clone())).map(Arranged::share)
    }

    /// The rows of an input as its keys, then some columns, with the types of these; rows whose
    /// NULL key matches nothing go.
    fn by_keys(
        &mut self,
        input: &PlanRef,
        keys: &[SideKey],
        columns: Vec<Expr>,
        plan: &PlanRef,
    ) -> Result<(Edge<'scope>, Vec<DataType>), EngineError> {
        let input_columns = input.columns();
        let rows = self.render(input)?;
        let outputs: Vec<Expr> = keys.iter().map(|(key, _)| key.clone()).chain(columns).collect();
        let rows = self.with_keys(rows, input_columns, keys, &outputs, plan)?;
        Ok((rows, outputs.iter().filter_map(|output| output.data_type(input_columns)).collect()))
    }

    /// A semi or anti join. Right rows with a NULL key match nothing and go; so do left ones,
    /// unless those without a match are wanted.
    fn exists(
        &mut self,
        [left, right]: [&PlanRef; 2],
        keys: &[JoinKey],
        anti: bool,
        plan: &PlanRef,
    ) -> Result<Edge<'scope>, EngineError> {
        let (mut left_keys, right_keys) = sides(keys);
        left_keys.iter_mut().for_each(|(_, nulls_equal)| *nulls_equal |= anti);
        let all = (0..left.columns().len()).map(Expr::Column).collect();
        let (left, columns) = self.by_keys(left, &left_keys, all, plan)?;
        let (right, _) = self.by_keys(right, &right_keys, Vec::new(), plan)?;
        let operator = plan.id().to_string().into();
        let spec = ExistsSpec { columns, keys: keys.len(), anti, start: self.start, operator };
        let saved = self.saved.is_some().then(|| (0..2).filter_map(|_| self.take_saved()).collect());
        let (rows, errors, traces) = exists([left, right], spec, saved, Arc::clone(self.meter), self.token);
        self.traces.extend(traces);
        self.errors.push(errors);
        Ok(rows)
    }

    fn repeat(&mut self, input: &PlanRef, count: &Expr, plan: &PlanRef) -> Result<Edge<'scope>, EngineError> {
        let columns = input.columns();
        let rows = self.render(input)?;
        let outputs: Vec<Expr> = (0..columns.len()).map(Expr::Column).chain([count.clone()]).collect();
        let projection = Projection::compile(self.compiler, &[], &outputs, columns)?;
        let (rows, errors) = repeat(rows, projection, plan.id().to_string().into());
        self.errors.push(errors);
        Ok(rows)
    }

    fn top_k(&mut self, plan: &PlanRef) -> Result<Edge<'scope>, EngineError> {
        let Plan::TopK { input, keys, order, skip, fetch, numbered } = plan.operator() else {
            return Err(EngineError::InvalidPlan("not a top-k".to_owned()));
        };
        let columns = input.columns();
        let rows = self.render(input)?;
        let compared = order.iter().map(|key| key.expr.clone());
        let all = (0..columns.len()).map(Expr::Column);
        let outputs: Vec<Expr> = keys.iter().cloned().chain(compared).chain(all).collect();
        let rows = self.project(rows, columns, &[], &outputs, plan)?;
        let spec = TopKSpec {
            columns: outputs.iter().filter_map(|output| output.data_type(columns)).collect(),
            keys: keys.len(),
            order: order.iter().map(direction).collect(),
            skip: *skip,
            fetch: *fetch,
            numbered: *numbered,
            start: self.start,
            operator: plan.id().to_string().into(),
        };
        let saved = self.take_saved();
        let (rows, errors, trace) = top_k(rows, spec, saved, Arc::clone(self.meter), self.token);
        self.traces.push(trace);
        self.errors.push(errors);
        Ok(rows)
    }

    /// The outputs, keys first, of the rows whose keys are not NULL. A key that fails is an error
    /// also where another key is NULL, as in a query run once: such keys are computed all first.
    fn with_keys(
        &mut self,
        rows: Edge<'scope>,
        columns: &[DataType],
        keys: &[SideKey],
        outputs: &[Expr],
        plan: &PlanRef,
    ) -> Result<Edge<'scope>, EngineError> {
        let wanted = |keys: &[SideKey]| -> Vec<Expr> {
            keys.iter().filter(|(_, nulls_equal)| !nulls_equal).map(|(key, _)| key.clone()).collect()
        };
        if keys.len() < 2 || keys.iter().all(|(key, _)| matches!(key, Expr::Column(_))) {
            return self.project(rows, columns, &not_null(&wanted(keys)), outputs, plan);
        }
        let rows = self.project(rows, columns, &[], outputs, plan)?;
        let types: Vec<DataType> = outputs.iter().filter_map(|output| output.data_type(columns)).collect();
        let computed: Vec<Expr> = (0..types.len()).map(Expr::Column).collect();
        let keys = computed.iter().cloned().zip(keys.iter().map(|(_, nulls_equal)| *nulls_equal));
        self.project(rows, &types, &not_null(&wanted(&keys.collect::<Vec<_>>())), &computed, plan)
    }

    fn reduce(
        &mut self,
        input: &PlanRef,
        keys: &[Expr],
        aggregates: &[Aggregate],
        plan: &PlanRef,
    ) -> Result<Edge<'scope>, EngineError> {
        let columns = input.columns();
        let rows = self.render(input)?;
        let outputs = reduce_outputs(keys, aggregates);
        let rows = self.project(rows, columns, &[], &outputs, plan)?;
        let spec = reduce_spec(columns, keys.len(), &outputs, aggregates, self.start, plan)?;
        let saved =
            self.saved.is_some().then(|| (0..spec.trace_count()).filter_map(|_| self.take_saved()).collect());
        let (rows, errors, traces) = reduce(rows, spec, saved, Arc::clone(self.meter), self.token);
        self.traces.extend(traces);
        self.errors.push(errors);
        Ok(rows)
    }

    fn take_saved(&mut self) -> Option<SavedTrace> {
        self.saved.as_mut().and_then(VecDeque::pop_front)
    }
}

/// A key of one side of a join, and whether its NULLs match.
pub(crate) type SideKey = (Expr, bool);

/// The keys of the two sides.
fn sides(keys: &[JoinKey]) -> (Vec<SideKey>, Vec<SideKey>) {
    let sides = |key: &JoinKey| ((key.left.clone(), key.nulls_equal), (key.right.clone(), key.nulls_equal));
    keys.iter().map(sides).unzip()
}

/// How a key of an order is compared.
fn direction(key: &OrderKey) -> Direction {
    Direction { descending: key.descending, nulls_first: key.nulls_first }
}

/// That each of these is not NULL.
fn not_null(keys: &[Expr]) -> Vec<Expr> {
    if planted::is_on(Bug::NullJoinsNull) {
        return Vec::new();
    }
    keys.iter().map(|key| Expr::Not(Box::new(Expr::IsNull(Box::new(key.clone()))))).collect()
}

/// Each expression once, in the order of first appearance.
fn distinct(exprs: impl Iterator<Item = Expr>) -> Vec<Expr> {
    let mut seen: Vec<Expr> = Vec::new();
    for expr in exprs {
        if !seen.contains(&expr) {
            seen.push(expr);
        }
    }
    seen
}

/// The order of an aggregate's values, where it shows.
fn orders(aggregate: &Aggregate) -> impl Iterator<Item = &OrderKey> {
    let shows = matches!(aggregate.function, AggregateFunction::StringAgg | AggregateFunction::ArrayAgg);
    aggregate.order.iter().filter(move |_| shows)
}

/// What a reduce reads of its input: the keys, then the arguments and orders of the aggregates, each once.
pub(crate) fn reduce_outputs(keys: &[Expr], aggregates: &[Aggregate]) -> Vec<Expr> {
    let read = aggregates.iter().flat_map(|aggregate| {
        aggregate.arguments.iter().chain(orders(aggregate).map(|key| &key.expr)).cloned()
    });
    keys.iter().cloned().chain(distinct(read)).collect()
}

/// The operator's view of a reduce: positions in the projected input instead of expressions.
pub(crate) fn reduce_spec(
    columns: &[DataType],
    keys: usize,
    outputs: &[Expr],
    aggregates: &[Aggregate],
    start: Start,
    plan: &PlanRef,
) -> Result<ReduceSpec, EngineError> {
    let types: Vec<DataType> = outputs.iter().filter_map(|output| output.data_type(columns)).collect();
    let position = |argument: &Expr| {
        let found = outputs[keys..].iter().position(|output| output == argument).map(|index| keys + index);
        found.and_then(|index| types.get(index).map(|data_type| (index, *data_type)))
    };
    let spec = |aggregate: &Aggregate| {
        let order = orders(aggregate).map(|key| {
            let known = !aggregate.distinct || aggregate.arguments.contains(&key.expr);
            let column = position(&key.expr).filter(|_| known).map(|(column, _)| (column, direction(key)));
            column.ok_or_else(|| EngineError::InvalidPlan(format!("{aggregate} is ordered by no argument")))
        });
        Ok(AggregateSpec {
            function: aggregate.function,
            argument: aggregate.arguments.first().and_then(position),
            delimiter: aggregate.arguments.get(1).and_then(position),
            order: order.collect::<Result<_, EngineError>>()?,
            distinct: aggregate.distinct,
            result: aggregate.data_type,
        })
    };
    let layout = lay_out(aggregates.iter().map(spec).collect::<Result<_, EngineError>>()?)?;
    let operator = plan.id().to_string().into();
    Ok(ReduceSpec { columns: types, keys, layout, start, operator })
}

/// Constant rows as one batch.
fn constant_batch(rows: &[Vec<Literal>], columns: &[DataType]) -> arrow::array::RecordBatch {
    let column = |(index, data_type): (usize, &DataType)| -> ArrayRef {
        column_of_literals(*data_type, rows.iter().map(|row| &row[index]))
    };
    let arrays = columns.iter().enumerate().map(column).collect();
    batch_of(columns, arrays, rows.len()).expect("literals have the column's type")
}
