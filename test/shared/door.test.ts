import { describe, expect, it } from 'vitest';
import type { Authorizer, AuthRule } from '#shared/auth.ts';
import { createDoor, idsAt } from '#shared/door.ts';
import { createPrincipal } from '#shared/principal.ts';

const own = '11111111-1111-4111-8111-111111111111';
const other = '22222222-2222-4222-8222-222222222222';
const principal = createPrincipal({ tenantId: 'one', subject: 'ann', scopes: [] });

/** May do it in one context alone. */
const bound: Authorizer = {
  allows: (_principal, _permission, target) => target?.contextId === own,
  reach: () => 'depends',
};
const door = createDoor({ authorizer: bound, sql: undefined as never, locators: {} });
const rule = (...path: string[]): AuthRule => ({
  requires: ['role:read'],
  scope: 'TENANT',
  context: { kind: 'Context', path },
});
const enter = async (path: readonly string[], args: unknown) => {
  try {
    await door.check(rule(...path), args, { principal });
    return 'in';
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

describe('the door to what is about several contexts', () => {
  const path = ['inputs', 'contextId'];
  it.each([
    ['all in the context of the right', { inputs: [{ contextId: own }, { contextId: own }] }, 'in'],
    ['one in another', { inputs: [{ contextId: own }, { contextId: other }] }, 'PERMISSION_DENIED'],
    ['one that holds everywhere', { inputs: [{ contextId: own }, {}] }, 'PERMISSION_DENIED'],
    ['one whose context is null', { inputs: [{ contextId: null }, { contextId: own }] }, 'PERMISSION_DENIED'],
    ['one that is null itself', { inputs: [null, { contextId: own }] }, 'PERMISSION_DENIED'],
    ['none at all', { inputs: [] }, 'PERMISSION_DENIED'],
    ['no list', {}, 'PERMISSION_DENIED'],
  ])('%s', async (_, args, expected) => {
    expect(await enter(path, args)).toBe(expected);
  });

  it('ids themselves in a list', async () => {
    expect(await enter(['contextIds'], { contextIds: [own] })).toBe('in');
    expect(await enter(['contextIds'], { contextIds: [own, null] })).toBe('PERMISSION_DENIED');
  });

  it('a path that leads nowhere is told', () => {
    expect(idsAt({ inputs: [{ contextId: own }, {}] }, path)).toEqual([own, null]);
    expect(idsAt({}, path)).toEqual([null]);
    expect(idsAt({ inputs: [] }, path)).toEqual([]);
  });
});
