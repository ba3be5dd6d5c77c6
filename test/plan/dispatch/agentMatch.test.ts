import fc from 'fast-check';
import { expect, it, test } from 'vitest';
import { type DispatchAgent, findUnmatched, matchAgent } from '../../../subgraphs/plan/dispatch/index.ts';

const agents: DispatchAgent[] = [
  { agentId: 'all', capabilities: ['code', 'test', 'write'], capacity: 4, running: 1, roles: ['lead'] },
  { agentId: 'coder', capabilities: ['code'], capacity: 4, running: 1 },
  { agentId: 'tester', capabilities: ['code', 'test'], capacity: 2, running: 2 },
];

test('all capabilities first, then the least loaded, then the least versatile', () => {
  expect(matchAgent({ capabilities: ['code'] }, agents)).toEqual({ agentId: 'coder' });
  expect(matchAgent({ capabilities: ['code', 'test'] }, agents)).toEqual({ agentId: 'all' });
  expect(matchAgent({ capabilities: [], role: 'lead' }, agents)).toEqual({ agentId: 'all' });
  const idle = agents.map((agent) => ({ ...agent, running: agent.agentId === 'tester' ? 0 : agent.running }));
  expect(matchAgent({ capabilities: ['code'] }, idle)).toEqual({ agentId: 'tester' });
});

test('busy and incapable are told apart', () => {
  expect(matchAgent({ capabilities: ['test'] }, agents.slice(2))).toEqual({ agentId: null, reason: 'all_busy' });
  expect(matchAgent({ capabilities: ['code', 'fly'] }, agents)).toEqual({
    ...{ agentId: null, reason: 'no_capable_agent' },
    missing: ['fly'],
  });
  expect(matchAgent({ capabilities: [] }, [])).toMatchObject({ reason: 'no_capable_agent' });
  expect(
    findUnmatched([{ capabilities: ['test'] }, { capabilities: ['fly'] }, { capabilities: [], role: 'x' }], agents),
  ).toEqual([1, 2]);
});

it('takes no agent that lacks something, is full, or is busier than another that would do', () => {
  const capability = fc.constantFrom('a', 'b', 'c');
  const agent = fc.record({
    agentId: fc.uuid(),
    capabilities: fc.uniqueArray(capability),
    capacity: fc.integer({ min: 1, max: 3 }),
    running: fc.nat({ max: 3 }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(capability), fc.array(agent), (capabilities, pool) => {
      const able = pool.filter((one) => capabilities.every((wanted) => one.capabilities.includes(wanted)));
      const free = able.filter(({ running, capacity }) => running < capacity);
      const match = matchAgent({ capabilities }, pool);
      if (match.agentId === null) {
        expect(free).toEqual([]);
        expect(match.reason).toBe(able.length > 0 ? 'all_busy' : 'no_capable_agent');
        return;
      }
      const chosen = free.find(({ agentId }) => agentId === match.agentId)!;
      const load = ({ running, capacity }: DispatchAgent) => running / capacity;
      expect(load(chosen)).toBe(Math.min(...free.map(load)));
    }),
  );
});
