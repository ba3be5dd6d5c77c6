import type { Connection } from '#shared/connection.ts';
import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';
import { shownApiToken, shownDataKey, shownRevocation } from './rows.ts';

function shownPage<Row, Shown>({ edges: found, pageInfo }: Connection<Row>, show: (row: Row) => Shown) {
  const edges = found.map(({ cursor, node }) => ({ cursor, node: show(node) }));
  return { edges, nodes: edges.map(({ node }) => node), pageInfo };
}

export const securityQueries = {
  apiTokens: async (_parent, { subject, ...page }, { service, scope }) =>
    shownPage(await service.apiTokens.page(scope, subject ?? null, page), (row) => shownApiToken(row)),
  apiToken: async (_parent, { id }, { service, scope }) => {
    const row = await service.apiTokens.findOwn(scope, id);
    return row && shownApiToken(row);
  },
  revocations: async (_parent, page, { service, scope }) =>
    shownPage(await service.revocations.page(scope, page), shownRevocation),
  encryptionKeys: async (_parent, _args, { service, scope }) =>
    (await service.encryption.keys(scope)).map(shownDataKey),
} satisfies QueryResolvers;

export const securityMutations = {
  issueApiToken: async (_parent, { input }, { service, scope }) => {
    const { row, token } = await service.apiTokens.issue(scope, input);
    return { apiToken: shownApiToken(row), token, userErrors: [] };
  },
  revokeApiToken: async (_parent, { id, ...how }, { service, scope }) => ({
    apiToken: shownApiToken(await service.apiTokens.revoke(scope, id, how)),
    userErrors: [],
  }),
  revokeTokens: async (_parent, { input: { idempotencyKey, ...input } }, { service, scope }) => ({
    revocation: shownRevocation(await service.revocations.revoke(scope, input, idempotencyKey)),
    userErrors: [],
  }),
  liftRevocation: async (_parent, { kind, key, idempotencyKey }, { service, scope }) => ({
    key: await service.revocations.lift(scope, kind, key, idempotencyKey),
    userErrors: [],
  }),
  logout: async (_parent, _args, { service, scope }) => ({
    tokenId: await service.revocations.logout(scope),
    userErrors: [],
  }),
  encrypt: async (_parent, { plaintext, context }, { service, scope }) => ({
    ...(await service.encryption.encrypt(scope, plaintext, context)),
    userErrors: [],
  }),
  decrypt: async (_parent, { ciphertext, context }, { service, scope }) => ({
    ...(await service.encryption.decrypt(scope, ciphertext, context)),
    userErrors: [],
  }),
  rotateEncryptionKey: async (_parent, how, { service, scope }) => ({
    encryptionKey: shownDataKey(await service.encryption.rotate(scope, how)),
    userErrors: [],
  }),
} satisfies MutationResolvers;
