//! The search: breadth first, so that it finds a shortest path to a violation.

use std::collections::HashMap;
use std::collections::VecDeque;

use crate::actions::Action;
use crate::faults::PlantedBug;
use crate::invariants;
use crate::world::World;

/// The result of a search.
pub struct Found {
    /// How many states it saw.
    pub states: usize,
    /// The invariant that does not hold, and the path there.
    pub violation: Option<String>,
}

/// Most states that are visited without a bug: all of them in a release build, those within the fewest actions in a debug
/// build, which takes ten times as long for each.
const MOST_STATES: usize = if cfg!(debug_assertions) { 400_000 } else { usize::MAX };

/// Visits every reachable state, or stops at the first in which an invariant does not hold.
pub fn search(bug: Option<PlantedBug>) -> Found {
    let start = World::new();
    let mut came_from: HashMap<World, Option<(World, Action)>> = HashMap::from([(start.clone(), None)]);
    let mut frontier = VecDeque::from([start]);
    let most = if bug.is_some() { usize::MAX } else { MOST_STATES };
    while came_from.len() < most
        && let Some(world) = frontier.pop_front()
    {
        let check = invariants::always(&world).and_then(|()| invariants::at_rest(&world.completed(bug)));
        if let Err(violation) = check {
            let violation = Some(explain(&violation, &world, &came_from));
            return Found { states: came_from.len(), violation };
        }
        for action in world.actions(bug) {
            let next = world.after(action, bug);
            if let Err(violation) = invariants::step(&world, action, &next) {
                let violation = format!("{} → {action:?}", explain(&violation, &world, &came_from));
                return Found { states: came_from.len(), violation: Some(violation) };
            }
            if !came_from.contains_key(&next) {
                came_from.insert(next.clone(), Some((world.clone(), action)));
                frontier.push_back(next);
            }
        }
    }
    Found { states: came_from.len(), violation: None }
}

fn explain(violation: &str, world: &World, came_from: &HashMap<World, Option<(World, Action)>>) -> String {
    let mut way = Vec::new();
    let mut at = world;
    while let Some(Some((before, action))) = came_from.get(at) {
        way.push(format!("{action:?}"));
        at = before;
    }
    way.reverse();
    format!("{violation}\n  after {}", way.join(" → "))
}

#[test]
fn no_reachable_state_breaks_an_invariant() {
    let found = search(None);
    println!("{} states explored", found.states);
    if let Some(violation) = found.violation {
        panic!("{violation}");
    }
    assert!(found.states > 10_000, "only {} states: the model lost something", found.states);
}
