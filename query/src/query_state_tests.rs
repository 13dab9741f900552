//! What a question keeps of a disc that was large once.

use dunlin_index::Plane;

use super::*;

#[test]
fn room_of_a_disc_that_was_large_is_given_back() {
    let focus = SlotFocus::Point(Coord { x: 0.0, y: 0.0 });
    let kind = Kind::Within { radius: 1.0, focus };
    let mut query = QueryState::<Plane>::new(0, "q".into(), kind);
    let member = Member { key: 0.0, slot: Slot(0) };
    for count in [1_000, 1_000, 1, 1, 1] {
        query.replace_members(|_, members| members.resize(count, member));
        assert_eq!(query.members.len(), count);
    }
    for list in [&query.members, &query.previous] {
        assert!(list.capacity() <= MEMBER_ROOM_MAX * MEMBERS_FEW, "{}", list.capacity());
    }
}
