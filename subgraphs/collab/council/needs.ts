import type { Needs } from '../commands.ts';

/** What a council may act on when it closes. */
export const councilNeeds = (decisionId: string): Needs => ({
  participant: 'all',
  turn: 'open',
  task: 'open',
  broadcast: 'open',
  decision: { openAnd: [decisionId] },
  ballot: [decisionId],
  council: 'open',
  conflict: 'open',
  resource: 'all',
});
