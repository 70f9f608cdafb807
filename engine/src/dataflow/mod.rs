//! The dataflow: operators, the state that drivers keep, and rendering plans into them.
//!
//! In reading order:

pub(crate) mod placement; // which worker owns a row
pub(crate) mod edge; // what travels between operators, and how it is exchanged
pub(crate) mod turns; // when deferred work goes on, and stops; the clock of sources without input
pub(crate) mod blocks; // how large a batch may become, how much an activation may do
pub(crate) mod meter; // counting visited rows
pub(crate) mod errors; // rows of the error collection
pub(crate) mod stateless; // filter, project, repeat, constants
pub(crate) mod flat_map; // calls for each row
pub(crate) mod arrangement; // the state of one collection
pub(crate) mod arrange; // driver: keep a collection by key
pub(crate) mod limbs; // wide integers as lanes
pub(crate) mod shared; // arrangements that several views read
pub(crate) mod accumulate; // aggregates as sums of lanes
pub(crate) mod distinct; // arguments that count once
pub(crate) mod ordered; // arguments kept in order
pub(crate) mod groups; // rows of groups, and their columns
pub(crate) mod touched; // the groups that a seal touches
pub(crate) mod reduce; // driver: GROUP BY
pub(crate) mod join; // driver: equi-join
pub(crate) mod output; // blocks of encoded rows on their way out
pub(crate) mod exists; // driver: semi and anti joins
pub(crate) mod topk; // driver: the first rows of each group
pub(crate) mod negative; // tables must not lack what is taken from them
pub(crate) mod publish; // driver: what a relation offers to others
pub(crate) mod import; // driver: reading another relation
pub(crate) mod subscribe; // following a relation from outside
pub(crate) mod render; // plan → operators
