import type { ProtocolModule } from '../../schema/protocol/index.ts';
import { auditMutations, auditQueries } from './audit/resolvers.ts';
import { cachingMutations, cachingQueries } from './caching/resolvers.ts';
import { configMutations, configQueries } from './configuration/resolvers.ts';
import { erasureMutations, erasureQueries } from './erasure/resolvers.ts';
import { errorMutations, errorQueries } from './errors/resolvers.ts';
import { eventMutations, eventQueries } from './events/resolvers.ts';
import { fileQueries } from './files/resolvers.ts';
import { loggingMutations, loggingQueries } from './logging/resolvers.ts';
import { monitoringMutations, monitoringQueries } from './monitoring/resolvers.ts';
import { performanceMutations, performanceQueries } from './performance/resolvers.ts';
import { personalDataMutations, personalDataQueries } from './personalData/resolvers.ts';
import { reportMutations, reportQueries } from './reports/resolvers.ts';
import type { Resolvers } from './resolvers.generated.ts';
import { securityMutations, securityQueries } from './security/resolvers.ts';
import { validationMutations, validationQueries } from './validation/resolvers.ts';

function moduleOf(value: string): ProtocolModule {
  return value.toLowerCase() as ProtocolModule;
}

/** Null where there is none, or one that no date can say. */
function dateOf(ms: number | undefined): Date | null {
  const date = new Date(ms ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date;
}

export const resolvers: Resolvers = {
  Query: {
    ...auditQueries,
    ...cachingQueries,
    ...configQueries,
    ...eventQueries,
    ...fileQueries,
    ...reportQueries,
    ...validationQueries,
    ...loggingQueries,
    ...monitoringQueries,
    ...errorQueries,
    ...performanceQueries,
    ...securityQueries,
    ...personalDataQueries,
    ...erasureQueries,
    platform: (_parent, _args, { service }) => service.describe(),
    me: (_parent, _args, { principal }) => ({
      tenantId: principal.tenantId,
      subject: principal.subject,
      subjectType: principal.subjectType,
      displayName: principal.displayName ?? null,
      roles: [...principal.roles],
      scopes: [...principal.scopes],
      expiresAt: principal.expiresAtMs === undefined ? null : new Date(principal.expiresAtMs),
      tokenId: principal.tokenId ?? null,
      steppedUpUntil: dateOf(principal.steppedUpUntilMs),
      bounded: principal.isBounded === true,
    }),
    exportProtocolObject: (_parent, { module, id }, { service, principal }) =>
      service.exporter.exportObject(principal, moduleOf(module), id),
    exportProtocolBundle: (_parent, { contextId }, { service, principal }) =>
      service.exporter.exportBundle(principal, contextId),
  },
  Mutation: {
    ...auditMutations,
    ...cachingMutations,
    ...configMutations,
    ...eventMutations,
    ...reportMutations,
    ...validationMutations,
    ...loggingMutations,
    ...monitoringMutations,
    ...errorMutations,
    ...performanceMutations,
    ...securityMutations,
    ...personalDataMutations,
    ...erasureMutations,
    importProtocolObject: (_parent, { module, object, dryRun }, { service, scope }) =>
      service.importer.importObject(scope, { module: moduleOf(module), object }, dryRun ?? false),
    importProtocolBundle: (_parent, { objects, dryRun }, { service, scope }) =>
      service.importer.importBundle(
        scope,
        objects.map(({ module, object }) => ({ module: moduleOf(module), object })),
        dryRun ?? false,
      ),
  },
};
