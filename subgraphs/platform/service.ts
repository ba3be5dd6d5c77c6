import { readFileSync } from 'node:fs';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { subgraphNames } from '../names.ts';
import { createExporter } from './protocol/exporter.ts';
import { createImporter } from './protocol/importer.ts';

export type PlatformService = ReturnType<typeof createPlatformService>;

export function createPlatformService(runtime: ModuleRuntime) {
  const { name, version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    name: string;
    version: string;
  };
  const startedAt = new Date();
  return {
    describe: () => ({ name, version, protocolVersion: '1.0.0', subgraphs: [...subgraphNames], startedAt }),
    importer: createImporter(runtime),
    exporter: createExporter(runtime),
  };
}
