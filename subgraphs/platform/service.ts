import { readFileSync } from 'node:fs';
import type { PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import { createOnce } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { subgraphNames } from '../names.ts';
import { createAudit } from './audit/service.ts';
import { createConfiguration } from './configuration/service.ts';
import { createEvents } from './events/service.ts';
import { createFiles } from './files/files.ts';
import { type FilePurpose, shownFile } from './files/rows.ts';
import { createFileWriter } from './files/writer.ts';
import { createExporter } from './protocol/exporter.ts';
import { createImporter } from './protocol/importer.ts';
import { createReports } from './reports/reports.ts';
import { createReportSource } from './reports/source.ts';
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
  const audit = createAudit(runtime, files);
  const events = createEvents(runtime, once);
  return {
    authorizer: runtime.authorizer,
    files,
    audit,
    reports: createReports(runtime, files),
    events,
    configuration: createConfiguration(runtime, once),
    schemas: createSchemas(runtime, once),
    rules: createRules(runtime, once),
    async filePage(scope: RequestScope, filter: { purpose: FilePurpose; contextId: string | null }, page: PageInput) {
      const { edges: found, pageInfo } = await files.page(scope, filter, page);
      const edges = found.map(({ cursor, node }) => ({ cursor, node: shownFile(node) }));
      return { edges, nodes: edges.map(({ node }) => node), pageInfo };
    },
    jobs: () => ({
      writeFile: createFileWriter(runtime, { audit: audit.source, report: createReportSource(runtime.graph) }),
      sweepEvents: () => events.sweep(),
      sweepFiles: () => files.sweep(),
      pruneAudit: () => audit.prune(),
    }),
    describe: () => ({ name, version, protocolVersion: '1.0.0', subgraphs: [...subgraphNames], startedAt }),
    importer: createImporter(runtime),
    exporter: createExporter(runtime),
  };
}
