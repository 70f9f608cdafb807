//! Plans as inputs of plans: immutable, shared, each with what is asked of it again and again.
//!
//! A plan's identity is BLAKE3 over its operator and its inputs' identities, so that equal sub-plans can be
//! found wherever they stand. Plans that share inputs are a graph which, written out as a tree, may be
//! exponentially larger: whatever walks over a plan goes over `nodes`, or remembers which it has met.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::error::EngineError;
use crate::types::{DataType, RelationId};

/// Raised when the row encoding or the meaning of an operator changes: part of every identity.
const FORMAT_VERSION: u32 = 3;

/// The identity of a plan: BLAKE3 of its operator's bytes and its inputs' identities.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanId(pub [u8; 32]);

impl fmt::Display for PlanId {
    /// The first 8 bytes in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanId({self})")
    }
}

/// A plan that others may read as well. Cheap to clone and to compare.
#[derive(Clone)]
pub struct PlanRef(Arc<Node>);

struct Node {
    operator: Plan,
    id: PlanId,
    columns: Vec<DataType>,
    depth: usize,
}

impl PlanRef {
    /// The plan of an operator over its inputs.
    pub fn new(operator: Plan) -> PlanRef {
        let bytes = postcard::to_stdvec(&(FORMAT_VERSION, operator.map_inputs(PlanRef::id)));
        let id = PlanId(*blake3::hash(&bytes.expect("a plan is plain data")).as_bytes());
        let columns = operator.output();
        let depth = 1 + operator.inputs().into_iter().map(PlanRef::depth).max().unwrap_or(0);
        PlanRef(Arc::new(Node { operator, id, columns, depth }))
    }

    /// What the plan does with its inputs.
    pub fn operator(&self) -> &Plan {
        &self.0.operator
    }

    /// The plan's identity.
    pub fn id(&self) -> PlanId {
        self.0.id
    }

    /// The types of the output's columns.
    pub fn columns(&self) -> &[DataType] {
        &self.0.columns
    }

    /// How many operators stand above one another.
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// The plan's inputs, left to right.
    pub fn inputs(&self) -> Vec<&PlanRef> {
        self.operator().inputs()
    }

    /// The distinct plans that this one is made of, each behind its inputs; itself the last.
    pub fn nodes(&self) -> Vec<&PlanRef> {
        let (mut nodes, mut met) = (Vec::new(), HashSet::new());
        let mut open = vec![(self, false)];
        while let Some((plan, inputs_done)) = open.pop() {
            if inputs_done {
                nodes.push(plan);
            } else if met.insert(plan.id()) {
                open.push((plan, true));
                open.extend(plan.inputs().into_iter().rev().map(|input| (input, false)));
            }
        }
        nodes
    }

    /// The relations that the plan reads, each once, in ascending order.
    pub fn relations(&self) -> Vec<RelationId> {
        let relation = |plan: &PlanRef| {
            if let Plan::Get { relation, .. } = plan.operator() { Some(*relation) } else { None }
        };
        let mut found: Vec<RelationId> = self.nodes().into_iter().filter_map(relation).collect();
        found.sort();
        found.dedup();
        found
    }

    /// The plan over the relations that `map` gives for those that it reads.
    #[must_use]
    pub fn map_relations(&self, map: impl Fn(RelationId) -> RelationId) -> PlanRef {
        let mut mapped: HashMap<PlanId, PlanRef> = HashMap::new();
        let mut last = self.clone();
        for plan in self.nodes() {
            let mut operator = plan.operator().map_inputs(|input| mapped[&input.id()].clone());
            if let Plan::Get { relation, .. } = &mut operator {
                *relation = map(*relation);
            }
            last = PlanRef::new(operator);
            mapped.insert(plan.id(), last.clone());
        }
        last
    }

    /// Checks what the types cannot say: columns in range, predicates boolean, keys of equal types.
    ///
    /// # Errors
    /// `InvalidPlan`, a defect of the planner, never the user's fault.
    pub fn check(&self) -> Result<(), EngineError> {
        self.nodes().into_iter().try_for_each(|plan| plan.operator().check())
    }
}

impl From<Plan> for PlanRef {
    fn from(operator: Plan) -> PlanRef {
        PlanRef::new(operator)
    }
}

impl PartialEq for PlanRef {
    fn eq(&self, other: &PlanRef) -> bool {
        self.id() == other.id()
    }
}

impl Eq for PlanRef {}

impl Hash for PlanRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}
