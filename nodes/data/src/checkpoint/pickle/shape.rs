//! The shape of a finished pickle: no cycles, no deep nesting.

use super::Limits;
use super::error::PickleError;
use super::value::{Node, NodeId, Pickle};

impl Pickle {
    /// Refuses cycles and deep nesting, so that users of the values may recurse.
    pub(super) fn check_shape(&self, limits: Limits) -> Result<(), PickleError> {
        let too_deep = PickleError::TooLarge { what: "containers inside each other", limit: limits.depth };
        // Height of each finished node; `Some(0)` marks a node that is being visited.
        let mut height: Vec<Option<usize>> = vec![None; self.nodes.len()];
        let mut path: Vec<(NodeId, usize, usize)> = vec![(self.root, 0, 1)];
        height[self.root as usize] = Some(0);
        while let Some(&mut (id, ref mut next, ref mut tallest)) = path.last_mut() {
            let Some(child) = self.nodes[id as usize].child(*next) else {
                let found = *tallest;
                if found > limits.depth {
                    return Err(too_deep);
                }
                height[id as usize] = Some(found);
                path.pop();
                if let Some((_, _, parent)) = path.last_mut() {
                    *parent = (*parent).max(found + 1);
                }
                continue;
            };
            *next += 1;
            match height[child as usize] {
                Some(0) => {
                    let what = "a container that contains itself".to_owned();
                    return Err(PickleError::Malformed { what, position: 0 });
                }
                Some(known) => *tallest = (*tallest).max(known + 1),
                None => {
                    if path.len() > limits.depth {
                        return Err(too_deep);
                    }
                    height[child as usize] = Some(0);
                    path.push((child, 0, 1));
                }
            }
        }
        Ok(())
    }
}

impl Node {
    /// The `index`-th value inside a container.
    fn child(&self, index: usize) -> Option<NodeId> {
        match self {
            Self::List(items) | Self::Tuple(items) => items.get(index).copied(),
            Self::Dict(entries) | Self::Namespace(entries) => {
                entries.get(index / 2).map(|&(key, value)| if index.is_multiple_of(2) { key } else { value })
            }
            _ => None,
        }
    }
}
