import { readFileSync } from 'node:fs';
import { operatorTenantOf } from '#shared/config.ts';
import type { PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { loadInternalSecret } from '#shared/identity.ts';
import type { JobHandler } from '#shared/jobs.ts';
import { openLogs } from '#shared/logs/openLogs.ts';
import { createOnce } from '#shared/once.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createSubjectDigest } from '#shared/subjectDigest.ts';
import { subgraphNames } from '../names.ts';
import { createSealer } from './audit/sealer.ts';
import { createAudit } from './audit/service.ts';
import { createCaching } from './caching/service.ts';
import { createConfiguration } from './configuration/service.ts';
import { createAdvance } from './erasure/advance.ts';
import { createErasures } from './erasure/erasures.ts';
import { createNotificationRules } from './errors/notificationRules.ts';
import { createErrors } from './errors/service.ts';
import { createEvents } from './events/service.ts';
import { createFiles } from './files/files.ts';
import { type FilePurpose, shownFile } from './files/rows.ts';
import { createFileWriter } from './files/writer.ts';
import { createLogging } from './logging/service.ts';
import { createMonitoring } from './monitoring/service.ts';
import { createSmtpTransport } from './notifications/mail.ts';
import { createNotifications } from './notifications/notifications.ts';
import { createProfiling } from './performance/profiling.ts';
import { createPerformance } from './performance/service.ts';
import { createPersonalDataSource } from './personalData/source.ts';
import { createExporter } from './protocol/exporter.ts';
import { createImporter } from './protocol/importer.ts';
import { createReports } from './reports/reports.ts';
import { createReportSource } from './reports/source.ts';
import { createSecurity } from './security/service.ts';
import { createRules } from './validation/rules.ts';
import { createSchemas } from './validation/schemas.ts';

export type PlatformService = ReturnType<typeof createPlatformService>;

export function createPlatformService(runtime: ModuleRuntime) {
  const { name, version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    name: string;
    version: string;
  };
  const startedAt = new Date();
  const once = createOnce('platform', runtime);
  const files = createFiles(runtime, once);
  const security = createSecurity(runtime, once);
  const audit = createAudit(runtime, files, security.keyring);
  const events = createEvents(runtime, once, security.keyring);
  const caching = createCaching(runtime, once);
  const { INTERNAL_SECRET, dataDir } = runtime.config;
  const erasure = createAdvance({
    ...runtime,
    digest: createSubjectDigest(loadInternalSecret({ value: INTERNAL_SECRET, dataDir })),
  });
  const logs = runtime.logs ?? openLogs(runtime);
  const logging = createLogging(runtime, { logs, once });
  const monitoring = createMonitoring(runtime, { logs, once });
  const { SMTP_URL: mailUrl, MAIL_FROM: from } = runtime.config;
  const notifications = createNotifications(runtime, {
    ...{ once, log: logs.buffer },
    ...(mailUrl === undefined ? {} : { mail: createSmtpTransport({ url: mailUrl, from }) }),
  });
  const errors = createErrors({
    sql: runtime.sql,
    capture: logs.errors,
    once,
    operatorTenant: operatorTenantOf(runtime.config),
  });
  const profiling = createProfiling(runtime, once);
  const schemas = createSchemas(runtime, once);
  return {
    authorizer: runtime.authorizer,
    apiTokens: security.apiTokens,
    revocations: security.revocations,
    encryption: security.encryption,
    erasures: createErasures({ sql: runtime.sql, once }),
    files,
    audit,
    reports: createReports(runtime, files),
    events,
    configuration: createConfiguration(runtime, { once, keyring: security.keyring, schemas }),
    caching,
    schemas,
    rules: createRules(runtime, once),
    async filePage(scope: RequestScope, filter: { purpose: FilePurpose; contextId: string | null }, page: PageInput) {
      const { edges: found, pageInfo } = await files.page(scope, filter, page);
      const edges = found.map(({ cursor, node }) => ({ cursor, node: shownFile(node) }));
      return { edges, nodes: edges.map(({ node }) => node), pageInfo };
    },
    describe: () => ({ name, version, protocolVersion: '1.0.0', subgraphs: [...subgraphNames], startedAt }),
    importer: createImporter(runtime),
    exporter: createExporter(runtime),
    logging,
    monitoring,
    notifications,
    errors,
    errorRules: createNotificationRules({ sql: runtime.sql, once }),
    performance: createPerformance(runtime, { logging, once }),
    profiling,
    jobs: (): Readonly<Record<string, JobHandler>> => ({
      writeFile: createFileWriter(runtime, {
        audit: audit.source,
        report: createReportSource(runtime.graph),
        subject: createPersonalDataSource(runtime.sqlOf),
      }),
      advanceErasure: (payload) => erasure.advance(payload),
      resumeErasures: () => erasure.resume(),
      sweepEvents: () => events.sweep(),
      sweepCache: () => caching.sweep(),
      sweepFiles: () => files.sweep(),
      pruneAudit: () => audit.prune(),
      sweepLogs: () => logging.sweepLogs(),
      rollUpMetrics: () => monitoring.rollUp(),
      sweepMetrics: () => monitoring.sweepMetrics(),
      notify: (payload) => notifications.send(payload),
      sweepNotifications: () => notifications.sweepNotifications(),
      sweepErrors: () => errors.sweepErrors(),
      sweepTokens: () => security.sweep(),
      maintainKeys: () => security.encryption.maintain(),
      resealSecrets: (payload) => security.encryption.reseal(payload),
    }),
    start: async (): Promise<StartedModule> => {
      const started = [await monitoring.start(), createSealer(runtime), await events.start(), await caching.start()];
      started.push(await erasure.start());
      return {
        async close() {
          for (const part of started) await part.close();
          await profiling.close();
          if (runtime.logs === undefined) await logs.close();
        },
      };
    },
  };
}
