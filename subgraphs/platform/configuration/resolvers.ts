import { isLiveVariable } from '#shared/config.ts';
import type { Connection } from '#shared/connection.ts';
import { subjectBoundTag } from '#shared/context.ts';
import { callOf } from '../call.ts';
import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import { configTag } from './entries.ts';
import { readPlace, requireValue } from './inputs.ts';
import { type ConfigRow, shownConfig } from './rows.ts';
import type { EffectiveConfig } from './service.ts';

function shownPage({ edges: found, pageInfo }: Connection<ConfigRow>) {
  const edges = found.map(({ cursor, node }) => ({ cursor, node: shownConfig(node) }));
  return { edges, nodes: edges.map(({ node }) => node), pageInfo };
}

const shownEffective = ({ row, ...found }: EffectiveConfig) => ({ ...found, entry: row && shownConfig(row) });

export const configQueries = {
  config: async (_parent, { key, module, environment }, { service, scope }) => {
    const place = { module: module ?? null, environment: environment ?? null };
    const found = await service.configuration.effective(scope, key, place);
    // Its own value hides all others, and only the tenant's events change it: what holds for all, what is not there, and
    // what the process itself follows may change without one.
    const isOwn = found?.row?.tenantId === scope.principal.tenantId && !isLiveVariable(key);
    scope.readTags.add(isOwn ? configTag(key) : subjectBoundTag);
    return found && shownEffective(found);
  },
  platformVariables: async (_parent, _args, { service, scope }) =>
    (await service.configuration.variables(scope)).map(shownEffective),
  configs: async (_parent, { prefix, ...page }, { service, scope }) =>
    shownPage(await service.configuration.page(scope, prefix ?? '', page)),
  configHistory: async (_parent, { key, scope: where, target, ...page }, { service, scope }) =>
    shownPage(await service.configuration.history(scope, readPlace({ key, scope: where, target }), page)),
  validateConfig: async (_parent, { values }, { service, scope }) => {
    const problems = await service.configuration.check(scope, values);
    return { valid: problems.length === 0, problems: [...problems] };
  },
} satisfies QueryResolvers;

export const configMutations = {
  setConfig: async (_parent, { input, expectedVersion, idempotencyKey }, { service, scope }) => {
    const place = readPlace({ ...input, scope: input.scope ?? 'TENANT' }, ['input']);
    requireValue(place.key, input.value);
    const call = callOf(scope, idempotencyKey, 'setConfig', { input, expectedVersion });
    const given = { value: input.value, secret: input.secret ?? false, schemaRef: input.schemaRef ?? null };
    const how = { ...given, expectedVersion: expectedVersion ?? null, call };
    return { entry: shownConfig(await service.configuration.set(scope, place, how)), userErrors: [] };
  },
  deleteConfig: async (_parent, { key, scope: where, target, expectedVersion, idempotencyKey }, { service, scope }) => {
    const place = readPlace({ key, scope: where, target });
    const call = callOf(scope, idempotencyKey, 'deleteConfig', { place, expectedVersion });
    const how = { expectedVersion: expectedVersion ?? null, call };
    return { entry: shownConfig(await service.configuration.remove(scope, place, how)), userErrors: [] };
  },
  rollbackConfig: async (
    _parent,
    { key, scope: where, target, version, expectedVersion, idempotencyKey },
    { service, scope },
  ) => {
    const place = readPlace({ key, scope: where, target });
    const call = callOf(scope, idempotencyKey, 'rollbackConfig', { place, version, expectedVersion });
    const how = { expectedVersion: expectedVersion ?? null, call };
    return { entry: shownConfig(await service.configuration.rollback(scope, place, version, how)), userErrors: [] };
  },
  reloadConfig: async (_parent, _args, { service, scope }) => ({
    changed: [...(await service.configuration.reload(scope))],
    userErrors: [],
  }),
} satisfies MutationResolvers;
