import { ann, bob, type CollabRig, cat, codesOf, dan, type Json } from './rig.ts';

export const people = { ann, bob, cat, dan };
type Name = keyof typeof people;
export const names = Object.keys(people) as Name[];
const shown =
  'id status outcome winner note version endsAt closedAt members { participantId } rules { type quorumEnforced } rounds { number outcome winner closedAt deadline tally { heard quorum quorumMet } }';
const selection = `council { ${shown} } decision { id status outcome winner round gate ballotCount advice { optionId confidence rationale } }`;

export interface Question {
  readonly council: object;
  readonly rules?: object;
  readonly options?: readonly object[];
  readonly impact?: number;
  readonly collabId?: string;
}

/** Sessions of four with questions before councils, on a rig that the test opens. */
export function councilsOn(open: () => CollabRig) {
  const rig = {
    session: (...args: Parameters<CollabRig['session']>) => open().session(...args),
    act: (...args: Parameters<CollabRig['act']>) => open().act(...args),
    mutate: (...args: Parameters<CollabRig['mutate']>) => open().mutate(...args),
    ask: (...args: Parameters<CollabRig['ask']>) => open().ask(...args),
    get sql() {
      return open().sql;
    },
    get service() {
      return open().service;
    },
  };

  async function ask({ council, rules = {}, options, impact = 0.1, collabId }: Question) {
    const id = collabId ?? (await rig.session('ORCHESTRATED', ['bob', 'cat', 'dan']));
    const { decision } = await rig.act(
      bob,
      'proposeDecision',
      {
        collabId: id,
        title: 'Which?',
        type: 'TACTICAL',
        impact,
        options: options ?? [
          { id: 'a', label: 'A' },
          { id: 'b', label: 'B' },
          { id: 'same', label: 'As it is', statusQuo: true },
        ],
        rules: { method: 'MAJORITY', council, ...rules },
      },
      'decision { id }',
    );
    return { id, decisionId: String(decision!['id']) };
  }

  const openCouncil = (decisionId: string, more: object = {}) =>
    rig.mutate(ann, 'openCouncil', { decisionId, ...more }, selection);
  async function sit(question: Question, more: object = {}) {
    const asked = await ask(question);
    const opened = await openCouncil(asked.decisionId, more);
    if (codesOf(opened).length > 0) throw new Error(JSON.stringify(opened['userErrors']));
    return { ...asked, councilId: String(opened['council']!['id']), opened };
  }
  const cast = (who: typeof ann, decisionId: string, ballot: object) =>
    rig.mutate(who, 'castBallot', { decisionId, ...ballot }, 'decision { status ballotCount }');
  const act = (field: string, councilId: string) => rig.mutate(ann, field, { councilId }, selection);
  const read = async (councilId: string): Promise<Json> =>
    (
      await rig.ask(
        ann,
        `query ($id: ID!) { council(id: $id) { ${shown} decision { id status outcome winner round gate advice { optionId confidence } council { id } } conflict { id status } } }`,
        { id: councilId },
      )
    )['council']!;

  /** Lets the time of the round be over, not that of the sitting. */
  async function elapseRound(collabId: string, decisionId: string): Promise<void> {
    const past = new Date(Date.now() - 1_000).toISOString();
    await rig.sql.unsafe(
      `UPDATE collab.collaboration SET next_deadline_at = $2::text::timestamptz, deadlines = deadlines || jsonb_build_object($3::text, $2::text) WHERE id = $1`,
      [collabId, past, `decision:${decisionId}`],
    );
    await rig.sql.unsafe('UPDATE collab.decision SET deadline = $2::text::timestamptz WHERE id = $1', [
      decisionId,
      past,
    ]);
    await rig.service.deadlines.meetOne('one', collabId);
  }

  return { ask, open: openCouncil, sit, cast, act, read, elapseRound };
}
