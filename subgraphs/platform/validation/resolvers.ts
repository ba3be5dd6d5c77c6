import { callOf } from '../call.ts';
import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import type { RuleRow } from './rules.ts';
import { findSchemaProblems } from './schemaRules.ts';

const shownRule = ({ tenantId: _tenant, severity, ...row }: RuleRow) => ({
  ...row,
  severity: severity.toUpperCase() as 'ERROR' | 'WARNING',
});

export const validationQueries = {
  schemas: async (_parent, { name, ...page }, { service, scope }) => {
    const { edges, nodes, pageInfo } = await service.schemas.page(scope, name ?? null, page);
    return { edges: [...edges], nodes: [...nodes], pageInfo };
  },
  schema: (_parent, { name, version }, { service, scope }) => service.schemas.find(scope, name, version ?? null),
  validateSchema: async (_parent, { document }) => {
    const problems = await findSchemaProblems(document);
    return { valid: problems.length === 0, problems: [...problems] };
  },
  validateData: (_parent, { name, version, data, coerce }, { service, scope }) =>
    service.schemas.validate(scope, { name, version: version ?? null, data, coerce }),
  checkCompatibility: (_parent, { name, version, document }, { service, scope }) =>
    service.schemas.compare(scope, name, version ?? null, document),
  businessRules: async (_parent, { ruleSet }, { service, scope }) =>
    (await service.rules.all(scope, ruleSet ?? null)).map(shownRule),
  validateBusinessRules: (_parent, { ruleSet, data }, { service, scope }) => service.rules.check(scope, ruleSet, data),
} satisfies QueryResolvers;

export const validationMutations = {
  registerSchema: async (_parent, { name, document, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'registerSchema', { name, document });
    return { schema: await service.schemas.register(scope, name, document, call), userErrors: [] };
  },
  createBusinessRule: async (_parent, { input, expectedVersion, idempotencyKey }, { service, scope }) => {
    const rule = await service.rules.put(scope, input, expectedVersion ?? null, (asked) =>
      callOf(scope, idempotencyKey, 'createBusinessRule', asked),
    );
    return { rule: shownRule(rule), userErrors: [] };
  },
  deleteBusinessRule: async (_parent, { ruleId, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'deleteBusinessRule', { ruleId });
    return { deletedId: await service.rules.remove(scope, ruleId, call), userErrors: [] };
  },
} satisfies MutationResolvers;
