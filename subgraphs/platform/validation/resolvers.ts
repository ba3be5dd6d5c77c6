import { callOf } from '../call.ts';
import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import type { RuleRow } from './rules.ts';
import { findSchemaProblems } from './schemaRules.ts';
import type { SchemaRow } from './schemas.ts';

const shownSchema = ({ tenantId: _tenant, status, ...row }: SchemaRow) => ({
  ...row,
  status: status.toUpperCase() as Uppercase<typeof status>,
  dialect: String(Reflect.get(row.document, '$schema') ?? 'http://json-schema.org/draft-07/schema#'),
});

const shownRule = ({ tenantId: _tenant, severity, ...row }: RuleRow) => ({
  ...row,
  severity: severity.toUpperCase() as 'ERROR' | 'WARNING',
});

export const validationQueries = {
  schemas: async (_parent, { name, ...page }, { service, scope }) => {
    const { edges, nodes, pageInfo } = await service.schemas.page(scope, name ?? null, page);
    return {
      edges: edges.map(({ cursor, node }) => ({ cursor, node: shownSchema(node) })),
      nodes: nodes.map(shownSchema),
      pageInfo,
    };
  },
  schema: async (_parent, { name, version }, { service, scope }) => {
    const row = await service.schemas.find(scope, name, version ?? null);
    return row && shownSchema(row);
  },
  validateSchema: async (_parent, { document }) => {
    const problems = await findSchemaProblems(document);
    return { valid: problems.length === 0, problems: [...problems] };
  },
  validateData: (_parent, { version, ...asked }, { service, scope }) =>
    service.schemas.validate(scope, { ...asked, version: version ?? null }),
  checkCompatibility: (_parent, { name, version, document }, { service, scope }) =>
    service.schemas.compare(scope, name, version ?? null, document),
  businessRules: async (_parent, { ruleSet }, { service, scope }) =>
    (await service.rules.all(scope, ruleSet ?? null)).map(shownRule),
  validateBusinessRules: (_parent, { ruleSet, data }, { service, scope }) => service.rules.check(scope, ruleSet, data),
} satisfies QueryResolvers;

export const validationMutations = {
  registerSchema: async (_parent, { name, document, idempotencyKey }, { service, scope }) => {
    const call = callOf(scope, idempotencyKey, 'registerSchema', { name, document });
    return { schema: shownSchema(await service.schemas.register(scope, name, document, call)), userErrors: [] };
  },
  setSchemaStatus: async (_parent, { idempotencyKey, status, ...which }, { service, scope }) => {
    const asked = { ...which, status: status.toLowerCase() as Lowercase<typeof status> };
    const call = callOf(scope, idempotencyKey, 'setSchemaStatus', asked);
    return { schema: shownSchema(await service.schemas.setStatus(scope, asked, call)), userErrors: [] };
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
