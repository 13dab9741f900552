//! The tree against a plain list of segments.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<Slot>),
    Extend(u64, Slot),
    Expire(u64),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let objects = prop::collection::vec((0..6u32).prop_map(Slot), 1..5).prop_map(|objects| {
        let mut distinct = Vec::new();
        for object in objects {
            if !distinct.contains(&object) {
                distinct.push(object);
            }
        }
        distinct
    });
    prop_oneof![
        4 => objects.prop_map(Step::Insert),
        3 => (0..40u64, (0..6u32).prop_map(Slot)).prop_map(|(id, object)| Step::Extend(id, object)),
        3 => (0..40u64).prop_map(Step::Expire),
        1 => Just(Step::Sweep),
    ]
}

/// How many nodes a prefix tree of these paths has.
fn prefixes(paths: &BTreeMap<SegmentId, (Vec<Slot>, NodeId)>) -> usize {
    let all = paths.values().flat_map(|(path, _)| (1..=path.len()).map(|end| path[..end].to_vec()));
    all.collect::<std::collections::BTreeSet<_>>().len()
}

proptest! {
    #[test]
    fn the_tree_holds_the_live_segments(steps in prop::collection::vec(step(), 1..60)) {
        let mut tree = SegTree::default();
        let mut live: BTreeMap<SegmentId, (Vec<Slot>, NodeId)> = BTreeMap::new();
        let mut last = 0;
        for step in steps {
            match step {
                Step::Insert(path) => {
                    last += 1;
                    let node = tree.insert(path.iter().copied(), SegmentId(last));
                    live.insert(SegmentId(last), (path, node));
                }
                Step::Extend(id, object) => {
                    let growing = live.get_mut(&SegmentId(id));
                    if let Some((path, node)) = growing.filter(|(path, _)| !path.contains(&object)) {
                        path.push(object);
                        *node = tree.extend(*node, SegmentId(id), object);
                    }
                }
                Step::Expire(id) => {
                    live.remove(&SegmentId(id));
                }
                Step::Sweep => tree.sweep(|segment| live.contains_key(&segment)),
            }
            // What expires stays until a walk or the sweep meets it; walks see the live ones alone.
            for object in (0..6).map(Slot) {
                let mut found = Vec::new();
                let is_live = |segment| live.contains_key(&segment);
                tree.segments_with(object, is_live, |id, path| found.push((id, path.to_vec())));
                found.sort();
                let with_it = live.iter().filter(|(_, (path, _))| path.contains(&object));
                let expected: Vec<_> = with_it.map(|(id, (path, _))| (*id, path.clone())).collect();
                prop_assert_eq!(found, expected);
            }
            // Every object was walked, so nothing dead is left.
            prop_assert_eq!(tree.len(), prefixes(&live));
        }
        tree.sweep(|_| false);
        prop_assert!(tree.is_empty());
    }
}

#[test]
fn a_long_path_is_walked_without_a_deep_stack() {
    let mut tree = SegTree::default();
    let path: Vec<Slot> = (0..200_000).map(Slot).collect();
    tree.insert(path.iter().copied(), SegmentId(0));
    let mut lengths = Vec::new();
    tree.segments_with(Slot(7), |_| true, |_, path| lengths.push(path.len()));
    assert_eq!(lengths, [200_000]);
    tree.sweep(|_| false);
    assert!(tree.is_empty());
}
