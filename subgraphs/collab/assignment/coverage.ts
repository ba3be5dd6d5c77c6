export interface Coverage {
  /** Chosen, in the order of what each added. */
  readonly team: readonly string[];
  /** What none of them can. */
  readonly gaps: readonly string[];
}

/**
 * A team of at most `size` that has as many of the required capabilities as can be: the greedy choice, at least 1 - 1/e of
 * the best (Nemhauser, Wolsey & Fisher 1978), then exchanges of one member for another while one helps.
 */
export function formTeam(
  candidates: readonly { readonly id: string; readonly capabilities: readonly string[] }[],
  required: readonly string[],
  size: number,
): Coverage {
  const needed = [...new Set(required)];
  const byId = new Map(candidates.map(({ id, capabilities }) => [id, new Set(capabilities)]));
  const covers = (team: readonly string[]) => needed.filter((skill) => team.some((id) => byId.get(id)!.has(skill)));
  let team: string[] = [];
  const ids = [...byId.keys()];
  while (team.length < size) {
    const have = covers(team).length;
    const gains = ids
      .filter((id) => !team.includes(id))
      .map((id) => ({ id, gain: covers([...team, id]).length - have }));
    const best = gains.reduce<{ id: string; gain: number } | null>(
      (most, one) => (one.gain > (most?.gain ?? 0) ? one : most),
      null,
    );
    if (best === null) break;
    team.push(best.id);
  }
  for (let improved = true; improved; ) {
    const have = covers(team).length;
    const better = team
      .flatMap((out) => ids.filter((id) => !team.includes(id)).map((id) => team.map((one) => (one === out ? id : one))))
      .find((changed) => covers(changed).length > have);
    improved = better !== undefined;
    if (better !== undefined) team = better;
  }
  const covered = covers(team);
  return { team, gaps: needed.filter((skill) => !covered.includes(skill)) };
}
