// Answers of standing queries: from one to the next, and what changed.

/**
 * The answer after a delta. Changes lead from the previous answer to the next in order: `leave`
 * takes out, `enter` and `reorder` put at a rank, `move` gives new values in place. An object
 * without `distance` or `at` keeps the ones it had.
 */
export function applyDelta(answer, delta) {
  const before = new Map(answer.objects.map((object) => [object.id, object]));
  const away = new Set();
  for (const change of delta.changes) {
    if (change.leave !== undefined) away.add(change.leave);
    if (change.reorder) away.add(change.reorder.id);
  }
  const objects = answer.objects.filter((object) => !away.has(object.id));
  for (const { enter, reorder, move } of delta.changes) {
    const placed = enter ?? reorder;
    if (placed) {
      const { rank, ...object } = placed;
      objects.splice(rank, 0, { ...before.get(object.id), ...object });
    } else if (move) {
      const index = objects.findIndex((object) => object.id === move.id);
      if (index >= 0) objects[index] = { ...objects[index], ...move };
    }
  }
  return { ...answer, time: delta.time, objects };
}

/** Which objects came into an answer and which left it, by id. */
export function difference(previous, next) {
  const before = new Set(previous.objects.map((object) => object.id));
  const after = new Set(next.objects.map((object) => object.id));
  return {
    entered: [...after].filter((id) => !before.has(id)),
    left: [...before].filter((id) => !after.has(id)),
  };
}

/** Who entered and who left by a delta. */
export function comings(delta) {
  return {
    entered: delta.changes.filter((change) => change.enter).map((change) => change.enter.id),
    left: delta.changes
      .filter((change) => change.leave !== undefined)
      .map((change) => change.leave),
  };
}

/** The newest changes first, at most `most` of them. */
export function remember(changes, { entered, left }, at, most = 12) {
  const added = [
    ...entered.map((id) => ({ kind: "enter", id, at })),
    ...left.map((id) => ({ kind: "leave", id, at })),
  ];
  return added.length === 0 ? changes : [...added, ...changes].slice(0, most);
}

/** What a query asks: its kind, k, its radius, and where or around which object. */
export function question(query) {
  const kind = ["knn", "within", "inside", "cooccurrence"].find((name) => query[name]) ?? "other";
  const body = query[kind] ?? {};
  return {
    kind,
    k: body.k,
    radius: body.radius,
    at: body.at,
    object: body.object,
    area: body.area,
  };
}

/** The radius of a query's disc: what was asked, or how far the farthest neighbour is. */
export function radiusOf(query, answer) {
  const { kind, radius } = question(query);
  if (kind === "within") return radius;
  if (kind !== "knn" || !answer || answer.objects.length === 0) return null;
  return Math.max(...answer.objects.map((object) => object.distance));
}

/** The body of a query to register, from what the form says. */
export function knnQuery(id, k, target) {
  const around = target.object === undefined ? { at: target.at } : { object: target.object };
  return { id, knn: { k, ...around } };
}

/** A name for a new query that no other has: near-1, follow-1131, follow-1131-2. */
export function freeName(target, taken) {
  const stem = target.object === undefined ? "near" : `follow-${target.object}`;
  const numbered = (number) =>
    target.object !== undefined && number === 1 ? stem : `${stem}-${number}`;
  let number = 1;
  while (taken.has(numbered(number))) number += 1;
  return numbered(number);
}

/** A query in words; `place` writes a position. */
export function inWords(query, place, length) {
  const { kind, k, radius, at, object } = question(query);
  const around = object === undefined ? at && place(at) : object;
  if (kind === "knn") {
    return object === undefined ? `${k} nearest to ${around}` : `${k} nearest, following ${around}`;
  }
  if (kind === "within") return `all within ${length(radius)} of ${around}`;
  if (kind === "inside") return "all inside an area";
  return kind === "cooccurrence" ? "who is seen together" : "a question";
}
