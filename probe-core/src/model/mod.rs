//! Plain types and the result schema. This module neither reads files nor asks the kernel, so that
//! old results can be analysed and reported anywhere.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod bounds;
pub mod campaign;
pub mod checks;
pub mod counter;
pub mod cpu_list;
pub mod doctor;
pub mod external;
pub mod figure;
pub mod figures;
pub mod item;
pub mod latency;
pub mod loss;
pub mod method;
pub mod note;
pub mod observation;
pub mod paper;
pub(crate) mod prefix;
pub mod reason;
pub mod scenario;
pub mod schema;
pub mod sections;
pub mod subject;
pub mod target;
pub mod trial;
pub mod units;
