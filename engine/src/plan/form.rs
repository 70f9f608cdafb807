//! A plan in the log: its distinct operators, each behind its inputs, which are named by their numbers.
//!
//! Canonical: the order is that of `PlanRef::nodes`, so equal plans have equal bytes, however much of them is
//! shared in memory.

use std::collections::HashMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Plan, PlanId, PlanRef};

impl Serialize for PlanRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nodes = self.nodes();
        let numbers: HashMap<PlanId, usize> =
            nodes.iter().enumerate().map(|(number, plan)| (plan.id(), number)).collect();
        let numbered = |plan: &&PlanRef| plan.operator().map_inputs(|input| numbers[&input.id()]);
        serializer.collect_seq(nodes.iter().map(numbered))
    }
}

impl<'de> Deserialize<'de> for PlanRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PlanRef, D::Error> {
        let mut plans: Vec<PlanRef> = Vec::new();
        for operator in Vec::<Plan<usize>>::deserialize(deserializer)? {
            let input = |number: &usize| {
                let found = plans.get(*number).cloned();
                found.ok_or_else(|| {
                    D::Error::custom(format!("a plan reads operator {number} before it is there"))
                })
            };
            let plan = PlanRef::new(operator.try_map_inputs(input)?);
            plans.push(plan);
        }
        plans.pop().ok_or_else(|| D::Error::custom("a plan without operators"))
    }
}

/// A plan as logs have it that were written before plans shared their inputs: a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTree(Box<Plan<PlanTree>>);

impl From<PlanTree> for PlanRef {
    fn from(PlanTree(operator): PlanTree) -> PlanRef {
        PlanRef::new(operator.map_inputs(|input| input.clone().into()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::{DataType, RelationId};

    fn get(relation: u64) -> PlanRef {
        Plan::Get { relation: RelationId(relation), columns: vec![DataType::Int32] }.into()
    }

    fn union(left: PlanRef, right: PlanRef) -> PlanRef {
        Plan::Union { inputs: vec![left, right] }.into()
    }

    /// A plan that is a tree of 2^depth leaves, `share` saying whether its equal parts are one in memory.
    fn doubled(depth: usize, share: bool) -> PlanRef {
        match depth {
            0 => get(1),
            _ if share => {
                let below = doubled(depth - 1, share);
                union(below.clone(), below)
            }
            _ => union(doubled(depth - 1, share), doubled(depth - 1, share)),
        }
    }

    fn bytes(plan: &PlanRef) -> Vec<u8> {
        postcard::to_stdvec(plan).unwrap()
    }

    #[test]
    fn the_bytes_do_not_tell_what_is_shared_in_memory() {
        assert_eq!(bytes(&doubled(8, true)), bytes(&doubled(8, false)));
        assert_eq!(doubled(8, true), doubled(8, false));
        assert_ne!(bytes(&union(get(1), get(2))), bytes(&union(get(2), get(1))));
        assert_ne!(union(get(1), get(2)), union(get(2), get(1)));
    }

    #[test]
    fn what_is_shared_is_there_once_and_comes_back_shared() {
        let plan = doubled(60, true);
        assert_eq!((plan.nodes().len(), plan.depth()), (61, 61));
        let bytes = bytes(&plan);
        assert!(bytes.len() < 61 * 8, "{}", bytes.len());
        let again: PlanRef = postcard::from_bytes(&bytes).unwrap();
        assert_eq!((&again, again.nodes().len()), (&plan, 61));
        assert_eq!(again.relations(), [RelationId(1)]);
        assert_eq!(again.map_relations(|_| RelationId(7)).relations(), [RelationId(7)]);
        again.check().unwrap();
    }

    #[test]
    fn trees_of_older_logs_become_shared_plans() {
        let bytes = [5, 2, 5, 2, 0, 1, 1, 1, 0, 1, 1, 1, 5, 2, 0, 1, 1, 1, 0, 1, 1, 1];
        let tree: PlanTree = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(PlanRef::from(tree), doubled(2, true));
    }

    #[test]
    fn damaged_plans_are_refused() {
        let refused = |operators: Vec<Plan<usize>>| {
            let bytes = postcard::to_stdvec(&operators).unwrap();
            assert!(postcard::from_bytes::<PlanRef>(&bytes).is_err());
        };
        refused(Vec::new());
        refused(vec![Plan::Union { inputs: vec![0] }]);
        refused(vec![Plan::Union { inputs: Vec::new() }, Plan::Union { inputs: vec![2] }]);
    }
}
